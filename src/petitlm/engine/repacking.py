"""GGUF blocks as the kernels' panels, and panels as blocks again: the same numbers in another order, without loss.

A GGUF row is a run of blocks of 32 columns (float16 scale, then values); a panel has 16 rows side by side
(kernels/formats.h). Q4_0, Q8_0, F16 and F32 have the same numbers on both sides, so bytes are moved and none is
computed. The other formats of GGUF have no panel of their own: they are decoded and packed anew. The engine's q4 has
no block of its own, and fits into Q8_0 without loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.checkpoint import Checkpoint, exact_floats
from petitlm.engine import q4
from petitlm.engine.formats import (
    BLOCK,
    BLOCK_BYTES,
    GROUP,
    PANEL,
    FormatName,
    Packed,
    formats_for,
    packed_bytes,
)
from petitlm.engine.kernels import Floats, Kernels, make_kernels

Bytes = NDArray[np.uint8]

SAME: dict[str, FormatName] = {"Q4_0": "q4_0", "Q8_0": "q8", "F16": "f16", "F32": "f32"}
"""Formats of GGUF that the engine has, too."""
_NAMES: dict[FormatName, str] = {**{format: name for name, format in SAME.items()}, "q4": "Q8_0"}
BITS: dict[FormatName, int] = {"q4": 4, "q4_0": 4, "q8": 8, "f16": 16, "f32": 32}

_CHUNK = 384 << 10  # bytes moved at a time by a thread: they and their copy stay in the second-level cache
_CHUNK_WEIGHTS = 1 << 19  # weights decoded at a time by a thread, as float32
_LOW, _HIGH = np.uint32(0x0F0F0F0F), np.uint32(0xF0F0F0F0)
_SIGNS = np.uint32(0x80808080)  # adding 128 to a byte, or taking it off
_ZERO4 = 0x88  # two values of 0


def planned_format(source: Checkpoint, name: str, bits: int | None) -> FormatName | None:
    """Return the format in which a weight is kept in memory; None for a plain float32 vector.

    Without `bits` it is the file's own; what the engine has no format for takes 8 bits. With `bits` it is that of
    `formats_for`, except where the file has the weight in as many bits and nothing need be rounded again.
    """
    asked = formats_for(bits or 8, name)
    if asked is None:
        return None
    same = SAME.get(source.dtype(name)) if source.has_blocks else None
    if bits is None:
        return same or ("f16" if source.dtype(name) == "BF16" else "q8")
    return same if same and BITS[same] == bits else asked


def load_weights(source: Checkpoint, bits: int | None, kernels: Kernels) -> dict[str, Packed | Floats]:
    """Return all weights of a GGUF file in memory, each as `planned_format` says."""
    weights: dict[str, Packed | Floats] = {}
    with ThreadPoolExecutor(max(1, kernels.threads)) as pool:
        for name in source.names:
            format = planned_format(source, name, bits)
            if format is None:
                weights[name] = source.read(name)
            elif SAME.get(source.dtype(name)) == format:
                rows, columns = source.shape(name)
                weights[name] = Packed(format, rows, columns, panels(source.blocks(name), format, columns, pool))
            else:
                weights[name] = _packed_anew(source, name, format, kernels, pool)
            source.release()
    return weights


def memory_bytes(source: Checkpoint, bits: int | None) -> int:
    """Return the bytes that `load_weights` takes, what it decodes at a time included."""
    total = 8 * _CHUNK_WEIGHTS * 4
    for name in source.names:
        format, shape = planned_format(source, name, bits), source.shape(name)
        total += 4 * math.prod(shape) if format is None else packed_bytes(format, shape[0], shape[1])
    return total


def bits_of(weights: Mapping[str, Packed | Floats]) -> int:
    """Return the bits of the format that most weights are kept in."""
    counts: dict[int, int] = {}
    for w in weights.values():
        if isinstance(w, Packed):
            counts[BITS[w.format]] = counts.get(BITS[w.format], 0) + w.rows * w.columns
    return max(counts, key=lambda bits: counts[bits])


def panels(blocks: Bytes, format: FormatName, columns: int, pool: ThreadPoolExecutor) -> Bytes:
    """Return rows of GGUF blocks, (R, bytes of a row), as the panels of a format of `SAME`."""
    rows, row_bytes = blocks.shape
    out = np.empty(packed_bytes(format, rows, columns), np.uint8).reshape(-(-rows // PANEL), -1)
    step = max(1, _CHUNK // (PANEL * row_bytes))

    def move(first: int) -> None:
        rows = _whole_panels(blocks[first * PANEL : (first + step) * PANEL], format)
        _TO_PANELS[format](rows, out[first : first + step])

    for _ in pool.map(move, range(0, len(out), step)):
        pass
    return out.reshape(-1)


def stored_format(w: Packed | Floats) -> str:
    """Return the format of GGUF that holds the same numbers."""
    return _NAMES[w.format] if isinstance(w, Packed) else "F32"


def blocks_of(packed: Packed | Floats) -> Bytes:
    """Return a weight as rows of GGUF blocks in its `stored_format`, (R, bytes of a row)."""
    if not isinstance(packed, Packed):
        return exact_floats(packed, "", "F32")
    if packed.format == "q4":
        return _finer_blocks(packed)
    n_panels = -(-packed.rows // PANEL)
    rows = _TO_BLOCKS[packed.format](packed.data.reshape(n_panels, -1))
    return rows.reshape(n_panels * PANEL, -1)[: packed.rows, : _row_bytes(packed.format, packed.columns)]


def encoded(source: Checkpoint, name: str, form: str, kernels: Kernels) -> Bytes:
    """Return one weight of a checkpoint in a format of GGUF, uint8 (out, bytes of a row).

    Weights that have the format already are not rounded again.
    Raises: UsageError for a value that the format cannot hold.
    """
    if source.has_blocks and source.dtype(name) == form and len(source.shape(name)) == 2:
        return source.blocks(name)
    values = source.read(name)
    if form in ("F32", "F16"):
        return exact_floats(values, name, form)
    rows, columns = values.shape
    return blocks_of(Packed(SAME[form], rows, columns, kernels.pack(values, SAME[form])[0]))


def _packed_anew(source: Checkpoint, name: str, format: FormatName, kernels: Kernels,
                 pool: ThreadPoolExecutor) -> Packed:
    rows, columns = source.shape(name)
    out = np.empty(packed_bytes(format, rows, columns), np.uint8).reshape(-(-rows // PANEL), -1)
    step = max(1, _CHUNK_WEIGHTS // (PANEL * columns))

    def pack(first: int) -> None:
        values = source.read_rows(name, first * PANEL, min((first + step) * PANEL, rows))
        alone = make_kernels(1, kernels.isa)  # these threads decode, too: each packs what it has decoded
        out[first : first + step] = alone.pack(values, format)[0].reshape(-1, out.shape[1])

    for _ in pool.map(pack, range(0, len(out), step)):
        pass
    return Packed(format, rows, columns, out.reshape(-1))


def _finer_blocks(packed: Packed) -> Bytes:
    """Return a q4 matrix in Q8_0: a value times its sub-scale fits in 8 bits, and eight blocks share one scale."""
    rows = np.empty((packed.rows, _row_bytes("q8", packed.columns)), np.uint8)
    data, step = packed.data.reshape(-(-packed.rows // PANEL), -1), max(1, _CHUNK_WEIGHTS // (PANEL * packed.columns))
    for first in range(0, len(data), step):
        begin, end = first * PANEL, min((first + step) * PANEL, packed.rows)
        part = Packed("q4", end - begin, packed.columns, data[first : first + step].reshape(-1))
        d, subscales, codes = q4.take_apart(part)
        values = (codes.astype(np.int8) - np.int8(8)) * np.repeat(q4.SIGNED_SUBSCALES[subscales], q4.SUBGROUP, axis=1)
        blocks = rows[begin:end].reshape(end - begin, -1, 2 + GROUP)
        shared = np.repeat(d, q4.SUPERBLOCK // GROUP, axis=1)[:, : blocks.shape[1]]
        blocks[..., :2] = np.ascontiguousarray(shared).view(np.uint8).reshape(*shared.shape, 2)
        blocks[..., 2:] = values.astype(np.int8).view(np.uint8).reshape(*shared.shape, GROUP)
    return rows


def _row_bytes(format: FormatName, columns: int) -> int:
    if format in BLOCK_BYTES:
        return columns // GROUP * (2 + GROUP // (2 if format == "q4_0" else 1))
    return columns * (2 if format == "f16" else 4)


def _whole_panels(blocks: Bytes, format: FormatName) -> Bytes:
    """Return (P, 16, bytes) with zeros for the rows that a last panel and the groups that a last block lack."""
    rows, n_bytes = blocks.shape
    group = {"q4_0": 18, "q8": 34}.get(format, 0)
    odd = group > 0 and n_bytes // group * GROUP % BLOCK > 0
    if rows % PANEL == 0 and not odd:
        return blocks.reshape(-1, PANEL, n_bytes)
    padded = np.zeros((-(-rows // PANEL) * PANEL, n_bytes + group * odd), np.uint8)
    if format == "q4_0":
        padded.reshape(len(padded), -1, group)[..., 2:] = _ZERO4
    padded[:rows, :n_bytes] = blocks
    return padded.reshape(-1, PANEL, padded.shape[1])


def _q4_panels(rows: Bytes, out: Bytes) -> None:
    """Columns c and c + 16 share a byte in a block; columns c and c + 4 in a line of a panel."""
    blocks = rows.reshape(len(rows), PANEL, -1, 18)
    words = np.ascontiguousarray(blocks[..., 2:]).view("<u4")  # panel, row, group, 4: columns 4i.. and 16 + 4i..
    words = np.ascontiguousarray(words.transpose(0, 2, 3, 1)).reshape(len(rows), -1, 2, 4, PANEL)
    body = out.reshape(len(rows), -1, BLOCK_BYTES["q4_0"])
    lines = body[..., :512].view("<u4").reshape(len(rows), -1, 2, 4, PANEL)
    low, high = words & _LOW, words & _HIGH
    lines[:, :, :, :2] = low[:, :, :, 0::2] | low[:, :, :, 1::2] << np.uint32(4)
    lines[:, :, :, 2:] = high[:, :, :, 0::2] >> np.uint32(4) | high[:, :, :, 1::2]
    _scales_to_panels(blocks, body[..., 512:])


def _q4_blocks(panels: Bytes) -> Bytes:
    body = panels.reshape(len(panels), -1, BLOCK_BYTES["q4_0"])
    lines = body[..., :512].view("<u4").reshape(len(panels), -1, 2, 4, PANEL)
    words = np.empty_like(lines)
    first, last = lines[:, :, :, :2], lines[:, :, :, 2:]
    words[:, :, :, 0::2] = first & _LOW | (last & _LOW) << np.uint32(4)
    words[:, :, :, 1::2] = (first & _HIGH) >> np.uint32(4) | last & _HIGH
    return _with_scales(words, body[..., 512:])


def _q8_panels(rows: Bytes, out: Bytes) -> None:
    blocks = rows.reshape(len(rows), PANEL, -1, 34)
    words = np.ascontiguousarray(blocks[..., 2:]).view("<u4").reshape(len(rows), PANEL, -1, 16)
    body = out.reshape(len(rows), -1, BLOCK_BYTES["q8"])
    lines = body[..., :1024].view("<u4").reshape(len(rows), -1, 16, PANEL)
    np.bitwise_xor(words.transpose(0, 2, 3, 1), _SIGNS, out=lines)
    _scales_to_panels(blocks, body[..., 1024:])


def _q8_blocks(panels: Bytes) -> Bytes:
    body = panels.reshape(len(panels), -1, BLOCK_BYTES["q8"])
    words = body[..., :1024].view("<u4").reshape(len(panels), -1, 2, 8, PANEL) ^ _SIGNS
    return _with_scales(words, body[..., 1024:])


def _scales_to_panels(blocks: Bytes, tail: Bytes) -> None:
    scales = np.ascontiguousarray(blocks[..., :2]).view("<u2")[..., 0]  # panel, row, group
    by_group = scales.transpose(0, 2, 1).reshape(len(blocks), -1, 2, PANEL)
    tail.view("<u2").reshape(by_group.shape)[...] = by_group  # splits the last axis of a view: a view, too


def _with_scales(words: NDArray[np.uint32], tail: Bytes) -> Bytes:
    """Return (P, 16, groups, 2 + bytes) blocks of words (P, B, 2, words, 16) and scales (P, B, 64 bytes)."""
    values = np.ascontiguousarray(words.transpose(0, 4, 1, 2, 3)).view(np.uint8)
    values = values.reshape(len(words), PANEL, -1, 4 * words.shape[3])
    scales = np.ascontiguousarray(tail).view("<u2").reshape(len(words), -1, PANEL).transpose(0, 2, 1)
    scales = np.ascontiguousarray(scales).view(np.uint8).reshape(*values.shape[:3], 2)
    return np.concatenate([scales, values], axis=-1)


def _float_panels(dtype: str) -> Callable[[Bytes, Bytes], None]:
    def move(rows: Bytes, out: Bytes) -> None:
        values = rows.view(dtype)  # panel, row, column
        out.view(dtype).reshape(len(rows), -1, PANEL)[...] = values.transpose(0, 2, 1)

    return move


def _float_blocks(dtype: str) -> Callable[[Bytes], Bytes]:
    def move(panels: Bytes) -> Bytes:
        values = panels.view(dtype).reshape(len(panels), -1, PANEL)
        return np.ascontiguousarray(values.transpose(0, 2, 1)).view(np.uint8)

    return move


_TO_PANELS: dict[FormatName, Callable[[Bytes, Bytes], Any]] = {
    "q4_0": _q4_panels, "q8": _q8_panels, "f16": _float_panels("<u2"), "f32": _float_panels("<u4")}
_TO_BLOCKS: dict[FormatName, Callable[[Bytes], Bytes]] = {
    "q4_0": _q4_blocks, "q8": _q8_blocks, "f16": _float_blocks("<u2"), "f32": _float_blocks("<u4")}
