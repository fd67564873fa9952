"""Writing a folder that `transformers` loads, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.checkpoint.folder import INDEX, SINGLE
from petitlm.config import ModelConfig
from petitlm.errors import ShapeError, UsageError
from petitlm.families import Source, config_to_hf, hf_names
from petitlm.files import new_folder, write_file, write_json
from petitlm.safetensors_file import TensorSpec, from_float32, write_safetensors
from petitlm.tokenizer import Tokenizer, check_rows

DEFAULT_SHARD_BYTES = 2_000_000_000
_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_FOLDER_FILES = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|merges\.txt|"
    r"README\.md|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")


def save_hf(folder: Path | str, config: ModelConfig, read: Callable[[str], np.ndarray],
            tokenizer: Tokenizer | None = None, dtype: str = "float16", card: str | None = None,
            extra: Mapping[str, Any] | None = None, shard_bytes: int = DEFAULT_SHARD_BYTES) -> None:
    """Write a folder that `transformers` loads, one tensor in memory at a time, whole or not at all.

    `read` gives each weight under petit's name as (out, in); `extra` is added to config.json.
    Raises: UsageError for another dtype or a folder with files that are no checkpoint's; ConfigError if the family's
    format cannot say the shape; ShapeError if `read` returns another shape.
    """
    if dtype not in _DTYPES:
        raise UsageError(f"dtype={dtype!r} cannot be written; choose one of {', '.join(_DTYPES)}")
    values = {**config_to_hf(config), "dtype": dtype, "torch_dtype": dtype, **(extra or {})}
    table = hf_names(config)
    specs = [TensorSpec(name, _DTYPES[dtype], shape)
             for name, shape in {source.name: source.shape for source in table.values()}.items()]
    if tokenizer is not None:
        check_rows(tokenizer, config.n_vocab)
    with new_folder(folder, lambda name: _FOLDER_FILES.fullmatch(name) is not None) as beside:
        _write_weights(beside, specs, lambda name: _stored_values(name, table, config, read, dtype), shard_bytes)
        write_json(beside / "config.json", values)
        if tokenizer is not None:
            tokenizer.save(beside)
        if card is not None:
            write_file(beside / "README.md", [card.encode()])


def _write_weights(folder: Path, specs: Sequence[TensorSpec], data: Callable[[str], np.ndarray],
                   shard_bytes: int) -> None:
    shards: list[list[TensorSpec]] = [[]]
    for spec in specs:
        if shards[-1] and sum(other.n_bytes for other in shards[-1]) + spec.n_bytes > shard_bytes:
            shards.append([])
        shards[-1].append(spec)
    metadata = {"format": "pt"}  # `transformers` asks for it
    if len(shards) == 1:
        write_safetensors(folder / SINGLE, shards[0], data, metadata)
        return
    weight_map: dict[str, str] = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, shard, data, metadata)
        weight_map |= {spec.name: file for spec in shard}
    total = sum(spec.n_bytes for spec in specs)
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _stored_values(stored_name: str, table: Mapping[str, Source], config: ModelConfig,
                   read: Callable[[str], np.ndarray], dtype: str) -> np.ndarray:
    """Return the bytes of one stored tensor, stacked and transposed as the file's family wants it."""
    shapes, parts, transposed = config.tensor_shapes(), [], False
    for name, source in table.items():
        if source.name == stored_name:
            values, transposed = np.asarray(read(name), dtype=np.float32), source.transposed
            if values.shape != shapes[name]:
                raise ShapeError(f"weight {name!r} has the shape {list(values.shape)}; the config asks for "
                                   f"{list(shapes[name])}")
            parts.append(values)
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    values = np.ascontiguousarray(values.T if transposed else values)
    stored = from_float32(values, _DTYPES[dtype])
    if dtype == "float16" and not np.array_equal(np.isfinite(stored), np.isfinite(values)):
        raise UsageError(f"tensor {stored_name!r} has the value {np.abs(values).max():.4g}, beyond the 65504 of "
                         "float16; choose dtype bfloat16 or float32")
    return stored
