"""Texts run together, in pieces, or as many variants of one: the same bits as one by one, on the engine."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.decoder import tap_names
from petitlm.engine import runs
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import available_isas
from petitlm.engine.runs import run_text, run_texts, run_variants
from petitlm.engine.trace import Keep, Recorder, Top, Trace
from petitlm.errors import ContextError, UsageError
from tests_runners import ENGINES, EVERY, assert_same_bits, engine, ids_of, runner
from tests_shapes import SHAPES

BITS = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: the twins promise no bits")
ENGINE = pytest.mark.parametrize(("name", "bits"), ENGINES)
LENGTHS = (7, 1, 19, 12, 3)


def edits_of(name: str) -> list[Edit]:
    """Return edits of every kind that fit texts of any length."""
    d = SHAPES[name].d_model
    direction = np.random.default_rng(4).normal(size=d)
    return [Edit(("z", 0), "scale", 0.5, head=1), Edit(("resid_post", 0), "project_out", direction),
            Edit(("mlp_post", 1), "zero", neuron=(0, 3)), Edit(("attn_out", 1), "mean", positions=-1),
            Edit(("pattern", 1), "add", 0.1, neuron=0), Edit("embed", "add", direction / 10, positions=0)]


def keeps_of(name: str) -> list[Keep]:
    """Return one keep of each kind of value and reduction."""
    direction = np.random.default_rng(5).normal(size=(3, SHAPES[name].d_model))
    return [Keep(("pattern", 0)), Keep(("scores", 1), at=-1), Keep(("pattern", 1), top=4), Keep(("z", 0), head=(1, 0)),
            Keep(("resid_post", 0), at=(-1, 0)), Keep(("resid_post", 1), project=direction), Keep(("q", 1), norm=True),
            Keep("logits", top=5), Keep(("mlp_pre", 0), at=0, top=2), Keep(("k", 1), norm=True, at=-1),
            Keep("ln_final", project=direction[0])]


def assert_same_trace(ours: Trace, expected: Trace, near: float = 0.0) -> None:
    assert ours.ids == expected.ids and list(ours) == list(expected)
    for name in [*expected, None]:
        a, b = (ours.logits, expected.logits) if name is None else (ours[name], expected[name])
        if isinstance(b, Top):
            np.testing.assert_array_equal(a.indices, b.indices, err_msg=str(name))
            a, b = a.values, b.values
        assert a.shape == b.shape, name
        np.testing.assert_allclose(a, b, rtol=near, atol=near, err_msg=str(name))


@BITS
@ENGINE
@pytest.mark.parametrize("wanted", ["last", "all"])
def test_texts_together_are_texts_one_by_one(name: str, bits: int, wanted: str) -> None:
    model, texts = engine(name, bits), [ids_of(name, n, n) for n in LENGTHS]
    for edits in ([], edits_of(name)):
        together = list(run_texts(model, texts, keeps_of(name), edits, wanted=wanted))
        for ids, trace in zip(texts, together, strict=True):
            assert_same_trace(trace, run_text(model, ids, keeps_of(name), edits, wanted=wanted))


@pytest.mark.parametrize("name", SHAPES)
def test_texts_together_are_texts_one_by_one_on_torch(name: str) -> None:
    model, texts = runner(name, "torch"), [ids_of(name, n, n) for n in LENGTHS]
    for edits in ([], edits_of(name)):
        for ids, trace in zip(texts, run_texts(model, texts, [*tap_names(SHAPES[name])], edits), strict=True):
            assert_same_trace(trace, run_text(model, ids, [*tap_names(SHAPES[name])], edits, wanted="last"), 1e-5)


def variants_of(name: str) -> list[list[Edit]]:
    rng, d = np.random.default_rng(6), SHAPES[name].d_model
    return [[], *([Edit(("z", layer), "zero", head=head, positions=-1)] for layer in range(2) for head in range(2)),
            [Edit(("resid_pre", 1), "replace", rng.normal(size=(2, d)), positions=(-1, 14))],
            [Edit(("mlp_out", 0), "project_out", rng.normal(size=d), positions=15), Edit("logits", "scale", 2.0)],
            *([Edit(("mlp_post", 1), "add", x, positions=(-1, -2), neuron=3)] for x in range(1, 71))]


@BITS
@ENGINE
def test_variants_of_a_text_are_runs_of_their_own(name: str, bits: int) -> None:
    model, ids, variants = engine(name, bits), ids_of(name), variants_of(name)[:9]
    common = [Edit(("mlp_out", 0), "scale", 0.5, positions=(2, 16)), Edit(("attn_out", 1), "add", 0.1)]
    keeps = [Keep(("resid_post", 1), at=-1), Keep(("pattern", 1), at=-1), Keep(("pattern", 0), at=(15, 18), top=3)]
    for edits in ([], common):
        found = list(run_variants(model, ids, variants, keeps, edits))
        for variant, trace in zip(variants, found, strict=True):
            assert_same_trace(trace, run_text(model, ids, keeps, [*edits, *variant], wanted="last"))
    assert len({trace.logits.tobytes() for trace in found}) == len(variants)


@BITS
def test_many_variants_share_passes_and_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """More variants than slots: those of a second pass find nothing of the first."""
    name = "phi, kv groups, tied"
    model, ids, variants = engine(name, 4), ids_of(name), variants_of(name)[5:]
    expected = [run_text(model, ids, edits=variant, wanted="last").logits for variant in variants]
    for rows in (1, 7, 64, 10_000):
        monkeypatch.setattr(runs, "_ROWS", rows)
        for a, b in zip(run_variants(model, ids, variants), expected, strict=True):
            assert_same_bits(a.logits, b)
    monkeypatch.setattr(runs, "_SLOT_BYTES", 1)
    for a, b in zip(run_variants(model, ids, variants[:3]), expected, strict=False):
        assert_same_bits(a.logits, b)


@pytest.mark.parametrize("name", ["phi", "llama", "gpt"])
def test_variants_on_torch(name: str) -> None:
    model, ids, variants = runner(name, "torch"), ids_of(name), variants_of(name)[:9]
    for variant, trace in zip(variants, run_variants(model, ids, variants, [Keep("resid_post", -1)]), strict=True):
        assert_same_trace(trace, run_text(model, ids, [Keep("resid_post", -1)], variant, wanted="last"), 1e-5)


@BITS
def test_only_ends_are_run_again() -> None:
    """A sweep at the last position costs one token for each variant, and the start but once."""
    model, ids, ran = engine("phi", 8), ids_of("phi", 40), []

    class Counting:
        config = model.config

        def session(self, slots: int, length: int):
            session = model.session(slots, length)
            step = session.step
            session.step = lambda ids, *rest: ran.append(len(ids)) or step(ids, *rest)
            return session

    variants = [[Edit(("z", 1), "scale", i, positions=-1)] for i in range(100)]
    list(run_variants(Counting(), ids, variants))  # type: ignore[arg-type]
    assert sum(ran) == 39 + 100
    ran.clear()
    list(run_variants(Counting(), ids, [[]] * 5, [Keep(("pattern", 0), at=35)]))  # type: ignore[arg-type]
    assert sum(ran) == 35 + 5 * 5


@BITS
def test_a_mean_is_over_the_whole_text_in_a_variant_too() -> None:
    model, ids = engine("gpt", 16), ids_of("gpt")
    variant = [Edit(("mlp_out", 0), "mean", positions=-1)]
    [trace] = run_variants(model, ids, [variant], [Keep(("mlp_out", 0), at=-1)])
    plain = run_text(model, ids, [("mlp_out", 0)])[("mlp_out", 0)]
    np.testing.assert_array_equal(trace[("mlp_out", 0)][0], plain.mean(0))


@BITS
@pytest.mark.parametrize("bits", [4, 32])
def test_pieces_are_the_whole(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts run in pieces; values with a row for each token, keys that come later, reductions: all the same."""
    name, ids = "phi, kv groups, tied", ids_of("phi", 70)
    model, config, rng = engine(name, bits), SHAPES[name], np.random.default_rng(8)
    edits = [Edit(("resid_pre", 1), "replace", rng.normal(size=(70, config.d_model))),
             Edit(("mlp_out", 0), "add", rng.normal(size=(3, config.d_model)), positions=(60, 2, 33)),
             Edit(("pattern", 0), "scale", rng.random(size=(4, 70))),
             Edit(("scores", 1), "add", [0.5, -0.5, 1.0], neuron=(50, 4, 66))]
    keeps = [*keeps_of(name), Keep(("pattern", 0), top=40)][1:]
    whole = run_text(model, ids, keeps, edits)
    for size in (1, 9, 64):
        monkeypatch.setattr(runs, "_TOKENS", size)
        for edited in (edits, []):
            expected = whole if edited else None
            got = run_text(model, ids, keeps, edited)
            if expected is None:
                monkeypatch.setattr(runs, "_TOKENS", 256)
                expected = run_text(model, ids, keeps)
            assert_same_trace(got, expected)


def test_a_mean_over_a_long_text_is_over_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids, edit = engine("phi", 8), ids_of("phi"), Edit(("mlp_out", 1), "mean")
    plain = run_text(model, ids, ["mlp_out"])
    monkeypatch.setattr(runs, "_TOKENS", 4)
    for trace in (run_text(model, ids, ["mlp_out"], [edit]), *run_texts(model, [ids], ["mlp_out"], [edit])):
        np.testing.assert_array_equal(trace[("mlp_out", 1)], np.broadcast_to(plain[("mlp_out", 1)].mean(0), (19, 48)))


@pytest.mark.parametrize(("name", "layers"), EVERY)
def test_logits_that_are_not_wanted_are_not_made(name: str, layers: int | str) -> None:
    model, ids = runner(name, layers), ids_of(name)
    whole = run_text(model, ids, ["logits"])
    for wanted, n in (("last", 1), ("none", 0)):
        trace = run_text(model, ids, ["logits", ("resid_post", 1)], wanted=wanted)
        assert trace.logits.shape == trace["logits"].shape == (n, SHAPES[name].n_vocab)
        assert len(trace[("resid_post", 1)]) == len(ids)
        if layers == "torch":
            np.testing.assert_allclose(trace.logits, whole.logits[len(ids) - n :], atol=1e-5)
        else:
            assert_same_bits(trace.logits, whole.logits[len(ids) - n :])
        assert [t.logits.shape for t in run_texts(model, [ids, ids[:4]], wanted=wanted)] == [trace.logits.shape] * 2


def test_texts_that_cannot_run_are_refused() -> None:
    model, many = engine("phi", 4), [0] * 81
    others = (lambda m, ids: list(run_texts(m, [[1, 2], ids])), lambda m, ids: list(run_variants(m, ids, [])))
    for run in (run_text, *others):
        with pytest.raises(UsageError, match="the text is empty"):
            run(model, [])
        with pytest.raises(ContextError, match="81 tokens and the context 80"):
            run(model, many)
    with pytest.raises(UsageError, match="position 5 is not there; there are 3"):
        list(run_texts(model, [[1, 2, 3, 4, 5, 6], [1, 2, 3]], ["z"], [Edit("z", "zero", positions=5)]))
    with pytest.raises(UsageError, match="asked for twice"):
        run_text(model, [1, 2], ["pattern", ("pattern", 1)])


class Doubled:
    """A dictionary of features that are the value's numbers and their negatives: decoding gives the value back."""

    def __init__(self, tap: str, writes: str | None = None) -> None:
        self.reads, self.writes, self.name = tap, writes or tap, f"{tap}.sae"

    def encode(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(np.concatenate([x, -x], -1), 0)

    def decode(self, f: np.ndarray) -> np.ndarray:
        half = f.shape[-1] // 2
        return f[..., :half] - f[..., half:]


@pytest.mark.parametrize("layers", [4, 32, "torch"])
def test_features_are_taps_that_can_be_kept_and_edited(layers: int | str) -> None:
    model, ids, sae = runner("phi", layers), ids_of("phi"), Doubled("blocks.0.hook_resid_post")
    plain = run_text(model, ids, [sae.reads])
    watched = run_text(model, ids, [Keep(sae.name, top=3), sae.reads], dictionaries=[sae])
    np.testing.assert_array_equal(watched.logits, plain.logits)  # only what is edited passes through the dictionary
    np.testing.assert_array_equal(watched[sae.name].values, -np.sort(-np.abs(plain[sae.reads]), -1)[:, :3])
    off = run_text(model, ids, [sae.name, sae.reads], [Edit(sae.name, "zero", neuron=(5, 53), positions=2)],
                   dictionaries=[sae])
    expected = plain[sae.reads].copy()
    expected[2, 5] = 0  # features 5 and 48 + 5 are its two signs
    np.testing.assert_allclose(off[sae.reads], expected, atol=1e-6)
    assert not off[sae.name][2, [5, 53]].any()
    direct = run_text(model, ids, edits=[Edit(sae.reads, "zero", neuron=5, positions=2)])
    np.testing.assert_allclose(off.logits, direct.logits, atol=1e-3 if layers == 4 else 1e-5)
    with pytest.raises(UsageError, match="is not known"):
        run_text(model, ids, [sae.name])
    with pytest.raises(UsageError, match=r"selects \(96,\), and there are 96"):
        run_text(model, ids, edits=[Edit(sae.name, "zero", neuron=96)], dictionaries=[sae])


def test_a_transcoder_writes_where_it_says() -> None:
    model, ids = engine("llama", 32), ids_of("llama")
    coder = Doubled("blocks.0.ln2.hook_normalized", "blocks.0.hook_mlp_out")
    plain = run_text(model, ids, [coder.reads, coder.writes])
    edited = run_text(model, ids, [coder.reads, coder.writes], [Edit(coder.name, "scale", 3.0, neuron=range(60))],
                      dictionaries=[coder])
    np.testing.assert_array_equal(edited[coder.reads], plain[coder.reads])
    added = 2 * np.maximum(plain[coder.reads], 0)  # the first half of the features, three times instead of once
    np.testing.assert_allclose(edited[coder.writes], plain[coder.writes] + added, atol=1e-5)


def test_the_features_of_a_final_norm_are_kept_of_the_tokens_that_reach_it() -> None:
    model, ids, sae = engine("phi", 4), ids_of("phi"), Doubled("ln_final.hook_normalized")
    trace = run_text(model, ids, [sae.name, sae.reads], wanted="last", dictionaries=[sae])
    np.testing.assert_array_equal(trace[sae.name], sae.encode(trace[sae.reads]))
    assert trace[sae.name].shape == (1, 96)


def test_a_recorder_keeps_no_memory_that_others_write_to() -> None:
    """What was kept of one step is the same after later steps."""
    model, ids = engine("phi", 4), ids_of("phi")
    positions = np.arange(len(ids), dtype=np.int32)
    recorder = Recorder(SHAPES["phi"], tap_names(SHAPES["phi"]), [], positions)
    session = model.session(1, len(ids))
    session.step(np.array(ids, np.int32), positions, np.zeros_like(positions), None, recorder)
    kept = recorder.taken()
    before = {name: value.copy() for name, value in kept.items()}
    other = np.array(ids_of("phi", seed=3), np.int32)
    session.step(other, positions, np.zeros_like(positions), None, Recorder(SHAPES["phi"], ["z"], [], positions))
    session.step(other, positions, np.zeros_like(positions))
    for name, value in kept.items():
        assert_same_bits(value, before[name])
