"""Answers: tokens chosen one after another, given out as text while they are made.

A session is anything with `step` and `copy` as in `petitlm.engine.runner.EngineSession`, so the same
code answers on the engine and on torch layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.decoder import Tap
from petitlm.engine.kernels import Floats, Ints
from petitlm.engine.runner import CHUNK, as_ints
from petitlm.engine.sampling import Choice, Sampler, Sampling
from petitlm.engine.speculation import Costs, Counts, MakeDrafter, Speculator
from petitlm.engine.tapped import TappedSession
from petitlm.engine.trace import Trace
from petitlm.errors import ContextError, UsageError
from petitlm.prompts import StopMatcher
from petitlm.tokenizer import Tokenizer

MAX_SAMPLES = 64
DEFAULT_MAX_TOKENS = 256
Finish = Literal["eos", "stop", "length"]


class Session(Protocol):
    """Sequences in slots; see `petitlm.engine.runner.EngineSession`."""

    def step(self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints | None = None, tap: Tap = ...) -> Floats: ...

    def copy(self, source: int, target: int, length: int) -> None: ...

    def reserve(self, length: int) -> None: ...


class Piece(str):
    """Some text of an answer: whole characters, never the beginning of a stop text."""

    choice: int
    """Which of the n answers it belongs to, from 0."""
    ids: tuple[int, ...]
    """The tokens chosen since the answer's last piece."""
    logprobs: tuple[Choice, ...]
    """The same with their log-probabilities, if asked for."""

    def __new__(cls, text: str, choice: int, choices: Sequence[Choice], logprobs: bool) -> Piece:
        piece = super().__new__(cls, text)
        piece.choice, piece.ids = choice, tuple(c.id for c in choices)
        piece.logprobs = tuple(choices) if logprobs else ()
        return piece


@dataclass(frozen=True)
class Answer:
    """One finished answer."""

    text: str
    ids: tuple[int, ...]
    """Every token that was chosen, an end token and a stop text's tokens included."""
    finish: Finish
    """`eos`: the end token; `stop`: a stop text; `length`: max_tokens were made."""
    logprobs: tuple[Choice, ...] = ()
    """One for each id, if asked for."""


@dataclass(frozen=True)
class Generation:
    """What a request gave: n answers and how long they took."""

    choices: tuple[Answer, ...]
    n_prompt: int
    """Tokens of the prompt."""
    n_reused: int
    """How many of them an earlier request had run already, so that they cost nothing."""
    prefill_s: float
    """Seconds to run the prompt."""
    decode_s: float
    """Seconds to make all tokens after that."""
    n_steps: int = 0
    """Passes over the weights that made them; the first token comes from the prompt's own."""
    n_guessed: int = 0
    """Tokens that were guessed and verified; see `petitlm.engine.speculation`."""
    n_right: int = 0
    """Guesses that the model chose as well: passes saved."""
    trace: Trace | None = None
    """What was kept at `taps` of the prompt and of every token of the answer that was run, if asked for."""

    @property
    def text(self) -> str:
        """Text of the first answer."""
        return self.choices[0].text

    @property
    def ids(self) -> tuple[int, ...]:
        return self.choices[0].ids

    @property
    def finish(self) -> Finish:
        return self.choices[0].finish

    @property
    def logprobs(self) -> tuple[Choice, ...]:
        return self.choices[0].logprobs

    @property
    def n_generated(self) -> int:
        """Tokens of all answers."""
        return sum(len(choice.ids) for choice in self.choices)

    @property
    def acceptance(self) -> float | None:
        """Share of the guessed tokens that were right, from 0 to 1; None if nothing was guessed."""
        return self.n_right / self.n_guessed if self.n_guessed else None

    @property
    def tokens_per_step(self) -> float | None:
        """Tokens of all answers for each pass after the prompt's; None without one."""
        return (self.n_generated - len(self.choices)) / self.n_steps if self.n_steps else None


@dataclass(frozen=True)
class Request:
    """What to answer, and how."""

    prompt: list[int]
    sampling: Sampling
    max_tokens: int
    stops: tuple[str, ...] = ()
    n: int = 1
    logprobs: int | None = None
    """Likeliest alternatives to report for each token; 0 reports the chosen one alone, None nothing."""


def make_request(prompt: list[int], n_ctx: int, sampling: Sampling, max_tokens: int | None = None,
                 stops: Sequence[str] = (), n: int = 1, logprobs: int | None = None) -> Request:
    """Check a request against the context and return it; max_tokens None means 256, or what fits.

    Raises: ContextError with both numbers if prompt and answer do not fit; UsageError.
    """
    if not prompt:
        raise UsageError("the prompt is empty; give at least one token to go on from")
    if not 1 <= n <= MAX_SAMPLES:
        raise UsageError(f"n={n} answers are not possible; give a number from 1 to {MAX_SAMPLES}")
    room = n_ctx - len(prompt)
    if room < 1:
        raise ContextError(f"the prompt has {len(prompt)} tokens and the context {n_ctx}, of which at least one is "
                           f"needed for the answer; shorten the prompt by {1 - room} tokens or more")
    if max_tokens is None:
        max_tokens = min(DEFAULT_MAX_TOKENS, room)
    if max_tokens < 1:
        raise UsageError(f"max_tokens={max_tokens} is not possible; give at least 1")
    if max_tokens > room:
        raise ContextError(f"a prompt of {len(prompt)} tokens and max_tokens={max_tokens} do not fit in the context of "
                           f"{n_ctx}; ask for at most {room} tokens or shorten the prompt")
    if isinstance(stops, str):
        stops = (stops,)
    return Request(list(prompt), sampling, max_tokens, tuple(stops), n, logprobs)


class Progress:
    """One answer while it is being made."""

    def __init__(self, request: Request, index: int, tokenizer: Tokenizer, forbidden: NDArray[np.bool_]) -> None:
        self.index, self.request, self._eos = index, request, tokenizer.eos_id
        self.sampler = Sampler(request.sampling, forbidden, request.prompt, index, request.logprobs)
        self.choices: list[Choice] = []
        self.ids = list(request.prompt)
        """The prompt and what was chosen."""
        self.finish: Finish | None = None
        self._text, self._told = "", 0
        self._decoding, self._stops = tokenizer.stream(), StopMatcher(request.stops)

    def accept(self, logits: Floats) -> Piece | None:
        """Choose the next token; return the text that is certain now, if any."""
        choice = self.sampler.choose(logits)
        self.choices.append(choice)
        self.ids.append(choice.id)
        if choice.id == self._eos:
            return self._end("eos", self._stops.push(self._decoding.flush())[0] + self._stops.flush())
        text, stopped = self._stops.push(self._decoding.push(choice.id))
        if stopped:
            return self._end("stop", text)
        if len(self.choices) == self.request.max_tokens:
            last, stopped = self._stops.push(self._decoding.flush())
            return self._end("stop" if stopped else "length", text + last + self._stops.flush())
        return self._tell(text) if text else None

    def answer(self) -> Answer:
        """Return the finished answer."""
        assert self.finish is not None
        return Answer(self._text, tuple(c.id for c in self.choices), self.finish,
                      tuple(self.choices) if self.request.logprobs is not None else ())

    def _end(self, finish: Finish, text: str) -> Piece:
        self.finish = finish
        return self._tell(text)

    def _tell(self, text: str) -> Piece:
        new, self._told = self.choices[self._told :], len(self.choices)
        self._text += text
        return Piece(text, self.index, new, self.request.logprobs is not None)


class Speculation(NamedTuple):
    """How to guess, and what a model's passes were measured to cost, by the number of sequences in them."""

    make: MakeDrafter
    costs: dict[int, Costs]


class Stream:
    """An answer as an iterator of pieces; `result` holds the whole once it is exhausted.

    The session's slot 0 may hold the first `n_reused` tokens of the prompt already, which took `reuse_s` seconds.
    However the stream ends, `done` is told which tokens slot 0 holds then.
    """

    def __init__(self, session: Session, request: Request, tokenizer: Tokenizer, forbidden: NDArray[np.bool_],
                 n_reused: int = 0, done: Callable[[list[int]], None] | None = None, reuse_s: float = 0.0,
                 speculation: Speculation | None = None) -> None:
        self._session, self._request, self._n_reused, self._done = session, request, n_reused, done
        self._held, self._reuse_s = request.prompt[:n_reused], reuse_s
        self._sequences = [Progress(request, i, tokenizer, forbidden) for i in range(request.n)]
        self._speculator: Speculator | None = None
        if speculation is not None:
            drafters = [speculation.make(sequence.sampler) for sequence in self._sequences]
            self._speculator = Speculator(drafters, speculation.costs, len(forbidden))
        self._counts = self._speculator.counts if self._speculator else Counts()
        self._result: Generation | None = None
        self._pieces = self._run()

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        return next(self._pieces)

    @property
    def result(self) -> Generation:
        """The whole of what was generated.

        Raises: UsageError while pieces are still to come.
        """
        if self._result is None:
            raise UsageError("the answer is not finished; take all its pieces before its result")
        return self._result

    def close(self) -> None:
        """Stop here; pieces still to come are never made."""
        self._pieces.close()

    def _run(self) -> Generator[Piece, None, None]:
        try:
            yield from self._answer()
        finally:
            if self._speculator is not None:
                self._speculator.close()
            if self._done is not None:
                self._done(self._held)

    def _answer(self) -> Generator[Piece, None, None]:
        request, session, start = self._request, self._session, time.perf_counter()
        logits = prefill(session, request.prompt[self._n_reused :], start=self._n_reused)
        self._held = list(request.prompt)
        for i in range(1, request.n):  # one run of the prompt serves all answers
            session.copy(0, i, len(request.prompt))
        ready = time.perf_counter()
        if self._speculator is not None:
            self._speculator.prompt_ran(len(request.prompt) - self._n_reused, ready - start)
        running = list(self._sequences)
        for sequence in running:
            yield from self._take(sequence, [], logits[None])
        while running := [s for s in running if s.finish is None]:
            guesses, logits, row = *self._decode(running), 0
            for place, (sequence, guess) in enumerate(zip(running, guesses, strict=True)):
                rows, row = logits[row : row + 1 + len(guess)], row + 1 + len(guess)
                n_right = yield from self._take(sequence, guess, rows)
                if guess and self._speculator is not None:
                    self._speculator.learn(place, n_right)
        end = time.perf_counter()
        answers = tuple(s.answer() for s in self._sequences)
        self._result = Generation(answers, len(request.prompt), self._n_reused, self._reuse_s + ready - start,
                                  end - ready, self._counts.n_steps, self._counts.n_guessed, self._counts.n_right,
                                  session.trace(self._held, logits) if isinstance(session, TappedSession) else None)

    def _decode(self, running: list[Progress]) -> tuple[list[list[int]], Floats]:
        """Run the last token of each sequence and what is guessed to follow it; return guesses and all logits."""
        speculator, guesses, begin = self._speculator, [list[int]() for _ in running], 0.0
        self._counts.n_steps += 1
        if speculator is not None and speculator.rest:
            speculator.rest -= 1
            begin = 0.0 if speculator.rest else time.perf_counter()
            speculator = None
        if speculator is not None:
            most = self._request.max_tokens - 1
            guesses = speculator.guesses([(s.index, s.ids, most - len(s.choices)) for s in running])
        ids, positions, slots = list[int](), list[int](), list[int]()
        for sequence, guess in zip(running, guesses, strict=True):
            ids += [sequence.ids[-1], *guess]
            positions += range(len(sequence.ids) - 1, len(sequence.ids) + len(guess))
            slots += [sequence.index] * (1 + len(guess))
        logits = self._session.step(as_ints(ids), as_ints(positions), as_ints(slots))
        if speculator is not None:
            speculator.ran()
        elif begin and self._speculator is not None:
            self._speculator.rested(len(running), time.perf_counter() - begin)
        if running[0].index == 0:
            self._held.append(running[0].ids[-1])
        return guesses, logits

    def _take(self, sequence: Progress, guess: list[int], rows: Floats) -> Generator[Piece, None, int]:
        """Choose a token from each row in turn, while the tokens before it are those guessed; return how many were."""
        n_right = 0
        for i, row in enumerate(rows):
            piece = sequence.accept(row)
            right = i < len(guess) and sequence.ids[-1] == guess[i]
            n_right += right
            if right and sequence.index == 0:
                self._held.append(guess[i])
            if piece is not None:
                yield piece
            if sequence.finish is not None or not right:
                break
        return n_right


def prefill(session: Session, ids: Sequence[int], slot: int = 0, start: int = 0) -> Floats:
    """Run a prompt in chunks, from position `start` on; return the logits (V,) after its last token."""
    logits: Floats | None = None
    for begin in range(0, len(ids), CHUNK):
        chunk = as_ints(ids[begin : begin + CHUNK])
        positions = as_ints(range(start + begin, start + begin + len(chunk)))
        last = begin + len(chunk) == len(ids)
        wanted = as_ints([len(chunk) - 1] if last else [])
        logits = session.step(chunk, positions, np.full(len(chunk), slot, np.int32), wanted)
    assert logits is not None
    return logits[0]
