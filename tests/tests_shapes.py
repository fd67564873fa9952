"""Awkward shapes and random weights of each kind, shared by the tests of both sets of layers."""

from __future__ import annotations

import numpy as np

from petitlm.config import ModelConfig, RopeScaling
from petitlm.engine.formats import formats_for
from petitlm.engine.kernels import Kernels
from petitlm.engine.packing import pack_matrix

LLAMA3 = RopeScaling("llama3", 8.0, 16)

SHAPES = {
    "phi": ModelConfig(n_layers=2, d_model=48, n_heads=3, d_head=16, d_mlp=96, n_vocab=99, n_ctx=80, n_rotary=8,
                       unembed_bias=True),
    "phi, heads of 10, odd sizes": ModelConfig(n_layers=3, d_model=30, n_heads=3, d_head=10, d_mlp=50, n_vocab=97,
                                               n_ctx=80, n_rotary=4, unembed_bias=True),
    "phi, kv groups, tied": ModelConfig(n_layers=2, d_model=64, n_heads=4, n_kv_heads=2, d_head=20, d_mlp=70,
                                        n_vocab=131, n_ctx=80, n_rotary=20, tied=True, unembed_bias=True),
    "llama": ModelConfig(n_layers=2, d_model=60, n_heads=6, n_kv_heads=2, d_head=10, d_mlp=88, n_vocab=103, n_ctx=80,
                         n_rotary=10, norm="rms", norm_eps=1e-6, parallel_block=False, gated_mlp=True,
                         activation="silu", qkv_bias=False, out_bias=False, mlp_bias=False, rope_scaling=LLAMA3),
    "gpt": ModelConfig(n_layers=2, d_model=36, n_heads=3, d_head=12, d_mlp=77, n_vocab=101, n_ctx=80,
                       positions="learned", parallel_block=False, tied=True),
    "gpt, gelu": ModelConfig(n_layers=2, d_model=160, n_heads=2, d_head=80, d_mlp=130, n_vocab=59, n_ctx=80,
                             positions="learned", parallel_block=False, activation="gelu"),
}

PHI2_TWO_LAYERS = ModelConfig(n_layers=2, d_model=2560, n_heads=32, d_head=80, d_mlp=10240, n_vocab=1009, n_ctx=64,
                              n_rotary=32, unembed_bias=True)
"""phi-2's blocks; the vocabulary alone is small, since a float64 twin of 51,200 rows takes gigabytes."""


def random_weights(config: ModelConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Return weights under which activations keep their size and no bias or gain is a no-op."""
    rng, weights = np.random.default_rng(seed), {}
    for name, shape in config.tensor_shapes().items():
        if len(shape) == 2:
            scale = 1.0 if "embed" in name.split(".")[0] and not name.startswith("un") else shape[1] ** -0.5
            weights[name] = rng.normal(0, scale, shape).astype(np.float32)
        else:
            is_gain = name.endswith(".weight")
            weights[name] = (rng.normal(0, 0.1, shape) + is_gain).astype(np.float32)
    return weights


def packed(config: ModelConfig, weights: dict[str, np.ndarray], bits: int, kernels: Kernels) -> dict:
    """Return the weights as the engine runs them."""
    formats = {name: formats_for(bits, name) for name in config.tensor_shapes()}
    return {name: w if formats[name] is None else pack_matrix(kernels, formats[name], w)
            for name, w in weights.items()}  # fmt: skip
