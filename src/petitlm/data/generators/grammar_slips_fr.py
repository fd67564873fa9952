"""French slips: ways to put one mistake into a correct sentence. Whether it is one, the strict reader decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from petitlm.data.generators.realiser_forms_fr import (
    ADJECTIVE_FORMS,
    FINITE,
    INFINITIVES,
    NOUN_FORMS,
    PARTICIPLES,
)
from petitlm.data.generators.realiser_fr import conjugated, join
from petitlm.data.generators.realiser_read_fr import words_of
from petitlm.data.generators.realiser_words import ADJECTIVES, FEMININE, NAMES, NOUNS, VERBS

# Each is a noun of either gender, with two meanings, or a colour: its article cannot be called wrong.
_BOTH_GENDERS = {"livre", "souris", "orange", "cerise", "citron"}
_SWAPPED_ARTICLES = {"le": "la", "la": "le", "un": "une", "une": "un", "ce": "cette", "cette": "ce", "cet": "cette"}
_BEFORE_VOWEL = {"cet": "ce", "bel": "beau", "vieil": "vieux", "nouvel": "nouveau"}
_OWN_BEFORE_VOWEL = {"mon": "ma", "ton": "ta", "son": "sa"}
_DIRECT_TO_INDIRECT = {"le": "lui", "la": "lui", "les": "leur", "lui": "le", "leur": "les"}
_CLITICS = ("le", "la", "les", "me", "te", "lui", "leur")
_SURELY_ETRE = ("allé", "parti", "arrivé")

Slip = Callable[[list[str]], Iterator[list[str]]]
"""Words with elision and contraction undone to every way of getting one of them wrong."""


def slips(kind: str, body: str) -> list[str]:
    """Every way to make a mistake of this kind in a sentence without its mark."""
    if kind in _IN_TEXT:
        return list(_IN_TEXT[kind](body))
    plain = body if body.split()[0] in NAMES else body[0].lower() + body[1:]
    words = _without_elision(words_of(plain))
    changed = (join(wrong) for wrong in _IN_WORDS[kind](words))
    return [text[0].upper() + text[1:] for text in changed]


def _without_elision(words: list[str]) -> list[str]:
    """`l'` as `le` or `la`, so that `join` can elide it again."""
    return [_article(after) if word == "l'" else word for word, after in zip(words, [*words[1:], ""], strict=False)]


def _article(word: str) -> str:
    return "la" if any(NOUNS[name].gender == FEMININE for name, _ in NOUN_FORMS.get(word, ())) else "le"


def _with(words: list[str], at: int, *new: str) -> list[str]:
    return [*words[:at], *new, *words[at + 1 :]]


def _swapped(table: dict[str, str]) -> Slip:
    def swap(words: list[str]) -> Iterator[list[str]]:
        for at, word in enumerate(words):
            if word in table:
                yield _with(words, at, table[word])

    return swap


def _articles(words: list[str]) -> Iterator[list[str]]:
    for at, word in enumerate(words[:-1]):
        named = next((after for after in words[at + 1 : at + 3] if after in NOUN_FORMS), "")
        if word in _SWAPPED_ARTICLES and named and named not in _BOTH_GENDERS:
            yield _with(words, at, _SWAPPED_ARTICLES[word])


def _agreements(words: list[str], places: slice = slice(None)) -> Iterator[list[str]]:
    """Another person or number of a finite verb, in its tense."""
    for at in range(len(words))[places]:
        for name, tense, person, plural in sorted(FINITE.get(words[at], ()), key=lambda form: -form[2])[:1]:
            if words[at] in NOUN_FORMS or words[at] in ADJECTIVE_FORMS or words[at - 1] in ("le", "la", "les", "un"):
                continue
            yield _with(words, at, conjugated(VERBS[name], tense, person, not plural))
            if person != 3:
                yield _with(words, at, conjugated(VERBS[name], tense, 3, plural))


def _far_agreements(words: list[str]) -> Iterator[list[str]]:
    """The verb of the main clause, after a relative clause that stands between it and its subject."""
    finite = [at for at, word in enumerate(words) if word in FINITE and word not in NOUN_FORMS]
    if "qui" in words and len(finite) > 1:
        yield from _agreements(words, slice(finite[-1], finite[-1] + 1))


def _noun_numbers(words: list[str]) -> Iterator[list[str]]:
    for at, word in enumerate(words):
        for name, plural in NOUN_FORMS.get(word, ()):
            other = NOUNS[name].fr if plural else NOUNS[name].fr_plural
            if other not in ("-", word) and at and words[at - 1] not in ("ne", "se"):
                yield _with(words, at, other)


def _adjectives(words: list[str]) -> Iterator[list[str]]:
    for at, word in enumerate(words):
        for name, _, _ in ADJECTIVE_FORMS.get(word, ())[:1]:
            if words[at - 1] in ("a", "ai", "as", "avons", "avez", "ont"):
                continue  # a participle
            forms = ADJECTIVES[name]
            for form in {forms.masculine, forms.feminine, forms.masculines, forms.feminines} - {word}:
                yield _with(words, at, form)


def _negations(words: list[str]) -> Iterator[list[str]]:
    if "ne" in words and "pas" in words:
        ne, pas = words.index("ne"), words.index("pas")
        yield _with(words, ne)
        without = _with(words, pas)
        yield [*without[: ne + 1], "pas", *without[ne + 1 :]]


def _auxiliaries(words: list[str]) -> Iterator[list[str]]:
    for at, word in enumerate(words):
        following = [after for after in words[at + 1 : at + 3] if after != "pas"]
        if following and following[0].rstrip("es") in _SURELY_ETRE and word in FINITE:
            name, tense, person, plural = FINITE[word][0]
            if name == "be" and tense == "present":
                yield _with(words, at, conjugated(VERBS["have"], tense, person, plural))


def _participles(words: list[str]) -> Iterator[list[str]]:
    """Another gender or number of a participle after its auxiliary."""
    for at in _compound_places(words):
        stem = VERBS[PARTICIPLES[words[at]][0][0]].participle
        plural = stem if stem.endswith("s") else f"{stem}s"
        for form in sorted({stem, f"{stem}e", plural, f"{stem}es"} - {words[at]}):
            yield _with(words, at, form)


def _compound_places(words: list[str]) -> list[int]:
    auxiliaries = {form for form, readings in FINITE.items() if readings[0][0] in ("have", "be")}
    return [
        at
        for at, word in enumerate(words)
        if word in PARTICIPLES and at and (words[at - 1] in auxiliaries or words[max(0, at - 2)] in auxiliaries)
        and words[at - 1] in (*auxiliaries, "pas")
    ]  # fmt: skip


def _infinitives(words: list[str]) -> Iterator[list[str]]:
    """`il veut mangé`, `elle a manger`: they sound alike."""
    for at, word in enumerate(words):
        if word in INFINITIVES and word.endswith("er"):
            yield _with(words, at, f"{word[:-2]}é")
    for at in _compound_places(words):
        verb = VERBS[PARTICIPLES[words[at]][0][0]]
        if verb.participle.endswith("é") and verb.fr.endswith("er"):
            yield _with(words, at, verb.fr)


def _sound_alikes(words: list[str]) -> Iterator[list[str]]:
    """`a` and `à`, `et` and `est`, `son` and `sont`."""
    for at, word in enumerate(words[:-1]):
        if word == "a" or (word == "à" and words[at + 1] != "le"):
            yield _with(words, at, "à" if word == "a" else "a")
        for one, other in (("et", "est"), ("son", "sont")):
            if word in (one, other):
                yield _with(words, at, other if word == one else one)


def _clitic_places(words: list[str]) -> list[int]:
    verbs = FINITE.keys() | INFINITIVES.keys()
    return [
        at
        for at, word in enumerate(words[:-1])
        if at and word in _CLITICS and words[at + 1] in verbs and words[at + 1] not in NOUN_FORMS
    ]


def _misplaced_clitics(words: list[str]) -> Iterator[list[str]]:
    for at in _clitic_places(words):
        if words[at - 1] != "ne":
            yield [*words[:at], words[at + 1], words[at], *words[at + 2 :]]


def _wrong_clitics(words: list[str]) -> Iterator[list[str]]:
    for at in _clitic_places(words):
        if words[at] in _DIRECT_TO_INDIRECT:
            yield _with(words, at, _DIRECT_TO_INDIRECT[words[at]])


def _unelided(body: str) -> Iterator[str]:
    for found in re.finditer(r"\b([ldnmtj]|qu)'(\w+)", body, re.IGNORECASE):
        short = found[1].lower()
        whole = _article(found[2]) if short == "l" else f"{short}e"
        whole = whole.capitalize() if found[1][0].isupper() else whole
        yield f"{body[: found.start()]}{whole} {found[2]}{body[found.end() :]}"


def _uncontracted(body: str) -> Iterator[str]:
    for joined, apart in (("du", "de le"), ("au", "à le")):
        if f" {joined} " in body:
            yield body.replace(f" {joined} ", f" {apart} ", 1)


_IN_TEXT: dict[str, Callable[[str], Iterator[str]]] = {"elision": _unelided, "contraction": _uncontracted}
_IN_WORDS: dict[str, Slip] = {
    "article": _articles,
    "agreement": _agreements,
    "far-agreement": _far_agreements,
    "noun-number": _noun_numbers,
    "adjective": _adjectives,
    "negation": _negations,
    "vowel-form": _swapped(_BEFORE_VOWEL),
    "possessive": _swapped(_OWN_BEFORE_VOWEL),
    "auxiliary": _auxiliaries,
    "participle": _participles,
    "infinitive": _infinitives,
    "sound-alike": _sound_alikes,
    "clitic-place": _misplaced_clitics,
    "clitic-case": _wrong_clitics,
}
