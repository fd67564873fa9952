"""The closed loop: ask generators for what lacks, no more, until cells are full, the budget is spent or they are
exhausted.

Everything here is a pure function of counts, so that a build that was interrupted asks for the same again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from petitlm.data.balance.grid import Cell
from petitlm.data.corpus.generate import Call
from petitlm.data.corpus.recipe import BalancePlan
from petitlm.data.generators import GENERATORS
from petitlm.data.record import HELDOUT_STRUCTURES, HELDOUT_VALUES, TRAIN

CHUNK = 2_000
"""Drafts of one task: a second of work or less."""
_SPARE = 1.1
"""Asked for beyond what the acceptance of a cell promises, so that most cells need one round."""
_FIRST_ACCEPTANCE = {TRAIN: 0.7, HELDOUT_VALUES: 0.09, HELDOUT_STRUCTURES: 0.09}
"""Before anything was drafted: a tenth of all problems belongs to each held-out split."""

Place = tuple[Cell, str]
"""A cell and a split."""


@dataclass
class Tally:
    """What a place has asked for and got, family by family."""

    drafted: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    """Drafts whose outcome is known."""
    kept: int = 0
    n_last: int = 0
    """Drafts of the last round."""
    gained: int = 0
    """New documents that they gave."""


def targets(plan: BalancePlan) -> dict[Place, int]:
    """Documents wanted at each place that a generator can fill."""
    if not plan.documents and not plan.targets:
        return {}
    wanted: dict[Place, int] = {}
    for category in plan.categories or tuple(dict.fromkeys(g.category for g in GENERATORS.values())):
        for language in plan.languages:
            for level in plan.levels:
                if not families(category, level):
                    continue
                cell = Cell(category, language, level)
                wanted[cell, TRAIN] = plan.target(category, language, level)
                wanted[cell, HELDOUT_VALUES] = wanted[cell, HELDOUT_STRUCTURES] = plan.heldout
    return {place: n for place, n in wanted.items() if n}


def families(category: str, level: int) -> list[str]:
    """The generators that can fill a cell."""
    return [g.name for g in GENERATORS.values() if g.category == category and level in g.levels]


@dataclass
class Loop:
    """The state of the loop: what was asked for so far."""

    plan: BalancePlan
    wanted: dict[Place, int]
    tallies: dict[Place, Tally] = field(default_factory=dict)
    n_drafts: int = 0
    n_rounds: int = 0
    stopped: str = ""
    """Why no more is asked for: filled, budget, rounds or exhausted."""

    def next_calls(self, have: Mapping[Place, int]) -> list[Call]:
        """What to draft now, given the documents that each place has; nothing when the loop has stopped."""
        self._note(have)
        lacking = {place: want - have.get(place, 0) for place, want in self.wanted.items()
                   if have.get(place, 0) < want}
        if sum(lacking.values()) <= self.plan.epsilon * sum(self.wanted.values()):
            return self._stop("filled")
        open_places = {place: n for place, n in lacking.items() if not self.is_exhausted(place)}
        if not open_places:
            return self._stop("exhausted")
        if self.n_rounds >= self.plan.max_rounds:
            return self._stop("rounds")
        calls = [call for place, n in open_places.items() for call in self._calls(place, n)]
        if self.plan.max_drafts and self.n_drafts + sum(call.count for call in calls) > self.plan.max_drafts:
            return self._stop("budget")
        self.n_rounds += 1
        for call, place in ((call, _place_of(call)) for call in calls):
            tally = self.tallies.setdefault(place, Tally(kept=have.get(place, 0)))
            tally.drafted[call.family] = tally.drafted.get(call.family, 0) + call.count
            self.n_drafts += call.count
        return calls

    def is_exhausted(self, place: Place) -> bool:
        """Whether the last drafts of a place, enough of them to tell, gave new documents less often than the floor."""
        tally = self.tallies.get(place)
        # Where the share is at the floor, 3 / floor drafts all fail once in twenty times.
        floor = self.plan.floor
        return tally is not None and tally.n_last * floor >= 3 and tally.gained < floor * tally.n_last

    def unfilled(self, have: Mapping[Place, int]) -> dict[Place, str]:
        """The places below their target, each with the reason."""
        reasons = {}
        for place, want in self.wanted.items():
            if have.get(place, 0) < want:
                why = "exhausted: its drafts repeat what is there" if self.is_exhausted(place) else {
                    "budget": "the budget of drafts was spent", "rounds": "the rounds were over",
                    "filled": "within epsilon of the target"}.get(self.stopped, self.stopped)
                reasons[place] = f"{have.get(place, 0)} of {want}: {why}"
        return reasons

    def _note(self, have: Mapping[Place, int]) -> None:
        for place, tally in self.tallies.items():
            asked = sum(tally.drafted.values())
            if asked > tally.asked:
                tally.n_last, tally.gained = asked - tally.asked, have.get(place, 0) - tally.kept
            tally.asked, tally.kept = asked, have.get(place, 0)

    def _stop(self, why: str) -> list[Call]:
        self.stopped = why
        return []

    def _calls(self, place: Place, lacking: int) -> list[Call]:
        (category, language, level), split = place
        tally = self.tallies.get(place)
        able = families(category, level)
        each = math.ceil(lacking * _SPARE / self._share(tally, split) / len(able))
        calls = []
        for family in able:
            start = tally.drafted.get(family, 0) if tally else 0
            calls += [Call(family, language, level, split, self.plan.seed, at, min(CHUNK, start + each - at),
                           self.plan.chat_share) for at in range(start, start + each, CHUNK)]
        return calls

    def _share(self, tally: Tally | None, split: str) -> float:
        """Share of drafts that become new documents: what was seen, and what is usual as if seen ten times."""
        usual = _FIRST_ACCEPTANCE[split]
        if tally is None:
            return usual
        return max((tally.gained + 10 * usual) / (tally.n_last + 10), self.plan.floor / 3)


def in_batches(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Calls in tasks of about CHUNK drafts each: a cell that lacks three documents is not worth a task of its own."""
    batch: list[Call] = []
    for call in calls:
        if batch and sum(one.count for one in batch) + call.count > CHUNK:
            yield batch
            batch = []
        batch.append(call)
    if batch:
        yield batch


def _place_of(call: Call) -> Place:
    return Cell(GENERATORS[call.family].category, call.language, call.level), call.split


def by_cell(have: Mapping[Place, int], split: str = TRAIN) -> dict[Cell, int]:
    """The counts of one split."""
    return {cell: n for (cell, of), n in have.items() if of == split}

