"""Texts as runs of symbols and hashed n-grams: what the linear models of this folder see of a text.

The native half is kernels/text/linear.cpp; `reference` is its slow twin, used where the compiled module is missing.
"""

from __future__ import annotations

import sys
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from petitlm.errors import ConfigError

SPACE, SIGN, LETTER, DIGIT = (kind << 24 for kind in range(4))
"""Class of a symbol, in its top byte."""
WINDOW_BYTES = 4096
"""Texts are read in pieces of at most this size, so that memory does not grow with them."""


@cache
def kernels() -> ModuleType:
    """The compiled functions, or their twins with a warning where there is no compiled module."""
    try:
        from petitlm import _text
    except ImportError:
        from petitlm.data.quality import reference

        warnings.warn("petitlm._text is not compiled here: texts are classified by its Python twin, about a thousand "
                      "times slower; reinstall with a C++ compiler", RuntimeWarning, stacklevel=3)
        return reference
    return _text


@cache
def symbol_table() -> np.ndarray:
    """The symbol of each code point below 65,536: letters in lower case, digits as "0", white space as " ".

    A code point that Unicode has not assigned counts as a letter, so that later versions rarely change the table.
    """
    table = np.empty(0x10000, np.uint32)
    for code in range(0x10000):
        char = chr(code)
        kind = unicodedata.category(char)
        if kind in ("Zs", "Zl", "Zp", "Cc", "Cf"):
            table[code] = SPACE | 32
        elif kind == "Nd":
            table[code] = DIGIT | ord("0")
        elif kind[0] == "N":
            table[code] = DIGIT | code
        elif kind[0] in "PS":
            table[code] = SIGN | code
        else:
            lower = char.lower()
            table[code] = LETTER | (ord(lower) if len(lower) == 1 else code)
    table[0xFFFD] = SIGN | 0xFFFD
    table.setflags(write=False)
    return table


@dataclass(frozen=True, slots=True)
class Features:
    """Which n-grams a model sees, and into how many rows they are hashed."""

    chars_from: int = 1
    """Shortest n-gram of characters; 0 (with `chars_to` 0): none."""
    chars_to: int = 4
    """Longest n-gram of characters, at most 8."""
    words: int = 0
    """Longest run of words, at most 3; 0: none."""
    bits: int = 15
    """The model has 2^bits rows; from 8 to 24."""

    def __post_init__(self) -> None:
        if not 0 <= self.chars_from <= self.chars_to <= 8 or (self.chars_from == 0) != (self.chars_to == 0):
            raise ConfigError(f"chars_from={self.chars_from}, chars_to={self.chars_to}: choose 1 <= from <= to <= 8, "
                              "or 0 and 0 for none")
        if not 0 <= self.words <= 3 or not 8 <= self.bits <= 24:
            raise ConfigError(f"words={self.words} runs from 0 to 3, bits={self.bits} from 8 to 24")

    @property
    def spec(self) -> tuple[int, int, int, int]:
        """As the kernels take it."""
        return self.chars_from, self.chars_to, self.words, self.bits


class Pieces(NamedTuple):
    """Byte ranges of one buffer, and the text that each is of."""

    data: np.ndarray
    """uint8."""
    starts: np.ndarray
    ends: np.ndarray
    owners: np.ndarray
    """int64, rising: index of the text."""
    n_texts: int

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sums of whole numbers over the pieces of each text; 0 for a text without pieces."""
        bounds = np.searchsorted(self.owners, np.arange(self.n_texts + 1))
        total = np.zeros((len(values) + 1, *values.shape[1:]), np.int64)
        np.cumsum(values, axis=0, out=total[1:])
        return np.diff(total[bounds], axis=0)


def buffers(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of texts, joined, and their n + 1 offsets, without a copy where the texts are one Arrow array.

    A missing text counts as an empty one.
    """
    array: Any = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    array = array.cast(pa.large_string())
    if array.null_count:
        array = array.fill_null("")
    _, offsets, data = array.buffers()
    if not len(array):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), ends


def pieces(texts: Sequence[str] | pa.Array | pa.ChunkedArray, size: int = WINDOW_BYTES,
           by_line: bool = False) -> Pieces:
    """Texts cut into pieces of at most `size` bytes (at least 16), at white space where there is some.

    With `by_line` no piece has a line break but at its end.
    """
    data, offsets = buffers(texts)
    if not by_line:
        starts, ends, owners = kernels().cut_texts(data, offsets, size)
        return Pieces(data, starts, ends, owners, len(offsets) - 1)
    breaks = np.flatnonzero(data[offsets[0] : offsets[-1]] == ord("\n")) + 1 + offsets[0]
    starts, ends, _ = kernels().cut_texts(data, np.union1d(offsets, breaks), size)
    return Pieces(data, starts, ends, np.searchsorted(offsets, starts, "right") - 1, len(offsets) - 1)


assert sys.byteorder == "little", "Arrow's offsets are read as they lie in memory"
