"""Prompts longer than the engine's chunk: run in several passes, of which only the last gives logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.engine.runner import CHUNK


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
@pytest.mark.parametrize("length", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_the_first_token_after_a_long_prompt_is_that_of_its_logits(long_folder: Path, bits: int, length: int) -> None:
    model = petitlm.load(long_folder, bits=bits, threads=1)
    ids = np.random.default_rng(length).integers(0, 256, length).tolist()
    logits = np.where(model.forbidden, -np.inf, model.logits(ids)[-1])
    assert model.generate(ids, max_tokens=1).ids[0] == int(logits.argmax())
