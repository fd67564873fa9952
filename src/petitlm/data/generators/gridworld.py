"""A robot on a small grid with walls and things: an order in words, answered by its plan: the generator.

Columns count from the west, rows from the south, both from 1. Actions are those of `commands`: `forward(n)`, `left()`,
`right()`, `grip(close)`, `grip(open)`. The plan is a shortest one (steps and turns) to each target in turn; of several
the one that goes forward rather than left, and left rather than right, at the first difference. What cannot be
reached is answered so.
Levels: 0 straight ahead; 1 with a turn; 2 walls; 3 fetch a thing; 4 carry it somewhere, things told apart by colour;
5 three targets on a larger grid, one of them said last but done first.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import NamedTuple

from petitlm.data.generators.gridworld_words import COLOURS, HEADINGS, IMPOSSIBLE, ORDERS, TELL, Thing, coloured
from petitlm.data.generators.passage_words import THINGS
from petitlm.data.generators.puzzle_words import capital, listed
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "gridworld"
VERSION = 1
LEVEL_WEIGHTS = (1, 3, 4, 4, 3, 3)
CATEGORY = "robot"
FORM = "command"

_COMPASS = ("north", "east", "south", "west")
STEPS = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
_THINGS = tuple(noun for noun in THINGS if noun.en != "bread")  # which is not counted
_SIDES = ((3, 4), (3, 4), (4, 5), (4, 5), (5, 6), (6, 7))
_WALLS = (0, 0, 4, 4, 6, 9)
_N_THINGS = (1, 1, 2, 2, 4, 4)
_TASKS = (
    ("go", "beside"),
    ("go", "beside"),
    ("go", "go-go", "beside"),
    ("fetch", "fetch-go", "go-fetch"),
    ("carry", "carry-go", "go-carry"),
    ("go-carry", "carry-go", "carry-first", "go-go-go"),
)
_UNREACHABLE_SHARE = 0.1
_HELD_OUT = frozenset({("go", "north"), ("beside", "west"), ("go-go", "east"), ("fetch-go", "south"), ("carry", "west"),
                       ("go-carry", "north"), ("carry-first", "south")})  # fmt: skip


class Place(NamedTuple):
    """A cell: column and row."""

    x: int
    y: int


class World(NamedTuple):
    """What a text tells."""

    width: int
    height: int
    walls: frozenset[Place]
    robot: Place
    heading: str
    things: tuple[tuple[Thing, Place], ...]


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a task begun in a heading that it never begins in there."""
    task, heading, _ = structure.split("/", 2)
    return (task, heading) in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one order with its plan; with `held_out`, one of a structure that training never sees."""
    while True:
        task, heading = rng.choice(_TASKS[level]), rng.choice(_COMPASS)
        if ((task, heading) in _HELD_OUT) != held_out:
            continue
        world = _world(rng, level, heading)
        targets = _targets(rng, world, task)
        actions = plan(world, task, targets)
        straight = actions is not None and not {"left", "right"} & set(actions)
        impossible = level >= 2 and rng.random() < _UNREACHABLE_SHARE
        if (actions is None) == impossible and (level != 0 or straight) and (level != 1 or not straight):
            break
    things = [world.things[i][0] for i in targets]
    order = rng.choice(ORDERS[language][task]).format(*(coloured(thing, language, "the") for thing in things),
                                                      *(coloured(thing, language, "of") for thing in things))
    answer = IMPOSSIBLE[language] if actions is None else written(actions)
    shape = "none" if actions is None else ".".join(dict.fromkeys(actions))
    return Problem(
        FAMILY, language, level, f"{task}/{heading}/{world.width}x{world.height}/{len(world.walls)}/{shape}",
        f"{FAMILY}:{_key(world)}:{task}:{','.join(thing.key for thing in things)}",
        in_haste(rng, capital(order)), answer, _told(rng, world, language),
    )  # fmt: skip


def _world(rng: Random, level: int, heading: str) -> World:
    width, height = rng.choice(_SIDES[level]), rng.choice(_SIDES[level])
    cells = [Place(x, y) for x in range(1, width + 1) for y in range(1, height + 1)]
    n_walls = rng.randrange(_WALLS[level] // 2, _WALLS[level] + 1) if _WALLS[level] else 0
    n_things = _N_THINGS[level]
    taken = rng.sample(cells, n_walls + n_things + 1)
    things: list[Thing] = []
    while len(things) < n_things:
        colour = rng.choice(tuple(COLOURS)) if level >= 4 else ""
        noun = rng.choice(_THINGS)
        noun = things[0].noun if level >= 4 and len(things) == 1 else noun  # two of a kind, told apart by colour
        thing = Thing(noun, colour)
        if thing not in things:
            things.append(thing)
    robot, *places = taken[n_walls:]
    return World(width, height, frozenset(taken[:n_walls]), robot, heading, tuple(zip(things, places, strict=True)))


def _targets(rng: Random, world: World, task: str) -> list[int]:
    """The numbers of the things that the task is about, in the order in which it names them."""
    n = sum({"go": 1, "beside": 1, "fetch": 1, "carry": 2, "first": 1}[part] for part in task.split("-"))
    return rng.sample(range(len(world.things)), n)


def legs(task: str, targets: list[int]) -> list[tuple[int, str]]:
    """What is done, in order: (thing, what to do there: "", "close", "open", or "beside" to stop before it)."""
    at = iter(targets)
    done: list[tuple[int, str]] = []
    for part in task.replace("first", "go").split("-"):
        if part == "carry":
            done += [(next(at), "close"), (next(at), "open")]
        else:
            done.append((next(at), {"go": "", "fetch": "close", "beside": "beside"}[part]))
    return done


def plan(world: World, task: str, targets: list[int]) -> list[str] | None:
    """The actions, one step each; None if a target cannot be reached."""
    at, heading = world.robot, world.heading
    actions: list[str] = []
    for thing, deed in legs(task, targets):
        goal = world.things[thing][1]
        goals = {goal} if deed != "beside" else {Place(goal.x + dx, goal.y + dy) for dx, dy in STEPS.values()}
        found = _shortest(world, at, heading, goals, goal if deed == "beside" else None)
        if found is None:
            return None
        way, at, heading = found
        actions += way
        if deed in ("close", "open"):
            actions.append(deed)
    return actions


def _shortest(
    world: World, at: Place, heading: str, goals: set[Place], blocked: Place | None
) -> tuple[list[str], Place, str] | None:
    """The first of the shortest ways to one of `goals`, searched from the robot on."""
    start = (at, _COMPASS.index(heading))
    came: dict[tuple[Place, int], tuple[tuple[Place, int], str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        at, h = state
        if at in goals:
            way: list[str] = []
            end = state
            while (step := came[state]) is not None:
                state, action = step
                way.append(action)
            return way[::-1], end[0], _COMPASS[end[1]]
        dx, dy = STEPS[_COMPASS[h]]
        ahead = Place(at.x + dx, at.y + dy)
        free = 1 <= ahead.x <= world.width and 1 <= ahead.y <= world.height
        free = free and ahead not in world.walls and ahead != blocked
        # A queue that takes forward, left, right in this order meets every state by the first of its shortest ways.
        for action, following in (("forward", (ahead, h)), ("left", (at, (h - 1) % 4)), ("right", (at, (h + 1) % 4))):
            if (free or action != "forward") and following not in came:
                came[following] = (state, action)
                queue.append(following)
    return None


def written(actions: list[str]) -> str:
    """`forward(2); left(); grip(close)`: runs of steps are counted; nothing to do is `stay()`."""
    said: list[str] = []
    steps = 0
    for action in [*actions, ""]:
        if action == "forward":
            steps += 1
            continue
        if steps:
            said.append(f"forward({steps})")
            steps = 0
        if action:
            said.append(f"grip({action})" if action in ("close", "open") else f"{action}()")
    return "; ".join(said) or "stay()"


def _told(rng: Random, world: World, language: str) -> str:
    """Size and robot first, then walls and things in either order."""
    tell = {fact: rng.choice(ways) for fact, ways in TELL[language].items()}
    opening = [tell["size"].format(w=world.width, h=world.height)]
    opening.append(tell["robot"].format(at=_cell(world.robot), heading=HEADINGS[language][world.heading]))
    walls = [_cell(wall) for wall in sorted(world.walls)]
    told = [tell["walls" if len(walls) > 1 else "wall"].format(all=listed(walls, language))] if walls else []
    for thing, place in world.things:
        told.append(capital(tell["thing"].format(a=coloured(thing, language, "a"), at=_cell(place))))
    return " ".join([*opening, *(told if rng.random() < 0.5 else told[::-1])])


def _cell(place: Place) -> str:
    return f"({place.x}, {place.y})"


def _key(world: World) -> str:
    things = ";".join(f"{thing.key}@{_cell(place)}" for thing, place in sorted(world.things, key=lambda t: t[0].key))
    walls = "".join(_cell(wall) for wall in sorted(world.walls))
    return f"{world.width}x{world.height}:{walls}:{_cell(world.robot)}{world.heading}:{things}"
