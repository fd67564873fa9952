"""T3: modular addition learned (Nanda et al. 2023, Progress measures for grokking), small.

One block of attention and a ReLU MLP without norms, all pairs at once, half of them for training. It memorises first;
weight decay then finds waves of a few frequencies, and the other half is answered, too.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from petitlm.config import ModelConfig
from petitlm.look.gradients.zoo.training import blueprint_of, fresh, last_logits, trained
from petitlm.look.zoo.made import NO_NORM_EPS, Blueprint
from petitlm.look.zoo.modular import all_sums
from petitlm.model import Decoder

P = 59


def grokked(seed: int, *, max_steps: int = 2000, until_loss: float = 5e-5) -> tuple[Blueprint, NDArray[np.bool_]]:
    """Train one until the mean loss of the pairs held out is below `until_loss` nats; about half a CPU minute.

    Return the model, and which of the P^2 pairs (in the order of `all_sums`) it was trained on.
    """
    config = ModelConfig(n_layers=1, d_model=64, n_heads=4, d_head=16, d_mlp=256, n_vocab=P + 1, n_ctx=3, norm="rms",
                         norm_eps=NO_NORM_EPS, parallel_block=False, activation="relu", positions="learned",
                         qkv_bias=False, out_bias=False)
    decoder, texts = fresh(config, seed), torch.tensor(all_sums(P))
    sums = (texts[:, 0] + texts[:, 1]) % P
    seen = np.random.default_rng(seed).permutation(P * P) < P * P // 2
    known, held_out = torch.from_numpy(seen), torch.from_numpy(~seen)
    optimiser = torch.optim.AdamW(trained(decoder), lr=2e-3, weight_decay=2.0, betas=(0.9, 0.98))
    for step in range(max_steps):
        loss = F.cross_entropy(last_logits(decoder, texts[known]).double(), sums[known])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 99 and _loss(decoder, texts[held_out], sums[held_out]) < until_loss:
            break
    return blueprint_of(decoder, f"learned addition modulo {P}", (*map(str, range(P)), "=")), seen


@torch.no_grad()
def _loss(decoder: Decoder, texts: Tensor, sums: Tensor) -> float:
    return float(F.cross_entropy(last_logits(decoder, texts), sums))
