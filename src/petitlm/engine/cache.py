"""Keys and values of the tokens seen so far: one slot for each sequence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.formats import PANEL

if TYPE_CHECKING:
    from petitlm.engine.kernels import Floats

CacheKind = Literal["f32", "f16", "int8"]
"""How keys and values are kept. int8 has one float32 scale for each position's key, and for its value, in a head."""

def cache_for(bits: int) -> CacheKind:
    """Return how keys and values are kept beside weights of so many bits, unless someone says otherwise."""
    return "f16" if bits < 32 else "f32"


_DTYPES: dict[CacheKind, type[np.generic]] = {"f32": np.float32, "f16": np.uint16, "int8": np.int8}


@dataclass(frozen=True)
class LayerCache:
    """One layer's part; fp16 values are kept as uint16, which NumPy and the kernels both can view.

    keys (slots, G, S/16, K, 16): a vector is one feature of 16 positions.
    values (slots, G, S, K rounded up to 16): a vector is 16 features of one position.
    key_scales, value_scales (slots, G, S): for int8, max |x| / 127 of each row.
    """

    keys: NDArray[np.generic]
    values: NDArray[np.generic]
    key_scales: Floats | None = None
    value_scales: Floats | None = None

    @property
    def d_head(self) -> int:
        return self.keys.shape[3]

    @cached_property
    def native(self) -> Any:
        """The same memory as the C++ kernels know it."""
        from petitlm import _kernels

        return _kernels.CacheLayer(self.keys, self.values, self.key_scales, self.value_scales)

    def parts(self, slot: int | slice, begin: int, end: int) -> tuple[NDArray[np.generic], ...]:
        """Return views of all that positions `begin` to `end` of a slot take; both are whole panels."""
        rows = self.keys[slot, ..., begin // PANEL : end // PANEL, :, :], self.values[slot, ..., begin:end, :]
        if self.key_scales is None or self.value_scales is None:
            return rows
        return *rows, self.key_scales[slot, ..., begin:end], self.value_scales[slot, ..., begin:end]


class Cache:
    """Room for `slots` sequences of up to `length` tokens.

    The arrays start as untouched zero pages, so memory is taken as positions are written.
    """

    def __init__(self, config: ModelConfig, slots: int, length: int, kind: CacheKind) -> None:
        self.slots, self.length, self._config = slots, -(-length // PANEL) * PANEL, config
        self.kind: CacheKind = kind
        self.layers = [self._layer() for _ in range(config.n_layers)]

    def _layer(self) -> LayerCache:
        g, k, dtype = self._config.n_kv_heads, self._config.d_head, _DTYPES[self.kind]
        keys = np.zeros((self.slots, g, self.length // PANEL, k, PANEL), dtype)
        values = np.zeros((self.slots, g, self.length, -(-k // PANEL) * PANEL), dtype)
        if self.kind != "int8":
            return LayerCache(keys, values)
        shape = (self.slots, g, self.length)
        return LayerCache(keys, values, np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    @cached_property
    def native(self) -> Any:
        """All layers as the C++ kernels know them."""
        from petitlm import _kernels

        return _kernels.Caches([layer.native for layer in self.layers])

    def longer(self, length: int) -> Cache:
        """Return a cache for `length` tokens that holds what this one does."""
        grown = Cache(self._config, self.slots, length, self.kind)
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


def cache_bytes(config: ModelConfig, slots: int, length: int, kind: CacheKind) -> int:
    """Return the bytes that a full cache takes."""
    length = -(-length // PANEL) * PANEL
    numbers = config.d_head + -(-config.d_head // PANEL) * PANEL
    each = numbers * np.dtype(_DTYPES[kind]).itemsize + (8 if kind == "int8" else 0)
    return slots * config.n_layers * config.n_kv_heads * length * each
