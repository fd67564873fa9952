"""From logits to the next token."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.kernels import Floats
from petitlm.errors import UsageError

MAX_LOGPROBS = 100


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; each field is applied in the order given here.

    Raises: UsageError, on construction, naming the field and its value.
    """

    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])
    """Added to the logits of these ids; -100 or less forbids a token in practice."""
    repetition_penalty: float = 1.0
    """Logits of tokens that already occurred are divided by it if positive, else multiplied (Keskar et al. 2019)."""
    temperature: float = 0.0
    """Logits are divided by it; 0 takes the likeliest token and draws nothing."""
    top_k: int = 0
    """Keep this many likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens until their probabilities sum to this (Holtzman et al. 2019)."""
    min_p: float = 0.0
    """Keep tokens at least this share as likely as the likeliest (Nguyen et al. 2024)."""
    seed: int = 0
    """Seed of the draws; sample i of n draws from the stream (seed, i)."""

    def __post_init__(self) -> None:
        _check(self.temperature >= 0, "temperature", self.temperature, "give 0 for greedy, or a positive number")
        _check(self.top_k >= 0, "top_k", self.top_k, "give 0 for all, or how many tokens to keep")
        _check(0 < self.top_p <= 1, "top_p", self.top_p, "give a share above 0 and at most 1")
        _check(0 <= self.min_p <= 1, "min_p", self.min_p, "give a share from 0 to 1")
        _check(self.repetition_penalty > 0, "repetition_penalty", self.repetition_penalty, "give a positive number")
        _check(self.seed >= 0, "seed", self.seed, "give a whole number of at least 0")
        for id, bias in self.logit_bias.items():
            _check(bool(np.isfinite(bias)), f"logit_bias[{id}]", bias, "give a finite number; -100 forbids a token")


@dataclass(frozen=True)
class Choice:
    """One chosen token, and how likely the model itself found it."""

    id: int
    logprob: float
    """Natural log of the model's probability, before bias, penalty, temperature and cuts."""
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest ids with their log-probabilities, if asked for."""


class Sampler:
    """Chooses the tokens of one sequence.

    `forbidden` (V,) marks rows that no token of the tokenizer uses: they are never drawn and have no
    share in any probability.
    """

    def __init__(self, sampling: Sampling, forbidden: NDArray[np.bool_], prompt: list[int], index: int = 0,
                 n_top: int | None = None) -> None:
        n_vocab = len(forbidden)
        for id in sampling.logit_bias:
            _check(0 <= id < n_vocab, "logit_bias", id, f"token ids run from 0 to {n_vocab - 1}")
        if n_top is not None:
            _check(0 <= n_top <= MAX_LOGPROBS, "logprobs", n_top, f"give a number from 0 to {MAX_LOGPROBS}")
        self.sampling, self.forbidden, self.n_top = sampling, forbidden, n_top
        self._rng = np.random.default_rng([sampling.seed, index])
        self._seen = np.zeros(n_vocab, bool)
        self._seen[prompt] = True

    def choose(self, logits: Floats) -> Choice:
        """Return the next token for `logits` (V,), and remember it."""
        logits = np.where(self.forbidden, -np.inf, logits)
        scores = self._scores(logits.copy())  # what is reported must stay the model's own
        id = int(scores.argmax()) if self.sampling.temperature == 0 else self._draw(scores)
        self._seen[id] = True
        if self.n_top is None:
            return Choice(id, float("nan"))
        logprobs = log_softmax(logits)
        top = likeliest(logits, self.n_top)
        return Choice(id, float(logprobs[id]), tuple((int(i), float(logprobs[i])) for i in top))

    def fork(self) -> Sampler:
        """Return a sampler that would choose as this one from here on, and leaves this one as it is."""
        fork = copy.copy(self)
        fork._rng, fork._seen, fork.n_top = copy.deepcopy(self._rng), self._seen.copy(), None
        return fork

    def _scores(self, logits: Floats) -> Floats:
        s = self.sampling
        if s.logit_bias:
            logits[list(s.logit_bias)] += np.array(list(s.logit_bias.values()), np.float32)
        if s.repetition_penalty != 1:
            seen = logits[self._seen]
            logits[self._seen] = np.where(seen > 0, seen / s.repetition_penalty, seen * s.repetition_penalty)
        return logits

    def _draw(self, scores: Floats) -> int:
        s = self.sampling
        p = np.exp((scores.astype(np.float64) - scores.max()) / s.temperature)
        if s.top_k:
            ids = likeliest(scores, s.top_k)
        elif s.top_p < 1:
            ids = _until(p, s.top_p)
        else:
            ids = np.flatnonzero(p)  # no cut: no need to sort
        p = p[ids] / p[ids].sum()
        if s.top_p < 1:
            n = int(np.searchsorted(p.cumsum(), s.top_p)) + 1 if s.top_k else len(p)
            ids, p = ids[:n], p[:n]
        likely = np.asarray(p >= s.min_p * p.max())
        ids, edges = ids[likely], p[likely].cumsum()
        place = int(np.count_nonzero(edges <= self._rng.random() * edges[-1]))
        return int(ids[min(place, len(ids) - 1)])


def likeliest(scores: NDArray[np.float32] | NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return the ids of the k highest finite scores, highest first, the lower id first among equals."""
    k = min(k, int(np.isfinite(scores).sum()))
    if k == 0:
        return np.empty(0, np.intp)
    edge = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, at = np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)
    ids = np.concatenate([above, at[: k - len(above)]])
    return ids[np.lexsort((ids, -scores[ids]))]


def _until(p: NDArray[np.float64], share: float) -> NDArray[np.intp]:
    """Return the likeliest ids, as few as reach `share` of the total; sorts no more of them than it must."""
    total, k = p.sum(), 256
    while True:
        ids = likeliest(p, k)
        reached = p[ids].cumsum() >= share * total
        if reached.any() or k >= len(p):
            return ids[: int(reached.argmax()) + 1] if reached.any() else ids
        k *= 8


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    """Return log-probabilities along the last axis, in float64."""
    x: NDArray[np.float64] = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _check(ok: bool, name: str, value: object, advice: str) -> None:
    if not ok:
        raise UsageError(f"{name}={value!r} is not possible; {advice}")
