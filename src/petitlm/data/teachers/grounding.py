"""What a reply may say that its seed does not: no number, no name; and whether it speaks of its seed at all.

This sees figures and capital letters alone: a number spelt out, a wrong verb or a false connection passes.
"""

from __future__ import annotations

import re
from collections.abc import Set
from functools import cache

from petitlm.data.generators.number_words import LANGUAGES, to_words

_NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f.,]\d{3})+(?!\d)|\d+(?:[.,]\d+)?")
_LIST_MARK = re.compile(r"(?m)^\s*\d+[.)](?=\s)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SPELT_UP_TO = 100
_STEM = 4
"""Letters that two words of one root share: France, French; Rome, Roman are not told from it, and pass."""


def numbers(text: str) -> set[str]:
    """The numbers of a text in figures, one writing for each: 1,234 and 1 234 are one, 3,5 and 3.5 too."""
    found = set()
    for match in _NUMBER.finditer(text):
        said = match[0]
        if re.fullmatch(r"\d{1,3}(?:[ \u00a0\u202f.,]\d{3})+", said):
            found.add(re.sub(r"\D", "", said).lstrip("0") or "0")
        else:
            whole, _, part = said.replace(",", ".").partition(".")
            part = part.rstrip("0")
            found.add((whole.lstrip("0") or "0") + (f".{part}" if part else ""))
    return found


@cache
def _spelt() -> dict[str, str]:
    """Number words, English and French, and their figures."""
    return {to_words(n, language): str(n) for language in LANGUAGES for n in range(_SPELT_UP_TO)}


def new_numbers(text: str, seed: str) -> list[str]:
    """Numbers in figures of `text`, but for those of its own lists, that `seed` has neither in figures nor in words."""
    new = numbers(_LIST_MARK.sub("", text)) - numbers(seed)
    if new:
        said = set(_WORD.findall(seed.lower())) | set(re.findall(r"[^\W\d_]+", seed.lower()))
        new -= {figure for word, figure in _spelt().items() if word in said}
    return sorted(new)


def new_names(text: str, seed: str) -> list[str]:
    """Words of `text` with a capital letter inside a sentence, and no word of the same root in `seed`."""
    roots = {word.lower()[:_STEM] for word in re.findall(r"[^\W\d_]+", seed)}
    found = set()
    for match in re.finditer(r"[^\W\d_]+", text):
        word, before = match[0], text[: match.start()].rstrip(" \u00a0\u202f\"'’«“(*_|-")
        starts = not before or before[-1] in ".!?:;…\n|#"
        if len(word) < 3 or not word[0].isupper() or starts or word in _COMMON:
            continue
        if text[: match.start()].rstrip(" \t*_#-\"«“(").endswith("\n"):
            continue
        if word.lower()[:_STEM] not in roots:
            found.add(word)
    return sorted(found)


_COMMON = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "English", "French"}


def content_words(text: str) -> set[str]:
    """The words that say what a text is about: five letters or more, the first five of each, and the numbers."""
    return {word.lower()[:5] for word in re.findall(r"[^\W\d_]{5,}", text)} | numbers(text)


def share_of(words: Set[str], others: Set[str]) -> float:
    """The part of `words` that is among `others`."""
    return len(words & others) / len(words) if words else 0.0
