"""Packed models: weights in the kernels' own layout, on disk as in memory.

A packed folder is an ordinary checkpoint folder (config.json, tokenizer, card) with `packed.safetensors`:
one U8 tensor for each matrix, in the bytes of kernels/formats.h, and F32 vectors. It is mapped, not
read: nothing is copied or re-ordered at load, and pages are shared between processes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.checkpoint import Checkpoint
from petitlm.checkpoint.reading import prompt_name, read_card
from petitlm.config import ModelConfig
from petitlm.engine.formats import FormatName, Packed, formats_for, packed_bytes
from petitlm.engine.kernels import Floats, Kernels, make_kernels
from petitlm.engine.layers import Weights
from petitlm.engine.rounding import Rounder, Rounding
from petitlm.errors import DamagedError, UsageError
from petitlm.families import config_from_hf, config_to_hf, prompt_shape
from petitlm.files import new_folder, read_json_object, write_file, write_json
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors
from petitlm.tokenizer import Tokenizer, check_rows

PACKED = "packed.safetensors"
VERSION = "2"
_FILES = {PACKED, "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"}
_ALIGN = 64  # every tensor starts on a cache line
Progress = Callable[[int, int, str], None]


def pack_weights(source: Checkpoint, bits: int, kernels: Kernels) -> dict[str, Packed | Floats]:
    """Return all weights of a checkpoint, packed in memory, one float matrix at a time."""
    weights: dict[str, Packed | Floats] = {}
    for name in source.names:
        format, values = formats_for(bits, name), source.read(name)
        weights[name] = values if format is None else pack_matrix(kernels, format, values)
        source.release()
    return weights


def quantize(source: Checkpoint, folder: Path, bits: int, threads: int,
             progress: Progress | None = None, rounding: Rounding = "nearest",
             sequences: Sequence[Sequence[int]] = ()) -> dict[str, Any]:
    """Write a packed folder, streaming: one matrix is in memory at a time. Return a report.

    `sequences` are token ids of the texts that `rounding` calibrates with; see `petitlm.engine.rounding`.
    The report has `bytes` of the file, `bits_per_weight`, `seconds`, and `errors`: for each matrix the
    relative error |W - stored| / |W|.
    Raises: UsageError; what `source` raises; nothing is left behind on failure.
    """
    kernels, start, errors = make_kernels(threads), time.perf_counter(), dict[str, float]()
    if rounding != "nearest" and bits != 4:
        raise UsageError(f"rounding={rounding!r} is for 4 bits and bits={bits} was asked for; leave one of them out")
    rounder = Rounder(source, rounding, sequences, kernels)
    specs = {name: _spec(name, source.shape(name), bits) for name in source.names}
    # vectors last: only the matrices' sizes are whole cache lines
    order = sorted(specs, key=lambda name: formats_for(bits, name) is None)

    def content(name: str) -> np.ndarray[Any, Any]:
        if progress:
            progress(order.index(name), len(order), name)
        values, format = source.read(name), formats_for(bits, name)
        source.release()
        if format is None:
            return values
        data, errors[name] = rounder.pack(name, values, format)
        return data

    tensors = {name: [formats_for(bits, name), *source.shape(name)] for name in order}
    metadata = {"petit.version": VERSION, "petit.bits": str(bits), "petit.rounding": rounding,
                "petit.tensors": json.dumps(tensors)}
    with new_folder(folder, _FILES.__contains__) as target:
        write_safetensors(target / PACKED, [specs[name] for name in order], content, metadata)
        own = {"prompt": source.prompt, "bits": bits}
        write_json(target / "config.json", {**config_to_hf(source.config), "petit": own})
        source.tokenizer().save(target)
        if source.card:
            write_file(target / "README.md", [source.card.encode()])
    if progress:
        progress(len(order), len(order), "done")
    size = (folder / PACKED).stat().st_size
    return {"bytes": size, "bits_per_weight": 8 * size / source.n_params, "seconds": time.perf_counter() - start,
            "errors": errors}


def pack_matrix(kernels: Kernels, format: FormatName, values: Floats) -> Packed:
    """Return one matrix (rows out, columns in) in a format."""
    rows, columns = values.shape
    return Packed(format, rows, columns, kernels.pack(values, format)[0])


@dataclass(frozen=True)
class PackedModel:
    """An opened packed folder: everything a runner needs."""

    config: ModelConfig
    weights: Weights
    tokenizer: Tokenizer
    bits: int
    prompt: str
    card: str | None
    n_bytes: int
    """Size of the weights, in the file and in memory."""


def is_packed(folder: Path) -> bool:
    """Whether a folder holds packed weights."""
    return (folder / PACKED).is_file()


def open_packed(folder: Path) -> PackedModel:
    """Map a packed folder.

    Raises: DamagedError, NotFoundError, saying which file and what to do.
    """
    values = read_json_object(folder / "config.json")
    config, file = config_from_hf(values), SafetensorsFile(folder / PACKED)
    if file.metadata.get("petit.version") != VERSION:
        raise DamagedError(f"{file.path} has packed version {file.metadata.get('petit.version')!r} and this petit "
                           f"reads {VERSION!r}; quantize the model again")
    bits = file.metadata.get("petit.bits", "")
    if bits not in ("4", "8", "16", "32"):
        raise DamagedError(f"{file.path} says petit.bits={bits!r}; quantize the model again")
    weights = {name: _mapped(file, name, shape, int(bits)) for name, shape in config.tensor_shapes().items()}
    tokenizer = Tokenizer.load(folder, config.eos_id, config.bos_id)
    check_rows(tokenizer, config.n_vocab)
    return PackedModel(config, weights, tokenizer, int(bits), prompt_name(values) or prompt_shape(config),
                       read_card(folder), file.path.stat().st_size)


def _spec(name: str, shape: tuple[int, ...], bits: int) -> TensorSpec:
    format = formats_for(bits, name)
    if format is None:
        return TensorSpec(name, "F32", shape)
    size = packed_bytes(format, shape[0], shape[1])
    assert size % _ALIGN == 0 or format in ("f16", "f32"), name
    return TensorSpec(name, "U8", (size,))


def _mapped(file: SafetensorsFile, name: str, shape: tuple[int, ...], bits: int) -> Packed | Floats:
    if name not in file:
        raise DamagedError(f"{file.path} lacks the tensor {name!r}; quantize the model again")
    spec = _spec(name, shape, bits)
    found = TensorSpec(name, file.dtype(name), file.shape(name))
    if found != spec:
        raise DamagedError(f"{file.path}: tensor {name!r} is {found.dtype} {found.shape} and config.json wants "
                           f"{spec.dtype} {spec.shape}; quantize the model again")
    format, data = formats_for(bits, name), file.view(name)
    if format is None:
        return np.array(data, np.float32)
    rows, columns = shape
    return Packed(format, rows, columns, data)


def check_bits(found: int, asked: int | None, folder: Path) -> None:
    """Refuse to run a packed folder in another format than it was packed in.

    Raises: UsageError.
    """
    if asked is not None and asked != found:
        raise UsageError(f"{folder} is packed in {found} bits and bits={asked} was asked for; leave it out, or "
                         "quantize the original checkpoint again")
