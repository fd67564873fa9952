"""Rotary positions: each pair of features turns with its token's place in the text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float


def frequencies(config: ModelConfig) -> Float[Tensor, "P"]:
    """Return the angle, in radians per position, of each of the P = n_rotary / 2 pairs, in float32."""
    powers = torch.arange(0, config.n_rotary, 2, dtype=torch.float32, device="cpu") / config.n_rotary
    freq = 1.0 / config.rope_theta**powers
    return freq if config.rope_scaling is None else _stretch(freq, config.rope_scaling)


def _stretch(freq: Float[Tensor, "P"], scaling: RopeScaling) -> Float[Tensor, "P"]:
    """Slow the long waves down by `factor`, leave the short ones, and blend in between.

    Source: Llama 3.1's reference code; described in "The Llama 3 Herd of Models", section 3.4.2.
    """
    turns = scaling.original_ctx * freq / (2 * math.pi)  # whole waves that the first context held
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    keep = ((turns - low) / (high - low)).clamp(0, 1)  # 0: stretched fully, 1: left alone
    return (1 - keep) * freq / scaling.factor + keep * freq


def rotary_tables(config: ModelConfig) -> tuple[Float[Tensor, "C P"], Float[Tensor, "C P"]]:
    """Return cosine and sine of every pair's angle at each of the C = n_ctx positions, in float32."""
    angles = torch.arange(config.n_ctx, dtype=torch.float32, device="cpu")[:, None] * frequencies(config)
    return angles.cos(), angles.sin()


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
