"""C4: a backup head, which does a head's work where that head is gone.

The answer is the token at position 1. In block 0, head A (0.0) copies it into "output", and a one into "present"; the
MLP's only unit writes "absent" = relu(1 - present). In block 1, head B (1.0) looks at the same token if "absent" is
one, and otherwise rests on BOS, which has no value. So ablating A alone changes nothing, ablating both takes
everything, and direct attribution gives A the whole answer: direct and total effect differ, which is self-repair
(McDougall et al. 2023, Copy Suppression; Wang et al. 2023, backup name movers).
"""

from __future__ import annotations

import numpy as np

from petitlm.config import ModelConfig
from petitlm.look.zoo.induction import LETTERS, Pair
from petitlm.look.zoo.made import BOS, NO_NORM_EPS, Blueprint, layout, zeros

MARGIN = 10.0
"""The answer's logit, with head A or without."""
_GAIN = 80.0


def backup() -> Blueprint:
    """Return C4; a text is BOS and any letters, and the answer the first of them."""
    words, n_ctx = (BOS, *LETTERS), 16
    v = len(words)
    at = layout(token=v, position=n_ctx, output=v, present=1, absent=1)
    config = ModelConfig(n_layers=2, d_model=at["all"].stop, n_heads=1, d_head=64, d_mlp=1, n_vocab=v, n_ctx=n_ctx,
                         norm="rms", norm_eps=NO_NORM_EPS, parallel_block=False, activation="relu",
                         positions="learned", qkv_bias=False, out_bias=False)
    w, score = zeros(config), _GAIN * np.sqrt(config.d_head)
    position_0 = at["position"].start
    w["embed.weight"][:, at["token"]] = np.eye(v)
    w["embed.weight"][0] = 0  # BOS has no value: what rests on it writes nothing
    w["pos_embed.weight"][:, at["position"]] = np.eye(n_ctx)
    for block in (0, 1):
        w[f"blocks.{block}.attn.k.weight"][0, position_0 + 1] = 1
        w[f"blocks.{block}.attn.v.weight"][:v, at["token"]] = np.eye(v)
        w[f"blocks.{block}.attn.o.weight"][at["output"], :v] = np.eye(v)
    w["blocks.0.attn.q.weight"][0, at["position"]] = score
    w["blocks.0.attn.v.weight"][v, position_0 + 1] = 1
    w["blocks.0.attn.o.weight"][at["present"], v] = 1
    w["blocks.0.mlp.up.weight"][0, at["present"]] = -1
    w["blocks.0.mlp.up.bias"][0] = 1
    w["blocks.0.mlp.down.weight"][at["absent"], 0] = 1
    w["blocks.1.attn.q.weight"][0, at["absent"]] = score
    w["blocks.1.attn.q.weight"][1, at["position"]] = score / 2  # the rest: BOS, unless "absent" outbids it
    w["blocks.1.attn.k.weight"][1, position_0] = 1
    w["unembed.weight"][:, at["output"]] = MARGIN * np.eye(v)
    return Blueprint("backup head", config, w, words)


def backup_pair(seed: int = 0) -> Pair:
    """Return two texts that differ in the token at position 1, which is the answer."""
    tokens = (1 + np.random.default_rng(seed).permutation(len(LETTERS))[:7]).tolist()
    return Pair([0, tokens[0], *tokens[2:]], [0, tokens[1], *tokens[2:]], tokens[0], tokens[1])
