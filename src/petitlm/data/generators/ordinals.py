"""Ordinals and grouped digits in English and French: `21st`, `twenty-first`, `21e`, `vingt et unième`, `12,345`."""

from __future__ import annotations

from petitlm.data.generators.number_words import to_words, without_plural
from petitlm.errors import UsageError

LARGEST_ORDINAL = 999_999
_EN_LAST = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def ordinal_words(value: int, language: str) -> str:
    """`twenty-first`, `vingt et unième`; French is the masculine form (`premier`). 1 to 999,999."""
    if not 1 <= value <= LARGEST_ORDINAL:
        raise UsageError(f"cannot say {value} as an ordinal; only 1 to {LARGEST_ORDINAL} have one here")
    words = to_words(value, language)
    if language == "en":
        cut = max(words.rfind(" "), words.rfind("-")) + 1
        last = words[cut:]
        if last in _EN_LAST:
            return words[:cut] + _EN_LAST[last]
        return f"{words[:-1]}ieth" if last.endswith("y") else f"{words}th"
    if value == 1:
        return "premier"
    stem = without_plural(words)
    if stem.endswith("neuf"):
        return f"{stem[:-1]}vième"
    if stem.endswith("cinq"):
        return f"{stem}uième"
    return f"{stem.removesuffix('e')}ième"


def ordinal_digits(value: int, language: str) -> str:
    """`21st`, `12th`; French `1er`, `21e`."""
    if language == "fr":
        return "1er" if value == 1 else f"{value}e"
    teen = value % 100 in (11, 12, 13)
    return f"{value}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(value % 10, 'th')}"


def grouped(value: int, language: str) -> str:
    """Digits in groups of three: `12,345` in English, `12 345` in French."""
    return f"{value:,}" if language == "en" else f"{value:,}".replace(",", " ")
