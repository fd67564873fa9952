"""What the torch layers are given to run: which tokens, at which positions, with which past.

B rows, T new positions, S positions in all (past and new), H heads, G kv heads, K head features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from petitlm.decoder import Tap

if TYPE_CHECKING:
    from jaxtyping import Float, Int

KeysValues = tuple["Float[Tensor, 'B S G K']", "Float[Tensor, 'B S G K']"]


@dataclass
class Cache:
    """Keys and values of B rows that are all equally long, for each block."""

    blocks: dict[int, KeysValues] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Positions kept so far, S."""
        return self.blocks[0][0].shape[1] if self.blocks else 0

    def extend(self, block: int, k: Tensor, v: Tensor) -> KeysValues:
        """Append new keys and values of one block and return all of them."""
        if block in self.blocks:
            old_k, old_v = self.blocks[block]
            k, v = torch.cat((old_k, k), dim=1), torch.cat((old_v, v), dim=1)
        self.blocks[block] = (k, v)
        return k, v


@dataclass
class Rows:
    """A rectangle of tokens, row by row; each row continues its own past, if there is a cache.

    Rows shorter than T are padded on the right: no position sees a later one, so padding is never
    seen and needs no mask.
    """

    ids: Int[Tensor, "B T"]
    positions: Int[Tensor, "B T"]
    angles: tuple[Float[Tensor, "T P"], Float[Tensor, "T P"]] | None
    """Cosine and sine of the rotary angles; None with learned positions."""
    cache: Cache | None = None
    wanted: Int[Tensor, "M"] | None = None
    """Indices into the B x T tokens whose logits are asked for; None: all, as (B, T, V)."""

    def attend(
        self, block: int, q: Float[Tensor, "B T H K"], k: Float[Tensor, "B T G K"], v: Float[Tensor, "B T G K"],
        tap: Tap, at: str,
    ) -> Float[Tensor, "B T H K"]:  # fmt: skip
        """Mix the values that each position may see: its own and all before it.

        `hook_attn_scores` and `hook_pattern` are (B, H, T, S); scores that may not be seen are -inf.
        """
        if self.cache is not None:
            k, v = self.cache.extend(block, k, v)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # heads first
        scores = causal_scores(q, k)
        if tap.wants(at + "hook_attn_scores"):
            scores = tap(at + "hook_attn_scores", scores)
        pattern = scores.softmax(-1)
        if tap.wants(at + "hook_pattern"):
            pattern = tap(at + "hook_pattern", pattern)
        return mix_values(pattern, v).transpose(1, 2)


@dataclass
class Slots:
    """A run of N tokens from any number of sequences, each continuing the cache of its own slot.

    It has the shapes of the engine's flattened batches, so that one tap or edit fits both.
    """

    ids: Int[Tensor, "N"]
    positions: Int[Tensor, "N"]
    angles: tuple[Float[Tensor, "N P"], Float[Tensor, "N P"]] | None
    """Cosine and sine of the rotary angles; None with learned positions."""
    members: Sequence[tuple[Cache, Int[Tensor, "T"]]]
    """For each sequence: its cache (of one row), and which of the N tokens are its own, in order."""
    wanted: Int[Tensor, "M"] | None = None

    def attend(
        self, block: int, q: Float[Tensor, "N H K"], k: Float[Tensor, "N G K"], v: Float[Tensor, "N G K"],
        tap: Tap, at: str,
    ) -> Float[Tensor, "N H K"]:  # fmt: skip
        """Mix the values of each token's own sequence, its own and all before it.

        `hook_attn_scores` and `hook_pattern` are (H, N, S) with S the longest sequence's length;
        scores that may not be seen are -inf, beyond a shorter sequence's end too.
        """
        past = [cache.extend(block, k[rows][None], v[rows][None]) for cache, rows in self.members]
        n, h, _ = q.shape
        longest = max(keys.shape[1] for keys, _ in past)
        scores = q.new_full((h, n, longest), float("-inf"), dtype=_wide(q.dtype))
        for (_, rows), (keys, _) in zip(self.members, past, strict=True):
            seen = causal_scores(q[rows].transpose(0, 1), keys[0].transpose(0, 1))  # H T S
            scores[:, rows, : keys.shape[1]] = seen
        if tap.wants(at + "hook_attn_scores"):
            scores = tap(at + "hook_attn_scores", scores)
        pattern = scores.softmax(-1)
        if tap.wants(at + "hook_pattern"):
            pattern = tap(at + "hook_pattern", pattern)
        z = torch.empty_like(q)
        for (_, rows), (_, values) in zip(self.members, past, strict=True):
            own = pattern[:, rows, : values.shape[1]]
            z[rows] = mix_values(own, values[0].transpose(0, 1)).transpose(0, 1).to(z.dtype)
        return z


def causal_scores(q: Float[Tensor, "... H T K"], k: Float[Tensor, "... G S K"]) -> Float[Tensor, "... H T S"]:
    """Return scaled dot products, -inf where the key lies after the query; the T queries are the last of S.

    In float32 at least: phi's scores overflow float16 (transformers issue 28488 and kin).
    """
    wide = _wide(q.dtype)
    n_new, n_all = q.shape[-2], k.shape[-2]
    scores = (q.to(wide) * q.shape[-1] ** -0.5) @ _share(k, q).to(wide).transpose(-1, -2)
    later = torch.ones(n_new, n_all, dtype=torch.bool, device=q.device).triu(n_all - n_new + 1)
    return scores.masked_fill(later, float("-inf"))


def mix_values(pattern: Float[Tensor, "... H T S"], v: Float[Tensor, "... G S K"]) -> Float[Tensor, "... H T K"]:
    """Average the values by attention probabilities; the result has the type of the values."""
    return (pattern @ _share(v, pattern).to(pattern.dtype)).to(v.dtype)


def _share(x: Tensor, like: Tensor) -> Tensor:
    """Repeat each kv head for the query heads of its group: (..., G, S, K) -> (..., H, S, K)."""
    group = like.shape[-3] // x.shape[-3]
    return x if group == 1 else x.repeat_interleave(group, dim=-3)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
