"""The abstract tree behind a sentence: what both languages say, without the words, order or endings of either."""

from __future__ import annotations

from typing import NamedTuple

from petitlm.data.generators.realiser_words import FEMININE, MASCULINE, NAMES, NOUNS


class Phrase(NamedTuple):
    """Who or what: a noun with what belongs to it, a person by name, or a pronoun."""

    head: str = ""
    """English name of the noun, a person's name, or "" for a pronoun."""
    determiner: str = ""
    """the, a (plural: none in English), this, own (of the subject), a number from 2 as digits; "" for names."""
    plural: bool = False
    first: str = ""
    """Adjective that French puts before the noun."""
    second: str = ""
    """Adjective that French puts after it."""
    person: int = 3
    gender: str = MASCULINE
    who: Predicate | None = None
    """Relative clause: the girl who ..."""
    other: Phrase | None = None
    """A second person: Paul and Anna."""

    @property
    def is_pronoun(self) -> bool:
        """Whether it is said by a pronoun."""
        return not self.head


class Predicate(NamedTuple):
    """What is said of a subject."""

    verb: str
    tense: str = "present"
    """present, past or future."""
    negated: bool = False
    modal: str = ""
    """can, must or want before the verb; only in the present."""
    object: Phrase | None = None
    recipient: Phrase | None = None
    quality: str = ""
    """Adjective after `be`."""
    place: tuple[str, Phrase] | None = None
    """Preposition and phrase."""
    time: str = ""
    that: Clause | None = None
    """What is said, thought or hoped."""


class Clause(NamedTuple):
    """A subject and what is said of it."""

    subject: Phrase
    predicate: Predicate


class Sentence(NamedTuple):
    """One clause or two; `joint` is because, but, and, when."""

    clause: Clause
    asks: bool = False
    joint: str = ""
    second: Clause | None = None


def named(name: str) -> Phrase:
    """A person by name."""
    return Phrase(name, gender=NAMES[name])


def noun(head: str, determiner: str = "the", plural: bool = False, first: str = "", second: str = "") -> Phrase:
    """A noun with its determiner."""
    return Phrase(head, determiner, plural, first, second, gender=NOUNS[head].gender)


def pronoun(person: int, plural: bool = False, gender: str = MASCULINE) -> Phrase:
    """I, you, he, she, we, they."""
    return Phrase(person=person, plural=plural, gender=gender)


def both(one: Phrase, other: Phrase) -> Phrase:
    """Two people: the pair is feminine in French only if both are."""
    gender = FEMININE if (one.gender, other.gender) == (FEMININE, FEMININE) else MASCULINE
    return one._replace(plural=True, gender=gender, other=other)


def as_pronoun(phrase: Phrase) -> Phrase:
    """The pronoun that stands for `phrase`."""
    return pronoun(phrase.person, phrase.plural, phrase.gender)
