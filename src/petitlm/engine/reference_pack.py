"""NumPy twin of kernels/pack.h: the same choice of scales, the same bytes up to rounding of a scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petitlm.engine import q4
from petitlm.engine.formats import BLOCK, GROUP, PANEL, SUBGROUP, SUBSCALES, SUPERBLOCK, FormatName

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]

FACTORS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""Scales of a q4 superblock that are tried, as parts of the one that reaches its largest weight."""
_STEPS = np.array(SUBSCALES, np.float32)


def pack(w: Floats, format: FormatName, importance: Floats | None = None) -> Codes:
    """Return matrix `w` (R, C) as packed bytes.

    `importance` (C,) weighs squared errors column by column; only q4 heeds it.
    """
    rows, columns = w.shape
    panels = -(-rows // PANEL)
    if format == "q4":
        h = np.full(columns, 1, np.float32)
        return q4.lay_out(*quantize4(w, h if importance is None else importance))
    if format in ("f16", "f32"):
        padded = np.zeros((panels * PANEL, columns), np.float32)
        padded[:rows] = w
        lanes = padded.reshape(panels, PANEL, columns).transpose(0, 2, 1)
        return np.ascontiguousarray(lanes.astype(np.float16 if format == "f16" else np.float32)).view(np.uint8).ravel()
    blocks = -(-columns // BLOCK)
    padded = np.zeros((panels * PANEL, blocks * BLOCK), np.float32)
    padded[:rows, :columns] = w
    groups = padded.reshape(panels * PANEL, -1, GROUP)
    scales = (_scales4(groups) if format == "q4_0" else np.abs(groups).max(-1) / np.float32(127)).astype(np.float16)
    q = _quantize(groups, scales.astype(np.float32), *((-8, 7) if format == "q4_0" else (-127, 127)))
    return _lay_out(q.reshape(panels, PANEL, blocks, BLOCK), scales.reshape(panels, PANEL, blocks, 2), format)


def quantize4(w: Floats, importance: Floats) -> tuple[NDArray[np.float16], Codes, Codes]:
    """Return q4's scales (R, ceil(C/256)), sub-scale codes (R, ceil(C/16)) and weight codes (R, C rounded up to 16).

    A few scales of a superblock are tried; for each, a group of 16 takes the best of three sub-scales
    around the one that brings its largest weight to -8, and the superblock its least-squares scale.
    The scale with the smallest error sum(h (w - stored)^2) is kept, and fitted once more as stored.
    """
    rows, columns = w.shape
    blocks, groups = -(-columns // SUPERBLOCK), -(-columns // SUBGROUP)
    padded, h = np.zeros((rows, blocks * SUPERBLOCK), np.float32), np.zeros(blocks * SUPERBLOCK, np.float32)
    padded[:, :columns], h[:columns] = w, importance
    g, h = padded.reshape(rows, blocks, -1, SUBGROUP), h.reshape(blocks, -1, SUBGROUP)
    extreme = np.take_along_axis(g, np.abs(g).argmax(-1, keepdims=True), -1)[..., 0]
    reach = np.abs(extreme).max(-1) / np.float32(8 * _STEPS[-1])
    best, gain = np.zeros_like(reach), np.zeros_like(reach)
    for factor in FACTORS:
        _, wv, vv = _choose(g, h, extreme, reach * np.float32(factor))
        fitted = np.divide(wv, vv, out=np.zeros_like(wv), where=vv > 0)
        better = wv * fitted > gain  # the error is sum(h w w) - wv^2 / vv
        best, gain = np.where(better, fitted, best), np.where(better, wv * fitted, gain)
    chosen, wv, vv = _choose(g, h, extreme, best.astype(np.float16).astype(np.float32))
    d = np.divide(wv, vv, out=np.zeros_like(wv), where=vv > 0).astype(np.float16)
    subscale = np.where(extreme > 0, -1, 1) * _STEPS[chosen]
    q = _quantize(g, subscale * d.astype(np.float32)[..., None], -8, 7)
    codes = np.where((extreme != 0), chosen + np.where(extreme > 0, 8, 0), 0).astype(np.uint8)
    return d, codes.reshape(rows, -1)[:, :groups], (q + 8).astype(np.uint8).reshape(rows, -1)[:, : groups * SUBGROUP]


def _choose(g: Floats, h: Floats, extreme: Floats, d: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return each group's best sub-scale index under scales `d` (R, B), and the sums of h w v and h v v of superblocks.

    v = s q is what is stored, in steps of d.
    """
    reach = np.divide(np.abs(extreme), 8 * d[..., None], out=np.zeros_like(extreme), where=d[..., None] > 0)
    at = (reach[..., None] > _STEPS[:-1]).sum(-1)
    sign = np.where(extreme > 0, np.float32(-1), np.float32(1))
    least, chosen = np.full(extreme.shape, np.inf, np.float32), np.zeros(extreme.shape, np.intp)
    wv, vv = np.zeros_like(extreme), np.zeros_like(extreme)
    for step in (-1, 0, 1):
        index = np.clip(at + step, 0, len(_STEPS) - 1)
        s = sign * _STEPS[index]
        q = _quantize(g, s * d[..., None], -8, 7)
        a, b = s * (h * g * q).sum(-1), s * s * (h * q * q).sum(-1)
        error = d[..., None] * (d[..., None] * b - 2 * a)
        better = error < least
        least, chosen = np.where(better, error, least), np.where(better, index, chosen)
        wv, vv = np.where(better, a, wv), np.where(better, b, vv)
    return chosen, wv.sum(-1), vv.sum(-1)


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


def _lay_out(q: Floats, scales: NDArray[np.float16], format: FormatName) -> Codes:
    panels, _, blocks, _ = q.shape
    if format == "q4_0":
        nibbles = (q + 8).astype(np.uint8).reshape(panels, PANEL, blocks, 8, 2, 4)  # line, half, j
        lines = (nibbles[..., 0, :] | nibbles[..., 1, :] << np.uint8(4)).transpose(0, 2, 3, 1, 4)
    else:
        lines = (q + 128).astype(np.uint8).reshape(panels, PANEL, blocks, 16, 4).transpose(0, 2, 3, 1, 4)
    values = lines.reshape(panels, blocks, -1)
    tail = np.ascontiguousarray(scales.transpose(0, 2, 3, 1)).view(np.uint8).reshape(panels, blocks, 64)
    return np.concatenate([values, tail], axis=-1, dtype=np.uint8).ravel()
