"""A trace takes its own bytes, and what one tap of one piece of the text takes besides; reductions take theirs."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from petitlm.config import ModelConfig
from petitlm.engine.kernels import available_isas, make_kernels
from petitlm.engine.runner import EngineRunner
from petitlm.engine.runs import run_text, trace_bytes
from petitlm.engine.trace import Keep
from tests_shapes import packed, random_weights

CONFIG = ModelConfig(n_layers=12, d_model=64, n_heads=4, d_head=16, d_mlp=128, n_vocab=101, n_ctx=700, n_rotary=8,
                     unembed_bias=True)
IDS = np.random.default_rng(0).integers(0, 101, 600).tolist()
pytestmark = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: twins copy as they like")


@pytest.fixture(scope="module")
def runner() -> EngineRunner:
    kernels = make_kernels(1)
    return EngineRunner(CONFIG, packed(CONFIG, random_weights(CONFIG), 4, kernels), kernels, "f16")


def peak(runner: EngineRunner, taps: list[Any]) -> tuple[int, int]:
    """Return the most bytes of arrays that a run had at one time, and the bytes of its trace."""
    run_text(runner, IDS, taps, wanted="last")  # what is made once is made now
    tracemalloc.start()
    try:
        trace = run_text(runner, IDS, taps, wanted="last")
        return tracemalloc.get_traced_memory()[1], trace.n_bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("taps", [["resid_post"], ["pattern"], [("pattern", 3), "z"], [Keep("post", top=4)],
                                  [Keep("resid_post", at=-1), Keep("pattern", head=1, at=[3, 599])]], ids=str)
def test_a_trace_takes_its_own_bytes(runner: EngineRunner, taps: list[Any]) -> None:
    plain, _ = peak(runner, [])
    traced, size = peak(runner, taps)
    assert size == trace_bytes(CONFIG, taps, len(IDS))
    piece = 4 * 256 * max(CONFIG.n_heads * len(IDS), CONFIG.d_mlp * 3)  # one tap's values of 256 tokens, reduced
    whole = size // CONFIG.n_layers  # one tap's values are put together at a time
    assert traced - plain <= size + 2 * piece + whole + 300_000
    if size > 5_000_000:
        assert traced - plain <= 1.35 * size, "nothing large is held twice"
