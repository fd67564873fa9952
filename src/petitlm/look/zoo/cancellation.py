"""C3: a head whose two effects cancel.

Block 0's head copies the mark of position 1 to the end, into the part "path". From there it reaches the answer by two
paths: straight through the unembedding (+a), and through the only unit of the MLP (-a + epsilon). The head's whole
effect is epsilon, and each of its edges carries a thousand times as much: a node score alone says that it does nothing.
"""

from __future__ import annotations

import numpy as np

from petitlm.config import ModelConfig
from petitlm.look.zoo.induction import Pair
from petitlm.look.zoo.made import BOS, NO_NORM_EPS, Blueprint, layout, zeros

WORDS = (BOS, "on", "off", "x", "yes", "no")
DIRECT, REMAINDER = 8.0, 1 / 128
"""a and epsilon, in logits."""


def cancellation(direct: float = DIRECT, remainder: float = REMAINDER) -> Blueprint:
    """Return C3; its text is `<s> on x x`, and "yes" against "no" is what the head decides."""
    n_ctx, v, gain = 8, len(WORDS), 40.0
    at = layout(mark=1, position=n_ctx, path=1, undo=1)
    config = ModelConfig(n_layers=1, d_model=at["all"].stop, n_heads=1, d_head=16, d_mlp=1, n_vocab=v, n_ctx=n_ctx,
                         norm="rms", norm_eps=NO_NORM_EPS, parallel_block=False, activation="relu",
                         positions="learned", qkv_bias=False, out_bias=False, mlp_bias=False)
    w, yes = zeros(config), WORDS.index("yes")
    w["embed.weight"][WORDS.index("on"), at["mark"]] = 1
    w["pos_embed.weight"][:, at["position"]] = np.eye(n_ctx)
    position_1 = at["position"].start + 1
    w["blocks.0.attn.q.weight"][0, at["position"]] = gain * np.sqrt(config.d_head)  # every position asks for 1
    w["blocks.0.attn.k.weight"][0, position_1] = 1
    w["blocks.0.attn.v.weight"][0, at["mark"]] = 1
    w["blocks.0.attn.o.weight"][at["path"], 0] = 1
    w["blocks.0.mlp.up.weight"][0, at["path"]] = 1
    w["blocks.0.mlp.down.weight"][at["undo"], 0] = -(1 - remainder / direct)
    w["unembed.weight"][yes, at["path"]] = direct
    w["unembed.weight"][yes, at["undo"]] = direct
    return Blueprint("cancellation", config, w, WORDS)


def cancelling_pair() -> Pair:
    """Return the text with the mark, and the one without."""
    on, off, x = (WORDS.index(word) for word in ("on", "off", "x"))
    return Pair([0, on, x, x], [0, off, x, x], WORDS.index("yes"), WORDS.index("no"))
