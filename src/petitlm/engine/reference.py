"""NumPy twins of the C++ kernels: slow, plain, and what the fast ones are tested against.

They read the same packed bytes and quantize activations the same way; sums run in float64 and come
back as float32, so a kernel may differ from its twin by rounding and by nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from petitlm.config import Activation
from petitlm.engine import q4
from petitlm.engine.cache import LayerCache
from petitlm.engine.formats import (
    BLOCK,
    BLOCK_BYTES,
    GROUP,
    PANEL,
    SPAN,
    SUBGROUP,
    SUPERBLOCK,
    FormatName,
    Packed,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def unpack(w: Packed) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the stored values (R, C') and, for integer formats, their scales (R, C' / SPAN[format]).

    C' is the number of columns, rounded up to whole blocks for integer formats. Values of q4 are s q.
    """
    panels = -(-w.rows // PANEL)
    if w.format == "q4":
        return _unpack4(w)
    if w.format in ("f16", "f32"):
        lanes = w.data.view(np.float16 if w.format == "f16" else np.float32).reshape(panels, w.columns, PANEL)
        return lanes.transpose(0, 2, 1).reshape(-1, w.columns)[: w.rows].astype(np.float64), None
    blocks = -(-w.columns // BLOCK)
    data = w.data.reshape(panels, blocks, BLOCK_BYTES[w.format])
    values, scales = data[..., :-64], data[..., -64:].copy().view(np.float16).reshape(panels, blocks, 2, PANEL)
    if w.format == "q4_0":  # byte 4r+j of line q: columns 8q+j (low nibble) and 8q+4+j (high)
        lines = values.reshape(panels, blocks, 8, PANEL, 4)
        q = np.stack([lines & 15, lines >> 4], axis=3).astype(np.int16) - 8  # panel, block, line, half, row, j
        q = q.transpose(0, 4, 1, 2, 3, 5)
    else:  # byte 4r+j of line q: column 4q+j
        q = (values.reshape(panels, blocks, 16, PANEL, 4).astype(np.int16) - 128).transpose(0, 3, 1, 2, 4)
    rows = q.reshape(panels * PANEL, blocks * BLOCK)[: w.rows].astype(np.float64)
    return rows, scales.transpose(0, 3, 1, 2).reshape(panels * PANEL, -1)[: w.rows].astype(np.float64)


def _unpack4(w: Packed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    d, subscales, codes = q4.take_apart(w)
    values = np.zeros((w.rows, d.shape[1] * SUPERBLOCK))
    steps = np.repeat(q4.SIGNED_SUBSCALES[subscales], SUBGROUP, axis=1)
    values[:, : codes.shape[1]] = (codes.astype(np.int16) - 8) * steps
    return values, d.astype(np.float64)


def dequantize(w: Packed) -> Floats:
    """Return the matrix (R, C) that the packed bytes stand for."""
    values, scales = unpack(w)
    if scales is not None:
        values = values * np.repeat(scales, SPAN[w.format], axis=1)
    return values[:, : w.columns].astype(np.float32)


def dequantize_rows(w: Packed, rows: Sequence[int]) -> Floats:
    """Return some rows (n, C) of a packed matrix; only their panels are decoded."""
    panels = w.data.reshape(-(-w.rows // PANEL), -1)
    needed = sorted({row // PANEL for row in rows})
    part = dequantize(Packed(w.format, len(needed) * PANEL, w.columns, panels[needed].reshape(-1)))
    return part[[needed.index(row // PANEL) * PANEL + row % PANEL for row in rows]]


def quantize_activations(x: Floats, columns: int, span: int = GROUP) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return int8 values (N, columns) and scales (N, columns / span) as the kernels round them.

    Span by span: scale = max |x| / 127, value = x / scale rounded to the nearest, ties to even.
    """
    padded = np.zeros((x.shape[0], columns), np.float32)
    padded[:, : x.shape[1]] = x
    groups = padded.reshape(x.shape[0], -1, span)
    top = np.abs(groups).max(-1, keepdims=True)
    inverse = np.divide(np.float32(127), top, out=np.zeros_like(top), where=top > 0)
    q = np.rint(groups * inverse).reshape(x.shape[0], columns)
    return q.astype(np.float64), (top[..., 0] * np.float32(1 / 127)).astype(np.float64)


class ReferenceKernels:
    """The methods of `petitlm.engine.kernels.Kernels`, in NumPy."""

    isa = "numpy"
    threads = 1

    def resize(self, threads: int) -> None:
        """NumPy has its own threads: nothing to do."""

    def matmul(self, w: Packed, x: Floats, bias: Floats | None) -> Floats:
        values, scales = unpack(w)
        if scales is None:
            y = x.astype(np.float64) @ values.T
        else:
            span = SPAN[w.format]
            q, sx = quantize_activations(x, values.shape[1], span)
            dots = np.einsum("ngc,rgc->nrg", q.reshape(len(x), -1, span), values.reshape(w.rows, -1, span))
            y = np.einsum("nrg,ng,rg->nr", dots, sx, scales)
        return np.asarray(y if bias is None else y + bias, np.float32)

    def embed(self, w: Packed, ids: Ints) -> Floats:
        return dequantize(w)[ids]

    def lookup(self, table: Floats, ids: Ints) -> Floats:
        return table[ids]

    def select(self, x: Floats, wanted: Ints) -> Floats:
        return x[wanted]

    def layer_norm(self, x: Floats, weight: Floats, bias: Floats, eps: float) -> Floats:
        x64 = x.astype(np.float64)
        centred = x64 - x64.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
        return (centred / scale * weight + bias).astype(np.float32)

    def rms_norm(self, x: Floats, weight: Floats, eps: float) -> Floats:
        x64 = x.astype(np.float64)
        return (x64 / np.sqrt((x64**2).mean(-1, keepdims=True) + eps) * weight).astype(np.float32)

    def activate(self, kind: Activation, x: Floats) -> Floats:
        x64 = x.astype(np.float64)
        if kind == "relu":
            return np.maximum(x, 0)
        if kind == "gelu":
            return (0.5 * x64 * (1 + np.vectorize(math.erf)(x64 / math.sqrt(2)))).astype(np.float32)
        t = x64 if kind == "silu" else 2 * math.sqrt(2 / math.pi) * (x64 + 0.044715 * x64**3)
        return (x64 / (1 + np.exp(np.clip(-t, -700, 700)))).astype(np.float32)

    def rotate(self, x: Floats, cos: Floats, sin: Floats, positions: Ints) -> Floats:
        p = cos.shape[1]
        c, s = cos[positions][:, None], sin[positions][:, None]
        a, b = x[..., :p], x[..., p : 2 * p]
        return np.concatenate([a * c - b * s, b * c + a * s, x[..., 2 * p :]], axis=-1, dtype=np.float32)

    def store(self, cache: LayerCache, positions: Ints, slots: Ints, k: Floats, v: Floats) -> None:
        if cache.key_scales is not None and cache.value_scales is not None:
            k, cache.key_scales[slots, :, positions] = _to_int8(k)
            v, cache.value_scales[slots, :, positions] = _to_int8(v)
        cache.keys[slots, :, positions // PANEL, :, positions % PANEL] = _to_cache(k, cache.keys.dtype)
        cache.values[slots, :, positions, : cache.d_head] = _to_cache(v, cache.values.dtype)

    def attend(self, cache: LayerCache, positions: Ints, slots: Ints, q: Floats, scale: float) -> Floats:
        pattern = self.softmax(positions, slots, self.scores(cache, positions, slots, q, scale))
        return self.mix(cache, positions, slots, pattern)

    def scores(self, cache: LayerCache, positions: Ints, slots: Ints, q: Floats, scale: float) -> Floats:
        n, heads, _ = q.shape
        out = np.full((heads, n, int(positions.max()) + 1), -np.inf, np.float32)
        for i, (position, slot) in enumerate(zip(positions, slots, strict=True)):
            keys = _from_cache(cache.keys)[slot].transpose(0, 1, 3, 2).reshape(cache.keys.shape[1], -1, cache.d_head)
            if cache.key_scales is not None:
                keys = keys * cache.key_scales[slot, :, :, None]
            keys = np.repeat(keys[:, : position + 1], heads // keys.shape[0], axis=0)
            out[:, i, : position + 1] = np.einsum("hk,hsk->hs", q[i].astype(np.float64), keys) * scale
        return out

    def softmax(self, positions: Ints, slots: Ints, scores: Floats) -> Floats:
        out = np.zeros_like(scores)
        for i, position in enumerate(positions):
            own = scores[:, i, : position + 1].astype(np.float64)
            e = np.exp(own - own.max(-1, keepdims=True))
            out[:, i, : position + 1] = e / e.sum(-1, keepdims=True)
        return out

    def mix(self, cache: LayerCache, positions: Ints, slots: Ints, pattern: Floats) -> Floats:
        heads, n, _ = pattern.shape
        z = np.empty((n, heads, cache.d_head), np.float32)
        for i, (position, slot) in enumerate(zip(positions, slots, strict=True)):
            values = _from_cache(cache.values)[slot, :, : position + 1, : cache.d_head]
            if cache.value_scales is not None:
                values = values * cache.value_scales[slot, :, : position + 1, None]
            values = np.repeat(values, heads // values.shape[0], axis=0)
            z[i] = np.einsum("hs,hsk->hk", pattern[:, i, : position + 1].astype(np.float64), values)
        return z

    def pack(self, w: Floats, format: FormatName, importance: Floats | None = None) -> tuple[NDArray[np.uint8], float]:
        from petitlm.engine.reference_pack import pack

        data = pack(w, format, importance)
        stored = dequantize(Packed(format, w.shape[0], w.shape[1], data))
        norm = float(np.linalg.norm(w))
        return data, float(np.linalg.norm(w - stored)) / norm if norm else 0.0


def _to_int8(x: Floats) -> tuple[Floats, Floats]:
    """Return whole numbers -127..127 and the scale of each row, rounded as the kernels round them."""
    top = np.abs(x).max(-1, keepdims=True)
    inverse = np.divide(np.float32(127), top, out=np.zeros_like(top), where=top > 0)
    return np.rint(x * inverse), top[..., 0] * np.float32(1 / 127)


def _to_cache(x: Floats, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return np.clip(x, -65504, 65504).astype(np.float16).view(np.uint16) if dtype == np.uint16 else x.astype(dtype)


def _from_cache(x: NDArray[np.generic]) -> NDArray[np.float64]:
    return (x.view(np.float16) if x.dtype == np.uint16 else x).astype(np.float64)
