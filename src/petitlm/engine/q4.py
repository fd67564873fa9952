"""The bytes of q4, to and from its three kinds of numbers; kernels/formats.h describes the layout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.formats import PANEL, RUN, SUBGROUP, SUBSCALES, SUPERBLOCK, Packed

Codes = NDArray[np.uint8]

SIGNED_SUBSCALES = np.array([*SUBSCALES, *(-s for s in SUBSCALES)], np.int16)
"""What a sub-scale code stands for."""


def lay_out(d: NDArray[np.float16], subscales: Codes, codes: Codes) -> Codes:
    """Return the bytes of scales (R, ceil(C/256)), sub-scale codes (R, ceil(C/16)) and weight codes (R, C').

    C' is the number of columns, rounded up to groups of 16.
    """
    (rows, blocks), groups = d.shape, subscales.shape[1]
    panels, runs = -(-rows // PANEL), -(-groups * SUBGROUP // RUN)
    header = np.zeros((panels * PANEL, -(-blocks // 2) * 2), np.float16)
    header[:rows, :blocks] = d
    head = np.ascontiguousarray(header.reshape(panels, PANEL, -1).transpose(0, 2, 1))  # panel, superblock, row
    subs = np.zeros((panels * PANEL, runs * 8), np.uint8)
    subs[:rows, :groups] = subscales
    pairs = subs.reshape(panels, PANEL, runs, 4, 2)
    lines = (pairs[..., 0] | pairs[..., 1] << np.uint8(4)).transpose(0, 2, 1, 3)  # panel, run, row, j
    values = np.full((panels * PANEL, runs * RUN), 8, np.uint8)
    values[:rows, : groups * SUBGROUP] = codes
    halves = values.reshape(panels, PANEL, runs, 16, 2, 4)  # line of the run, half, j
    weights = (halves[..., 0, :] | halves[..., 1, :] << np.uint8(4)).transpose(0, 2, 3, 1, 4)
    body = np.concatenate([lines.reshape(panels, runs, -1), weights.reshape(panels, runs, -1)], axis=-1)
    body = body.reshape(panels, -1)[:, : runs * 64 + groups * 128]  # the last run may be shorter
    return np.concatenate([head.view(np.uint8).reshape(panels, -1), body], axis=1).ravel()


def take_apart(w: Packed) -> tuple[NDArray[np.float16], Codes, Codes]:
    """Return what `lay_out` was given."""
    panels, blocks = -(-w.rows // PANEL), -(-w.columns // SUPERBLOCK)
    runs, groups = -(-w.columns // RUN), -(-w.columns // SUBGROUP)
    data, head = w.data.reshape(panels, -1), -(-blocks * PANEL * 2 // 64) * 64
    d = data[:, : blocks * PANEL * 2].copy().view(np.float16).reshape(panels, blocks, PANEL).transpose(0, 2, 1)
    body = np.zeros((panels, runs * (64 + RUN * 8)), np.uint8)
    body[:, : runs * 64 + groups * 128] = data[:, head:]
    body = body.reshape(panels, runs, -1)
    pairs = body[..., :64].reshape(panels, runs, PANEL, 4)  # row, j: groups 2j (low nibble) and 2j+1 (high)
    subscales = _nibbles(pairs, -1).transpose(0, 2, 1, 3, 4)  # panel, row, run, j, half
    lines = body[..., 64:].reshape(panels, runs, 16, PANEL, 4)  # byte 4r+j of line q: columns 8q+j and 8q+4+j
    codes = _nibbles(lines, 3).transpose(0, 4, 1, 2, 3, 5)  # panel, row, run, line, half, j
    rows = panels * PANEL
    return (d.reshape(rows, -1)[: w.rows], subscales.reshape(rows, -1)[: w.rows, :groups],
            codes.reshape(rows, -1)[: w.rows, : groups * SUBGROUP])


def _nibbles(x: Codes, axis: int) -> Codes:
    """Return low and high halves of bytes along a new axis."""
    return np.stack([x & np.uint8(15), x >> np.uint8(4)], axis=axis)
