"""English slips: ways to put one mistake into a correct sentence. Whether it is one, the strict reader decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from petitlm.data.generators.realiser_words import ADJECTIVES, NAMES, NOUNS, VERBS

_NUMBERS = {noun.en: noun.en_plural for noun in NOUNS.values() if noun.en_plural != "-"}
_NUMBERS |= {plural: singular for singular, plural in _NUMBERS.items()}
_BE = {"is": "are", "are": "is", "was": "were", "were": "was", "am": "is", "does": "do", "do": "does"}
# First words of forms, as "look" of "look for".
_PLAIN = {verb.en.split()[0]: verb for verb in VERBS.values() if verb.frame not in ("be", "modal")}
_THIRD = {verb.en_s.split()[0]: verb for verb in _PLAIN.values()}
_PAST = {verb.en_past.split()[0]: verb for verb in _PLAIN.values()}
_PRONOUNS = {"I": "me", "he": "him", "she": "her", "we": "us", "they": "them"}
_PRONOUNS |= {accusative: nominative for nominative, accusative in _PRONOUNS.items()}
_ANOTHER_PAST = ("see", "sing", "leave")  # `seed`, `singe` and `leaved` are words of their own
_BASE_FOLLOWS = ("to", "will", "can", "must", "not", "cannot")

Slip = Callable[[list[str]], Iterator[list[str]]]


def slips(kind: str, body: str) -> list[str]:
    """Every way to make a mistake of this kind in a sentence without its mark."""
    first, *rest = body.split()
    words = [first if first in NAMES or first == "I" else first[0].lower() + first[1:], *rest]
    changed = (" ".join(wrong) for wrong in _SLIPS[kind](words))
    return [text[0].upper() + text[1:] for text in changed]


def _with(words: list[str], at: int, *new: str) -> list[str]:
    return [*words[:at], *new, *words[at + 1 :]]


def _first_of(form: str) -> str:
    return form.split()[0]


def _swapped(table: dict[str, str]) -> Slip:
    def swap(words: list[str]) -> Iterator[list[str]]:
        for at, word in enumerate(words):
            if word in table:
                yield _with(words, at, table[word])

    return swap


def _agreements(words: list[str]) -> Iterator[list[str]]:
    has_do = bool({"does", "do", "did"} & set(words))
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if word in _BE:
            yield _with(words, at, _BE[word])
        elif word in _THIRD:
            yield _with(words, at, _first_of(_THIRD[word].en))
        elif word in _PLAIN and at and before not in _BASE_FOLLOWS and not has_do:
            yield _with(words, at, _first_of(_PLAIN[word].en_s))


def _far_agreements(words: list[str]) -> Iterator[list[str]]:
    """The verb of the main clause, after a relative clause that stands between it and its subject."""
    if "who" in words or "that" in words:
        start = max(words.index(word) for word in ("who", "that") if word in words)
        finite = _BE.keys() | _THIRD.keys() | _PLAIN.keys()
        verbs = [at for at, word in enumerate(words) if at > start and word in finite]
        if len(verbs) > 1:
            tail = words[verbs[-1] :]
            # The verb stays the second word that `_agreements` looks at, so that it knows what is before it.
            yield from ([*words[: verbs[-1]], *wrong[1:]] for wrong in _agreements(["", *tail]))


def _orders(words: list[str]) -> Iterator[list[str]]:
    for at, (word, after) in enumerate(zip(words, words[1:], strict=False)):
        if word in ADJECTIVES and (after in _NUMBERS or after in NOUNS):
            yield [*words[:at], after, word, *words[at + 2 :]]


def _negations(words: list[str]) -> Iterator[list[str]]:
    for at, (word, after) in enumerate(zip(words, words[1:], strict=False)):
        if word in ("do", "does", "did") and after == "not":
            yield [*words[:at], *words[at + 1 :]]
            if word != "did":
                yield _with(words, at + 1, "no")
        elif word in ("is", "are", "was", "were", "am") and after == "not":
            yield [*words[:at], after, word, *words[at + 2 :]]


def _after_do(words: list[str]) -> Iterator[list[str]]:
    """`did not went`, `does she sleeps`."""
    auxiliary = next((word for word in words if word in ("does", "do", "did")), "")
    start = words.index(auxiliary) if auxiliary else len(words)
    for at in range(start + 1, len(words)):
        if words[at] in _PLAIN:
            verb = _PLAIN[words[at]]
            yield _with(words, at, _first_of(verb.en_past if auxiliary == "did" else verb.en_s))
            return


def _regular_pasts(words: list[str]) -> Iterator[list[str]]:
    """`eated`, `goed`."""
    for at, word in enumerate(words):
        base = _first_of(_PAST[word].en) if word in _PAST else ""
        if base and not word.endswith("ed") and base not in _ANOTHER_PAST:
            yield _with(words, at, f"{base}d" if base.endswith("e") else f"{base}ed")


def _after_will(words: list[str]) -> Iterator[list[str]]:
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if word in _PLAIN and "will" in (before, words[at - 2] if at > 1 else ""):
            yield _with(words, at, _first_of(_PLAIN[word].en_s))
            yield _with(words, at, "to", word)


def _modals(words: list[str]) -> Iterator[list[str]]:
    """`can swims`, `must to go`, `wants go`."""
    for at, word in enumerate(words[:-1]):
        after = words[at + 1]
        if word in ("can", "must", "cannot") and after in _PLAIN:
            yield _with(words, at + 1, _first_of(_PLAIN[after].en_s))
            yield _with(words, at, word, "to")
        if word in ("want", "wants") and after == "to":
            yield _with(words, at + 1)


_SLIPS: dict[str, Slip] = {
    "article": _swapped({"a": "an", "an": "a"}),
    "demonstrative": _swapped({"this": "these", "these": "this"}),
    "noun-number": _swapped(_NUMBERS),
    "agreement": _agreements,
    "far-agreement": _far_agreements,
    "order": _orders,
    "negation": _negations,
    "after-do": _after_do,
    "past": _regular_pasts,
    "after-will": _after_will,
    "pronoun": _swapped(_PRONOUNS),
    "modal": _modals,
}
