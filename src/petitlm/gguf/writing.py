"""Writing the GGUF container, version 3: typed metadata, tensor heads, then the data, tensor by tensor.

The layout is the one that `petitlm.gguf.file` describes; every size is known from the shapes, so nothing is held back
and one tensor is in memory at a time.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.errors import ShapeError
from petitlm.files import write_file
from petitlm.gguf.blocks import FORMATS

ALIGNMENT = 32  # what readers assume where `general.alignment` does not say otherwise
_NUMBERS = {form.name: kind for kind, form in FORMATS.items()}
_TEXT, _ARRAY = 8, 9
_ARRAY_TYPES = {"int32": (5, "<i4"), "float32": (6, "<f4")}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor to be written."""

    name: str
    shape: tuple[int, ...]
    """(out, in), as everywhere in petit; the file has them the other way round."""
    format: str
    """Name of one of `petitlm.gguf.blocks.FORMATS`."""

    @property
    def n_bytes(self) -> int:
        form = FORMATS[_NUMBERS[self.format]]
        return math.prod(self.shape) // form.columns * form.n_bytes


def write_gguf(path: Path | str, metadata: Mapping[str, Any], tensors: Sequence[TensorSpec],
               data: Callable[[str], np.ndarray]) -> None:
    """Write a file tensor by tensor, in the given order, asking `data` for one tensor's bytes at a time.

    Metadata may be texts, whole numbers (32 bits without sign), floats (32 bits), booleans, lists of texts, and arrays
    of int32 or float32. The file appears whole or not at all.
    Raises: ShapeError if `data` returns another number of bytes than a tensor needs.
    """
    write_file(path, _chunks(metadata, tensors, data))


def _chunks(metadata: Mapping[str, Any], tensors: Sequence[TensorSpec],
            data: Callable[[str], np.ndarray]) -> Iterator[bytes | memoryview]:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_text(key) + _value(value) for key, value in metadata.items())
    offset = 0
    for spec in tensors:
        dims = b"".join(struct.pack("<Q", n) for n in reversed(spec.shape))
        head += _text(spec.name) + struct.pack("<I", len(spec.shape)) + dims
        head += struct.pack("<IQ", _NUMBERS[spec.format], offset)
        offset += spec.n_bytes + -spec.n_bytes % ALIGNMENT
    yield head + bytes(-len(head) % ALIGNMENT)
    for spec in tensors:
        content = np.ascontiguousarray(data(spec.name))
        if content.nbytes != spec.n_bytes:
            raise ShapeError(f"tensor {spec.name!r} needs {spec.n_bytes:,} bytes for {spec.format} {spec.shape} and "
                             f"was given {content.nbytes:,}")
        yield content.reshape(-1).view(np.uint8).data
        yield bytes(-spec.n_bytes % ALIGNMENT)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value(value: Any) -> bytes:
    """Return a value with its type in front."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", _TEXT) + _text(value)
    if isinstance(value, np.ndarray):
        kind, dtype = _ARRAY_TYPES[value.dtype.name]
        return struct.pack("<IIQ", _ARRAY, kind, len(value)) + value.astype(dtype).tobytes()
    return struct.pack("<IIQ", _ARRAY, _TEXT, len(value)) + b"".join(map(_text, value))
