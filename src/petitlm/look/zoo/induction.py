"""C1 and C2: induction built by hand, and the case in which cheap attribution sees nothing.

Two blocks of attention alone, one head each. The residual stream has four parts: token, position, previous token,
output. Head 0.0 looks one position back and writes the token there into "previous"; head 1.0 looks for its own token
among the "previous" ones and writes the token that stands there into "output". Mechanism: Elhage et al. 2021, A
Mathematical Framework for Transformer Circuits; Olsson et al. 2022, In-context Learning and Induction Heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from petitlm.config import ModelConfig
from petitlm.look.zoo.made import BOS, NO_NORM_EPS, Blueprint, layout, zeros

LETTERS = (*"abcdefghijklmnopqrstuvwxyz", *"ABCDE")
_D_HEAD = 64  # its root is 8: the scaled gain is exact
N_TOKENS = 16
"""Distinct tokens of a prompt."""


def induction(gain: float = 40.0, unembed: float = 10.0, one: float = 1.0) -> Blueprint:
    """Return C1: `gain` is a matching key's score before the embeddings' own size, `one` every other weight.

    With one = 1 the right token's logit is `unembed` and all others are 0, up to exp(-gain).
    """
    words = (BOS, *LETTERS)
    v, t = len(words), _D_HEAD
    at = layout(token=v, position=t, previous=v, output=v)
    config = ModelConfig(n_layers=2, d_model=at["all"].stop, n_heads=1, d_head=_D_HEAD, d_mlp=1, n_vocab=v, n_ctx=t,
                         norm="rms", norm_eps=NO_NORM_EPS, positions="learned", qkv_bias=False, out_bias=False,
                         mlp_bias=False)
    w, score = zeros(config), gain * np.sqrt(_D_HEAD)
    w["embed.weight"][:, at["token"]] = one * np.eye(v)
    w["pos_embed.weight"][:, at["position"]] = one * np.eye(t)
    w["blocks.0.attn.q.weight"][:, at["position"]] = score * np.eye(t, k=1)  # position t asks for t - 1
    w["blocks.0.attn.k.weight"][:, at["position"]] = one * np.eye(t)
    w["blocks.1.attn.q.weight"][:v, at["token"]] = score * np.eye(v)
    w["blocks.1.attn.k.weight"][:v, at["previous"]] = one * np.eye(v)
    for block, target in enumerate(("previous", "output")):
        w[f"blocks.{block}.attn.v.weight"][:v, at["token"]] = one * np.eye(v)
        w[f"blocks.{block}.attn.o.weight"][at[target], :v] = one * np.eye(v)
    w["unembed.weight"][:, at["output"]] = unembed * np.eye(v)
    return Blueprint("induction by hand", config, w, words)


HELD = 889.0
"""7 x 127: a matrix of zeros and one magnitude, 889 times a power of two, is held exactly in 8 bits (its scale is
7 x 2^n) and in 4 (2^n x 127/16), as the ordinary packing rounds them."""


def exact_induction() -> Blueprint:
    """Return C1 with weights that 4 and 8 bits hold exactly: gain 889/16, unembedding 889/64, ones 889/1024."""
    return induction(HELD / 16, HELD / 64, HELD / 1024)


def held_margin() -> float:
    """Return the margin of `exact_induction`: the unembedding's weight, times embedding, value and output."""
    return HELD / 64 * (HELD / 1024) ** 3


def repeated_prompt(seed: int, n: int = N_TOKENS, n_again: int = N_TOKENS) -> list[int]:
    """Return BOS, n distinct tokens in random order, and the first `n_again` of them again."""
    order = 1 + np.random.default_rng(seed).permutation(len(LETTERS))[:n]
    return [0, *order.tolist(), *order[:n_again].tolist()]


@dataclass(frozen=True)
class Pair:
    """Two texts of one length and the two answers between which a patch decides."""

    clean: list[int]
    corrupt: list[int]
    answer: int
    versus: int


def lying_pair(seed: int = 0) -> Pair:
    """Return C2: the corrupt text has its first half reversed, so that another token follows the one that is asked.

    The text ends in the second half's eighth token. Moving head 0.0's output from the clean text into the corrupt one
    makes head 1.0 look at the clean place, where a third token stands now: the corrupt answer is lost, which is
    worth the whole margin, and no small step towards it has any effect, since the softmax is saturated.
    """
    clean = repeated_prompt(seed, n_again=8)
    first, again = clean[1 : 1 + N_TOKENS], clean[1 + N_TOKENS :]
    turned = first[::-1]
    return Pair(clean, [0, *turned, *again], first[8], turned[turned.index(again[-1]) + 1])
