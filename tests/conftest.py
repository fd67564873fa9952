"""What every test may use: the folder of shared data, and one thread for the libraries that would take more."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests share the machine with each other
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path

import pytest
from hypothesis import settings

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
