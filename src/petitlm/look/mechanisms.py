"""Whether the heads of one model still do what those of another do: copy, and carry an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from petitlm.errors import UsageError
from petitlm.look.distances import Array
from petitlm.look.heads import heads
from petitlm.look.models import Model, Text
from petitlm.look.page import scatter
from petitlm.look.patch import patch
from petitlm.look.results import Table

Task = Sequence[Text | str | int | None]
"""What heads carry: clean text, corrupt text, answer, and if there is one the answer that it is held against."""
_COPYING = ("previous", "duplicate", "induction")
_STRONGEST = 0.1  # share of all heads, at least one


@dataclass(frozen=True)
class Role:
    """How much each head (L, H) does of one thing, in both models."""

    name: str
    unit: str
    model: Array
    reference: Array
    correlation: float
    """Of the two, over all heads; 1 where both do nothing."""
    shared: float
    """Share of the reference's strongest tenth of heads that are in the model's strongest tenth."""

    def row(self) -> list[str | float]:
        """Return what a table says of it: the head that changed most comes last."""
        change = self.model - self.reference
        at = int(np.abs(change).argmax())
        layer, head = divmod(at, change.shape[1])
        return [self.name, self.correlation, self.shared, f"{layer}.{head}", float(self.reference.flat[at]),
                float(self.model.flat[at])]

    def chart(self) -> str:
        """Draw each head's two numbers against each other."""
        n = self.model.shape[1]
        points = [(f"{i // n}.{i % n}", float(x), float(y))
                  for i, (x, y) in enumerate(zip(self.reference.flat, self.model.flat, strict=True))]
        return scatter(f"{self.name}, head by head", points, f"reference, {self.unit}", f"model, {self.unit}")


def roles_of(model: Model, reference: Model, task: Task | None = None, *, seed: int = 0) -> tuple[Role, ...]:
    """Return the copying roles of heads, and with a task how much of its answer each head carries.

    Raises: UsageError as `heads` and `patch` do.
    """
    found = [heads(m, n_texts=2, seed=seed, compose=False) for m in (model, reference)]
    roles = [_role(kind if kind != "previous" else "previous token", "share of attention",
                   *(getattr(f, kind) for f in found)) for kind in _COPYING]
    if task is not None:
        if len(task) not in (3, 4):
            raise UsageError(f"a task has {len(task)} parts, and must have a clean and a corrupt text, an answer, and "
                             "if there is one the answer that it is held against")
        effects = [patch(m, *task).effects.reshape(m.config.n_layers, -1)  # type: ignore[arg-type]
                   for m in (model, reference)]
        roles.append(_role("carries the answer", "effect of patching", *effects))
    return tuple(roles)


def _role(name: str, unit: str, model: Array, reference: Array) -> Role:
    x, y = (np.asarray(v, np.float64).ravel() for v in (model, reference))
    spread = float(np.linalg.norm(x - x.mean()) * np.linalg.norm(y - y.mean()))
    correlation = float((x - x.mean()) @ (y - y.mean())) / spread if spread else float(np.array_equal(x, y))
    n = max(1, round(_STRONGEST * x.size))
    mine, theirs = (set(np.argsort(-np.abs(v), kind="stable")[:n].tolist()) for v in (x, y))
    return Role(name, unit, np.asarray(model, np.float64), np.asarray(reference, np.float64), correlation,
                len(mine & theirs) / n)


def roles_table(roles: Sequence[Role]) -> Table:
    """Return how far the roles agree."""
    return Table("What heads do, in both", ["role", "correlation", "strongest shared", "changed most", "reference",
                                            "model"], [role.row() for role in roles],
                 "shared: of the strongest tenth of the reference's heads")
