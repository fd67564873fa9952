"""Questions and examples that commands work on: JSON lines of a file, or problems that petit generates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from petitlm.errors import UsageError
from petitlm.files import parse_json_object, read_text

if TYPE_CHECKING:
    from petitlm.data import Record

MAX_BYTES = 64 << 20
MAX_PROBLEMS = 100_000


@dataclass(frozen=True)
class Problem:
    """A prompt, what is known of it, and what it is like."""

    prompt: str
    answer: str
    group: str
    """Problems of one group are alike."""
    part: str
    record: Record | None = None
    """Where it was generated."""


def json_rows(path: str, needed: Mapping[str, type | tuple[type, ...]],
              optional: Mapping[str, type | tuple[type, ...]]) -> list[dict[str, Any]]:
    """Return the JSON objects of a file (`-` is standard input), one a line; empty lines are left out.

    Raises: NotFoundError; DamagedError for a line that is no object; UsageError for missing, unknown or wrong fields.
    """
    rows = []
    for i, line in lines_of(path):
        row = parse_json_object(line, f"{path}, line {i},")
        for name, kind in {**needed, **{n: k for n, k in optional.items() if n in row}}.items():
            if name not in row or not isinstance(row[name], kind):
                raise UsageError(f"{path}, line {i}: {name!r} is {row.get(name, 'missing')!r:.40}; give "
                                 f"{', '.join(needed)} in every line"
                                 + (f", and {', '.join(optional)} if you like" if optional else ""))
        if unknown := set(row) - set(needed) - set(optional):
            raise UsageError(f"{path}, line {i}: the field {min(unknown)!r:.40} is not known; give "
                             f"{', '.join([*needed, *optional])}")
        rows.append(row)
    if not rows:
        raise UsageError(f"{path} is empty; give one JSON object a line")
    return rows


def lines_of(path: str) -> list[tuple[int, str]]:
    """Return the lines that hold something, with their numbers; `-` is standard input.

    Raises: NotFoundError; DamagedError.
    """
    from petitlm.cli.answer import read_stdin

    text = read_stdin() if path == "-" else read_text(path, MAX_BYTES)
    return [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]


def problems_of(file: str | None, n: int, seed: int, parts: tuple[str, ...]) -> list[Problem]:
    """Return the problems of a file, or `n` generated ones of each of the splits `parts`.

    Raises: UsageError; NotFoundError; DamagedError.
    """
    if file is not None:
        rows = json_rows(file, {"prompt": str, "answer": str}, {"group": str, "part": str})
        return [Problem(row["prompt"], row["answer"], row.get("group", f"line {i}"), row.get("part", parts[0]))
                for i, row in enumerate(rows)]
    from petitlm.data import TRAIN, Mixture, make_records, prompt_of

    train = n if TRAIN in parts else 0
    records = make_records(Mixture(train, 0 if parts == (TRAIN,) else n, seed=seed)).records
    return [Problem(prompt_of(record), record.answer, _group(record), record.split, record)
            for record in records if record.split in parts]


def all_stops() -> tuple[str, ...]:
    """Return what ends an answer in any of the prompt shapes that have turns."""
    from petitlm.prompts import SHAPES

    return tuple(dict.fromkeys(stop for shape in SHAPES.values() for stop in shape.stops))


def _group(record: Record) -> str:
    """Return what a record's structure is about, as coarsely as structures are held out from training."""
    from petitlm.data import generator

    held_out = generator(record.family).is_held_out
    order, *kinds = record.structure.split("/")
    if record.family == "passages":
        return f"passages/{order}/{kinds[0]}"
    if record.family == "commands":
        for kind in kinds:
            if held_out(f"one/{kind}"):
                return f"commands/{kind}"
            if held_out(f"{order}/{kind}"):
                return f"commands/{order}/{kind}"
    return f"{record.family}/{record.structure}"
