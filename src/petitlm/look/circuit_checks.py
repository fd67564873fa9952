"""How good a circuit is: faithful, complete, minimal, on prompts that it was not chosen on.

Faithful: run alone, it does what the model does. Complete: what is left without it does nothing, and taking a part
away harms it as it harms the model. Minimal: none of its nodes can go. Source: Wang et al. 2023, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.look.circuit_steps import Mask, Task

_RESAMPLES = 2000


@dataclass(frozen=True)
class Evaluation:
    """What a circuit does on some pairs; shares are of what switching every edge off takes away."""

    n_pairs: int
    clean: float
    """Mean metric of the whole model in the clean texts."""
    empty: float
    """Mean metric with every edge off: in the corrupt texts, where ablation is by resampling."""
    circuit: float
    """Mean metric of the circuit alone."""
    faithfulness: float
    """Share that the circuit keeps."""
    interval: tuple[float, float]
    """95 % of resampled sets of pairs have a faithfulness between these."""
    worst: float
    """Smallest faithfulness of a single pair."""
    right: float
    """Share of pairs in which the circuit prefers the answer; nan without `versus`."""
    right_model: float
    """The same of the whole model."""
    without: float
    """Share that the model keeps without the circuit's edges: 0 if the circuit is complete."""
    incompleteness: float
    """Mean difference, as a share, between circuit and model when both lose the same random half of its nodes."""
    random: float
    """Mean share that as many edges drawn at random keep."""
    losses: list[tuple[str, float]]
    """For each node of the circuit: how much of the share goes when its edges go, least first."""

    @property
    def least(self) -> float:
        """What the node that does least does: minimal circuits have none that does nothing."""
        return min((loss for _, loss in self.losses), key=abs, default=0.0)


def evaluate(task: Task, mask: Mask, *, subsets: int = 10, seed: int = 0) -> Evaluation:
    """Return how good a circuit is on the pairs of a task; `subsets` random halves, and as many random circuits."""
    graph, rng = task.graph, np.random.default_rng(seed)
    alone, every = task.metrics(mask), graph.exists
    without = task.share(task.metrics(every & ~mask))
    nodes = [int(u) for u in np.flatnonzero(mask.any(0)) if u > 0]  # the embedding is where everything comes from
    halves = [rng.random(len(graph.senders)) < 0.5 for _ in range(subsets)] if nodes else []
    members = np.isin(np.arange(len(graph.senders)), nodes)
    kept = [~(half & members) for half in halves]
    gaps = [abs(task.faithfulness(mask & some) - task.faithfulness(every & some)) for some in kept]
    share = task.share(alone)
    losses = [(graph.senders[u], share - task.faithfulness(_without_node(mask, u))) for u in nodes]
    chosen = [task.faithfulness(_random(every, int(mask.sum()), rng)) for _ in range(subsets)]
    singles = (alone - task.empty) / np.where(task.clean == task.empty, np.nan, task.clean - task.empty)
    compared = all(pair.metric.versus is not None for pair in task.pairs)
    return Evaluation(
        len(task.pairs), float(task.clean.mean()), float(task.empty.mean()), float(alone.mean()), share,
        _interval(alone, task, rng), float(np.nanmin(singles)), float((alone > 0).mean()) if compared else float("nan"),
        float((task.clean > 0).mean()) if compared else float("nan"), without,
        float(np.mean(gaps)) if gaps else 0.0, float(np.mean(chosen)) if chosen else float("nan"),
        sorted(losses, key=lambda pair: abs(pair[1])))


def _without_node(mask: Mask, u: int) -> Mask:
    left = mask.copy()
    left[:, u] = False
    return left


def _random(every: Mask, n: int, rng: np.random.Generator) -> Mask:
    chosen = np.zeros(every.size, bool)
    chosen[rng.choice(np.flatnonzero(every), n, replace=False)] = True
    return chosen.reshape(every.shape)


def _interval(alone: NDArray[np.float64], task: Task, rng: np.random.Generator) -> tuple[float, float]:
    """Return the middle 95 % of the faithfulness over pairs drawn again with replacement."""
    drawn = rng.integers(len(alone), size=(_RESAMPLES, len(alone)))
    kept = alone[drawn].mean(1) - task.empty[drawn].mean(1)
    whole = task.clean[drawn].mean(1) - task.empty[drawn].mean(1)
    low, high = np.percentile(kept / np.where(np.abs(whole) < 1e-9, np.nan, whole), [2.5, 97.5])
    return float(low), float(high)
