"""A robot on a grid: the second route. Reads grid and order as text, then walks the plan step by step.

The generator searches from the robot on; this route works back from each goal: it settles how far every cell and
heading is from it, and of every step asks that it be the first of forward, left, right that comes nearer.
"""

from __future__ import annotations

import re

from petitlm.data.record import Problem
from petitlm.errors import UsageError

_IMPOSSIBLE = {"en": "There is no way.", "fr": "Il n'y a pas de chemin."}
_SIZE = re.compile(
    r"(?:The grid has|The floor is|Grid:|La grille a|Le sol fait|Grille :) (\d+) "
    r"(?:columns and|by|x|colonnes et|cases sur) (\d+)(?: rows| cells| lignes)?\."
)
_ROBOT = re.compile(
    r"(?:[Rr]obot (?:is )?at|You start from|[Rr]obot (?:est )?en|Tu pars de) \((\d+), (\d+)\)"
    r"(?: and faces|, facing| and look| et regarde vers|, tourné vers| et tu regardes vers) (?:l[e'] ?)?(\w+)\."
)
_WALLS = re.compile(
    r"(?:There (?:is a wall|are walls) at|Walls?:|Blocked:|Il y a (?:un mur|des murs) en|Murs? :|Cases? bloquées? :)"
    r" (\([^.]+)\."
)
_THING = re.compile(
    r"(?:There is |Il y a )?\b(?:[Aa]n?|[Uu]ne?) ([^.():]+?) (?:is at|at|est en|en) \((\d+), (\d+)\)\."
)
_LABEL = re.compile(r"(?:At|En) \((\d+), (\d+)\) ?: (?:an?|une?) ([^.]+)\.")
_CELL = re.compile(r"\((\d+), (\d+)\)")
_TURNS = {"north": 1j, "nord": 1j, "east": 1, "est": 1, "south": -1j, "sud": -1j, "west": -1, "ouest": -1}

# Clauses of an order: what is done at the first thing, then at the second.
_CLAUSES = {
    "en": (
        (re.compile(r"(?:stop next to|go right up to) (.+?)(?:, without entering its cell)?"), ("beside",)),
        (re.compile(r"(?:bring|take) (.+) to (.+)"), ("close", "open")),
        (re.compile(r"pick up (.+) and put it down where (.+) is"), ("close", "open")),
        (re.compile(r"(?:pick up|go and grab|fetch) (.+)"), ("close",)),
        (re.compile(r"(?:go to|drive to|move to the cell of|to) (.+)"), ("",)),
    ),
    "fr": (
        (re.compile(r"(?:arrête-toi à côté|va juste à côté) (.+?)(?:, sans entrer dans sa case)?"), ("beside",)),
        (re.compile(r"(?:apporte (.+) dans|va déposer (.+) sur) la case (.+)"), ("close", "open")),
        (re.compile(r"va prendre (.+) et dépose l'objet dans la case (.+)"), ("close", "open")),
        (re.compile(r"(?:ramasse|va attraper|va chercher) (.+)"), ("close",)),
        (re.compile(r"(?:va jusqu'à|rejoins|rends-toi à la case|passe par) (.+)"), ("",)),
        (re.compile(r"((?:l[ea] |l').+)"), ("",)),
    ),
}
_JOINT = re.compile(r", then | and then |, puis ")
_FIRST = re.compile(r", but first |, mais avant, ")
_ARTICLE = re.compile(r"^(?:the |(?:de )?la |(?:de )?l'|le |du )")


def check(problem: Problem) -> str | None:
    """Say why the plan of `problem` is not the one that its order asks for; None if it is."""
    try:
        grid = Grid(problem.context)
        legs = read_order(problem.question, problem.language)
        targets = [(grid.find(name), deed) for name, deed in legs]
        return grid.walk(targets, problem.answer, _IMPOSSIBLE[problem.language])
    except UsageError as error:
        return str(error)


def read_order(order: str, language: str) -> list[tuple[str, str]]:
    """What an order asks for: (thing without its article, what to do there), in the order in which it is done.

    Raises: UsageError if it follows no known wording.
    """
    text = order.strip(" .").lower()
    last_said = _FIRST.split(text)
    clauses = [last_said[1], last_said[0]] if len(last_said) == 2 else _JOINT.split(text)
    legs: list[tuple[str, str]] = []
    for clause in clauses:
        for pattern, deeds in _CLAUSES[language]:
            if found := pattern.fullmatch(clause):
                names = [_ARTICLE.sub("", name) for name in found.groups() if name]
                legs += zip(names, deeds, strict=True)
                break
        else:
            raise UsageError(f"cannot read {clause!r}; it follows no known wording")
    return legs


class Grid:
    """The grid of a text: cells are complex numbers, column + row · i."""

    def __init__(self, text: str) -> None:
        size, robot = _SIZE.search(text), _ROBOT.search(text)
        if not size or not robot:
            raise UsageError("the text gives no grid or no robot")
        self.size = int(size[1]), int(size[2])
        self.robot, self.heading = complex(int(robot[1]), int(robot[2])), complex(_TURNS[robot[3]])
        walls = _WALLS.search(text)
        self.walls = {complex(int(x), int(y)) for x, y in _CELL.findall(walls[1])} if walls else set()
        rest = _WALLS.sub("", text)
        named = _THING.findall(rest) + [(name, x, y) for x, y, name in _LABEL.findall(rest)]
        self.things = {name.lower(): complex(int(x), int(y)) for name, x, y in named}
        n_read = len(_CELL.findall(text)) - 1 - len(self.walls)
        taken = {self.robot, *self.walls, *self.things.values()}
        if n_read != len(self.things) or len(taken) != n_read + 1 + len(self.walls):
            raise UsageError("the text names a thing or a cell twice, or one cannot be read")

    def find(self, name: str) -> complex:
        """The cell of a thing.

        Raises: UsageError if there is none of that name.
        """
        if name not in self.things:
            raise UsageError(f"no {name!r} is on the grid, only {', '.join(self.things)}")
        return self.things[name]

    def is_free(self, cell: complex) -> bool:
        """Whether the robot may enter `cell`."""
        return 1 <= cell.real <= self.size[0] and 1 <= cell.imag <= self.size[1] and cell not in self.walls

    def distances(self, goal: complex, deed: str) -> dict[tuple[complex, complex], int]:
        """Steps and turns from each cell and heading to the goal, or to a cell beside it."""
        ends = [goal] if deed != "beside" else [goal + 1, goal - 1, goal + 1j, goal - 1j]
        shut = {goal} if deed == "beside" else set()
        rim = [(cell, heading) for cell in ends if self.is_free(cell) for heading in (1, 1j, -1, -1j)]
        far = dict.fromkeys(rim, 0)
        while rim:
            before = []
            for cell, heading in rim:
                for earlier in ((cell - heading, heading), (cell, heading * 1j), (cell, heading / 1j)):
                    if earlier not in far and self.is_free(earlier[0]) and earlier[0] not in shut:
                        far[earlier] = far[cell, heading] + 1
                        before.append(earlier)
            rim = before
        return far

    def walk(self, targets: list[tuple[complex, str]], answer: str, impossible: str) -> str | None:
        """Say why `answer` is not the plan to these targets; None if it is."""
        far = [self.distances(goal, deed) for goal, deed in targets]
        at, heading = self.robot, self.heading
        wanted: list[str] = []
        for (_, deed), away in zip(targets, far, strict=True):
            if (at, heading) not in away:
                return None if answer == impossible else "a target is walled off"
            while away[at, heading]:
                nearer = away[at, heading] - 1
                moves = {"forward": (at + heading, heading), "left": (at, heading * 1j), "right": (at, heading / 1j)}
                act = next(act for act, state in moves.items() if away.get(state) == nearer)
                at, heading = moves[act]
                wanted.append(act)
            if deed in ("close", "open"):
                wanted.append(deed)
        given = _actions(answer)
        return None if given == wanted else f"the plan is {wanted}, not {given}"


def _actions(answer: str) -> list[str]:
    """Single steps and deeds of a plan.

    Raises: UsageError if a part is not an action, or two runs of steps follow each other.
    """
    done: list[str] = []
    parts = [] if answer == "stay()" else answer.split("; ")
    for before, part in zip(["", *parts], parts, strict=False):
        found = re.fullmatch(r"forward\(([1-9]\d?)\)|(left|right)\(\)|grip\((open|close)\)", part)
        if not found or (found[1] and before.startswith("forward")):
            raise UsageError(f"{part!r} is not an action here; use forward(n), left(), right() or grip(open|close)")
        done += ["forward"] * int(found[1]) if found[1] else [found[2] or found[3]]
    return done
