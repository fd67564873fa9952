"""Records by the number: draw, verify, split by problem, remove repeats, and account for every draft.

A draft becomes a record or a `Rejected` with its reason; nothing is lost in between. The split of a problem is a
function of the problem alone (`split_of_key`), so no seed can move a problem from a held-out split into training.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from petitlm.data.dice import Dice
from petitlm.data.generators import GENERATORS, Generator, generator
from petitlm.data.generators.number_words import LANGUAGES
from petitlm.data.record import (
    HELDOUT_STRUCTURES,
    RESERVED_PERCENT,
    SPLITS,
    TRAIN,
    Origin,
    Problem,
    Record,
    Rejected,
    Turn,
    record_id,
    split_of_key,
)
from petitlm.data.rendering import pieces
from petitlm.errors import UsageError

LICENCE = "MIT"

REASONS = {
    "wrong-answer": "the second route reads another answer from the text, or cannot read it",
    "other-split": "the problem belongs to another split",
    "repeated": "the same text was already kept",
}

# A family, language and split whose drafts fail this many times in a row has no new records left to give.
_PATIENCE = 3_000


@dataclass(frozen=True, slots=True)
class Mixture:
    """How many records of which kind."""

    n_train: int
    n_heldout: int
    """In each of the two held-out splits."""
    seed: int = 0
    families: Mapping[str, float] = field(
        default_factory=lambda: {"arithmetic": 0.34, "passages": 0.31, "commands": 0.31, "small-talk": 0.04}
    )
    """Share of each family."""
    languages: tuple[str, ...] = LANGUAGES
    """Taken in equal shares."""
    chat_share: float = 0.2
    """Share rendered as a conversation of one to three turns; the rest is `qa`."""

    def __post_init__(self) -> None:
        for name in self.families:
            generator(name)
        if min(self.n_train, self.n_heldout, *self.families.values()) < 0 or sum(self.families.values()) <= 0:
            raise UsageError(
                f"a mixture of n_train={self.n_train}, n_heldout={self.n_heldout}, families={dict(self.families)} "
                "has a negative number or no family; give counts of 0 or more and at least one share above 0"
            )
        if unknown := set(self.languages) - set(LANGUAGES) or not self.languages:
            raise UsageError(f"languages {unknown} are not generated; choose among {', '.join(LANGUAGES)}")
        if not 0 <= self.chat_share <= 1:
            raise UsageError(f"chat_share={self.chat_share} is not a share; give a number from 0 to 1")


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a mixture gave."""

    mixture: Mixture
    records: list[Record]
    """Split by split, in a fixed random order within each."""
    rejected: list[Rejected]
    short: dict[str, int]
    """Records asked for but not made because a cell ran out of new problems, by `family/language/split`."""

    def split(self, name: str) -> list[Record]:
        """The records of one split."""
        return [record for record in self.records if record.split == name]

    def manifest(self) -> dict[str, Any]:
        """Everything that says what these records are and how to make them again; plain values for JSON."""
        digest = hashlib.sha256()
        for record in self.records:
            digest.update("".join(p.text for p in pieces(record.turns, record.shape)).encode() + b"\0")
        cells = Counter(f"{r.family}/{r.language}/{r.level}/{r.split}" for r in self.records)
        return {
            "seed": self.mixture.seed,
            "generators": {name: GENERATORS[name].version for name in self.mixture.families},
            "families": dict(self.mixture.families),
            "languages": list(self.mixture.languages),
            "chat_share": self.mixture.chat_share,
            "reserved_percent": RESERVED_PERCENT,
            "licence": LICENCE,
            "n_drafts": len(self.records) + len(self.rejected),
            "n_records": len(self.records),
            "splits": {name: sum(r.split == name for r in self.records) for name in SPLITS},
            "cells": dict(sorted(cells.items())),
            "rejected": dict(sorted(Counter(r.reason for r in self.rejected).items())),
            "short": dict(self.short),
            "text_sha256": digest.hexdigest(),
        }


def make_records(mixture: Mixture) -> Dataset:
    """Make the records of `mixture`.

    The same mixture gives the same records. Every answer has passed the second route of its generator, no text occurs
    twice, and no problem of one split is in another.
    """
    records: list[Record] = []
    rejected: list[Rejected] = []
    short: dict[str, int] = {}
    total = sum(mixture.families.values())
    seen: set[bytes] = set()
    for split in SPLITS:
        wanted = mixture.n_train if split == TRAIN else mixture.n_heldout
        kept: list[Record] = []
        for name, share in mixture.families.items():
            for language in mixture.languages:
                n_wanted = round(wanted * share / total / len(mixture.languages))
                made = _fill(mixture, name, language, split, n_wanted, seen, rejected)
                kept += made
                if len(made) < n_wanted:
                    short[f"{name}/{language}/{split}"] = n_wanted - len(made)
        Random(f"{mixture.seed}/{split}").shuffle(kept)
        records += kept
    return Dataset(mixture, records, rejected, short)


def _fill(
    mixture: Mixture, name: str, language: str, split: str, n_wanted: int, seen: set[bytes], rejected: list[Rejected]
) -> list[Record]:
    made: list[Record] = []
    failures = 0
    for origin in _origins(name, language, split, mixture.seed):
        if len(made) == n_wanted or failures >= _PATIENCE:
            return made
        drafted = remake(origin, mixture.chat_share)
        if isinstance(drafted, Record):
            text = "".join(piece.text for piece in pieces(drafted.turns, drafted.shape))
            mark = hashlib.blake2b(text.encode(), digest_size=12).digest()
            if mark not in seen:
                seen.add(mark)
                made.append(drafted)
                failures = 0
                continue
            drafted = Rejected(origin, "repeated", text[:80])
        rejected.append(drafted)
        failures += 1
    raise AssertionError("origins never end")


def _origins(name: str, language: str, split: str, seed: int) -> Iterator[Origin]:
    version = generator(name).version
    index = 0
    while True:
        yield Origin(name, version, language, seed, split, index)
        index += 1


def remake(origin: Origin, chat_share: float = 0.2, level: int | None = None) -> Record | Rejected:
    """Repeat one generator call: the same record, or the same reason for having none.

    With `level`, every turn of the family is of that level; without, levels are drawn by the family's weights.

    Raises: UsageError if the generator has changed its version since.
    """
    made_by = generator(origin.generator)
    if origin.version != made_by.version:
        raise UsageError(f"{origin.generator} is now version {made_by.version}, the record is of {origin.version}")
    place = f"{origin.seed}/{origin.generator}/{origin.language}/{origin.split}/{origin.index}"
    rng = Dice(int.from_bytes(hashlib.blake2b(place.encode(), digest_size=8).digest(), "little"))
    shape = made_by.shape or ("chat" if rng.random() < chat_share else "qa")
    if shape == "chat":
        problems = _conversation(rng, made_by, origin, level)
    else:
        problems = [_draw(rng, made_by, origin, origin.split, level)]
    for problem in problems:
        # Only the last turn is graded; those that open a conversation are of the kind that training holds.
        if rejection := _rejection(problem, origin, origin.split if problem is problems[-1] else TRAIN):
            return rejection
    return _record(problems, shape, origin)


def _conversation(rng: Random, made_by: Generator, origin: Origin, level: int | None) -> list[Problem]:
    """One to three turns: problems of one family, about one context or several, perhaps after some small talk."""
    n_turns = rng.choice((1, 2, 2, 3))
    opening: list[Problem] = []
    if n_turns > 1 and rng.random() < 0.4:
        opening = [_draw(rng, GENERATORS["small-talk"], origin, TRAIN, None)]
        n_turns -= 1
    if n_turns > 1 and made_by.draw_conversation and rng.random() < 0.7:
        held_out = origin.split == HELDOUT_STRUCTURES
        drawn = _level(rng, made_by) if level is None else level
        return opening + made_by.draw_conversation(rng, origin.language, drawn, held_out, n_turns)
    before = [_draw(rng, made_by, origin, TRAIN, level) for _ in range(n_turns - 1)]
    return [*opening, *before, _draw(rng, made_by, origin, origin.split, level)]


def _draw(rng: Random, maker: Generator, origin: Origin, split: str, level: int | None) -> Problem:
    drawn = _level(rng, maker) if level is None else level
    return maker.draw(rng, origin.language, drawn, split == HELDOUT_STRUCTURES)


def _level(rng: Random, maker: Generator) -> int:
    return rng.choices(range(len(maker.level_weights)), maker.level_weights)[0]


def _rejection(problem: Problem, origin: Origin, split: str) -> Rejected | None:
    maker = generator(problem.family)
    is_held_out = maker.is_held_out(problem.structure)
    belongs = split_of_key(problem.key) if problem.key else HELDOUT_STRUCTURES if is_held_out else TRAIN
    if belongs != split or is_held_out != (split == HELDOUT_STRUCTURES):
        return Rejected(origin, "other-split", belongs)
    if reason := maker.check(problem):
        return Rejected(origin, "wrong-answer", reason)
    return None


def _record(problems: list[Problem], shape: str, origin: Origin) -> Record:
    last = problems[-1]
    turns: list[Turn] = []
    context = ""
    for problem in problems:
        is_new = problem.context != context
        turns.append(Turn(f"{problem.context} {problem.question}" if is_new else problem.question, problem.answer))
        context = problem.context
    text = "\0".join(part for turn in turns for part in (turn.question, turn.answer))
    return Record(
        id=record_id(f"{shape}\0{text}", origin),
        family=last.family,
        language=last.language,
        level=last.level,
        structure=last.structure,
        problem_key=last.key,
        split=origin.split,
        shape=shape,
        turns=tuple(turns),
        origin=origin,
        licence=LICENCE,
        foil=last.foil,
    )
