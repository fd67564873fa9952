"""French joints between words: elision and the contracted article."""

from __future__ import annotations

import re

_VOWELS = "aeiouyàâäéèêëîïôöùûüœæ"


def opens_with_vowel(word: str) -> bool:
    """Whether a preceding `le`, `de`, `que` is elided; the aspirated h of our vocabulary opens with a consonant."""
    return word[:1].lower() in _VOWELS


def elide(joint: str, word: str) -> str:
    """`joint` ("de", "que", "le", "la") and `word` as written together: `d'Anna`, `de Tom`."""
    return f"{joint[:-1]}'{word}" if opens_with_vowel(word) else f"{joint} {word}"


def definite(noun: str, is_feminine: bool) -> str:
    """The noun with its definite article: `la clé`, `le sac`, `l'atelier`."""
    return elide("la" if is_feminine else "le", noun)


_ACCENTS = {"Lea": "Léa", "Leo": "Léo", "Zoe": "Zoé", "Felix": "Félix", "Ines": "Inès"}
_PLAIN_NAME = re.compile(rf"\b({'|'.join(_ACCENTS)})\b")


def accented(text: str) -> str:
    """`text` with the first names of our vocabulary in their French spelling."""
    for name in _ACCENTS:
        if name in text:
            return _PLAIN_NAME.sub(lambda found: _ACCENTS[found[0]], text)
    return text
