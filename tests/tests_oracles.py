"""Other tools for looking inside, run by the interpreter of their own environment (`make oracles`)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from petitlm.checkpoint import save_hf
from petitlm.config import ModelConfig
from petitlm.tokenizer import Tokenizer
from tests_shapes import random_weights

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".oracles" / "bin" / "python"
CONFIGS = {
    "phi": ModelConfig(n_layers=3, d_model=60, n_heads=3, d_head=20, d_mlp=77, n_vocab=264, n_ctx=64, n_rotary=10,
                       unembed_bias=True, bos_id=256, eos_id=256),
    "phi, tied": ModelConfig(n_layers=2, d_model=48, n_heads=4, d_head=12, d_mlp=96, n_vocab=264, n_ctx=64, n_rotary=12,
                             unembed_bias=True, tied=True, bos_id=256, eos_id=256),
    "gpt": ModelConfig(n_layers=2, d_model=36, n_heads=3, d_head=12, d_mlp=144, n_vocab=264, n_ctx=64,
                       positions="learned", parallel_block=False, tied=True, bos_id=256, eos_id=256, family="gpt"),
}
"""Tiny models that Hugging Face's layout can say, with random weights."""


def make_folder(folder: Path, name: str, tokenizer: Tokenizer) -> Path:
    """Write one of the tiny models as a checkpoint folder in float32."""
    weights = random_weights(CONFIGS[name], seed=5)
    save_hf(folder, CONFIGS[name], weights.__getitem__, tokenizer, dtype="float32", card=None)
    return folder


def ask(script: str, folder: Path, out: Path, **question: object) -> dict[str, np.ndarray]:
    """Return the arrays that a script beside the tests writes; skips where the environment is not there."""
    if not PYTHON.is_file():
        pytest.skip("needs TransformerLens and nnsight in an environment of their own; `make oracles` makes it")
    done = subprocess.run([PYTHON, ROOT / "tests" / "oracles" / script, folder, out, json.dumps(question)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as arrays:
        return dict(arrays)
