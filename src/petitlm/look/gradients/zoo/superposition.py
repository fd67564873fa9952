"""T1: features in superposition (Elhage et al. 2022, Toy Models of Superposition, sections 2 and 3).

x (n features) -> W x (m dimensions) -> relu(W^T W x + b): with features seldom on, more than m of them are kept, at
angles that are known: m = 2 keeps the two most important when all are on, four in two antipodal pairs, or five in a
pentagon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

N_FEATURES, N_DIMENSIONS = 5, 2


@dataclass(frozen=True)
class Superposition:
    """What a toy model learned."""

    weight: NDArray[np.float32]
    """W^T, one row for each feature: (n, m)."""

    @property
    def norms(self) -> NDArray[np.float32]:
        """Length of each feature's row, (n,)."""
        return np.linalg.norm(self.weight, axis=1)

    @property
    def dimensionality(self) -> NDArray[np.float32]:
        """Share of a dimension that each feature has: |w|^2 / sum over j of (w/|w| . w_j)^2, (n,); section 3.2."""
        w, norms = self.weight, self.norms
        unit = np.divide(w, norms[:, None], out=np.zeros_like(w), where=norms[:, None] > 0)
        shared = ((unit @ w.T) ** 2).sum(1)
        return np.divide(norms**2, shared, out=np.zeros_like(norms), where=shared > 0)

    def gaps(self, least: float = 0.5) -> NDArray[np.float64]:
        """Return the angles between neighbouring features of at least this length, in degrees (m = 2)."""
        kept = self.weight[self.norms >= least].astype(np.float64)
        angles = np.sort(np.degrees(np.arctan2(kept[:, 1], kept[:, 0])))
        return np.diff(angles, append=angles[:1] + 360)


def superposition(seed: int, sparsity: float, importance: Sequence[float] = (1.0,) * N_FEATURES, *,
                  n_steps: int = 3000, batch: int = 512, copies: int = 4) -> Superposition:
    """Train some copies and return the one with the smallest loss at the end; a few CPU seconds.

    Each feature is 0 with probability `sparsity` and else even in 0..1. A single copy may stay in a local minimum: at
    0.9 about one in three keeps four features in pairs, and a little of the fifth, instead of the pentagon.
    """
    generator, n = torch.Generator().manual_seed(seed), len(importance)
    w = (0.5 * torch.randn(copies, n, N_DIMENSIONS, generator=generator)).requires_grad_()
    b = torch.zeros(copies, 1, n, requires_grad=True)
    weighed, recent = torch.tensor(importance), torch.zeros(copies)
    optimiser = torch.optim.Adam([w, b], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for _ in range(n_steps):
        x = torch.rand(batch, n, generator=generator) * (torch.rand(batch, n, generator=generator) >= sparsity)
        losses = (weighed * (x - torch.relu(x @ w @ w.mT + b)) ** 2).sum(-1).mean(-1)
        recent = 0.99 * recent + 0.01 * losses.detach()
        optimiser.zero_grad()
        losses.sum().backward()
        optimiser.step()
        schedule.step()
    return Superposition(w[recent.argmin()].detach().numpy())
