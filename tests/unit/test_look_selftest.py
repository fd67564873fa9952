"""The self-test finds what is known to be there, says when it does not, and what it left out."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest

from petitlm.cli import invoke
from petitlm.errors import UsageError
from petitlm.look.selftest import Selftest, all_trials, selftest
from petitlm.look.zoo import compiled
from petitlm.look.zoo.by_hand import TRIALS
from petitlm.look.zoo.compiled import auroc, edge_scores
from petitlm.look.zoo.found import Found, Trial, equals
from petitlm.look.zoo.programs import make_program

module = import_module("petitlm.look.selftest")  # the package's attribute of this name is the function


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_the_tools_find_what_is_in_models_made_by_hand(trial: Trial) -> None:
    for one in trial.ask():
        assert one.ok, one


@pytest.mark.parametrize("name", ["fraction", "count", "reverse", "sort"])
def test_exact_edges_are_a_programs_own(name: str) -> None:
    for one in compiled.c7(name, "exact"):
        assert one.ok, one


@pytest.mark.slow
@pytest.mark.parametrize("trial", [t for t in all_trials() if t.name.startswith("C7")], ids=lambda trial: trial.name)
def test_edges_of_every_program_by_runs_and_by_gradients(trial: Trial) -> None:
    for one in trial.ask():
        assert one.ok, one


@pytest.mark.slow
@pytest.mark.parametrize("trial", [t for t in all_trials() if t.name.startswith("T")], ids=lambda trial: trial.name)
def test_the_tools_find_what_is_in_trained_models(trial: Trial) -> None:
    asked = list(trial.ask())
    assert asked
    assert not [one for one in asked if not one.ok]


def test_one_gradient_misses_edges_that_exact_runs_find() -> None:
    """The bar is no formality: plain EAP does not see through saturated attention and steps."""
    program = make_program("sort")
    assert auroc(edge_scores(program, "eap", 3), program.compiled.varying) < 0.9


def test_auroc_counts_ties_half() -> None:
    scores = {("a", "x"): 1.0, ("b", "x"): 0.5, ("c", "x"): 0.5, ("d", "x"): 0.0}
    assert auroc(scores, {("a", "x"), ("b", "x")}) == pytest.approx((2 + 1.5) / 4)
    assert auroc(scores, {("d", "x")}) == 0


def test_an_answer_below_its_bar_is_not_ok() -> None:
    assert equals("C", "q", 1.0, 1.01, 0.02).ok
    assert not equals("C", "q", 1.0, 1.03, 0.02).ok
    assert not Found("C", "q", "1", float("nan"), at_least=0.5).ok
    assert not Found("C", "q", "0", np.float32(0.2), at_most=0.1).ok


def _broken() -> tuple[Trial, ...]:
    return (Trial("C9 broken", lambda: iter([equals("C9", "what is there", 1.0, 0.0, 0.1)])),
            Trial("T9 learned", lambda: iter([]), slow=True))


def test_the_command_fails_where_a_bar_is_not_reached(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "all_trials", lambda: iter(_broken()))
    assert invoke(["look", "selftest", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["found"][0]["question"] == "what is there"
    assert said["left_out"] == [["T9 learned", "slow: ask with --slow"]]


def test_what_is_left_out_is_said() -> None:
    result = selftest(only="C2 attribution")
    assert isinstance(result, Selftest)
    assert result.ok
    assert len(result.found) == 2
    assert "2 of 2 answers reach their bar" in result.table()
    assert "<table" in result.html()


def test_without_torch_it_does_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    result = selftest(only="C2")
    assert [name for name, why in result.left_out if "needs torch" in why] == ["C2 and C3 by gradients"]
    assert result.ok
    nothing = selftest(only="T1")
    assert not nothing.found
    assert not nothing.ok, "nothing asked is nothing found"


def test_a_name_that_is_no_model_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="'C42' is no model of the self-test; it has C1, C2"):
        selftest(only="C42")
