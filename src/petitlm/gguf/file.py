"""The GGUF container: typed metadata and tensors, every length checked against the file before it is used.

Layout (version 2 and 3): `GGUF`, version, tensor count, metadata count; the metadata as key, type, value; for
each tensor its name, dimensions (columns first), format and offset; padding; the data. Texts and arrays
carry their length in front, so a damaged file can claim anything: each claim is held against what is left.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.gguf.blocks import FORMATS, UNSUPPORTED, BlockFormat

_NUMBERS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8",
            12: "<f8"}
_TEXT, _ARRAY = 8, 9
_MAX_ALIGNMENT = 1 << 20
_DECODE_BYTES = 16 << 20  # bytes decoded at a time: keeps the temporary arrays small beside the tensor itself


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    """(out, in), as everywhere in petit; the file has them the other way round."""
    format: BlockFormat
    begin: int
    """First byte in the file."""

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) // self.format.columns * self.format.n_bytes


class GGUFFile:
    """One GGUF file, memory-mapped: its metadata, and its tensors on demand.

    Raises: NotFoundError; DamagedError for anything that does not add up; UsageError for what petit cannot read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with open(self.path, "rb") as file:
                if file.read(4) != b"GGUF":
                    raise DamagedError(f"{self.path} does not begin as a GGUF file does; give a .gguf file, or a "
                                       "folder with config.json and safetensors")
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise NotFoundError(f"{self.path} is not there") from None
        reader = _Reader(self.path, self._map)
        n_tensors, n_values = reader.read_head()
        self.metadata: dict[str, Any] = {}
        for _ in range(n_values):
            key, value = reader.text(), reader.value(reader.unpack("<I"))
            if key in self.metadata:
                raise reader.damaged(f"the metadata key {key!r:.100} is given twice")
            self.metadata[key] = value
        self._tensors = self._read_tensors(reader, n_tensors)
        if self.metadata.get("split.count", 0) > 1:
            raise UsageError(f"{self.path} is one part of {self.metadata['split.count']}; join them with "
                             "llama-gguf-split --merge first")

    @property
    def names(self) -> list[str]:
        return list(self._tensors)

    def dtype(self, name: str) -> str:
        return self._tensors[name].format.name

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def where(self, name: str) -> Path:
        return self.path

    def read(self, name: str, start: int, stop: int, transposed: bool = False) -> np.ndarray:
        """Return output rows [start, stop) as float32 (out, in), decoding only these."""
        assert not transposed, "GGUF stores every matrix as (out, in)"
        tensor = self._tensors[name]
        form, rest = tensor.format, tensor.shape[1:]
        # A block belongs to one row, save in vectors, whose blocks hold several of their one-number rows.
        blocks_per_row = math.prod(rest) // form.columns if rest else 1
        if not rest and form.columns > 1:
            whole = self._decode(tensor, 0, tensor.n_bytes // form.n_bytes)
            return whole.reshape(-1)[start:stop].copy()
        return self._decode(tensor, start * blocks_per_row, stop * blocks_per_row).reshape(stop - start, *rest)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return output rows [start, stop) of a matrix as they are in the file, uint8 (rows, bytes): no copy."""
        tensor = self._tensors[name]
        assert len(tensor.shape) == 2, "a block of a vector belongs to many of its rows"
        n_bytes = tensor.shape[1] // tensor.format.columns * tensor.format.n_bytes
        stored = np.frombuffer(self._map, np.uint8, (stop - start) * n_bytes, tensor.begin + start * n_bytes)
        return stored.reshape(stop - start, n_bytes)

    def release(self) -> None:
        """Let the pages read so far leave this process's memory; they are read again when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _decode(self, tensor: _Tensor, start: int, stop: int) -> np.ndarray:
        form = tensor.format
        step = max(1, _DECODE_BYTES // form.n_bytes)
        if stop - start <= step:
            return form.decode(self._blocks(tensor, start, stop))
        result = np.empty((stop - start, form.columns), np.float32)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            result[first - start : last - start] = form.decode(self._blocks(tensor, first, last))
        return result

    def _blocks(self, tensor: _Tensor, start: int, stop: int) -> np.ndarray:
        n_bytes = tensor.format.n_bytes
        stored = np.frombuffer(self._map, np.uint8, (stop - start) * n_bytes, tensor.begin + start * n_bytes)
        return stored.reshape(-1, n_bytes)

    def _read_tensors(self, reader: _Reader, n_tensors: int) -> dict[str, _Tensor]:
        heads = [_read_tensor_head(reader) for _ in range(n_tensors)]
        alignment = self.metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 1 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
            raise reader.damaged(f"general.alignment={alignment!r:.40} is no power of two up to {_MAX_ALIGNMENT:,}")
        data = -(-reader.at // alignment) * alignment
        tensors: dict[str, _Tensor] = {}
        for name, shape, form, offset in heads:
            if name in tensors:
                raise reader.damaged(f"the tensor {name!r:.100} is given twice")
            tensor = _Tensor(shape, form, data + offset)
            if offset % alignment:
                raise reader.damaged(f"tensor {name!r:.100} starts at byte {offset:,} of the data, which is no "
                                     f"multiple of the alignment {alignment}")
            if tensor.begin + tensor.n_bytes > reader.size:
                raise reader.damaged(f"tensor {name!r:.100} ends at byte {tensor.begin + tensor.n_bytes:,} and the "
                                     f"file has {reader.size:,}: it is truncated")
            tensors[name] = tensor
        _check_apart(reader, tensors)
        return tensors


def _read_tensor_head(reader: _Reader) -> tuple[str, tuple[int, ...], BlockFormat, int]:
    name, n_dims = reader.text(), reader.unpack("<I")
    if not 1 <= n_dims <= 4:
        raise reader.damaged(f"tensor {name!r:.100} has {n_dims} dimensions; 1 to 4 are possible")
    shape = tuple(reader.unpack("<Q") for _ in range(n_dims))[::-1]
    kind, offset = reader.unpack("<I"), reader.unpack("<Q")
    if kind not in FORMATS:
        if kind in UNSUPPORTED:
            known = ", ".join(form.name for form in FORMATS.values())
            raise UsageError(f"{reader.path}: tensor {name!r:.100} has the format {UNSUPPORTED[kind]}, which petit "
                             f"does not read; it reads {known}")
        raise reader.damaged(f"tensor {name!r:.100} has the unknown format {kind}")
    if shape[-1] % FORMATS[kind].columns:
        raise reader.damaged(f"tensor {name!r:.100} has {shape[-1]} columns, no multiple of the "
                             f"{FORMATS[kind].columns} of a {FORMATS[kind].name} block")
    return name, shape, FORMATS[kind], offset


def _check_apart(reader: _Reader, tensors: dict[str, _Tensor]) -> None:
    end, before = 0, ""
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if tensor.begin < end:
            raise reader.damaged(f"tensor {name!r:.100} overlaps {before!r:.100}")
        end, before = tensor.begin + tensor.n_bytes, name


class _Reader:
    """A position in the file that never leaves it."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at, self.size = path, data, 4, len(data)

    def read_head(self) -> tuple[int, int]:
        """Return the number of tensors and of metadata values."""
        version = self.unpack("<I")
        if version not in (2, 3):
            what = "big-endian, or damaged" if version & 0xFFFF == 0 else f"of version {version}"
            raise UsageError(f"{self.path} is {what}; petit reads little-endian GGUF files of versions 2 and 3")
        n_tensors, n_values = self.unpack("<Q"), self.unpack("<Q")
        # Each tensor takes 24 bytes of the header at least, each value 13: counts that cannot be are lies.
        if n_tensors * 24 + n_values * 13 > self.size:
            raise self.damaged(f"it claims {n_tensors:,} tensors and {n_values:,} values, more than {self.size:,} "
                               "bytes can hold")
        return n_tensors, n_values

    def unpack(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def take(self, n: int) -> bytes:
        if n > self.size - self.at:
            raise self.damaged(f"{n:,} bytes are announced at byte {self.at:,} and {self.size - self.at:,} are left")
        self.at += n
        return self.data[self.at - n : self.at]

    def text(self) -> str:
        try:
            return self.take(self.unpack("<Q")).decode()
        except UnicodeDecodeError:
            raise self.damaged(f"the text that ends at byte {self.at:,} is not UTF-8") from None

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self._array(self.unpack("<I"), self.unpack("<Q"))
        value = self._numbers(kind, 1)[0]
        # A float32 says what its writer meant in its shortest form: 1e-05, not 9.999999747378752e-06.
        return float(str(value)) if kind == 6 else value.item()

    def _array(self, kind: int, count: int) -> Any:
        if kind == _ARRAY:
            raise self.damaged(f"an array of arrays ends the metadata at byte {self.at:,}; none is known")
        if kind != _TEXT:
            return self._numbers(kind, count)
        if count * 8 > self.size - self.at:
            raise self.damaged(f"{count:,} texts are announced at byte {self.at:,} and {self.size - self.at:,} bytes "
                               "are left")
        return [self.text() for _ in range(count)]

    def _numbers(self, kind: int, count: int) -> np.ndarray:
        if kind not in _NUMBERS:
            raise self.damaged(f"the value at byte {self.at:,} has the unknown type {kind}")
        dtype = np.dtype(_NUMBERS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def damaged(self, what: str) -> DamagedError:
        return DamagedError(f"{self.path}: {what}; fetch the file again")
