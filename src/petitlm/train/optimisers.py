"""Muon for the hidden matrices, AdamW for the rest, and one schedule for both."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from petitlm.train.muon import Muon
from petitlm.train.recipe import TrainConfig


def schedule(progress: float, warmup: float, decay: float) -> float:
    """Return the rate's factor, 0 to 1, after this share of the budget: rise, stay, fall.

    The fall is 1 - sqrt, which ends lower than a line does.
    Source: Hu et al. 2024 (MiniCPM: warm-up, stable, decay); Hägele et al. 2024 for the shape.
    """
    if progress < warmup:
        return progress / warmup
    if progress <= 1 - decay:
        return 1.0
    return max(0.0, 1 - ((progress - 1 + decay) / decay) ** 0.5)


@dataclass(frozen=True)
class Optimisers:
    """The two optimisers of a run, stepped together."""

    muon: Muon
    adamw: torch.optim.AdamW
    config: TrainConfig

    def step(self, factor: float) -> None:
        """Move the weights by their gradients, with both rates scaled by `factor`, and clear the gradients."""
        for optimiser, rate in ((self.muon, self.config.muon_rate), (self.adamw, self.config.rate)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
        self.clear()

    def clear(self) -> None:
        """Drop the gradients."""
        self.muon.zero_grad(set_to_none=True)
        self.adamw.zero_grad(set_to_none=True)


def make_optimisers(decoder: nn.Module, config: TrainConfig, dtype: torch.dtype) -> Optimisers:
    """Give each parameter to its optimiser; `dtype` is that of Muon's matrix products.

    Muon orthogonalises a matrix's update, which is meant for maps between hidden spaces: tables of
    vectors (embedding, positions, head) and one-dimensional parameters stay with AdamW, undecayed.
    """
    hidden, rest = [], []
    for name, weight in decoder.named_parameters():
        (hidden if weight.ndim == 2 and name.startswith("blocks.") else rest).append(weight)
    muon = Muon(hidden, lr=config.muon_rate, weight_decay=config.weight_decay, dtype=dtype)
    adamw = torch.optim.AdamW(rest, lr=config.rate, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
    return Optimisers(muon, adamw, config)
