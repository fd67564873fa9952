"""Exact match of a model's answers, per family, language, level and split, with its uncertainty."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from petitlm.data.record import Record
from petitlm.data.rendering import prompt_of
from petitlm.errors import ShapeError

_Z = 1.959964
"""Normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Answers of one family, language, level and split; "all" where a cell sums over one of them."""

    family: str
    language: str
    level: int | str
    split: str
    n_right: int
    n: int

    @property
    def share(self) -> float:
        """Share of exact matches."""
        return self.n_right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share."""
        return wilson_interval(self.n_right, self.n)


@dataclass(frozen=True, slots=True)
class Scores:
    """Exact match, cell by cell."""

    cells: list[Cell]
    misses: list[tuple[str, str, str]]
    """(record id, wanted, given) of every wrong answer."""

    def summed(self, *over: str) -> list[Cell]:
        """The cells with `over` ("level", "language", ...) summed out."""
        sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
        for cell in self.cells:
            key = tuple("all" if axis in over else getattr(cell, axis) for axis in _AXES)
            sums[key][0] += cell.n_right
            sums[key][1] += cell.n
        return [Cell(*key, *counts) for key, counts in sums.items()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: each cell with its share and interval."""
        return {
            "cells": [
                asdict(cell) | {"share": round(cell.share, 4), "interval_95": [round(x, 4) for x in cell.interval]}
                for cell in self.cells
            ]
        }

    def to_markdown(self, by_level: bool = False) -> str:
        """A table: a line per family and language (and level), a column per split."""
        cells = self.cells if by_level else self.summed("level")
        splits = list(dict.fromkeys(cell.split for cell in cells))
        rows: dict[tuple[str, str, int | str], dict[str, Cell]] = defaultdict(dict)
        for cell in cells:
            rows[cell.family, cell.language, cell.level][cell.split] = cell
        heads = ["family", "language", *(["level"] if by_level else []), *splits]
        lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for (family, language, level), row in rows.items():
            start = [family, language, *([str(level)] if by_level else [])]
            lines.append(f"| {' | '.join(start + [_shown(row.get(split)) for split in splits])} |")
        return "\n".join(lines) + "\n"


_AXES = ("family", "language", "level", "split")


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    low, high = cell.interval
    return f"{100 * cell.share:.1f} % ({100 * low:.1f}–{100 * high:.1f}), {cell.n_right}/{cell.n}"


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion; (0, 1) where nothing was measured. Source: Wilson 1927."""
    if n == 0:
        return 0.0, 1.0
    share = n_right / n
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    middle = share + _Z**2 / (2 * n)
    scale = 1 + _Z**2 / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def exact_match(records: Sequence[Record], generate: Callable[[list[str]], list[str]]) -> Scores:
    """Ask for the last answer of each record and compare it, without surrounding space, with the reference.

    `generate` takes prompts and returns as many answers, each cut at its end token or stop text.
    """
    answers = generate([prompt_of(record) for record in records])
    if len(answers) != len(records):
        raise ShapeError(f"{len(records)} prompts gave {len(answers)} answers; generate must return one for each")
    counts: dict[tuple[str, str, int, str], list[int]] = defaultdict(lambda: [0, 0])
    misses: list[tuple[str, str, str]] = []
    for record, answer in zip(records, answers, strict=True):
        is_right = answer.strip() == record.answer
        cell = counts[record.family, record.language, record.level, record.split]
        cell[0] += is_right
        cell[1] += 1
        if not is_right:
            misses.append((record.id, record.answer, answer.strip()))
    return Scores([Cell(*key, *count) for key, count in sorted(counts.items())], misses)
