"""Grammar in English and French: the generator of minimal pairs, a sentence and the same with one mistake (`foil`).

Levels: 0 articles, nouns, elision; 1 the verb agrees with its subject; 2 adjectives and negation; 3 past and future,
auxiliaries, contraction; 4 pronouns, possession, verbs after verbs; 5 agreement across a relative clause or with an
object said before the verb, questions.
Three ways to ask: which of two sentences is right, put a named part right, fill in a verb.
"""

from __future__ import annotations

from random import Random

from petitlm.data.generators import grammar_slips_en, grammar_slips_fr
from petitlm.data.generators.realiser_en import english
from petitlm.data.generators.realiser_fr import french
from petitlm.data.generators.realiser_read_en import read_english
from petitlm.data.generators.realiser_read_fr import read_french
from petitlm.data.generators.realiser_trees import Phrase, Predicate, Sentence
from petitlm.data.generators.realiser_words import NAMES, VERBS, Verb
from petitlm.data.generators.sentences import draw_sentence
from petitlm.data.record import Problem

FAMILY = "grammar"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 3, 3, 3, 3)
FORM = "pair"

_SAY = {"en": english, "fr": french}
_READ = {"en": read_english, "fr": read_french}
_SLIPS = {"en": grammar_slips_en.slips, "fr": grammar_slips_fr.slips}

# Kinds of mistakes of each level, with the levels of the sentences that they are put into.
_KINDS: dict[str, tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]] = {
    "en": (
        (("article", (1,)), ("noun-number", (1, 2)), ("demonstrative", (1,))),
        (("agreement", (0, 1, 1, 1)),),
        (("order", (2,)), ("negation", (2,)), ("agreement", (2,))),
        (("past", (3,)), ("after-do", (3,)), ("after-will", (3,))),
        (("pronoun", (4,)), ("modal", (4,))),
        (("far-agreement", (5,)), ("after-do", (4,)), ("pronoun", (5,))),
    ),
    "fr": (
        (("article", (1,)), ("elision", (1,)), ("noun-number", (1,))),
        (("agreement", (0, 1, 1, 1)),),
        (("adjective", (0, 2)), ("negation", (2,)), ("vowel-form", (2,))),
        (("auxiliary", (3,)), ("participle", (3,)), ("contraction", (1, 3)), ("sound-alike", (3,))),
        (("clitic-place", (4,)), ("clitic-case", (4,)), ("possessive", (4,)), ("infinitive", (4,))),
        (("far-agreement", (5,)), ("participle", (5,)), ("elision", (5,)), ("agreement", (5,))),
    ),
}
_CAN_FILL = ("agreement", "far-agreement", "past")
# What one is asked to put right; of the kinds left out there would be several ways.
_PARTS = {
    "en": {
        "article": "the article", "noun-number": "the noun", "demonstrative": "this or these",
        "order": "the word order",
        "negation": "the negation", "past": "the past tense", "after-do": "the verb", "after-will": "the future",
        "pronoun": "the pronoun", "modal": "the verb",
    },
    "fr": {
        "article": "l'article", "elision": "l'élision", "noun-number": "le nom", "adjective": "l'adjectif",
        "negation": "la négation", "vowel-form": "le mot devant la voyelle", "auxiliary": "l'auxiliaire",
        "participle": "l'accord du participe passé", "contraction": "l'article contracté",
        "sound-alike": "le mot mal écrit", "clitic-place": "la place du pronom", "clitic-case": "le pronom",
        "possessive": "le possessif", "infinitive": "la terminaison du verbe",
    },
}  # fmt: skip
_ASK = {
    "en": {
        "choose": ("Which sentence is correct? (1) {a} (2) {b}", "Only one of these is good English. (1) {a} (2) {b}",
                   "Find the sentence without a mistake. (1) {a} (2) {b}"),
        "repair": ("Correct {part}: {foil}", "Put {part} right: {foil}", "There is one mistake, in {part}: {foil}",
                   "Write this again with {part} corrected: {foil}", "Only {part} is wrong here: {foil}"),
        "fill": ("Complete with the verb “{verb}” in the {tense}: {blank}", "Fill in “{verb}”, {tense}: {blank}"),
    },
    "fr": {
        "choose": ("Quelle phrase est correcte ? (1) {a} (2) {b}",
                   "Une seule de ces phrases est juste. (1) {a} (2) {b}",
                   "Trouve la phrase sans faute. (1) {a} (2) {b}"),
        "repair": ("Corrige {part} : {foil}", "Il y a une faute ; corrige {part} : {foil}",
                   "Récris la phrase en corrigeant {part} : {foil}", "Retrouve la faute et corrige {part} : {foil}"),
        "fill": ("Complète avec le verbe « {verb} » {tense} : {blank}",
                 "Écris le verbe « {verb} » {tense} : {blank}"),
    },
}  # fmt: skip
_TENSES = {
    "en": {"present": "present", "past": "past", "future": "future"},
    "fr": {"present": "au présent", "past": "au passé composé", "state": "à l'imparfait", "future": "au futur"},
}

# Training sees these kinds of mistakes, and these subjects, but never together.
_HELD_OUT = {
    "article": "name", "noun-number": "pair", "demonstrative": "nouns", "agreement": "pair", "order": "pair",
    "negation": "nouns", "past": "nouns", "after-do": "noun", "after-will": "pair", "pronoun": "name",
    "modal": "pair", "far-agreement": "nouns", "elision": "pair", "adjective": "pair", "vowel-form": "nouns",
    "auxiliary": "nouns", "participle": "pair", "contraction": "noun", "sound-alike": "noun", "clitic-place": "pair",
    "clitic-case": "noun", "possessive": "pair", "infinitive": "nouns",
}  # fmt: skip


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a kind of mistake with a kind of subject."""
    kind, subject, _ = structure.split("/")
    return _HELD_OUT[kind] == subject


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one minimal pair and a question about it; with `held_out`, of a structure that training never sees."""
    while True:
        kind, levels = rng.choice(_KINDS[language][level])
        sentence = draw_sentence(rng, rng.choice(levels))
        subject = _subject(sentence.clause.subject)
        if (_HELD_OUT[kind] == subject) != held_out:
            continue
        answer = _SAY[language](sentence)
        foils = [foil for foil in _foils(language, kind, answer) if not _READ[language](foil)]
        if foils:
            foil = rng.choice(foils)
            ask, question = _asked(rng, language, kind, sentence, answer, foil)
            key = f"{FAMILY}:{language}:{kind}:{answer}|{foil}"
            return Problem(FAMILY, language, level, f"{kind}/{subject}/{ask}", key, question, answer, "", foil)


def _foils(language: str, kind: str, answer: str) -> list[str]:
    mark = " ?" if answer.endswith(" ?") else answer[-1]
    made = _SLIPS[language](kind, answer.removesuffix(mark))
    return sorted({foil + mark for foil in made} - {answer})


def _subject(phrase: Phrase) -> str:
    if phrase.is_pronoun:
        return "pronoun"
    if phrase.head in NAMES:
        return "pair" if phrase.other else "name"
    return "nouns" if phrase.plural else "noun"


def _asked(
    rng: Random, language: str, kind: str, sentence: Sentence, answer: str, foil: str
) -> tuple[str, str]:
    """How it is asked for, and the question."""
    ways = ["choose"]
    if kind in _PARTS[language] and _has_one_repair(language, kind, answer, foil):
        ways += ["repair", "repair"]
    filled = _blank(language, sentence, answer) if kind in _CAN_FILL else None
    ask = rng.choice([*ways, "fill", "fill"] if filled else ways)
    template = rng.choice(_ASK[language][ask])
    if ask == "choose":
        a, b = rng.sample((answer, foil), 2)
        return ask, template.format(a=a, b=b)
    if ask == "repair":
        return ask, template.format(part=_PARTS[language][kind], foil=foil)
    verb, tense, blank = filled or ("", "", "")
    return ask, template.format(verb=verb, tense=tense, blank=blank)


def _has_one_repair(language: str, kind: str, answer: str, foil: str) -> bool:
    """`Tu es intelligentes.` has two: it could be a man or a woman."""
    return {answer}.issuperset(text for text in _foils(language, kind, foil) if _READ[language](text))


def _blank(language: str, sentence: Sentence, answer: str) -> tuple[str, str, str] | None:
    """The verb, its tense, and the sentence with a blank for it; None where verb and subject are not side by side."""
    said = sentence.clause.predicate
    if said.negated or said.modal or sentence.asks or sentence.second or said.that:
        return None
    if any(phrase and phrase.is_pronoun for phrase in (said.object, said.recipient, sentence.clause.subject)):
        return None
    verb = VERBS[said.verb]
    is_state = said.tense == "past" and verb.is_state
    tense = _TENSES[language]["state" if is_state and language == "fr" else said.tense]
    for form in _forms_en(verb, said.tense) if language == "en" else [_form_fr(sentence)]:
        start = answer.rfind(f" {form}")
        end = start + 1 + len(form)
        if start > 0 and answer[end] in " .":
            return verb.en if language == "en" else verb.fr, tense, f"{answer[: start + 1]}___{answer[end:]}"
    return None


def _forms_en(verb: Verb, tense: str) -> list[str]:
    if tense == "future":
        return [f"will {verb.en}"]
    if verb.en == "be":
        return ["is", "are"] if tense == "present" else ["was", "were"]
    return [verb.en_s, verb.en] if tense == "present" else [verb.en_past]


def _form_fr(sentence: Sentence) -> str:
    """The verb with its auxiliary, as it is said of this subject."""
    clause, said = sentence.clause, sentence.clause.predicate
    alone = said._replace(object=None, recipient=None, quality="", place=None, time="")
    texts = [french(Sentence(clause._replace(predicate=each)))[:-1] for each in (alone, Predicate("sleep"))]
    return texts[0].removeprefix(texts[1].rsplit(" ", 1)[0] + " ")
