"""llama.cpp as a judge: its Python bindings, where they are installed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


def llama_logits(path: Path, ids: list[int], text: str) -> tuple[np.ndarray, list[int]]:
    """Return llama.cpp's logits after each of `ids`, (T, V), and the ids that it gives `text`."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs llama-cpp-python; `make test-all` installs it")
    model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False,
                            n_threads=min(2, os.cpu_count() or 1))
    try:
        model.eval(ids)
        return np.array(model.scores[: len(ids)]), model.tokenize(text.encode(), add_bos=True, special=False)
    finally:
        model.close()
