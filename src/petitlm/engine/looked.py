"""Forward passes that somebody looks into, at the speed of those that nobody does.

The recorded program runs in pieces. Between two of them the value at a tap lies in a buffer, where the recorder reads
it and may write another. Everything else stays fused as it is without taps. Where values are small and only read, they
have buffers of their own instead, which are read at the end: a pause takes about 20 us.
"""

from __future__ import annotations

from collections.abc import Set
from math import prod
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from petitlm.config import ModelConfig
from petitlm.decoder import Tap
from petitlm.engine.kernels import Floats, NativeKernels
from petitlm.engine.tape import Pause, record
from petitlm.taps import tap_shape

if TYPE_CHECKING:
    from petitlm.engine.layers import Batch, Weights
    from petitlm.engine.trace import Recorder
    from petitlm.rotary import RotaryTables

_MOST = 4
"""Programs that are kept: each holds buffers, and a sweep over layers asks for a new one with every group."""
_LASTING = 1 << 23
"""Bytes that values may take until the end of a run; larger ones are read in pauses."""


class LookedPrograms:
    """One model's programs with pauses, by the taps that they pause at; the latest ones are kept."""

    def __init__(self, config: ModelConfig, weights: Weights, turns: RotaryTables | None) -> None:
        self._made_of = config, weights, turns
        self._latest: dict[tuple[Set[str], bool], LookedProgram] = {}

    def run(self, kernels: NativeKernels, batch: Batch, recorder: Recorder) -> Floats:
        """Run a batch, show the recorder the values at its taps; return the logits (M, V)."""
        names, config = recorder.names, self._made_of[0]
        small = sum(prod(tap_shape(config, name, len(batch.ids), 1)) for name in names) * 4 <= _LASTING
        key = names, small and recorder.only_reads
        program = self._latest.pop(key, None) or LookedProgram(*self._made_of, *key)
        while len(self._latest) >= _MOST:
            del self._latest[next(iter(self._latest))]
        self._latest[key] = program
        return program.run(kernels, batch, recorder)


class LookedProgram:
    """A forward pass with pauses."""

    def __init__(self, config: ModelConfig, weights: Weights, turns: RotaryTables | None, names: Set[str],
                 lasting: bool) -> None:
        self._program, self._pauses = record(config, weights, turns, names, lasting=lasting)
        self._shapes = [tap_shape(config, p.name, 1)[1:] if len(p.buffers) == 1 else () for p in self._pauses]
        self._config, self._names, self._lasting, self._lock = config, names, lasting, Lock()
        self._memory = np.empty(0, np.float32)  # of one layer's scores: new memory would cost more than the kernel

    def run(self, kernels: NativeKernels, batch: Batch, tap: Tap) -> Floats:
        """Run a batch, show the tap the values at this program's taps; return the logits (M, V).

        What the tap is shown is the program's own memory: it may be changed, and is not to be kept.
        """
        rows = len(batch.ids if batch.wanted is None else batch.wanted)
        logits, done = np.empty((rows, self._config.n_vocab), np.float32), 0
        waiting = list[tuple[Pause, tuple[int, ...]]]()
        with self._lock:  # the buffers are this run's until its last step
            for pause, shape in zip(self._pauses, self._shapes, strict=True):
                whole = len(pause.buffers) > 1
                if self._lasting and not whole:
                    waiting.append((pause, shape))
                    continue
                if pause.step > done:
                    kernels.run_part(self._program, batch, logits, done, pause.step)
                    done = pause.step
                self._show(waiting, tap)
                if whole:
                    self._attend(pause, kernels, batch, tap)
                else:
                    self._show([(pause, shape)], tap)
            kernels.run_part(self._program, batch, logits, done, len(self._program))
            self._show(waiting, tap)
        return tap("logits", logits) if "logits" in self._names else logits

    def _show(self, waiting: list[tuple[Pause, tuple[int, ...]]], tap: Tap) -> None:
        for pause, shape in waiting:
            value = self._program.view(pause.buffers[0])
            value = value.reshape(len(value), *shape) if len(shape) > 1 else value
            result = tap(pause.name, value)
            if result is not value:
                value[...] = result
        waiting.clear()

    def _attend(self, pause: Pause, kernels: NativeKernels, batch: Batch, tap: Tap) -> None:
        """Attention in the three steps that the fused kernel does at once, with the same bits."""
        config, cache, where = self._config, batch.cache.layers[pause.layer], (batch.positions, batch.slots)
        q, k, v, z = (self._program.view(buffer) for buffer in pause.buffers)
        kv = len(k), config.n_kv_heads, config.d_head
        kernels.store(cache, *where, k.reshape(kv), v.reshape(kv))
        needed = config.n_heads * len(q) * (int(batch.positions.max()) + 1)
        if self._memory.size < needed:
            self._memory = np.empty(needed, np.float32)
        q = q.reshape(len(q), config.n_heads, config.d_head)
        scores = kernels.scores(cache, *where, q, pause.scale, self._memory)
        scores = tap(pause.name + "hook_attn_scores", scores)
        pattern = kernels.softmax(*where, scores, in_place=pause.name + "hook_attn_scores" not in self._names)
        z[...] = kernels.mix(cache, *where, tap(pause.name + "hook_pattern", pattern)).reshape(z.shape)
