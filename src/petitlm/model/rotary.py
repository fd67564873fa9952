"""Rotary positions: each pair of features turns with its token's place in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from petitlm import rotary
from petitlm.config import ModelConfig
from petitlm.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float


def rotary_tables(config: ModelConfig) -> tuple[Float[Tensor, "C P"], Float[Tensor, "C P"]]:
    """Return cosine and sine of every pair's angle at each of the C = n_ctx positions, in float32."""
    cos, sin = rotary.rotary_tables(config)
    return torch.from_numpy(cos), torch.from_numpy(sin)


def apply_rotary(
    x: Float[Tensor, "... H K"], cos: Float[Tensor, "... P"], sin: Float[Tensor, "... P"]
) -> Float[Tensor, "... H K"]:
    """Rotate the first 2P features of each head by its position.

    Feature i pairs with i + P (the half-split order of GPT-NeoX); features beyond 2P pass unchanged.
    Raises: ShapeError if 2P > K.
    Source: Su et al. 2021, RoFormer, section 3.4.
    """
    n_pairs = cos.shape[-1]
    if 2 * n_pairs > x.shape[-1]:
        raise ShapeError(f"2P={2 * n_pairs} rotary features do not fit in heads of K={x.shape[-1]}; "
                         f"choose n_rotary of at most {x.shape[-1]}")
    cos, sin = cos[..., None, :].to(x.dtype), sin[..., None, :].to(x.dtype)  # one angle for all heads
    a, b, rest = x[..., :n_pairs], x[..., n_pairs : 2 * n_pairs], x[..., 2 * n_pairs :]
    return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)
