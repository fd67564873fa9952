"""The torch layers that `petitlm.decoder.forward` calls, one small module each.

Shapes as there: `...` is (B, T) for rows and (N,) for slots. Parameters are named as
`ModelConfig.tensor_shapes` names them; matrices are (out, in).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petitlm.config import Activation, ModelConfig
from petitlm.decoder import Tap
from petitlm.model.batch import Rows, Slots
from petitlm.model.rotary import apply_rotary

if TYPE_CHECKING:
    from jaxtyping import Float

Batch = Rows | Slots

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
}


class Table(nn.Module):
    """One learned vector for each token id, or for each position."""

    def __init__(self, rows: int, width: int, key: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))
        self.key = key  # which of the batch's numbers choose the rows: ids or positions

    def forward(self, batch: Batch) -> Float[Tensor, "... D"]:
        return F.embedding(getattr(batch, self.key), self.weight)


class Linear(nn.Module):
    """x @ weight.T + bias, with the head axis of input or output folded away or unfolded."""

    def __init__(self, n_out: int, n_in: int, bias: bool, *, heads_in: bool = False, heads_out: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))
        self.bias = nn.Parameter(torch.empty(n_out)) if bias else None
        self.heads_in, self.heads_out = heads_in, heads_out

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x.flatten(-2) if self.heads_in else x, self.weight, self.bias)
        return y.unflatten(-1, (self.heads_out, -1)) if self.heads_out else y


class Norm(nn.Module):
    """LayerNorm (weight and bias) or RMSNorm (weight only) over the last axis."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.weight = nn.Parameter(torch.empty(config.d_model))
        self.bias = nn.Parameter(torch.empty(config.d_model)) if config.norm == "layer" else None

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        if self.bias is not None:
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Query, key, value and output projections; which keys are seen is the batch's to say."""

    def __init__(self, config: ModelConfig, block: int) -> None:
        super().__init__()
        d, h, g, k = config.d_model, config.n_heads, config.n_kv_heads, config.d_head
        self.block = block
        self.q = Linear(h * k, d, config.qkv_bias, heads_out=h)
        self.k = Linear(g * k, d, config.qkv_bias, heads_out=g)
        self.v = Linear(g * k, d, config.qkv_bias, heads_out=g)
        self.o = Linear(d, h * k, config.out_bias, heads_in=True)

    def rotate(self, x: Float[Tensor, "... H K"], batch: Batch) -> Float[Tensor, "... H K"]:
        """Turn the rotary features of queries or keys by their positions."""
        assert batch.angles is not None, "a rotary model makes its batches with angles"
        return apply_rotary(x, *batch.angles)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, batch: Batch, tap: Tap, at: str) -> Float[Tensor, "... H K"]:
        """Keep k and v if the batch has a cache, and mix the values that each query may see."""
        return batch.attend(self.block, q, k, v, tap, at)


class MLP(nn.Module):
    """Widen, bend, narrow; a gated one bends a second projection and multiplies."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, f, bias = config.d_model, config.d_mlp, config.mlp_bias
        self.activation: Activation = config.activation
        if config.gated_mlp:
            self.gate = Linear(f, d, bias)
        self.up = Linear(f, d, bias)
        self.down = Linear(d, f, bias)

    def activate(self, x: Float[Tensor, "... F"]) -> Float[Tensor, "... F"]:
        """Apply the config's non-linearity."""
        return _ACTIVATIONS[self.activation](x)


class Block(nn.Module):
    """One decoder block: its norms, its attention, its MLP."""

    def __init__(self, config: ModelConfig, block: int) -> None:
        super().__init__()
        self.ln1 = Norm(config)
        if not config.parallel_block:
            self.ln2 = Norm(config)
        self.attn = Attention(config, block)
        self.mlp = MLP(config)
