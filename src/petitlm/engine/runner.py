"""A model on the engine: packed weights, kernels, and sessions that each hold a cache."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.decoder import NO_TAP, Tap, forward
from petitlm.engine.cache import Cache, CacheKind, cache_bytes
from petitlm.engine.formats import Packed
from petitlm.engine.kernels import Floats, Ints, Kernels, NativeKernels
from petitlm.engine.layers import Batch, EngineLayers, Weights
from petitlm.engine.looked import LookedPrograms
from petitlm.engine.reference import dequantize, dequantize_rows
from petitlm.engine.tape import record
from petitlm.engine.trace import Recorder
from petitlm.sizes import check_fits

CHUNK = 256
"""Prompt tokens in one forward pass: enough to keep the kernels busy, few enough to stay in the cache."""


class EngineRunner:
    """Runs one model's weights; sessions made from it share them.

    `cache` says how keys and values are kept; the sums over them are float32 in any case.
    """

    def __init__(self, config: ModelConfig, weights: Weights, kernels: Kernels, cache: CacheKind) -> None:
        self.config, self.weights, self.kernels = config, weights, kernels
        self.cache: CacheKind = cache
        self.layers = EngineLayers(config, weights, kernels)
        self.program = record(config, weights, self.layers.turns)[0] if isinstance(kernels, NativeKernels) else None
        self.looked = LookedPrograms(config, weights, self.layers.turns)

    kind = "engine"

    @property
    def exact(self) -> bool:
        """Whether numbers have the same bits in any company: the compiled kernels', and not their twins'."""
        return self.kernels.isa != "numpy"

    @property
    def digest(self) -> str:
        """SHA-256 of the packed weights, in hexadecimal."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        from petitlm.engine.fingerprint import weights_digest

        return weights_digest(self.weights).hex()

    def session(self, slots: int, length: int) -> EngineSession:
        """Return a session with room for `slots` sequences of `length` tokens.

        Raises: DoesNotFitError, before any of it is taken.
        """
        self.check_fits(slots, length)
        self.layers.reach(length)
        return EngineSession(self, Cache(self.config, slots, length, self.cache))

    def readout(self, x: Floats) -> Floats:
        """Return the logits that a residual stream (N, D) gives through the final norm and the head, (N, V)."""
        return self.layers.unembed(self.layers.ln_final(np.ascontiguousarray(x, np.float32)))

    def weight(self, name: str, rows: Sequence[int] | None = None) -> Floats:
        """Return a weight as it is computed with, decoded to float32: (out, in) or some of its rows, or a vector."""
        stored = self.weights["embed.weight" if name == "unembed.weight" and self.config.tied else name]
        if isinstance(stored, Packed):
            return dequantize(stored) if rows is None else dequantize_rows(stored, rows)
        return stored if rows is None else stored[list(rows)]

    def check_fits(self, slots: int, length: int) -> None:
        """Refuse a cache that this machine has no memory for.

        Raises: DoesNotFitError.
        """
        needed = cache_bytes(self.config, slots, length, self.cache)
        shorter = [n for n in (length // 2, length // 4) if n]
        fewer = [(f"{n} tokens", cache_bytes(self.config, slots, n, self.cache)) for n in shorter]
        check_fits(needed, f"the key and value cache of {slots} sequences of {length} tokens", fewer)


class EngineSession:
    """The sequences of one caller. Positions say what is valid: nothing ever has to be cleared."""

    def __init__(self, runner: EngineRunner, cache: Cache) -> None:
        self.runner, self.cache = runner, cache

    def step(self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints | None = None, tap: Tap = NO_TAP) -> Floats:
        """Run N tokens, any mix of sequences; return the logits (M, V) of the `wanted` ones, or of all.

        A token sees the positions up to its own that its slot was ever given: earlier calls', and this one's.
        """
        batch = Batch(ids, positions, slots, wanted, self.cache)
        program, kernels = self.runner.program, self.runner.kernels
        if program is not None and isinstance(kernels, NativeKernels):
            if tap is NO_TAP or (isinstance(tap, Recorder) and not tap.names):
                return kernels.run(program, batch, self.cache, self.runner.config.n_vocab)
            if isinstance(tap, Recorder):
                return self.runner.looked.run(kernels, batch, tap)
        return forward(self.runner.config, self.runner.layers, batch, tap)

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot `target` the first `length` positions of slot `source`."""
        self.cache.copy(source, target, length)

    def n_bytes(self, begin: int, end: int) -> int:
        """Return the bytes of the keys and values of some positions, whole panels of 16."""
        return self.cache.n_bytes(begin, end)

    def export(self, slot: int, begin: int, end: int) -> NDArray[np.uint8]:
        """Return the keys and values of some positions; see `Cache.export`."""
        return self.cache.export(slot, begin, end)

    def restore(self, slot: int, begin: int, end: int, data: NDArray[np.uint8]) -> None:
        """Put exported keys and values back: those positions need not be run."""
        self.cache.restore(slot, begin, end, data)

    def reserve(self, length: int) -> None:
        """Make room for sequences of `length` tokens, keeping what is there.

        Raises: DoesNotFitError, before any of it is taken.
        """
        self.runner.layers.reach(length)  # a cache is rounded up: it may have had room for more than was made ready
        if length > self.cache.length:
            self.runner.check_fits(self.cache.slots, length)
            self.cache = self.cache.longer(length)


def as_ints(values: object) -> Ints:
    """Return a contiguous int32 array."""
    return np.ascontiguousarray(values, dtype=np.int32)
