"""The grid: how many documents a corpus has for each category, language and difficulty, and what lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Cell(NamedTuple):
    """One field of the grid."""

    category: str
    language: str
    difficulty: int


@dataclass(frozen=True)
class Evenness:
    """How evenly a corpus fills its cells."""

    n_cells: int
    at_target: float
    """Share of the cells that have what they should."""
    deficit: float
    """Share of all that is wanted that lacks: sum of max(0, target - have) over the sum of targets."""
    smallest: float
    """The emptiest cell, as a share of its target."""
    pielou: float
    """Entropy over its greatest value; 1: all cells equal. Pielou 1966."""
    gini: float
    """0: all cells equal; near 1: one cell has everything. Gini 1912."""
    effective_cells: float
    """exp(entropy): as many equal cells would be as varied. Hill 1973, order 1."""


def deficits(have: Mapping[Cell, int], targets: Mapping[Cell, int]) -> dict[Cell, int]:
    """What lacks in each cell that has less than its target."""
    return {cell: want - have.get(cell, 0) for cell, want in targets.items() if have.get(cell, 0) < want}


def evenness(have: Mapping[Cell, int], targets: Mapping[Cell, int]) -> Evenness:
    """Measure the cells of `targets`; what lies outside of them is not counted."""
    counts = [have.get(cell, 0) for cell in targets]
    wanted = list(targets.values())
    lacking = sum(deficits(have, targets).values())
    entropy = _entropy(counts)
    n = len(counts)
    return Evenness(
        n_cells=n,
        at_target=sum(c >= w for c, w in zip(counts, wanted, strict=True)) / n if n else 1.0,
        deficit=lacking / sum(wanted) if sum(wanted) else 0.0,
        smallest=min((c / w for c, w in zip(counts, wanted, strict=True) if w), default=1.0),
        pielou=entropy / math.log(n) if n > 1 else 1.0,
        gini=_gini(counts),
        effective_cells=math.exp(entropy) if sum(counts) else 0.0,
    )


def _entropy(counts: Sequence[int]) -> float:
    total = sum(counts)
    return -sum(c / total * math.log(c / total) for c in counts if c) if total else 0.0


def _gini(counts: Sequence[int]) -> float:
    ordered, total, n = sorted(counts), sum(counts), len(counts)
    if not total:
        return 0.0
    return sum((2 * i - n - 1) * c for i, c in enumerate(ordered, 1)) / (n * total)
