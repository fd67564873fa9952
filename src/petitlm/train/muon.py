"""Muon with all matrices of one shape orthogonalised together.

`torch.optim.Muon` takes one matrix at a time. At the sizes trained on a CPU that costs more than the
model's own forward and backward pass; the same arithmetic in batched products costs a fifth (docs/log.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from petitlm.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

# A fifth-degree polynomial that is steep at 0 and stays near 1 around 1; source: Jordan et al. 2024, Muon.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalise(x: Float[Tensor, "N R C"]) -> Float[Tensor, "N R C"]:
    """Return matrices with the singular vectors of `x` and singular values near 1 (0.7 to 1.2), R <= C.

    bfloat16 is exact enough: an error here only turns a step a little.
    Source: Jordan et al. 2024, Muon: Newton-Schulz iteration.
    """
    a, b, c = COEFFICIENTS
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """Momentum, then an orthogonal step; the rate is scaled so that steps are as long as AdamW's.

    Source: Jordan et al. 2024; the scaling 0.2 sqrt(max(R, C)) from Liu et al. 2025, "Muon is Scalable
    for LLM Training", section 2.2.
    Raises: ShapeError for parameters that are no matrices.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95,
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self._dtype = dtype  # of the orthogonalisation; momentum and weights keep theirs
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ShapeError(f"a parameter of shape {tuple(p.shape)} is no matrix; give it to AdamW")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[min(p.shape), max(p.shape)].append(p)
            for shape, params in alike.items():
                self._step_alike(params, shape, **{k: group[k] for k in ("lr", "weight_decay", "momentum")})

    def _step_alike(self, params: list[nn.Parameter], shape: tuple[int, int], lr: float, weight_decay: float,
                    momentum: float) -> None:
        updates = []
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - momentum)
            update = p.grad.lerp(state["momentum"], momentum)  # Nesterov's look ahead
            updates.append(update if tuple(p.shape) == shape else update.T)
        for p, update in zip(params, orthogonalise(torch.stack(updates).to(self._dtype)), strict=True):
            p.mul_(1 - lr * weight_decay)
            update = update if tuple(p.shape) == shape else update.T
            p.add_(update.to(p.dtype), alpha=-lr * 0.2 * shape[1] ** 0.5)
