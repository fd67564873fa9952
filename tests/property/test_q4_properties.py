"""q4: every code survives, weights on the grid survive packing, and no search makes a group worse than zero."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from petitlm.engine import q4
from petitlm.engine.formats import SUBSCALES, Packed, packed_bytes
from petitlm.engine.kernels import make_kernels
from petitlm.engine.reference import dequantize

KERNELS = make_kernels(1)
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 600))


@given(size=SIZES, seed=st.integers(0, 2**32 - 1))
def test_bytes_and_codes_are_one_another(size: tuple[int, int], seed: int) -> None:
    (rows, columns), rng = size, np.random.default_rng(seed)
    groups = -(-columns // 16)
    parts = (rng.normal(size=(rows, -(-columns // 256))).astype(np.float16),
             rng.integers(0, 16, (rows, groups)).astype(np.uint8),
             rng.integers(0, 16, (rows, 16 * groups)).astype(np.uint8))
    data = q4.lay_out(*parts)
    assert data.nbytes == packed_bytes("q4", rows, columns)
    for before, after in zip(parts, q4.take_apart(Packed("q4", rows, columns, data)), strict=True):
        np.testing.assert_array_equal(after, before)


@given(size=SIZES, seed=st.integers(0, 2**32 - 1), exponent=st.integers(-12, 6))
def test_weights_on_the_grid_come_back(size: tuple[int, int], seed: int, exponent: int) -> None:
    """Each group reaches -8, and each superblock has a group of the largest sub-scale, so that the grid can be read."""
    (rows, columns), rng = size, np.random.default_rng(seed)
    groups = -(-columns // 16)
    values = rng.integers(-7, 8, (rows, groups * 16))
    values[:, ::16] = -8
    steps = rng.choice(SUBSCALES, (rows, groups)) * rng.choice([-1, 1], (rows, groups))
    steps[:, ::16] = max(SUBSCALES)
    w = (values * np.repeat(steps, 16, axis=1) * 2.0**exponent).astype(np.float32)[:, :columns]
    data, error = KERNELS.pack(np.ascontiguousarray(w), "q4")
    stored = dequantize(Packed("q4", rows, columns, data))
    if columns % 256 == 0 or columns % 256 >= 64:
        np.testing.assert_array_equal(stored, w)
        assert error == 0
    else:  # a few weights lie on many grids, and the one that is found may need a scale between two fp16 numbers
        np.testing.assert_allclose(stored, w, rtol=2**-11)


@given(size=SIZES, seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 4))
def test_packing_is_better_than_nothing_and_by_importance_best_where_it_counts(
        size: tuple[int, int], seed: int, spread: float) -> None:
    (rows, columns), rng = size, np.random.default_rng(seed)
    w = (rng.normal(size=(rows, columns)) * rng.lognormal(0, spread / 2, columns)).astype(np.float32)
    h = rng.lognormal(0, spread, columns).astype(np.float32)
    stored = dequantize(Packed("q4", rows, columns, KERNELS.pack(w, "q4", h)[0]))
    blocks = range(0, columns, 256)
    for begin in blocks:  # scales are chosen for each superblock, so each is no worse than zero
        part = slice(begin, begin + 256)
        lost, whole = (h[part] * (w - stored)[:, part] ** 2).sum(1), (h[part] * w[:, part] ** 2).sum(1)
        assert (lost <= whole * 1.001).all()
