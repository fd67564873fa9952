"""Decoder: the torch layers of one model, run by the forward pass of `petitlm.decoder`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from petitlm.config import ModelConfig
from petitlm.decoder import NO_TAP, Layers, Tap, forward
from petitlm.errors import ContextError, ShapeError
from petitlm.model.batch import Cache, Rows, Slots
from petitlm.model.layers import Block, Linear, Norm, Table
from petitlm.model.rotary import rotary_tables

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Decoder(nn.Module):
    """Weights under petit's own names, and the layers that `petitlm.decoder.forward` asks for.

    A tied head *is* the embedding: one parameter, counted once, named `embed.weight`.
    Weights are not set on construction: load them, or call `initialise`.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Table(config.n_vocab, config.d_model, "ids")
        if config.positions == "learned":
            self.pos_embed = Table(config.n_ctx, config.d_model, "positions")
        else:
            cos, sin = rotary_tables(config)
            self.register_buffer("cos", cos, persistent=False)
            self.register_buffer("sin", sin, persistent=False)
        self.blocks: Sequence[Block] = nn.ModuleList(Block(config, i) for i in range(config.n_layers))  # type: ignore[assignment]
        self.ln_final = Norm(config)
        self.unembed = Linear(config.n_vocab, config.d_model, config.unembed_bias)
        if config.tied:
            self.unembed.weight = self.embed.weight

    def logits(self, ids: Int[Tensor, "B T"], tap: Tap = NO_TAP) -> Float[Tensor, "B T V"]:
        """Return the logits of every position.

        Raises: ContextError if T > n_ctx; ShapeError if ids are not two-dimensional.
        """
        return self(self.rows(ids), tap)

    def forward(self, batch: Rows | Slots, tap: Tap = NO_TAP) -> Tensor:
        """Return the logits that the batch wants: (B, T, V), or (M, V) if it names M tokens."""
        return forward(self.config, cast("Layers", self), batch, tap)

    def rows(
        self, ids: Int[Tensor, "B T"], cache: Cache | None = None, wanted: Int[Tensor, "M"] | None = None
    ) -> Rows:
        """Return a batch of rows that begin at position 0, or after what the cache holds.

        Raises: ContextError, ShapeError, as `logits`.
        """
        if ids.ndim != 2:
            raise ShapeError(f"ids have shape {tuple(ids.shape)}; give (rows, positions), such as ids[None]")
        start = 0 if cache is None else cache.length
        end = start + ids.shape[1]
        if end > self.config.n_ctx:
            raise ContextError(f"{end} tokens do not fit in n_ctx={self.config.n_ctx}; give a shorter text")
        positions = torch.arange(start, end, device=ids.device)
        return Rows(ids, positions.expand(ids.shape), self._angles(positions), cache, wanted)

    def slots(
        self, ids: Int[Tensor, "N"], positions: Int[Tensor, "N"], members: Sequence[tuple[Cache, Tensor]],
        wanted: Int[Tensor, "M"] | None = None,
    ) -> Slots:  # fmt: skip
        """Return a flattened batch; see `Slots`."""
        return Slots(ids, positions, self._angles(positions), members, wanted)

    def select(self, x: Tensor, batch: Rows | Slots) -> Tensor:
        """Keep the tokens whose logits are asked for: (..., D) -> (M, D), or all of x."""
        return x if batch.wanted is None else x.flatten(0, -2)[batch.wanted]

    def initialise(self, seed: int) -> None:
        """Draw matrices from N(0, 0.02^2); biases 0, norms 1.

        Projections that add to the residual stream get 0.02 / sqrt(2 L), so that its variance does not
        grow with depth (Radford et al. 2019, GPT-2, section 2.3).
        """
        residual, generator = 0.02 / math.sqrt(2 * self.config.n_layers), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim == 2:
                    std = residual if name.endswith(("attn.o.weight", "mlp.down.weight")) else 0.02
                    weight.normal_(0.0, std, generator=generator)
                else:
                    weight.fill_(1.0 if name.endswith("weight") else 0.0)

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.config.positions == "learned":
            return None
        return self.cos[positions], self.sin[positions]
