"""Two ways to guess how a text goes on: as it did before, and as a smaller model would go on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from petitlm.engine.generation import Session, prefill
from petitlm.engine.kernels import Floats
from petitlm.engine.runner import as_ints
from petitlm.engine.sampling import Sampler


class Lookup:
    """Guesses what came after the last tokens when they occurred before (Saxena 2023, prompt lookup decoding).

    The longest known ending counts: 8, 4, 2 or 1 tokens, each at its latest place. A place that has been right for 8
    tokens is followed for as long as it stays right. A copy that runs into its own beginning goes on in a circle.
    """

    GRAMS = (1, 2, 4, 8)
    odds = (0.2, 0.35, 0.6, 0.85)  # of each length of GRAMS; phi-2's tokens on code gave 0.1-0.8, 0.5, 0.7, 0.9
    learn_s = 1e-6

    def __init__(self) -> None:
        # Hash of an ending: the place after it. Two endings of one hash make a wrong guess and no wrong answer, and
        # whole numbers, unlike tuples, give Python's garbage collector nothing to walk through.
        self._after: list[dict[int, int]] = [{} for _ in self.GRAMS]
        self._known = 0  # places before this one are in `_after`
        self._place = self._agreed = self._seen = 0  # where the text is copied from, for how long, known when

    def look(self, ids: list[int]) -> int | None:
        """Return which of GRAMS occurred before."""
        self._learn(ids)
        if self._agreed and self._follow(ids):
            return len(self.GRAMS) - 1
        found = None
        for kind, (n, after) in enumerate(zip(self.GRAMS, self._after, strict=True)):
            place = after.get(hash(tuple(ids[-n:])))
            if place is None:  # then no longer ending is known, either
                break
            found, self._place = kind, place
        if found is None:
            self._agreed = 0
        else:
            self._agreed, self._seen = self.GRAMS[found], len(ids)
        return found

    def _learn(self, ids: list[int]) -> None:
        """Note where each ending of the text was, but the last, after which nothing came yet."""
        for n, after in zip(self.GRAMS, self._after, strict=True):
            first = max(self._known, n)
            if len(ids) == first + 1:
                after[hash(tuple(ids[first - n : first]))] = first
            elif len(ids) > first:
                rows = (ids[first - n + i : len(ids) - n + i] for i in range(n))
                after.update(zip(map(hash, zip(*rows, strict=True)), range(first, len(ids)), strict=True))
        self._known = len(ids)

    def guess(self, ids: list[int], n: int) -> list[int]:
        """Return what came after the place that `look` found."""
        guess = ids[self._place : self._place + n]
        period = len(ids) - self._place
        while len(guess) < n:
            guess.append(guess[-period])
        return guess

    def close(self) -> None:
        """Nothing was borrowed."""

    def _follow(self, ids: list[int]) -> bool:
        """Whether the place that was found last was right until now, and for long enough."""
        new = len(ids) - self._seen
        if ids[self._place : self._place + new] != ids[self._seen :]:
            return False
        self._place, self._agreed, self._seen = self._place + new, self._agreed + new, len(ids)
        return self._agreed >= self.GRAMS[-1]


class DraftModel:
    """Guesses of a smaller model with the same vocabulary.

    It chooses with a copy of the target's sampler: the same bias, penalties, cuts and the same random numbers, so
    that both models pick alike where they find the same tokens likely. Its own cache is kept in step: tokens that
    the target refused are overwritten by those that it chose.
    """

    odds = (0.6,)
    learn_s = 0.0  # it runs the prompt: who asks for a draft model wants that

    def __init__(self, open_session: Callable[[list[int]], tuple[Session, int]],
                 give_back: Callable[[Session, list[int]], None], n_ctx: int, sampler: Sampler) -> None:
        """`open_session` returns a session and how many tokens of a text its slot 0 holds already."""
        self._open, self._give_back, self._n_ctx = open_session, give_back, n_ctx
        self._sampler, self._n_vocab = sampler, len(sampler.forbidden)
        self._session: Session | None = None
        self._held: list[int] = []  # the tokens that slot 0 holds
        self._sure = 0  # how many of them are known to be the text's

    def look(self, ids: list[int]) -> int | None:
        """Return the one kind of guess, while the text fits in the draft model's context; run what is new but once."""
        if len(ids) >= self._n_ctx:
            return None
        if self._session is None:
            self._session, self._sure = self._open(ids)
            self._held = ids[: self._sure]
            if self._sure < len(ids) - 1:
                prefill(self._session, ids[self._sure : -1], start=self._sure)
                self._held, self._sure = ids[:-1], len(ids) - 1
        return 0

    def guess(self, ids: list[int], n: int) -> list[int]:
        """Return what the draft model would go on with."""
        assert self._session is not None
        while self._sure < min(len(self._held), len(ids) - 1) and self._held[self._sure] == ids[self._sure]:
            self._sure += 1
        n, session, sampler = min(n, self._n_ctx - len(ids)), self._session, self._sampler.fork()
        self._held = ids[: self._sure]  # should the pass be interrupted, nothing false is held
        logits, guess = prefill(session, ids[self._sure :], start=self._sure), list[int]()
        while True:
            guess.append(sampler.choose(self._rows(logits)).id)
            if len(guess) >= n:
                break
            position = len(ids) + len(guess) - 1
            logits = session.step(as_ints([guess[-1]]), as_ints([position]), as_ints([0]))[0]
        self._held = [*ids, *guess[:-1]]
        self._sure = len(ids)
        return guess

    def _rows(self, logits: Floats) -> Floats:
        """Return logits with as many rows as the target has: beyond the tokens that both know, models are padded."""
        if len(logits) == self._n_vocab:
            return logits
        rows, n = np.full(self._n_vocab, -np.inf, np.float32), min(self._n_vocab, len(logits))
        rows[:n] = logits[:n]
        return rows

    def close(self) -> None:
        """Give the session back, with the tokens that it holds."""
        if self._session is not None:
            self._give_back(self._session, self._held)
            self._session = None
