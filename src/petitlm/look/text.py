"""Results as text for a terminal."""

from __future__ import annotations

from rich.cells import cell_len

from petitlm.drawings import Table, cell_text
from petitlm.look.results import Result

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
