"""Who does the tasks: this process, a pool of processes, or a Ray cluster.

None of them changes a byte of what comes out.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

from petitlm.data.corpus.store import Done, Task, perform, read_done
from petitlm.errors import PetitError, UsageError

Report = Callable[[int, int, str], None]
"""Called with (tasks done, tasks in all, name of the stage)."""

_TRIES = 4


class Workers(Protocol):
    """Whoever performs tasks."""

    def run(self, tasks: Sequence[Task], report: Report) -> list[Done]:
        """Perform `tasks`, those done before excepted; return what each left, in their order."""
        ...

    def close(self) -> None: ...


class InProcess:
    """One task after the other, here."""

    def run(self, tasks: Sequence[Task], report: Report) -> list[Done]:
        done: list[Done] = []
        for i, job in enumerate(tasks):
            done.append(perform(job))
            report(i + 1, len(tasks), job.stage)
        return done

    def close(self) -> None:
        pass


class Pool:
    """Several processes of this machine; one that dies is replaced, and its task done again."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool: ProcessPoolExecutor | None = None

    def run(self, tasks: Sequence[Task], report: Report) -> list[Done]:
        known: dict[Path, Done] = {}
        for tries_left in reversed(range(_TRIES)):
            for job in tasks:
                if job.folder not in known and (left := read_done(job.folder)) is not None:
                    known[job.folder] = left
            try:
                self._run([job for job in tasks if job.folder not in known], len(tasks), report, known)
                return [known[job.folder] for job in tasks]
            except BrokenProcessPool:
                self.close()
                if not tries_left:
                    raise PetitError(
                        f"worker processes died {_TRIES} times at stage {tasks[0].stage!r}; memory may be short: "
                        f"give fewer --workers than {self.n}"
                    ) from None
        raise AssertionError("the loop returns or raises")

    def _run(self, tasks: Sequence[Task], total: int, report: Report, known: dict[Path, Done]) -> None:
        if not tasks:
            return
        if self._pool is None:
            # Started afresh, not forked: a fork copies locks that threads of this process may hold.
            self._pool = ProcessPoolExecutor(self.n, multiprocessing.get_context("spawn"), _follow)
        waiting = {self._pool.submit(perform, job): job for job in tasks}
        try:
            for i, future in enumerate(as_completed(waiting)):
                known[waiting[future].folder] = future.result()
                report(total - len(tasks) + i + 1, total, waiting[future].stage)
        except BaseException:
            for future in waiting:
                future.cancel()
            raise

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


class Ray:
    """Workers of a Ray cluster, that of this machine or the one at `address`; they share the work folder.

    Ray itself does a task again, elsewhere, when its worker dies.
    """

    def __init__(self, n: int | None = None, address: str | None = None) -> None:
        import ray

        self._ray: Any = ray
        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
            here: dict[str, Any] = {"num_cpus": n, "include_dashboard": False}
            if sys.platform == "linux":
                # Nobody else shall reach it. Ray takes 127.0.0.1 for "find this machine's address"; not so the next.
                here["_node_ip_address"] = "127.0.0.2"
            options: dict[str, Any] = {"address": address} if address else here
            ray.init(log_to_driver=False, configure_logging=False, **options)
        self._perform = ray.remote(max_retries=_TRIES, num_cpus=1)(perform)

    def run(self, tasks: Sequence[Task], report: Report) -> list[Done]:
        waiting = [self._perform.remote(job) for job in tasks]
        try:
            return self._results(waiting, tasks, report)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except self._ray.exceptions.WorkerCrashedError:
            raise PetitError(f"workers died {_TRIES} times at stage {tasks[0].stage!r}; memory may be short") from None

    def _results(self, waiting: list[Any], tasks: Sequence[Task], report: Report) -> list[Done]:
        left = waiting
        while left:
            done, left = self._ray.wait(left, num_returns=1)
            self._ray.get(done)
            report(len(tasks) - len(left), len(tasks), tasks[0].stage)
        return self._ray.get(waiting)

    def close(self) -> None:
        self._ray.shutdown()


def workers(n: int, on_ray: bool = False, address: str | None = None) -> Workers:
    """`n` workers of a kind.

    Raises: UsageError for fewer than one.
    """
    if n < 1:
        raise UsageError(f"--workers {n} leaves nobody to do the work; give 1 or more")
    return Ray(n, address) if on_ray else Pool(n) if n > 1 else InProcess()


def _follow() -> None:
    """In a worker: Ctrl-C is the first process's to handle, and when that one is gone, however it went, so am I."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def none(_done: int, _total: int, _stage: str) -> None:
    """Report to nobody."""

