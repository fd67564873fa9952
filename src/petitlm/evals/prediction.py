"""How fast a model will run: its shape, and what short probes of this machine measured (`petitlm.evals.probes`).

A step runs L layers and the head. What a layer takes depends on its bytes (decoding reads them once) or on its weights
(prefill multiplies each with every token), and on how much of either hides behind fixed work: so layers of three sizes
are measured in the real engine, and others are interpolated on logarithmic axes. Attention is measured for each
shape of heads and added for each position looked back on:

    decode(C)  = token + step + L (layer(bytes) + C a) + head + fresh cache
    prefill(n) = token + head + fresh cache + sum over chunks of m tokens at p: step + L (layer(weights, m) + m p b)

Memory that a program was promised becomes real when it is first written, page by page: that is what fresh cache costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from petitlm.config import ModelConfig
from petitlm.engine.cache import cache_bytes, cache_for
from petitlm.engine.formats import PANEL, formats_for, packed_bytes

Curve = tuple[tuple[float, float], ...]
"""(size, seconds), rising: what was measured."""


@dataclass(frozen=True)
class Attention:
    """What attention takes in one layer with one shape of heads."""

    decode_s_per_position: float
    prefill_s_per_token_position: float


@dataclass(frozen=True)
class Rates:
    """What was measured for one number of bits, in seconds."""

    decode_layer: Curve
    """One token through a layer of so many bytes."""
    prefill_layer: dict[int, Curve]
    """A chunk of so many tokens (the key) through a layer of so many weights."""
    head_bytes_per_s: float
    """Reading a wide matrix in the format of the head."""
    step_s: float
    """Once for each step, whatever the layers."""
    token_s: float
    """Once for each token: choosing it and making text of it."""
    fresh_s_per_byte: float = 0.0
    """Writing to the cache for the first time."""


@dataclass(frozen=True)
class Speed:
    """A prediction."""

    context: int
    """Tokens of the prompt, and those that decoding looks back on."""
    prefill_tokens_per_s: float
    decode_tokens_per_s: float


def predict(config: ModelConfig, bits: int, rates: Rates, attention: Attention, contexts: Sequence[int],
            chunk: int) -> list[Speed]:
    """Return the speed after each of `contexts` tokens; prompts are run in chunks of `chunk`."""
    return [Speed(context, context / prefill_seconds(config, bits, rates, attention, context, chunk),
                  1 / decode_seconds(config, bits, rates, attention, context)) for context in contexts]


def decode_seconds(config: ModelConfig, bits: int, rates: Rates, attention: Attention, context: int) -> float:
    """Return the seconds of one token after `context` others."""
    layer = on_curve(rates.decode_layer, layer_bytes(config, bits)) + context * attention.decode_s_per_position
    fresh = cache_bytes(config, 1, PANEL, cache_for(bits)) / PANEL * rates.fresh_s_per_byte
    return rates.token_s + rates.step_s + config.n_layers * layer + head_seconds(config, bits, rates) + fresh


def prefill_seconds(config: ModelConfig, bits: int, rates: Rates, attention: Attention, n: int, chunk: int) -> float:
    """Return the seconds from a prompt of `n` tokens to its first answering token."""
    total, weights = rates.token_s + head_seconds(config, bits, rates), layer_weights(config)
    total += cache_bytes(config, 1, n, cache_for(bits)) * rates.fresh_s_per_byte
    sizes = sorted(rates.prefill_layer)
    times = [on_curve(rates.prefill_layer[size], weights) for size in sizes]
    for start in range(0, n, chunk):
        m = min(chunk, n - start)
        layer = _line(sizes, times, m) + m * start * attention.prefill_s_per_token_position
        total += rates.step_s + config.n_layers * layer
    return total


def head_seconds(config: ModelConfig, bits: int, rates: Rates) -> float:
    """Return the seconds of the output head: those of a wide matrix, or of a layer so small that a cache holds it."""
    size = head_bytes(config, bits)
    return min(size / rates.head_bytes_per_s, on_curve(rates.decode_layer, size))


def on_curve(curve: Curve, size: float) -> float:
    """Return the seconds for `size`, interpolated on logarithmic axes.

    Above the largest measured size time grows with size; below the smallest it stays, as fixed work does.
    """
    if size <= curve[0][0]:
        return curve[0][1]
    for (small, fast), (large, slow) in zip(curve, curve[1:], strict=False):
        if size <= large:
            share = math.log(size / small) / math.log(large / small)
            return math.exp((1 - share) * math.log(fast) + share * math.log(slow))
    return curve[-1][1] * size / curve[-1][0]


def _line(sizes: Sequence[int], times: Sequence[float], m: int) -> float:
    """Return the time of `m` tokens from that of two numbers of tokens, by a line that starts at 0 or above."""
    (n1, n2), (t1, t2) = (sizes[0], sizes[-1]), (times[0], times[-1])
    if n1 == n2:
        return t2 * m / n2
    slope = (t2 - t1) / (n2 - n1)
    start = min(max(t1 - slope * n1, 0.0), t1)
    return max(start + (t2 - start) / n2 * m, 0.0)


def stored_bytes(name: str, shape: tuple[int, ...], bits: int) -> int:
    """Return the bytes of one weight as the engine keeps it in memory."""
    format = formats_for(bits, name)
    return 4 * math.prod(shape) if format is None else packed_bytes(format, shape[0], shape[1])


def weight_bytes(config: ModelConfig, bits: int) -> int:
    """Return the bytes of all weights as the engine keeps them in memory."""
    return sum(stored_bytes(name, shape, bits) for name, shape in config.tensor_shapes().items())


def layer_bytes(config: ModelConfig, bits: int) -> int:
    """Return the bytes of one layer's weights."""
    return sum(stored_bytes(name, shape, bits) for name, shape in config.tensor_shapes().items()
               if name.startswith("blocks.0."))


def layer_weights(config: ModelConfig) -> int:
    """Return the weights of one layer's matrices."""
    return sum(math.prod(shape) for name, shape in config.tensor_shapes().items()
               if name.startswith("blocks.0.") and len(shape) == 2)


def head_bytes(config: ModelConfig, bits: int) -> int:
    """Return the bytes that the output head reads for each token."""
    return stored_bytes("embed.weight" if config.tied else "unembed.weight", (config.n_vocab, config.d_model), bits)


def memory_bytes(config: ModelConfig, bits: int, n_ctx: int) -> int:
    """Return the bytes of weights and of one full cache of `n_ctx` tokens."""
    return weight_bytes(config, bits) + cache_bytes(config, 1, n_ctx, cache_for(bits))
