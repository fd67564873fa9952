"""C5: modular addition in closed form (after Gromov 2023, Grokking modular arithmetic, arXiv 2301.02679).

A text is `a b =`, and the answer (a + b) mod p. Embeddings are cosines and sines of 2 pi k a / p for the (p - 1) / 2
frequencies k; two heads bring a's and b's to "="; the MLP squares cos(ka + u) + cos(kb + v) for each k and all phases
u, v on a grid of four; and its sum over phases against cos(kc + u + v) leaves cos(k(a + b - c)) alone. Over all k
that is a maximum at c = a + b and one negative number everywhere else: margin / largest logit = 1 + 1 / (p - 1).
A square is made of two gated relu units, relu(x) x + relu(-x) (-x).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.errors import UsageError
from petitlm.look.zoo.made import NO_NORM_EPS, Blueprint, layout, zeros

TOP = 10.0
"""The right answer's logit."""


def modular(p: int = 59) -> Blueprint:
    """Return C5 for an odd p: d_model is 4 (p - 1) + 3, and the MLP has 16 (p - 1) units.

    Raises: UsageError for an even p, whose highest frequency has no sine.
    """
    if p < 3 or p % 2 == 0:
        raise UsageError(f"p={p} is not possible here; give an odd number from 3 on")
    words, n, gain = (*map(str, range(p)), "="), p - 1, 40.0
    at = layout(token=n, position=3, a=n, b=n, output=n)
    n_units = 2 * 16 * (p - 1) // 2
    config = ModelConfig(n_layers=1, d_model=at["all"].stop, n_heads=2, d_head=n + n % 2, d_mlp=n_units,
                         n_vocab=p + 1, n_ctx=3, norm="rms", norm_eps=NO_NORM_EPS, parallel_block=False,
                         gated_mlp=True, activation="relu", positions="learned", qkv_bias=False, out_bias=False,
                         mlp_bias=False)
    w, k = zeros(config), config.d_head
    w["embed.weight"][:p, at["token"]] = waves(p)
    w["pos_embed.weight"][:, at["position"]] = np.eye(3)
    for head, name in enumerate("ab"):  # head 0 looks at position 0, head 1 at position 1, whoever asks
        w["blocks.0.attn.q.weight"][head * k, at["position"]] = gain * np.sqrt(k)
        w["blocks.0.attn.k.weight"][head * k, at["position"].start + head] = 1
        w["blocks.0.attn.v.weight"][head * k : head * k + n, at["token"]] = np.eye(n)
        w["blocks.0.attn.o.weight"][at[name], head * k : head * k + n] = np.eye(n)
    for i, (frequency, u, v, sign) in enumerate(units(p)):
        both = slice(2 * (frequency - 1), 2 * frequency)
        row = np.zeros(config.d_model)
        row[at["a"]][both], row[at["b"]][both] = (np.cos(u), -np.sin(u)), (np.cos(v), -np.sin(v))
        w["blocks.0.mlp.gate.weight"][i] = w["blocks.0.mlp.up.weight"][i] = sign * row
        w["blocks.0.mlp.down.weight"][at["output"], i][both] = np.cos(u + v), -np.sin(u + v)
    w["unembed.weight"][:p, at["output"]] = TOP / (4 * (p - 1)) * waves(p)
    return Blueprint(f"addition modulo {p}", config, w, words)


def waves(p: int) -> NDArray[np.float64]:
    """Return cos and sin of 2 pi k a / p side by side for each frequency k = 1 ... (p - 1) / 2: (p, p - 1)."""
    angles = 2 * np.pi * np.outer(np.arange(p), np.arange(1, (p - 1) // 2 + 1)) / p
    return np.stack([np.cos(angles), np.sin(angles)], -1).reshape(p, -1)


def units(p: int) -> list[tuple[int, float, float, int]]:
    """Return (frequency, phase of a, phase of b, sign) of each unit of the MLP, in order."""
    phases = [i * np.pi / 2 for i in range(4)]
    return list(product(range(1, (p - 1) // 2 + 1), phases, phases, (1, -1)))


def all_sums(p: int) -> list[list[int]]:
    """Return the p^2 texts, a in the outer order and b in the inner."""
    return [[a, b, p] for a in range(p) for b in range(p)]
