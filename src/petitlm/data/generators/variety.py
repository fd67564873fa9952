"""How much the texts of a generator differ from one another, and when they repeat too much to be worth keeping.

Shares of distinct n-grams fall as texts are added, so they are taken over blocks of 100 texts and averaged: a sample of
200 and one of 200,000 can be compared. Distinct-n: Li et al. 2016, "A Diversity-Promoting Objective Function", section
5.2. Openings: one phrase opens 59 % of TinyStories (Finke et al. 2025, "SimpleStories").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+|[^\w\s]")
_BLOCK = 100
_OPENING_WORDS = 4
_SIZES = (1, 2, 3, 4)
ENOUGH = 50
"""Fewer texts are not judged."""

# What a generator must keep to. At 200 texts a cell the worst of our own families have 0.68 (small talk, which has few
# things to say), 0.19 (long dialogues, whose clerk asks in one way) and 0.32 (grammar, which asks in a few ways).
LEAST_UNIQUE = 0.5
LEAST_DISTINCT_4 = 0.12
MOST_OPENING = 0.5


@dataclass(frozen=True, slots=True)
class Variety:
    """Measures of a list of texts; all shares are from 0 to 1."""

    n_texts: int
    unique: float
    """Different texts, as a share of all, in blocks of 100."""
    distinct: tuple[float, float, float, float]
    """Different n-grams of words, as a share of all n-grams, for n of 1 to 4, in blocks of 100 texts."""
    opening: float
    """Share of the texts that open with the most frequent four words."""
    opening_text: str
    """Those four words."""
    n_words: int
    vocabulary: int
    """Different words in all texts."""
    unique_keys: float
    """Different problems, as a share of the texts, in blocks of 100; 1 if no keys were given."""


def variety(texts: Sequence[str], keys: Sequence[str] = ()) -> Variety:
    """Measure `texts`; `keys` are their problems, if they have any."""
    words = [_WORD.findall(text.lower()) for text in texts]
    openings = Counter(" ".join(said[:_OPENING_WORDS]) for said in words)
    opening, count = openings.most_common(1)[0] if openings else ("", 0)
    first, second, third, fourth = (_share(words, size) for size in _SIZES)
    return Variety(
        n_texts=len(texts),
        unique=_unique(texts),
        distinct=(first, second, third, fourth),
        opening=count / max(len(texts), 1),
        opening_text=opening,
        n_words=sum(map(len, words)),
        vocabulary=len({word for said in words for word in said}),
        unique_keys=_unique([key for key in keys if key]),
    )


def too_repetitive(found: Variety) -> str | None:
    """Why texts of this variety repeat too much; None if they do not, or if there are too few to tell."""
    if found.n_texts < ENOUGH:
        return None
    if found.unique < LEAST_UNIQUE:
        return f"only {found.unique:.0%} of its texts differ, less than {LEAST_UNIQUE:.0%}"
    if found.distinct[3] < LEAST_DISTINCT_4:
        return f"only {found.distinct[3]:.1%} of its sequences of four words differ, less than {LEAST_DISTINCT_4:.0%}"
    if found.opening > MOST_OPENING:
        return f"{found.opening:.0%} of its texts open with {found.opening_text!r}, more than {MOST_OPENING:.0%}"
    return None


def _unique(items: Sequence[str]) -> float:
    blocks = [items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK)]
    return sum(len(set(block)) / len(block) for block in blocks) / len(blocks) if blocks else 1.0


def _share(words: Sequence[Sequence[str]], size: int) -> float:
    """Different sequences of `size` words among all of them, averaged over blocks."""
    shares = []
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        grams = [tuple(said[i : i + size]) for said in block for i in range(len(said) - size + 1)]
        if grams:
            shares.append(len(set(grams)) / len(grams))
    return sum(shares) / len(shares) if shares else 1.0
