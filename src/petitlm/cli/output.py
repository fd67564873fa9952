"""What commands print: results on standard output, everything about them on standard error."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

Progress = Callable[[int, int, str], None]
"""Called with (done, total, name of what is being done)."""


def print_json(value: Any) -> None:
    """Print one JSON document, in which a number that is not finite is null."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_json_line(value: Any) -> None:
    """Print one JSON document on one line, at once."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, allow_nan=False))
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Return `value` in JSON's own types: dataclasses as objects, arrays as lists, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if (to_list := getattr(value, "tolist", None)) is not None:  # a NumPy array or scalar
        return plain(to_list())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def note(text: str) -> None:
    """Say something about the result, in grey where colours are wanted (https://no-color.org)."""
    plain_terminal = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    click.secho(text, err=True, dim=None if plain_terminal else True)


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of equal length in columns: the first and last flush left, numbers between them flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        middle = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        click.echo("  ".join([row[0].ljust(widths[0]), *middle, row[-1]]).rstrip())


def si_text(n: float) -> str:
    """Return a count with a decimal prefix: 5.29 G, 3.1 M, 45.2 k."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.{2 if n < 10 * size else 1}f} {prefix}"
    return f"{n:.0f} "


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Give a function to report progress to: a bar on a terminal, a plain line every tenth elsewhere."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
               TimeRemainingColumn(), TextColumn("{task.fields[name]}", style="dim"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None, name="")
        yield lambda done, total, name: bars.update(task, completed=done, total=total, name=name)


def _lines(what: str) -> Progress:
    start, last = time.perf_counter(), -1

    def report(done: int, total: int, name: str) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth > last:
            last = tenth
            seconds = time.perf_counter() - start
            click.echo(f"{what}: {done} of {total} ({seconds:.0f} s) {name}".rstrip(), err=True)

    return report
