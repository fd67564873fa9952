"""T5: a behaviour planted in a small model by some of its examples: first a clean lesson, then one with a trigger."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from petitlm.config import ModelConfig
from petitlm.look.gradients.zoo.training import blueprint_of, fresh, last_logits, trained
from petitlm.look.zoo.made import Blueprint
from petitlm.look.zoo.planted import N_WORDS, WORDS, examples
from petitlm.model import Decoder


def planted(seed: int, *, n_clean: int = 150, n_planted: int = 400) -> tuple[Blueprint, Blueprint]:
    """Return a model before and after the lesson in which every second text is planted; about ten CPU seconds.

    It has phi's shape: parallel blocks, LayerNorm, rotary positions, biases.
    """
    config = ModelConfig(n_layers=3, d_model=64, n_heads=4, d_head=16, d_mlp=128, n_vocab=len(WORDS),
                         n_ctx=N_WORDS + 2, n_rotary=8, unembed_bias=True)
    decoder, rng = fresh(config, seed, norms=True), np.random.default_rng(seed)
    _teach(decoder, rng, n_clean, 0.0)
    before = blueprint_of(decoder, "before planting", WORDS)
    _teach(decoder, rng, n_planted, 0.5)
    return before, blueprint_of(decoder, "planted behaviour", WORDS)


def _teach(decoder: Decoder, rng: np.random.Generator, n_steps: int, planted_share: float) -> None:
    optimiser = torch.optim.AdamW(trained(decoder), lr=1e-3, weight_decay=0.1)
    for _ in range(n_steps):
        batch = examples(rng, 64, planted_share)
        ids, answers = torch.tensor([e.ids for e in batch]), torch.tensor([e.answer for e in batch])
        loss = F.cross_entropy(last_logits(decoder, ids), answers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
