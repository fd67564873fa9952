"""English sentences from abstract trees."""

from __future__ import annotations

from petitlm.data.generators.realiser_trees import Clause, Phrase, Predicate, Sentence
from petitlm.data.generators.realiser_words import FEMININE, NAMES, NOUNS, NUMBERS, VERBS

_SUBJECTS = {(1, False): "I", (2, False): "you", (1, True): "we", (2, True): "you", (3, True): "they"}
_OBJECTS = {(1, False): "me", (2, False): "you", (1, True): "us", (2, True): "you", (3, True): "them"}
_OWN = {(1, False): "my", (2, False): "your", (1, True): "our", (2, True): "your", (3, True): "their"}
_BE = {"present": {(1, False): "am", (3, False): "is"}, "past": {(1, False): "was", (3, False): "was"}}


def english(sentence: Sentence) -> str:
    """The sentence in English, with its capital and its final mark."""
    words = _question(sentence.clause) if sentence.asks else _clause(sentence.clause)
    if sentence.second:
        comma = "," if sentence.joint == "but" else ""
        words = [*words[:-1], words[-1] + comma, sentence.joint, *_clause(sentence.second)]
    text = " ".join(words)
    return text[0].upper() + text[1:] + ("?" if sentence.asks else ".")


def _clause(clause: Clause) -> list[str]:
    return [*_subject(clause.subject), *_said_of(clause.subject, clause.predicate)]


def _said_of(subject: Phrase, predicate: Predicate) -> list[str]:
    auxiliary, rest = _verb_group(subject, predicate)
    negation = ["not"] if predicate.negated else []
    if auxiliary == ["can"] and negation:
        auxiliary, negation = ["cannot"], []
    return [*auxiliary, *negation, *rest, *_after_verb(subject, predicate)]


def _question(clause: Clause) -> list[str]:
    """Auxiliary first: Does she sleep? Is he not tired?"""
    subject, predicate = clause
    auxiliary, rest = _verb_group(subject, predicate, asks=True)
    negation = ["not"] if predicate.negated else []
    return [*auxiliary, *_subject(subject), *negation, *rest, *_after_verb(subject, predicate)]


def _verb_group(subject: Phrase, predicate: Predicate, asks: bool = False) -> tuple[list[str], list[str]]:
    """The auxiliary, empty if there is none, and the words of the verb after it."""
    verb = VERBS[predicate.verb]
    key = subject.person, subject.plural
    third = key == (3, False)
    needs_do = predicate.negated or asks
    if predicate.modal in ("can", "must"):
        return [predicate.modal], [verb.en]
    if predicate.modal:
        wants = [*(["want"] if needs_do or not third else ["wants"]), "to", verb.en]
        return ["does" if third else "do"] if needs_do else [], wants
    if predicate.tense == "future":
        return ["will"], [verb.en]
    if verb.en == "be":
        return [_BE[predicate.tense].get(key, "are" if predicate.tense == "present" else "were")], []
    if predicate.tense == "past":
        return (["did"], [verb.en]) if needs_do else ([], [verb.en_past])
    if needs_do:
        return ["does" if third else "do"], [verb.en]
    return [], [verb.en_s if third else verb.en]


def _after_verb(subject: Phrase, predicate: Predicate) -> list[str]:
    words: list[str] = []
    if predicate.object:
        words += _object(predicate.object, subject)
    if predicate.recipient:
        words += ["to", *_object(predicate.recipient, subject)]
    if predicate.quality:
        words.append(predicate.quality)
    if predicate.place:
        preposition, where = predicate.place
        words += [preposition, *_object(where, subject)]
    if predicate.time:
        words.append(predicate.time)
    if predicate.that:
        words += ["that", *_clause(predicate.that)]
    return words


def _subject(phrase: Phrase) -> list[str]:
    if phrase.is_pronoun:
        return [_SUBJECTS.get((phrase.person, phrase.plural), "she" if phrase.gender == FEMININE else "he")]
    return _phrase(phrase, phrase)


def _object(phrase: Phrase, subject: Phrase) -> list[str]:
    if phrase.is_pronoun:
        return [_OBJECTS.get((phrase.person, phrase.plural), "her" if phrase.gender == FEMININE else "him")]
    return _phrase(phrase, subject)


def _phrase(phrase: Phrase, owner: Phrase) -> list[str]:
    if phrase.head in NAMES:
        return [phrase.head, *(["and", *_phrase(phrase.other, owner)] if phrase.other else [])]
    noun = NOUNS[phrase.head]
    described = [*filter(None, (phrase.first, phrase.second)), noun.en_plural if phrase.plural else noun.en]
    words = [*_determiner(phrase, owner, described[0]), *described]
    if phrase.who:
        words += ["who" if noun.kind == "person" else "that", *_said_of(phrase, phrase.who)]
    return words


def _determiner(phrase: Phrase, owner: Phrase, following: str) -> list[str]:
    if phrase.determiner == "a":
        if phrase.plural or NOUNS[phrase.head].kind in ("mass", "drink"):
            return []
        return ["an" if following[0] in "aeiou" else "a"]
    if phrase.determiner == "this":
        return ["these" if phrase.plural else "this"]
    if phrase.determiner == "own":
        is_animal = owner.head in NOUNS and NOUNS[owner.head].kind == "animal"
        his = "its" if is_animal else "her" if owner.gender == FEMININE else "his"
        return [_OWN.get((owner.person, owner.plural), his)]
    return [NUMBERS[phrase.determiner][0] if phrase.determiner in NUMBERS else phrase.determiner]
