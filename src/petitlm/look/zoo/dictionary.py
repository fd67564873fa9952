"""C6: sparse sums of known directions, the truth that a sparse autoencoder has to find again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.kernels import Floats
from petitlm.look.zoo.made import NO_NORM_EPS, Blueprint, zeros


@dataclass(frozen=True)
class KnownDictionary:
    """Unit directions (n, D) that are each on with one probability, by themselves, at strengths of 0.5 to 1."""

    directions: Floats
    probability: float

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return n sums (n, D) and the strengths that made them (n, features)."""
        shape = (n, len(self.directions))
        on = rng.random(shape) < self.probability
        strengths = np.where(on, rng.uniform(0.5, 1, shape), 0).astype(np.float32)
        return strengths @ self.directions, strengths


def known_dictionary(n_features: int = 32, d_model: int = 20, probability: float = 0.05,
                     seed: int = 0) -> KnownDictionary:
    """Return a dictionary with more directions than dimensions, drawn evenly from the sphere."""
    raw = np.random.default_rng(seed).normal(size=(n_features, d_model))
    return KnownDictionary((raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32), probability)


def best_cosines(learned: NDArray[np.floating], truth: Floats) -> Floats:
    """Return each true direction's largest cosine with a learned one: its mean is the MMCS of Sharkey et al. 2022.

    `learned` is (m, D) and need not be of unit length; a direction of length 0 has cosine 0.
    """
    length = np.linalg.norm(learned, axis=1, keepdims=True)
    unit = np.divide(learned, length, out=np.zeros_like(learned), where=length > 0)
    return np.asarray(truth @ unit.T, np.float32).max(1)


def dictionary_model(dictionary: KnownDictionary, n_tokens: int = 4096, seed: int = 0) -> tuple[Blueprint, Floats]:
    """Return a model whose embeddings are draws of a dictionary, and the strengths (n_tokens, features) behind them.

    Its only block does nothing: at every tap of the residual stream the token's sum can be read.
    """
    d = dictionary.directions.shape[1]
    config = ModelConfig(n_layers=1, d_model=d, n_heads=1, d_head=4, d_mlp=1, n_vocab=n_tokens, n_ctx=256,
                         norm="rms", norm_eps=NO_NORM_EPS, n_rotary=2, qkv_bias=False, out_bias=False, mlp_bias=False)
    w = zeros(config)
    w["embed.weight"][:], strengths = dictionary.sample(n_tokens, np.random.default_rng(seed))
    w["unembed.weight"][:] = w["embed.weight"]
    return Blueprint("known dictionary", config, w, tuple(f"t{i}" for i in range(n_tokens))), strengths
