"""Work that is never done twice: each task leaves a folder named by the hash of all that decides its content.

A task's folder appears in one rename, when everything in it is written: after a kill at any moment it is there and
whole, or it is not there. Who does a task, when, and how many do others beside has no part in its name or content.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petitlm.data.corpus.stage import canonical
from petitlm.errors import DamagedError, UsageError
from petitlm.files import file_sha256, write_file

DONE = "done.json"


@dataclass(frozen=True)
class Task:
    """One call of a pure function that writes files into a folder."""

    stage: str
    version: int
    key: str
    """Hash of the stage's version and settings and of every input's content."""
    folder: Path
    function: Callable[[Path, Any, str], Mapping[str, Any]]
    """(folder to write into, payload, key) -> counts, plain values. A function of a module: it travels to workers."""
    payload: Any
    """Where the inputs are and what to do; what of it decides the result is in `key`."""


@dataclass(frozen=True)
class Done:
    """What a task left."""

    folder: Path
    files: Mapping[str, str]
    """sha256 of each file, by name."""
    counts: Mapping[str, Any]

    def path(self, name: str) -> Path:
        """Where the file `name` lies."""
        return self.folder / name


def task(
    work: Path, stage: str, version: int, settings: Any, inputs: Any,
    function: Callable[[Path, Any, str], Any], payload: Any,
) -> Task:  # fmt: skip
    """A task whose folder is named by `stage`, `version`, `settings` and the hashes in `inputs`."""
    name = canonical({"stage": stage, "version": version, "settings": settings, "inputs": inputs})
    key = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return Task(stage, version, key, work / stage / key, function, payload)


def perform(job: Task) -> Done:
    """Do a task, or read what it left when it was done before."""
    if (done := read_done(job.folder)) is not None:
        return done
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    beside = job.folder.with_name(f".{job.folder.name}.{secrets.token_hex(4)}.part")
    beside.mkdir()
    try:
        counts = job.function(beside, job.payload, job.key)
        files = {path.name: file_sha256(path) for path in sorted(beside.iterdir())}
        write_file(beside / DONE, [json.dumps({"files": files, "counts": counts}).encode()])
        # Another worker may have done the same meanwhile: equal by construction, so either will do.
        with contextlib.suppress(OSError):
            os.rename(beside, job.folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    done = read_done(job.folder)
    if done is None:
        raise DamagedError(f"{job.folder} was written and cannot be read; is something else deleting files there?")
    return done


def read_done(folder: Path) -> Done | None:
    """What the task of `folder` left; None where it was not done."""
    try:
        left = json.loads((folder / DONE).read_bytes())
        return Done(folder, left["files"], left["counts"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError):
        raise DamagedError(f"{folder / DONE} is not what was written there; delete {folder} to make it again") from None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the work folder for one run; the system lets go when the process ends, however it ends.

    Raises: UsageError while another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+b") as file:
        if not _lock(file.fileno()):
            raise UsageError(f"another run is at work in {folder}; wait for it, or choose another --out")
        for left in folder.glob("*/.*.part"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        lock: Callable[[], Any] = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined] # noqa: E731
    else:
        lock = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731
    try:
        lock()
    except OSError:
        return False
    return True
