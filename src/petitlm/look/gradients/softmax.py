"""A softmax whose backward pass knows where the scores are going.

Attention that is sure of itself has a gradient of zero, however much another query or key would change it: plain
attribution patching does not see such effects. Between two runs with scores a and b and patterns p and q the exact
change is known: q - p = L (d - m), where d = b - a, L is the logarithmic mean of p and q, element by element, and
m = sum(L d) / sum(L). So the matrix diag(L) - L L^T / sum(L) in place of the softmax's Jacobian diag(p) - p p^T
carries a change of all scores to the very change of the pattern, and is that Jacobian where a = b.

Source: the recomputed softmax is that of AtP* (Kramár et al. 2024, arXiv 2403.00745, section 3.1), for changes that
come from anywhere upstream; a matrix that maps a difference to a difference is the rescale rule of DeepLIFT (Shrikumar
et al. 2017). That the logarithmic mean makes it exact: log q - log p = d - log(Z_b / Z_a), and sum(q - p) = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def log_mean(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return the logarithmic mean (q - p) / (log q - log p) of two patterns given by their logarithms; 0 where either
    is 0."""
    half, middle = (log_q - log_p) / 2, (log_q + log_p) / 2
    near = middle.exp() * (1 + half**2 / 6 + half**4 / 120)  # sinh(x) / x, where the quotient would cancel
    far = (log_q.exp() - log_p.exp()) / (2 * half)
    mean = torch.where(half.abs() < 1e-2, near, far)
    return torch.where(torch.isfinite(log_p) & torch.isfinite(log_q), mean, torch.zeros_like(mean))


class _Secant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, mean: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(mean)
        return scores.softmax(-1)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None]:
        (mean,), g = ctx.saved_tensors, outputs[0]
        average = (mean * g).sum(-1, keepdim=True) / mean.sum(-1, keepdim=True)
        return mean * (g - average), None


def secant_softmax(base: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> Callable[[str, Tensor], Tensor]:
    """Return a softmax whose backward pass aims at the source's patterns; scores by name of tap, (H, T, S)."""
    def softmax(name: str, scores: Tensor) -> Tensor:
        at = name.replace("hook_pattern", "hook_attn_scores")
        mean = log_mean(base[at].log_softmax(-1), source[at].log_softmax(-1))
        return _Secant.apply(scores, mean.expand(scores.shape))

    return softmax
