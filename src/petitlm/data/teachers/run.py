"""Sending calls: several at once, waiting as the server asks, within budgets, and never twice what was done.

One thread decides and writes the journal; the others only wait for the teacher. Time comes from a clock and jitter from
a generator that are given, so that tests need not wait.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from random import Random

from petitlm.data.teachers.journal import Journal
from petitlm.data.teachers.protocol import (
    Answer,
    ChangedError,
    Identity,
    PermanentError,
    Reply,
    Request,
    RetryError,
    StopError,
    Teacher,
    TeacherError,
    read_reply,
)

UNPROVED, MARKS = "unproved", "marks"
_BYTES_PER_TOKEN = 3
"""For servers that do not count: fewer bytes than most tokenizers take for a token, so that a budget is not overrun."""
_CLOSE_TO = 1e-9


@dataclass(frozen=True)
class Budgets:
    """When to stop; 0 means no limit. Tokens and money count all runs on the journal, minutes this one."""

    tokens: int = 0
    money: float = 0.0
    minutes: float = 0.0
    price_in: float = 0.0
    """Money for a million tokens of prompts."""
    price_out: float = 0.0
    """Money for a million tokens of replies."""

    def cost(self, n_prompt: int, n_generated: int) -> float:
        """Money for these tokens."""
        return (n_prompt * self.price_in + n_generated * self.price_out) / 1e6


@dataclass(frozen=True)
class Patience:
    """How often and how long to try."""

    at_once: int = 4
    """Calls that wait for the teacher at the same time."""
    tries: int = 6
    """Of one call in one run; what fails them all is tried anew in the next run."""
    first_s: float = 1.0
    """Wait after the first failure; doubled after each further one..."""
    longest_s: float = 60.0
    """...up to this; a `Retry-After` counts as it is."""
    breaker: int = 12
    """Failures in a row, of whatever calls, after which the run stops."""
    probe_each: int = 100
    """Replies after which the teacher is asked again who it is."""


@dataclass(frozen=True)
class Clock:
    """Where time comes from: seconds that never go back, and a way to let them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Run:
    """Makes the calls of a journal."""

    teacher: Teacher
    journal: Journal
    budgets: Budgets = field(default_factory=Budgets)
    patience: Patience = field(default_factory=Patience)
    clock: Clock = field(default_factory=Clock)
    rng: Random = field(default_factory=lambda: Random(0))
    report: Callable[[int, int, str], None] = lambda done, total, name: None

    def go(self, requests: Iterable[Request]) -> TeacherError | str:
        """Make the calls that are not done; returns why it stopped: "" when nothing is left to do, the budget that
        was spent, or the error that stopped it. The journal has everything in any case."""
        requests = list(requests)
        self.journal.add(requests)
        self._begin(requests)
        self._prove()
        flying: dict[Future[Answer], Request] = {}
        interrupted = False
        with ThreadPoolExecutor(self.patience.at_once) as team:
            while (self._queue or self._later or flying) and (flying or not self._stop):
                try:
                    self._send_what_may_go(team, flying)
                    self._take_in(flying)
                except KeyboardInterrupt:  # what is on its way is still taken in, unless it comes again
                    if interrupted:
                        raise
                    interrupted, self._stop = True, "interrupted"
        if interrupted:
            raise KeyboardInterrupt
        if self._unproved and not isinstance(self._stop, TeacherError):
            self._prove()
        return self._stop

    def identify(self) -> Identity:
        """Who the teacher is, asked with the patience that its replies get.

        Raises: TeacherError.
        """
        for tries in range(1, self.patience.tries + 1):
            try:
                return self.teacher.identity()
            except RetryError as error:
                if tries == self.patience.tries:
                    raise TeacherError(f"after {tries} tries: {error}") from None
                self.clock.sleep(self._wait(tries) if error.after_s is None else error.after_s)
        raise AssertionError("the last try returns or raises")

    def _begin(self, requests: list[Request]) -> None:
        """See what is left to do. A reply that an earlier run was killed before reading is read, not asked for."""
        self._later: list[tuple[float, Request]] = []
        self._queue: deque[Request] = deque()
        self._tries: Counter[str] = Counter()
        self._in_a_row, self._held_until = 0, self.clock.now()
        self._stop: TeacherError | str = ""
        self._until = self.clock.now() + 60 * self.budgets.minutes if self.budgets.minutes else float("inf")
        self._unproved: list[str] = list(self.journal.meta(UNPROVED) or ())
        self._total = len(requests)
        self._n_prompt, self._n_generated, _ = self.journal.spent()
        states = self.journal.states()
        self._finished = sum(states[r.call_id] in ("done", "permanent") for r in requests)
        for request in requests:
            if states[request.call_id] in ("done", "permanent"):
                continue
            entry = self.journal.get(request.call_id)
            if entry is not None and entry.state == "sent" and entry.reply is not None:
                self._read(request, Answer(entry.reply))
            else:
                self._queue.append(request)

    def _send_what_may_go(self, team: ThreadPoolExecutor, flying: dict[Future[Answer], Request]) -> None:
        now = self.clock.now()
        if now >= self._held_until:
            ready = [request for due, request in self._later if due <= now + _CLOSE_TO]
            self._later = [(due, request) for due, request in self._later if due > now + _CLOSE_TO]
            self._queue.extendleft(reversed(ready))
        while self._queue and not self._stop and len(flying) < self.patience.at_once and now >= self._held_until:
            request = self._queue[0]
            if spent := self._budget_spent([*flying.values(), request]):
                if not flying:
                    self._stop = spent
                return
            self._queue.popleft()
            self._tries[request.call_id] += 1
            self.journal.sent(request.call_id)
            flying[team.submit(self.teacher.complete, request)] = request

    def _take_in(self, flying: dict[Future[Answer], Request]) -> None:
        """Wait for a reply, or until something may be sent, and take in what came."""
        now = self.clock.now()
        due = max(self._held_until, min((due for due, _ in self._later), default=now) if not self._queue else now)
        if not flying:
            if self._stop or not (self._queue or self._later):
                return
            if due > self._until:
                self._stop = "budget of minutes"
            elif due > now:
                self.clock.sleep(due - now)
            return
        pause = due - now if (self._queue or self._later) and due > now and not self._stop else None
        done, _ = wait(flying, timeout=pause, return_when=FIRST_COMPLETED)
        for future in done:
            self._outcome(flying.pop(future), future)
        if len(self._unproved) >= self.patience.probe_each and not self._stop:
            self._prove()

    def _outcome(self, request: Request, future: Future[Answer]) -> None:
        """Put into the journal what became of a call."""
        try:
            self._read(request, future.result())
        except RetryError as error:
            self._fail(request, error)
        except PermanentError as error:
            self.journal.settle(request.call_id, "permanent", f"failed: {error}")
            self._in_a_row = 0
            self._tick()
        except StopError as error:
            self.journal.settle(request.call_id, "retry", str(error))
            self._stop = error

    def _read(self, request: Request, answer: Answer) -> None:
        """Keep a raw reply, then read it."""
        self.journal.answered(request.call_id, answer.raw, answer.attempt)
        try:
            reply = read_reply(answer.raw)
        except RetryError as error:
            self._spend(request, _tokens(request.n_bytes), _tokens(len(answer.raw)), False)
            self._fail(request, error)
            return
        self._pay(request, reply)
        try:
            self.teacher.inspect(reply)
        except ChangedError as error:
            self.journal.settle(request.call_id, "permanent", f"another-teacher: {error}")
            self._stop = error
            return
        self.journal.settle(request.call_id, "done")
        self._unproved.append(request.call_id)
        self.journal.set_meta(UNPROVED, self._unproved)
        self._in_a_row = 0
        self._tick()

    def _pay(self, request: Request, reply: Reply) -> None:
        counted = reply.n_prompt is not None and reply.n_generated is not None
        n_prompt = _tokens(request.n_bytes) if reply.n_prompt is None else reply.n_prompt
        n_generated = _tokens(len(reply.text.encode())) if reply.n_generated is None else reply.n_generated
        self._spend(request, n_prompt, n_generated, counted)

    def _spend(self, request: Request, n_prompt: int, n_generated: int, counted: bool) -> None:
        self.journal.spend(request.call_id, n_prompt, n_generated, counted)
        self._n_prompt += n_prompt
        self._n_generated += n_generated

    def _fail(self, request: Request, error: RetryError) -> None:
        """A try failed: wait, longer each time, unless it was the last one."""
        self.journal.settle(request.call_id, "retry", str(error))
        self._in_a_row += 1
        now, tries = self.clock.now(), self._tries[request.call_id]
        if error.after_s is not None:  # the server means everybody
            self._held_until = max(self._held_until, now + error.after_s)
        if tries < self.patience.tries:
            self._later.append((max(now + self._wait(tries), self._held_until), request))
        if self._in_a_row >= self.patience.breaker and not self._stop:
            self._stop = TeacherError(f"{self._in_a_row} failures in a row; the last: {error}")

    def _wait(self, tries: int) -> float:
        """Exponential back-off with jitter: half of the wait is drawn, so that many do not come back at once."""
        longest = min(self.patience.longest_s, self.patience.first_s * 2.0 ** max(tries - 1, 0))
        return longest * (0.5 + 0.5 * self.rng.random())

    def _prove(self) -> None:
        """Ask the teacher who it is; what it wrote since the last time counts only if it is the same."""
        marks = tuple(self.journal.meta(MARKS) or ())
        try:
            marks = self.teacher.probe(marks)
        except ChangedError as error:
            for call_id in self._unproved:
                self.journal.settle(call_id, "permanent", f"another-teacher: {error}")
            self._unproved, self._stop = [], error
        except RetryError as error:
            self._in_a_row += 1
            self._held_until = self.clock.now() + (self._wait(self._in_a_row) if error.after_s is None
                                                   else error.after_s)
            if self._in_a_row >= self.patience.breaker:
                self._stop = TeacherError(f"{self._in_a_row} failures in a row; the last: {error}")
            return
        except TeacherError as error:
            self._stop = error
            return
        else:
            self._unproved = []
        self.journal.set_meta(MARKS, list(marks))
        self.journal.set_meta(UNPROVED, self._unproved)

    def _budget_spent(self, requests: list[Request]) -> str:
        """Which budget these calls might overrun, beside what was spent; empty: none."""
        n_prompt = self._n_prompt + sum(_tokens(r.n_bytes) for r in requests)
        n_generated = self._n_generated + sum(r.max_tokens for r in requests)
        if self.budgets.tokens and n_prompt + n_generated > self.budgets.tokens:
            return "budget of tokens"
        if self.budgets.money and self.budgets.cost(n_prompt, n_generated) > self.budgets.money:
            return "budget of money"
        return "budget of minutes" if self.clock.now() >= self._until else ""

    def _tick(self) -> None:
        self._finished += 1
        self.report(self._finished, self._total, "calls")


def _tokens(n_bytes: int) -> int:
    return -(-n_bytes // _BYTES_PER_TOKEN)
