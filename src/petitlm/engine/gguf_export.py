"""GGUF files of checkpoints and of packed folders."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from petitlm.checkpoint import TYPES, Checkpoint, gguf_format, save_gguf
from petitlm.engine.kernels import make_kernels
from petitlm.engine.packing import PackedModel
from petitlm.engine.repacking import Bytes, blocks_of, encoded, stored_format
from petitlm.errors import UsageError

Progress = Callable[[int, int, str], None]


def export_gguf(source: Checkpoint | PackedModel, path: Path | str, kind: str | None, threads: int = 1,
                progress: Progress | None = None) -> dict[str, Any]:
    """Write a .gguf file that llama.cpp loads, one weight in memory at a time. Return a report.

    `kind` is f32, f16, q8_0 or q4_0; None is f16 for a checkpoint. A packed folder is written without loss in the
    formats that hold its numbers, so it has no choice. The report has `type`, `bytes`, `bits_per_weight`, `seconds`.
    Raises: UsageError or ConfigError, saying what GGUF cannot represent; nothing is left behind on failure.
    """
    start, shapes, done = time.perf_counter(), source.config.tensor_shapes(), 0
    if isinstance(source, PackedModel):
        formats, kind, fetch, tokenizer = *_packed(source, kind), source.tokenizer
    else:
        kind = kind or "f16"
        if kind not in TYPES:
            raise UsageError(f"type {kind!r} cannot be written as GGUF; choose one of {', '.join(TYPES)}")
        formats = {name: gguf_format(name, shape, kind) for name, shape in shapes.items()}
        fetch, tokenizer = _fetch(source, threads), source.tokenizer()

    def read(name: str, format: str) -> Bytes:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, len(shapes)), len(shapes), name)
        return fetch(name, format)

    save_gguf(path, source.config, read, tokenizer, formats, file_type=TYPES[kind], prompt=source.prompt)
    size, n_params = Path(path).stat().st_size, sum(map(math.prod, shapes.values()))
    return {"type": kind, "bytes": size, "bits_per_weight": 8 * size / n_params,
            "seconds": time.perf_counter() - start}


def _fetch(source: Checkpoint, threads: int) -> Callable[[str, str], Bytes]:
    kernels = make_kernels(threads)

    def fetch(name: str, format: str) -> Bytes:
        stored = encoded(source, name, format, kernels)
        source.release()
        return stored

    return fetch


def _packed(source: PackedModel, kind: str | None) -> tuple[dict[str, str], str, Callable[[str, str], Bytes]]:
    """Return the formats that hold a packed folder's numbers, the file's type, and how to get its bytes."""
    formats = {name: stored_format(w) for name, w in source.weights.items()}
    own = formats["blocks.0.attn.q.weight"].lower()
    if kind not in (None, own):
        raise UsageError(f"packed weights are rounded already and would be rounded again to type {kind}; these go into "
                         f"GGUF without loss as {own}: leave the type out, or start from the original checkpoint")
    for name, shape in source.config.tensor_shapes().items():
        if formats[name] in ("Q8_0", "Q4_0") and shape[1] % 32:
            raise UsageError(f"weight {name!r} has {shape[1]} columns, and GGUF has whole blocks of 32 in a row; start "
                             "from the original checkpoint")
    return formats, own, lambda name, _: blocks_of(source.weights[name])
