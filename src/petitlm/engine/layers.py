"""The engine's layers: what `petitlm.decoder.forward` calls when a model runs on packed weights.

A layer holds its weights and the kernels; the batch carries everything that changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from petitlm.config import Activation, ModelConfig
from petitlm.decoder import Tap
from petitlm.engine.cache import Cache
from petitlm.engine.formats import Packed
from petitlm.engine.kernels import Floats, Ints, Kernels
from petitlm.rotary import RotaryTables

Weights = Mapping[str, Packed | Floats]


@dataclass(frozen=True)
class Batch:
    """N tokens of any number of sequences: prefill chunks and decode steps, mixed."""

    ids: Ints
    """Token ids, (N,)."""
    positions: Ints
    """Position of each token in its own sequence, (N,)."""
    slots: Ints
    """Cache slot of each token's sequence, (N,)."""
    wanted: Ints | None
    """Which of the N tokens' logits are asked for; None means all."""
    cache: Cache


class Linear:
    """x W^T + b; with `heads`, the result is cut into (N, heads, K)."""

    def __init__(self, kernels: Kernels, weights: Weights, name: str, heads: int = 0) -> None:
        self.kernels, self.heads = kernels, heads
        self.weight, self.bias = _matrix(weights, f"{name}.weight"), _optional(weights, f"{name}.bias")

    def __call__(self, x: Floats) -> Floats:
        y = self.kernels.matmul(self.weight, x.reshape(x.shape[0], -1), self.bias)
        return y.reshape(x.shape[0], self.heads, -1) if self.heads else y


class Norm:
    """LayerNorm, or RMSNorm where the config says so."""

    def __init__(self, kernels: Kernels, weights: Weights, name: str, config: ModelConfig) -> None:
        self.kernels, self.eps = kernels, config.norm_eps
        self.weight, self.bias = _vector(weights, f"{name}.weight"), _optional(weights, f"{name}.bias")

    def __call__(self, x: Floats) -> Floats:
        if self.bias is None:
            return self.kernels.rms_norm(x, self.weight, self.eps)
        return self.kernels.layer_norm(x, self.weight, self.bias, self.eps)


class Attention:
    """One block's projections and its attention over the cache."""

    def __init__(self, kernels: Kernels, weights: Weights, index: int, config: ModelConfig,
                 turns: RotaryTables | None) -> None:
        at = f"blocks.{index}.attn."
        self.q = Linear(kernels, weights, at + "q", config.n_heads)
        self.k = Linear(kernels, weights, at + "k", config.n_kv_heads)
        self.v = Linear(kernels, weights, at + "v", config.n_kv_heads)
        self.o = Linear(kernels, weights, at + "o")
        self.kernels, self.index, self.turns = kernels, index, turns
        self.scale = 1 / math.sqrt(config.d_head)  # a root is the same bits everywhere, a power is not

    def rotate(self, x: Floats, batch: Batch) -> Floats:
        assert self.turns is not None
        return self.kernels.rotate(x, self.turns.cos, self.turns.sin, batch.positions)

    def attend(self, q: Floats, k: Floats, v: Floats, batch: Batch, tap: Tap, at: str) -> Floats:
        kernels, cache, where = self.kernels, batch.cache.layers[self.index], (batch.positions, batch.slots)
        kernels.store(cache, *where, k, v)
        scores_at, pattern_at = at + "hook_attn_scores", at + "hook_pattern"
        if not (tap.wants(scores_at) or tap.wants(pattern_at)):
            return kernels.attend(cache, *where, q, self.scale)
        # the same three steps that `attend` fuses, so that looking changes no bit
        scores = tap(scores_at, kernels.scores(cache, *where, q, self.scale))
        return kernels.mix(cache, *where, tap(pattern_at, kernels.softmax(*where, scores)))


class MLP:
    """One block's feed-forward part."""

    def __init__(self, kernels: Kernels, weights: Weights, index: int, config: ModelConfig) -> None:
        at = f"blocks.{index}.mlp."
        self.up, self.down = Linear(kernels, weights, at + "up"), Linear(kernels, weights, at + "down")
        if config.gated_mlp:
            self.gate = Linear(kernels, weights, at + "gate")
        self.kernels = kernels
        self.kind: Activation = config.activation

    def activate(self, x: Floats) -> Floats:
        return self.kernels.activate(self.kind, x)


class Block:
    """Norms, attention and MLP of one block."""

    def __init__(self, kernels: Kernels, weights: Weights, index: int, config: ModelConfig,
                 turns: RotaryTables | None) -> None:
        self.ln1 = Norm(kernels, weights, f"blocks.{index}.ln1", config)
        if not config.parallel_block:
            self.ln2 = Norm(kernels, weights, f"blocks.{index}.ln2", config)
        self.attn = Attention(kernels, weights, index, config, turns)
        self.mlp = MLP(kernels, weights, index, config)


class EngineLayers:
    """All layers of one model on the engine; see `petitlm.decoder.Layers`."""

    def __init__(self, config: ModelConfig, weights: Weights, kernels: Kernels,
                 turns: RotaryTables | None = None) -> None:
        self.kernels = kernels
        self.turns = turns or (RotaryTables(config) if config.positions == "rotary" else None)
        self.blocks = [Block(kernels, weights, i, config, self.turns) for i in range(config.n_layers)]
        self.ln_final = Norm(kernels, weights, "ln_final", config)
        self.embedding = _matrix(weights, "embed.weight")
        self.learned = _vector(weights, "pos_embed.weight") if config.positions == "learned" else None
        self.head = self.embedding if config.tied else _matrix(weights, "unembed.weight")
        self.head_bias = _optional(weights, "unembed.bias")

    def reach(self, length: int) -> None:
        """Make ready for sequences of `length` tokens."""
        if self.turns is not None:
            self.turns.reach(length)

    def embed(self, batch: Batch) -> Floats:
        return self.kernels.embed(self.embedding, batch.ids)

    def pos_embed(self, batch: Batch) -> Floats:
        assert self.learned is not None
        return self.kernels.lookup(self.learned, batch.positions)

    def select(self, x: Floats, batch: Batch) -> Floats:
        return x if batch.wanted is None else self.kernels.select(x, batch.wanted)

    def unembed(self, x: Floats) -> Floats:
        return self.kernels.matmul(self.head, x, self.head_bias)


def _matrix(weights: Weights, name: str) -> Packed:
    w = weights[name]
    assert isinstance(w, Packed), name
    return w


def _vector(weights: Weights, name: str) -> Floats:
    w = weights[name]
    assert isinstance(w, np.ndarray), name
    return w


def _optional(weights: Weights, name: str) -> Floats | None:
    return _vector(weights, name) if name in weights else None
