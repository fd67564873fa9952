"""Programs that came as data, run in a process of their own: no network, no files, little time, little memory.

Many programs share one worker process, because starting one costs far more than running an exercise; after any
trouble (time, memory, a crash) the next program gets a new one. What a program may say is listed in
`sandbox_worker`; with `syntax="any"` it may say anything, the process alone holds it, and each gets its own.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from petitlm.data import sandbox_worker
from petitlm.data.sandbox_worker import refusal, uses_sets
from petitlm.errors import RefusedError, UsageError

__all__ = ["Limits", "Outcome", "Sandbox", "refusal"]

_HASH_SEEDS = (1, 2, 3, 4)
_POLL_S = 0.25
_PER_WORKER = 2_000
"""Programs before a worker is replaced, so that none grows old."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use."""

    seconds: float = 0.5
    """Processor time, not wall time: a busy machine changes no verdict."""
    memory_mb: int = 256
    """Address space of the worker, Python itself (about 40 MB) included."""
    output_bytes: int = 10_000
    """Of what is printed, and again of all values together."""
    silence_s: float = 20.0
    """Wall time after which a worker that uses no processor time is ended; no listed syntax can wait."""

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.memory_mb < 64 or self.output_bytes <= 0 or self.silence_s <= 0:
            raise UsageError(f"{self} leaves nothing to run in; give memory_mb of 64 or more and the rest above 0")


class Outcome(NamedTuple):
    """What became of a program."""

    status: str
    """ok, error (it raised), refused (its syntax), unstable (depends on the order of a set), or what ran out: time,
    memory, output; died: the process ended."""
    printed: str = ""
    values: tuple[Any, ...] = ()
    """One for each call, as plain Python values."""
    detail: str = ""
    """The error, or the reason."""


class Sandbox:
    """Runs programs one at a time; close it, or use it in a `with` block."""

    def __init__(self, limits: Limits | None = None, syntax: str = "listed") -> None:
        if os.name != "posix":
            raise RefusedError("programs run only where a process can be limited (Linux, macOS); leave code out")
        if syntax not in ("listed", "any"):
            raise UsageError(f"syntax={syntax!r} is not known; choose listed or any")
        self.limits = limits or Limits()
        self.syntax = syntax
        self._workers: dict[int, _Worker] = {}
        self._lock = threading.Lock()

    @property
    def layers(self) -> frozenset[str]:
        """What holds the programs on this system: limits and audit everywhere; namespaces, seccomp where there are."""
        with self._lock:
            return self._worker(_HASH_SEEDS[0]).layers

    def run(self, program: str, calls: Sequence[str] = ()) -> Outcome:
        """Run `program`, then evaluate each of `calls` in it: `["double(3)"]`.

        A program that uses sets runs four times, with other hashes of strings each time, and is `unstable` if that
        shows: two elements in chance order pass one time in eight, more elements far more rarely.
        """
        with self._lock:
            outcome = self._run(program, calls, _HASH_SEEDS[0])
            if outcome.status == "ok" and self.syntax == "listed" and uses_sets(program):
                for seed in _HASH_SEEDS[1:]:
                    other = self._run(program, calls, seed)
                    if list(map(repr, other.values)) != list(map(repr, outcome.values)) or other[:2] != outcome[:2]:
                        return Outcome("unstable", detail="what it gives depends on the order of a set; sort it")
            return outcome

    def _run(self, program: str, calls: Sequence[str], seed: int) -> Outcome:
        worker = self._worker(seed)
        limits = self.limits
        reply = worker.ask(
            {"program": program, "calls": list(calls), "seconds": limits.seconds, "output_bytes": limits.output_bytes,
             "syntax": self.syntax},
            limits,
        )  # fmt: skip
        outcome = _outcome(reply)
        if outcome.status not in ("ok", "error", "refused", "output") or self.syntax == "any":
            self._drop(seed)
        return outcome

    def _worker(self, seed: int) -> _Worker:
        worker = self._workers.get(seed)
        if worker is not None and (worker.owner != os.getpid() or worker.n_asked >= _PER_WORKER):
            self._drop(seed)  # a forked copy of this object must not share the pipes
            worker = None
        if worker is None:
            worker = self._workers[seed] = _Worker(seed, self.limits)
        return worker

    def _drop(self, seed: int) -> None:
        self._workers.pop(seed).end()

    def close(self) -> None:
        """End the workers; a later `run` starts new ones."""
        with self._lock:
            for seed in list(self._workers):
                self._drop(seed)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """One worker process and its two pipes."""

    def __init__(self, seed: int, limits: Limits) -> None:
        self.owner = os.getpid()
        self.n_asked = 0
        # -S and -P: nothing but the standard library can be found. -I would ignore the seed of the hashes.
        command = [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", str(Path(sandbox_worker.__file__))]
        process = subprocess.Popen(
            [*command, str(limits.memory_mb << 20)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, cwd="/",
            env={"PYTHONHASHSEED": str(seed)}, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self._pending = b""
        self._end = weakref.finalize(self, _end, process, self.owner)
        hello = self._reply(limits)
        if "layers" not in hello:
            self.end()
            raise RefusedError(f"the process for programs did not start ({hello['detail']}); give it more memory_mb")
        self.layers = frozenset(map(str, hello["layers"]))

    def ask(self, request: dict[str, object], limits: Limits) -> dict[str, Any]:
        """Send one program and wait for what became of it."""
        self.n_asked += 1
        data = memoryview(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[self._in.write(data) or 0 :]
        return self._reply(limits)

    def _reply(self, limits: Limits) -> dict[str, Any]:
        # Waits are counted, not timed: a machine that sleeps for an hour counts one.
        n_waits_left = max(1, round(limits.silence_s / _POLL_S))
        at_most = 12 * limits.output_bytes + 10_000  # print and values may both be full; JSON makes six bytes of one
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._out], [], [], _POLL_S)
            n_waits_left -= not ready
            chunk = os.read(self._out.fileno(), 1 << 16) if ready else b""
            self._pending += chunk
            if (ready and not chunk) or len(self._pending) > at_most:
                return {"status": "died", "detail": "the process ended without an answer"}
            if n_waits_left <= 0:
                return {"status": "time", "detail": f"no answer within {limits.silence_s} s"}
        line, self._pending = self._pending.split(b"\n", 1)
        try:
            return json.loads(line)
        except ValueError:
            return {"status": "died", "detail": "the process answered something else"}

    def end(self) -> None:
        """End the process now."""
        self._end()


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    if owner == os.getpid():  # a forked copy only lets go of its ends of the pipes
        process.kill()
        process.wait()
    else:
        process.returncode = 0  # not our child: nothing to wait for, nothing to warn about


def _outcome(reply: dict[str, Any]) -> Outcome:
    try:
        values = tuple(ast.literal_eval(value) for value in reply.get("values", ()))
        outcome = Outcome(str(reply["status"]), str(reply.get("printed", "")), values, str(reply.get("detail", "")))
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        return Outcome("error", detail="a call gave what is no plain value")
    if outcome.status == "died":
        # The only ways: the kernel's time limit in a computation that Python cannot interrupt, or memory.
        return outcome._replace(status="died", detail="the process was ended: too much time or memory in one step")
    return outcome
