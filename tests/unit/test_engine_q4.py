"""The q4 format, byte by byte: a decoder written from the description of the layout alone, weight after weight."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from petitlm.engine import q4
from petitlm.engine.formats import Packed, packed_bytes
from petitlm.engine.reference import ReferenceKernels, dequantize, quantize_activations
from petitlm.engine.reference_pack import pack, quantize4

TABLE = (4, 6, 7, 8, 9, 10, 12, 14)
SHAPES = [(1, 1), (16, 16), (17, 33), (5, 128), (3, 129), (40, 260), (2, 512), (16, 640)]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def weight_of(data: bytes, columns: int, row: int, column: int) -> float:
    """Return one weight of a packed matrix."""
    header = -(-(-(-columns // 256) * 32) // 64) * 64
    body = -(-columns // 128) * 64 + -(-columns // 16) * 128
    panel, r = row // 16 * (header + body), row % 16
    (d,) = struct.unpack_from("<e", data, panel + column // 256 * 32 + 2 * r)
    run = panel + header + column // 128 * (64 + 8 * 128)
    group = column % 128 // 16
    (word,) = struct.unpack_from("<I", data, run + 4 * r)
    code = word >> 4 * group & 15
    q, within = column % 16 // 8, column % 8
    byte = data[run + 64 + group * 128 + q * 64 + 4 * r + within % 4]
    value = (byte >> 4 if within >= 4 else byte & 15) - 8
    return d * (-1 if code & 8 else 1) * TABLE[code & 7] * value


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_every_weight_lies_where_the_layout_says(rows: int, columns: int) -> None:
    data = pack(rng().normal(0, 0.02, (rows, columns)).astype(np.float32), "q4")
    assert len(data) == packed_bytes("q4", rows, columns)
    expected = [[weight_of(data.tobytes(), columns, r, c) for c in range(columns)] for r in range(rows)]
    np.testing.assert_array_equal(dequantize(Packed("q4", rows, columns, data)), np.array(expected, np.float32))


def test_sixteen_columns_cost_what_the_layout_says() -> None:
    assert packed_bytes("q4", 16, 2560) * 8 / (16 * 2560) == 4.3125
    assert packed_bytes("q4", 1, 1) == 64 + 64 + 128


def test_what_is_missing_is_stored_as_zero() -> None:
    data = pack(np.ones((3, 20), np.float32), "q4")
    assert [weight_of(data.tobytes(), 32, r, c) for r, c in ((0, 20), (2, 31), (3, 0), (15, 19))] == [0.0] * 4
    lines = data[64:128].view("<u4")
    assert (lines[:3] & 0xFF != 0).all() and (lines >> 8 == 0).all() and (lines[3:] == 0).all()


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_any_codes_can_be_stored(rows: int, columns: int) -> None:
    """Every code of every field, not only those that the search chooses."""
    groups = -(-columns // 16)
    d = rng().uniform(0.01, 2, (rows, -(-columns // 256))).astype(np.float16)
    subscales = rng().integers(0, 16, (rows, groups)).astype(np.uint8)
    codes = rng().integers(0, 16, (rows, groups * 16)).astype(np.uint8)
    data = q4.lay_out(d, subscales, codes)
    for given, back in zip((d, subscales, codes), q4.take_apart(Packed("q4", rows, columns, data)), strict=True):
        np.testing.assert_array_equal(back, given)
    table = np.array(TABLE + tuple(-s for s in TABLE), np.float64)
    column = np.arange(columns)
    expected = d[:, column // 256] * table[subscales[:, column // 16]] * (codes[:, column].astype(float) - 8)
    np.testing.assert_array_equal(dequantize(Packed("q4", rows, columns, data)), expected.astype(np.float32))


def test_a_matrix_on_the_grid_is_kept() -> None:
    """Weights that are whole steps, each group with its extreme at -8, come back as they went in."""
    q = rng().integers(-7, 8, (20, 32, 16))
    q[..., 3] = -8
    steps = np.array(TABLE)[rng().integers(0, 8, (20, 32))] * rng().choice([-1, 1], (20, 32))
    steps[:, ::16] = 14  # the largest step of each superblock says what d is
    w = (np.float32(2**-9) * q * steps[..., None]).astype(np.float32).reshape(20, 512)
    np.testing.assert_array_equal(dequantize(Packed("q4", 20, 512, pack(w, "q4"))), w)


def test_importance_lowers_the_error_that_it_weighs() -> None:
    w = rng().normal(size=(64, 512)).astype(np.float32)
    h = rng().lognormal(0, 1.5, 512).astype(np.float32)

    def lost(importance: np.ndarray | None) -> float:
        stored = dequantize(Packed("q4", 64, 512, pack(w, "q4", importance)))
        return float((h * (w - stored) ** 2).sum())

    assert lost(h) < 0.9 * lost(None)
    assert lost(np.ones(512, np.float32)) == lost(None)


def test_no_importance_at_all_is_no_trouble() -> None:
    """Columns of no importance at all must not make a scale infinite."""
    w, h = rng().normal(size=(16, 256)).astype(np.float32), np.zeros(256, np.float32)
    stored = dequantize(Packed("q4", 16, 256, pack(w, "q4", h)))
    assert np.isfinite(stored).all()


def test_zeros_and_tiny_weights_are_zero() -> None:
    w = np.zeros((16, 256), np.float32)
    w[3, 7] = 1e-30
    assert not dequantize(Packed("q4", 16, 256, pack(w, "q4"))).any()
    d, subscales, codes = quantize4(w, np.ones(256, np.float32))
    assert not d.any() and (codes == 8).all() and not subscales[0].any()


def test_matmul_is_exact_in_integers_under_one_scale_of_activations() -> None:
    """Activations on a grid of 127 steps a superblock lose nothing, so only float sums differ."""
    w, ints = rng().normal(size=(33, 300)).astype(np.float32), rng().integers(-126, 127, (4, 300))
    ints[:, 0] = ints[:, 256] = 127
    x = (ints * np.float32(2**-7)).astype(np.float32)
    matrix = Packed("q4", 33, 300, pack(w, "q4"))
    expected = x.astype(np.float64) @ dequantize(matrix).astype(np.float64).T
    np.testing.assert_allclose(ReferenceKernels().matmul(matrix, x, None), expected, rtol=1e-5, atol=1e-5)
    q, scales = quantize_activations(x, 512, 256)
    np.testing.assert_array_equal(q[:, :300], ints)
    assert scales.shape == (4, 2)
