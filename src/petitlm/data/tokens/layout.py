"""Files of tokens: `NAME.bin` holds ids end to end, `NAME.idx` says where each document lies.

The layout is that of Megatron-LM's indexed datasets, version 1 (megatron/core/datasets/indexed_dataset.py), so that
whatever reads those reads petit's shards as they are. All numbers are little-endian; N sequences, D documents:

    9 bytes   b"MMIDIDX\\0\\0"
    uint64    1, the version
    uint8     type of the ids: 1 uint8, 2 int8, 3 int16, 4 int32, 5 int64, 6 float64, 7 float32, 8 uint16
    uint64    N
    uint64    D + 1
    int32 [N]      tokens of each sequence
    int64 [N]      byte of the .bin at which each begins
    int64 [D + 1]  first sequence of each document, and N

In petit's own shards each document is one sequence and ends with the end token. Vocabularies of up to 65,536 ids take
uint16, larger ones int32.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.errors import DamagedError, NotFoundError
from petitlm.files import write_file

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
_HEADER = struct.Struct("<9sQBQQ")
_TYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}  # 6 and 7, floats, are no ids
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}


@dataclass(frozen=True)
class Index:
    """Where the sequences and documents of a .bin lie."""

    dtype: np.dtype
    lengths: NDArray[np.int32]
    """(N,) tokens of each sequence."""
    places: NDArray[np.int64]
    """(N,) byte at which each begins."""
    documents: NDArray[np.int64]
    """(D + 1,) first sequence of each document, and N."""

    @property
    def n_tokens(self) -> int:
        """Of all sequences."""
        return int(self.lengths.sum(dtype=np.int64))


def dtype_for(n_ids: int) -> np.dtype:
    """The type that petit stores ids below `n_ids` in."""
    return np.dtype("<u2" if n_ids <= 1 << 16 else "<i4")


def write_index(path: Path, lengths: NDArray[np.int32], dtype: np.dtype,
                documents: NDArray[np.int64] | None = None) -> None:
    """Write the .idx of sequences that lie end to end; without `documents`, each sequence is one."""
    places = np.zeros(len(lengths), "<i8")
    np.cumsum(lengths[:-1], out=places[1:], dtype=np.int64)
    places *= dtype.itemsize
    documents = np.arange(len(lengths) + 1) if documents is None else documents
    header = _HEADER.pack(MAGIC, VERSION, _CODES[np.dtype(dtype)], len(lengths), len(documents))
    write_file(path, [header, lengths.astype("<i4").tobytes(), places.tobytes(), documents.astype("<i8").tobytes()])


def read_index(path: Path) -> Index:
    """Read an .idx, and check that it fits the .bin beside it.

    Raises: NotFoundError, DamagedError.
    """
    try:
        raw = map_file(path, np.dtype("u1"))
        n_bytes = path.with_suffix(".bin").stat().st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"{error.filename} is not there; token files are a .bin and its .idx") from None
    index = _parse(raw, path)
    ends = index.places + index.lengths.astype(np.int64) * index.dtype.itemsize
    if len(ends) and (index.lengths.min() < 0 or index.places.min() < 0 or ends.max() > n_bytes):
        raise DamagedError(f"{path} points beyond the {n_bytes:,} bytes of its .bin; one of the two is truncated")
    steps = np.diff(index.documents)
    if index.documents[0] != 0 or index.documents[-1] != len(index.lengths) or (len(steps) and steps.min() < 0):
        raise DamagedError(f"{path}: its documents do not cover its {len(index.lengths):,} sequences in order")
    return index


def _parse(raw: NDArray[Any], path: Path) -> Index:
    if len(raw) < _HEADER.size:
        raise DamagedError(f"{path} has {len(raw)} bytes, too few for an index of tokens")
    magic, version, code, n, d = _HEADER.unpack(raw[: _HEADER.size].tobytes())
    if magic != MAGIC or version != VERSION:
        raise DamagedError(f"{path} is no token index of version {VERSION} (it begins with {magic!r}, "
                           f"version {version})")
    if code not in _TYPES:
        raise DamagedError(f"{path} has ids of type {code}; known are {', '.join(map(str, _TYPES))}")
    needed = _HEADER.size + 12 * n + 8 * d
    if n and len(raw) == needed + n:
        raise DamagedError(f"{path} has a mode for each sequence (a multimodal set); petit reads text alone")
    if len(raw) != needed or d < 1:
        raise DamagedError(f"{path} has {len(raw):,} bytes where {needed:,} belong; it is truncated or damaged")
    at = _HEADER.size
    lengths, places, documents = (raw[a:b].view(kind) for kind, a, b in (
        ("<i4", at, at + 4 * n), ("<i8", at + 4 * n, at + 12 * n), ("<i8", at + 12 * n, needed)))
    return Index(np.dtype(_TYPES[code]), lengths, places, documents)


def map_file(path: Path, dtype: np.dtype) -> NDArray[Any]:
    """The values of a file, read only and from disk as they are used; an empty file gives an empty array."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return np.zeros(0, dtype)
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(held) % dtype.itemsize:
        raise DamagedError(f"{path} has {len(held):,} bytes, no whole number of {dtype.itemsize}-byte values")
    return np.frombuffer(held, dtype)


def in_chunks(parts: Iterator[NDArray[Any]], n_bytes: int = 1 << 20) -> Iterator[bytes]:
    """The bytes of many small arrays, joined to pieces of about `n_bytes`."""
    waiting: list[bytes] = []
    held = 0
    for part in parts:
        waiting.append(part.tobytes())
        held += len(waiting[-1])
        if held >= n_bytes:
            yield b"".join(waiting)
            waiting, held = [], 0
    yield b"".join(waiting)
