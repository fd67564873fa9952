"""Rotary positions for both sets of layers: frequencies, their stretching for longer contexts, and the tables.

Stretching, with s the factor, d the rotary features of a head, and f = theta^(-2i/d) a pair's frequency:

| kind    | frequency |
|---|---|
| linear  | f / s: positions are squeezed together (Chen et al. 2023, Position Interpolation) |
| ntk     | theta becomes theta s^(d/(d-2)): the slowest pair is stretched s times, the fastest not at all |
| dynamic | the same with s (L/M) - (s - 1) in place of s, for L = n_ctx above M = original_ctx; nothing up to M |
| yarn    | f / s where the pair turns less than beta_slow times within M, f where more than beta_fast times, a ramp |
|         | between; queries and keys grow by 0.1 ln s + 1 (Peng et al. 2023, YaRN, sections 3.2 to 3.4) |
| llama3  | the same idea with a ramp over the number of turns, and no growth (Llama 3.1) |

`dynamic` was made to follow the text as it grows. But keys that are kept in the cache were turned by the base of
their own time, so the numbers depend on how a text was cut into calls. Here L is the context that the model runs
with: the same text gives the same bits, and a full pass over n_ctx tokens is that of `transformers`.
Source of rotary positions: Su et al. 2021, RoFormer, section 3.4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import DoesNotFitError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


STRETCHES = ("linear", "ntk", "dynamic", "yarn")
"""Kinds of scaling that can be put on a model that was trained without; `llama3` is for models trained with it."""


def for_context(config: ModelConfig, context: int | None, kind: str | None = None) -> ModelConfig:
    """Return the config under which a model runs with `context` tokens; None means its own.

    Beyond its own context it needs scaling: `kind`, one of STRETCHES, as far as `context` asks for it, or what its
    files say already.
    Raises: UsageError, saying how long the context may be and what would make it longer.
    """
    if kind is not None and kind not in STRETCHES:
        raise UsageError(f"rope_scaling={kind!r} is not known; choose one of {', '.join(STRETCHES)}")
    if kind is not None and (context is None or context <= config.n_ctx):
        raise UsageError(f"rope_scaling={kind!r} is for a context beyond the {config.n_ctx} tokens that this model "
                         f"allows by itself, and context={context} is not; give a longer one, or leave it out")
    if context is None or 1 <= context <= config.n_ctx:
        return config
    no, own = f"context={context} is not possible; this model allows 1 to", config.rope_scaling
    if context < 1:
        raise UsageError(f"{no} {config.n_ctx} tokens")
    if config.positions == "learned":
        raise UsageError(f"{no} {config.n_ctx} tokens: it learned a vector for each position and has none beyond")
    if own is not None:
        reach = max(config.n_ctx, int(own.factor * own.original_ctx))
        if kind is not None or context > reach:
            raise UsageError(f"{no} {reach} tokens, by the {own.kind} scaling that it has; no other can be put on it")
        return config.with_(n_ctx=context)
    if kind is None:
        raise UsageError(f"{no} {config.n_ctx} tokens as it was trained; rope_scaling='yarn' stretches its rotary "
                         "positions further, at a cost that docs/context.md gives in figures")
    return config.with_(n_ctx=context, rope_scaling=RopeScaling(kind, context / config.n_ctx, config.n_ctx))


def frequencies(config: ModelConfig) -> list[float]:
    """Return the P angles, in radians, by which the rotary pairs turn from one position to the next."""
    width, scaling = config.n_rotary, config.rope_scaling
    base = rotary_base(config)
    freqs = [base ** (-2 * i / width) for i in range(width // 2)]
    if scaling is None or scaling.kind in ("ntk", "dynamic"):
        return freqs
    if scaling.kind == "linear":
        return [f / scaling.factor for f in freqs]
    if scaling.kind == "llama3":
        return [_llama3(f, scaling) for f in freqs]
    kept = _yarn_kept(config, scaling)
    return [(1 - keep) * f / scaling.factor + keep * f for f, keep in zip(freqs, kept, strict=True)]


def rotary_base(config: ModelConfig) -> float:
    """Return the base of the wavelengths: `rope_theta`, enlarged where `ntk` or `dynamic` says so."""
    scaling, width = config.rope_scaling, config.n_rotary
    if scaling is None or scaling.kind not in ("ntk", "dynamic"):
        return config.rope_theta
    stretch = scaling.factor
    if scaling.kind == "dynamic":
        stretch = scaling.factor * max(config.n_ctx, scaling.original_ctx) / scaling.original_ctx - (scaling.factor - 1)
    return config.rope_theta * stretch ** (width / (width - 2))


def attention_factor(scaling: RopeScaling | None) -> float:
    """Return what rotated queries and keys are multiplied by: other than 1 for yarn alone."""
    if scaling is None or scaling.kind != "yarn":
        return 1.0
    return yarn_growth(scaling.factor) if scaling.attention_factor is None else scaling.attention_factor


def yarn_growth(factor: float, weight: float = 1.0) -> float:
    """Return the paper's attention factor, 0.1 ln(factor) + 1; files may give the logarithm another weight."""
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1


class RotaryTables:
    """Cosine and sine of every position's angles, (n_ctx, P) each, times the attention factor.

    Rows are computed when a session first needs them: until then they are addresses without memory behind them, so
    that a model with a long context costs nothing that is not used. The arrays stay where they are.
    Angles are float32, as in training: at position 8,000 that leaves an error of up to 0.0005 radians in them.
    Raises: DoesNotFitError if the system does not even give the addresses.
    """

    def __init__(self, config: ModelConfig) -> None:
        import numpy as np  # here, so that describing a shape needs no numeric library

        shape, self._n_done = (config.n_ctx, config.n_rotary // 2), 0
        try:
            self.cos, self.sin = np.empty(shape, np.float32), np.empty(shape, np.float32)
        except (MemoryError, ValueError):
            raise DoesNotFitError(f"a context of {config.n_ctx} tokens is more than this machine has memory for; "
                                  "take a model with a shorter one") from None
        with np.errstate(over="ignore"):  # a base far below 1 has no finite angles: then neither has the model
            self._frequencies = np.array(frequencies(config), np.float32)
        self._growth = np.float32(attention_factor(config.rope_scaling))

    def reach(self, length: int) -> None:
        """Make positions 0 to `length` - 1 ready."""
        import numpy as np

        step = max(1, 65536 // self.cos.shape[1])  # rows at a time: the float64 steps between stay small
        for begin in range(self._n_done, min(length, len(self.cos)), step):
            end = min(begin + step, length, len(self.cos))
            angles = np.arange(begin, end, dtype=np.float32)[:, None] * self._frequencies
            cos, sin = cos_sin(angles)
            self.cos[begin:end], self.sin[begin:end] = self._growth * cos, self._growth * sin
            self._n_done = end


def rotary_tables(config: ModelConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all of `RotaryTables`: cosine and sine, (n_ctx, P)."""
    tables = RotaryTables(config)
    tables.reach(config.n_ctx)
    return tables.cos, tables.sin


# pi / 2 in parts of 33, 33 and 53 bits: up to 2^20 times the first two are exact (Cody and Waite 1980).
_HALF_PI = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)


def cos_sin(angles: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the cosine and sine of angles, the same bits on every machine.

    Libraries differ in the last bit from one processor to the next. Here each step is one float64 addition or
    product, which all processors round alike: the angle is reduced to -pi/4..pi/4, where 9 terms of the Taylor series
    leave an error below 1e-17, and the result is rounded to float32 once.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # angles that are infinite give no numbers
        x = angles.astype(np.float64)
        turns = np.rint(x * (2 / math.pi))
        for part in _HALF_PI:
            x = x - turns * part
        z, quadrant = x * x, turns - 4 * np.floor(turns / 4)
        cos, sin = np.zeros_like(z), np.zeros_like(z)
        for n in range(18, 0, -2):
            cos = cos * z + (-1) ** (n // 2) / math.factorial(n)
            sin = sin * z + (-1) ** (n // 2) / math.factorial(n + 1)
        cos, sin = 1 + z * cos, x + x * (z * sin)
        swapped = (quadrant == 1) | (quadrant == 3)
        cos, sin = np.where(swapped, sin, cos), np.where(swapped, cos, sin)
        return (np.where((quadrant == 1) | (quadrant == 2), -cos, cos).astype(np.float32),
                np.where(quadrant >= 2, -sin, sin).astype(np.float32))


def _llama3(freq: float, scaling: RopeScaling) -> float:
    turns = scaling.original_ctx * freq / (2 * math.pi)  # whole waves within the first context
    if turns < scaling.low_freq_factor:
        return freq / scaling.factor
    if turns > scaling.high_freq_factor:
        return freq
    keep = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    return (1 - keep) * freq / scaling.factor + keep * freq


def _yarn_kept(config: ModelConfig, scaling: RopeScaling) -> list[float]:
    """Return for each pair how much of its own frequency it keeps, from 0 (stretched fully) to 1."""
    width = config.n_rotary

    def pair_that_turns(times: float) -> float:
        return width * math.log(scaling.original_ctx / (times * 2 * math.pi)) / (2 * math.log(config.rope_theta))

    low, high = pair_that_turns(scaling.beta_fast), pair_that_turns(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    if low == high:
        high += 0.001
    return [1 - min(1.0, max(0.0, (i - low) / (high - low))) for i in range(width // 2)]
