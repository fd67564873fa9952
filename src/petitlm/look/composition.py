"""Composition of heads, read off the weights: does a later head read what an earlier one writes?

Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, section "Two-layer attention-only transformers":
with W_OV of the writing head and W_QK of the reading one, the share |W_QK W_OV| / (|W_QK| |W_OV|) in Frobenius norms
through queries, keys or values. Two heads of random orientation have 1 / sqrt(D). What a head reads has gone through
the layer's norm, so its gain (and, in a LayerNorm, its centring) counts among the reading weights: the folded basis.
Queries and keys are taken as they are before rotation, that is for two tokens at the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.runs import Runner

Head = tuple[int, int]
Kind = Literal["Q", "K", "V"]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """How much of what the sender writes the receiver reads."""

    sender: Head
    """(layer, head)."""
    receiver: Head
    """(layer, head), of a later layer."""
    kind: Kind
    score: float
    """From 0 to 1."""


def compositions(runner: Runner, heads: Sequence[Head]) -> list[Pair]:
    """Return the pairs among some heads, through queries, keys and values, strongest first."""
    layers = sorted({layer for layer, _ in heads})
    pairs = []
    weights = {layer: _HeadWeights(runner, layer) for layer in layers}
    for sender in heads:
        for receiver in heads:
            if sender[0] < receiver[0]:
                reads, writes = weights[receiver[0]], weights[sender[0]]
                scores = _scores(reads, receiver[1], writes, sender[1])
                pairs += [Pair(sender, receiver, kind, scores[kind]) for kind in scores]
    return sorted(pairs, key=lambda pair: -pair.score)


class _HeadWeights:
    """One layer's projections as each head has them, and their Gram matrices, float64."""

    def __init__(self, runner: Runner, layer: int) -> None:
        config, at = runner.config, f"blocks.{layer}.attn."
        gain = runner.weight(f"blocks.{layer}.ln1.weight").astype(np.float64)

        def read(name: str, n: int) -> Numbers:
            w = runner.weight(f"{at}{name}.weight").astype(np.float64) * gain
            if config.norm == "layer":
                w -= w.mean(-1, keepdims=True)
            return np.repeat(w.reshape(n, config.d_head, -1), config.n_heads // n, 0)  # H K D

        self.q, self.k = read("q", config.n_heads), read("k", config.n_kv_heads)
        self.v = read("v", config.n_kv_heads)
        o = runner.weight(f"{at}o.weight").astype(np.float64)
        self.o = o.reshape(-1, config.n_heads, config.d_head).transpose(1, 0, 2)  # H D K
        self.qq, self.kk, self.vv = (w @ w.transpose(0, 2, 1) for w in (self.q, self.k, self.v))
        self.oo = self.o.transpose(0, 2, 1) @ self.o


def _scores(reads: _HeadWeights, receiver: int, writes: _HeadWeights, sender: int) -> dict[Kind, float]:
    """Return the three scores of a pair; every product of D x D matrices is taken through their K features."""
    vv, oo, j = writes.vv[sender], reads.oo[receiver], receiver
    qq, kk = reads.qq[j], reads.kk[j]
    ov, qk = _norm(writes.oo[sender], vv), _norm(qq, kk)
    out: dict[Kind, float] = {}
    whole: list[tuple[Kind, Numbers, Numbers, float]] = [
        ("Q", kk, reads.q[j], qk), ("K", qq, reads.k[j], qk), ("V", oo, reads.v[j], _norm(oo, reads.vv[j]))]
    for kind, other, w, size in whole:
        inner = w @ writes.o[sender]  # K K: the reading features of what is written
        product = float(np.sqrt(max(0.0, float(np.sum((other @ inner @ vv) * inner)))))
        out[kind] = product / (size * ov) if size * ov > 0 else 0.0
    return out


def _norm(outer: Numbers, inner: Numbers) -> float:
    """Return |A B| in the Frobenius norm, from the Gram matrices A^T A and B B^T."""
    return float(np.sqrt(max(0.0, float(np.sum(outer * inner)))))
