"""The slow, readable twins of kernels/text/suffix.cpp; they do its work where it was not compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[Any]


def suffix_array(tokens: Ids, places: NDArray[Any], n_ids: int) -> None:
    """Fill `places` (n + 1,) with the number of tokens, and then all places in the order of what follows them.

    Prefix doubling: the order by 2k tokens follows from that by k (Manber and Myers 1993, section 2).
    """
    n = len(tokens)
    rank = np.append(tokens.astype(np.int64) + 1, 0)  # the end is smaller than every id
    assert n == 0 or rank.max() <= n_ids
    k = 1
    while True:
        behind = np.append(rank[k:], np.zeros(min(k, n + 1), np.int64))
        order = np.lexsort((behind, rank))
        steps = (np.diff(rank[order]) != 0) | (np.diff(behind[order]) != 0)
        rank[order] = np.append(0, np.cumsum(steps))
        if rank.max() == n:
            places[:] = order
            return
        k *= 2


def suffix_range(tokens: Ids, places: NDArray[Any], query: NDArray[np.int64]) -> tuple[int, int]:
    """First of `places` (n,) whose suffix begins with `query`, and one behind the last."""
    return _bound(tokens, places, query.tolist(), False), _bound(tokens, places, query.tolist(), True)


def suffix_longest(tokens: Ids, places: NDArray[Any], query: NDArray[np.int64], longest: NDArray[np.int64]) -> None:
    """Fill `longest` (m,): the most ids of query[i:] that lie together anywhere in the tokens."""
    for i in range(len(query)):
        asked = query[i:].tolist()
        at = _bound(tokens, places, asked, False)
        beside = [int(places[j]) for j in (at - 1, at) if 0 <= j < len(places)]
        longest[i] = max((_shared(tokens[p : p + len(asked)].tolist(), asked) for p in beside), default=0)


def _bound(tokens: Ids, places: NDArray[Any], query: list[int], past: bool) -> int:
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        found = tokens[places[middle] : places[middle] + len(query)].tolist()
        if found < query or (past and found == query):
            low = middle + 1
        else:
            high = middle
    return low


def _shared(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
