"""The log of a run: one JSON object a line, written as it happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any


class EventLog:
    """Appends events to a file, each with the seconds since the log was opened."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._now, self._start = now, now()

    def __call__(self, event: dict[str, Any]) -> None:
        line = {"seconds": round(self._now() - self._start, 2), **event}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        self._file.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return a log's events; a last line torn by a kill is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
