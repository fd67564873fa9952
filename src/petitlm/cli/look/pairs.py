"""Pairs of prompts for a circuit: a file's, or questions that petit's own model was taught to answer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from petitlm.cli.look.rows import json_rows
from petitlm.errors import UsageError

Quad = tuple[str, str, str, str | None]
"""clean, corrupt, answer, versus."""
MAX_PAIRS = 1000


def pairs_of(file: str | None, task: str | None, n: int, seed: int) -> list[Quad]:
    """Return the pairs of a file of JSON lines, or `n` different ones of a task.

    Raises: UsageError, NotFoundError, DamagedError.
    """
    if (file is None) == (task is None):
        raise UsageError(f"say which prompts: a file of pairs (JSON lines with clean, corrupt, answer, versus), or "
                         f"--task {' or '.join(TASKS)}")
    if file is not None:
        rows = json_rows(file, {"clean": str, "corrupt": str, "answer": str}, {"versus": str})
        return [(row["clean"], row["corrupt"], row["answer"], row.get("versus")) for row in rows]
    assert task is not None
    rng, found = Random(seed), dict[Quad, None]()
    for _ in range(100 * n):
        found[TASKS[task](rng)] = None
        if len(found) == n:
            return list(found)
    raise UsageError(f"there are only {len(found)} different prompts for task {task}; ask for at most as many")


def _sum(rng: Random) -> Quad:
    """One-digit sums that differ in the second number; what is asked for is the digit of the answer."""
    a = rng.randint(0, 8)
    b, c = rng.sample(range(10 - a), 2)
    clean, corrupt = (f"Instruct: What is {a} + {x}?\nOutput: {a} + {x} = " for x in (b, c))
    return clean, corrupt, str(a + b), str(a + c)


def _place(rng: Random) -> Quad:
    """Where a thing is, in one place or another; what is asked for is the place, which has to be copied."""
    from petitlm.data.generators.passage_words import NAMES, PLACES, THINGS

    (thing, other), (here, there), name = rng.sample(THINGS, 2), rng.sample(PLACES, 2), rng.choice(NAMES)
    clean, corrupt = (f"Instruct: The {thing.en} is in the {place.en}. {name} takes the {other.en}. Where is the "
                      f"{thing.en}?\nOutput: The {thing.en} is in the" for place in (here, there))
    return clean, corrupt, f" {here.en}", f" {there.en}"


TASKS: dict[str, Callable[[Random], Quad]] = {"sums": _sum, "places": _place}
"""What `--task` can name."""
