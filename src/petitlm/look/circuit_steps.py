"""The steps to a circuit: score the edges, select some, run what is selected. Each can be taken alone.

    task = Task(model, make_pairs(model, pairs))
    order = select_edges(task.graph, score_edges(model, pairs, "eap-ig"))
    task.faithfulness(mask_of(order[:100]))

A circuit is a set of edges. Running it means: its edges carry what their senders compute in the clean text (from what
the circuit alone brings them), all others what their sender had in the corrupt text.

Sources: Wang et al. 2023 (IOI); Conmy et al. 2023, Towards Automated Circuit Discovery (ACDC), algorithm 1; Hanna et
al. 2024, Have Faith in Faithfulness, section 3 (greedy selection from the logits, normalized faithfulness).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_texts
from petitlm.errors import UsageError
from petitlm.look.edge_runs import EdgeRunner, Senders, ablated
from petitlm.look.edges import exact_edges
from petitlm.look.graph import LOGITS, Graph
from petitlm.look.halves import EXACT, gradient_half
from petitlm.look.models import Model
from petitlm.look.pairs import Pair
from petitlm.look.swaps import Ablation

Mask = NDArray[np.bool_]
SCORES = ("eap", "eap-ig", "exact")
Progress = Callable[[int, int, str], None]


class Task:
    """Pairs of texts, ready to be run with any circuit; metrics are means over the pairs."""

    def __init__(self, model: Model, pairs: Sequence[Pair], ablation: Ablation = "resample") -> None:
        if not pairs:
            raise UsageError("there is no pair of texts to ask with; give some")
        self.pairs = list(pairs)
        self.ablation: Ablation = ablation
        self.runner = EdgeRunner(model.runner, [pair.clean for pair in pairs])
        self.graph: Graph = self.runner.graph
        self.own: Senders = self.runner.own()
        others = EdgeRunner(model.runner, [pair.corrupt for pair in pairs]).own()
        self.off: Floats = ablated(ablation, self.own, others)
        self.clean = self._metrics(self.own.logits)
        self.empty = self._metrics(self.runner.run(np.zeros_like(self.graph.exists), self.off).logits)
        """Each pair's metric with every edge off: the corrupt text's, where ablation is by resampling."""
        whole = [trace.logits for trace in run_texts(model.runner, [pair.clean for pair in pairs])]
        self.rounding = float(np.abs(self.clean - self._metrics(np.concatenate(whole))).max())
        """Largest difference between all edges on and the model itself."""
        if not abs(self.difference) > 1e-6:
            raise UsageError("the clean texts have the same metric as when every edge is off, on average, so there is "
                             "nothing for a circuit to explain; choose texts that the model answers differently")

    @property
    def difference(self) -> float:
        """The mean metric in the clean texts minus that with every edge off."""
        return float(self.clean.mean() - self.empty.mean())

    def metrics(self, mask: Mask, start: int = 0) -> NDArray[np.float64]:
        """Return each pair's metric with the edges of a mask on; all of readers before block `start` must be on."""
        before = self.own if start else None
        return self._metrics(self.runner.run(mask, self.off, before=before, start=start).logits)

    def faithfulness(self, mask: Mask) -> float:
        """Return the share that a circuit keeps of what switching every edge off takes away: 1 is all, 0 none."""
        return self.share(self.metrics(mask))

    def share(self, metrics: NDArray[np.float64]) -> float:
        """Return how far metrics of a circuit are on the way from the empty circuit to the model, on average."""
        return float(metrics.mean() - self.empty.mean()) / self.difference

    def _metrics(self, logits: Floats) -> NDArray[np.float64]:
        return np.array([pair.metric(row) for pair, row in zip(self.pairs, logits, strict=True)])


def score_edges(model: Model, pairs: Sequence[Pair], method: str, tolerance: float = 0.02) -> NDArray[np.float64]:
    """Return how much the metric falls, on average, when each edge alone carries the corrupt text's value (R, U).

    `method` is eap or eap-ig (gradients, see `petitlm.look.gradients.edges`), or exact (a run for each edge and pair).
    Raises: UsageError for another.
    """
    if method not in SCORES:
        raise UsageError(f"method={method!r} is not known; choose one of {', '.join(SCORES)} or acdc")
    graph = Graph(model.config)
    total = np.zeros(graph.exists.shape)
    half = None if method == "exact" else gradient_half("edges", EXACT)
    layers = None if half is None else half.layers_of(model.runner)
    for pair in pairs:
        if half is None:
            scores = np.zeros_like(total)
            scores[graph.exists] = exact_edges(model, pair.clean, pair.corrupt, pair.metric,
                                               graph.edges(graph.exists))[0]
        else:
            scores = half.estimate_edges(layers, pair.clean, pair.corrupt, pair.metric, method, tolerance).scores
        total -= scores / len(pairs)
    return total


def select_edges(graph: Graph, scores: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return all edges (r, u) in the order in which they join: always the largest that feeds what has joined before.

    The first n are a circuit in which every edge leads to the logits.
    """
    waiting: list[tuple[float, int, int]] = []
    readers_of: dict[int, list[int]] = {}
    for r, reader in enumerate(graph.readers):
        for u in graph.node_of(reader):
            readers_of.setdefault(u, []).append(r)
    joined, opened, order = set[int](), set[int](), list[tuple[int, int]]()

    def open_reader(r: int) -> None:
        if r not in opened:
            opened.add(r)
            for u in np.flatnonzero(graph.exists[r]):
                heapq.heappush(waiting, (-abs(float(scores[r, u])), r, int(u)))

    open_reader(graph.readers.index(LOGITS))
    while waiting:
        _, r, u = heapq.heappop(waiting)
        order.append((r, u))
        if u not in joined:
            joined.add(u)
            for reader in readers_of.get(u, []):
                open_reader(reader)
    return order


def mask_of(graph: Graph, order: Sequence[tuple[int, int]], ablation: Ablation = "resample") -> Mask:
    """Return the mask of some edges, without those that do nothing: no path leads to them, or on from them.

    Where nothing but corrupt values reaches a sender, it says what it says in the corrupt text, on or off; with
    another ablation that is not so, and such edges stay.
    """
    mask = np.zeros_like(graph.exists)
    for r, u in order:
        mask[r, u] = True
    if ablation == "resample":
        mask = _grounded(graph, mask)
    return graph.live(mask)


def _grounded(graph: Graph, mask: Mask) -> Mask:
    """Return the mask without edges whose sender no path from the embedding reaches."""
    reached = np.zeros(len(graph.senders), bool)
    reached[0] = True
    for r, reader in enumerate(graph.readers):  # senders in the order of the pass: a reader's senders come before it
        if (mask[r] & reached).any():
            reached[graph.node_of(reader)] = True
    return mask & reached


def acdc(task: Task, threshold: float, report: Progress | None = None) -> Mask:
    """Return the circuit that is left when every edge is tried, last readers first, and removed if it hardly matters.

    An edge goes if the mean distance to the clean metrics, as a share of what switching all edges off takes away,
    grows by less than `threshold`.
    """
    graph, mask = task.graph, task.graph.exists.copy()
    scale, alive = abs(task.difference), np.zeros(len(graph.senders), bool)
    now, done, total = 0.0, 0, int(mask.sum())
    for r in range(len(graph.readers) - 1, -1, -1):
        reader = graph.readers[r]
        senders = np.flatnonzero(graph.exists[r])
        done += len(senders)
        if reader != LOGITS and not alive[graph.node_of(reader)].any():
            mask[r] = False  # nothing reads what this one feeds
            continue
        for u in senders[::-1]:
            mask[r, u] = False
            metrics = task.metrics(mask, graph.block_of(reader))
            distance = float(np.abs(metrics - task.clean).mean()) / scale
            if distance - now < threshold:
                now = distance
            else:
                mask[r, u] = True
        alive |= mask[r]
        if report is not None:
            report(done, total, reader)
    return graph.live(_grounded(graph, mask) if task.ablation == "resample" else mask)
