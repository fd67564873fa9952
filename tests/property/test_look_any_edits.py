"""Any edits and keeps, drawn at random: however a text is run, the same bits on the engine, and torch's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from petitlm.decoder import tap_names
from petitlm.engine import runs
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import available_isas
from petitlm.engine.runner import as_ints
from petitlm.engine.runs import run_text, run_texts, run_variants
from petitlm.engine.tapped import TappedSession
from petitlm.engine.trace import Keep, Top, Trace
from petitlm.taps import by_head, heads_at, tap_shape
from tests_runners import engine, ids_of, torch_layers
from tests_shapes import SHAPES

N = 9
NAMES = ("phi, heads of 10, odd sizes", "phi, kv groups, tied", "llama", "gpt")
CASES = [(name, bits) for name in NAMES for bits in (4, 32)]
pytestmark = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: the twins promise no bits")


def some(draw, n: int, *, negative: bool = False):
    """Draw a selection of some of n places, or None."""
    low = -n if negative else 0
    several = st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True)
    return draw(st.none() | st.integers(low, n - 1) | several)


@st.composite
def edits(draw, name: str, n: int = N) -> list[Edit]:
    """Draw edits that fit texts of n tokens."""
    config, made = SHAPES[name], []
    for _ in range(draw(st.integers(0, 3))):
        tap = draw(st.sampled_from(tap_names(config)))
        heads, last = heads_at(config, tap), n if by_head(tap) else tap_shape(config, tap, n)[-1]
        positions, neuron = some(draw, n, negative=True), some(draw, last)
        head = some(draw, heads) if heads else None
        op = draw(st.sampled_from(["add", "scale", "zero", "replace", "mean", "project_out"]))
        rows = n if positions is None else np.size(positions)
        inner = [*([heads if head is None else np.size(head)] if heads else []),
                 last if neuron is None else np.size(neuron)]
        if by_head(tap) and op in ("mean", "project_out"):
            op = "scale"  # keys have no directions, and scores no means
        shape = draw(st.sampled_from([[], inner[-1:], inner, [rows, *inner]]))
        shape = {"zero": None, "project_out": inner[-1:]}.get(op, shape)
        if op == "mean" and draw(st.booleans()):
            shape = None
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        value = None if shape is None else rng.uniform(0.1, 1, shape) * (1 if by_head(tap) else rng.choice([-1, 1]))
        made.append(Edit(tap, op, value, positions, head, neuron))
    return made


@st.composite
def keeps(draw, name: str, n: int = N) -> list[Keep]:
    """Draw keeps of different taps."""
    config, made = SHAPES[name], []
    for tap in draw(st.lists(st.sampled_from(tap_names(config)), max_size=5, unique=True)):
        heads, width = heads_at(config, tap), tap_shape(config, tap, n)[-1]
        kind = draw(st.sampled_from(["whole", "top", "norm", *([] if by_head(tap) else ["project"])]))
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        directions = rng.normal(size=draw(st.sampled_from([(width,), (1, width), (3, width)])))
        more = {"whole": {}, "top": dict(top=draw(st.integers(1, 12))), "norm": dict(norm=True),
                "project": dict(project=directions)}[kind]
        made.append(Keep(tap, some(draw, n, negative=True), some(draw, heads) if heads else None, **more))
    return made


def assert_same(ours: Trace, expected: Trace, near: float = 0.0) -> None:
    assert list(ours) == list(expected) and ours.logits.shape == expected.logits.shape
    for name in [*expected, None]:
        a, b = (ours.logits, expected.logits) if name is None else (ours[name], expected[name])
        if isinstance(b, Top):
            if not near:
                np.testing.assert_array_equal(a.indices, b.indices, err_msg=str(name))
            a, b = a.values, b.values
        assert a.shape == b.shape, name
        size = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=near, atol=near * size, err_msg=str(name))


@pytest.mark.parametrize(("name", "bits"), CASES)
@given(data=st.data())
@settings(max_examples=8, phases=[Phase.generate])
def test_however_it_is_run(name: str, bits: int, data: st.DataObject) -> None:
    model, ids = engine(name, bits), ids_of(name, N)
    made, kept = data.draw(edits(name)), data.draw(keeps(name))
    whole = run_text(model, ids, kept, made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_TOKENS", data.draw(st.integers(1, N)))
        assert_same(run_text(model, ids, kept, made), whole)
    others = [ids_of(name, data.draw(st.integers(N, 2 * N)), seed) for seed in (1, 2)]
    place = data.draw(st.integers(0, 2))
    # texts of one length alone: a value with a row for each token fits no other
    texts = [other[:N] for other in others]
    texts.insert(place, ids)
    assert_same(list(run_texts(model, texts, kept, made, wanted="all"))[place], whole)
    variants = [data.draw(edits(name)), made, []]
    at = [Keep(k.tap, range(N), k.head, k.top, k.norm, k.project) if k.at is None else k for k in kept]
    for variant, trace in zip(variants, run_variants(model, ids, variants, at), strict=True):
        assert_same(trace, run_text(model, ids, at, variant, wanted="last"))


@pytest.mark.parametrize(("name", "bits"), CASES)
@given(data=st.data())
@settings(max_examples=8, phases=[Phase.generate])
def test_token_by_token(name: str, bits: int, data: st.DataObject) -> None:
    model, config, ids = engine(name, bits), SHAPES[name], ids_of(name, N)

    def said_so(edit: Edit) -> Edit:
        """The same with its positions counted from the start, and keys, as a text that grows needs them."""
        [one] = edit.resolved(config, N)
        positions = range(N) if one.positions is None else one.positions
        return Edit(one.tap, one.op, one.value, positions, one.head, one.neuron)

    made = [said_so(e) for e in data.draw(edits(name)) if e.op != "mean" or e.value is not None]
    kept = [one for keep in data.draw(keeps(name)) for one in keep.resolved(config, N)]
    session = TappedSession(model.session(1, N), config, made, kept)
    first = data.draw(st.integers(1, N))
    rows = [session.step(as_ints(ids[:first]), as_ints(range(first)), as_ints([0] * first))]
    rows += [session.step(as_ints([ids[i]]), as_ints([i]), as_ints([0])) for i in range(first, N)]
    whole, trace = run_text(model, ids, kept, made), session.trace(ids, rows[-1])
    np.testing.assert_array_equal(np.concatenate(rows), whole.logits)
    if trace is not None:
        assert_same(Trace(ids, whole.logits, dict(trace), config), whole)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=8, phases=[Phase.generate])
def test_on_either_set_of_layers(name: str, data: st.DataObject) -> None:
    made, kept = data.draw(edits(name)), data.draw(keeps(name))
    ours, theirs = (run_text(m, ids_of(name, N), kept, made) for m in (engine(name, 32), torch_layers(name)))
    assert_same(ours, theirs, 2e-4)
