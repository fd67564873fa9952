"""Names of taps, their shapes and what keeping them takes; and what is refused, in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.config import ModelConfig
from petitlm.decoder import tap_names
from petitlm.engine.runs import check_trace, run_text, trace_bytes
from petitlm.engine.trace import Keep, Top
from petitlm.errors import DoesNotFitError, ShapeError, UsageError
from petitlm.taps import ONCE, SHORT, full_names, short_name, tap_shape
from tests_runners import engine, ids_of
from tests_shapes import SHAPES

PHI, LLAMA, GPT = (SHAPES[name] for name in ("phi", "llama", "gpt"))
ALL = pytest.mark.parametrize("name", SHAPES)


@ALL
def test_short_names_stand_for_full_ones_and_back(name: str) -> None:
    config = SHAPES[name]
    for full in tap_names(config):
        assert full_names(config, full) == [full]
        assert full_names(config, short_name(full)) == [full]
        if full.startswith("blocks."):
            short, block = short_name(full).split(":")
            assert full_names(config, (short, int(block))) == [full]
            assert full_names(config, (short, int(block) - config.n_layers)) == [full]
            assert full in full_names(config, short)


def test_every_short_name_is_some_models() -> None:
    known = {full for config in SHAPES.values() for full in tap_names(config)}
    assert {f"blocks.0.{full}" for full in SHORT.values()} | set(ONCE.values()) <= known


@pytest.mark.parametrize(("config", "tap", "message"), [
    (PHI, "resid_mid", "run in parallel"),
    (PHI, ("resid_mid", 1), "run in parallel"),
    (GPT, "rot_q", "learned positions and rotates nothing"),
    (PHI, "pos_embed", "not known"),
    (PHI, ("pattern", 2), "beyond the last block; this model has blocks 0 to 1"),
    (PHI, ("pattern", -3), "beyond the last block"),
    (PHI, "pattern:2", "beyond the last block"),
    (PHI, "blocks.2.attn.hook_pattern", "beyond the last block"),
    (PHI, "blocks.0.attn.hook_patern", r"did you mean blocks\.0\.attn\.hook_pattern"),
    (PHI, ("paterns", 0), "is no short name; with a block, give one of"),
    (PHI, ("pattern", 1, 2), "is not a name"),
    (PHI, ("pattern", "one"), "is not a name"),
    (PHI, (0, "pattern"), "is not a name"),
    (PHI, ("logits", 0), "is no short name"),
])  # fmt: skip
def test_a_name_that_is_none_is_refused_with_the_reason(config: ModelConfig, tap: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        full_names(config, tap)  # type: ignore[arg-type]


@ALL
def test_shapes_and_sizes_are_those_of_real_values(name: str) -> None:
    config, ids = SHAPES[name], ids_of(name)
    trace = run_text(engine(name, 4), ids, tap_names(config))
    for tap, value in trace.items():
        assert value.shape == tap_shape(config, tap, len(ids)), tap
    assert trace.n_bytes == trace_bytes(config, tap_names(config), len(ids))


@pytest.mark.parametrize("keep", [
    Keep("resid_post", -1), Keep("pattern", (0, -1), head=1), Keep("z", head=(0, 2), norm=True), Keep("logits", top=5),
    Keep("pattern", top=3), Keep("scores", norm=True), Keep("mlp_out", project=np.ones((4, 48))), Keep("k", 3, top=99),
    Keep("embed", project=np.ones(48)), Keep("rot_q", norm=True),
])  # fmt: skip
def test_the_size_of_what_is_reduced_is_told_before_the_run(keep: Keep) -> None:
    trace = run_text(engine("phi", 8), ids_of("phi"), [keep])
    assert trace.n_bytes == trace_bytes(PHI, [keep], len(ids_of("phi")))


def test_a_trace_over_the_limit_is_refused_before_it_runs() -> None:
    needed = 4 * 100 * 48 * 2
    assert check_trace(PHI, ["resid_post"], 100, needed) == needed
    assert check_trace(PHI, ["resid_post"], 100, None) == needed
    with pytest.raises(DoesNotFitError, match=r"would take 37\.5 KiB, and the limit is 37\.5 KiB; keep fewer"):
        check_trace(PHI, ["resid_post"], 100, needed - 1)


@pytest.mark.parametrize(("keep", "error", "message"), [
    (lambda: Keep("z", top=2, norm=True), UsageError, "more than one way"),
    (lambda: Keep("z", top=0), UsageError, "top=0"),
    (lambda: Keep("z", at=()), UsageError, "selects nothing"),
    (lambda: Keep("z", at=(1, 1)), UsageError, "a place twice"),
    (lambda: Keep("z", at=1.5), UsageError, "no whole number"),
    (lambda: Keep("z", at=19).resolved(PHI, 19), UsageError, "position 19 is not there; there are 19, from 0 to 18"),
    (lambda: Keep("z", at=-20).resolved(PHI, 19), UsageError, "position -20 is not there"),
    (lambda: Keep("z", at=-1).resolved(PHI, None), UsageError, "a text that still grows"),
    (lambda: Keep("z", head=3).resolved(PHI, 19), UsageError, "its heads run from 0 to 2"),
    (lambda: Keep("z", head=-1).resolved(PHI, 19), UsageError, "its heads run from 0 to 2"),
    (lambda: Keep("k", head=2).resolved(LLAMA, 19), UsageError, "its heads run from 0 to 1"),
    (lambda: Keep("mlp_out", head=0).resolved(PHI, 19), UsageError, "has none"),
    (lambda: Keep("mlp_out", project=np.ones(47)).resolved(PHI, 19), ShapeError, r"give \(48,\) or \(n, 48\)"),
    (lambda: Keep("pattern", project=np.ones(19)).resolved(PHI, 19), ShapeError, "keys have no directions"),
])  # fmt: skip
def test_what_cannot_be_kept_is_refused(keep, error, message: str) -> None:
    with pytest.raises(error, match=message):
        keep()


def test_the_largest_are_the_first_of_equal_ones() -> None:
    x = np.array([[1.0, 3.0, 3.0, 2.0, 3.0, -np.inf]], np.float32)
    top = Keep("logits", top=2).reduce(x)
    assert isinstance(top, Top)
    assert top.indices.tolist() == [[1, 2]] and top.values.tolist() == [[3, 3]]
    assert Keep("logits", top=4).reduce(x).indices.tolist() == [[1, 2, 4, 3]]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (50, 40)).astype(np.float32)  # many ties
    for k in (1, 3, 40):
        assert Keep("logits", top=k).reduce(x).indices.tolist() == np.argsort(-x, -1, kind="stable")[:, :k].tolist()


def test_the_length_of_scores_is_of_those_that_a_token_sees() -> None:
    ids = ids_of("phi")
    whole, norms = (run_text(engine("phi", 4), ids, [Keep(t, norm=n) for t in ("scores", "pattern")])
                    for n in (False, True))
    for tap, value in whole.items():
        seen = np.where(np.isfinite(value), value, 0).astype(np.float64)
        np.testing.assert_allclose(norms[tap], np.linalg.norm(seen, axis=-1).T, rtol=1e-6)
    longer = run_text(engine("phi", 4), [*ids, 5, 6], [Keep("scores", norm=True)])  # later keys change no bit
    np.testing.assert_array_equal(longer[("scores", 1)][: len(ids)], norms[("scores", 1)])


def test_a_trace_is_read_by_any_of_its_names() -> None:
    trace = run_text(engine("phi", 4), ids_of("phi"), ["resid_post", ("pattern", 1)])
    for name in ("blocks.1.attn.hook_pattern", ("pattern", 1), ("pattern", -1), "pattern:1", ["pattern", 1]):
        assert name in trace
        assert trace[name] is trace["blocks.1.attn.hook_pattern"]
    for name in ("pattern:0", "resid_post", "nonsense", ("pattern", 9), 7):
        assert name not in trace
        assert trace.get(name) is None
    with pytest.raises(KeyError, match="stands for a tap of each of 2 blocks; name one"):
        _ = trace["resid_post"]
    with pytest.raises(KeyError, match=r"was not kept; this trace has blocks\.0\.hook_resid_post"):
        _ = trace["mlp_out"]
