"""Short sentences to translate, English and French: the generator. One abstract tree, said by two realisers.

The language of a problem is that of the request; the sentence goes from English to French or back. A sentence is asked
for only if each of its readings has the translation given: `They sleep.` is not, for French must say who they are.
Levels: 0 a quality or a place; 1 what somebody does; 2 adjectives, negation, numbers; 3 past and future, times, ways;
4 pronouns as objects, questions, possession, can and must and want, giving; 5 two clauses.
"""

from __future__ import annotations

from random import Random

from petitlm.data.generators.realiser_en import english
from petitlm.data.generators.realiser_fr import french
from petitlm.data.generators.realiser_read_en import read_english
from petitlm.data.generators.realiser_read_fr import read_french
from petitlm.data.generators.realiser_trees import Clause, Phrase, Predicate, Sentence
from petitlm.data.generators.realiser_words import NAMES, NOUNS, NUMBERS, VERBS
from petitlm.data.generators.sentences import draw_sentence
from petitlm.data.record import Problem

FAMILY = "translation"
VERSION = 1
LEVEL_WEIGHTS = (1, 2, 3, 3, 3, 3)
FORM = "pair"

_REQUESTS = {
    ("en", "French"): (
        "Translate into French: {}", "Put this into French: {}", "How do you say this in French? {}",
        "Say it in French: {}", "What is this in French? {}", "Give the French for this sentence: {}",
    ),
    ("en", "English"): (
        "Translate into English: {}", "Put this into English: {}", "How do you say this in English? {}",
        "Say it in English: {}", "What is this in English? {}", "Give the English for this sentence: {}",
    ),
    ("fr", "French"): (
        "Traduis en français : {}", "Mets cette phrase en français : {}", "Comment dit-on cela en français ? {}",
        "Dis-le en français : {}", "Que donne cette phrase en français ? {}", "Donne la traduction française : {}",
    ),
    ("fr", "English"): (
        "Traduis en anglais : {}", "Mets cette phrase en anglais : {}", "Comment dit-on cela en anglais ? {}",
        "Dis-le en anglais : {}", "Que donne cette phrase en anglais ? {}", "Donne la traduction anglaise : {}",
    ),
}  # fmt: skip

# Features that training sees, but never together.
_HELD_OUT = tuple(
    map(
        frozenset,
        (
            ("noun", "behind"), ("name", "in front of"), ("nouns", "mass"), ("pair", "this"), ("number", "not"),
            ("future", "not", "name"), ("past", "to", "noun"), ("asks", "own"), ("modal", "clitic"), ("to me", "past"),
            ("because", "not"), ("reports", "future"), ("who", "quality"),
        ),
    )
)  # fmt: skip


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: features that each occur there, but not together."""
    features = set(structure.split("/")[1].split("+"))
    return any(together <= features for together in _HELD_OUT)


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one sentence with its translation; with `held_out`, of a structure that training never sees."""
    while True:
        sentence = draw_sentence(rng, level)
        structure = "+".join(features(sentence))
        if is_held_out(f"/{structure}") != held_out:
            continue
        en, fr = english(sentence), french(sentence)
        into = rng.choice(("French", "English"))
        readings = {"French": read_english(en), "English": read_french(fr)}[into]
        said = french if into == "French" else english
        if len({said(reading) for reading in readings}) == 1:
            break
    source, answer = (en, fr) if into == "French" else (fr, en)
    question = rng.choice(_REQUESTS[language, into]).format(source)
    return Problem(FAMILY, language, level, f"{into}/{structure}", f"{FAMILY}:{en}|{fr}", question, answer)


def features(sentence: Sentence) -> list[str]:
    """What a sentence is made of, without its words: its structure."""
    found = [*_of_clause(sentence.clause), *(["asks"] if sentence.asks else [])]
    if sentence.second:
        found += [sentence.joint, *(f for f in _of_clause(sentence.second) if f not in found)]
    return found


def _of_clause(clause: Clause) -> list[str]:
    return [_subject(clause.subject), *(["who"] if clause.subject.who else []), *_said(clause.predicate)]


def _subject(phrase: Phrase) -> str:
    if phrase.is_pronoun:
        return "they" if phrase.person == 3 and phrase.plural else f"person {phrase.person}"
    if phrase.head in NAMES:
        return "pair" if phrase.other else "name"
    return "nouns" if phrase.plural else "noun"


def _said(said: Predicate) -> list[str]:
    found = [said.tense, *(["not"] if said.negated else []), *(["modal"] if said.modal else [])]
    if said.quality:
        found.append("quality")
    if said.place:
        found.append(said.place[0])
    if said.that:
        found += ["reports", *(f for f in _said(said.that.predicate) if f not in found)]
    found += _of_object(said.object)
    if said.recipient:
        found.append("to me" if said.recipient.is_pronoun else "to somebody")
    return [*found, *(["alone"] if not VERBS[said.verb].frame else [])]


def _of_object(phrase: Phrase | None) -> list[str]:
    if phrase is None:
        return []
    if phrase.is_pronoun:
        return ["clitic"]
    if phrase.head in NAMES:
        return ["named"]
    if NOUNS[phrase.head].kind in ("mass", "drink"):
        return ["mass"]
    return ["number" if phrase.determiner in NUMBERS else phrase.determiner, *(["things"] if phrase.plural else [])]
