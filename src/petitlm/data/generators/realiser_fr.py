"""French sentences from abstract trees: conjugation, agreement, clitics, negation, elision and contraction."""

from __future__ import annotations

from petitlm.data.generators.realiser_trees import Clause, Phrase, Predicate, Sentence
from petitlm.data.generators.realiser_words import (
    ADJECTIVES,
    FEMININE,
    JOINTS,
    NAMES,
    NOUNS,
    NUMBERS,
    PREPOSITIONS,
    TIMES,
    VERBS,
    Verb,
    opens_with_vowel,
)

_SUBJECTS = {(1, False): "je", (2, False): "tu", (1, True): "nous", (2, True): "vous"}
_DIRECT = {(1, False): "me", (2, False): "te", (1, True): "nous", (2, True): "vous", (3, True): "les"}
_INDIRECT = {**_DIRECT, (3, False): "lui", (3, True): "leur"}
# mon, ma, mes by owner.
_OWN = {
    (1, False): ("mon", "ma", "mes"), (2, False): ("ton", "ta", "tes"), (3, False): ("son", "sa", "ses"),
    (1, True): ("notre", "notre", "nos"), (2, True): ("votre", "votre", "vos"), (3, True): ("leur", "leur", "leurs"),
}  # fmt: skip
_FUTURE = ("ai", "as", "a", "ons", "ez", "ont")
_IMPARFAIT = ("ais", "ais", "ait", "ions", "iez", "aient")
_ELIDED = ("le", "la", "de", "ne", "je", "me", "te", "que")
_CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
_TIMES = {en: fr for times in TIMES.values() for en, fr in times.items()}


def french(sentence: Sentence) -> str:
    """The sentence in French, with its capital and its final mark."""
    words = ["est-ce", "que", *_clause(sentence.clause)] if sentence.asks else _clause(sentence.clause)
    if sentence.second:
        comma = [","] if sentence.joint == "but" else []
        words = [*words, *comma, *JOINTS[sentence.joint], *_clause(sentence.second)]
    text = join(words)
    return text[0].upper() + text[1:] + (" ?" if sentence.asks else ".")


def join(words: list[str]) -> str:
    """French words as written together: `l'arbre`, `du jardin`, `qu'elle`."""
    said: list[str] = []
    for word in reversed(words):
        following = said[-1] if said else ""
        if word in _ELIDED and opens_with_vowel(following):
            said[-1] = f"{word[:-1]}'{following}"
        elif (word, following) in _CONTRACTED:
            said[-1] = _CONTRACTED[word, following]
        else:
            said.append(word)
    return " ".join(reversed(said)).replace(" ,", ",")


def conjugated(verb: Verb, tense: str, person: int, plural: bool) -> str:
    """One finite form: tense is present, imparfait or future."""
    index = person - 1 + 3 * plural
    if tense == "present":
        return verb.present[index]
    if tense == "future":
        return verb.future + _FUTURE[index]
    stem, ending = "ét" if verb.fr == "être" else verb.present[3].removesuffix("ons"), _IMPARFAIT[index]
    if stem.endswith("ge") and ending.startswith("i"):
        stem = stem[:-1]  # nous mangions
    return stem + ending


def agreed(adjective: str, gender: str, plural: bool) -> str:
    """The adjective of this English name, for a French gender and number."""
    forms = ADJECTIVES[adjective]
    if plural:
        return forms.feminines if gender == FEMININE else forms.masculines
    return forms.feminine if gender == FEMININE else forms.masculine


def _clause(clause: Clause) -> list[str]:
    return [*_subject(clause.subject), *_said_of(clause.subject, clause.predicate)]


def _said_of(subject: Phrase, predicate: Predicate) -> list[str]:
    return [*_verb_group(subject, predicate), *_after_verb(subject, predicate)]


def _verb_group(subject: Phrase, predicate: Predicate) -> list[str]:
    """From `ne` to the participle or infinitive: `ne les a pas vues`, `ne peut pas l'aider`."""
    verb = VERBS[predicate.verb]
    ne, pas = (["ne"], ["pas"]) if predicate.negated else ([], [])
    clitic = _clitic(predicate)
    key = subject.person, subject.plural
    if predicate.modal:
        return [*ne, conjugated(VERBS[predicate.modal], "present", *key), *pas, *clitic, verb.fr]
    if predicate.tense == "past" and not verb.is_state:
        auxiliary = VERBS["be" if verb.takes_etre else "have"]
        finite = conjugated(auxiliary, "present", *key)
        return [*ne, *clitic, finite, *pas, _participle(verb, subject, predicate)]
    tense = "imparfait" if predicate.tense == "past" else predicate.tense
    return [*ne, *clitic, conjugated(verb, tense, *key), *pas]


def _participle(verb: Verb, subject: Phrase, predicate: Predicate) -> str:
    """Agrees with the subject after être, with a direct object said before it after avoir."""
    target = subject if verb.takes_etre else predicate.object
    if target is None or not (verb.takes_etre or target.is_pronoun):
        return verb.participle
    form = verb.participle + ("e" if target.gender == FEMININE else "")
    return form + ("s" if target.plural and not form.endswith("s") else "")


def _clitic(predicate: Predicate) -> list[str]:
    direct, indirect = predicate.object, predicate.recipient
    if direct and direct.is_pronoun:
        return [_DIRECT.get((direct.person, direct.plural), "la" if direct.gender == FEMININE else "le")]
    if indirect and indirect.is_pronoun:
        return [_INDIRECT[indirect.person, indirect.plural]]
    return []


def _after_verb(subject: Phrase, predicate: Predicate) -> list[str]:
    words: list[str] = []
    if predicate.object and not predicate.object.is_pronoun:
        words += _phrase(predicate.object, subject, predicate.negated)
    if predicate.recipient and not predicate.recipient.is_pronoun:
        words += ["à", *_phrase(predicate.recipient, subject)]
    if predicate.quality:
        words.append(agreed(predicate.quality, subject.gender, subject.plural))
    if predicate.place:
        preposition, where = predicate.place
        words += [*PREPOSITIONS[preposition], *_phrase(where, subject)]
    if predicate.time:
        words.append(_TIMES[predicate.time])
    if predicate.that:
        words += ["que", *_clause(predicate.that)]
    return words


def _subject(phrase: Phrase) -> list[str]:
    if phrase.is_pronoun:
        third = ("elle" if phrase.gender == FEMININE else "il") + ("s" if phrase.plural else "")
        return [_SUBJECTS.get((phrase.person, phrase.plural), third)]
    return _phrase(phrase, phrase)


def _phrase(phrase: Phrase, owner: Phrase, negated: bool = False) -> list[str]:
    if phrase.head in NAMES:
        return [phrase.head, *(["et", *_phrase(phrase.other, owner)] if phrase.other else [])]
    noun = NOUNS[phrase.head]
    head = noun.fr_plural if phrase.plural else noun.fr
    words = [head]
    if phrase.first:
        words.insert(0, _before(phrase, head))
    if phrase.second:
        words.append(agreed(phrase.second, noun.gender, phrase.plural))
    words[:0] = _determiner(phrase, owner, negated, words[0])
    if phrase.who:
        words += ["qui", *_said_of(phrase, phrase.who)]
    return words


def _before(phrase: Phrase, head: str) -> str:
    """`bel` and its like before a masculine noun that opens with a vowel."""
    forms = ADJECTIVES[phrase.first]
    masculine = NOUNS[phrase.head].gender != FEMININE
    if masculine and not phrase.plural and opens_with_vowel(head):
        return forms.before_vowel
    return agreed(phrase.first, NOUNS[phrase.head].gender, phrase.plural)


def _determiner(phrase: Phrase, owner: Phrase, negated: bool, following: str) -> list[str]:
    is_feminine = NOUNS[phrase.head].gender == FEMININE
    vowel = opens_with_vowel(following)
    if phrase.determiner in NUMBERS:
        return [NUMBERS[phrase.determiner][1]]
    if phrase.determiner == "the":
        return ["les" if phrase.plural else "la" if is_feminine else "le"]
    if phrase.determiner == "this":
        return ["ces" if phrase.plural else "cette" if is_feminine else "cet" if vowel else "ce"]
    if phrase.determiner == "own":
        masculine, feminine, plural = _OWN[owner.person, owner.plural]
        return [plural if phrase.plural else feminine if is_feminine and not vowel else masculine]
    if negated:
        return ["de"]
    if NOUNS[phrase.head].kind in ("mass", "drink"):
        return ["de", "la" if is_feminine else "le"]
    if phrase.plural:
        # `des`, but `de petits chats`: the rule of careful writing.
        return ["de"] if phrase.first else ["des"]
    return ["une" if is_feminine else "un"]
