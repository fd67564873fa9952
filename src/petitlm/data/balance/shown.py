"""The grid as a table for a terminal, and in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from petitlm.data.balance.grid import Cell, deficits, evenness
from petitlm.data.corpus.assemble import vars_of
from petitlm.drawings import document, heat, section

_SHADES = " ░▒▓█"


def grid_lines(have: Mapping[Cell, int], wanted: Mapping[Cell, int]) -> list[str]:
    """A line for each category and language, a column for each difficulty; shades say how full a cell is.

    A full block is a cell at its target, or without targets the fullest cell; a dot is an empty one.
    """
    cells = {*have, *wanted}
    levels = sorted({cell.difficulty for cell in cells if cell.difficulty is not None})
    rows = sorted({(cell.category or "?", cell.language or "?") for cell in cells})
    full = max(have.values(), default=0)
    width = max([8, *(len(f"{n:,}") + 3 for n in have.values())])
    lines = [f"{'category':<15} {'language':<8} " + "".join(f"{level:>{width}}" for level in levels)]
    for category, language in rows:
        shown = ""
        for level in levels:
            cell = Cell(category, language, level)
            n, target = have.get(cell, 0), wanted.get(cell, full)
            if cell not in have and cell not in wanted:
                shown += f"{'-':>{width}}"
                continue
            shade = "·" if not n else _SHADES[min(4, 1 + int(3 * n / target))] if target else "█"
            shown += f"{f'{n:,} {shade}':>{width}}"
        lines.append(f"{category:<15} {language:<8} {shown}")
    return lines


def grid_plain(have: Mapping[Cell, int], wanted: Mapping[Cell, int]) -> dict[str, Any]:
    """Cells, what lacks, and how even the grid is."""
    lacking = deficits(have, wanted)
    cells = sorted({*have, *wanted}, key=lambda cell: tuple(map(str, cell)))
    return {
        "cells": [{**cell._asdict(), "documents": have.get(cell, 0), "target": wanted.get(cell, 0),
                   "deficit": lacking.get(cell, 0)} for cell in cells],
        "evenness": vars_of(evenness(have, wanted)),
        "deficit": sum(lacking.values()),
    }  # fmt: skip


def grid_page(name: str, have: Mapping[Cell, int], wanted: Mapping[Cell, int]) -> str:
    """A self-contained page with the grid as a heat map: documents, and where there are targets what lacks."""
    parts = [section("Documents", _heat("Documents in each cell", have, {*have, *wanted}))]
    if wanted:
        parts.append(section("What lacks", _heat("Documents that lack", deficits(have, wanted), set(wanted))))
    return document(f"The grid of {name}", *parts, maker="petit data")


def _heat(title: str, counts: Mapping[Cell, int], cells: set[Cell]) -> str:
    levels = sorted({cell.difficulty for cell in cells if cell.difficulty is not None})
    rows = sorted({(cell.category or "?", cell.language or "?") for cell in cells})
    values = [[counts.get(Cell(*row, level), 0) for level in levels] for row in rows]
    return heat(title, [" ".join(row) for row in rows], [f"level {level}" for level in levels], values,
                unit="documents", texts=[[f"{n:,}" if n else "" for n in row] for row in values])
