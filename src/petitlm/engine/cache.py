"""Keys and values of the tokens seen so far: one slot for each sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.formats import PANEL


@dataclass(frozen=True)
class LayerCache:
    """One layer's part; fp16 values are kept as uint16, which NumPy and the kernels both can view.

    keys (slots, G, S/16, K, 16): a vector is one feature of 16 positions.
    values (slots, G, S, K rounded up to 16): a vector is 16 features of one position.
    """

    keys: NDArray[np.generic]
    values: NDArray[np.generic]

    @property
    def d_head(self) -> int:
        return self.keys.shape[3]

    def parts(self, slot: int | slice, begin: int, end: int) -> tuple[NDArray[np.generic], ...]:
        """Return views of all that positions `begin` to `end` of a slot take; both are whole panels."""
        return self.keys[slot, ..., begin // PANEL : end // PANEL, :, :], self.values[slot, ..., begin:end, :]


class Cache:
    """Room for `slots` sequences of up to `length` tokens.

    The arrays start as untouched zero pages, so memory is taken as positions are written.
    """

    def __init__(self, config: ModelConfig, slots: int, length: int, half: bool) -> None:
        self.slots, self.length, self._config, self._half = slots, -(-length // PANEL) * PANEL, config, half
        dtype = np.uint16 if half else np.float32
        g, k, wide = config.n_kv_heads, config.d_head, -(-config.d_head // PANEL) * PANEL
        self.layers = [
            LayerCache(np.zeros((slots, g, self.length // PANEL, k, PANEL), dtype),
                       np.zeros((slots, g, self.length, wide), dtype))
            for _ in range(config.n_layers)
        ]

    def longer(self, length: int) -> Cache:
        """Return a cache for `length` tokens that holds what this one does."""
        grown = Cache(self._config, self.slots, length, self._half)
        every = slice(None)
        for old, new in zip(self.layers, grown.layers, strict=True):
            for source, target in zip(old.parts(every, 0, self.length), new.parts(every, 0, self.length), strict=True):
                target[...] = source
        return grown

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot `target` the first `length` positions of slot `source`."""
        end = -(-length // PANEL) * PANEL
        for layer in self.layers:
            for old, new in zip(layer.parts(source, 0, end), layer.parts(target, 0, end), strict=True):
                new[...] = old

    def n_bytes(self, begin: int, end: int) -> int:
        """Return the bytes of positions `begin` to `end` of a slot, whole panels, in all layers."""
        return sum(part.nbytes for layer in self.layers for part in layer.parts(0, begin, end))

    def export(self, slot: int, begin: int, end: int) -> NDArray[np.uint8]:
        """Return a copy of positions `begin` to `end` of a slot, whole panels: the same bytes for the same tokens."""
        data, at = np.empty(self.n_bytes(begin, end), np.uint8), 0
        for layer in self.layers:
            for part in layer.parts(slot, begin, end):
                data[at : at + part.nbytes].view(part.dtype).reshape(part.shape)[...] = part
                at += part.nbytes
        return data

    def restore(self, slot: int, begin: int, end: int, data: NDArray[np.uint8]) -> None:
        """Put what `export` returned back, into any slot of any cache of this shape."""
        at = 0
        for layer in self.layers:
            for part in layer.parts(slot, begin, end):
                part[...] = data[at : at + part.nbytes].view(part.dtype).reshape(part.shape)
                at += part.nbytes


def cache_bytes(config: ModelConfig, slots: int, length: int, half: bool) -> int:
    """Return the bytes that a full cache takes."""
    length = -(-length // PANEL) * PANEL
    wide = -(-config.d_head // PANEL) * PANEL
    return slots * config.n_layers * config.n_kv_heads * length * (config.d_head + wide) * (2 if half else 4)
