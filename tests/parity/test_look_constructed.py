"""Patching and attribution where the truth is known: attribution that lies (C2), cancellation (C3), backup (C4)."""

from __future__ import annotations

import pytest

from petitlm import look
from petitlm.look.attribute import Attributed
from petitlm.look.zoo.backup import MARGIN, backup, backup_pair
from petitlm.look.zoo.cancellation import DIRECT, REMAINDER, cancellation, cancelling_pair
from petitlm.look.zoo.induction import exact_induction, held_margin, induction, lying_pair
from petitlm.look.zoo.made import Made

# (QK gain, exact effect of moving head 0.0, whether plain attribution sees a tenth of it): the surer, the blinder.
LIES = [(40.0, 10.0, False), (8.0, 9.9, False), (3.0, None, True), (1.0, None, True)]


def of(found: Attributed, part: str) -> float:
    return dict(zip([n for row in found.names for n in row], found.estimates.flat, strict=True))[part]


def ask(model: Made, pair, **how) -> Attributed:
    found = look.attribute(model, pair.clean, pair.corrupt, pair.answer, pair.versus, **how)
    assert isinstance(found, Attributed)
    return found


@pytest.mark.parametrize(("gain", "exact", "seen"), LIES)
def test_where_plain_attribution_lies_the_others_do_not(gain: float, exact: float | None, seen: bool) -> None:
    model, pair = induction(gain).load(), lying_pair()
    patched = look.patch(model, pair.clean, pair.corrupt, pair.answer, pair.versus)
    true = float(patched.effects[0, 0])
    assert exact is None or true == pytest.approx(exact, abs=0.1)
    atp, recomputed, integrated = (ask(model, pair, method=method) for method in ("atp", "atp*", "ig"))
    assert (abs(of(atp, "z:0.0")) > 0.1 * abs(true)) == seen
    assert of(recomputed, "z:0.0") == pytest.approx(true, rel=1e-4)
    assert of(integrated, "z:0.0") == pytest.approx(true, rel=0.02)
    assert integrated.checks[0].ok
    assert recomputed.checks[0].ok


def test_an_estimate_that_is_blind_says_so_and_the_head_is_found_all_the_same() -> None:
    model, pair = induction().load(), lying_pair()
    found = ask(model, pair, method="atp")
    assert abs(of(found, "z:0.0")) < 1e-12
    assert not found.checks[0].ok
    assert found.checks[0].value == pytest.approx(-0.5, abs=1e-3)  # 10 unseen of a whole difference of 20
    assert "does not see all that z:0 does" in found.table()
    assert {c.part: c.exact for c in found.confirmed}["z:0.0"] == pytest.approx(10.0, abs=1e-4)
    assert [part for part, _ in ask(model, pair).largest(2)] == ["z:1.0", "z:0.0"]  # as it is by default


def test_too_few_steps_are_never_taken_for_enough() -> None:
    """Five steps give 40 where the truth is 10: the sum is held against the exact effect until they agree."""
    found = ask(induction().load(), lying_pair(), method="ig")
    steps = {s.tap: s.steps for s in found.sums}
    assert steps["z:0"] is not None
    assert steps["z:0"] >= 45


@pytest.mark.parametrize("bits", [4, 8])
def test_the_same_on_packed_weights(bits: int) -> None:
    model, pair = exact_induction().load(bits), lying_pair()
    found = ask(model, pair)
    assert [part for part, _ in found.largest(2)] == ["z:1.0", "z:0.0"]
    exact = {c.part: c.exact for c in found.confirmed}["z:0.0"]
    assert exact == pytest.approx(held_margin(), rel=0.01)  # activations are rounded to 8 bits
    assert of(found, "z:0.0") == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_cancelling_paths_are_seen_edge_by_edge(layers: str) -> None:
    model, pair = cancellation().load(layers=layers), cancelling_pair()
    edges = look.attribute(model, pair.clean, pair.corrupt, pair.answer, pair.versus, over="edges")
    score = dict(zip(edges.edges, edges.scores, strict=True))
    exact = look.attribute(model, pair.clean, pair.corrupt, pair.answer, pair.versus, over="edges", method="exact")
    true = dict(zip(exact.edges, exact.scores, strict=True))
    for found in (score, true):
        assert found["z:0.0", "logits"] == pytest.approx(DIRECT, rel=1e-3)
        assert found["z:0.0", "mlp_out:0"] == pytest.approx(-DIRECT + REMAINDER, rel=1e-3)
        assert found["mlp_out:0", "logits"] == pytest.approx(-DIRECT + REMAINDER, rel=1e-3)


def test_graddrop_flags_a_head_whose_node_score_is_nothing() -> None:
    model, pair = cancellation().load(), cancelling_pair()
    found = ask(model, pair, method="atp*", graddrop=True)
    assert found.graddrop is not None
    # The MLP's unit is off in the corrupt text: its gradient is 0 there, so the estimate is taken in the clean one.
    back = ask(model, pair, method="atp*", graddrop=True, into="clean")
    assert abs(of(back, "z:0.0")) == pytest.approx(REMAINDER, rel=1e-2)
    assert back.graddrop is not None
    assert back.graddrop[0, 0] == pytest.approx(DIRECT, rel=1e-3)
    assert back.confirmed[0].part == "z:0.0"
    assert back.confirmed[0].exact == pytest.approx(-REMAINDER, rel=1e-2)


@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_a_backup_shows_as_direct_against_whole_effect(layers: str) -> None:
    model, pair = backup().load(layers=layers), backup_pair()
    ask_ = dict(clean=pair.clean, corrupt=None, answer=pair.answer, versus=pair.versus, ablation="zero")
    found = look.patch(model, **ask_, direct=True)
    assert found.direct is not None
    assert found.effects[0, 0] == pytest.approx(0.0, abs=1e-4)  # head A gone: B does it
    assert found.direct[0, 0] == pytest.approx(-MARGIN, rel=1e-4)  # and yet A says the answer
    assert found.effects[1, 0] == pytest.approx(0.0, abs=1e-4)
    both = look.patch(model, **ask_, given=["z:0.0"])
    assert both.effects[1, 0] == pytest.approx(-MARGIN, rel=1e-4)  # without A, all depends on B
