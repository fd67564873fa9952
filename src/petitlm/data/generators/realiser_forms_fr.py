"""French words by their form: what each may be, for the reader."""

from __future__ import annotations

from collections import defaultdict

from petitlm.data.generators.realiser_fr import conjugated
from petitlm.data.generators.realiser_words import ADJECTIVES, FEMININE, MASCULINE, NOUNS, NUMBERS, TIMES, VERBS

_GENDERS = (MASCULINE, FEMININE)
SUBJECTS = {
    "je": [(1, False, g) for g in _GENDERS], "tu": [(2, False, g) for g in _GENDERS], "il": [(3, False, MASCULINE)],
    "elle": [(3, False, FEMININE)], "nous": [(1, True, g) for g in _GENDERS], "vous": [(2, True, g) for g in _GENDERS],
    "ils": [(3, True, MASCULINE)], "elles": [(3, True, FEMININE)],
}  # fmt: skip
DIRECT = {
    "le": [(3, False, MASCULINE)], "la": [(3, False, FEMININE)], "l'": [(3, False, g) for g in _GENDERS],
    "les": [(3, True, g) for g in _GENDERS], "me": SUBJECTS["je"], "te": SUBJECTS["tu"], "nous": SUBJECTS["nous"],
    "vous": SUBJECTS["vous"],
}  # fmt: skip
INDIRECT = {
    "lui": [(3, False, g) for g in _GENDERS], "leur": [(3, True, g) for g in _GENDERS], "me": SUBJECTS["je"],
    "te": SUBJECTS["tu"], "nous": SUBJECTS["nous"], "vous": SUBJECTS["vous"],
}  # fmt: skip
OWNERS = {
    "mon": (1, False), "ma": (1, False), "mes": (1, False), "ton": (2, False), "ta": (2, False), "tes": (2, False),
    "son": (3, False), "sa": (3, False), "ses": (3, False), "notre": (1, True), "nos": (1, True),
    "votre": (2, True), "vos": (2, True), "leur": (3, True), "leurs": (3, True),
}  # fmt: skip
NUMBER_WORDS = {fr: digits for digits, (_, fr) in NUMBERS.items()}
TIME_WORDS = {tense: {tuple(fr.split()): en for en, fr in times.items()} for tense, times in TIMES.items()}

NOUN_FORMS: dict[str, list[tuple[str, bool]]] = defaultdict(list)
for _noun in NOUNS.values():
    NOUN_FORMS[_noun.fr].append((_noun.en, False))
    if _noun.fr_plural != "-":
        NOUN_FORMS[_noun.fr_plural].append((_noun.en, True))
# Form to adjective, gender, plural.
ADJECTIVE_FORMS: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
for _adj in ADJECTIVES.values():
    for _form, _gender, _plural in (
        (_adj.masculine, MASCULINE, False), (_adj.feminine, FEMININE, False),
        (_adj.masculines, MASCULINE, True), (_adj.feminines, FEMININE, True),
    ):  # fmt: skip
        ADJECTIVE_FORMS[_form].append((_adj.en, _gender, _plural))
VOWEL_FORMS = {adj.before_vowel: adj.en for adj in ADJECTIVES.values() if adj.before_vowel != adj.masculine}
# Finite form to verb, tense, person, plural; participle to verb, gender, plural; infinitive to verb.
FINITE: dict[str, list[tuple[str, str, int, bool]]] = defaultdict(list)
PARTICIPLES: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
INFINITIVES = {verb.fr: verb.en for verb in VERBS.values()}
for _verb in VERBS.values():
    for _tense in ("present", "imparfait", "future"):
        for _person in (1, 2, 3):
            for _plural in (False, True):
                FINITE[conjugated(_verb, _tense, _person, _plural)].append((_verb.en, _tense, _person, _plural))
    _stem = _verb.participle
    for _form, _gender, _plural in (
        (_stem, MASCULINE, False), (f"{_stem}e", FEMININE, False),
        (_stem if _stem.endswith("s") else f"{_stem}s", MASCULINE, True), (f"{_stem}es", FEMININE, True),
    ):  # fmt: skip
        PARTICIPLES[_form].append((_verb.en, _gender, _plural))
