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
        for old, new in zip(self.layers, grown.layers, strict=True):
            new.keys[:, :, : self.length // PANEL] = old.keys
            new.values[:, :, : self.length] = old.values
        return grown

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot `target` the first `length` positions of slot `source`."""
        panels = -(-length // PANEL)
        for layer in self.layers:
            layer.keys[target, :, :panels] = layer.keys[source, :, :panels]
            layer.values[target, :, :length] = layer.values[source, :, :length]


def cache_bytes(config: ModelConfig, slots: int, length: int, half: bool) -> int:
    """Return the bytes that a full cache takes."""
    length = -(-length // PANEL) * PANEL
    wide = -(-config.d_head // PANEL) * PANEL
    return slots * config.n_layers * config.n_kv_heads * length * (config.d_head + wide) * (2 if half else 4)
