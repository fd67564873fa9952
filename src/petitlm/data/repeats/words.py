"""Words as the search for repeats sees them: lower case, no accents, no punctuation, digits as asked.

FineWeb removes case, accents, punctuation and the values of numbers before it cuts a text into shingles (datatrove,
`TextNormConfig`). Here the same is done one code point at a time, by a table:

- letters and numbers make words; each stands for its lower case without accents (`É` and `e` are one letter);
- marks above and below letters, and characters without a shape (soft hyphen, zero-width joiner), are left out;
- everything else, the apostrophe too, ends a word;
- an ideograph, a kana and a letter of Thai, Lao, Khmer or Burmese, which know no spaces, is a word of its own;
- decimal digits of every script stand for ASCII's; where numbers are folded, a run of digits is one `0`.

The table is a file, made once from Unicode 14.0: two machines with other Python versions cut the same words.
"""

from __future__ import annotations

import functools
import unicodedata
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEPARATOR, DROPPED, SAME, ALONE = range(4)
"""What a code point may be, where it does not stand for another one: `ALONE` stands for itself and is a word."""

UNICODE = "14.0.0"
"""The version of Unicode that the table holds."""

PAGE = 256
_PAGES = 0x110000 // PAGE
_FILE = Path(__file__).with_name("fold.bin")
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "HALFWIDTH KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")


class Fold(NamedTuple):
    """For each code point a class or the code point that it stands for, in pages of 256."""

    pages: NDArray[np.uint16]
    """(4352,): which page holds the code points from 256 i on."""
    codes: NDArray[np.uint32]
    """(256 n_pages,)."""


@functools.cache
def fold() -> Fold:
    """The table that comes with petit."""
    data = zlib.decompress(_FILE.read_bytes())
    pages = np.frombuffer(data, "<u2", _PAGES).astype(np.uint16)
    return Fold(pages, np.frombuffer(data, "<u4", -1, 2 * _PAGES).astype(np.uint32))


def make_fold() -> Fold:
    """The table by this Python's Unicode; `fold()` where that is version 14.0."""
    whole = np.array([_code(point) for point in range(0x110000)], np.uint32).reshape(_PAGES, PAGE)
    codes, pages = np.unique(whole, axis=0, return_inverse=True)
    return Fold(pages.reshape(-1).astype(np.uint16), codes.reshape(-1))


def write_fold(made: Fold) -> None:
    """Replace the table that comes with petit."""
    _FILE.write_bytes(zlib.compress(made.pages.astype("<u2").tobytes() + made.codes.astype("<u4").tobytes(), 9))


def _code(point: int) -> int:
    letter = chr(point)
    kind = unicodedata.category(letter)
    if kind in ("Mn", "Me", "Cf"):
        return DROPPED
    if kind[0] not in "LNM":
        return SEPARATOR
    if kind == "Nd":
        return ord("0") + unicodedata.decimal(letter)
    if kind == "Lo" and unicodedata.name(letter, "").startswith(_UNSPACED):
        return ALONE
    base = _without_accents(_without_accents(letter).lower()[0])
    return SAME if base == letter else ord(base)


def _without_accents(letter: str) -> str:
    """The letter that `letter` is a marked form of."""
    base, *marks = unicodedata.normalize("NFD", letter)
    return base if all(unicodedata.category(mark) == "Mn" for mark in marks) else letter
