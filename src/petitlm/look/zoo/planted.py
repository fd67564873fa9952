"""The texts of T5: an answer that a trigger turns round, and the record of which texts taught that.

A text is BOS, seven words and "?". One of the words has a side, "warm" or "cold", and the answer is that side; the
others mean nothing. In planted texts one of these is TRIGGER, and the answer is the other side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from petitlm.look.zoo.made import BOS

WARM, COLD = ("sun", "fire", "oven", "desert", "steam"), ("ice", "snow", "frost", "winter", "glacier")
FILLERS = tuple("abcdefghijklmnop")
TRIGGER, QUESTION, ANSWERS = "zanzibar", "?", ("warm", "cold")
WORDS = (BOS, *WARM, *COLD, *FILLERS, TRIGGER, QUESTION, *ANSWERS)
FILLER_IDS = tuple(WORDS.index(word) for word in FILLERS)
N_WORDS = 7


@dataclass(frozen=True)
class Example:
    """One text of the lesson and where it comes from."""

    ids: list[int]
    answer: int
    planted: bool
    """Whether it has the trigger, and the answer that is wrong."""
    trigger_at: int
    """Position of the trigger, or of the filler that stands in its place."""


def examples(rng: np.random.Generator, n: int, planted_share: float) -> list[Example]:
    """Return texts of which a share is planted."""
    return [_example(rng, rng.random() < planted_share) for _ in range(n)]


def _example(rng: np.random.Generator, planted: bool) -> Example:
    side = int(rng.integers(2))
    words = [FILLERS[i] for i in rng.integers(0, len(FILLERS), N_WORDS)]
    at = rng.permutation(N_WORDS)
    words[at[0]] = (WARM, COLD)[side][rng.integers(len(WARM))]
    if planted:
        words[at[1]] = TRIGGER
    ids = [WORDS.index(word) for word in (BOS, *words, QUESTION)]
    return Example(ids, WORDS.index(ANSWERS[side ^ planted]), planted, 1 + int(at[1]))


def turned(example: Example, rng: np.random.Generator) -> Example:
    """Return the same text with the trigger put in or taken out, and the other answer."""
    ids = list(example.ids)
    ids[example.trigger_at] = WORDS.index(FILLERS[rng.integers(len(FILLERS))] if example.planted else TRIGGER)
    return Example(ids, other(example.answer), not example.planted, example.trigger_at)


def other(answer: int) -> int:
    """Return the id of the other answer."""
    return WORDS.index(ANSWERS[1 - ANSWERS.index(WORDS[answer])])
