"""Engine = torch in float32; engine in 8 and 4 bits = a float64 twin of the same quantized numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from petitlm.config import ModelConfig
from petitlm.decoder import tap_names
from petitlm.engine.kernels import Kernels, make_kernels
from petitlm.engine.reference import ReferenceKernels
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.engine.trace import Recorder
from tests_shapes import PHI2_TWO_LAYERS, SHAPES, packed, random_weights

ALL = {**SHAPES, "phi-2, two layers": PHI2_TWO_LAYERS}


def ids_of(config: ModelConfig, n: int = 23) -> np.ndarray:
    return as_ints(np.random.default_rng(3).integers(0, config.n_vocab, n))


def traced(runner: object, config: ModelConfig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run a text from position 0 with every tap; return logits and values."""
    ids = ids_of(config, 23 if config.d_model < 1000 else 5)
    positions = as_ints(range(len(ids)))
    recorder = Recorder(config, tap_names(config), [], positions)
    logits = runner.session(1, len(ids)).step(ids, positions, np.zeros_like(ids), None, recorder)
    return logits, recorder.taken()


@pytest.mark.parametrize("name", ALL)
def test_engine_in_float32_is_the_torch_layers_at_every_tap(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    from petitlm.model import Decoder, TorchRunner

    config = ALL[name]
    weights = random_weights(config)
    decoder = Decoder(config)
    decoder.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    expected, torch_taps = traced(TorchRunner(decoder.eval()), config)
    kernels = make_kernels(2)
    logits, taps = traced(EngineRunner(config, packed(config, weights, 32, kernels), kernels, cache="f32"), config)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(logits.argmax(-1), expected.argmax(-1))
    assert list(taps) == list(torch_taps) == tap_names(config)
    for tap, value in taps.items():
        assert value.shape == torch_taps[tap].shape, tap
        np.testing.assert_allclose(value, torch_taps[tap], rtol=1e-4, atol=1e-4, err_msg=tap)


class Shadowed:
    """Kernels that have every call repeated by the float64 twin on the same inputs, and compared.

    Comparing whole runs would compare luck: where an activation lies on the edge between two int8 steps, a
    difference in the last bit of a sum sends it to the other one, and later layers make that larger.
    """

    def __init__(self, kernels: Kernels) -> None:
        self.kernels, self.twin, self.worst = kernels, ReferenceKernels(), dict[str, float]()

    def __getattr__(self, name: str) -> Callable[..., np.ndarray]:
        def both(*args: object) -> np.ndarray:
            ours = getattr(self.kernels, name)(*args)
            if name != "store":  # the kernel has stored already: scores and mixes then read what it wrote
                self.compare(name, ours, getattr(self.twin, name)(*args))
            return ours

        return both

    def compare(self, name: str, ours: np.ndarray, expected: np.ndarray) -> None:
        seen = np.isfinite(expected)  # scores are minus infinity where a token may not look
        np.testing.assert_array_equal(ours[~seen], expected[~seen])
        error = np.abs(ours[seen] - expected[seen]).max() / np.abs(expected[seen]).max()
        self.worst[name] = max(self.worst.get(name, 0.0), float(error))


@pytest.mark.parametrize(("name", "bits"), [(n, b) for n in SHAPES for b in (4, 8, 16, 32)]
                         + [("phi-2, two layers", 4), ("phi-2, two layers", 8)])
def test_every_layer_of_a_run_is_its_float64_twin(name: str, bits: int) -> None:
    """The twin uses the same packed bytes and int8 activations, so rounding of sums is the only difference."""
    config = ALL[name]
    kernels = make_kernels(2)
    shadowed = Shadowed(kernels)
    weights = packed(config, random_weights(config), bits, kernels)
    traced(EngineRunner(config, weights, shadowed, cache="f16" if bits < 32 else "f32"), config)
    assert {"matmul", "embed", "activate", "scores", "softmax", "mix"} <= set(shadowed.worst)
    assert max(shadowed.worst.values()) <= 2e-5, shadowed.worst  # float32 has 6e-8; sums of up to 10,240 terms


def test_attention_survives_what_overflows_half_precision() -> None:
    """phi-2's queries and keys give scores beyond 65,504 in the later layers; float32 sums must carry them."""
    config = SHAPES["phi"].with_(n_layers=1)
    weights = random_weights(config)
    for name in ("q", "k"):
        weights[f"blocks.0.attn.{name}.weight"] *= 400
    kernels = make_kernels(1)
    for bits in (4, 16, 32):
        cache = "f16" if bits < 32 else "f32"
        runner = EngineRunner(config, packed(config, weights, bits, kernels), kernels, cache=cache)
        logits, taps = traced(runner, config)
        scores = taps["blocks.0.attn.hook_attn_scores"]
        assert np.abs(scores[np.isfinite(scores)]).max() > 65504
        assert np.isfinite(logits).all()
