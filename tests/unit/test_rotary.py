"""The rotary tables: the right numbers, the same on every machine, and no more of them than are used."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from petitlm.config import MAX_CTX, ModelConfig
from petitlm.engine.kernels import make_kernels
from petitlm.engine.runner import EngineRunner
from petitlm.rotary import RotaryTables, cos_sin, rotary_tables
from tests_shapes import SHAPES, packed, random_weights

CONFIG = ModelConfig(n_layers=1, d_model=8, n_heads=1, d_head=8, d_mlp=8, n_vocab=4, n_ctx=2048, n_rotary=8)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an 80-bit float to compare with")
def test_cosines_and_sines_are_correctly_rounded() -> None:
    angles = np.concatenate([np.linspace(-10, 10, 2001), np.random.default_rng(0).uniform(0, 131072, 20000),
                             np.arange(4) * np.pi / 4, [0.0, 1e6]]).astype(np.float32)
    cos, sin = cos_sin(angles)
    np.testing.assert_array_equal(cos, np.cos(angles.astype(np.longdouble)).astype(np.float32))
    np.testing.assert_array_equal(sin, np.sin(angles.astype(np.longdouble)).astype(np.float32))


def test_tables_have_the_same_bits_everywhere() -> None:
    """By their hash; NumPy's own cosine has other bits where there is no fused multiply-add."""
    bits = b"".join(table.tobytes() for table in rotary_tables(CONFIG))
    assert hashlib.sha256(bits).hexdigest() == "52f00b6d2a5c298bd4f970af6a2ec4f8aecb7b993f9a4fc6e86abd7942ce86d7"


def test_rows_are_ready_when_a_session_needs_them() -> None:
    tables, (cos, sin) = RotaryTables(CONFIG), rotary_tables(CONFIG)
    for length in (3, 2, 17, 5000):
        tables.reach(length)
        np.testing.assert_array_equal(tables.cos[:length], cos[:length])
        np.testing.assert_array_equal(tables.sin[:length], sin[:length])


def test_a_huge_context_costs_nothing_that_is_not_used() -> None:
    """The longest context that a file can claim: its tables would take 1 GiB."""
    config, kernels = SHAPES["phi"].with_(n_ctx=MAX_CTX, n_rotary=16), make_kernels(1)
    runner = EngineRunner(config, packed(config, random_weights(config), 32, kernels), kernels, cache="f32")
    zero = np.zeros(1, np.int32)
    assert np.isfinite(runner.session(1, 20).step(zero, zero, zero)).all()


def test_infinite_angles_give_no_numbers_and_no_warning() -> None:
    cos, sin = cos_sin(np.array([np.inf, 1e38, np.nan], np.float32))
    assert np.isnan(cos[0])
    assert np.isnan(sin[2])
