"""The journal of a run: every call in one SQLite file, written before it is sent and before its reply is read.

A call is `pending`, then `sent`, then `done`; `retry` where it may go well in another try, `permanent` where it never
will. A raw reply is on disk, compressed, before anything looks into it. After a kill at any moment the file is whole:
what was done stays done, and what was sent and not answered is asked again.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petitlm.data.corpus.stage import canonical
from petitlm.data.teachers.protocol import Request
from petitlm.errors import DamagedError, NotFoundError, PetitError

STATES = ("pending", "sent", "done", "retry", "permanent")
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY, request BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    reply BLOB, error TEXT NOT NULL DEFAULT '', n_prompt INTEGER NOT NULL DEFAULT 0,
    n_generated INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 1);
"""
_COLUMNS = "call_id, state, attempts, reply, error, n_prompt, n_generated, counted"


class JournalError(PetitError):
    """The journal cannot be written, so nothing may be sent."""


@dataclass(frozen=True)
class Entry:
    """A call as the journal knows it."""

    call_id: str
    state: str
    attempts: int
    reply: bytes | None
    """The last raw reply."""
    error: str
    n_prompt: int
    """Tokens of the prompts of all tries that were answered; so is `n_generated`."""
    n_generated: int
    counted: bool
    """Whether the server counted the tokens; otherwise they are estimated from bytes."""


class Journal:
    """The calls of one folder. One thread writes."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        if read_only and not path.is_file():
            raise NotFoundError(f"{path} is not there; give the journal.sqlite of a run of `petit data generate`")
        self.path = path
        try:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}", uri=True,
                                       isolation_level=None, check_same_thread=False)
            if not read_only:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")  # a reply that was paid for survives a power cut, too
                self._db.executescript(_TABLES)
            self._db.execute(f"SELECT {_COLUMNS} FROM calls LIMIT 1")
        except sqlite3.DatabaseError as error:
            if hasattr(self, "_db"):
                self._db.close()
            raise DamagedError(f"{path} is not a journal of calls: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write(self, query: str, values: Sequence[Any] = ()) -> None:
        """Raises: JournalError where the disk is full, or the folder may not be written."""
        try:
            self._db.execute(query, values)
        except sqlite3.OperationalError as error:
            raise JournalError(f"{self.path} cannot be written ({error}); make room, and the same command goes on: "
                               "what was done is kept") from None

    def meta(self, name: str) -> Any:
        """A fact about the run; None where it was not written."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_meta(self, name: str, value: Any) -> None:
        """Write a fact about the run."""
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, canonical(value)))

    def add(self, requests: Sequence[Request]) -> None:
        """Enter calls that are to be made; those already there stay as they are."""
        rows = [(r.call_id, zlib.compress(canonical([[list(m) for m in r.messages], r.sampling]).encode()))
                for r in requests]
        self._write("BEGIN")
        for row in rows:
            self._write("INSERT OR IGNORE INTO calls (call_id, request, state) VALUES (?, ?, 'pending')", row)
        self._write("COMMIT")

    def sent(self, call_id: str) -> None:
        """A try begins."""
        self._write("UPDATE calls SET state = 'sent', attempts = attempts + 1, reply = NULL, error = '' "
                         "WHERE call_id = ?", (call_id,))

    def answered(self, call_id: str, raw: bytes, attempt: int | None = None) -> None:
        """Keep a raw reply, before anybody reads it. The state stays `sent` until somebody has."""
        self._write("UPDATE calls SET reply = ?, attempts = coalesce(?, attempts) WHERE call_id = ?",
                         (zlib.compress(raw), attempt, call_id))

    def settle(self, call_id: str, state: str, error: str = "") -> None:
        """The outcome of a try: done, retry or permanent."""
        assert state in STATES
        self._write("UPDATE calls SET state = ?, error = ? WHERE call_id = ?", (state, error, call_id))

    def spend(self, call_id: str, n_prompt: int, n_generated: int, counted: bool) -> None:
        """Add the tokens of a try."""
        self._write("UPDATE calls SET n_prompt = n_prompt + ?, n_generated = n_generated + ?, "
                         "counted = counted AND ? WHERE call_id = ?", (n_prompt, n_generated, counted, call_id))

    def get(self, call_id: str) -> Entry | None:
        """One call; None if it is not there."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        return None if row is None else _entry(row)

    def entries(self) -> Iterator[Entry]:
        """All calls, by call_id."""
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM calls ORDER BY call_id"):
            yield _entry(row)

    def states(self) -> dict[str, str]:
        """The state of each call."""
        return dict(self._db.execute("SELECT call_id, state FROM calls").fetchall())

    def spent(self) -> tuple[int, int, bool]:
        """Tokens of prompts and of replies in all runs so far, and whether the server counted them all."""
        row = self._db.execute("SELECT coalesce(sum(n_prompt), 0), coalesce(sum(n_generated), 0), "
                               "coalesce(min(counted), 1) FROM calls").fetchone()
        return int(row[0]), int(row[1]), bool(row[2])


def _entry(row: Sequence[Any]) -> Entry:
    try:
        reply = None if row[3] is None else zlib.decompress(row[3])
    except zlib.error as error:
        raise DamagedError(f"the reply to call {row[0]} in the journal is damaged: {error}") from None
    return Entry(row[0], row[1], row[2], reply, row[4], row[5], row[6], bool(row[7]))
