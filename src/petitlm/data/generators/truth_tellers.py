"""Who lies? People who always tell the truth or always lie, and what they say, English and French: the generator.

Kinds are drawn for everybody, then statements that fit them, until only one share of kinds fits all of them.
Levels: 0 two people, one of whom is known; 1 two, about each other or both; 2 three, about one other each; 3 three,
with and, or, counts; 4 four, the same; 5 five, with if.
"""

from __future__ import annotations

from itertools import product
from random import Random
from typing import NamedTuple

from petitlm.data.generators.puzzle_words import Entity, draw_people, fill, listed
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "truth-tellers"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 4, 4, 3, 3)
CATEGORY = "logic"

_SIZES = (2, 2, 3, 3, 4, 5)
_FORMS = (
    ("is", "is-not"),
    ("is", "same", "other", "both", "one"),
    ("is", "is-not", "same", "other"),
    ("is", "same", "other", "and", "or", "count"),
    ("is", "other", "and", "or", "count", "same"),
    ("is", "and", "or", "count", "if", "other"),
)
_ASKS = ("who-lies", "who-tells-truth", "is-liar", "is-truthful", "how-many")
_HELD_OUT = frozenset(
    {("is-liar", "village"), ("who-lies", "robots"), ("how-many", "island"), ("who-tells-truth", "trial")}
)

SCENES = {
    "en": {
        "island": "On an island, everybody either always tells the truth or always lies. {all} live there.",
        "village": "{all} come from a strange village: each of them always tells the truth or always lies.",
        "robots": "{all} are talking robots. Each always says what is true or always what is false.",
        "trial": "A judge listens to {all}. Each of them either always lies or always tells the truth.",
    },
    "fr": {
        "island": "Sur une île, chacun dit toujours la vérité ou ment toujours. {all} y habitent.",
        "village": "{all} viennent d'un drôle de village : chacun y dit toujours la vérité ou y ment toujours.",
        "robots": "{all} sont des robots qui parlent. Chacun dit toujours le vrai ou toujours le faux.",
        "trial": "Un juge écoute {all}. Chaque témoin ment toujours ou dit toujours la vérité.",
    },
}
_SAYS = {
    "en": ("{s} says: \"{said}\"", "{s}: \"{said}\"", "\"{said}\" says {s}."),
    "fr": ("{s} dit : « {said} »", "{s} : « {said} »", "{s} affirme : « {said} »"),
}
_KNOWN = {
    "en": {True: "It is known that {a} tells the truth.", False: "It is known that {a} lies."},
    "fr": {True: "On sait {que_a} dit la vérité.", False: "On sait {que_a} ment."},
}
_STATE = {
    "en": {
        "is1": "{a} tells the truth", "is0": "{a} lies", "is-not1": "{a} does not tell the truth",
        "is-not0": "{a} does not lie", "same": "{a} and I are of the same kind",
        "other": "{a} and I are of different kinds",
        "both1": "We both tell the truth", "both0": "We both lie", "one1": "At least one of us tells the truth",
        "one0": "At least one of us lies", "and": "{x} and {y}", "or": "{x} or {y}", "if": "If {x}, then {y}",
        "count1": "Exactly {k} of us tell the truth", "count0": "Exactly {k} of us lie",
    },
    "fr": {
        "is1": "{a} dit la vérité", "is0": "{a} ment", "is-not1": "{a} ne dit pas la vérité",
        "is-not0": "{a} ne ment pas",
        "same": "{a} et moi, nous sommes de la même sorte",
        "other": "{a} et moi, nous sommes de sortes différentes",
        "both1": "Aucun de nous ne ment", "both0": "Aucun de nous ne dit la vérité",
        "one1": "Au moins un de nous dit la vérité", "one0": "Au moins un de nous ment",
        "and": "{x} et {y}", "or": "{x} ou {y}", "if": "Si {x}, alors {y}",
        "count1": "Exactement {k} d'entre nous disent la vérité", "count0": "Exactement {k} d'entre nous mentent",
    },
}  # fmt: skip
_COUNTS = {
    "en": ("none", "one", "two", "three", "four", "five"),
    "fr": ("aucun", "un", "deux", "trois", "quatre", "cinq"),
}
_ASK = {
    "en": {"who-lies": "Who lies?", "who-tells-truth": "Who tells the truth?", "is-liar": "Does {a} lie?",
           "is-truthful": "Does {a} tell the truth?", "how-many": "How many of them lie?"},
    "fr": {"who-lies": "Qui ment ?", "who-tells-truth": "Qui dit la vérité ?", "is-liar": "Est-ce {que_a} ment ?",
           "is-truthful": "Est-ce {que_a} dit la vérité ?", "how-many": "Combien y a-t-il de menteurs ?"},
}  # fmt: skip


class Claim(NamedTuple):
    """What somebody says: its form, the people in it by number, and a truth value or count."""

    form: str
    who: tuple[int, ...] = ()
    value: int = 0
    parts: tuple[Claim, ...] = ()


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a question that is never asked in its scene there."""
    ask, scene, _ = structure.split("/", 2)
    return (ask, scene) in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one puzzle; with `held_out`, one of a structure that training never sees."""
    while True:
        ask, scene = rng.choice(_ASKS), rng.choice(tuple(SCENES["en"]))
        if ((ask, scene) in _HELD_OUT) == held_out:
            break
    n = _SIZES[level]
    people = draw_people(rng, n, language)
    known = rng.randrange(n) if level == 0 else -1
    kinds, claims = _pose(rng, level, n, known)
    asked = rng.randrange(n) if level else 1 - known
    told = [fill(SCENES[language][scene], {}, language, all=listed([p.said for p in people], language))]
    if known >= 0:
        told.append(fill(_KNOWN[language][kinds[known]], {"a": people[known]}, language))
    spoken = [(i, claim) for i, claim in enumerate(claims) if claim]
    for i, claim in rng.sample(spoken, len(spoken)):
        told.append(_spoken(rng, people[i].said, _said(claim, people, language), language))
    forms = "+".join(sorted(claim.form for _, claim in spoken))
    said = ";".join(sorted(f"{people[i].key}>{_key(claim, people)}" for i, claim in spoken))
    fact = f"{people[known].key}={int(kinds[known])};" if known >= 0 else ""
    question = fill(_ASK[language][ask], {"a": people[asked]}, language)
    about = people[asked].key if ask.startswith("is-") else ""
    return Problem(
        FAMILY, language, level, f"{ask}/{scene}/{n}/{forms}", f"{FAMILY}:{fact}{said}:{ask}{about}",
        in_haste(rng, question), _answer(ask, kinds, people, asked, language), " ".join(told),
    )  # fmt: skip


def _pose(rng: Random, level: int, n: int, known: int) -> tuple[tuple[bool, ...], list[Claim | None]]:
    """Kinds, and a claim of everybody, that no other kinds fit; of the one who is `known` alone, if somebody is."""
    while True:
        kinds = tuple(rng.random() < 0.5 for _ in range(n))
        speakers = range(n) if known < 0 else (known,)
        claims: list[Claim | None] = [_fitting(rng, level, kinds, i) if i in speakers else None for i in range(n)]
        if known >= 0 or sum(_fits(world, claims) for world in product((False, True), repeat=n)) == 1:
            return kinds, claims


def _fits(world: tuple[bool, ...], claims: list[Claim | None]) -> bool:
    return all(claim is None or is_true(claim, i, world) == world[i] for i, claim in enumerate(claims))


def _fitting(rng: Random, level: int, kinds: tuple[bool, ...], speaker: int) -> Claim:
    """A claim that is true if the speaker tells the truth, and false if not."""
    while True:
        claim = _claim(rng, rng.choice(_FORMS[level]), len(kinds), speaker)
        if is_true(claim, speaker, kinds) == kinds[speaker]:
            return claim


def _claim(rng: Random, form: str, n: int, speaker: int) -> Claim:
    others = [i for i in range(n) if i != speaker]
    if form in ("and", "or", "if"):
        pair = rng.sample(others, 2)
        return Claim(form, parts=tuple(Claim("is", (i,), rng.randrange(2)) for i in pair))
    if form == "count":
        return Claim(form, value=rng.choice((1, -1)) * rng.randrange(2, n))
    if form in ("both", "one"):
        return Claim(form, value=rng.randrange(2))
    return Claim(form, (rng.choice(others),), rng.randrange(2) if form in ("is", "is-not") else 0)


def is_true(claim: Claim, speaker: int, kinds: tuple[bool, ...]) -> bool:
    """Whether `claim`, said by `speaker`, is true if everybody is of these kinds (True: tells the truth)."""
    match claim.form:
        case "is":
            return kinds[claim.who[0]] == bool(claim.value)
        case "is-not":
            return kinds[claim.who[0]] != bool(claim.value)
        case "same" | "other":
            return (kinds[claim.who[0]] == kinds[speaker]) == (claim.form == "same")
        case "both":
            return all(kind == bool(claim.value) for kind in kinds)
        case "one":
            return any(kind == bool(claim.value) for kind in kinds)
        case "count":
            return sum(kind == (claim.value > 0) for kind in kinds) == abs(claim.value)
    x, y = (is_true(part, speaker, kinds) for part in claim.parts)
    return (x and y) if claim.form == "and" else (x or y) if claim.form == "or" else (not x or y)


def _said(claim: Claim, people: list[Entity], language: str) -> str:
    state = _STATE[language]
    if claim.parts:
        x, y = (_said(part, people, language) for part in claim.parts)
        return state[claim.form].format(x=x, y=y)
    if claim.form == "count":
        return state[f"count{int(claim.value > 0)}"].format(k=_COUNTS[language][abs(claim.value)])
    form = claim.form if claim.form in ("same", "other") else f"{claim.form}{claim.value}"
    return state[form].format(a=people[claim.who[0]].said if claim.who else "")


def _spoken(rng: Random, speaker: str, said: str, language: str) -> str:
    frame = rng.choice(_SAYS[language])
    end = "," if frame.startswith('"') else "."
    return frame.format(s=speaker, said=f"{said}{end}")


def _key(claim: Claim, people: list[Entity]) -> str:
    inner = ",".join([people[i].key for i in claim.who] + [_key(part, people) for part in claim.parts])
    return f"{claim.form}{claim.value}({inner})"


def _answer(ask: str, kinds: tuple[bool, ...], people: list[Entity], asked: int, language: str) -> str:
    english = language == "en"
    name = people[asked].said
    if ask == "how-many":
        n_liars = kinds.count(False)
        word = _COUNTS[language][n_liars].capitalize()
        if english:
            return f"{word} of them lie{'s' if n_liars < 2 else ''}."
        there = f"n'y a {word}" if n_liars == 0 else f"y a {word}"
        return f"Il {there.lower()} menteur{'s' if n_liars > 1 else ''}."
    if ask.startswith("is-"):
        truthful = kinds[asked]
        yes = truthful == (ask == "is-truthful")
        fact = ("tells the truth" if truthful else "lies") if english else "dit la vérité" if truthful else "ment"
        opening = ("Yes" if yes else "No") if english else "Oui" if yes else "Non"
        return f"{opening}, {name} {fact}."
    wanted = ask == "who-tells-truth"
    chosen = [person.said for person, kind in zip(people, kinds, strict=True) if kind == wanted]
    if not chosen:
        return "Nobody." if english else "Personne."
    if english:
        verb = ("tell" if wanted else "lie") + ("s" if len(chosen) == 1 else "") + (" the truth" if wanted else "")
    elif len(chosen) == 1:
        verb = "dit la vérité" if wanted else "ment"
    else:
        verb = "disent la vérité" if wanted else "mentent"
    return f"{listed(chosen, language)} {verb}."
