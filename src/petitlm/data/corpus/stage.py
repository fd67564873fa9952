"""What a stage is: a pure function from a table of documents to those it keeps and those it rejects, with reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Protocol

import pyarrow as pa


class Rejection(NamedTuple):
    """Why one row does not go on."""

    row: int
    """Its index in the table that the stage was given."""
    reason: str
    """One of the stage's `reasons`."""
    detail: str
    """The value that led to it."""


class Sifted(NamedTuple):
    """What a stage made of a table: every row of it is in exactly one of the two."""

    kept: pa.Table
    """In the order given, columns as in `schema.DOCUMENTS`; the stage may have changed any of them but `doc_id`."""
    rejected: list[Rejection]


class Stage(Protocol):
    """One step that looks at documents one table at a time.

    The result for a row may depend on that row and on the stage's settings alone: tables are cut anywhere, and go to
    any number of workers. A stage can be pickled; what it reads from disk (a model, a list) it names by its hash in
    `settings`, loads when first called, and leaves out of the pickle.
    """

    @property
    def name(self) -> str:
        """One word, the folder of its rejections."""
        ...

    @property
    def version(self) -> int:
        """Raised by any change that alters what it gives."""
        ...

    @property
    def reasons(self) -> Mapping[str, str]:
        """Closed list of the reasons for which it rejects, each with its explanation."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that its result depends on besides its version, in plain values."""
        ...

    def __call__(self, rows: pa.Table) -> Sifted: ...


def keep(rows: pa.Table, rejected: Sequence[Rejection]) -> Sifted:
    """`rows` without those rejected."""
    if not rejected:
        return Sifted(rows, [])
    out = {rejection.row for rejection in rejected}
    kept = pa.array([i for i in range(len(rows)) if i not in out], pa.int64())  # typed: it may be empty
    return Sifted(rows.take(kept), list(rejected))


def plain_fields(stage: Any) -> dict[str, Any]:
    """The fields of a stage that is a dataclass, in plain values: its settings."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(stage).items()}


def canonical(value: Any) -> str:
    """JSON of plain values, the same text for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
