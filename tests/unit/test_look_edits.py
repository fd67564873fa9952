"""Edits: what each selector reaches, to the element, on both sets of layers; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.decoder import tap_names
from petitlm.engine.edits import OPERATIONS, Edit
from petitlm.engine.runs import run_text
from petitlm.errors import ShapeError, UsageError
from petitlm.taps import by_head, tap_shape
from tests_runners import engine, ids_of, runner
from tests_shapes import SHAPES

LAYERS = pytest.mark.parametrize("layers", [8, 32, "torch"])
NAME, N = "phi, kv groups, tied", 12  # two heads share each key
CONFIG = SHAPES[NAME]


def values(layers: int | str, tap: str, *edits: Edit) -> np.ndarray:
    """Return the value at a tap of a run with edits, tokens first."""
    value = run_text(runner(NAME, layers), ids_of(NAME, N), [tap], edits)[tap]
    return value.swapaxes(0, 1) if by_head(tap) else value


def expected(tap: str, old: np.ndarray, edit: Edit) -> np.ndarray:
    """Return what an edit should give, element by element, as slowly as one would write it down."""
    new = old.copy()
    positions = range(N) if edit.positions is None else [p % N for p in edit.positions]
    heads = range(old.shape[1]) if edit.head is None else edit.head
    last = range(old.shape[-1]) if edit.neuron is None else [i % old.shape[-1] for i in edit.neuron]
    where = [(p, h, i) if old.ndim == 3 else (p, i) for p in positions
             for h in (heads if old.ndim == 3 else [0]) for i in last]
    for place in where:
        others = [(p, *place[1:]) for p in range(N)]
        value = np.asarray(edit.value, np.float32) if edit.value is not None else None
        if value is not None and value.ndim:
            value = value[list(last).index(place[-1])]
        if edit.op == "mean" and value is None:
            value = np.mean([old[other] for other in others], dtype=np.float32)
        new[place] = {"add": np.add, "scale": np.multiply}[edit.op](old[place], value) if edit.op in ("add", "scale") \
            else 0 if edit.op == "zero" else value
    if by_head(tap):
        for p in range(N):
            new[p, :, p + 1 :] = 0 if tap.endswith("pattern") else -np.inf
    return new


@LAYERS
@pytest.mark.parametrize("selectors", [
    {}, {"positions": 3}, {"positions": (-1, 2)}, {"neuron": (0, 5)}, {"neuron": -1, "positions": 4},
    {"head": 1}, {"head": (1, 0), "positions": (7,)}, {"head": 0, "neuron": (2, 1), "positions": (1, 6)},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("op", ["add", "scale", "zero", "replace", "mean"])
def test_an_edit_changes_what_it_selects_and_nothing_else(layers: int | str, selectors: dict, op: str) -> None:
    for short in ("hook_embed", "blocks.0.hook_mlp_out", "blocks.1.mlp.hook_post", "blocks.0.attn.hook_k",
                  "blocks.1.attn.hook_z", "blocks.1.attn.hook_attn_scores", "blocks.0.attn.hook_pattern"):
        shape = tap_shape(CONFIG, short, N)
        if "head" in selectors and len(shape) < 3:
            continue
        old = values(layers, short)
        for value in (0.5, np.arange(1, 1 + (len(np.atleast_1d(selectors["neuron"])) if "neuron" in selectors
                                             else old.shape[-1]), dtype=np.float32)):
            edit = Edit(short, op, None if op == "zero" else value, **selectors)
            np.testing.assert_allclose(values(layers, short, edit), expected(short, old, edit), rtol=1e-6, atol=1e-6,
                                       err_msg=f"{short} {edit}")
        if op == "mean" and not short.endswith("attn_scores"):
            edit = Edit(short, op, **selectors)
            np.testing.assert_allclose(values(layers, short, edit), expected(short, old, edit), rtol=1e-5, atol=1e-6)


@LAYERS
def test_the_part_along_a_direction_is_taken_out(layers: int | str) -> None:
    rng = np.random.default_rng(0)
    for tap, selectors in (("blocks.0.hook_resid_post", {}), ("blocks.1.attn.hook_z", {"head": 2}),
                           ("blocks.0.hook_mlp_out", {"neuron": (1, 4, 9), "positions": (0, 5)})):
        direction = rng.normal(size=3 if "neuron" in selectors else tap_shape(CONFIG, tap, N)[-1])
        old, new = values(layers, tap), values(layers, tap, Edit(tap, "project_out", 7 * direction, **selectors))
        rows = list(selectors.get("positions", range(N)))
        part = (slice(None), 2) if "head" in selectors else (slice(None), [1, 4, 9]) if "neuron" in selectors else ()
        before, after = (x[rows][part].astype(np.float64) for x in (old, new))
        unit = direction / np.linalg.norm(direction)
        np.testing.assert_allclose(after, before - (before @ unit)[..., None] * unit, atol=1e-5)
        assert np.abs(after @ unit).max() < 1e-5 < np.abs(before @ unit).max()
        changed = old != new
        new[np.ix_(rows)] = old[np.ix_(rows)]
        np.testing.assert_array_equal(new, old)
        assert changed.any()


@LAYERS
def test_what_a_token_may_not_see_no_edit_shows_it(layers: int | str) -> None:
    """Looking ahead would make the last token's choice part of its own reasons."""
    model, ids = runner(NAME, layers), ids_of(NAME, N)
    other = [*ids[:6], *((i + 1) % CONFIG.n_vocab for i in ids[6:])]
    for tap, op, value in (("scores:0", "replace", 0.0), ("pattern:1", "add", 0.25), ("pattern:0", "replace", 1 / N),
                           ("pattern:1", "mean", None)):
        edits = [Edit(tap, op, value)] if op != "mean" else [Edit(tap, op, positions=range(5))]
        a, b = (run_text(model, text, [tap], edits) for text in (ids, other))
        if op != "mean":  # a mean is over all tokens of the text
            np.testing.assert_allclose(a.logits[:6], b.logits[:6], rtol=0, atol=1e-6)
        unseen = ~np.tri(N, dtype=bool)
        assert (a[tap][:, unseen] == (0 if "pattern" in tap else -np.inf)).all()


@LAYERS
def test_a_value_may_have_a_row_for_each_token_in_the_order_of_the_positions(layers: int | str) -> None:
    tap = "blocks.0.hook_mlp_out"
    rows = np.random.default_rng(1).normal(size=(3, CONFIG.d_model)).astype(np.float32)
    new = values(layers, tap, Edit(tap, "replace", rows, positions=(7, 2, -1)))
    np.testing.assert_array_equal(new[[7, 2, 11]], rows)
    whole = np.random.default_rng(2).normal(size=(N, CONFIG.d_model)).astype(np.float32)
    np.testing.assert_array_equal(values(layers, tap, Edit(tap, "replace", whole)), whole)
    z = np.random.default_rng(3).normal(size=(2, 1, CONFIG.d_head)).astype(np.float32)
    new = values(layers, "blocks.0.attn.hook_z", Edit(("z", 0), "replace", z, positions=(5, 4), head=3))
    np.testing.assert_array_equal(new[[5, 4], 3], z[:, 0])


def test_edits_are_made_in_the_order_given() -> None:
    tap = "blocks.0.hook_mlp_out"
    old = values(8, tap)
    add, scale = Edit(tap, "add", 1.0), Edit(tap, "scale", 2.0)
    np.testing.assert_array_equal(values(8, tap, add, scale), (old + 1) * 2)
    np.testing.assert_array_equal(values(8, tap, scale, add), old * 2 + 1)


def test_a_short_name_alone_edits_every_block() -> None:
    ids = ids_of(NAME, N)
    trace = run_text(engine(NAME, 4), ids, ["mlp_out"], [Edit("mlp_out", "zero")])
    assert len(trace) == CONFIG.n_layers and not any(value.any() for value in trace.values())


@pytest.mark.parametrize("layers", [4, "torch"])
def test_every_tap_can_be_edited(layers: int | str) -> None:
    for name in ("phi", "llama", "gpt"):
        model, ids = runner(name, layers), ids_of(name, N)
        plain = run_text(model, ids).logits
        for tap in tap_names(SHAPES[name]):
            key = {"neuron": 0} if tap.endswith("attn_scores") else {}  # softmax does not see a shift of all scores
            logits = run_text(model, ids, edits=[Edit(tap, "add", 0.5, **key)]).logits
            # What a final norm sees shifted by one number for all features, a LayerNorm takes out again.
            if not (tap.endswith(("hook_resid_post", "hook_mlp_out")) and SHAPES[name].norm == "layer"):
                assert not np.array_equal(logits, plain), (name, tap)
            assert np.isfinite(logits).all()


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: Edit("z", lambda x: x), UsageError, "an edit is data, not a function.*gradients.run"),
    (lambda: Edit("z", "replace", lambda x: x), UsageError, "an edit is data, not a function"),
    (lambda: Edit("z", "explode"), UsageError, f"op='explode' is not known; choose one of {', '.join(OPERATIONS)}"),
    (lambda: Edit("z", "scale"), UsageError, "needs a value"),
    (lambda: Edit("z", "zero", 0), UsageError, "takes no value"),
    (lambda: Edit("z", "add", "much"), UsageError, "is no array of numbers"),
    (lambda: Edit("z", "add", [[1, 2], [3]]), UsageError, "is no array of numbers"),
    (lambda: Edit("z", "add", [1.0, float("nan")]), UsageError, "NaN"),
    (lambda: Edit("z", "project_out", np.zeros(20)), UsageError, "not all 0"),
    (lambda: Edit("z", "project_out", np.ones((2, 20))), UsageError, "needs one direction"),
    (lambda: Edit("z", "zero", positions=()), UsageError, "selects nothing"),
    (lambda: Edit("z", "zero", head=(1, 1)), UsageError, "a place twice"),
    (lambda: Edit("z", "zero", neuron=0.5), UsageError, "no whole number"),
    (lambda: Edit("z", "zero", positions="all"), UsageError, "positions='all'"),
])  # fmt: skip
def test_an_edit_that_means_nothing_is_refused(make, error, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@LAYERS
@pytest.mark.parametrize(("edit", "error", "message"), [
    (Edit("zz", "zero"), UsageError, "tap 'zz' is not known"),
    (Edit("z", "zero", positions=12), UsageError, "position 12 is not there; there are 12, from 0 to 11"),
    (Edit("z", "zero", positions=-13), UsageError, "position -13 is not there"),
    (Edit("z", "zero", head=4), UsageError, "head 4 is not at 'blocks.0.attn.hook_z'; its heads run from 0 to 3"),
    (Edit("k", "zero", head=2), UsageError, "its heads run from 0 to 1"),
    (Edit("mlp_out", "zero", head=0), UsageError, "the value there has none"),
    (Edit("mlp_post", "zero", neuron=70), UsageError, "place 70 is not there; there are 70"),
    (Edit("pattern", "zero", neuron=12), UsageError, "place 12 is not there; there are 12"),
    (Edit("pattern", "project_out", np.ones(12)), UsageError, "keys have no directions"),
    (Edit("scores", "mean"), UsageError, "has no score and so no mean; give the value"),
    (Edit("mlp_out", "add", np.ones(63)), ShapeError, r"shape \(63,\) does not fit \(12, 64\)"),
    (Edit("mlp_out", "add", np.ones((11, 64))), ShapeError, "has 11 rows and does not fit 12 tokens"),
    (Edit("mlp_out", "add", np.ones((3, 64)), (1, 2)), ShapeError, "has 3 rows and does not fit 2 tokens"),
    (Edit("z", "replace", np.ones((3, 20)), head=(0, 1)), ShapeError, r"does not fit \(12, 2, 20\)"),
], ids=str)  # fmt: skip
def test_an_edit_that_does_not_fit_is_refused(layers: int | str, edit: Edit, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        run_text(runner(NAME, layers), ids_of(NAME, N), edits=[edit])
