"""How many verified items a second each family of problems gives on one core, English and French.

usage: python bench/data_generators.py [FAMILY ...] [--seconds 0.3] [--reps 5] [--json FILE]

An item is drawn, checked by the second route and rendered as text; one that fails the check would stop the bench.
Columns 0 to 5: items of that level alone. `mixed`: levels in the family's own shares, as the default model's recipe
takes them. `records`: the same through `petitlm.data.remake`, that is with a seed of its own for each item, the split
by problem, an identity, and conversations one time in five; only records of the training split count, and drafts that
belong to another split are the price. Times are of this process alone (CPU time), medians of the repetitions, in turns
over the families so that a machine that slows down slows all.
Bar: 20,000 items/s for arithmetic and for passages, mixed, in both languages.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from petitlm.data import GENERATORS, TRAIN, Generator, Origin, Problem, Record, Turn, generator, remake, text_of
from petitlm.data.dice import Dice
from petitlm.data.rendering import pieces
from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.speed import Spread

BARS = {"arithmetic": 20_000, "passages": 20_000}


def item(made_by: Generator, rng: Random, language: str, level: int) -> int:
    """Draw, check and render one problem; returns 1, the number of items.

    Raises: AssertionError if the second route finds it wrong.
    """
    problem: Problem = made_by.draw(rng, language, level, False)
    reason = made_by.check(problem)
    assert reason is None, (problem, reason)
    asked = f"{problem.context} {problem.question}" if problem.context else problem.question
    "".join([piece.text for piece in pieces((Turn(asked, problem.answer),), made_by.shape or "qa")])
    return 1


def record(name: str, language: str, index: int) -> int:
    """Make one draft of the training split; returns 1 if it became a record."""
    made = remake(Origin(name, GENERATORS[name].version, language, 0, TRAIN, index))
    if not isinstance(made, Record):
        return 0
    text_of(made)
    return 1


def rate(step: Callable[[int], int], seconds: float) -> float:
    """Items per second of CPU time over at least `seconds`."""
    made = index = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(20):
            made += step(index)
            index += 1
    return made / spent


def cases(names: list[str]) -> Iterator[tuple[str, str, str, Callable[[int], int]]]:
    """Family, language, column, and what makes one item."""
    for name in names:
        made_by = generator(name)
        levels = range(len(made_by.level_weights))
        for language in ("en", "fr"):
            rng = Dice(1)
            for level in made_by.levels:
                yield name, language, str(level), lambda _, b=made_by, r=rng, s=language, n=level: item(b, r, s, n)
            # The levels are drawn beforehand: a mixture knows how many it wants of each.
            drawn = rng.choices(levels, made_by.level_weights, k=5000)
            yield name, language, "mixed", lambda i, b=made_by, r=rng, s=language, d=drawn: item(b, r, s, d[i % 5000])
            yield name, language, "records", lambda i, n=name, s=language: record(n, s, i)


def measure(names: list[str], seconds: float, reps: int) -> dict[tuple[str, str], dict[str, Spread]]:
    """The rates of every case, by (family, language) and column."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(reps):
        for name, language, column, step in cases(names):
            found.setdefault((name, language, column), []).append(rate(step, seconds))
    table: dict[tuple[str, str], dict[str, Spread]] = {}
    for (name, language, column), values in found.items():
        table.setdefault((name, language), {})[column] = Spread.of(values)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=list(GENERATORS))
    parser.add_argument("--seconds", type=float, default=0.3, help="of CPU time for each figure and repetition")
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    facts, other = machine(), OtherWork()
    table = measure(arguments.families, arguments.seconds, arguments.reps)
    columns = [*map(str, range(6)), "mixed", "records"]
    print(f"verified items a second on one core, medians of {arguments.reps}; {facts['processor']}, "
          f"Python {facts['python']}, {facts['measured']}; "
          f"others took {other.cores() or 0:.2f} of {facts['cores']} cores")
    print(f"{'family':16}{'':4}" + "".join(f"{column:>9}" for column in columns) + "   mixed, range")
    for (name, language), row in table.items():
        shown = "".join(f"{row[column].median:9,.0f}" if column in row else f"{'–':>9}" for column in columns)
        mixed, bar = row["mixed"], BARS.get(name)
        verdict = "" if bar is None else f"   bar {bar:,}: {'met' if mixed.median >= bar else 'MISSED'}"
        print(f"{name:16}{language:4}{shown}   {mixed.low:,.0f} to {mixed.high:,.0f}{verdict}")
    if arguments.json:
        rows: list[dict[str, Any]] = [
            {"family": name, "language": language} | {column: spread.median for column, spread in row.items()}
            for (name, language), row in table.items()
        ]
        arguments.json.write_text(json.dumps({"machine": facts, "items_per_second": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
