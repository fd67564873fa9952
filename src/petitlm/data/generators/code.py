"""Small Python exercises, English and French: write a function, say what a program prints, mend a function.

Levels: 0 one number in; 1 two; 2 a text; 3 a list, with one condition; 4 a list, with a change of each item; 5 with two
conditions. Answers are computed from the rule's own closed form; the second route runs the programs.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from petitlm.data.generators.code_words import (
    ASK,
    CHANGES,
    FILTERS,
    NAMES,
    RULES,
    SUMMARIES,
    TEXTS,
    VARIABLES,
    Part,
)
from petitlm.data.record import Problem

FAMILY = "code"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 3, 4, 4, 3)
FORM = "code"

_KINDS = ("write", "predict", "fix")
_INPUTS = ("n", "ab", "text", "xs", "xs", "xs")
_HELD_OUT = frozenset({("write", "minus"), ("predict", "times"), ("write", "gap"), ("predict", "mixed"),
                       ("write", "last"), ("fix", "first"), ("predict", "backwards"), ("write", "list"),
                       ("predict", "count"), ("fix", "sum")})  # fmt: skip


class Task(NamedTuple):
    """A function: what goes in, its rule, and for lists the change and the conditions with their numbers."""

    input: str
    rule: Part
    k: int
    filters: tuple[tuple[Part, int], ...] = ()
    change: Part = CHANGES[0]

    @property
    def key(self) -> str:
        """The task without wording, names and style."""
        if self.input != "xs":
            return f"{self.rule.name}{self.k}"
        said = "&".join(sorted(f"{chosen.name}{k if '{k}' in chosen.code else ''}" for chosen, k in self.filters))
        return f"{self.rule.name}:{self.change.name}:{said}"

    def give(self, *values: Any) -> Any:
        """What the function gives for `values`."""
        if self.input != "xs":
            return self.rule.give(*values, self.k)
        (items,) = values
        return self.rule.give([self.change.give(x) for x in items if all(f.give(x, k) for f, k in self.filters)])


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a rule that is never written, read or mended there."""
    kind, rule, _ = structure.split("/", 2)
    return (kind, rule) in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one exercise; with `held_out`, one of a structure that training never sees."""
    while True:
        kind = rng.choice(_KINDS)
        task = _task(rng, level)
        if ((kind, task.rule.name) in _HELD_OUT) == held_out:
            break
    variables = rng.choice(VARIABLES[task.input]).split()
    name = rng.choice(NAMES)
    code = _code(rng, task, name, variables)
    call = f"{name}({', '.join(variables)})"
    question = rng.choice(ASK[language][kind]).format(call=call, what=_said(task, variables, language))
    key = f"{FAMILY}:{kind}:{task.key}"
    answer = code
    if kind == "predict":
        calls = [_asked(rng, task) for _ in range(1 + (level >= 3))]
        program = "\n".join([code, "", *(f"print({name}({', '.join(map(repr, values))}))" for values in calls)])
        question = f"{question}\n\n{program}"
        answer = "\n".join(str(task.give(*values)) for values in calls)
        key += f":{calls}"
    elif kind == "fix":
        question = f"{question}\n\n{_spoilt(rng, code)}"
    parts = "+".join([task.change.name, *(chosen.name for chosen, _ in task.filters)])
    style = "loop" if "for " in code else "expression"
    return Problem(FAMILY, language, level, f"{kind}/{task.rule.name}/{parts}/{style}", key, question, answer)


def _asked(rng: Random, task: Task) -> tuple[Any, ...]:
    """Arguments of a call whose output can be told from no output: nothing blank at its ends, and not empty."""
    while True:
        values = _arguments(rng, task)
        printed = str(task.give(*values))
        if printed and printed == printed.strip():
            return values


def _task(rng: Random, level: int) -> Task:
    given = _INPUTS[level]
    if given != "xs":
        return Task(given, rng.choice(RULES[given]), rng.randint(2, 6 if given == "text" else 40 if level else 20))
    rule = rng.choice(SUMMARIES)
    change = rng.choice(CHANGES[1:]) if level >= 4 and rule.name != "count" else CHANGES[0]
    chosen = rng.sample(FILTERS, 2 if level == 5 else 1)
    while {part.name for part in chosen} == {"even", "odd"} or (level == 4 and rule.name == "count"):
        rule = rng.choice(SUMMARIES[:2]) if level == 4 else rule
        change = rng.choice(CHANGES[1:]) if level == 4 else change
        chosen = rng.sample(FILTERS, 2 if level == 5 else 1)
    low = rng.randint(-9, 5)
    filters: list[tuple[Part, int]] = []
    for part in sorted(chosen, key=FILTERS.index):
        # Above and below leave a range between them; an odd divisor leaves odd and even numbers.
        k = low if part.name == "above" else low + rng.randint(5, 15)
        k = rng.choice((3, 5, 7, 9)) if part.name == "by" else k
        filters.append((part, k))
    return Task(given, rule, 0, tuple(filters), change)


def _said(task: Task, variables: list[str], language: str) -> str:
    english = language == "en"
    names = {"v": variables[0], "w": variables[-1], "k": task.k}
    if task.input != "xs":
        return (task.rule.en if english else task.rule.fr).format(**names)
    joint = " and " if english else " et "
    which = joint.join((chosen.en if english else chosen.fr).format(k=k) for chosen, k in task.filters)
    if english:
        if task.rule.name == "count":
            return f"how many of the numbers in {variables[0]} are {which}"
        return f"{task.rule.en} {task.change.en} in {variables[0]} that are {which}"
    return f"{task.rule.fr} {task.change.fr} {which} dans {variables[0]}"


def _code(rng: Random, task: Task, name: str, variables: list[str]) -> str:
    """The function, as one expression or, for lists, as a loop."""
    head = f"def {name}({', '.join(variables)}):"
    if task.input != "xs":
        expression = task.rule.code.format(v=variables[0], w=variables[-1], k=task.k)
        if rng.random() < 0.5:
            return f"{head}\n    return {expression}"
        return f"{head}\n    answer = {expression}\n    return answer"
    condition = " and ".join(chosen.code.format(k=k) for chosen, k in task.filters)
    each, rule, xs = task.change.code, task.rule.code, variables[0]
    if rng.random() < 0.5:
        inner = f"[{each} for x in {xs} if {condition}]"
        return f"{head}\n    return {inner if rule == 'list' else f'{rule}({inner})'}"
    steps = {"sum": f"total += {each}", "len": "total += 1", "list": f"total.append({each})"}
    start, step = "[]" if rule == "list" else "0", steps[rule]
    loop = f"    for x in {xs}:\n        if {condition}:\n            {step}"
    return f"{head}\n    total = {start}\n{loop}\n    return total"


def _arguments(rng: Random, task: Task) -> tuple[Any, ...]:
    if task.input == "text":
        return (rng.choice(TEXTS),)
    if task.input == "xs":
        return ([rng.randint(-12, 20) for _ in range(rng.randint(3, 6))],)
    return tuple(rng.randint(1, 60) for _ in task.input.replace("n", "a"))


_SLIPS = ((" + ", " - "), (" - ", " + "), (" * ", " + "), (" > ", " < "), (" < ", " > "), (" == ", " != "),
          (" % ", " // "), ("[:", "[1:"), ("[-", "["))  # fmt: skip


def _spoilt(rng: Random, code: str) -> str:
    """`code` with one slip in its body."""
    head, body = code.split("\n", 1)
    fit = [(right, wrong) for right, wrong in _SLIPS if right in body]
    right, wrong = rng.choice(fit)
    places = [i for i in range(len(body)) if body.startswith(right, i) and not body.startswith("[::", i)]
    at = rng.choice(places)
    return f"{head}\n{body[:at]}{wrong}{body[at + len(right) :]}"
