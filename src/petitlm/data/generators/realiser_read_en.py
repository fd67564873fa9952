"""English sentences back to abstract trees: a strict reader, for which a sentence with one mistake has no reading."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from petitlm.data.generators.realiser_trees import Clause, Phrase, Predicate, Sentence, both, named, pronoun
from petitlm.data.generators.realiser_words import (
    ADJECTIVES,
    FEMININE,
    JOINTS,
    MASCULINE,
    NAMES,
    NOUNS,
    NUMBERS,
    PREPOSITIONS,
    TIMES,
    VERBS,
)

_GENDERS = (MASCULINE, FEMININE)
_YOU = [(2, plural, gender) for plural in (False, True) for gender in _GENDERS]
_SUBJECTS = {
    "I": [(1, False, g) for g in _GENDERS], "you": _YOU, "he": [(3, False, MASCULINE)], "she": [(3, False, FEMININE)],
    "we": [(1, True, g) for g in _GENDERS], "they": [(3, True, g) for g in _GENDERS],
}  # fmt: skip
_OBJECTS = {
    "me": _SUBJECTS["I"], "you": _YOU, "him": _SUBJECTS["he"], "her": _SUBJECTS["she"], "us": _SUBJECTS["we"],
    "them": _SUBJECTS["they"],
}  # fmt: skip
_OWN = {
    "my": {(1, False)}, "your": {(2, False), (2, True)}, "our": {(1, True)}, "their": {(3, True)},
    "his": {(3, False)}, "her": {(3, False)}, "its": {(3, False)},
}  # fmt: skip
_BE = {
    "am": ("present", {(1, False)}), "is": ("present", {(3, False)}),
    "are": ("present", {(2, False), (1, True), (2, True), (3, True)}),
    "was": ("past", {(1, False), (3, False)}), "were": ("past", {(2, False), (1, True), (2, True), (3, True)}),
}  # fmt: skip
_NUMBERS = {en: digits for digits, (en, _) in NUMBERS.items()}
_TIMES = {tense: {tuple(en.split()): en for en in times} for tense, times in TIMES.items()}
_PREPOSITIONS = {tuple(en.split()): en for en in PREPOSITIONS}

_NOUNS: dict[str, list[tuple[str, bool]]] = defaultdict(list)
for _noun in NOUNS.values():
    _NOUNS[_noun.en].append((_noun.en, False))
    if _noun.en_plural != "-":
        _NOUNS[_noun.en_plural].append((_noun.en, True))
# Words of a form to the verb.
_PLAIN: dict[tuple[str, ...], str] = {}
_THIRD: dict[tuple[str, ...], str] = {}
_PAST: dict[tuple[str, ...], str] = {}
for _verb in VERBS.values():
    if _verb.frame not in ("be", "modal"):
        _PLAIN[tuple(_verb.en.split())] = _verb.en
        _THIRD[tuple(_verb.en_s.split())] = _verb.en
        _PAST[tuple(_verb.en_past.split())] = _verb.en
_BASE = {**_PLAIN, ("be",): "be"}


@lru_cache(maxsize=512)
def read_english(text: str) -> frozenset[Sentence]:
    """Every reading of a sentence; none if it is not correct or says what the trees cannot."""
    body, mark = text[:-1], text[-1:]
    if not body or mark not in (".", "?") or body[0] != body[0].upper() or body != body.strip():
        return frozenset()
    first = body.split()[0]
    body = body if first in NAMES or first == "I" else body[0].lower() + body[1:]
    words = re.findall(r"[^\s,]+|,", body)
    if re.search(r"\s\s|\s,", body) or not _articles_fit(words):
        return frozenset()
    return frozenset(_questions(words) if mark == "?" else _sentences(words))


def _articles_fit(words: list[str]) -> bool:
    pairs = zip(words, words[1:], strict=False)
    return all((article == "an") == (following[0] in "aeiou") for article, following in pairs if article in ("a", "an"))


def _sentences(words: list[str]) -> Iterator[Sentence]:
    for clause, at in _clauses(words, 0):
        if at == len(words):
            yield Sentence(clause)
        comma = words[at : at + 1] == [","]
        joint = _word(words, at + comma)
        if joint in JOINTS and comma == (joint == "but"):
            for second, end in _clauses(words, at + comma + 1):
                if end == len(words):
                    yield Sentence(clause, False, joint, second)


def _questions(words: list[str]) -> Iterator[Sentence]:
    """Auxiliary, subject, the rest: read as the statement with the auxiliary after its subject."""
    for subject, end in _subjects(words, 1):
        statement = [words[0], *words[end:]]
        for predicate, at in _predicates(statement, 0, subject, asks=True):
            if at == len(statement):
                yield Sentence(Clause(subject, predicate), True)


def _clauses(words: list[str], at: int) -> Iterator[tuple[Clause, int]]:
    for subject, after_subject in _subjects(words, at):
        for predicate, end in _predicates(words, after_subject, subject):
            yield Clause(subject, predicate), end


def _word(words: list[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _subjects(words: list[str], at: int) -> Iterator[tuple[Phrase, int]]:
    for reading in _SUBJECTS.get(_word(words, at), ()):
        yield pronoun(*reading), at + 1
    yield from _phrases(words, at, None)


def _verbs(words: list[str], at: int, forms: dict[tuple[str, ...], str]) -> Iterator[tuple[str, int]]:
    for length in (1, 2):
        name = forms.get(tuple(words[at : at + length]))
        if name and at + length <= len(words):
            yield name, at + length


def _predicates(
    words: list[str], at: int, subject: Phrase, asks: bool = False
) -> Iterator[tuple[Predicate, int]]:
    word, key = _word(words, at), (subject.person, subject.plural)
    negated = word == "cannot" or _word(words, at + 1) == "not"
    after = at + 1 + (_word(words, at + 1) == "not")
    third = key == (3, False)
    if word in _BE and key in _BE[word][1]:
        yield from _complements(words, after, subject, Predicate("be", _BE[word][0], negated))
    elif word == "will":
        for name, end in _verbs(words, after, _BASE):
            yield from _complements(words, end, subject, Predicate(name, "future", negated))
    elif word in ("can", "must", "cannot"):
        if (word == "cannot") != (negated and word != "must" and not asks) or words[at : at + 2] == ["cannot", "not"]:
            return
        for name, end in _verbs(words, after, _BASE):
            modal = "must" if word == "must" else "can"
            yield from _complements(words, end, subject, Predicate(name, "present", negated, modal))
    elif word in ("do", "does", "did"):
        if (negated or asks) and (word == "did" or third == (word == "does")):
            yield from _with_do(words, after, subject, negated, "past" if word == "did" else "present")
    elif not asks:
        yield from _finite(words, at, subject, third)


def _with_do(words: list[str], at: int, subject: Phrase, negated: bool, tense: str) -> Iterator[tuple[Predicate, int]]:
    for name, end in _verbs(words, at, _PLAIN):
        yield from _complements(words, end, subject, Predicate(name, tense, negated))
    if words[at : at + 2] == ["want", "to"] and tense == "present":
        for name, end in _verbs(words, at + 2, _BASE):
            yield from _complements(words, end, subject, Predicate(name, tense, negated, "want"))


def _finite(words: list[str], at: int, subject: Phrase, third: bool) -> Iterator[tuple[Predicate, int]]:
    for name, end in _verbs(words, at, _THIRD if third else _PLAIN):
        yield from _complements(words, end, subject, Predicate(name))
        if name == "want" and _word(words, end) == "to":
            for wanted, after in _verbs(words, end + 1, _BASE):
                yield from _complements(words, after, subject, Predicate(wanted, modal="want"))
    for name, end in _verbs(words, at, _PAST):
        yield from _complements(words, end, subject, Predicate(name, "past"))


def _complements(words: list[str], at: int, subject: Phrase, said: Predicate) -> Iterator[tuple[Predicate, int]]:
    frame = VERBS[said.verb].frame
    if frame == "object":
        for it, end in _objects(words, at, subject):
            yield from _circumstances(words, end, subject, said._replace(object=it))
    elif frame == "recipient":
        for it, end in _phrases(words, at, subject):
            if _word(words, end) == "to":
                for to, after in _objects(words, end + 1, subject):
                    yield from _circumstances(words, after, subject, said._replace(object=it, recipient=to))
    elif frame == "that":
        if _word(words, at) == "that" and not said.modal:
            for that, end in _clauses(words, at + 1):
                yield said._replace(that=that), end
    else:
        yield from _circumstances(words, at, subject, said)


def _circumstances(words: list[str], at: int, subject: Phrase, said: Predicate) -> Iterator[tuple[Predicate, int]]:
    """Quality, place and time, in this order."""
    frame = VERBS[said.verb].frame
    if frame == "be" and _word(words, at) in ADJECTIVES:
        yield from _timed(words, at + 1, said._replace(quality=words[at]))
    for english, preposition in _PREPOSITIONS.items():
        if tuple(words[at : at + len(english)]) == english and (preposition == "to") == (frame == "to"):
            for where, end in _phrases(words, at + len(english), subject):
                yield from _timed(words, end, said._replace(place=(preposition, where)))
    if frame not in ("be", "to"):
        yield from _timed(words, at, said)


def _timed(words: list[str], at: int, said: Predicate) -> Iterator[tuple[Predicate, int]]:
    yield said, at
    if not said.modal:
        for english, time in _TIMES[said.tense].items():
            if tuple(words[at : at + len(english)]) == english:
                yield said._replace(time=time), at + len(english)


def _objects(words: list[str], at: int, subject: Phrase) -> Iterator[tuple[Phrase, int]]:
    for reading in _OBJECTS.get(_word(words, at), ()):
        yield pronoun(*reading), at + 1
    yield from _phrases(words, at, subject)


def _phrases(words: list[str], at: int, owner: Phrase | None) -> Iterator[tuple[Phrase, int]]:
    word = _word(words, at)
    if word in NAMES:
        yield named(word), at + 1
        if _word(words, at + 1) == "and" and _word(words, at + 2) in NAMES:
            yield both(named(word), named(words[at + 2])), at + 3
        return
    if word == "the":
        yield from _nouns(words, at + 1, "the", None, None)
    elif word in ("a", "an"):
        yield from _nouns(words, at + 1, "a", False, False)
    elif word in ("this", "these"):
        yield from _nouns(words, at + 1, "this", word == "these", None)
    elif word in _NUMBERS:
        yield from _nouns(words, at + 1, _NUMBERS[word], True, False)
    elif word in _OWN and owner and (owner.person, owner.plural) in _OWN[word]:
        if word not in ("his", "her", "its") or word == _his(owner):
            yield from _nouns(words, at + 1, "own", None, None)
    else:
        yield from _nouns(words, at, "a", True, False)
        yield from _nouns(words, at, "a", False, True)


def _his(owner: Phrase) -> str:
    if owner.head in NOUNS and NOUNS[owner.head].kind == "animal":
        return "its"
    return "her" if owner.gender == FEMININE else "his"


def _nouns(
    words: list[str], at: int, determiner: str, plural: bool | None, is_mass: bool | None
) -> Iterator[tuple[Phrase, int]]:
    """Adjectives, noun and relative clause; `plural` and `is_mass` are what the determiner asks for."""
    first = second = ""
    if _word(words, at) in ADJECTIVES and ADJECTIVES[words[at]].comes_first:
        first, at = words[at], at + 1
    if _word(words, at) in ADJECTIVES and not ADJECTIVES[words[at]].comes_first:
        second, at = words[at], at + 1
    for name, is_plural in _NOUNS.get(_word(words, at), ()):
        noun = NOUNS[name]
        if plural not in (None, is_plural) or is_mass not in (None, noun.kind in ("mass", "drink")):
            continue
        phrase = Phrase(name, determiner, is_plural, first, second, gender=noun.gender)
        yield phrase, at + 1
        if _word(words, at + 1) == ("who" if noun.kind == "person" else "that"):
            for who, end in _predicates(words, at + 2, phrase):
                yield phrase._replace(who=who), end
