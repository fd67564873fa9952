"""Lists and words handled as told, English and French: the generator.

A list of words or numbers, or one word, goes through one to four steps; the answer is what is left, in the form asked
for. Levels: 0 one step, short; 1 one step; 2 one step, longer, or two; 3 two; 4 three, with a form; 5 four, with one.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, TypeAlias

from petitlm.data.generators.instruction_words import CLOSING, FORMS, INTRO, LETTERS, OPENINGS, STEPS, WORDS
from petitlm.data.generators.puzzle_words import ORDINALS
from petitlm.data.record import Problem

FAMILY = "instructions"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 4, 4, 3, 3)

Value: TypeAlias = "list[str] | list[int] | str | int"

_LENGTHS = ((3, 3), (3, 5), (4, 6), (4, 6), (5, 7), (5, 8))
_N_STEPS = ((1,), (1,), (1, 2), (2,), (3,), (4,))
# What each kind of value may go through; steps after which another kind is there are said in `_AFTER`.
_STEPS = {
    "words": ("sort", "sort-down", "reverse", "drop-first", "drop-last", "longer", "shorter", "with-letter", "upper",
              "swap-ends", "by-length", "nth", "count", "initials", "longest"),
    "numbers": ("sort", "sort-down", "reverse", "drop-first", "drop-last", "even", "odd", "above", "double", "add",
                "swap-ends", "nth", "count", "sum", "largest"),
    "word": ("reverse-word", "upper", "without-letter", "double-last", "count-letter", "length", "nth-letter",
             "first-letters"),
}  # fmt: skip
_AFTER = {"nth": "end", "count": "end", "initials": "end", "longest": "end", "sum": "end", "largest": "end",
          "count-letter": "end", "length": "end", "nth-letter": "end"}  # fmt: skip
_HELD_OUT = frozenset({("words", "swap-ends"), ("numbers", "odd"), ("word", "double-last"), ("words", "shorter"),
                       ("numbers", "largest"), ("word", "nth-letter")})  # fmt: skip


class Step(NamedTuple):
    """One thing to do, with the number or letter that it needs."""

    name: str
    n: int = 0
    letter: str = ""


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: one with a step that is never done to such a value there."""
    kind, steps, _ = structure.split("/", 2)
    return any((kind, step) in _HELD_OUT for step in steps.split("+"))


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one instruction with its answer; with `held_out`, one of a structure that training never sees."""
    while True:
        kind = rng.choice(("words", "numbers", "word") if level < 4 else ("words", "numbers"))
        start = _start(rng, kind, language, level)
        made = _steps(rng, kind, start, rng.choice(_N_STEPS[level]))
        if made is None or any((kind, step.name) in _HELD_OUT for step in made[0]) != held_out:
            continue
        steps, result = made
        form = _form(rng, level, result)
        if form is not None:
            break
    given = start if isinstance(start, str) else ", ".join(map(str, start))
    names = "+".join(step.name for step in steps)
    key = ",".join(f"{step.name}{step.n or ''}{step.letter}" for step in steps)
    return Problem(
        FAMILY, language, level, f"{kind}/{names}/{form}", f"{FAMILY}:{kind}:{given}:{key}:{form}",
        _asked(rng, steps, form, kind, language), write(result, form), INTRO[language][kind].format(given),
    )  # fmt: skip


def _start(rng: Random, kind: str, language: str, level: int) -> list[str] | list[int] | str:
    if kind == "word":
        fit = [word for word in WORDS[language] if len(word) >= 4 + level // 2]
        return rng.choice(fit)
    n = rng.randint(*_LENGTHS[level])
    if kind == "words":
        return rng.sample(WORDS[language], n)
    return rng.sample(range(1, 10 if level == 0 else 50 if level < 3 else 100), n)


def _steps(rng: Random, kind: str, start: Value, n_steps: int) -> tuple[list[Step], Value] | None:
    """Steps that each change the value, and what they leave; None if those drawn do not fit."""
    steps: list[Step] = []
    value = start
    for i in range(n_steps):
        name = rng.choice(_STEPS[kind])
        if (name in _AFTER and i < n_steps - 1) or name in [step.name for step in steps]:
            return None
        step = _parameters(rng, name, value)
        following = apply(step, value) if step else None
        if step is None or following is None or following == value or following in ([], ""):
            return None
        steps.append(step)
        value = following
    return steps, value


def _parameters(rng: Random, name: str, value: Value) -> Step | None:
    """A step with a number or letter that suits the value."""
    if name == "nth" and isinstance(value, list):
        return Step(name, rng.randrange(1, min(len(value), len(ORDINALS["en"])) + 1))
    if name == "nth-letter" and isinstance(value, str):
        return Step(name, rng.randrange(1, min(len(value), len(ORDINALS["en"])) + 1))
    if name == "first-letters" and isinstance(value, str):
        return Step(name, rng.randrange(2, len(value))) if len(value) > 2 else None
    if name in ("longer", "shorter"):
        return Step(name, rng.randrange(4, 7))
    if name in ("above", "add"):
        return Step(name, rng.randrange(2, 10) if name == "add" else rng.randrange(3, 60))
    if name == "with-letter":
        return Step(name, letter=rng.choice(LETTERS))
    if name in ("count-letter", "without-letter") and isinstance(value, str):
        return Step(name, letter=rng.choice(value.lower()))
    return Step(name)


def apply(step: Step, value: Value) -> Value | None:
    """`value` after `step`; None where the step has no one answer."""
    if isinstance(value, str):
        return _apply_to_word(step, value)
    if isinstance(value, int):
        return None
    return _apply_to_list(step, list(value))


def _apply_to_word(step: Step, word: str) -> Value | None:
    match step.name:
        case "reverse-word":
            return word[::-1]
        case "upper":
            return word.upper()
        case "without-letter":
            return word.replace(step.letter, "").replace(step.letter.upper(), "")
        case "double-last":
            return word + word[-1]
        case "count-letter":
            return word.lower().count(step.letter)
        case "length":
            return len(word)
        case "nth-letter":
            return word[step.n - 1]
        case "first-letters":
            return word[: step.n]
    return None


def _apply_to_list(step: Step, items: list) -> Value | None:
    match step.name:
        case "sort":
            return sorted(items, key=lambda item: item.lower() if isinstance(item, str) else item)
        case "sort-down":
            return sorted(items, key=lambda item: item.lower() if isinstance(item, str) else item, reverse=True)
        case "reverse":
            return items[::-1]
        case "drop-first":
            return items[1:]
        case "drop-last":
            return items[:-1]
        case "swap-ends":
            return [items[-1], *items[1:-1], items[0]] if len(items) > 1 else None
        case "nth":
            return items[step.n - 1] if step.n <= len(items) else None
        case "count":
            return len(items)
        case "longer" | "shorter":
            return [item for item in items if (len(item) > step.n if step.name == "longer" else len(item) < step.n)]
        case "with-letter":
            return [item for item in items if step.letter in item.lower()]
        case "upper":
            return [item.upper() for item in items]
        case "by-length":
            return sorted(items, key=len) if len({len(item) for item in items}) == len(items) else None
        case "initials":
            return "".join(item[0] for item in items)
        case "longest":
            best = [item for item in items if len(item) == max(map(len, items))]
            return best[0] if len(best) == 1 else None
        case "even" | "odd":
            return [item for item in items if item % 2 == (step.name == "odd")]
        case "above":
            return [item for item in items if item > step.n]
        case "double":
            return [2 * item for item in items]
        case "add":
            return [item + step.n for item in items]
        case "sum":
            return sum(items)
        case "largest":
            return max(items)
    return None


def _form(rng: Random, level: int, result: Value) -> str | None:
    """How the answer is to be written; None if the level wants a form and the result can have none."""
    if level < 4:
        return "plain"
    return rng.choice(("dashes", "brackets", "numbered", "slashes")) if isinstance(result, list) else "brackets"


def write(result: Value, form: str) -> str:
    """The answer in its form."""
    items = [str(item) for item in result] if isinstance(result, list) else [str(result)]
    if form == "numbered":
        return "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))
    joint = {"dashes": " - ", "slashes": " / "}.get(form, ", ")
    said = joint.join(items)
    return f"[{said}]" if form == "brackets" else said


def _asked(rng: Random, steps: list[Step], form: str, kind: str, language: str) -> str:
    """The steps in order, one sentence each, then the form."""
    sentences: list[str] = []
    for i, step in enumerate(steps):
        ways = STEPS[language][step.name if f"{step.name}:{kind}" not in STEPS[language] else f"{step.name}:{kind}"]
        nth = ORDINALS[language][step.n - 1] if step.name.startswith("nth") else ""
        nth = "première" if nth == "premier" and step.name == "nth-letter" else nth
        order = rng.choice(ways).format(n=step.n, nth=nth, letter=step.letter)
        opening = "" if len(steps) == 1 else OPENINGS[language][0 if i == 0 else 2 if i == len(steps) - 1 else 1]
        sentences.append(f"{opening}{order}." if opening else f"{order[0].upper()}{order[1:]}.")
    closing = [rng.choice(CLOSING[language])] if len(steps) > 1 and form == "plain" else []
    return " ".join([*sentences, *closing, *([FORMS[language][form]] if form != "plain" else [])])
