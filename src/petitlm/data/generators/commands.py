"""Robot commands in English and French to a small action language: the generator.

Actions: `forward(n)` and `back(n)` in steps, `left()` and `right()` quarter turns, `grip(open|close)`, `arm(up|down)`,
`wait(n)` in seconds; several are joined by `; `.
Levels: 0 one order; 1 two orders; 2 three orders, repetition, correction; 3 the same mixed, also told in reverse.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from petitlm.data.generators.number_words import feminine, to_words
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "commands"
VERSION = 1
LEVEL_WEIGHTS = (1, 4, 5, 5)
CATEGORY = "robot"
FORM = "command"
LEVELS = (0, 1, 2, 3)
LARGEST = 20

# Fixed orders: action, then ways to say it.
_FIXED = {
    "left": ("left()", {"en": ("turn left", "rotate left"), "fr": ("tourne à gauche", "pivote à gauche")}),
    "right": ("right()", {"en": ("turn right", "rotate right"), "fr": ("tourne à droite", "pivote à droite")}),
    "around": ("left(); left()", {"en": ("turn around",), "fr": ("fais demi-tour",)}),
    "open": ("grip(open)", {"en": ("open the gripper", "let go"), "fr": ("ouvre la pince", "lâche tout")}),
    "close": ("grip(close)", {"en": ("close the gripper", "grab it"), "fr": ("ferme la pince", "attrape-le")}),
    "up": ("arm(up)", {"en": ("raise the arm",), "fr": ("lève le bras",)}),
    "down": ("arm(down)", {"en": ("lower the arm",), "fr": ("baisse le bras",)}),
}
# Measured orders: `{}` is the quantity with its unit.
_MEASURED = {
    "forward": {"en": ("go forward {}", "move ahead {}"), "fr": ("avance {}", "avance tout droit {}")},
    "back": {"en": ("go back {}", "back up {}"), "fr": ("recule {}", "reviens en arrière {}")},
    "wait": {"en": ("wait {}", "pause for {}"), "fr": ("attends {}", "patiente {}")},
}
_OTHER_SIDE = {"left": "right", "right": "left"}
_SIDE = {"en": {"left": "left", "right": "right"}, "fr": {"left": "à gauche", "right": "à droite"}}
_NO = {"en": "no", "fr": "non"}
_TWICE = {"en": "twice", "fr": "deux fois"}

# Ways to order two or more clauses; in "but-first" the last one said is done first.
_ORDERS = {
    "en": {
        "then": ("{}, then {}", "{} and then {}", "{}; then {}"),
        "first": ("first {}, then {}",),
        "but-first": ("{}, but first {}",),
        "then-then": ("{}, then {}, then {}", "{}, {}, then {}"),
        "first-finally": ("first {}, then {}, and finally {}",),
    },
    "fr": {
        "then": ("{}, puis {}", "{} et puis {}", "{} ; puis {}"),
        "first": ("d'abord {}, puis {}",),
        "but-first": ("{}, mais avant, {}",),
        "then-then": ("{}, puis {}, puis {}", "{}, {}, puis {}"),
        "first-finally": ("d'abord {}, puis {}, et enfin {}",),
    },
}
_ORDERS_OF_LEVEL = (
    ("one",),
    ("then", "then", "first"),
    ("one", "then", "but-first", "then-then", "first-finally"),
    ("then", "but-first", "then-then", "first-finally"),
)
# How often a clause of each level is said twice or corrected.
_SHARE_CHANGED = (0.0, 0.0, 0.35, 0.5)
_FRAMES = {
    "en": ("{}.", "{}.", "Robot, {}.", "{}, please."),
    "fr": ("{}.", "{}.", "Robot, {}.", "{}, s'il te plaît."),
}


class Clause(NamedTuple):
    """One order: how it is said, what it does, its canonical kind."""

    said: str
    actions: str
    kind: str


_HELD_OUT_KINDS = frozenset({"back:words", "right*2", "wait*2", "back~digits", "left~"})
_HELD_OUT_PAIRS = frozenset(
    {("but-first", "up"), ("first", "close"), ("first-finally", "around"), ("then-then", "down")}
)


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a kind of clause, or a clause in an order, that never occurs there."""
    order, *kinds = structure.split("/")
    return any(kind in _HELD_OUT_KINDS or (order, kind) in _HELD_OUT_PAIRS for kind in kinds)


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one command with its actions; with `held_out`, one of a structure that training never sees."""
    while True:
        order = rng.choice(_ORDERS_OF_LEVEL[level])
        template = "{}" if order == "one" else rng.choice(_ORDERS[language][order])
        clauses = [_clause(rng, language, level) for _ in range(template.count("{}"))]
        structure = "/".join([order, *(clause.kind for clause in clauses)])
        if is_held_out(structure) == held_out:
            break
    done = reversed(clauses) if order == "but-first" else clauses
    answer = "; ".join(clause.actions for clause in done)
    said = template.format(*(clause.said for clause in clauses))
    question = rng.choice(_FRAMES[language]).format(said)
    question = in_haste(rng, question[0].upper() + question[1:])
    return Problem(FAMILY, language, level, structure, f"{FAMILY}:{structure}:{answer}", question, answer)


def _clause(rng: Random, language: str, level: int) -> Clause:
    changed = rng.random() < _SHARE_CHANGED[level]
    if rng.random() < 0.45:
        return _measured_clause(rng, language, changed)
    kind = rng.choice(("left", "right") if changed else tuple(_FIXED))
    actions, ways = _FIXED[kind]
    said = rng.choice(ways[language])
    if not changed:
        return Clause(said, actions, kind)
    if rng.random() < 0.5:
        return Clause(f"{said} {_TWICE[language]}", f"{actions}; {actions}", f"{kind}*2")
    other = _OTHER_SIDE[kind]
    return Clause(f"{said}, {_NO[language]}, {_SIDE[language][other]}", f"{other}()", f"{kind}~")


def _measured_clause(rng: Random, language: str, changed: bool) -> Clause:
    verb = rng.choice(("forward", "forward", "back", "wait"))
    value = rng.randint(1, LARGEST)
    form = rng.choice(("digits", "words"))
    has_unit = verb == "wait" or value == 1 or rng.random() < 0.6
    said = rng.choice(_MEASURED[verb][language]).format(_quantity(language, verb, value, form, has_unit))
    if not changed:
        return Clause(said, f"{verb}({value})", f"{verb}:{form}")
    if rng.random() < 0.5:
        return Clause(f"{said} {_TWICE[language]}", f"{verb}({value}); {verb}({value})", f"{verb}*2")
    right = rng.choice([other for other in range(2, LARGEST + 1) if other != value])
    number = to_words(right, language) if form == "words" else str(right)
    return Clause(f"{said}, {_NO[language]}, {number}", f"{verb}({right})", f"{verb}~{form}")


def _quantity(language: str, verb: str, value: int, form: str, has_unit: bool) -> str:
    """`three steps`, `de 3`, `d'un pas`, `une seconde`: number and unit agree."""
    number = to_words(value, language) if form == "words" else str(value)
    is_time = verb == "wait"
    if language == "en":
        unit = ("second" if is_time else "step") + ("" if value == 1 else "s")
        return f"{number} {unit}" if has_unit else number
    if is_time:
        return f"{feminine(number)} seconde{'' if value == 1 else 's'}"
    # `un` is elided (d'un pas); `onze` and `huit` never are.
    de = "d'" if number == "un" else "de "
    return f"{de}{number} pas" if has_unit else f"{de}{number}"
