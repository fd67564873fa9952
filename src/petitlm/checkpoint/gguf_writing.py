"""Writing a GGUF file that llama.cpp loads, one tensor in memory at a time, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.config import ModelConfig
from petitlm.errors import UsageError
from petitlm.families import Source, config_to_gguf, gguf_names, repeats_embedding, rope_factors
from petitlm.gguf import TensorSpec, write_gguf, write_vocabulary
from petitlm.tokenizer import Tokenizer, check_rows

TYPES = {"f32": 0, "f16": 1, "q8_0": 7, "q4_0": 2}
"""How most weights may be stored, and the number that `general.file_type` gives it."""


def gguf_format(name: str, shape: tuple[int, ...], kind: str) -> str:
    """Return the block format of a weight in a file of a type of `TYPES`.

    Vectors and learned positions stay in 32 bits, as llama.cpp wants them. The embedding and the head of a q4_0
    file take 8 bits: errors hurt most there. A row that is no whole number of blocks is stored in 16 bits.
    """
    if len(shape) == 1 or name == "pos_embed.weight":
        return "F32"
    if kind in ("f32", "f16"):
        return kind.upper()
    if shape[1] % 32:
        return "F16"
    return "Q8_0" if name in ("embed.weight", "unembed.weight") else kind.upper()


def save_gguf(path: Path | str, config: ModelConfig, read: Callable[[str, str], np.ndarray], tokenizer: Tokenizer,
              formats: Mapping[str, str], *, file_type: int, name: str = "", prompt: str | None = None) -> None:
    """Write a .gguf file; `formats` names each weight's block format, and `read(name, format)` gives its bytes.

    `read` returns uint8 (out, bytes of a row), rows in petit's order.
    Raises: ConfigError or UsageError if GGUF cannot say the shape or the tokenizer; ShapeError if `read` returns too
    much or too little.
    """
    check_rows(tokenizer, config.n_vocab)
    special = {"bos": tokenizer.bos_id, "eos": tokenizer.eos_id, **tokenizer.other_specials}
    metadata: dict[str, Any] = {
        **config_to_gguf(config), "general.name": name or "petit", "general.file_type": file_type,
        "general.quantization_version": 2,
        **write_vocabulary(tokenizer.backend, config.n_vocab, {k: id for k, id in special.items() if id is not None})}
    if tokenizer.chat_template:
        metadata["tokenizer.chat_template"] = tokenizer.chat_template
    if prompt:
        metadata["petit.prompt"] = prompt
    parts = _parts(config)
    specs = [TensorSpec(stored, sources[0][1].shape, formats[sources[0][0]]) for stored, sources in parts.items()]
    factors = rope_factors(config)
    if factors is not None:
        specs.append(TensorSpec("rope_freqs.weight", (len(factors),), "F32"))

    def data(stored: str) -> np.ndarray:
        if stored not in parts:
            return np.array(factors, np.float32)
        rows = [_in_file_order(read(name, formats[name]), source) for name, source in parts[stored]]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    write_gguf(path, metadata, specs, data)


def _parts(config: ModelConfig) -> dict[str, list[tuple[str, Source]]]:
    """Return which of petit's weights each stored tensor is made of, in their order in it."""
    parts: dict[str, list[tuple[str, Source]]] = {}
    for name, source in gguf_names(config).items():
        parts.setdefault(source.name, []).append((name, source))
    if repeats_embedding(config):
        parts["output.weight"] = parts["token_embd.weight"]
    return parts


def _in_file_order(rows: np.ndarray, source: Source) -> np.ndarray:
    """Reorder rotary rows of each head from halves (i, i + K/2) to neighbours (2i, 2i + 1), where the file wants it."""
    heads = source.interleaved_heads
    if not heads:
        return rows
    return rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def exact_floats(values: np.ndarray, name: str, format: str) -> np.ndarray:
    """Return float32 values as F32 or F16 bytes, uint8 (out, bytes of a row).

    Raises: UsageError for a value beyond float16.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values.astype("<f4" if format == "F32" else "<f2"))
    if not np.array_equal(np.isfinite(stored), np.isfinite(values)):
        raise UsageError(f"weight {name!r} has the value {np.abs(values).max():.4g}, beyond the 65504 of float16; "
                         "choose type f32")
    return stored.reshape(len(stored), -1).view(np.uint8)
