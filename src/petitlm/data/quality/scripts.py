"""Which script a text is written in, as ISO 15924 names it."""

from __future__ import annotations

import numpy as np

from petitlm.data.quality.features import Pieces, kernels, symbol_table

# First code point of each range of letters, and its script (Unicode Character Database, Scripts.txt, by whole blocks).
_RANGES = (
    (0x0, "Latn"), (0x370, "Grek"), (0x400, "Cyrl"), (0x530, "Armn"), (0x590, "Hebr"), (0x600, "Arab"), (0x700, "Syrc"),
    (0x750, "Arab"), (0x780, "Thaa"), (0x7C0, "Nkoo"), (0x800, "Zzzz"), (0x8A0, "Arab"), (0x900, "Deva"),
    (0x980, "Beng"), (0xA00, "Guru"), (0xA80, "Gujr"), (0xB00, "Orya"), (0xB80, "Taml"), (0xC00, "Telu"),
    (0xC80, "Knda"), (0xD00, "Mlym"), (0xD80, "Sinh"), (0xE00, "Thai"), (0xE80, "Laoo"), (0xF00, "Tibt"),
    (0x1000, "Mymr"), (0x10A0, "Geor"), (0x1100, "Hang"), (0x1200, "Ethi"), (0x13A0, "Cher"), (0x1400, "Cans"),
    (0x1680, "Zzzz"), (0x1780, "Khmr"), (0x1800, "Mong"), (0x18B0, "Zzzz"), (0x1C80, "Cyrl"), (0x1C90, "Geor"),
    (0x1CC0, "Zzzz"), (0x1D00, "Latn"), (0x1F00, "Grek"), (0x2000, "Latn"), (0x2C00, "Glag"), (0x2C60, "Latn"),
    (0x2C80, "Copt"), (0x2D00, "Geor"), (0x2D30, "Tfng"), (0x2D80, "Ethi"), (0x2DE0, "Cyrl"), (0x2E00, "Zzzz"),
    (0x2E80, "Hani"), (0x3040, "Kana"), (0x3100, "Bopo"), (0x3130, "Hang"), (0x3190, "Hani"), (0x31F0, "Kana"),
    (0x3200, "Hani"), (0xA000, "Yiii"), (0xA4D0, "Zzzz"), (0xA640, "Cyrl"), (0xA6A0, "Zzzz"), (0xA720, "Latn"),
    (0xA800, "Zzzz"), (0xAB00, "Ethi"), (0xAB30, "Latn"), (0xAB70, "Cher"), (0xABC0, "Zzzz"), (0xAC00, "Hang"),
    (0xD800, "Zzzz"), (0xF900, "Hani"), (0xFB00, "Latn"), (0xFB10, "Zzzz"), (0xFB1D, "Hebr"), (0xFB50, "Arab"),
    (0xFE00, "Zzzz"), (0xFE70, "Arab"), (0xFF00, "Latn"), (0xFF61, "Kana"), (0xFFA0, "Hang"), (0xFFE0, "Zzzz"),
    (0x20000, "Hani"), (0x32000, "Zzzz"),
)  # fmt: skip
_FIRSTS = np.array([first for first, _ in _RANGES], np.uint32)
SCRIPTS = ("Latn", *sorted({script for _, script in _RANGES} - {"Latn"}))
_INDEX = np.array([SCRIPTS.index(script) for _, script in _RANGES])
_JAPANESE = [SCRIPTS.index(script) for script in ("Hani", "Kana")]
NO_LETTERS = "Zyyy"
"""ISO 15924 for a text without letters."""


def script_letters(of: Pieces) -> np.ndarray:
    """Letters of each script in each text, int64 (texts, `SCRIPTS`)."""
    by_range = of.summed(kernels().script_counts(of.data, of.starts, of.ends, symbol_table(), _FIRSTS))
    made = np.zeros((of.n_texts, len(SCRIPTS)), np.int64)
    np.add.at(made.T, _INDEX, by_range.T)
    return made


def main_scripts(letters: np.ndarray) -> list[str]:
    """The script of most letters of each text; "Jpan" for Han beside kana, "Zyyy" without letters."""
    best, some = letters.argmax(axis=1), letters.sum(axis=1) > 0
    japanese = (letters[:, _JAPANESE] > 0).all(axis=1) & np.isin(best, _JAPANESE) | (best == _JAPANESE[1])
    names = np.where(japanese, "Jpan", np.array(SCRIPTS)[best])
    return np.where(some, names, NO_LETTERS).tolist()
