"""The kernels of kernels/text/linear.cpp again, slowly: what the tests compare them with, bit for bit."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator

import numpy as np

_MIX, _CHARACTERS, _WORD = 0x9E3779B97F4A7C15, 0xCBF29CE484222325, 0x84222325CBF29CE4
_MASK = (1 << 64) - 1
_SPACE, _SIGN, _LETTER = 32, 1 << 24, 2 << 24

codecs.register_error("petit-each-byte", lambda error: ("\ufffd" * (error.end - error.start), error.end))  # pyright: ignore


def decode(data: np.ndarray, start: int, end: int) -> str:
    """UTF-8; every byte that is not gives U+FFFD."""
    return bytes(data[start:end]).decode("utf-8", "petit-each-byte")


def _symbol(code: int, table: np.ndarray) -> int:
    if code < 0x10000:
        return int(table[code])
    return code | (_SIGN if 0x1F000 <= code < 0x20000 else _LETTER)


def symbols(text: str, table: np.ndarray) -> list[int]:
    """The run of symbols of a text: one space at either end, never two in a row."""
    made = [_SPACE]
    for char in text:
        symbol = _symbol(ord(char), table)
        if symbol != _SPACE or made[-1] != _SPACE:
            made.append(symbol)
    return made if made[-1] == _SPACE else [*made, _SPACE]


def _step(h: int, symbol: int) -> int:
    return (h ^ symbol) * _MIX & _MASK


def _row(h: int, bits: int) -> int:
    return ((h ^ h >> 29) * _MIX & _MASK) >> (64 - bits)


def hash_characters(gram: list[int], bits: int) -> int:
    """The row of an n-gram of symbols."""
    h = _CHARACTERS
    for symbol in gram:
        h = _step(h, symbol)
    return _row(h, bits)


def features(run: list[int], chars_from: int, chars_to: int, words: int, bits: int) -> Iterator[int]:
    """The rows of all features of a run of symbols."""
    for i in range(len(run)):
        for n in range(max(1, chars_from), min(chars_to, len(run) - i) + 1):
            yield hash_characters(run[i : i + n], bits)
    seen: list[int] = []
    for word in _words(run) if words else ():
        h = _WORD
        for symbol in word:
            h = _step(h, symbol)
        seen.append(h)
        for n in range(1, min(words, len(seen)) + 1):
            joined = seen[-n]
            for later in seen[len(seen) - n + 1 :]:
                joined = _step(joined, later)
            yield _row(joined, bits)


def _words(run: list[int]) -> Iterator[list[int]]:
    word: list[int] = []
    for symbol in [*run, _SPACE]:
        if symbol >= _LETTER:
            word.append(symbol)
        elif word:
            yield word
            word = []


def linear_sums(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, table: np.ndarray, chars_from: int,
                chars_to: int, words: int, bits: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sums = np.zeros((len(starts), weights.shape[1]), np.int64)
    counts = np.zeros(len(starts), np.int64)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        run = symbols(decode(data, start, end), table)
        rows = list(features(run, chars_from, chars_to, words, bits))
        counts[i] = len(rows)
        sums[i] = weights[rows].astype(np.int64).sum(axis=0)
    return sums, counts


def linear_counts(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, table: np.ndarray, chars_from: int,
                  chars_to: int, words: int, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    begins, rows, counts = [0], [], []
    for start, end in zip(starts, ends, strict=True):
        run = symbols(decode(data, start, end), table)
        for row, n in sorted(Counter(features(run, chars_from, chars_to, words, bits)).items()):
            rows.append(row)
            counts.append(n)
        begins.append(len(rows))
    return np.array(begins, np.int64), np.array(rows, np.int32), np.array(counts, np.int32)


def sparse_product(begins: np.ndarray, columns: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    out = np.zeros((len(begins) - 1, weights.shape[1]))
    for i in range(len(out)):
        for j in range(begins[i], begins[i + 1]):
            out[i] += np.float64(values[j]) * weights[columns[j]]
    return out


def sparse_gradient(begins: np.ndarray, columns: np.ndarray, values: np.ndarray, errors: np.ndarray,
                    width: int) -> np.ndarray:
    out = np.zeros((width, errors.shape[1]))
    for i in range(len(errors)):
        for j in range(begins[i], begins[i + 1]):
            out[columns[j]] += np.float64(values[j]) * errors[i]
    return out


def cut_texts(data: np.ndarray, offsets: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made: list[tuple[int, int, int]] = []
    for owner, (at, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        while True:
            stop = min(end, at + size)
            if stop < end:
                half = at + size // 2
                space = next((i for i in range(stop, half, -1) if data[i - 1] <= 32), None)
                if space is not None:
                    stop = space
                else:
                    while stop > at + size - 4 and data[stop] & 0xC0 == 0x80:
                        stop -= 1
            made.append((at, stop, owner))
            at = stop
            if at >= end:
                break
    starts, ends, owners = np.array(made, np.int64).reshape(-1, 3).T.copy()
    return starts, ends, owners


def reading_counts(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.array([_reading(decode(data, start, end), table) for start, end in zip(starts, ends, strict=True)],
                    np.int64).reshape(-1, 5)


def _reading(text: str, table: np.ndarray) -> tuple[int, int, int, int, int]:
    kinds = [_symbol(ord(char), table) >> 24 for char in text] + [0]
    words: list[tuple[int, int]] = []
    begin = None
    for i, kind in enumerate(kinds):
        if kind == 2 and begin is None:
            begin = i
        elif kind != 2 and begin is not None:
            words.append((begin, i))
            begin = None
    breaks = {i for i, char in enumerate(text) if char in ".!?\u2026" and kinds[i + 1] < 2} | {
        i for i, char in enumerate(text)
        if char == "\n" and "\n" in text[:i] and not any(kinds[text.rindex("\n", 0, i) : i])}
    sentences, last = 0, 0
    for place in [*sorted(breaks), len(text)]:
        sentences += any(last <= end <= place for _, end in words)
        last = place + 1
    longs = sum(end - begin > 6 for begin, end in words)
    return kinds.count(2), len(words), longs, sentences, len(kinds) - kinds.count(0)


def script_counts(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, table: np.ndarray,
                  firsts: np.ndarray) -> np.ndarray:
    out = np.zeros((len(starts), len(firsts)), np.int64)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for char in decode(data, start, end):
            if _symbol(ord(char), table) >> 24 == 2:
                out[i, np.searchsorted(firsts, ord(char), "right") - 1] += 1
    return out
