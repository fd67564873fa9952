"""Whole numbers from 0 to 999,999,999 in English and French words, both ways.

Writing goes by tables, reading by a small grammar that adds and multiplies, so that one can check the other.
French follows the traditional spelling: `vingt et un`, `soixante-dix`, `quatre-vingts`, `deux cents`, `deux cent un`,
`quatre-vingt mille`, `deux cents millions`. English is British: `one thousand and five`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from petitlm.errors import UsageError

LANGUAGES = ("en", "fr")
LARGEST = 999_999_999

_EN_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_EN_TENS = ("?", "?", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_FR_SMALL = (
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize",
    "quatorze", "quinze", "seize",
)  # fmt: skip
_FR_TENS = ("?", "dix", "vingt", "trente", "quarante", "cinquante", "soixante")

_EN_VALUE = {word: value for value, word in enumerate(_EN_SMALL)} | {
    word: 10 * tens for tens, word in enumerate(_EN_TENS) if tens >= 2
}
_FR_VALUE = {word: value for value, word in enumerate(_FR_SMALL)} | {
    word: 10 * tens for tens, word in enumerate(_FR_TENS) if tens >= 1
}


@lru_cache(maxsize=1 << 16)
def to_words(value: int, language: str) -> str:
    """Spell `value`, 0 to 999,999,999, in `language` ("en" or "fr"); French is the masculine form (`vingt et un`)."""
    if not 0 <= value <= LARGEST:
        raise UsageError(f"cannot spell {value}; only whole numbers from 0 to {LARGEST} have words here")
    if language == "en":
        return _english(value)
    if language == "fr":
        return _french(value)
    raise UsageError(f"cannot spell numbers in {language!r}; choose one of {', '.join(LANGUAGES)}")


def _english(value: int) -> str:
    if value < 20:
        return _EN_SMALL[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _EN_TENS[tens] + (f"-{_EN_SMALL[ones]}" if ones else "")
    if value < 1000:
        hundreds, rest = divmod(value, 100)
        return f"{_EN_SMALL[hundreds]} hundred" + (f" and {_english(rest)}" if rest else "")
    size, name = (1_000_000, "million") if value >= 1_000_000 else (1000, "thousand")
    head, rest = divmod(value, size)
    joint = " and " if rest < 100 else " "
    return f"{_english(head)} {name}" + (f"{joint}{_english(rest)}" if rest else "")


def _french(value: int) -> str:
    if value >= 1_000_000:
        millions, rest = divmod(value, 1_000_000)
        head = f"{_french(millions)} million{'s' if millions > 1 else ''}"
        return f"{head} {_french(rest)}" if rest else head
    if value >= 1000:
        thousands, rest = divmod(value, 1000)
        # `mille` is no noun: before it, `vingts` and `cents` lose their s, and one thousand has no `un`.
        head = "mille" if thousands == 1 else f"{without_plural(_french(thousands))} mille"
        return f"{head} {_french(rest)}" if rest else head
    if value >= 100:
        hundreds, rest = divmod(value, 100)
        head = "cent" if hundreds == 1 else f"{_FR_SMALL[hundreds]} cent"
        if rest:
            return f"{head} {_french(rest)}"
        return head if hundreds == 1 else f"{head}s"
    if value <= 16:
        return _FR_SMALL[value]
    if value >= 80:
        return "quatre-vingts" if value == 80 else f"quatre-vingt-{_french(value - 80)}"
    # 70 to 79 continue sixty: soixante-dix, soixante et onze.
    tens, rest = (6, value - 60) if value >= 60 else divmod(value, 10)
    if rest == 0:
        return _FR_TENS[tens]
    joint = " et " if rest in (1, 11) and tens >= 2 else "-"
    return f"{_FR_TENS[tens]}{joint}{_french(rest)}"


def without_plural(words: str) -> str:
    """French number words without the plural of a final `vingts`, `cents` or `millions`."""
    return words[:-1] if words.endswith(("vingts", "cents", "millions")) else words


@lru_cache(maxsize=4096)
def read_number(text: str, language: str) -> int:
    """The value of digits or number words; case is ignored.

    Raises: UsageError if the text is not a number from 0 to 999,999,999 in its usual spelling (`vingt et deux` is
    refused).
    """
    plain = text.strip().lower()
    if plain.isascii() and plain.isdigit() and len(plain) <= len(str(LARGEST)):
        return int(plain)
    pieces = re.split(r"[ -]+", plain)
    value = _add_up_english(pieces) if language == "en" else _add_up_french(pieces)
    if value is None or not 0 <= value <= LARGEST or to_words(value, language) not in (plain, _masculine(plain)):
        raise UsageError(f"cannot read {text!r} as a number in {language!r}; write digits or words up to {LARGEST}")
    return value


def _add_up_english(pieces: list[str]) -> int | None:
    total = group = 0
    for piece in pieces:
        if piece == "hundred":
            group *= 100
        elif piece in ("thousand", "million"):
            total, group = total + group * (1000 if piece == "thousand" else 1_000_000), 0
        elif piece in _EN_VALUE:
            group += _EN_VALUE[piece]
        elif piece != "and":
            return None
    return total + group


def _add_up_french(pieces: list[str]) -> int | None:
    total = group = 0
    for piece in pieces:
        if piece in ("cent", "cents"):
            group = 100 * max(group, 1)
        elif piece in ("vingt", "vingts") and group % 100 == 4:
            group += 76  # four twenties: 4 is already counted
        elif piece == "mille":
            total, group = total + 1000 * max(group, 1), 0
        elif piece in ("million", "millions"):
            total, group = total + 1_000_000 * group, 0
        elif piece == "une":
            group += 1
        elif piece in _FR_VALUE:
            group += _FR_VALUE[piece]
        elif piece != "et":
            return None
    return total + group


def _masculine(words: str) -> str:
    return re.sub(r"\bune$", "un", words)


def feminine(words: str) -> str:
    """The French feminine of number words: only a final `un` changes (`vingt et une`)."""
    return re.sub(r"\bun$", "une", words)
