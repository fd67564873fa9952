"""Short measurements of the engine itself, on made-up weights: what predictions are computed from.

Nothing is assumed of the kernels. Layers of three sizes run in the real engine, as many as it takes to overflow the
processor's caches (in a small model they do not, and so they do not here). Weights are a few packed rows, repeated:
their bytes lie apart in memory and cost what any weights cost.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from petitlm import sizes
from petitlm.config import ModelConfig
from petitlm.engine.cache import Cache, CacheKind, cache_bytes, cache_for
from petitlm.engine.formats import PANEL, FormatName, Packed, formats_for, packed_bytes
from petitlm.engine.kernels import Kernels
from petitlm.engine.layers import Weights
from petitlm.engine.runner import CHUNK, EngineRunner, EngineSession, as_ints
from petitlm.evals.prediction import Attention, Curve, Rates, layer_bytes, layer_weights

SHORT, LONG = 128, 1024
"""Positions between which attention's cost is measured."""
FEW = 64
"""Tokens of a chunk that is shorter than the engine's."""
_NARROW = ModelConfig(2, 192, 6, 32, 768, n_vocab=512, n_ctx=LONG, n_rotary=16, unembed_bias=True)
_MIDDLE = ModelConfig(12, 768, 12, 64, 3072, n_vocab=512, n_ctx=LONG, positions="learned", parallel_block=False)
_WIDE = ModelConfig(2, 2560, 32, 80, 10240, n_vocab=512, n_ctx=LONG, n_rotary=32, unembed_bias=True)
_MAX_LAYERS = 24
_COLUMNS = 2560  # of the matrix that is multiplied by itself: phi-2's width


@dataclass(frozen=True)
class MatmulSpeed:
    """One matrix in one format, larger than the caches."""

    format: str
    decode_bytes_per_s: float
    """Bytes of weights read, for one token."""
    prefill_op_per_s: float
    """Multiplications and additions, for as many tokens as a chunk has."""


class Probes:
    """Measures on one set of kernels, within the memory that may be taken."""

    def __init__(self, kernels: Kernels, last_cache_bytes: int | None, patience_s: float = 0.05) -> None:
        self.kernels, self.patience_s = kernels, patience_s
        room = sizes.available_memory() // 8
        self.enough = min(3 * (last_cache_bytes or 32 << 20), 512 << 20, room)  # bytes that no cache holds
        self._rows: dict[tuple[FormatName, int], np.ndarray] = {}
        self._memory, self._used = np.empty(0, np.uint8), 0  # one runner's weights at a time: new memory is slow

    def rates(self, bits: int, token_s: float) -> Rates:
        """Measure one number of bits."""
        thin = self.step_seconds(self.runner(_NARROW, bits), 1)
        more = self.runner(_NARROW.with_(n_layers=6), bits)
        thick = self.step_seconds(more, 1)
        per_layer = max((thick - thin) / 4, thin / 100)  # four layers more
        step_s = max(thin - 2 * per_layer, 0.0)
        decode = [(float(layer_bytes(_NARROW, bits)), per_layer)]
        prefill = {m: [(float(layer_weights(_NARROW)), max(self.step_seconds(more, m) - step_s, 0.0) / 6)]
                   for m in (FEW, CHUNK)}
        for config in (_MIDDLE, _WIDE):
            runner = self.runner(self.filling(config, bits), bits)
            layers = runner.config.n_layers
            seconds = (self.step_seconds(runner, 1) - step_s) / layers
            decode.append((float(layer_bytes(config, bits)), max(seconds, per_layer)))
            few = self.runner(config.with_(n_layers=1 if config is _WIDE else 2), bits)
            for m in (FEW, CHUNK):
                seconds = (self.step_seconds(few, m) - step_s) / few.config.n_layers
                prefill[m].append((float(layer_weights(config)), max(seconds, 1e-9)))
        wide, fresh = decode[-1], self.fresh_seconds_per_byte(self.runner(_MIDDLE.with_(n_layers=4), bits))
        return Rates(_rising(decode), {m: _rising(points) for m, points in prefill.items()}, wide[0] / wide[1],
                     step_s, token_s, fresh)

    def fresh_seconds_per_byte(self, runner: EngineRunner) -> float:
        """Return what writing a new session's cache costs more than writing one that was written before."""
        sessions = [runner.session(1, CHUNK) for _ in range(4)]
        ids, positions, slots = as_ints([7] * CHUNK), as_ints(range(CHUNK)), np.zeros(CHUNK, np.int32)

        def seconds(session: EngineSession) -> float:
            start = time.perf_counter()
            session.step(ids, positions, slots, as_ints([0]))
            return time.perf_counter() - start

        seconds(sessions[0])
        fresh, again = ([seconds(session) for session in sessions[1:]] for _ in range(2))
        more = statistics.median(fresh) - statistics.median(again)
        return max(0.0, more) / cache_bytes(runner.config, 1, CHUNK, runner.cache)

    def filling(self, config: ModelConfig, bits: int) -> ModelConfig:
        """Return the shape with as many layers as overflow the caches."""
        n = -(-self.enough // layer_bytes(config, bits))
        return config.with_(n_layers=max(1, min(n, _MAX_LAYERS)))

    def attention(self, config: ModelConfig, kind: CacheKind) -> Attention:
        """Measure one layer's attention with the heads of `config`, over caches that the processor's do not hold."""
        one = config.with_(n_layers=1, n_ctx=max(LONG, 1), rope_scaling=None)
        first = Cache(one, 1, LONG, kind)
        size = sum(part.nbytes for part in (first.layers[0].keys, first.layers[0].values))
        n = max(1, min(config.n_layers, -(-self.enough // (2 * size)), _MAX_LAYERS))
        layers = [_filled(first if i == 0 else Cache(one, 1, LONG, kind)).layers[0] for i in range(n)]
        rng, scale = np.random.default_rng(0), config.d_head**-0.5

        def seconds(tokens: int, end: int) -> float:
            q = rng.normal(size=(tokens, config.n_heads, config.d_head)).astype(np.float32)
            positions, slots = as_ints(range(end - tokens, end)), np.zeros(tokens, np.int32)
            turn = iter(range(1 << 30))
            return self.timed(lambda: self.kernels.attend(layers[next(turn) % n], positions, slots, q, scale), 0.4)

        decode = (seconds(1, LONG) - seconds(1, SHORT)) / (LONG - SHORT)
        many = min(CHUNK, LONG // 2)
        prefill = seconds(many, LONG) / (many * (LONG - many / 2))
        return Attention(max(decode, 0.0), prefill)

    def matmul(self, format: FormatName) -> MatmulSpeed:
        """Measure one matrix of phi-2's width, as tall as it takes to overflow the caches."""
        self._used = 0
        rows = max(PANEL, self.enough * PANEL // packed_bytes(format, PANEL, _COLUMNS) // PANEL * PANEL)
        w = self.matrix(format, rows, _COLUMNS)
        one, many = np.ones((1, _COLUMNS), np.float32), np.ones((FEW, _COLUMNS), np.float32)
        decode = self.timed(lambda: self.kernels.matmul(w, one, None))
        prefill = self.timed(lambda: self.kernels.matmul(w, many, None))
        return MatmulSpeed(format, w.data.nbytes / decode, 2 * FEW * rows * _COLUMNS / prefill)

    def runner(self, config: ModelConfig, bits: int) -> EngineRunner:
        """Return the engine with made-up weights of this shape; runners made before must not run any more."""
        self._used = 0
        weights: dict[str, Packed | np.ndarray] = {}
        for name, shape in config.tensor_shapes().items():
            format = formats_for(bits, name)
            weights[name] = np.ones(shape, np.float32) if format is None else self.matrix(format, *shape)
        checked: Weights = weights
        return EngineRunner(config, checked, self.kernels, cache_for(bits))

    def matrix(self, format: FormatName, rows: int, columns: int) -> Packed:
        """Return a matrix of one panel's rows, packed once and repeated, on whole cache lines."""
        panel = self._rows.get((format, columns))
        if panel is None:
            values = np.random.default_rng(columns).normal(0, columns**-0.5, (PANEL, columns)).astype(np.float32)
            panel = self._rows[format, columns] = self.kernels.pack(values, format)[0]
        size = packed_bytes(format, rows, columns)
        if self._used + size + 64 > self._memory.nbytes:
            self._memory, self._used = np.empty(max(self.enough * 5 // 4, size + 64), np.uint8), 0
        begin = self._used + -(self._memory.ctypes.data + self._used) % 64
        data, self._used = self._memory[begin : begin + size], begin + size
        data.reshape(-1, panel.nbytes)[:] = panel
        return Packed(format, rows, columns, data)

    def step_seconds(self, runner: EngineRunner, tokens: int) -> float:
        """Return the seconds of one step of `tokens` tokens with little before them."""
        before = 0 if tokens > 1 else 16
        session = runner.session(1, before + tokens)
        ids, positions = as_ints([7] * tokens), as_ints(range(before, before + tokens))
        slots, last = np.zeros(tokens, np.int32), as_ints([tokens - 1])
        return self.timed(lambda: session.step(ids, positions, slots, last))

    def timed(self, act: Callable[[], object], share: float = 1.0) -> float:
        """Return the median seconds of `act`, after a first time: as often as a share of the patience allows.

        That is at least 3 times, and fewer where a machine is so slow that one is much.
        """
        act()
        patience_s, seconds = share * self.patience_s, list[float]()
        while len(seconds) < 3 or sum(seconds) < patience_s:
            start = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - start)
            if sum(seconds) > 4 * patience_s:
                break
        return statistics.median(seconds)


def _filled(cache: Cache) -> Cache:
    """Write something everywhere: untouched pages of the system are all one, and lie in the cache."""
    for layer in cache.layers:
        for part in (layer.keys, layer.values):
            part.fill(0x3000 if part.dtype.itemsize == 2 else 1)  # 0.125 in fp16
    return cache


def _rising(points: list[tuple[float, float]]) -> Curve:
    return tuple(sorted(points))
