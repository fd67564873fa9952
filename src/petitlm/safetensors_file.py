"""The safetensors format: read memory-mapped and fully checked, written streaming and whole.

Layout: 8 bytes (header length N, little endian), N bytes of JSON, then the data. The JSON maps
each name to its dtype, shape and `data_offsets` [begin, end) counted from the start of the data.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.errors import DamagedError, NotFoundError, ShapeError
from petitlm.files import parse_json_object, write_file

MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation
DATA_ALIGNMENT = 4096  # one page: a memory-mapped tensor then starts where vector loads like it

# The file's dtype, and the NumPy one that shows the same bytes. NumPy has no bfloat16 and no 8-bit
# float: these are given as unsigned integers of the same width.
DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(code) for name, code in {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
    "BOOL": "?"}.items()}

Content = bytes | bytearray | memoryview | np.ndarray  # a tensor's bytes, for writing


@dataclass(frozen=True)
class TensorSpec:
    """A tensor as the header describes it."""

    name: str
    dtype: str
    """One of `DTYPES`."""
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


class SafetensorsFile:
    """One safetensors file, memory-mapped; nothing but its header is read when it is opened.

    Raises: NotFoundError; DamagedError for a header or offsets that do not fit the file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, 2)
                if size < 8:
                    raise DamagedError(f"{self.path} has {size} bytes, too few for a safetensors file; fetch it again")
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, IsADirectoryError):
            raise NotFoundError(f"{self.path} is not there") from None
        self._data_start, header = self._read_header(size)
        self.metadata: dict[str, str] = self._read_metadata(header.pop("__metadata__", {}))
        self._specs: dict[str, TensorSpec] = {}
        self._begins: dict[str, int] = {}
        for name, entry in header.items():
            self._specs[name], self._begins[name] = self._read_entry(name, entry, size - self._data_start)
        self._check_layout(size - self._data_start)

    @property
    def names(self) -> list[str]:
        """Tensor names in the order of their data."""
        return sorted(self._specs, key=lambda name: (self._begins[name], self._specs[name].n_bytes))

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def dtype(self, name: str) -> str:
        return self._spec(name).dtype

    def shape(self, name: str) -> tuple[int, ...]:
        return self._spec(name).shape

    def view(self, name: str) -> np.ndarray:
        """Return the tensor's bytes in the file as an array: no copy, read-only."""
        spec = self._spec(name)
        at = self._data_start + self._begins[name]
        return np.frombuffer(self._map, DTYPES[spec.dtype], math.prod(spec.shape), at).reshape(spec.shape)

    def release(self) -> None:
        """Let the pages read so far leave this process's memory; they are read again when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _spec(self, name: str) -> TensorSpec:
        if name not in self._specs:
            raise NotFoundError(f"{self.path} has no tensor {name!r:.100}")
        return self._specs[name]

    def _read_header(self, size: int) -> tuple[int, dict[str, Any]]:
        (length,) = struct.unpack("<Q", self._map[:8])
        if length > size - 8:
            raise DamagedError(f"{self.path}: the header claims {length:,} bytes and the file has {size:,}; "
                               "it is truncated or no safetensors file: fetch it again")
        if length > MAX_HEADER_BYTES:
            raise DamagedError(f"{self.path}: the header claims {length:,} bytes, more than the {MAX_HEADER_BYTES:,} "
                               "that the format allows")
        return 8 + length, parse_json_object(self._map[8 : 8 + length], f"{self.path}: the header")

    def _read_metadata(self, metadata: Any) -> dict[str, str]:
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise DamagedError(f"{self.path}: __metadata__ must map text to text; fetch the file again")
        return metadata

    def _read_entry(self, name: str, entry: Any, n_data: int) -> tuple[TensorSpec, int]:
        where = f"{self.path}: tensor {name!r:.100}"
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise DamagedError(f"{where} must have dtype, shape and data_offsets, and has {entry!r:.80}")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise DamagedError(f"{where} has the unknown dtype {dtype!r:.40}; known are {', '.join(DTYPES)}")
        if not _are_sizes(shape):
            raise DamagedError(f"{where} has the shape {shape!r:.80}, which is no list of sizes")
        if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise DamagedError(f"{where} has the data_offsets {offsets!r:.80}, which are no [begin, end]")
        if offsets[1] > n_data:
            raise DamagedError(f"{where} ends at byte {offsets[1]:,} of the data and the file holds {n_data:,}; "
                               "it is truncated: fetch it again")
        spec = TensorSpec(name, dtype, tuple(shape))
        if spec.n_bytes != offsets[1] - offsets[0]:
            raise DamagedError(f"{where} needs {spec.n_bytes:,} bytes for {dtype} {shape!r:.80} and "
                               f"has {offsets[1] - offsets[0]:,}")
        return spec, offsets[0]

    def _check_layout(self, n_data: int) -> None:
        """Every byte of data belongs to exactly one tensor: no overlap hides data, no hole carries any."""
        end, before = 0, "the header"
        for name in self.names:
            begin = self._begins[name]
            if begin != end:
                what = "overlaps" if begin < end else f"leaves a hole of {begin - end:,} bytes after"
                raise DamagedError(f"{self.path}: tensor {name!r:.100} {what} {before}; fetch the file again")
            end, before = begin + self._specs[name].n_bytes, f"{name!r:.100}"
        if end != n_data:
            raise DamagedError(f"{self.path}: {n_data - end:,} bytes after the last tensor belong to none; "
                               "fetch the file again")


def write_safetensors(path: Path | str, tensors: Sequence[TensorSpec], data: Callable[[str], Content],
                      metadata: dict[str, str] | None = None) -> None:
    """Write a file tensor by tensor, in the given order, asking `data` for one tensor at a time.

    The data starts at a multiple of `DATA_ALIGNMENT`, and the file appears whole or not at all.
    Raises: ShapeError if `data` returns another number of bytes than a tensor needs.
    """
    write_file(path, _chunks(tensors, data, metadata or {}))


def _chunks(tensors: Sequence[TensorSpec], data: Callable[[str], Content],
            metadata: dict[str, str]) -> Iterator[bytes | memoryview]:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for spec in tensors:
        if spec.name in header:
            raise ShapeError(f"tensor {spec.name!r} is given twice; each name is written once")
        header[spec.name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [end, end + spec.n_bytes]}
        end += spec.n_bytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % DATA_ALIGNMENT)
    yield struct.pack("<Q", len(text)) + text
    for spec in tensors:
        content = data(spec.name)
        if isinstance(content, np.ndarray):
            content = np.ascontiguousarray(content).reshape(-1).view(np.uint8).data
        chunk = memoryview(content)
        if chunk.nbytes != spec.n_bytes:
            raise ShapeError(f"tensor {spec.name!r} needs {spec.n_bytes:,} bytes for {spec.dtype} {spec.shape} and "
                             f"was given {chunk.nbytes:,}")
        yield chunk


def as_float32(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return a contiguous float32 copy of values as a file has them in F32, F16 or BF16."""
    if dtype == "BF16":  # the upper half of a float32
        return (np.ascontiguousarray(values).astype(np.uint32) << 16).view(np.float32)
    return np.array(values, dtype=np.float32, order="C")


def from_float32(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 values as a file has them in F32, F16 or BF16, rounded to nearest even."""
    if dtype != "BF16":
        with np.errstate(over="ignore"):  # too large for float16: infinite, which is for the caller to judge
            return values.astype(DTYPES[dtype])
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet_nan = (bits >> 16) | 0x40  # rounding must not carry a NaN over into infinity
    return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)
