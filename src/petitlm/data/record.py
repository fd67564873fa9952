"""Records: a text that knows its origin, its licence, its split and the problem behind it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

TRAIN = "train"
HELDOUT_VALUES = "heldout-values"
HELDOUT_STRUCTURES = "heldout-structures"
SPLITS = (TRAIN, HELDOUT_VALUES, HELDOUT_STRUCTURES)

# Share of all problems kept out of training, in percent of the problem keys, for each held-out split.
RESERVED_PERCENT = {HELDOUT_VALUES: 10, HELDOUT_STRUCTURES: 10}


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its reference answer, as a generator makes it."""

    family: str
    language: str
    """BCP-47: "en" or "fr"."""
    level: int
    """Difficulty, 0 (easiest) to 5, defined by each family."""
    structure: str
    """Canonical shape without its numbers and names; whole structures are held out."""
    key: str
    """Canonical problem without its wording: the same sum asked in two languages has one key. Empty for a fixed
    phrase, which has no numbers or names to hold out."""
    question: str
    answer: str
    context: str = ""
    """Text that the question is about; a conversation gives it once, before the first question about it."""
    foil: str = ""
    """The wrong half of a minimal pair, equal to `answer` but for what is wrong."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The generator call that makes a record; `petitlm.data.remake` repeats it."""

    generator: str
    version: int
    language: str
    seed: int
    split: str
    index: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Record:
    """A verified text for training or measuring, with everything needed to trace it."""

    id: str
    """16 hexadecimal digits from the text and the origin."""
    family: str
    """Of the last turn, the one that an evaluation grades; so are level, structure and key."""
    language: str
    level: int
    structure: str
    problem_key: str
    """Of the last turn; the turns that open a conversation are problems of the training split."""
    split: str
    shape: str
    """Prompt shape: "qa" or "chat"."""
    turns: tuple[Turn, ...]
    origin: Origin
    licence: str
    """SPDX expression."""
    foil: str = ""
    """The wrong half of a minimal pair."""

    @property
    def answer(self) -> str:
        """The reference answer of the last turn."""
        return self.turns[-1].answer

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return {
            "id": self.id,
            "family": self.family,
            "language": self.language,
            "level": self.level,
            "structure": self.structure,
            "problem_key": self.problem_key,
            "split": self.split,
            "shape": self.shape,
            "turns": [[turn.question, turn.answer] for turn in self.turns],
            "origin": {name: getattr(self.origin, name) for name in Origin.__slots__},
            "licence": self.licence,
        }


@dataclass(frozen=True, slots=True)
class Rejected:
    """A draft that did not become a record, and why."""

    origin: Origin
    reason: str
    """One of `build.REASONS`."""
    detail: str


def split_of_key(key: str) -> str:
    """The only split that may hold the problem `key`, whatever the seed, the language or the wording."""
    percent = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") % 100
    for split, share in RESERVED_PERCENT.items():
        if percent < share:
            return split
        percent -= share
    return TRAIN


def record_id(text: str, origin: Origin) -> str:
    """Identity of a rendered text and the call that made it, so that equal texts from two calls stay apart."""
    o = origin
    name = f"{o.generator}\0{o.version}\0{o.language}\0{o.seed}\0{o.split}\0{o.index}\0{text}"
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
