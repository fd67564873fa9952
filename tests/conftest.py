"""What every test may use: the folder of shared data, and one thread for the libraries that would take more."""

from __future__ import annotations

import json
import os
import shutil

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests share the machine with each other
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from petitlm.checkpoint import save_hf
from petitlm.config import ModelConfig
from petitlm.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run: a test that fails here fails for everyone.
settings.register_profile("petit", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("petit")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout (phi-2's tokenizer, published figures); skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {folder}; put it beside the checkout to run this test")
    return folder


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    """One id for each byte, in byte order, and an end token after them."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    letters = pre_tokenizers.ByteLevel.alphabet()
    backend = tokenizers.Tokenizer(models.BPE({letter: id for id, letter in enumerate(sorted(letters))}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|endoftext|>"])
    return Tokenizer(backend, eos_id=256, bos_id=256)


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    """A phi of two layers, with rows that no token uses (257 to 263)."""
    return ModelConfig(n_layers=2, d_model=64, n_heads=4, d_head=16, d_mlp=128, n_vocab=264, n_ctx=256, n_rotary=8,
                       unembed_bias=True, bos_id=256, eos_id=256)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_config: ModelConfig, byte_tokenizer: Tokenizer) -> Path:
    """A checkpoint folder of `tiny_config` with random weights and a card; read it, never write into it."""
    rng, shapes = np.random.default_rng(7), tiny_config.tensor_shapes()

    def read(name: str) -> np.ndarray:
        is_gain = name.endswith("weight") and ".ln" in f".{name}"
        return (rng.normal(0, 0.1, shapes[name]) + is_gain).astype(np.float32)

    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-phi"
    save_hf(folder, tiny_config, read, byte_tokenizer, dtype="float32", card="# Tiny\n\nRandom weights, for tests.\n")
    return folder


@pytest.fixture(scope="session")
def long_folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The tiny checkpoint with a context of 100,000 tokens: for long prompts, and answers long enough to be stopped."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-long"
    shutil.copytree(tiny_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 100_000}))
    return folder
