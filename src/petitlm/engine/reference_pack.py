"""NumPy twin of kernels/pack.h: the same choice of scales, the same bytes up to rounding of a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.formats import BLOCK, GROUP, PANEL, FormatName

Floats = NDArray[np.float32]


def pack(w: Floats, format: FormatName) -> NDArray[np.uint8]:
    """Return matrix `w` (R, C) as packed bytes."""
    rows, columns = w.shape
    panels = -(-rows // PANEL)
    if format in ("f16", "f32"):
        padded = np.zeros((panels * PANEL, columns), np.float32)
        padded[:rows] = w
        lanes = padded.reshape(panels, PANEL, columns).transpose(0, 2, 1)
        return np.ascontiguousarray(lanes.astype(np.float16 if format == "f16" else np.float32)).view(np.uint8).ravel()
    blocks = -(-columns // BLOCK)
    padded = np.zeros((panels * PANEL, blocks * BLOCK), np.float32)
    padded[:rows, :columns] = w
    groups = padded.reshape(panels * PANEL, -1, GROUP)
    scales = (_scales4(groups) if format == "q4" else np.abs(groups).max(-1) / np.float32(127)).astype(np.float16)
    q = _quantize(groups, scales.astype(np.float32), *((-8, 7) if format == "q4" else (-127, 127)))
    return _lay_out(q.reshape(panels, PANEL, blocks, BLOCK), scales.reshape(panels, PANEL, blocks, 2), format)


def _quantize(groups: Floats, scales: Floats, low: int, high: int) -> Floats:
    inverse = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=scales != 0)
    return np.clip(np.rint(groups * inverse[..., None]), low, high)


def _scales4(groups: Floats) -> Floats:
    """Return the scale of each group that leaves the smallest squared error among 17 tried ones."""
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(-1, keepdims=True), -1)[..., 0]
    best, gain = extreme / np.float32(-8), np.zeros_like(extreme)
    for step in range(-8, 9):
        inverse = np.divide(np.float32(-(8 + 0.125 * step)), extreme, out=np.zeros_like(extreme), where=extreme != 0)
        q = np.clip(np.rint(groups * inverse[..., None]), -8, 7)
        wq, qq = (groups * q).sum(-1), (q * q).sum(-1)
        ratio = np.divide(wq, qq, out=np.zeros_like(wq), where=qq > 0)
        better = wq * ratio > gain  # the squared error is sum(w w) - wq^2 / qq
        best, gain = np.where(better, ratio, best), np.where(better, wq * ratio, gain)
    return best


def _lay_out(q: Floats, scales: NDArray[np.float16], format: FormatName) -> NDArray[np.uint8]:
    panels, _, blocks, _ = q.shape
    if format == "q4":
        nibbles = (q + 8).astype(np.uint8).reshape(panels, PANEL, blocks, 8, 2, 4)  # line, half, j
        lines = (nibbles[..., 0, :] | nibbles[..., 1, :] << np.uint8(4)).transpose(0, 2, 3, 1, 4)
    else:
        lines = (q + 128).astype(np.uint8).reshape(panels, PANEL, blocks, 16, 4).transpose(0, 2, 3, 1, 4)
    values = lines.reshape(panels, blocks, -1)
    tail = np.ascontiguousarray(scales.transpose(0, 2, 3, 1)).view(np.uint8).reshape(panels, blocks, 64)
    return np.concatenate([values, tail], axis=-1, dtype=np.uint8).ravel()
