"""Results as text for a terminal."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len

from petitlm.look.results import Result, Table

_WIDEST = 40  # of a cell with text
KINDS = {"observation": "observed: this says what is there, not what it does",
          "approximation": "estimated: a first-order estimate, not a run",
          "intervention": "caused: the model was run with the change"}


def tables_text(result: Result) -> str:
    """Return a result's tables, its checks, and what kind of knowledge it is."""
    parts = [_table_text(table) for table in result.tables()]
    lines = [str(check) for check in result.checks]
    return "\n\n".join([*parts, "\n".join([*lines, f"({KINDS[result.evidence]})"])])


def _table_text(table: Table) -> str:
    rows = [[cell_text(cell) for cell in row] for row in table.rows]
    right = [all(isinstance(row[i], int | float | None) for row in table.rows) for i in range(len(table.columns))]
    widths = [max([cell_len(name), *(cell_len(row[i]) for row in rows)]) for i, name in enumerate(table.columns)]
    lines = [_line(list(table.columns), widths, right), *(_line(row, widths, right) for row in rows)]
    head = [table.title] if table.title else []
    return "\n".join([*head, *lines, *([f"({table.note})"] if table.note else [])])


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = []
    for cell, width, flush in zip(cells, widths, right, strict=True):
        space = " " * (width - cell_len(cell))
        padded.append(space + cell if flush else cell + space)
    return "  ".join(padded).rstrip()


def visible(text: str) -> str:
    """Return a token's text with marks where nothing would be seen."""
    text = text.replace("\n", "↵").replace("\t", "⇥")
    return text if text.strip(" ") else text.replace(" ", "␣") or "∅"


def cell_text(cell: Any) -> str:
    """Return a table's cell as it is read: three significant digits, text cut where it is too long."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.3f}" if 1e-2 <= abs(cell) < 1e3 or cell == 0 else f"{cell:.3g}"
    text = visible(str(cell)) if cell != "" else ""
    return text if cell_len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
