"""T2: induction learned from repeated tokens (Olsson et al. 2022), by two blocks of attention alone.

The period differs from text to text, or the model would count positions instead of looking for its token.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from petitlm.config import ModelConfig
from petitlm.errors import UsageError
from petitlm.look.gradients.zoo.training import blueprint_of, fresh, trained
from petitlm.look.zoo.made import NO_NORM_EPS, Blueprint

N_WORDS, LENGTH, PERIODS = 32, 32, (6, 16)


def learned_induction(seed: int, n_heads: int = 1, n_steps: int = 800) -> Blueprint:
    """Train one with `n_heads` in each block, which share the width of 64; about ten CPU seconds.

    Raises: UsageError for heads that do not divide the width.
    """
    if n_heads < 1 or 64 % n_heads:
        raise UsageError(f"n_heads={n_heads} does not divide the width of 64; choose 1, 2, 4 or 8")
    config = ModelConfig(n_layers=2, d_model=64, n_heads=n_heads, d_head=64 // n_heads, d_mlp=1, n_vocab=N_WORDS,
                         n_ctx=LENGTH, norm="rms", norm_eps=NO_NORM_EPS, positions="learned", qkv_bias=False,
                         out_bias=False, mlp_bias=False)
    decoder, rng = fresh(config, seed, attention_only=True), np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(trained(decoder), lr=3e-3)
    for _ in range(n_steps):
        texts, periods = periodic_texts(rng, 64)
        ids = torch.from_numpy(texts)
        logits = decoder.logits(ids[:, :-1])
        known = torch.from_numpy(np.arange(1, LENGTH) >= periods[:, None])  # the next token was seen before
        loss = F.cross_entropy(logits[known], ids[:, 1:][known])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return blueprint_of(decoder, f"learned induction, {n_heads} heads", [f"t{i}" for i in range(N_WORDS)])


def periodic_texts(rng: np.random.Generator, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return n texts (n, T) of distinct random tokens that repeat with a period of 6 to 16, and the periods (n,)."""
    periods = rng.integers(PERIODS[0], PERIODS[1] + 1, n)
    orders = rng.random((n, N_WORDS)).argsort(1)
    return np.take_along_axis(orders, np.arange(LENGTH) % periods[:, None], 1), periods
