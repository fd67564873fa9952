"""Robot commands: the second route. One robot on a grid obeys the sentence, another the answer; both must move alike.

The sentence is read by its key words and moves the robot directly, without passing through the action language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from petitlm.data.generators.number_words import read_number
from petitlm.data.record import Problem
from petitlm.errors import UsageError

_ACTION = re.compile(r"(\w+)\((\w*)\)")
_FRAME = re.compile(r"^robot, |, please$|, s'il te plaît$")
_REVERSED = {"en": ", but first ", "fr": ", mais avant, "}
_OPENING = {"en": re.compile(r"^first "), "fr": re.compile(r"^d'abord ")}
_JOINT = {
    "en": re.compile(r"; then |, then |, and finally | and then |(?<!, no), (?!no,)"),
    "fr": re.compile(r" ; puis |, puis |, et enfin | et puis |(?<!, non), (?!non,)"),
}
_CORRECTION = {"en": ", no, ", "fr": ", non, "}
_TWICE = {"en": " twice", "fr": " deux fois"}
_UNIT = re.compile(r" (?:steps?|seconds?|pas|secondes?)$")
_MEASURED = {
    "en": (
        ("advance", re.compile(r"(?:go forward|move ahead) (.+)")),
        ("retreat", re.compile(r"(?:go back|back up) (.+)")),
        ("rest", re.compile(r"(?:wait|pause for) (.+)")),
    ),
    "fr": (
        ("advance", re.compile(r"(?:avance tout droit|avance) d(?:e |')(.+)")),
        ("retreat", re.compile(r"(?:recule|reviens en arrière) d(?:e |')(.+)")),
        ("rest", re.compile(r"(?:attends|patiente) (.+)")),
    ),
}
_FIXED = {
    "turn left": ("turn", 1), "rotate left": ("turn", 1),
    "tourne à gauche": ("turn", 1), "pivote à gauche": ("turn", 1),
    "turn right": ("turn", -1), "rotate right": ("turn", -1),
    "tourne à droite": ("turn", -1), "pivote à droite": ("turn", -1),
    "turn around": ("turn", 2), "fais demi-tour": ("turn", 2),
    "open the gripper": ("grip", 0), "let go": ("grip", 0), "ouvre la pince": ("grip", 0), "lâche tout": ("grip", 0),
    "close the gripper": ("grip", 1), "grab it": ("grip", 1), "ferme la pince": ("grip", 1), "attrape-le": ("grip", 1),
    "raise the arm": ("arm", 1), "lève le bras": ("arm", 1), "lower the arm": ("arm", 0), "baisse le bras": ("arm", 0),
}  # fmt: skip
_SIDES = {"left": 1, "à gauche": 1, "right": -1, "à droite": -1}


@dataclass
class Robot:
    """A robot on an unbounded grid; `log` keeps its state after every visible change."""

    at: complex = 0
    heading: complex = 1j
    log: list[tuple[str, complex | int]] = field(default_factory=list)

    def do(self, act: str, amount: int) -> None:
        """Advance or retreat by steps, turn by quarters to the left, set grip or arm, rest for seconds."""
        if act in ("advance", "retreat"):
            for _ in range(amount):
                self.at += self.heading if act == "advance" else -self.heading
                self.log.append(("at", self.at))
        elif act == "turn":
            for _ in range(abs(amount)):
                self.heading *= 1j if amount > 0 else -1j
                self.log.append(("heading", self.heading))
        else:
            self.log.append((act, amount))


_ACTS = {"forward": "advance", "back": "retreat", "wait": "rest"}
_SETTINGS = {("grip", "open"): 0, ("grip", "close"): 1, ("arm", "up"): 1, ("arm", "down"): 0}


def obey_actions(actions: str) -> Robot:
    """A robot after `actions`, such as `forward(3); left()`.

    Raises: UsageError if a part is not an action.
    """
    robot = Robot()
    for action in actions.split("; "):
        found = _ACTION.fullmatch(action)
        name, argument = found.groups() if found else ("", "")
        if name in _ACTS and argument.isdigit():
            robot.do(_ACTS[name], int(argument))
        elif name in ("left", "right") and not argument:
            robot.do("turn", 1 if name == "left" else -1)
        elif (name, argument) in _SETTINGS:
            robot.do(name, _SETTINGS[name, argument])
        else:
            raise UsageError(f"{action!r} is not an action; use forward, back, left, right, grip, arm or wait")
    return robot


def obey_sentence(sentence: str, language: str) -> Robot:
    """A robot after the command `sentence`.

    Raises: UsageError if a part of the sentence cannot be read.
    """
    text = sentence.rstrip(". ").lower()
    text = _FRAME.sub("", _FRAME.sub("", text))
    if _REVERSED[language] in text:
        said_first, done_first = text.split(_REVERSED[language])
        clauses = [done_first, said_first]
    else:
        clauses = _JOINT[language].split(_OPENING[language].sub("", text))
    robot = Robot()
    for clause in clauses:
        _obey_clause(robot, clause, language)
    return robot


def _obey_clause(robot: Robot, clause: str, language: str) -> None:
    first_said, _, correction = clause.partition(_CORRECTION[language])
    times = 2 if first_said.endswith(_TWICE[language]) else 1
    order = first_said.removesuffix(_TWICE[language])
    if order in _FIXED:
        act, amount = _FIXED[order]
        amount = _SIDES[correction] if correction else amount
    else:
        act, said_amount = _measured(order, language)
        amount = read_number(_UNIT.sub("", correction or said_amount), language)
    for _ in range(times):
        robot.do(act, amount)


def _measured(order: str, language: str) -> tuple[str, str]:
    for act, pattern in _MEASURED[language]:
        if found := pattern.fullmatch(order):
            return act, found[1]
    raise UsageError(f"cannot read the order {order!r}; it follows no known wording")


def check(problem: Problem) -> str | None:
    """Say why the actions of `problem` do not do what its sentence asks; None if they do."""
    try:
        wanted = obey_sentence(problem.question, problem.language)
        done = obey_actions(problem.answer)
    except UsageError as error:
        return str(error)
    return None if wanted == done else f"{problem.answer!r} moves the robot otherwise than the sentence asks"
