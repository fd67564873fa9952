"""What the trained models of the zoo share: fresh torch layers, a step of AdamW, and the way back to a blueprint."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from petitlm.config import ModelConfig
from petitlm.look.zoo.made import Blueprint, no_norms
from petitlm.model import Decoder


def fresh(config: ModelConfig, seed: int, *, attention_only: bool = False, norms: bool = False) -> Decoder:
    """Return a decoder with matrices drawn from N(0, 1 / columns), embeddings from N(0, 1 / D), biases 0.

    Without `norms` its norms change nothing and are not trained; with `attention_only` its MLPs write nothing, either.
    """
    decoder, generator = Decoder(config), torch.Generator().manual_seed(seed)
    still = {} if norms else no_norms(config)
    with torch.no_grad():
        for name, weight in decoder.named_parameters():
            if name in still:
                weight.copy_(torch.from_numpy(still[name])).requires_grad_(False)
            elif attention_only and ".mlp." in name:
                weight.zero_().requires_grad_(False)
            elif weight.ndim == 2:
                columns = config.d_model if "embed" in name else weight.shape[1]
                weight.normal_(0.0, 1 / math.sqrt(columns), generator=generator)
            else:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return decoder


def trained(decoder: Decoder) -> list[Tensor]:
    """Return the weights that learn."""
    return [weight for weight in decoder.parameters() if weight.requires_grad]


def last_logits(decoder: Decoder, ids: Tensor) -> Tensor:
    """Return the logits after the last token of each row, (B, V)."""
    n, t = ids.shape
    return decoder(decoder.rows(ids, None, torch.arange(n) * t + t - 1))


def blueprint_of(decoder: Decoder, name: str, words: Sequence[str]) -> Blueprint:
    """Return what was learned, as arrays that either set of layers can run."""
    weights = {key: weight.detach().clone().numpy() for key, weight in decoder.named_parameters()}
    return Blueprint(name, decoder.config, weights, tuple(words))
