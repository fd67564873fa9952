"""Whether one model still works as another does: heads that copy or carry an answer, and the circuit of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from petitlm.errors import UsageError
from petitlm.look.circuit import circuit
from petitlm.look.circuit_steps import Task
from petitlm.look.distances import Array
from petitlm.look.heads import heads
from petitlm.look.models import Model, Text
from petitlm.look.page import scatter
from petitlm.look.pairs import make_pairs
from petitlm.look.patch import patch
from petitlm.look.results import Table

Pairs = Sequence[Sequence[Text | str | int | None]]
"""Each is a clean text, a corrupt text of as many tokens, an answer, and if there is one what it is held against."""
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


def roles_of(model: Model, reference: Model, pairs: Pairs = (), *, seed: int = 0) -> tuple[Role, ...]:
    """Return the copying roles of heads, and with pairs how much of their answers each head carries on average.

    Raises: UsageError as `heads` and `patch` do.
    """
    found = [heads(m, n_texts=2, seed=seed, compose=False) for m in (model, reference)]
    roles = [_role(kind if kind != "previous" else "previous token", "share of attention",
                   *(getattr(f, kind) for f in found)) for kind in _COPYING]
    for pair in pairs:
        if len(pair) not in (3, 4):
            raise UsageError(f"a pair has {len(pair)} parts, and must have a clean and a corrupt text, an answer, and "
                             "if there is one what the answer is held against")
    if pairs:
        effects = [np.mean([patch(m, *pair).effects.reshape(m.config.n_layers, -1)  # type: ignore[arg-type]
                            for pair in pairs], axis=0) for m in (model, reference)]
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


@dataclass(frozen=True)
class CircuitOverlap:
    """The circuits that two models have for the same pairs; faithfulness is on pairs that neither was chosen on."""

    n_edges: tuple[int, int]
    """Model, reference."""
    faithfulness: tuple[float, float]
    """Of each circuit in its own model."""
    shared_edges: float
    """Edges in both, of the edges in either."""
    shared_nodes: float
    transferred: float
    """Faithfulness, in the model, of the reference's circuit."""
    lost: list[tuple[str, str]]
    """Edges of the reference's circuit that are not in the model's, the strongest first."""
    gained: list[tuple[str, str]]
    """Edges of the model's circuit that are not in the reference's."""

    def table(self) -> Table:
        """Return the overlap, and the edges that changed."""
        rows = [["edges: model, reference", *self.n_edges], ["faithfulness: model, reference", *self.faithfulness],
                ["reference's circuit in the model", self.transferred, None],
                ["edges in both, of those in either", self.shared_edges, None],
                ["nodes in both, of those in either", self.shared_nodes, None]]
        named = [f"{word} {', '.join(f'{s} to {r}' for s, r in edges[:5])}"
                 for word, edges in (("gone:", self.lost), ("new:", self.gained)) if edges]
        return Table("The circuit of the pairs, in both", ["", "model", "reference"], rows, "; ".join(named))


def circuits_of(model: Model, reference: Model, pairs: Pairs, *, seed: int = 0) -> CircuitOverlap:
    """Find the circuit of some pairs in both models and compare them; every second pair is held out.

    Raises: UsageError as `circuit` does, as where torch is missing.
    """
    mine, theirs = (circuit(m, pairs, seed=seed, subsets=0) for m in (model, reference))
    a, b = set(mine.edges), set(theirs.edges)
    judge = Task(model, make_pairs(model, pairs)[1::2])
    return CircuitOverlap((len(a), len(b)), (mine.held_out.faithfulness, theirs.held_out.faithfulness), _shared(a, b),
                          _shared(set(mine.nodes), set(theirs.nodes)), judge.faithfulness(judge.graph.mask(b)),
                          [edge for edge in theirs.edges if edge not in a],
                          [edge for edge in mine.edges if edge not in b])


def _shared(a: set[Any], b: set[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0
