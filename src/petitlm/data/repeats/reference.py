"""The kernels of repeats (kernels/text/minhash.cpp) in plain Python: slow, to read, and to compare with bit for bit.

All arithmetic is on unsigned 64-bit integers, modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from petitlm.data.repeats.words import ALONE, DROPPED, PAGE, SAME, SEPARATOR, Fold, fold

_MASK = (1 << 64) - 1
_FNV_BASIS, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, over code points
_NEXT_WORD = 0x9E3779B97F4A7C15  # 2^64 / golden ratio


def mix(x: int) -> int:
    """Spread every bit over all others. Source: Steele, Lea and Flood 2014, SplitMix64."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def words(text: str, fold_numbers: bool, table: Fold | None = None) -> list[str]:
    """The words of a text, as `petitlm.data.repeats.words` defines them."""
    table = table or fold()
    found: list[str] = []
    word = ""
    in_number = False
    for letter in text:
        point = ord(letter)
        code = int(table.codes[int(table.pages[point // PAGE]) * PAGE + point % PAGE])
        if code == DROPPED:
            continue
        if code in (SEPARATOR, ALONE):
            found += [word] if word else []
            word, in_number = "", False
        if code == ALONE:
            found.append(letter)
        if code in (SEPARATOR, ALONE):
            continue
        letter = letter if code == SAME else chr(code)
        digit = letter in "0123456789"
        if digit and fold_numbers:
            letter = "" if in_number else "0"
        in_number = digit
        word += letter
    return found + ([word] if word else [])


def word_key(word: str) -> int:
    """Hash of one word."""
    hash = _FNV_BASIS
    for letter in word:
        hash = ((hash ^ ord(letter)) * _FNV_PRIME) & _MASK
    return mix(hash)


def run_key(keys: Sequence[int]) -> int:
    """Hash of the words with these keys, in a row."""
    run = 0
    for key in keys:
        run = (run * _NEXT_WORD + key) & _MASK
    return mix((run + len(keys)) & _MASK)


def run_keys(text: str, length: int, fold_numbers: bool = False) -> tuple[int, list[int]]:
    """Number of words of a text, and the keys of its runs of `length` words; of all words, where there are fewer."""
    keys = [word_key(word) for word in words(text, fold_numbers)]
    width = min(length, len(keys))
    return len(keys), [run_key(keys[i : i + width]) for i in range(len(keys) - width + 1)] if keys else []


def signature(
    text: str, size: int, fold_numbers: bool, factors: NDArray[np.uint64], terms: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """For each hash function, its least value over the shingles; the largest number for a text without words."""
    found = np.array(run_keys(text, size, fold_numbers)[1], np.uint64)
    if not len(found):
        return np.full(len(factors), _MASK, np.uint64)
    return (factors[:, None] * found + terms[:, None]).min(1)


def known_runs(
    texts: Sequence[str], keys: NDArray[np.uint64], lengths: NDArray[np.uint8]
) -> list[tuple[int, int, int]]:
    """(text, word, index in `keys`) of every run of words whose key is known."""
    place = {int(key): i for i, key in enumerate(keys)}
    found: list[tuple[int, int, int]] = []
    for i, text in enumerate(texts):
        mine = [word_key(word) for word in words(text, fold_numbers=False)]
        for at in range(len(mine)):
            for n in range(1, min(len(lengths), len(mine) - at + 1)):
                key = run_key(mine[at : at + n]) if lengths[n] else None
                if key in place:
                    found.append((i, at, place[key]))
    return found


def lead(
    buckets: NDArray[np.int32], sketches: NDArray[np.uint8], likeness: int, most_kept: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The leader of each member and the bytes that they have in common; see `petitlm.data.repeats.clusters`."""
    n, n_hashes = sketches.shape
    leaders, equal = np.arange(n), np.full(n, n_hashes, np.int32)
    kept: dict[int, list[int]] = {}
    for i in range(n):
        mine = [int(bucket) for bucket in buckets[i] if bucket >= 0]
        others = sorted({other for bucket in mine for other in kept.get(bucket, [])})
        same = [int((sketches[i] == sketches[other]).sum()) for other in others]
        if same and max(same) >= likeness:
            leaders[i], equal[i] = others[same.index(max(same))], max(same)
            continue
        for bucket in mine:
            members = kept.setdefault(bucket, [])
            if len(members) < most_kept:
                members.append(i)
    return leaders, equal
