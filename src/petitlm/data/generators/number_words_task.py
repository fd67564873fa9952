"""Numbers in words and digits, English and French, within a language and across both: the generator.

Kinds: digits to words and back, words of one language to the other, the next or the previous number, counting in steps,
several numbers at once, ordinals in words and digits.
Levels, by the numbers: 0 to 20; 1 from 21 to 69; 2 from 70 to 100, where French counts by twenties; 3 to 999, ordinals
to 100; 4 to 999,999, ordinals to 999; 5 to 999,999,999, ordinals to 999,999.
"""

from __future__ import annotations

from random import Random

from petitlm.data.generators.number_words import LARGEST, to_words
from petitlm.data.generators.ordinals import grouped, ordinal_digits, ordinal_words
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "number-words"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 3, 3, 2, 2)

_RANGE = ((0, 20), (21, 69), (70, 100), (101, 999), (1000, 999_999), (1_000_000, 999_999_999))
_ORDINAL_RANGE = ((1, 20), (21, 69), (70, 100), (1, 100), (101, 999), (1000, 999_999))
_OTHER = {"en": "fr", "fr": "en"}

# Kind -> ways to ask; `{}` is what is given. The place in the list names the wording in both languages.
ASK = {
    "en": {
        "to-words": ("Write {} in words.", "How do you spell the number {}?", "Spell out {}.", "{} in words?"),
        "to-digits": ("Write {} in digits.", "How do you write {} in digits?", "Put {} into digits.", "{} in digits?"),
        "translate": (
            "Say {} in French.", "What is {} in French?", "Translate the number {} into French.",
            "How do the French say {}?",
        ),
        "next": (
            "Which number comes after {}?", "What follows {}?", "What is one more than {}?",
            "After {}, which number comes?",
        ),
        "previous": (
            "Which number comes before {}?", "What is just below {}?", "What is one less than {}?",
            "Before {}, which number comes?",
        ),
        "ordinal": ("Write the ordinal {} in words.", "How do you spell {}?", "Put {} into words.", "{} in full?"),
        "ordinal-digits": (
            "Write the ordinal {} in digits.", "How is {} written with digits?", "Shorten {} to digits.",
            "{}, in short?",
        ),
        "count": ("Count from {} to {} in steps of {}.", "Go from {} to {} by steps of {}, in words."),
    },
    "fr": {
        "to-words": (
            "Écris {} en lettres.", "Comment s'écrit le nombre {} ?", "Écris {} en toutes lettres.", "{} en lettres ?",
        ),
        "to-digits": (
            "Écris {} en chiffres.", "Comment écrit-on {} en chiffres ?", "Mets {} en chiffres.",
            "{} en chiffres ?",
        ),
        "translate": (
            "Dis {} en anglais.", "Comment dit-on {} en anglais ?", "Traduis le nombre {} en anglais.",
            "Comment les Anglais disent-ils {} ?",
        ),
        "next": (
            "Quel nombre vient après {} ?", "Qu'est-ce qui suit {} ?", "Quel nombre suit immédiatement {} ?",
            "Après {}, quel nombre vient ?",
        ),
        "previous": (
            "Quel nombre vient avant {} ?", "Qu'est-ce qui est juste avant {} ?", "Quel nombre précède {} ?",
            "Avant {}, quel nombre vient ?",
        ),
        "ordinal": (
            "Écris l'ordinal {} en lettres.", "Comment s'écrit {} ?", "Mets {} en lettres.", "{} en toutes lettres ?",
        ),
        "ordinal-digits": (
            "Écris l'ordinal {} en chiffres.", "Comment écrit-on {} avec des chiffres ?", "Abrège {} en chiffres.",
            "{}, en abrégé ?",
        ),
        "count": ("Compte de {} à {} par pas de {}.", "Va de {} à {} par pas de {}, en lettres."),
    },
}  # fmt: skip
_KINDS = ("to-words", "to-words", "to-digits", "to-digits", "translate", "translate", "next", "previous", "list",
          "ordinal", "ordinal-digits", "count")  # fmt: skip
# Few numbers are small: their questions take several at once more often.
_SMALL_KINDS = (*_KINDS, *["list"] * 6, *["count"] * 2)
_STEPS = (1, 1, 2, 5, 10)
# `arithmetic` asks for single numbers, too: one key, so that what one holds out the other does not teach.
_SPELL = "arithmetic:spell"

# A way to ask that training sees, but not for this kind.
_HELD_OUT = frozenset(
    {"to-words/2", "to-digits/1", "translate/3", "next/2", "previous/1", "ordinal/0", "ordinal-digits/2", "count/1",
     "list-to-words/0", "list-to-digits/3"}
)  # fmt: skip


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`, a kind of question with its wording."""
    return structure in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one question about a number; with `held_out`, in a wording that training never sees for its kind."""
    while True:
        kind = rng.choice(_SMALL_KINDS if level < 3 else _KINDS)
        asked_as = rng.choice(("to-words", "to-digits")) if kind == "list" else kind
        wording = rng.randrange(len(ASK[language][asked_as]))
        structure = f"{f'list-{asked_as}' if kind == 'list' else kind}/{wording}"
        if is_held_out(structure) == held_out:
            break
    given, answer, key = _make(rng, language, level, kind, asked_as)
    question = ASK[language][asked_as][wording].format(*given)
    question = in_haste(rng, question[0].upper() + question[1:])
    key = key if key.startswith(_SPELL) else f"{FAMILY}:{key}"
    return Problem(FAMILY, language, level, structure, key, question, answer)


def _make(rng: Random, language: str, level: int, kind: str, asked_as: str) -> tuple[list[str], str, str]:
    """What is given, the answer, the key."""
    low, high = _ORDINAL_RANGE[level] if kind.startswith("ordinal") else _RANGE[level]
    if kind == "list":
        values = [_value(rng, low, high) for _ in range(rng.choice((2, 3, 3, 4) if level < 4 else (2,)))]
        words, digits = [to_words(v, language) for v in values], [_digits(rng, v, language) for v in values]
        given = words if asked_as == "to-digits" else digits
        wanted = words if asked_as == "to-words" else [_plain_digits(v, language) for v in values]
        # No `and` between numbers: `vingt et un` is one. Commas group digits, so long numbers have semicolons.
        comma = "; " if high >= 1000 and language == "en" else " ; " if high >= 1000 else ", "
        return [comma.join(given)], comma.join(wanted), f"{language}:list:{','.join(map(str, values))}"
    if kind == "count":
        step, n = rng.choice(_STEPS[: 3 if level == 0 else 5]), rng.randint(2, 5 if level < 4 else 3)
        start = _value(rng, low, max(low, high - step * n))
        values = range(start, start + step * n + 1, step)
        said = [to_words(v, language) for v in values]
        ends = [str(start), str(values[-1])] if rng.random() < 0.5 else [said[0], said[-1]]
        return [*ends, str(step)], ", ".join(said), f"{language}:count:{start},{step},{n}"
    value = _value(rng, low, high)
    if kind == "to-words":
        return [_digits(rng, value, language)], to_words(value, language), f"{_SPELL}:{language}:{value}"
    if kind == "to-digits":
        return [to_words(value, language)], _plain_digits(value, language), f"{_SPELL}:{language}:{value}"
    if kind == "translate":
        return [to_words(value, language)], to_words(value, _OTHER[language]), f"{kind}:{value}"
    if kind == "ordinal":
        return [ordinal_digits(value, language)], ordinal_words(value, language), f"{language}:ordinal:{value}"
    if kind == "ordinal-digits":
        return [ordinal_words(value, language)], ordinal_digits(value, language), f"{language}:ordinal:{value}"
    value = min(value, LARGEST - 1) if kind == "next" else max(value, 1)
    other = value + 1 if kind == "next" else value - 1
    return [to_words(value, language)], to_words(other, language), f"{language}:{kind}:{value}"


def _value(rng: Random, low: int, high: int) -> int:
    """A number of the range; half of the long ones are round, where zeros and plurals are decided."""
    value = rng.randint(low, high)
    if high > 999 and rng.random() < 0.5:
        value -= value % rng.choice((10, 100, 1000, 10_000) if high < 1_000_000 else (100, 1000, 100_000, 1_000_000))
    return max(value, low)


def _plain_digits(value: int, language: str) -> str:
    return str(value) if value < 10_000 else grouped(value, language)


def _digits(rng: Random, value: int, language: str) -> str:
    return str(value) if rng.random() < 0.5 else _plain_digits(value, language)
