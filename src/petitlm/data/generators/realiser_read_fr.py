"""French sentences back to abstract trees: a strict reader, for which a sentence with one mistake has no reading.

It shares the words and their forms with the realiser and nothing else: agreement, order, clitics, elision and
contraction are read here by rules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from petitlm.data.generators.realiser_forms_fr import (
    ADJECTIVE_FORMS,
    DIRECT,
    FINITE,
    INDIRECT,
    INFINITIVES,
    NOUN_FORMS,
    NUMBER_WORDS,
    OWNERS,
    PARTICIPLES,
    SUBJECTS,
    TIME_WORDS,
    VOWEL_FORMS,
)
from petitlm.data.generators.realiser_trees import Clause, Phrase, Predicate, Sentence, both, named, pronoun
from petitlm.data.generators.realiser_words import (
    ADJECTIVES,
    FEMININE,
    JOINTS,
    MASCULINE,
    NAMES,
    NOUNS,
    PREPOSITIONS,
    VERBS,
    opens_with_vowel,
)

_ELIDED = {"l'", "d'", "n'", "j'", "m'", "t'", "qu'"}
_WHOLE = {"le", "la", "de", "ne", "je", "me", "te", "que"}
_EXPANDED = {
    "du": ("de", "le"), "des": ("de", "les"), "au": ("à", "le"), "aux": ("à", "les"), "d'": ("de",), "n'": ("ne",),
    "j'": ("je",), "m'": ("me",), "t'": ("te",), "qu'": ("que",),
}  # fmt: skip
_PIECE = re.compile(r"(?:[ldnjmt]|qu)'|[^\s',]+|,")



@lru_cache(maxsize=512)
def read_french(text: str) -> frozenset[Sentence]:
    """Every reading of a sentence; none if it is not correct or says what the trees cannot."""
    asks = text.endswith(" ?")
    body = text[:-2] if asks else text[:-1] if text.endswith(".") else ""
    if not body or body[0] != body[0].upper():
        return frozenset()
    first = body.split()[0]
    body = body if first in NAMES else body[0].lower() + body[1:]
    words = words_of(body)
    return frozenset(_sentences(words, asks)) if words else frozenset()


def words_of(body: str) -> list[str]:
    """The words with elision and contraction undone; none where they are missing or wrong."""
    pieces = _PIECE.findall(body)
    if re.sub(r"\s", "", body) != "".join(pieces) or re.search(r"\s[,']|' |\s\s", body):
        return []
    words: list[str] = []
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        needs_consonant = piece in _WHOLE or piece in ("du", "au")
        if (piece in _ELIDED) != (opens_with_vowel(following) and (piece in _ELIDED or needs_consonant)):
            return []
        if piece in ("de", "à") and following in ("le", "les"):
            return []
        words += _EXPANDED.get(piece, (piece,))
    return words


def _sentences(words: list[str], asks: bool) -> Iterator[Sentence]:
    if asks and words[:2] != ["est-ce", "que"]:
        return
    for clause, at in _clauses(words, 2 if asks else 0):
        if at == len(words):
            yield Sentence(clause, asks)
        if asks:
            continue
        comma = words[at : at + 1] == [","]
        for joint, said in JOINTS.items():
            start = at + comma
            if tuple(words[start : start + len(said)]) == said and comma == (joint == "but"):
                for second, end in _clauses(words, start + len(said)):
                    if end == len(words):
                        yield Sentence(clause, False, joint, second)


def _clauses(words: list[str], at: int) -> Iterator[tuple[Clause, int]]:
    for subject, after_subject in _subjects(words, at):
        for predicate, end in _predicates(words, after_subject, subject):
            yield Clause(subject, predicate), end


def _word(words: list[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _subjects(words: list[str], at: int) -> Iterator[tuple[Phrase, int]]:
    for reading in SUBJECTS.get(_word(words, at), ()):
        yield pronoun(*reading), at + 1
    yield from _phrases(words, at, None)


def _predicates(words: list[str], at: int, subject: Phrase) -> Iterator[tuple[Predicate, int]]:
    negated = _word(words, at) == "ne"
    at += negated
    yield from _finite(words, at, subject, negated, "")
    if _word(words, at) in DIRECT or _word(words, at) in INDIRECT:
        yield from _finite(words, at + 1, subject, negated, _word(words, at))


def _finite(words: list[str], at: int, subject: Phrase, negated: bool, clitic: str) -> Iterator[tuple[Predicate, int]]:
    for name, tense, *agreement in FINITE.get(_word(words, at), ()):
        if agreement != [subject.person, subject.plural] or negated != (_word(words, at + 1) == "pas"):
            continue
        after = at + 1 + negated
        verb = VERBS[name]
        if name in ("can", "must", "want") and tense == "present" and not clitic:
            yield from _after_modal(words, after, subject, negated, name)
        if name in ("have", "be") and tense == "present":
            yield from _compound(words, after, subject, negated, clitic, name)
        if verb.frame != "modal" and (tense != "imparfait" or verb.is_state):
            said = Predicate(name, "past" if tense == "imparfait" else tense, negated)
            yield from _complements(words, after, subject, said, clitic, None)


def _after_modal(
    words: list[str], at: int, subject: Phrase, negated: bool, modal: str
) -> Iterator[tuple[Predicate, int]]:
    clitic = _word(words, at) if _word(words, at) in DIRECT or _word(words, at) in INDIRECT else ""
    verb = INFINITIVES.get(_word(words, at + bool(clitic)))
    if verb and VERBS[verb].frame not in ("modal", "that"):
        said = Predicate(verb, "present", negated, modal)
        yield from _complements(words, at + bool(clitic) + 1, subject, said, clitic, None)


def _compound(
    words: list[str], at: int, subject: Phrase, negated: bool, clitic: str, auxiliary: str
) -> Iterator[tuple[Predicate, int]]:
    for name, gender, plural in PARTICIPLES.get(_word(words, at), ()):
        verb = VERBS[name]
        if verb.is_state or verb.frame == "modal" or verb.takes_etre != (auxiliary == "be"):
            continue
        if verb.takes_etre and (gender, plural) != (subject.gender, subject.plural):
            continue
        said = Predicate(name, "past", negated)
        yield from _complements(words, at + 1, subject, said, clitic, None if verb.takes_etre else (gender, plural))


def _complements(
    words: list[str], at: int, subject: Phrase, said: Predicate, clitic: str, participle: tuple[str, bool] | None
) -> Iterator[tuple[Predicate, int]]:
    """What the frame of the verb asks for; `participle` is the agreement of one after avoir."""
    frame = VERBS[said.verb].frame
    unagreed = participle in (None, (MASCULINE, False))
    if clitic and frame == "object":
        for reading in DIRECT.get(clitic, ()):
            it = pronoun(*reading)
            if participle in (None, (it.gender, it.plural)):
                yield from _circumstances(words, at, subject, said._replace(object=it))
    elif frame == "object" and unagreed and not clitic:
        for it, end in _objects(words, at, subject, said.negated):
            yield from _circumstances(words, end, subject, said._replace(object=it))
    elif frame == "recipient" and unagreed:
        yield from _giving(words, at, subject, said, clitic)
    elif frame == "that" and unagreed and not clitic and not said.modal:
        if _word(words, at) == "que":
            for that, end in _clauses(words, at + 1):
                yield said._replace(that=that), end
    elif frame in ("", "to", "be") and unagreed and not clitic:
        yield from _circumstances(words, at, subject, said)


def _giving(
    words: list[str], at: int, subject: Phrase, said: Predicate, clitic: str
) -> Iterator[tuple[Predicate, int]]:
    for it, end in _objects(words, at, subject, said.negated):
        given = said._replace(object=it)
        for reading in INDIRECT.get(clitic, ()):
            yield from _circumstances(words, end, subject, given._replace(recipient=pronoun(*reading)))
        if not clitic and _word(words, end) == "à":
            for to, after in _phrases(words, end + 1, subject):
                yield from _circumstances(words, after, subject, given._replace(recipient=to))


def _circumstances(words: list[str], at: int, subject: Phrase, said: Predicate) -> Iterator[tuple[Predicate, int]]:
    """Quality, place and time, in this order."""
    frame = VERBS[said.verb].frame
    if frame == "be":
        for name, gender, plural in ADJECTIVE_FORMS.get(_word(words, at), ()):
            if (gender, plural) == (subject.gender, subject.plural):
                yield from _timed(words, at + 1, said._replace(quality=name))
    for preposition, french in PREPOSITIONS.items():
        if tuple(words[at : at + len(french)]) == french and (preposition == "to") == (frame == "to"):
            for where, end in _phrases(words, at + len(french), subject):
                yield from _timed(words, end, said._replace(place=(preposition, where)))
    if frame not in ("be", "to"):
        yield from _timed(words, at, said)


def _timed(words: list[str], at: int, said: Predicate) -> Iterator[tuple[Predicate, int]]:
    yield said, at
    if not said.modal:
        for french, english in TIME_WORDS[said.tense].items():
            if tuple(words[at : at + len(french)]) == french:
                yield said._replace(time=english), at + len(french)


def _objects(words: list[str], at: int, subject: Phrase, negated: bool) -> Iterator[tuple[Phrase, int]]:
    """Phrases in a place where negation turns `un`, `des` and `du` into `de`."""
    if not negated:
        yield from _phrases(words, at, subject)
        return
    for phrase, end in _phrases(words, at, subject):
        if phrase.determiner != "a":
            yield phrase, end
    if _word(words, at) == "de":
        yield from _nouns(words, at + 1, "a", None, None)


def _phrases(words: list[str], at: int, owner: Phrase | None) -> Iterator[tuple[Phrase, int]]:
    word = _word(words, at)
    if word in NAMES:
        yield named(word), at + 1
        if _word(words, at + 1) == "et" and _word(words, at + 2) in NAMES:
            yield both(named(word), named(words[at + 2])), at + 3
        return
    for determiner, gender, plural, start in _determiners(words, at, owner):
        for phrase, end in _nouns(words, start, determiner, gender, plural):
            is_mass = NOUNS[phrase.head].kind in ("mass", "drink")
            partitive = word == "de" and not phrase.plural
            if determiner == "a" and is_mass != partitive:
                continue
            # `des petits chats` is not careful French, `de chats` no French at all.
            if determiner == "a" and phrase.plural and bool(phrase.first) != (start == at + 1):
                continue
            yield phrase, end


def _determiners(words: list[str], at: int, owner: Phrase | None) -> Iterator[tuple[str, str | None, bool, int]]:
    """Determiner, gender and number that it asks for, and where the next word is."""
    word, following = _word(words, at), _word(words, at + 1)
    vowel = opens_with_vowel(following)
    if word in ("le", "la", "l'", "les"):
        yield "the", {"le": MASCULINE, "la": FEMININE}.get(word), word == "les", at + 1
    elif word in ("un", "une"):
        yield "a", FEMININE if word == "une" else MASCULINE, False, at + 1
    elif word == "de":
        if following in ("le", "la", "l'", "les"):
            yield "a", {"le": MASCULINE, "la": FEMININE}.get(following), following == "les", at + 2
        yield "a", None, True, at + 1
    elif word in ("ce", "cet", "cette", "ces"):
        if (word, vowel) not in (("ce", True), ("cet", False)):
            yield "this", {"ces": None, "cette": FEMININE}.get(word, MASCULINE), word == "ces", at + 1
    elif word in NUMBER_WORDS:
        yield NUMBER_WORDS[word], None, True, at + 1
    elif word in OWNERS and owner and OWNERS[word] == (owner.person, owner.plural):
        if word in ("mes", "tes", "ses", "nos", "vos", "leurs"):
            yield "own", None, True, at + 1
        elif word in ("notre", "votre", "leur"):
            yield "own", None, False, at + 1
        elif word in ("mon", "ton", "son"):
            yield "own", None if vowel else MASCULINE, False, at + 1
        elif not vowel:
            yield "own", FEMININE, False, at + 1


def _nouns(
    words: list[str], at: int, determiner: str, gender: str | None, plural: bool | None
) -> Iterator[tuple[Phrase, int]]:
    """Adjective, noun, adjective and relative clause, all of one gender and number."""
    for first, start in _first_adjectives(words, at):
        for name, is_plural in NOUN_FORMS.get(_word(words, start), ()):
            of = NOUNS[name].gender
            if gender not in (None, of) or plural not in (None, is_plural):
                continue
            if first and not _fits_before(words[at], first, of, is_plural, words[start]):
                continue
            phrase = Phrase(name, determiner, is_plural, first, gender=of)
            yield from _completed(words, start + 1, phrase)


def _first_adjectives(words: list[str], at: int) -> Iterator[tuple[str, int]]:
    yield "", at
    word = _word(words, at)
    for name in {name for name, _, _ in ADJECTIVE_FORMS.get(word, ())} | {VOWEL_FORMS.get(word, "")} - {""}:
        if ADJECTIVES[name].comes_first:
            yield name, at + 1


def _fits_before(form: str, adjective: str, gender: str, plural: bool, noun: str) -> bool:
    forms = ADJECTIVES[adjective]
    if gender == MASCULINE and not plural and forms.before_vowel != forms.masculine:
        return form == (forms.before_vowel if opens_with_vowel(noun) else forms.masculine)
    return (adjective, gender, plural) in ADJECTIVE_FORMS.get(form, ())


def _completed(words: list[str], at: int, phrase: Phrase) -> Iterator[tuple[Phrase, int]]:
    described = [(phrase, at)]
    for name, gender, plural in ADJECTIVE_FORMS.get(_word(words, at), ()):
        if not ADJECTIVES[name].comes_first and (gender, plural) == (phrase.gender, phrase.plural):
            described.append((phrase._replace(second=name), at + 1))
    for each, end in described:
        yield each, end
        if _word(words, end) == "qui":
            for who, after in _predicates(words, end + 1, each):
                yield each._replace(who=who), after
