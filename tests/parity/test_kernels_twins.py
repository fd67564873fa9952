"""Every kernel on every instruction set = its NumPy twin; and all instruction sets give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.engine.cache import Cache, CacheKind, LayerCache
from petitlm.engine.formats import FORMATS, Packed, packed_bytes
from petitlm.engine.kernels import ACTIVATIONS, Kernels, NativeKernels, available_isas, make_kernels
from petitlm.engine.reference import ReferenceKernels, dequantize, quantize_activations, unpack
from tests_shapes import PHI2_TWO_LAYERS

# float32 sums of up to a few hundred terms of size one against float64 ones
CLOSE = dict(rtol=2e-5, atol=2e-5)
TWIN = ReferenceKernels()
ISAS = available_isas() or [pytest.param("", marks=pytest.mark.skip(reason="built without a C++ compiler"))]


@pytest.fixture(params=ISAS)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return make_kernels(2, request.param)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def same_on_all(kernels: Kernels, run) -> np.ndarray:
    """Run on these kernels and on the plain ones; insist on equal bits."""
    ours, plain = run(kernels), run(NativeKernels(1, "plain"))
    np.testing.assert_array_equal(ours.view(np.uint8), plain.view(np.uint8))
    return ours


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("rows", "columns"),
                         [(1, 1), (15, 31), (16, 32), (17, 33), (33, 64), (40, 65), (64, 200), (7, 640)])
def test_matmul_of_every_length(kernels: Kernels, format: str, rows: int, columns: int) -> None:
    w = rng().normal(size=(rows, columns)).astype(np.float32)
    matrix = Packed(format, rows, columns, kernels.pack(w, format)[0])
    bias = rng().normal(size=rows).astype(np.float32)
    for n in [1, 2, 3, 4, 5, 7, 8, 10, 11, 21]:
        x = rng().normal(size=(n, columns)).astype(np.float32)
        for b in (bias, None):
            y = same_on_all(kernels, lambda k, b=b, x=x: k.matmul(matrix, x, b))
            np.testing.assert_allclose(y, TWIN.matmul(matrix, x, b), **CLOSE)


@pytest.mark.parametrize("format", FORMATS)
def test_packing_is_the_twins_packing(kernels: Kernels, format: str) -> None:
    w = rng().normal(0, 0.02, size=(50, 130)).astype(np.float32)
    data, error = kernels.pack(w, format)
    assert data.nbytes == packed_bytes(format, 50, 130)
    twin, twin_error = TWIN.pack(w, format)
    assert error == pytest.approx(twin_error, rel=1e-3)
    stored, twin_stored = (dequantize(Packed(format, 50, 130, d)) for d in (data, twin))
    # A tie in rounding may fall the other way; it costs one step of one weight.
    assert np.mean(stored != twin_stored) < 0.01
    np.testing.assert_array_equal(data, NativeKernels(1, "plain").pack(w, format)[0])


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (17, 33), (16, 128), (50, 130), (33, 640)])
def test_packing_by_importance_is_the_twins_packing(kernels: Kernels, rows: int, columns: int) -> None:
    w = rng().normal(0, 0.02, size=(rows, columns)).astype(np.float32)
    w[rows // 2] = 0
    for h in (None, rng().lognormal(0, 1.5, columns).astype(np.float32)):
        data, error = kernels.pack(w, "q4", h)
        twin, twin_error = TWIN.pack(w, "q4", h)
        assert error == pytest.approx(twin_error, rel=1e-3, abs=1e-6)
        stored, twin_stored = (dequantize(Packed("q4", rows, columns, d)) for d in (data, twin))
        # Of two scales that come out even but for rounding, either may win: one superblock here, or one in hundreds.
        differ = (stored != twin_stored).reshape(rows, -1)
        assert differ.any(1).sum() <= 1 or differ.mean() < 0.01
        np.testing.assert_array_equal(data, NativeKernels(1, "plain").pack(w, "q4", h)[0])


def test_formats_cost_what_they_should() -> None:
    """Relative errors on normal weights: half a step of the format, measured once and kept."""
    w = rng().normal(size=(256, 512)).astype(np.float32)
    errors = {format: TWIN.pack(w, format)[1] for format in FORMATS}
    assert errors["f32"] == 0
    assert errors["f16"] < 3e-4
    assert errors["q8"] < 0.0056
    assert errors["q4_0"] < 0.082  # 0.097 with the plainest choice of scale: bench/formats.py
    assert errors["q4"] < 0.0747


@pytest.mark.parametrize("format", FORMATS)
def test_embed_takes_rows(kernels: Kernels, format: str) -> None:
    w = rng().normal(size=(37, 90)).astype(np.float32)
    matrix = Packed(format, 37, 90, kernels.pack(w, format)[0])
    ids = np.array([0, 36, 16, 15, 16], np.int32)
    rows = same_on_all(kernels, lambda k: k.embed(matrix, ids))
    np.testing.assert_array_equal(rows, TWIN.embed(matrix, ids))


def test_zero_and_extreme_weights_and_activations(kernels: Kernels) -> None:
    w = np.zeros((16, 64), np.float32)
    w[1, :32] = 1e-30  # too small for a fp16 scale
    w[2, 40] = 1000.0
    for format in ("q4", "q8"):
        matrix = Packed(format, 16, 64, kernels.pack(w, format)[0])
        for x in (np.zeros((1, 64), np.float32), np.full((1, 64), -1e4, np.float32)):
            y = same_on_all(kernels, lambda k, w=matrix, x=x: k.matmul(w, x, None))
            assert np.isfinite(y).all()
            np.testing.assert_allclose(y, TWIN.matmul(matrix, x, None), rtol=1e-5)


def test_activations_saturate_nothing(kernels: Kernels) -> None:
    """Largest values of both signs everywhere: byte products must not saturate on any instruction set."""
    for sign_w in (1, -1):
        for sign_x in (1, -1):
            w, x = np.full((16, 64), sign_w, np.float32), np.full((1, 64), sign_x, np.float32)
            for format in ("q4", "q8"):
                matrix = Packed(format, 16, 64, kernels.pack(w, format)[0])
                np.testing.assert_allclose(kernels.matmul(matrix, x, None), 64.0 * sign_w * sign_x, rtol=2e-3)


@pytest.mark.parametrize("d", [1, 15, 16, 17, 31, 48, 90, 256])
def test_norms(kernels: Kernels, d: int) -> None:
    x, w, b = (rng().normal(2, 3, size).astype(np.float32) for size in ((5, d), d, d))
    y = same_on_all(kernels, lambda k: k.layer_norm(x, w, b, 1e-5))
    np.testing.assert_allclose(y, TWIN.layer_norm(x, w, b, 1e-5), rtol=1e-4, atol=1e-4)
    y = same_on_all(kernels, lambda k: k.rms_norm(x, w, 1e-6))
    np.testing.assert_allclose(y, TWIN.rms_norm(x, w, 1e-6), **CLOSE)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations(kernels: Kernels, kind: str) -> None:
    x = np.concatenate([np.linspace(-100, 100, 2001), np.linspace(-1, 1, 77), [0.0, -0.0, 1e-30]]).astype(np.float32)
    x = x.reshape(1, -1)
    y = same_on_all(kernels, lambda k: k.activate(kind, x))
    np.testing.assert_allclose(y, TWIN.activate(kind, x), rtol=2e-6, atol=1e-6)


def test_rotate(kernels: Kernels) -> None:
    x, angles = rng().normal(size=(6, 3, 10)).astype(np.float32), rng().normal(size=(40, 2)).astype(np.float32)
    positions = np.array([0, 39, 7, 7, 8, 20], np.int32)
    y = same_on_all(kernels, lambda k: k.rotate(x, np.cos(angles), np.sin(angles), positions))
    np.testing.assert_allclose(y, TWIN.rotate(x, np.cos(angles), np.sin(angles), positions), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(y[..., 4:], x[..., 4:])


def filled(d_head: int, kv_heads: int, kind: CacheKind) -> tuple[LayerCache, np.ndarray, np.ndarray]:
    """Two slots of 37 and 18 tokens, written by the twin; and the tokens' positions and slots."""
    config = PHI2_TWO_LAYERS.with_(n_layers=1, n_heads=kv_heads, n_kv_heads=kv_heads, d_head=d_head, n_rotary=2)
    cache = Cache(config, 2, 48, kind).layers[0]
    positions = np.concatenate([np.arange(37), np.arange(18)]).astype(np.int32)
    slots = np.repeat(np.array([0, 1], np.int32), [37, 18])
    k, v = (rng().normal(size=(55, kv_heads, d_head)).astype(np.float32) for _ in range(2))
    TWIN.store(cache, positions, slots, k, v)
    return cache, positions, slots


@pytest.mark.parametrize("kind", ["f32", "f16", "int8"])
@pytest.mark.parametrize(("d_head", "heads", "kv_heads"), [(2, 1, 1), (10, 3, 3), (16, 4, 2), (20, 6, 1), (80, 2, 2)])
def test_attention(kernels: Kernels, kind: CacheKind, d_head: int, heads: int, kv_heads: int) -> None:
    cache, positions, slots = filled(d_head, kv_heads, kind)
    q, scale = rng().normal(size=(55, heads, d_head)).astype(np.float32), d_head**-0.5
    z = same_on_all(kernels, lambda k: k.attend(cache, positions, slots, q, scale))
    np.testing.assert_allclose(z, TWIN.attend(cache, positions, slots, q, scale), **CLOSE)
    scores = same_on_all(kernels, lambda k: k.scores(cache, positions, slots, q, scale))
    np.testing.assert_allclose(scores, TWIN.scores(cache, positions, slots, q, scale), **CLOSE)
    pattern = kernels.softmax(positions, slots, scores)
    np.testing.assert_allclose(pattern.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(kernels.mix(cache, positions, slots, pattern), z)  # in parts = fused, to the bit


@pytest.mark.parametrize("kind", ["f32", "f16", "int8"])
def test_storing_keys_and_values(kernels: Kernels, kind: CacheKind) -> None:
    cache, positions, slots = filled(10, 3, kind)
    k, v = (rng().normal(0, 1e5, size=(55, 3, 10)).astype(np.float32) for _ in range(2))  # some beyond fp16
    copy = LayerCache(*(part.copy() for part in cache.parts(slice(None), 0, 48)))
    kernels.store(cache, positions, slots, k, v)
    TWIN.store(copy, positions, slots, k, v)
    for ours, twin in zip(cache.parts(slice(None), 0, 48), copy.parts(slice(None), 0, 48), strict=True):
        np.testing.assert_array_equal(ours, twin)


def test_half_precision_conversion_on_every_value() -> None:
    """All 65,536 halves, through the plain kernels' own conversion, against NumPy's."""
    with np.errstate(invalid="ignore"):  # some are signalling NaNs
        every = np.arange(65536, dtype=np.uint32).astype(np.uint16).view(np.float16).astype(np.float32)
    finite = every[np.isfinite(every)]
    w = np.resize(finite, (16, len(finite) // 16)).astype(np.float32)
    for isa in available_isas():
        data, error = NativeKernels(1, isa).pack(w, "f16")
        assert error == 0
        np.testing.assert_array_equal(unpack(Packed("f16", *w.shape, data))[0], w)


def test_quantized_activations_are_within_half_a_step() -> None:
    x = rng().normal(size=(4, 70)).astype(np.float32)
    q, scales = quantize_activations(x, 128)
    assert np.abs(q).max() == 127
    back = (q.reshape(4, 4, 32) * scales[..., None]).reshape(4, 128)[:, :70]
    assert (np.abs(back - x) <= np.repeat(scales, 32, axis=1)[:, :70] * 0.5001).all()


NO_NUMBERS = np.array([np.nan, -np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0, 65520, 1e-8], np.float32)


def same_but_for_nans(kernels: Kernels, run) -> None:
    """Insist on equal bits; which NaN comes out of an operation without a result is the processor's choice."""
    ours, plain = run(kernels), run(NativeKernels(1, "plain"))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(plain))
    np.testing.assert_array_equal(np.nan_to_num(ours).view(np.uint32), np.nan_to_num(plain).view(np.uint32))


@pytest.mark.parametrize("format", FORMATS)
def test_values_that_are_no_numbers_go_the_same_way_everywhere(kernels: Kernels, format: str) -> None:
    w = rng().normal(size=(20, 300)).astype(np.float32)
    matrix = Packed(format, 20, 300, NativeKernels(1, "plain").pack(w, format)[0])
    x = rng().normal(size=(len(NO_NUMBERS), 300)).astype(np.float32)
    for i, value in enumerate(NO_NUMBERS):
        x[i, 7 * i + 3] = value
    same_but_for_nans(kernels, lambda k: k.matmul(matrix, x, None))
    same_but_for_nans(kernels, lambda k: k.matmul(matrix, x[:1], None))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_of_what_is_no_number(kernels: Kernels, kind: str) -> None:
    same_but_for_nans(kernels, lambda k: k.activate(kind, np.resize(NO_NUMBERS, (1, 37))))


def test_every_half_that_is_no_number_converts_alike(kernels: Kernels) -> None:
    """By the kernels that read and write halves: embedding rows of fp16 weights, and packing into fp16."""
    halves = np.arange(0x7C01, 0x8000, dtype=np.uint16)
    halves = np.resize(np.concatenate([halves, halves | 0x8000]), (16, 160))
    matrix = Packed("f16", 16, 160, np.ascontiguousarray(halves.T).reshape(-1).view(np.uint8))
    floats = same_on_all(kernels, lambda k: k.embed(matrix, np.arange(16, dtype=np.int32)))
    same_on_all(kernels, lambda k: k.pack(floats, "f16")[0])
