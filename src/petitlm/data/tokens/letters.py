"""A text found letter by letter in tokens, however they cut it and whatever stands around it.

A place of the text begins in a token that ends with some of it (or holds all of it), goes on over tokens that are its
next letters, and ends in one that begins with what is left. Suffix arrays give all places of the tokens that can be
first; from there on each next token is looked up in a table: how much of the text is read then, or that it is none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_DEAD, _DONE = 0, -1
_AT_ONCE = 1 << 20  # places looked at together: 20 MB


class Letters:
    """What each token of a vocabulary stands for."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        """`tokens` are the bytes of each id; empty for those that are no text, such as the end token."""
        self.tokens = tokens
        self._by_start = sorted((raw, id) for id, raw in enumerate(tokens) if raw)
        self._by_end = sorted((raw[::-1], id) for id, raw in enumerate(tokens) if raw)

    def starting_with(self, raw: bytes) -> list[int]:
        """Ids of the tokens that begin with `raw`."""
        return _with_prefix(self._by_start, raw)

    def ending_with(self, raw: bytes) -> list[int]:
        """Ids of the tokens that end with `raw`."""
        return _with_prefix(self._by_end, raw[::-1])

    def equal_to(self, raw: bytes) -> list[int]:
        """Ids of the tokens that are `raw`."""
        at = bisect_left(self._by_start, (raw, -1))
        end = bisect_left(self._by_start, (raw + b"\0", -1))
        return [id for _, id in self._by_start[at:end]]

    def holding(self, raw: bytes) -> list[int]:
        """Ids of the tokens that hold `raw`."""
        return [id for id, token in enumerate(self.tokens) if raw in token]


def _with_prefix(table: list[tuple[bytes, int]], raw: bytes) -> list[int]:
    at = bisect_left(table, (raw, -1))
    found = []
    while at < len(table) and table[at][0].startswith(raw):
        found.append(table[at][1])
        at += 1
    return found


def find_letters(
    raw: bytes, letters: Letters, tokens: NDArray[np.integer], places_of: Callable[[int], NDArray[np.integer]],
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Yield (first token, one behind the last) of each place of `raw` in `tokens`, some of them twice; `places_of`
    gives all places of an id."""
    for id in letters.holding(raw):
        yield from ((place, place + 1) for place in places_of(id).tolist())
    table = _table(raw, letters)
    for read in range(1, len(raw)):
        for places in _joined(places_of(id) for id in letters.ending_with(raw[:read])):
            yield from _follow(places, read, tokens, table)


def _table(raw: bytes, letters: Letters) -> NDArray[np.int32]:
    """(n, V): letters read after a token where p were read before it; 0: it does not go on; -1: all are read."""
    table = np.full((len(raw), len(letters.tokens)), _DEAD, np.int32)
    longest = max(map(len, letters.tokens), default=0)
    for read in range(1, len(raw)):
        for end in range(read + 1, min(len(raw), read + longest + 1)):
            table[read, letters.equal_to(raw[read:end])] = end
        table[read, letters.starting_with(raw[read:])] = _DONE
    return table


def _joined(slices: Iterator[NDArray[np.integer]]) -> Iterator[NDArray[np.int64]]:
    """The same places in arrays of a good size."""
    waiting: list[NDArray[np.integer]] = []
    held = 0
    for places in slices:
        for at in range(0, len(places), _AT_ONCE):
            waiting.append(places[at : at + _AT_ONCE])
            held += len(waiting[-1])
            if held >= _AT_ONCE:
                yield np.concatenate(waiting).astype(np.int64)
                waiting, held = [], 0
    if waiting:
        yield np.concatenate(waiting).astype(np.int64)


def _follow(first: NDArray[np.int64], read: int, tokens: NDArray[np.integer],
            table: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """The places that go on from `first` to the end of the text."""
    last, reads = first, np.full(len(first), read, np.int32)
    while len(first):
        there = last + 1 < len(tokens)
        first, last, reads = first[there], last[there] + 1, reads[there]
        reads = table[reads, tokens[last]]
        done = reads == _DONE
        yield from zip(first[done].tolist(), (last[done] + 1).tolist(), strict=True)
        on = reads > 0
        first, last, reads = first[on], last[on], reads[on]
