"""The layers that `petitlm.decoder.forward` calls to write a graph; shapes as there, with `...` for (B, T).

Weights lie as (in, out), ready for MatMul, and may be stored in 16 bits; all arithmetic is float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from petitlm.config import Activation, ModelConfig
from petitlm.decoder import Tap
from petitlm.onnx.graph import Graph, Value
from petitlm.rotary import rotary_tables

_INT64, _BOOL, _FLOAT = 7, 9, 1  # TensorProto.DataType
_LOWEST = float(np.finfo(np.float32).min)  # a score that softmax turns into 0, and no NaN where all are


@dataclass
class Weights:
    """The model's weights as values of the graph: which ones, and how they are to be stored."""

    graph: Graph
    config: ModelConfig
    half: bool
    stored: dict[str, tuple[tuple[int, ...], bool]] = field(default_factory=dict)
    """Name to (shape, transposed) of every weight that the graph uses."""

    def __contains__(self, name: str) -> bool:
        return name in self.config.tensor_shapes()

    def is_half(self, name: str) -> bool:
        """Whether a weight is stored in 16 bits: matrices may be, vectors never."""
        return self.half and len(self.config.tensor_shapes()[name]) == 2

    def get(self, name: str, transposed: bool = False) -> Value:
        """Return a weight as it is stored."""
        shape = self.config.tensor_shapes()[name]
        self.stored[name] = (shape[::-1] if transposed else shape, transposed)
        return Value(self.graph, name, named=True)

    def floats(self, name: str, transposed: bool = False) -> Value:
        """Return a weight as float32."""
        value = self.get(name, transposed)
        return self.graph.op("Cast", value, to=_FLOAT) if self.is_half(name) else value


@dataclass
class Batch:
    """The graph's inputs, and what all blocks make of them."""

    graph: Graph
    config: ModelConfig
    ids: Value
    """int64 (B, T)."""
    mask: Value
    """int64 (B, S): 1 for tokens, 0 for padding in front; S are the cached positions and the new ones."""
    positions: Value
    """int64 (B, T): position of each new token in its own sequence."""
    past: list[tuple[Value, Value]]
    """Keys and values of each block, (B, G, P, K)."""
    present: list[tuple[Value, Value]] = field(default_factory=list)
    """The same with the new ones behind, (B, G, S, K)."""

    @cached_property
    def bias(self) -> Value:
        """(B, 1, T, S): 0 where a token may look, the lowest number where not."""
        g = self.graph
        total, new = g.shape(self.mask, 1), g.shape(self.ids, 1)
        zero, one = np.array(0), np.array(1)
        end = g.op("Squeeze", total)
        keys = g.op("Range", zero, end, one)
        queries = g.op("Range", g.op("Squeeze", total - new), end, one)
        before = g.op("LessOrEqual", g.op("Unsqueeze", keys, np.array([0])), g.op("Unsqueeze", queries, np.array([1])))
        tokens = g.op("Unsqueeze", g.op("Cast", self.mask, to=_BOOL), np.array([1, 2]))
        return g.op("Where", g.op("And", before, tokens), 0.0, _LOWEST)

    @cached_property
    def turns(self) -> tuple[Value, Value]:
        """Cosine and sine of each token's angles, (B, T, 1, P)."""
        g = self.graph
        cos, sin = (g.op("Gather", g.constant(table), self.positions, axis=0) for table in rotary_tables(self.config))
        return g.op("Unsqueeze", cos, np.array([2])), g.op("Unsqueeze", sin, np.array([2]))


class Linear:
    """x W^T + b; with `heads`, the result is cut into (..., heads, K)."""

    def __init__(self, weights: Weights, name: str, heads: int = 0, from_heads: bool = False) -> None:
        self.graph, self.heads, self.from_heads = weights.graph, heads, from_heads
        self.weight = weights.floats(f"{name}.weight", transposed=True)
        self.bias = weights.get(f"{name}.bias") if f"{name}.bias" in weights else None

    def __call__(self, x: Value) -> Value:
        x = self.graph.reshape(x, 0, 0, -1) if self.from_heads else x
        y = self.graph.op("MatMul", x, self.weight)
        y = y if self.bias is None else y + self.bias
        return self.graph.reshape(y, 0, 0, self.heads, -1) if self.heads else y


class Norm:
    """LayerNorm, or RMSNorm where the config says so."""

    def __init__(self, weights: Weights, name: str, config: ModelConfig) -> None:
        self.graph, self.eps = weights.graph, config.norm_eps
        self.weight = weights.get(f"{name}.weight")
        self.bias = weights.get(f"{name}.bias") if config.norm == "layer" else None

    def __call__(self, x: Value) -> Value:
        if self.bias is not None:
            return self.graph.op("LayerNormalization", x, self.weight, self.bias, axis=-1, epsilon=self.eps)
        square = self.graph.op("ReduceMean", x * x, axes=[-1], keepdims=1)
        return x / self.graph.op("Sqrt", square + self.eps) * self.weight


class Attention:
    """One block's projections and its attention over the cached and the new positions."""

    def __init__(self, weights: Weights, index: int, config: ModelConfig) -> None:
        at = f"blocks.{index}.attn."
        self.q = Linear(weights, at + "q", config.n_heads)
        self.k = Linear(weights, at + "k", config.n_kv_heads)
        self.v = Linear(weights, at + "v", config.n_kv_heads)
        self.o = Linear(weights, at + "o", from_heads=True)
        self.graph, self.config, self.index = weights.graph, config, index

    def rotate(self, x: Value, batch: Batch) -> Value:
        pairs, rest = self.config.n_rotary // 2, self.config.d_head - self.config.n_rotary
        sizes = [pairs, pairs, rest] if rest else [pairs, pairs]
        a, b, *unturned = self.graph.ops("Split", len(sizes), x, np.array(sizes), axis=-1)
        cos, sin = batch.turns
        return self.graph.op("Concat", a * cos - b * sin, b * cos + a * sin, *unturned, axis=-1)

    def attend(self, q: Value, k: Value, v: Value, batch: Batch, tap: Tap, at: str) -> Value:
        g, config = self.graph, self.config
        q, k, v = (g.op("Transpose", x, perm=[0, 2, 1, 3]) for x in (q, k, v))  # (B, H, T, K)
        k, v = (g.op("Concat", past, new, axis=2) for past, new in zip(batch.past[self.index], (k, v), strict=True))
        batch.present.append((k, v))
        if config.group > 1:  # query heads of a group side by side: (B, G, H/G, T, K) against (B, G, 1, S, K)
            q = g.op("Reshape", q, g.op("Concat", np.array([0, config.n_kv_heads, config.group]), g.shape(batch.ids, 1),
                                        np.array([config.d_head]), axis=0))
            k, v = (g.op("Unsqueeze", x, np.array([2])) for x in (k, v))
        turned = [0, 1, 2, 4, 3] if config.group > 1 else [0, 1, 3, 2]
        scores = g.op("MatMul", q, g.op("Transpose", k, perm=turned)) * config.d_head**-0.5
        scores = tap(at + "hook_attn_scores", self._as_heads(scores, batch) + batch.bias)
        pattern = tap(at + "hook_pattern", g.op("Softmax", scores, axis=-1))
        z = self._as_heads(g.op("MatMul", self._as_groups(pattern, batch), v), batch)
        return g.op("Transpose", z, perm=[0, 2, 1, 3])

    def _as_heads(self, x: Value, batch: Batch) -> Value:
        """(B, G, H/G, T, ...) -> (B, H, T, ...)."""
        return self._shaped(x, [self.config.n_heads], batch)

    def _as_groups(self, x: Value, batch: Batch) -> Value:
        """(B, H, T, S) -> (B, G, H/G, T, S)."""
        return self._shaped(x, [self.config.n_kv_heads, self.config.group], batch)

    def _shaped(self, x: Value, heads: list[int], batch: Batch) -> Value:
        if self.config.group == 1:
            return x
        new = self.graph.shape(batch.ids, 1)
        last = self.graph.op("Gather", self.graph.op("Shape", x), np.array([-1]))
        return self.graph.op("Reshape", x, self.graph.op("Concat", np.array([0, *heads]), new, last, axis=0))


class MLP:
    """One block's feed-forward part."""

    def __init__(self, weights: Weights, index: int, config: ModelConfig) -> None:
        at = f"blocks.{index}.mlp."
        self.up, self.down = Linear(weights, at + "up"), Linear(weights, at + "down")
        if config.gated_mlp:
            self.gate = Linear(weights, at + "gate")
        self.graph = weights.graph
        self.kind: Activation = config.activation

    def activate(self, x: Value) -> Value:
        return _ACTIVATIONS[self.kind](self.graph, x)


class Block:
    """Norms, attention and MLP of one block."""

    def __init__(self, weights: Weights, index: int, config: ModelConfig) -> None:
        self.ln1 = Norm(weights, f"blocks.{index}.ln1", config)
        if not config.parallel_block:
            self.ln2 = Norm(weights, f"blocks.{index}.ln2", config)
        self.attn = Attention(weights, index, config)
        self.mlp = MLP(weights, index, config)


class OnnxLayers:
    """All layers of one model as a graph; see `petitlm.decoder.Layers`."""

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        self.weights, self.graph, self.config = weights, weights.graph, config
        self.blocks = [Block(weights, i, config) for i in range(config.n_layers)]
        self.ln_final = Norm(weights, "ln_final", config)

    def embed(self, batch: Batch) -> Value:
        return self._rows("embed.weight", batch.ids)

    def pos_embed(self, batch: Batch) -> Value:
        return self._rows("pos_embed.weight", batch.positions)

    def select(self, x: Value, batch: Batch) -> Value:
        return x

    def unembed(self, x: Value) -> Value:
        g, config, weights = self.graph, self.config, self.weights
        if config.tied:  # the embedding as it lies, (V, D): only Gemm takes it so, and only two axes
            rows = g.op("Gemm", g.reshape(x, -1, config.d_model), weights.floats("embed.weight"), transB=1)
            batch_and_time = g.op("Slice", g.op("Shape", x), np.array([0]), np.array([2]))
            y = g.op("Reshape", rows, g.op("Concat", batch_and_time, np.array([config.n_vocab]), axis=0))
        else:
            y = g.op("MatMul", x, weights.floats("unembed.weight", transposed=True))
        return y + weights.get("unembed.bias") if config.unembed_bias else y

    def _rows(self, name: str, at: Value) -> Value:
        rows = self.graph.op("Gather", self.weights.get(name), at, axis=0)
        return self.graph.op("Cast", rows, to=_FLOAT) if self.weights.is_half(name) else rows


def _gelu_tanh(graph: Graph, x: Value) -> Value:
    inner = (x * x * x * 0.044715 + x) * math.sqrt(2 / math.pi)
    return x * 0.5 * (graph.op("Tanh", inner) + 1.0)


def _gelu(graph: Graph, x: Value) -> Value:
    return x * 0.5 * (graph.op("Erf", x * math.sqrt(0.5)) + 1.0)


_ACTIVATIONS: dict[Activation, Callable[[Graph, Value], Value]] = {
    "gelu_tanh": _gelu_tanh, "gelu": _gelu, "silu": lambda graph, x: x * graph.op("Sigmoid", x),
    "relu": lambda graph, x: graph.op("Relu", x)}
