"""Balance: the grid's measures against closed forms, the loop's requests, and the weights of a mixture."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.balance.grid import Cell, deficits, evenness
from petitlm.data.balance.loop import Loop, families, targets
from petitlm.data.balance.shown import grid_lines, grid_page, grid_plain
from petitlm.data.corpus.ending import weights_of
from petitlm.data.corpus.recipe import BalancePlan

CELLS = [Cell("arithmetic", language, level) for language in ("en", "fr") for level in range(3)]


def test_an_even_grid_and_an_uneven_one() -> None:
    wanted = dict.fromkeys(CELLS, 10)
    even = evenness(dict.fromkeys(CELLS, 10), wanted)
    assert (even.pielou, even.gini, even.deficit, even.at_target, even.smallest) == pytest.approx((1, 0, 0, 1, 1))
    assert even.effective_cells == pytest.approx(6)
    # Everything in one cell: entropy 0, Gini (n - 1) / n.
    one = evenness({CELLS[0]: 60}, wanted)
    assert (one.pielou, one.gini, one.effective_cells) == pytest.approx((0, 5 / 6, 1))
    assert (one.deficit, one.at_target, one.smallest) == pytest.approx((50 / 60, 1 / 6, 0))
    # Two cells of 1 and 3: entropy by hand.
    two = evenness({CELLS[0]: 1, CELLS[1]: 3}, dict.fromkeys(CELLS[:2], 4))
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert (two.pielou, two.gini) == pytest.approx((entropy / math.log(2), 0.25))


@given(st.lists(st.integers(0, 50), min_size=6, max_size=6), st.lists(st.integers(0, 50), min_size=6, max_size=6))
def test_what_lacks_and_what_is_there_make_the_target(have: list[int], want: list[int]) -> None:
    counts, wanted = dict(zip(CELLS, have, strict=True)), dict(zip(CELLS, want, strict=True))
    lacking = deficits(counts, wanted)
    for cell in CELLS:
        assert max(counts[cell], wanted[cell]) == counts[cell] + lacking.get(cell, 0)
    measured = evenness(counts, wanted)
    assert 0 <= measured.deficit <= 1
    assert -1e-9 <= measured.gini < 1


def test_the_loop_asks_for_what_lacks_alone() -> None:
    plan = BalancePlan(documents=100, categories=("arithmetic",), levels=(0, 1), max_rounds=5)
    wanted = targets(plan)
    assert set(wanted) == {(Cell("arithmetic", language, level), "train")
                           for language in ("en", "fr") for level in (0, 1)}
    full = (Cell("arithmetic", "en", 0), "train")
    loop = Loop(plan, wanted)
    calls = loop.next_calls({full: 100})
    assert calls
    assert all((call.language, call.level) != ("en", 0) for call in calls)
    have = dict.fromkeys(wanted, 100)
    assert loop.next_calls(have) == []
    assert loop.stopped == "filled"
    assert loop.unfilled(have) == {}


def test_no_draft_is_asked_for_twice() -> None:
    plan = BalancePlan(documents=50_000, categories=("robot",), levels=(2,), languages=("en",), max_rounds=2)
    loop, seen, have = Loop(plan, targets(plan)), set(), {}
    while calls := loop.next_calls(have):
        for call in calls:
            drafts = {(call.family, index) for index in range(call.start, call.start + call.count)}
            assert not drafts & seen
            seen |= drafts
        new = sum(call.count for call in calls) // (10 * loop.n_rounds**2)  # ever harder
        have = {place: have.get(place, 0) + new for place in loop.wanted}
    assert loop.stopped == "rounds"
    assert {family for family, _ in seen} == set(families("robot", 2))
    assert [reason.split(": ")[1] for reason in loop.unfilled(have).values()] == ["the rounds were over"]


def test_a_cell_that_gives_nothing_new_is_named_and_left() -> None:
    plan = BalancePlan(documents=1000, categories=("arithmetic",), levels=(0,), languages=("fr",), max_rounds=9)
    loop = Loop(plan, targets(plan))
    place = next(iter(loop.wanted))
    assert loop.next_calls({place: 40})
    assert loop.next_calls({place: 41}) == []
    assert loop.stopped == "exhausted"
    assert "exhausted" in loop.unfilled({place: 41})[place]


def test_few_drafts_without_luck_are_not_exhaustion() -> None:
    plan = BalancePlan(documents=2, categories=("arithmetic",), levels=(0,), languages=("fr",), max_rounds=9)
    loop = Loop(plan, targets(plan))
    assert 0 < sum(call.count for call in loop.next_calls({})) < 3 / plan.floor
    assert loop.next_calls({}), "a handful of drafts says nothing"


def test_the_budget_ends_the_loop_before_it_is_passed() -> None:
    plan = BalancePlan(documents=1000, categories=("arithmetic",), max_drafts=100)
    loop = Loop(plan, targets(plan))
    assert loop.next_calls({}) == []
    assert (loop.stopped, loop.n_drafts) == ("budget", 0)


def test_the_most_exact_target_counts() -> None:
    plan = BalancePlan(documents=5, targets={"arithmetic": 7, "arithmetic/fr": 8, "arithmetic/fr/2": 9})
    assert [plan.target("arithmetic", *rest) for rest in (("en", 0), ("fr", 0), ("fr", 2))] == [7, 8, 9]
    assert plan.target("robot", "en", 0) == 5


def test_the_grid_is_shown_with_its_gaps() -> None:
    have = {CELLS[0]: 1200, CELLS[1]: 3}
    lines = grid_lines(have, dict.fromkeys(CELLS, 10))
    assert len(lines) == 3
    assert "1,200 █" in lines[1]
    assert "·" in lines[2]
    plain = grid_plain(have, dict.fromkeys(CELLS, 10))
    assert plain["deficit"] == 47
    assert "<script" not in grid_page("a <b>", have, {})


def test_weights_give_the_wanted_shares() -> None:
    tokens = {"a": 800, "b": 200, "c": 50}
    assert weights_of(tokens, {}, 4) == {"a": 1, "b": 1, "c": 1}
    weights = weights_of(tokens, {"a": 0.5, "b": 0.5}, 4)
    assert weights["c"] == 0
    assert weights["a"] * 800 == pytest.approx(weights["b"] * 200) == pytest.approx(500)
    # A group that is too small is shown as often as may be; the others fill the pass.
    scarce = weights_of({"a": 1000, "b": 10}, {"a": 0.5, "b": 0.5}, 4)
    assert scarce["b"] == 4
    assert scarce["a"] * 1000 + 40 == pytest.approx(1010)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 10_000), min_size=1),
       st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 1), min_size=1), st.floats(1, 8))
def test_no_group_is_shown_more_often_than_it_may(tokens: dict, shares: dict, most: float) -> None:
    weights = weights_of(tokens, shares, most)
    assert all(0 <= weight <= most * (1 + 1e-6) for weight in weights.values())
    shown = sum(weights[g] * n for g, n in tokens.items())
    assert shown <= sum(n for g, n in tokens.items() if g in shares) * (1 + 1e-5) + 1e-6
