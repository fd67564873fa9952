"""Small random models on either set of layers, for the tests of looking inside."""

from __future__ import annotations

from petitlm.config import ModelConfig
from petitlm.engine.cache import cache_for
from petitlm.engine.kernels import make_kernels
from petitlm.engine.runner import EngineRunner
from petitlm.look.gradients.decoders import decoder_of
from petitlm.look.zoo.made import Made, words_tokenizer
from petitlm.model import TorchRunner
from tests_shapes import SHAPES, packed, random_weights


def random_model(config: ModelConfig | str, bits: int = 32, layers: str = "engine", seed: int = 0) -> Made:
    """Return a model of a shape (or of a name in SHAPES) whose words are w0, w1, ..."""
    config = SHAPES[config] if isinstance(config, str) else config
    kernels = make_kernels(1)
    runner = EngineRunner(config, packed(config, random_weights(config, seed), bits, kernels), kernels, cache_for(bits))
    words = words_tokenizer([f"w{i}" for i in range(config.n_vocab)])
    runner_ = runner if layers == "engine" else TorchRunner(decoder_of(runner))
    return Made("random", runner_, words, bits, cache_for(bits), config.n_ctx)
