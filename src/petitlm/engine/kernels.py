"""The engine's arithmetic: C++ kernels where they were built, NumPy twins where not.

Both have the same methods and take and return float32 arrays. Letters as in `petitlm.decoder`, with
N for the tokens of a flattened batch and C, R for a matrix's columns and rows.
"""

from __future__ import annotations

import os
import warnings
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.config import Activation
from petitlm.engine.formats import FORMATS, FormatName, Packed, packed_bytes
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.engine.cache import Cache, LayerCache
    from petitlm.engine.layers import Batch

try:
    from petitlm import _kernels as native
except ImportError:  # built without a C++ compiler
    native = None

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

ISAS = ("avx512", "avxvnni", "avx2", "neondot", "neon", "plain")
"""Instruction sets with kernels of their own, fastest first; all give the same bits."""
ACTIVATIONS: dict[Activation, int] = {"gelu_tanh": 0, "gelu": 1, "silu": 2, "relu": 3}


class Kernels(Protocol):
    """What the layers need."""

    isa: str
    threads: int

    def resize(self, threads: int) -> None:
        """Go on with another number of threads."""
        ...

    def matmul(self, w: Packed, x: Floats, bias: Floats | None) -> Floats:
        """Return x W^T + bias: (N, C) -> (N, R)."""
        ...

    def embed(self, w: Packed, ids: Ints) -> Floats:
        """Return rows `ids` of W: (N,) -> (N, C)."""
        ...

    def lookup(self, table: Floats, ids: Ints) -> Floats:
        """Return rows `ids` of a table that is not packed: (N,) -> (N, C)."""
        ...

    def select(self, x: Floats, wanted: Ints) -> Floats:
        """Return rows `wanted` of x: (N, C) -> (M, C)."""
        ...

    def layer_norm(self, x: Floats, weight: Floats, bias: Floats, eps: float) -> Floats: ...

    def rms_norm(self, x: Floats, weight: Floats, eps: float) -> Floats: ...

    def activate(self, kind: Activation, x: Floats) -> Floats: ...

    def rotate(self, x: Floats, cos: Floats, sin: Floats, positions: Ints) -> Floats:
        """Rotate the first 2P features of each head: (N, H, K), tables (C, P)."""
        ...

    def store(self, cache: LayerCache, positions: Ints, slots: Ints, k: Floats, v: Floats) -> None:
        """Write keys and values (N, G, K) into the cache."""
        ...

    def attend(self, cache: LayerCache, positions: Ints, slots: Ints, q: Floats, scale: float) -> Floats:
        """Return softmax(q k^T scale) v over positions 0 to each token's own: (N, H, K)."""
        ...

    def scores(self, cache: LayerCache, positions: Ints, slots: Ints, q: Floats, scale: float) -> Floats:
        """Return scaled scores (H, N, S), minus infinity beyond a token's own position."""
        ...

    def softmax(self, positions: Ints, slots: Ints, scores: Floats) -> Floats:
        """Return the attention pattern of scores: (H, N, S)."""
        ...

    def mix(self, cache: LayerCache, positions: Ints, slots: Ints, pattern: Floats) -> Floats:
        """Return pattern times values: (H, N, S) -> (N, H, K)."""
        ...

    def pack(self, w: Floats, format: FormatName, importance: Floats | None = None) -> tuple[NDArray[np.uint8], float]:
        """Return W in a format and the relative error that it costs, |W - stored| / |W| (root mean squares).

        `importance` (C,) weighs the squared errors that q4 makes least, column by column.
        """
        ...


class NativeKernels:
    """The C++ kernels on a pool of threads."""

    def __init__(self, threads: int, isa: str = "auto", pin: bool = False) -> None:
        if native is None:
            raise UsageError("the C++ kernels were not built; install a C++ compiler and reinstall petitlm")
        self._engine = native.Engine(threads, isa, pin)
        self._pin = pin
        self.isa: str = self._engine.isa
        self.threads: int = threads

    def resize(self, threads: int) -> None:
        """Go on with another number of threads."""
        if threads != self.threads and native is not None:
            self._engine = native.Engine(threads, self.isa, self._pin)
            self.threads = threads

    def matmul(self, w: Packed, x: Floats, bias: Floats | None) -> Floats:
        y = np.empty((x.shape[0], w.rows), np.float32)
        self._engine.matmul(FORMATS[w.format], w.rows, w.columns, w.data, x, bias, y)
        return y

    def embed(self, w: Packed, ids: Ints) -> Floats:
        y = np.empty((ids.shape[0], w.columns), np.float32)
        self._engine.embed(FORMATS[w.format], w.rows, w.columns, w.data, ids, y)
        return y

    def lookup(self, table: Floats, ids: Ints) -> Floats:
        return table[ids]

    def select(self, x: Floats, wanted: Ints) -> Floats:
        return x[wanted]

    def layer_norm(self, x: Floats, weight: Floats, bias: Floats, eps: float) -> Floats:
        y = np.empty_like(x)
        self._engine.layer_norm(x, weight, bias, eps, y)
        return y

    def rms_norm(self, x: Floats, weight: Floats, eps: float) -> Floats:
        y = np.empty_like(x)
        self._engine.rms_norm(x, weight, eps, y)
        return y

    def activate(self, kind: Activation, x: Floats) -> Floats:
        y = np.empty_like(x)
        self._engine.activate(ACTIVATIONS[kind], x, y)
        return y

    def rotate(self, x: Floats, cos: Floats, sin: Floats, positions: Ints) -> Floats:
        y = np.empty_like(x)
        self._engine.rotate(x, cos, sin, positions, y)
        return y

    def store(self, cache: LayerCache, positions: Ints, slots: Ints, k: Floats, v: Floats) -> None:
        self._engine.store(cache.native, positions, slots, k, v)

    def attend(self, cache: LayerCache, positions: Ints, slots: Ints, q: Floats, scale: float) -> Floats:
        z = np.empty_like(q)
        self._engine.attend(cache.native, positions, slots, q, scale, z)
        return z

    def scores(self, cache: LayerCache, positions: Ints, slots: Ints, q: Floats, scale: float,
               memory: Floats | None = None) -> Floats:
        shape = q.shape[1], q.shape[0], int(positions.max()) + 1
        out = np.empty(shape, np.float32) if memory is None else memory[: prod(shape)].reshape(shape)
        self._engine.scores(cache.native, positions, slots, q, scale, out)
        return out

    def softmax(self, positions: Ints, slots: Ints, scores: Floats, *, in_place: bool = False) -> Floats:
        out = scores if in_place else np.empty_like(scores)
        self._engine.softmax(positions, slots, scores, out)
        return out

    def mix(self, cache: LayerCache, positions: Ints, slots: Ints, pattern: Floats) -> Floats:
        z = np.empty((pattern.shape[1], pattern.shape[0], cache.d_head), np.float32)
        self._engine.mix(cache.native, positions, slots, pattern, z)
        return z

    def pack(self, w: Floats, format: FormatName, importance: Floats | None = None) -> tuple[NDArray[np.uint8], float]:
        data = np.zeros(packed_bytes(format, w.shape[0], w.shape[1]), np.uint8)
        squares = np.zeros((-(-w.shape[0] // 16), 2))
        self._engine.pack(w, FORMATS[format], importance, data, squares)
        total, lost = squares.sum(0)
        return data, float(np.sqrt(lost / total)) if total else 0.0

    def run(self, program: Any, batch: Batch, cache: Cache, n_vocab: int) -> Floats:
        """Run a recorded forward pass (petitlm.engine.tape) in one call; return the logits (M, V)."""
        logits = np.empty((len(batch.ids if batch.wanted is None else batch.wanted), n_vocab), np.float32)
        program.run(self._engine, batch.ids, batch.positions, batch.slots, batch.wanted, cache.native, logits)
        return logits

    def run_part(self, program: Any, batch: Batch, logits: Floats, begin: int, end: int) -> None:
        """Run some steps of a recorded forward pass; its buffers keep what is in them until the next part."""
        program.run(self._engine, batch.ids, batch.positions, batch.slots, batch.wanted, batch.cache.native, logits,
                    begin, end)

    def read_bandwidth(self, n_bytes: int = 1 << 30, passes: int = 3) -> float:
        """Return bytes per second that all threads read, one stream after the other: the limit of decoding."""
        data = np.ones(n_bytes, np.uint8)
        self._engine.read_bandwidth(data, 1)
        return self._engine.read_bandwidth(data, passes)

    def integer_rate(self, rounds: int = 1_000_000) -> float:
        """Return multiplications and additions of bytes a second, out of registers: the limit of prefill."""
        return self._engine.integer_rate(rounds)


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_isas() -> list[str]:
    """Return the instruction sets that this processor can run and that were built, fastest first."""
    return [] if native is None else [isa for isa in ISAS if native.can_run(isa)]


def make_kernels(threads: int, isa: str = "auto", pin: bool = False) -> Kernels:
    """Return kernels on `threads` threads; `isa` may name one of ISAS, or `numpy` for the twins.

    With `pin`, each thread but the caller's stays on a core of its own (on Linux).
    Raises: UsageError if this machine cannot have them.
    """
    from petitlm.engine.reference import ReferenceKernels

    if threads < 1:
        raise UsageError(f"threads={threads} is too few; give at least 1")
    if isa == "numpy":
        return ReferenceKernels()
    if native is None and isa == "auto":
        warnings.warn("petit's C++ kernels were not built, so its NumPy twins do the work, slowly; "
                      "install a C++ compiler and reinstall petitlm", RuntimeWarning, stacklevel=2)
        return ReferenceKernels()
    if isa != "auto" and isa not in available_isas():
        raise UsageError(f"isa={isa!r} cannot run here; this machine has {', '.join([*available_isas(), 'numpy'])}")
    return NativeKernels(threads, isa, pin)
