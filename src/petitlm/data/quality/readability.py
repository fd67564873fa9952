"""How hard a text is to read: Lix, on six levels.

Lix = words per sentence + 100 * share of words of more than six letters (Björnsson 1968, Läsbarhet; Anderson 1983,
Lix and Rix, Journal of Reading 26). It needs no syllables and no word lists, and was used for many languages, English
and French among them. It sees length only: not rare short words, not ideas, not whether a text makes sense.
Words are runs of letters ("l'eau" is two); a sentence ends at . ! ? or … before a space or a sign, at an empty line,
and at the end of the text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from petitlm.data.quality.features import Pieces, buffers, kernels, symbol_table
from petitlm.data.quality.linear import Texts

COUNTS = ("letters", "words", "long_words", "sentences", "visible")
"""What is counted of a text: `long_words` have more than six letters, `visible` are all code points but spaces."""
LEVELS = (25.0, 30.0, 40.0, 50.0, 60.0)
"""Lix from which difficulty 1, 2, 3, 4 and 5 begin: Björnsson's bands (to 30 children's books, to 40 fiction, to 50
newspapers, to 60 textbooks, above it officialese), the first of them split."""
FRENCH = 5.6
"""Taken off French texts: the median by which the French of 2,793 messages of the Python documentation, of at least 20
words, exceeds their English (quartiles 0.5 and 10.8)."""


def reading_counts(of: Pieces) -> np.ndarray:
    """Of each piece: `COUNTS`, int64 (pieces, 5)."""
    return kernels().reading_counts(of.data, of.starts, of.ends, symbol_table())


def text_lix(texts: Texts, languages: Sequence[str | None], min_words: int = 1) -> np.ndarray:
    """Lix of each text, less `FRENCH` for those in French; NaN for texts of fewer than `min_words` words."""
    data, offsets = buffers(texts)
    counts = kernels().reading_counts(data, offsets[:-1], offsets[1:], symbol_table())
    value = lix(counts) - FRENCH * np.array([language == "fr" for language in languages])
    return np.where(counts[:, COUNTS.index("words")] >= min_words, value, np.nan)


def lix(counts: np.ndarray) -> np.ndarray:
    """Lix of texts with these `COUNTS`; NaN for a text without words."""
    _, words, long_words, sentences, _ = counts.astype(float).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(words > 0, words / sentences + 100 * long_words / words, np.nan)


def difficulty(values: np.ndarray) -> np.ndarray:
    """Level 0 to 5 of each Lix; -1 for NaN."""
    return np.where(np.isnan(values), -1, np.searchsorted(LEVELS, values, "right"))
