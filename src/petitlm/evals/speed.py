"""How fast a model runs here: prefill, decode, first token, memory, and the share of what the memory could give.

Decode reads every weight once for each token, so its ceiling is the machine's read bandwidth divided by the bytes
read; it is measured in the same run, with the same threads, because a shared machine gives another one tomorrow.
Every repetition has a prompt of its own (an engine may keep prefixes), and the end token is made impossible,
so that each repetition makes as many tokens as it was asked for.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from petitlm import sizes
from petitlm.config import ModelConfig
from petitlm.errors import UsageError
from petitlm.evals.conditions import OtherWork, peak_memory

NEVER = -1e9
"""A logit bias that no token survives."""


class Generates(Protocol):
    """The part of a model that is measured."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def bits(self) -> int: ...
    @property
    def threads(self) -> int: ...

    def generate(self, prompt: list[int], /, *, max_tokens: int, logit_bias: dict[int, float], speculate: None) -> Any:
        """Return a generation with `ids`, `prefill_s` and `decode_s`, one pass for each token."""
        ...


@dataclass(frozen=True)
class Spread:
    """One quantity, measured several times."""

    median: float
    low: float
    high: float
    n: int
    """Repetitions."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        digits = 0 if self.median >= 1000 else 2 if self.median >= 1 else 4
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"


@dataclass(frozen=True)
class Decode:
    """Decoding after one length of context."""

    context: int
    """Tokens already in the cache when the timing starts."""
    tokens_per_s: Spread
    ceiling_tokens_per_s: float | None
    """Tokens per second at which reading weights and cache fills the bandwidth, if it was measured."""
    share: float | None
    """Median of each repetition's share of its own ceiling, from 0 to 1: the bandwidth is measured again each time,
    since on a machine with other guests it moves."""


@dataclass(frozen=True)
class SpeedReport:
    """The speed of one model on one machine, with what the machine was doing meanwhile."""

    conditions: dict[str, Any]
    weight_bytes_per_token: int
    """Bytes of weights that one decoded token reads."""
    bandwidth_bytes_per_s: Spread | None
    """What all threads together read from memory; None where the NumPy twins do the work."""
    prefill_tokens: int
    prefill_tokens_per_s: Spread
    first_token_s: Spread
    """Seconds from the call to the first token, with a prompt of `prefill_tokens`."""
    decode_tokens: int
    decode: tuple[Decode, ...]
    start_s: float | None
    """Seconds from the process's start to the first token of an 8-token prompt, loading included."""
    peak_memory_bytes: int
    """Largest resident size of the process, pages of the mapped file included."""
    other_cores_busy: float | None
    """Cores that other processes took during the measurement; above about 0.2 it is not a clean one."""


def measure(model: Generates, *, prefill: int, contexts: Sequence[int], n_tokens: int, repetitions: int,
            bandwidth: Callable[[], float] | None, conditions: dict[str, Any], cache_bytes_per_token: float = 0,
            start_s: float | None = None, say: Callable[[str], None] = lambda _: None) -> SpeedReport:
    """Measure a loaded model; `bandwidth` measures the machine's reading speed in bytes per second.

    Raises: UsageError if a length does not fit in the model's context.
    """
    check_lengths(model.config, prefill, contexts, n_tokens)
    busy = OtherWork()
    say(f"prefill of {prefill} tokens")
    seconds = [prefill_seconds(model, prefill, seed) for seed in range(repetitions)]
    for context in contexts:
        decode_rate(model, context, n_tokens, repetitions)
    peak = peak_memory()  # before the bandwidth's own buffer raises it
    weights, reads = decode_bytes(model.config, model.bits), list[float]()
    decode: list[Decode] = []
    for context in contexts:
        say(f"decoding after {context} tokens")
        size = weights + cache_bytes_per_token * (context + n_tokens / 2)
        rates = list[float]()
        for seed in range(repetitions):
            rates.append(decode_rate(model, context, n_tokens, seed))
            reads += [bandwidth()] if bandwidth else []
        shares = [rate * size / read for rate, read in zip(rates, reads[-repetitions:], strict=bool(bandwidth))]
        ceiling = Spread.of(reads[-repetitions:]).median / size if bandwidth else None
        decode.append(Decode(context, Spread.of(rates), ceiling, Spread.of(shares).median if shares else None))
    return SpeedReport(conditions, weights, Spread.of(reads) if reads else None, prefill,
                       Spread.of([prefill / s for s in seconds]), Spread.of(seconds), n_tokens, tuple(decode), start_s,
                       peak, busy.cores())


def check_lengths(config: ModelConfig, prefill: int, contexts: Sequence[int], n_tokens: int) -> None:
    """Refuse lengths that the model's context cannot hold.

    Raises: UsageError, with the number and the limit.
    """
    for name, length in (("prefill", prefill), *(("ctx + gen", context + n_tokens) for context in contexts)):
        if length + 1 > config.n_ctx:
            raise UsageError(f"{name} needs {length + 1} tokens and the context has {config.n_ctx}; take less")


def prefill_seconds(model: Generates, n: int, seed: int) -> float:
    """Return the seconds from an `n`-token prompt to its first token."""
    start = time.perf_counter()
    model.generate(random_ids(model.config, n, seed), max_tokens=1, logit_bias=endless(model.config),
                   speculate=None)
    return time.perf_counter() - start


def decode_rate(model: Generates, context: int, n: int, seed: int) -> float:
    """Return tokens per second over the `n` tokens after the first, with `context` tokens before them.

    Nothing is guessed: how often guesses are right depends on the text, and here the text is noise.
    """
    result = model.generate(random_ids(model.config, context, seed), max_tokens=n + 1, logit_bias=endless(model.config),
                            speculate=None)
    assert len(result.ids) == n + 1, "the end token was made impossible"
    return n / result.decode_s


def random_ids(config: ModelConfig, n: int, seed: int) -> list[int]:
    """Return `n` pseudo-random ids, the same for the same seed; the ends of the vocabulary are left out.

    Speed does not depend on which tokens they are, and special tokens live at the ends.
    """
    margin = config.n_vocab // 16
    numbers = random.Random(f"{n} {seed}")
    return [numbers.randrange(margin, config.n_vocab - margin) for _ in range(n)]


def endless(config: ModelConfig) -> dict[int, float]:
    """Return the logit bias under which no answer ends by itself."""
    return {} if config.eos_id is None else {config.eos_id: NEVER}


def decode_bytes(config: ModelConfig, bits: int) -> int:
    """Return the bytes of weights that decoding one token reads: all but the embeddings that are only looked up."""
    looked_up = {"pos_embed.weight"} if config.tied else {"embed.weight", "pos_embed.weight"}
    return sum(sizes.tensor_bytes(name, shape, bits) for name, shape in config.tensor_shapes().items()
               if name not in looked_up)
