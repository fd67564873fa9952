"""Who is taller, first, further left: people and things to put in order from hints, English and French: the generator.

An order is drawn, true hints are added until the question has one answer, then those not needed are taken out again.
One puzzle in eight above level 0 lacks a hint, and the answer says so.
Levels: 0 three in a chain, told in order; 1 the same shuffled, some hints turned round; 2 four, with places and
neighbours; 3 five, with negations; 4 five and six, with gaps and ends; 5 six, with few direct hints.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import permutations
from random import Random
from typing import NamedTuple

from petitlm.data.generators.ordering_words import PHRASES, THEMES, THINGS_THEMES
from petitlm.data.generators.passage_words import NOT_SAID
from petitlm.data.generators.puzzle_words import ORDINALS, Entity, capital, draw_people, draw_things, fill, listed
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "ordering"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 4, 4, 3, 3)
CATEGORY = "logic"

_HELD_OUT = frozenset({("height", "back"), ("race", "compare"), ("price", "list"), ("line", "front"), ("shelf", "nth"),
                       ("age", "nth"), ("race", "next"), ("line", "place")})  # fmt: skip
_SIZES = ((3,), (3,), (4,), (5,), (5, 6), (6,))
# Kinds of hint of each level, those drawn more often said twice.
_KINDS = (
    ("before",),
    ("before", "before", "front", "back", "not-front", "not-back"),
    ("before", "before", "nth", "front", "next", "chain"),
    ("before", "next", "nth", "not-nth", "not-front", "not-back", "chain", "between"),
    ("before", "next", "not-nth", "not-front", "ends", "gap", "between", "chain"),
    ("before", "next", "not-nth", "not-front", "not-back", "ends", "gap", "between", "chain"),
)
_ASKS = (
    ("front", "back", "compare", "list"),
    ("front", "back", "compare", "list"),
    ("front", "back", "compare", "list", "nth", "place", "next"),
    ("front", "back", "list", "nth", "place", "next", "compare"),
    ("front", "back", "list", "nth", "place", "next"),
    ("front", "back", "list", "nth", "place", "next"),
)
_FEWEST = (2, 2, 2, 3, 3, 4)
"""Hints of a puzzle, at least."""
_LACKING_SHARE = 0.125
_PATIENCE = 60
"""Hints drawn before another order is."""


class Hint(NamedTuple):
    """One true sentence: its kind, the entities in it (by number), and a place where the kind has one."""

    kind: str
    who: tuple[int, ...]
    place: int = -1


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a question about a theme that it is never asked about there."""
    theme, asked, _ = structure.split("/", 2)
    return (theme, asked) in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one puzzle; with `held_out`, one of a structure that training never sees."""
    while True:
        theme, ask = rng.choice(THEMES), rng.choice(_ASKS[level])
        if f"ask-{ask}" in PHRASES["en"][theme] and ((theme, ask) in _HELD_OUT) == held_out:
            break
    n = rng.choice(_SIZES[level])
    entities = (draw_things if theme in THINGS_THEMES else draw_people)(rng, n, language)
    order, asked, hints = _pose(rng, theme, ask, level, n)
    lacks_one = level > 0 and rng.random() < _LACKING_SHARE
    if lacks_one:
        hints.pop(rng.randrange(len(hints)))  # each was needed
    told = [_tell(rng, hint, entities, theme, language, level) for hint in hints]
    everybody = entities if level == 0 else rng.sample(entities, n)
    intro = fill(PHRASES[language][theme]["intro"], {}, language, all=listed([e.said for e in everybody], language))
    question = in_haste(rng, _phrase(f"ask-{ask}", asked.who, asked.place, entities, theme, language))
    kinds = "+".join(sorted(hint.kind for hint in hints))
    return Problem(
        FAMILY, language, level, f"{theme}/{ask}/{n}/{kinds}", f"{FAMILY}:{theme}:{_key(hints, asked, entities)}",
        question, NOT_SAID[language] if lacks_one else _answer(asked, order, entities, theme, language),
        " ".join([intro, *told]),
    )  # fmt: skip


def _pose(rng: Random, theme: str, ask: str, level: int, n: int) -> tuple[list[int], Hint, list[Hint]]:
    """An order, what is asked about it, and the hints that settle that."""
    while True:
        order = rng.sample(range(n), n)
        asked = _asked(rng, ask, order)
        hints = _hints(rng, theme, level, order, asked)
        if len(hints) >= _FEWEST[level]:
            return order, asked, hints


def _asked(rng: Random, ask: str, order: list[int]) -> Hint:
    last = len(order) - 1
    if ask == "next":
        return Hint(ask, (order[rng.randrange(last)],))
    if ask == "place":
        return Hint(ask, (rng.choice(order),))
    if ask == "compare":
        return Hint(ask, tuple(rng.sample(order, 2)))
    return Hint(ask, (), {"front": 0, "back": last, "nth": rng.randrange(1, last), "list": -1}[ask])


def _hints(rng: Random, theme: str, level: int, order: list[int], asked: Hint) -> list[Hint]:
    """Hints that settle the question, each of them needed for it; none if those drawn do not."""
    n = len(order)
    if level == 0:
        return [Hint("before", (order[i], order[i + 1])) for i in range(n - 1)]
    return _needed(rng, _enough(rng, theme, level, order, asked), asked, n)


def _enough(rng: Random, theme: str, level: int, order: list[int], asked: Hint) -> list[Hint]:
    """True hints, each of which tells something new, until the question is settled; none if it takes too long."""
    n = len(order)
    possible = (1 << len(_orders(n))) - 1
    hints: list[Hint] = []
    for _ in range(_PATIENCE):
        if _is_settled(n, possible, asked):
            return hints
        hint = _hint(rng, theme, level, order)
        smaller = possible & _orders_with(n, hint)
        if smaller != possible and not _gives_away(hint, asked, order):
            possible = smaller
            hints.append(hint)
    return []


def _needed(rng: Random, hints: list[Hint], asked: Hint, n: int) -> list[Hint]:
    """Those of `hints` without which the question would be open, in a random order."""
    everything = (1 << len(_orders(n))) - 1
    for hint in rng.sample(hints, len(hints)):
        rest = everything
        for other in hints:
            rest &= _orders_with(n, other) if other is not hint else everything
        if _is_settled(n, rest, asked):
            hints = [other for other in hints if other is not hint]
    return rng.sample(hints, len(hints))


def _gives_away(hint: Hint, asked: Hint, order: list[int]) -> bool:
    """Whether `hint` alone is the answer."""
    if hint.kind in ("front", "back", "nth"):
        return order.index(hint.who[0]) == (order.index(asked.who[0]) if asked.kind == "place" else asked.place)
    if asked.kind == "compare":
        return hint.kind in ("before", "next", "chain") and set(asked.who) <= set(hint.who)
    return asked.kind == hint.kind == "next" and asked.who[0] == hint.who[0]


def _hint(rng: Random, theme: str, level: int, order: list[int]) -> Hint:
    """A true hint of a kind that the theme and the level have."""
    n = len(order)
    while True:
        kind = rng.choice(_KINDS[level])
        if kind not in PHRASES["en"][theme]:
            continue
        i, j, k = sorted(rng.sample(range(n), 3))
        if kind == "before":
            return Hint(kind, (order[i], order[j]))
        if kind == "next":
            return Hint(kind, (order[i], order[i + 1]))
        if kind == "chain":
            return Hint(kind, (order[i], order[j], order[k]))
        if kind == "between":
            ends = rng.sample((order[i], order[k]), 2)
            return Hint(kind, (ends[0], order[j], ends[1]))
        if kind == "gap" and i + 2 < n:
            return Hint(kind, tuple(rng.sample((order[i], order[i + 2]), 2)))
        if kind in ("front", "back", "ends"):
            return Hint(kind, (order[0 if kind == "front" else n - 1 if kind == "back" else rng.choice((0, n - 1))],))
        if kind == "nth" and 0 < i < n - 1:
            return Hint(kind, (order[i],), i)
        if kind.startswith("not-"):
            place = {"not-front": 0, "not-back": n - 1}.get(kind, rng.randrange(1, n - 1))
            return Hint(kind, (rng.choice([who for who in order if order[place] != who]),), place)


@cache
def _orders(n: int) -> list[tuple[int, ...]]:
    """All orders of `n` entities, each as the place of every entity."""
    return list(permutations(range(n)))


@lru_cache(maxsize=10_000)
def _orders_with(n: int, hint: Hint) -> int:
    """The orders in which `hint` is true, one bit for each of `_orders(n)`."""
    return sum(1 << bit for bit, place_of in enumerate(_orders(n)) if _is_true(hint, place_of))


def _is_true(hint: Hint, place_of: tuple[int, ...]) -> bool:
    at = [place_of[who] for who in hint.who]
    last = len(place_of) - 1
    match hint.kind:
        case "before" | "chain":
            return at == sorted(at)
        case "next":
            return at[1] == at[0] + 1
        case "gap":
            return abs(at[0] - at[1]) == 2
        case "between":
            return sorted(at)[1] == at[1]
        case "ends":
            return at[0] in (0, last)
        case "front" | "back" | "nth":
            return at[0] == {"front": 0, "back": last}.get(hint.kind, hint.place)
        case _:
            return at[0] != hint.place


def _is_settled(n: int, possible: int, asked: Hint) -> bool:
    """Whether the question has the same answer in all `possible` orders."""
    if asked.kind == "list":
        return possible.bit_count() == 1
    if asked.kind == "compare":
        return possible & _orders_with(n, Hint("before", asked.who)) in (0, possible)
    if asked.kind == "place":
        answers = [Hint("nth", asked.who, place) for place in range(n)]
    elif asked.kind == "next":
        answers = [Hint("next", (*asked.who, who)) for who in range(n)] + [Hint("nth", asked.who, n - 1)]
    else:
        answers = [Hint("nth", (who,), asked.place) for who in range(n)]
    return sum(bool(possible & _orders_with(n, answer)) for answer in answers) == 1


def _tell(rng: Random, hint: Hint, entities: list[Entity], theme: str, language: str, level: int) -> str:
    """The sentence of a hint; above level 0, one in two of those that can be turned round is."""
    turned = {"before": "after", "next": "prev"}.get(hint.kind)
    kind = turned if turned and level and rng.random() < 0.5 else hint.kind
    return _phrase(kind, hint.who, hint.place, entities, theme, language)


def _phrase(kind: str, who: tuple[int, ...], place: int, entities: list[Entity], theme: str, language: str) -> str:
    named = {name: entities[i] for name, i in zip("abc", who, strict=False)}
    # French: a group, and two who are compared, are feminine if all are.
    group = [entities[i] for i in who] if who else entities
    named["g"] = Entity("", "", all(entity.is_feminine for entity in group))
    return fill(PHRASES[language][theme][kind], named, language, nth=ORDINALS[language][place])


def _answer(asked: Hint, order: list[int], entities: list[Entity], theme: str, language: str) -> str:
    last = len(order) - 1
    if asked.kind == "list":
        return capital(", ".join(entities[who].said for who in order)) + "."
    if asked.kind == "next":
        following = order[order.index(asked.who[0]) + 1]
        return _phrase("prev", (asked.who[0], following), 0, entities, theme, language)
    if asked.kind == "compare":
        return _phrase("before", tuple(sorted(asked.who, key=order.index)), 0, entities, theme, language)
    place = order.index(asked.who[0]) if asked.kind == "place" else asked.place
    kind = {0: "front", last: "back"}.get(place, "nth")
    return _phrase(kind, (order[place],), place, entities, theme, language)


def _key(hints: list[Hint], asked: Hint, entities: list[Entity]) -> str:
    def said(hint: Hint) -> str:
        names = [entities[who].key for who in hint.who]
        names = sorted(names) if hint.kind in ("gap", "compare") else names
        if hint.kind == "between":
            names[0], names[2] = min(names[0], names[2]), max(names[0], names[2])
        return f"{hint.kind}{hint.place if hint.place >= 0 else ''}({','.join(names)})"

    everybody = ",".join(sorted(entity.key for entity in entities))
    return f"{everybody}:{';'.join(sorted(map(said, hints)))}:{said(asked)}"
