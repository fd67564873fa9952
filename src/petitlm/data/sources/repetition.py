"""How much a text repeats itself: lines, paragraphs and runs of words, measured as Gopher's authors did."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_PARAGRAPH_JOINT = re.compile(r"\n\s*\n")


class Repeats(NamedTuple):
    """Shares of a text that say what it has said before (0 to 1)."""

    lines: float
    """Lines that stood before, of all lines."""
    paragraphs: float
    line_chars: float
    """Characters in such lines."""
    paragraph_chars: float
    top: tuple[float, ...]
    """Characters within the most frequent run of 2, 3 and 4 words."""
    again: tuple[float, ...]
    """Characters within runs of 5 to 10 words that stood before."""
    packing: float
    """Bytes of the text for each byte after packing (zlib, level 1). Prose stays below 4."""


TOP = (2, 3, 4)
AGAIN = (5, 6, 7, 8, 9, 10)


def repeats(text: str, words: Sequence[str]) -> Repeats:
    """Measure `text`, whose words are given.

    Source: Rae et al. 2021, Scaling Language Models (Gopher), appendix A.1.1 and table A1.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs = [part.strip() for part in _PARAGRAPH_JOINT.split(text.strip()) if part.strip()]
    n_chars = max(len(text), 1)
    data = text.encode()
    runs = _Runs(words)
    return Repeats(
        _share(lines),
        _share(paragraphs),
        _chars_again(lines) / n_chars,
        _chars_again(paragraphs) / n_chars,
        tuple(runs.top(n) / n_chars for n in TOP),
        tuple(chars / n_chars for chars in runs.all_again()),
        len(data) / len(zlib.compress(data, 1)) if data else 1.0,
    )


def _share(parts: Sequence[str]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def _chars_again(parts: Sequence[str]) -> int:
    seen: set[str] = set()
    return sum(len(part) for part in parts if part in seen or seen.add(part))


class _Runs:
    """Runs of `n` words of a text, as numbers that are equal where the runs are (but for chance, 1 in 2^64)."""

    def __init__(self, words: Sequence[str]) -> None:
        ids: dict[str, int] = {}
        numbers = np.fromiter((ids.setdefault(word, len(ids)) for word in words), np.uint64, len(words))
        self.words = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        self.words ^= self.words >> np.uint64(29)
        self.until = np.concatenate([[0], np.cumsum([len(word) for word in words], dtype=np.int64)])
        """Characters of the words before each place."""

    def runs(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The number of each run of `n` words, and its characters."""
        size = max(len(self.words) - n + 1, 0)
        numbers = np.zeros(size, np.uint64)
        for i in range(n):
            numbers = (numbers ^ self.words[i : i + size]) * np.uint64(0xD6E8FEB86659FD93)
            numbers ^= numbers >> np.uint64(32)
        return numbers, self.until[n : n + size] - self.until[:size]

    def top(self, n: int) -> int:
        """Characters of the most frequent run of `n` words; of several the longest. 0 where none comes twice."""
        numbers, chars = self.runs(n)
        if not len(numbers):
            return 0
        _, first, counts = np.unique(numbers, return_index=True, return_counts=True)
        most = int(counts.max())
        return int(chars[first[counts == most]].max()) * most if most > 1 else 0

    def again(self, n: int) -> int:
        """Characters of runs of `n` words that stood before, runs not overlapping."""
        numbers, chars = self.runs(n)
        order = np.argsort(numbers, kind="stable")
        same = numbers[order[1:]] == numbers[order[:-1]]
        twice = np.zeros(len(numbers), bool)
        twice[order[1:][same]] = twice[order[:-1][same]] = True
        places = np.flatnonzero(twice)  # a run that stands only once can neither be one nor make one
        seen: set[int] = set()
        total = after = 0
        for at, number, size in zip(places.tolist(), numbers[places].tolist(), chars[places].tolist(), strict=True):
            if at < after:
                continue
            if number in seen:
                total, after = total + size, at + n
            else:
                seen.add(number)
        return total

    def all_again(self) -> tuple[int, ...]:
        """The same for each length; where no run of 5 comes twice, none of 6 to 10 can."""
        found: list[int] = []
        for n in AGAIN:
            found.append(self.again(n) if not found or found[-1] else 0)
        return tuple(found)
