"""Circuits: the few edges that suffice for what a model does on some prompts, and how well they do on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from petitlm.errors import UsageError
from petitlm.look.circuit_checks import Evaluation, evaluate
from petitlm.look.circuit_steps import Mask, Progress, Task, acdc, mask_of, score_edges, select_edges
from petitlm.look.edges import graph_parts
from petitlm.look.graph import Edge, Graph
from petitlm.look.models import Model
from petitlm.look.pairs import make_pairs, plain_pairs
from petitlm.look.results import Check, Evidence, Result, Table, about
from petitlm.look.swaps import Ablation

METHODS = ("eap-ig", "eap", "exact", "acdc")
_DRAWN = 60  # edges in the drawing
_ABLATED = {"resample": "the corrupt text's value (resample ablation)", "zero": "zero (zero ablation)",
            "mean": "the mean over all corrupt texts and positions (mean ablation)"}


@dataclass(frozen=True)
class Circuit(Result):
    """Edges, how they were chosen, and what they do on prompts that they were not chosen on."""

    evidence: ClassVar[Evidence] = "intervention"
    method: str
    ablation: str
    edges: list[Edge]
    """(sender, reader), by size of score, or of effect for acdc."""
    scores: list[float]
    """Fall of the metric when the edge alone is ablated; as the method says it."""
    n_edges: int
    """Edges that the model has."""
    nodes: list[str]
    curve: list[tuple[int, float]]
    """(edges, faithfulness) on the pairs that the circuit was chosen on; empty for acdc."""
    chosen_on: int
    """Pairs that the circuit was chosen on."""
    fit: float
    """Faithfulness on them."""
    held_out: Evaluation

    @property
    def unexplained(self) -> float:
        """The share of the difference, on held-out prompts, that the circuit does not account for."""
        return 1 - self.held_out.faithfulness

    def tables(self) -> list[Table]:
        e = self.held_out
        facts: list[list[Any]] = [
            ["faithfulness: kept by the circuit alone", e.faithfulness],
            ["… 95 % interval, from", e.interval[0]], ["… to", e.interval[1]], ["… worst pair", e.worst],
            ["unexplained share", self.unexplained], ["kept without the circuit", e.without],
            ["incompleteness: circuit against model", e.incompleteness],
            ["minimality: least that a node does", e.least], ["kept by as many random edges", e.random],
            ["answer preferred: circuit", e.right], ["answer preferred: model", e.right_model],
            ["faithfulness where it was chosen", self.fit]]
        rows = [[s, r, score] for (s, r), score in zip(self.edges, self.scores, strict=True)][:20]
        what = f"{len(self.edges)} of {self.n_edges} edges, {len(self.nodes)} nodes, by {self.method}"
        return [
            Table(what, ["", "value"],
                  [[name, value] for name, value in facts if not (isinstance(value, float) and np.isnan(value))],
                  f"{e.n_pairs} held-out pairs, chosen on {self.chosen_on} others; an edge that is off carries "
                  f"{_ABLATED[self.ablation]}"),
            Table("Largest edges", ["from", "to", "score"], rows),
            Table("What goes with each node", ["node", "share"], [list(pair) for pair in e.losses[::-1]][:20])]

    def charts(self) -> list[str]:
        from petitlm.look.page import bars, graph, lines

        shown = list(zip(self.edges, self.scores, strict=True))[:_DRAWN]
        drawn = [graph(f"The circuit: its {len(shown)} largest edges",
                       *graph_parts([edge for edge, _ in shown], [score for _, score in shown]))]
        curve = [(n, f) for n, f in self.curve if n <= 8 * len(self.edges)]  # beyond that it is level
        if len(curve) > 1:
            drawn.append(lines("How many edges it takes", [n for n, _ in curve],
                               {"faithfulness": [f for _, f in curve]}, x_label="edges",
                               y_label="share of the difference kept"))
        losses = self.held_out.losses[::-1]
        return [*drawn, bars("What goes with each node", [n for n, _ in losses], [x for _, x in losses],
                             unit="share of the difference")]


def circuit(model: Model, pairs: Sequence[Any], held_out: Sequence[Any] | None = None, *, method: str = "eap-ig",
            size: int | None = None, target: float = 0.85, threshold: float = 0.01, ablation: Ablation = "resample",
            subsets: int = 10, seed: int = 0, tolerance: float = 0.02, report: Progress | None = None) -> Circuit:
    """Find a circuit for some pairs of texts and say how good it is on others.

    A pair is (clean, corrupt, answer, versus), texts of one length. `held_out` are the pairs it is judged on; None
    takes every second one of `pairs`. `method` scores edges by eap-ig, eap or exact and takes the `size` best, or as
    few as come within 1 - `target` of doing on `pairs` what the model does; acdc removes every edge that changes less
    than `threshold`. What an edge carries that is off is for `ablation` to say: resample, zero or mean; scores are
    taken against the corrupt texts in any case, so with zero or mean acdc is the better choice.
    Raises: UsageError, naming the pair that cannot be used.
    """
    if method not in METHODS:
        raise UsageError(f"method={method!r} is not known; choose one of {', '.join(METHODS)}")
    if size is not None and method == "acdc":
        raise UsageError("acdc decides by itself how many edges stay; leave size out, or choose a threshold")
    if not 0 < target <= 1 or not threshold > 0:
        raise UsageError(f"target={target}, threshold={threshold}: give a target above 0 and up to 1, and a threshold "
                         "above 0")
    asked = about(model, "circuit", pairs=plain_pairs(pairs),
                  held_out=None if held_out is None else plain_pairs(held_out), method=method, size=size,
                  target=target, threshold=threshold, ablation=ablation, subsets=subsets, seed=seed,
                  tolerance=tolerance)
    n_edges = int(Graph(model.config).exists.sum())
    if size is not None and not 1 <= size <= n_edges:
        raise UsageError(f"size={size}: this model has {n_edges} edges; choose from 1 to {n_edges}")
    chosen_on = make_pairs(model, pairs)
    if held_out is None and len(pairs) < 2:
        raise UsageError("a circuit is judged on pairs that it was not chosen on; give at least two")
    judged_on = chosen_on[1::2] if held_out is None else make_pairs(model, held_out, "held-out pair")
    chosen_on = chosen_on[::2] if held_out is None else chosen_on
    task, judge = Task(model, chosen_on, ablation), Task(model, judged_on, ablation)
    graph, curve = task.graph, list[tuple[int, float]]()
    if method == "acdc":
        mask = acdc(task, threshold, report)
        scores = _acdc_scores(task, mask)
    else:
        scores = score_edges(model, chosen_on, method, tolerance)
        mask, curve = _smallest(task, select_edges(graph, scores), size, target)
    edges, of = graph.edges(mask), scores[mask & graph.exists]
    order = np.argsort(-np.abs(of), kind="stable")
    found = evaluate(judge, mask, subsets=subsets, seed=seed)
    return Circuit(asked, method, ablation, [edges[i] for i in order], [float(of[i]) for i in order],
                   n_edges, graph.nodes(mask), curve, len(chosen_on), task.faithfulness(mask), found,
                   checks=_checks(found, judge, 1 - target if size is None and method != "acdc" else None))


def _smallest(task: Task, order: Sequence[tuple[int, int]], size: int | None,
              target: float) -> tuple[Mask, list[tuple[int, float]]]:
    """Return the smallest circuit in the order that is good enough, or of a size; and the faithfulness of all tried."""
    sizes = sorted({*(round(1.5**k) for k in range(3, 60) if 1.5**k < len(order)), len(order), size or 1})
    curve: dict[int, float] = {}

    def good(n: int) -> bool:
        curve[n] = task.faithfulness(mask_of(task.graph, order[:n], task.ablation))
        return abs(1 - curve[n]) <= 1 - target

    enough = [good(n) for n in sizes]
    if size is None:
        first = enough.index(True) if True in enough else len(sizes) - 1  # all edges on are the model itself
        low, size = sizes[first - 1] if first else 0, sizes[first]
        while size - low > 1:  # sizes between two that were tried
            middle = (low + size) // 2
            low, size = (low, middle) if good(middle) else (middle, size)
    return mask_of(task.graph, order[:size], task.ablation), sorted(curve.items())


def _acdc_scores(task: Task, mask: Mask) -> NDArray[np.float64]:
    """Return how much the mean metric of the circuit falls without each of its edges (R, U)."""
    scores, whole = np.zeros(mask.shape), task.metrics(mask).mean()
    for r, u in np.argwhere(mask):
        left = mask.copy()
        left[r, u] = False
        scores[r, u] = whole - task.metrics(left).mean()
    return scores


def _checks(found: Evaluation, judge: Task, bound: float | None) -> tuple[Check, ...]:
    return (Check("unexplained share on held-out pairs", 1 - found.faithfulness, bound),
            Check("kept without the circuit", found.without, None, "0 if nothing else does the same"),
            Check("all edges on, against the model's own runs", judge.rounding, None, "largest, in the metric's unit"))
