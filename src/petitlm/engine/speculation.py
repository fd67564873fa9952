"""Speculative decoding: several tokens from one pass over the weights, and exactly those of plain decoding.

A drafter guesses how the text goes on; one pass computes the logits after every guess; each next token is chosen from
its logits as always, with the same seeded draws, and while the choice is what was guessed the next row is already
there. Logits have the same bits alone or in company, so the tokens, their log-probabilities and where the answer ends
are those of plain decoding, whatever was guessed. (Leviathan et al. 2023 and Chen et al. 2023 keep the distribution
with a random test instead; equal bits make that test unnecessary.) What a wrong guess left in the cache lies beyond
the positions that count, and is overwritten.

How many tokens to guess is decided before every pass from what was measured: how often guesses of this kind were
right, and what a longer pass costs. A balance keeps the promise never to be much slower: plain passes earn 0.6 % of
their time, right guesses what they saved, and a guess is made only if the balance bears its being all wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from petitlm.engine.sampling import Sampler

LENGTHS = (1, 2, 3, 5, 7, 11, 15, 23, 31)
"""Numbers of tokens to guess; with the token before them they fill the kernels' tiles of 2, 4 and 8 tokens."""
MAX_BATCH = 128
"""Tokens of all sequences in one pass."""
ALLOWANCE, START, MOST = 0.006, 0.5, 4.0
"""The balance, in plain passes: earned by each plain pass, given at the start of an answer, and kept at most."""
LOOKING, MOST_REST = 0.006, 255
"""Share of a plain pass that looking for a guess may take, or else passes go without a look; but so many at most."""
LEARNING, NEVER = 0.01, 1 << 30
"""Share of an answer that reading its prompt for guesses may take, or else none are made; passes no answer has."""
MARGIN = 1.02
"""How much longer a pass is taken to be than measured: guessing must promise a gain beyond what timing can tell."""
REFRESH = 64
"""Passes after which one without guesses is made, to measure again what it takes."""


class Drafter(Protocol):
    """Guesses how one sequence goes on. `ids` is everything so far, and only ever grows."""

    @property
    def odds(self) -> Sequence[float]:
        """How likely a guessed token of each kind is right, until it is measured."""
        ...

    @property
    def learn_s(self) -> float:
        """Seconds, about, of the first look for each token so far."""
        ...

    def look(self, ids: list[int], /) -> int | None:
        """Return the kind of guess that could be made now; None for none. What is done but once is done here."""
        ...

    def guess(self, ids: list[int], n: int, /) -> Sequence[int]:
        """Return up to `n` tokens that may come next; called only right after `look`."""
        ...

    def close(self) -> None:
        """Give back what was borrowed: the answer is finished."""
        ...


Plan = list[tuple[float, float, int]]
MakeDrafter = Callable[[Sampler], Drafter]
"""Returns a new drafter for the sequence that a sampler chooses for."""


@dataclass
class Counts:
    """What speculation did for one request."""

    n_steps: int = 0
    """Passes after the prompt's."""
    n_guessed: int = 0
    """Tokens that were guessed and verified."""
    n_right: int = 0
    """Those of them that the model chose."""


class Costs:
    """What a pass with more tokens costs, in plain passes; measured as answers are made, for one model."""

    def __init__(self) -> None:
        self.plain_s = 0.0
        """Seconds of a pass without guesses; 0 until measured."""
        self.prompt_token_s = 0.0
        """Seconds of one of many tokens in a prompt: the first guess at what a token more costs."""
        self.guess = 0.0
        """Cost of guessing one token."""
        self.look_s = 0.0
        """Seconds by which a pass is longer after looking for a guess that is not made: the look itself, and threads
        and caches that went cold meanwhile."""
        self._of: dict[int, float] = {}

    def of(self, extra: int) -> float:
        """Return the cost of a pass with `extra` tokens more than a plain one: measured, or from its neighbours."""
        if extra in self._of:
            return self._of[extra]
        below = max((n for n in self._of if n < extra), default=0)
        above = min((n for n in self._of if n > extra), default=0)
        low, high = self._of.get(below, 1.0), self._of.get(above, 1.0)
        if above:
            return low + (high - low) * (extra - below) / (above - below)
        if below:
            return 1 + max(low - 1, 0.01) * extra / below
        return 1 + extra * (self.prompt_token_s / self.plain_s if self.prompt_token_s else 0.1)

    def record_plain(self, seconds: float) -> None:
        self.plain_s = _mixed(self.plain_s, seconds)

    def record(self, extra: int, guess_s: float, verify_s: float) -> None:
        """Take the seconds of one pass with `extra` guessed tokens."""
        self.guess = _mixed(self.guess, guess_s / extra / self.plain_s)
        self._of[extra] = _mixed(self._of.get(extra, 0.0), verify_s / self.plain_s)


def _mixed(old: float, new: float) -> float:
    """Return a running mean; one value that something else disturbed moves it little."""
    return old + 0.25 * (min(max(new, old / 2), old * 2) - old) if old else new


class Odds:
    """How likely a guessed token of each kind is right, from how often it was lately."""

    def __init__(self, priors: Sequence[float]) -> None:
        self._right, self._tried = [2 * p for p in priors], [2.0] * len(priors)

    def expected(self, kind: int, n: int) -> float:
        """Return how many of `n` guessed tokens are right before the first wrong one."""
        p = min(self._right[kind] / self._tried[kind], 0.99)
        return p * (1 - p**n) / (1 - p)

    def learn(self, kind: int, n_right: int, n: int) -> None:
        """Take that of `n` guessed tokens the first `n_right` were right; what came after them is not known."""
        self._right[kind] = 0.9 * self._right[kind] + n_right
        self._tried[kind] = 0.9 * self._tried[kind] + min(n_right + 1, n)


class Speculator:
    """Decides how much to guess for the sequences of one request, and counts."""

    def __init__(self, drafters: Sequence[Drafter], costs: dict[int, Costs], n_vocab: int) -> None:
        """`costs` are a model's, by the number of sequences; they are kept from one request to the next."""
        self.counts = Counts()
        self._drafters, self._all_costs, self._n_vocab = drafters, costs, n_vocab
        self._odds = Odds(drafters[0].odds)
        self._balance, self._since_plain, self._looks = START, 0, 0
        self._n, self._costs = 0, Costs()  # sequences in the last pass, and what passes of so many cost
        self._kinds: dict[int, int] = {}  # of the guesses that could be made, by their sequence's place
        self._guesses: list[list[int]] = []
        self._guess_s = 0.0
        self._fruitless = 8  # looks in a row that led to nothing; at the start nothing speaks for another
        self.rest = 1
        """Passes to make without asking for guesses: looking for them has a cost, too. The first one measures."""
        self._plans: dict[tuple[int, ...], Plan] = {}  # by kinds, until something new is learned

    def guesses(self, sequences: Sequence[tuple[int, list[int], int]]) -> list[list[int]]:
        """Return what to verify for each sequence, given as (its drafter's index, all its ids, room for guesses)."""
        self._begin, self._guess_s = time.perf_counter(), 0.0
        self._guesses, self._kinds = [list[int]() for _ in sequences], {}
        if self._n != len(sequences):
            self._n, self._costs = len(sequences), self._all_costs.setdefault(len(sequences), Costs())
            self._plans.clear()
        if self._costs.plain_s and self._worth_a_look(sequences):
            for place, (index, ids, room) in enumerate(sequences):
                kind = self._drafters[index].look(ids) if room > 0 else None
                if kind is not None:
                    self._kinds[place] = kind
        if self._kinds and (length := self._length()):
            start = time.perf_counter()
            for place in self._kinds:
                index, ids, room = sequences[place]
                n = min(length, room)
                self._guesses[place] = self._checked(self._drafters[index].guess(ids, n), n)
            self._guess_s = time.perf_counter() - start
        return self._guesses

    def ran(self) -> None:
        """Take that the pass that verifies the last guesses has ended."""
        seconds, costs = time.perf_counter() - self._begin, self._costs
        extra = sum(map(len, self._guesses))
        if extra:
            self.counts.n_guessed += extra
            costs.record(extra, self._guess_s, seconds - self._guess_s)
            self._plans.clear()
            self._balance -= seconds / costs.plain_s - 1
            self._since_plain += 1
            self.rest = int(self._since_plain >= REFRESH)
            return
        if not costs.plain_s:
            costs.record_plain(seconds)
        elif self._looks > 1:  # the first look is longer: it sees the prompt
            costs.look_s = _mixed(costs.look_s, max(seconds - costs.plain_s, 1e-6))
        self._fruitless += 1
        # Where guesses were right lately, the next are worth a closer look.
        most = int(costs.look_s / (LOOKING * costs.plain_s))
        self.rest = max(self.rest, min(2**self._fruitless - 1, most, MOST_REST))
        self._balance = min(MOST, self._balance + ALLOWANCE * (1 + min(self.rest, MOST_REST)))

    def rested(self, n: int, seconds: float) -> None:
        """Take the seconds of the last of the passes made without asking for guesses, of `n` sequences."""
        self._all_costs.setdefault(n, Costs()).record_plain(seconds)
        self._since_plain = 0

    def learn(self, place: int, n_right: int) -> None:
        """Take how many guesses of the sequence at `place` in the last pass were right."""
        self._odds.learn(self._kinds[place], n_right, len(self._guesses[place]))
        self._plans.clear()
        self._fruitless = 0 if n_right else self._fruitless + 1
        self.counts.n_right += n_right
        self._balance = min(MOST, self._balance + n_right / len(self._guesses))

    def prompt_ran(self, n: int, seconds: float) -> None:
        """Take the seconds of a prompt of `n` tokens: what a token costs where many share one pass."""
        if n >= 32:
            self._all_costs.setdefault(1, Costs()).prompt_token_s = seconds / n

    def close(self) -> None:
        """Let the drafters give back what they borrowed."""
        for drafter in self._drafters:
            drafter.close()

    def _worth_a_look(self, sequences: Sequence[tuple[int, list[int], int]]) -> bool:
        """Whether the drafters may read what was said so far: not where that takes a share of the answer that shows."""
        self._looks += 1
        learn_s = sum(self._drafters[index].learn_s * len(ids) for index, ids, _ in sequences)
        if self._looks > 1 or learn_s <= LEARNING * self._costs.plain_s * max(room for _, _, room in sequences):
            return True
        self.rest = NEVER
        return False

    def _length(self) -> int:
        """Return how many tokens to guess: the number that promises most tokens a second, within the balance."""
        kinds = tuple(self._kinds.values())
        if kinds not in self._plans:
            self._plans[kinds] = self._plan(kinds)
        for rate, cost, length in self._plans[kinds]:
            # Where nothing promises a gain, look again now and then, with what the balance can lose.
            if cost - 1 <= self._balance and (rate > 1 or self._balance >= START):
                return length
        return 0

    def _plan(self, kinds: tuple[int, ...]) -> Plan:
        """Return (rate, cost, length) of each length, all in plain passes: those that promise most come first."""
        plan: Plan = []
        for length in LENGTHS:
            extra = length * len(kinds)
            if self._n + extra <= MAX_BATCH:
                cost = (self._costs.of(extra) + self._costs.guess * extra) * MARGIN
                made = 1 + sum(self._odds.expected(kind, length) for kind in kinds) / self._n
                plan.append((made / cost, cost, length))
        return sorted(plan, reverse=True)

    def _checked(self, ids: Sequence[int], n: int) -> list[int]:
        """Return at most `n` guesses, up to the first that is no row of the model: drafters are not trusted."""
        guess = [int(id) for id in ids[:n]]
        return guess[: next((i for i, id in enumerate(guess) if not 0 <= id < self._n_vocab), n)]
