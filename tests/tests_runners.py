"""Every shape on both sets of layers: small random models to look into, made once for all tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from petitlm.engine.cache import CacheKind
from petitlm.engine.kernels import make_kernels
from petitlm.engine.reference import dequantize
from petitlm.engine.runner import EngineRunner
from petitlm.engine.runs import Runner
from tests_shapes import SHAPES, packed, random_weights

ALL_BITS = (4, 8, 16, 32)
CACHES: dict[int, CacheKind] = {4: "int8", 8: "f16", 16: "f16", 32: "f32"}  # each kind with some format
ENGINES = [(name, bits) for name in SHAPES for bits in ALL_BITS]
EVERY = [*ENGINES, *((name, "torch") for name in SHAPES)]
"""Every shape in every format on the engine, and on torch layers."""


@cache
def engine(name: str, bits: int, threads: int = 1, kind: CacheKind | None = None) -> EngineRunner:
    """Return a random model of a shape on the engine's kernels."""
    kernels = make_kernels(threads)
    weights = packed(SHAPES[name], random_weights(SHAPES[name]), bits, kernels)
    return EngineRunner(SHAPES[name], weights, kernels, kind or CACHES[bits])


@cache
def torch_layers(name: str, bits: int | None = None, double: bool = False) -> Runner:
    """Return the same model on torch layers; `bits` takes the numbers that the engine's weights stand for."""
    torch = pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    from petitlm.model import Decoder, TorchRunner

    config = SHAPES[name]
    weights = random_weights(config)
    if bits is not None:
        weights = {k: w if isinstance(w, np.ndarray) else dequantize(w) for k, w in engine(name, bits).weights.items()}
    decoder = Decoder(config)
    decoder.load_state_dict({k: torch.from_numpy(np.array(w)) for k, w in weights.items()}, strict=False)
    return TorchRunner((decoder.double() if double else decoder).eval())


def runner(name: str, layers: int | str) -> Runner:
    """Return a shape's model on torch layers, or on the engine in so many bits."""
    return torch_layers(name) if layers == "torch" else engine(name, int(layers))


def ids_of(name: str, n: int = 19, seed: int = 0) -> list[int]:
    """Return random tokens of a shape."""
    return np.random.default_rng(seed).integers(0, SHAPES[name].n_vocab, n).tolist()


def assert_same_bits(ours: Sequence[float] | np.ndarray, expected: Sequence[float] | np.ndarray) -> None:
    """Equal to the last bit; zeros may differ in their sign, which no sum sees."""
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected))
