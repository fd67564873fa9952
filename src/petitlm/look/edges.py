"""Edges: how much of an effect each pair of a sender and a reader carries, estimated for all or run one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.runs import run_text
from petitlm.errors import UsageError
from petitlm.look.edge_runs import EdgeRunner
from petitlm.look.graph import Edge, Graph
from petitlm.look.halves import EXACT, gradient_half
from petitlm.look.models import Metric, Model, Text, make_metric
from petitlm.look.patch import metric_text
from petitlm.look.results import Check, Evidence, Result, Table, about
from petitlm.look.swaps import Into, Swap

EDGE_METHODS = ("eap", "eap-ig", "exact")
_SHOWN = 20
_DRAWN = 40  # edges in a drawing


@dataclass(frozen=True)
class AttributedEdges(Result):
    """What changing each edge alone does to the metric: its sender's output, as one reader reads it."""

    evidence: ClassVar[Evidence] = "approximation"
    metric: dict[str, Any]
    into: str
    method: str
    base: float
    source: float
    edges: list[Edge]
    """(sender, reader), largest first."""
    scores: list[float]
    """Of each edge, in the metric's unit; exact if that is the method."""
    steps: int
    confirmed: list[tuple[str, str, float, float]]
    """(sender, reader, score, exact) of the edges that were run."""

    def tables(self) -> list[Table]:
        exact = {(s, r): x for s, r, _, x in self.confirmed}
        shown = list(zip(self.edges, self.scores, strict=True))[:_SHOWN]
        rows = [[sender, reader, score, exact.get((sender, reader))] for (sender, reader), score in shown]
        facts = [(f"metric in the {self.into} text", self.base), ("metric in the other", self.source)]
        return [Table(metric_text(self.metric), ["", "value"], facts),
                Table(f"Largest edges ({self.method})", ["from", "to", "score", "exact"], rows,
                      f"{len(self.edges)} edges; exact: run on this model, – where it was not")]

    def charts(self) -> list[str]:
        from petitlm.look.page import graph

        drawn = list(zip(self.edges, self.scores, strict=True))[:_DRAWN]
        return [graph(f"The {len(drawn)} largest edges", *graph_parts([edge for edge, _ in drawn],
                                                                      [score for _, score in drawn]))]


@dataclass(frozen=True)
class RunEdges(AttributedEdges):
    """The same, where each edge had a run of its own."""

    evidence: ClassVar[Evidence] = "intervention"


def graph_parts(edges: Sequence[Edge], scores: Sequence[float]) -> tuple[list[Any], list[tuple[str, str, float]]]:
    """Return nodes (id, label, layer, value) and edges (from, to, value) for drawing; inputs of a head are one node."""
    joined: dict[tuple[str, str], float] = {}
    for (sender, reader), score in zip(edges, scores, strict=True):
        kind, colon, place = reader.partition(":")
        pair = sender, f"z:{place}" if colon and kind in "qkv" else reader
        joined[pair] = joined.get(pair, 0.0) + score
    names = dict.fromkeys(name for pair in joined for name in pair)
    deepest = max((_layer(name) for name in names if name != "logits"), default=-1)
    values = {name: sum(abs(v) for (s, r), v in joined.items() if name in (s, r)) for name in names}
    nodes = [(name, name, deepest + 1 if name == "logits" else _layer(name), values[name]) for name in names]
    return nodes, [(s, r, v) for (s, r), v in joined.items()]


def _layer(name: str) -> int:
    _, colon, place = name.partition(":")
    return int(place.split(".")[0]) if colon else -1


def attribute_edges(model: Model, clean: Text, corrupt: Text, answer: str | int, versus: str | int | None = None, *,
                    method: str = "eap-ig", into: Into = "corrupt", confirm: int = 10,
                    tolerance: float = 0.02) -> AttributedEdges:
    """Score every edge by `method`: eap, eap-ig, or exact (a run for each); the `confirm` largest are run in any case.

    Raises: UsageError, as `attribute` does.
    """
    if method not in EDGE_METHODS:
        raise UsageError(f"method={method!r} is not known for edges; choose one of {', '.join(EDGE_METHODS)}")
    asked = about(model, "attribute", clean=clean, corrupt=corrupt, answer=answer, versus=versus, over="edges",
                  method=method, into=into, confirm=confirm, tolerance=tolerance)
    metric = make_metric(model, answer, versus)
    swap, graph = Swap(model, clean, corrupt, metric, into), Graph(model.config)
    assert swap.other is not None
    checks: list[Check] = []
    if method == "exact":
        every = graph.edges(graph.exists)
        scores, off = exact_edges(model, swap.ids, swap.other, metric, every)
        values, steps, confirmed = np.zeros(graph.exists.shape), 0, []
        values[graph.exists] = scores
    else:
        half = gradient_half("edges", EXACT)
        found = half.estimate_edges(half.layers_of(model.runner), swap.ids, swap.other, metric, method, tolerance)
        values, steps = found.scores, found.steps
        best = graph.edges(_largest(graph, values, confirm))
        exact, off = exact_edges(model, swap.ids, swap.other, metric, best)
        of = dict(zip(graph.edges(graph.exists), values[graph.exists], strict=True))
        confirmed = [(*edge, float(of[edge]), float(x)) for edge, x in zip(best, exact, strict=True)]
        checks.append(Check("completeness gap, as a share", found.gap / found.total if found.total else 0.0, tolerance,
                            "edges that leave the embedding, added up, against the whole difference"))
        if confirmed:
            checks.append(Check("largest error of the confirmed", max(abs(a - b) for *_, a, b in confirmed), None,
                                "score minus exact, in the metric's unit"))
    checks.append(Check("all edges on, against the model's own run", off, None, "in the metric's unit"))
    names, flat = graph.edges(graph.exists), values[graph.exists]
    order = np.argsort(-np.abs(flat), kind="stable")
    kind = RunEdges if method == "exact" else AttributedEdges
    return kind(asked, metric.to_dict(model), into, method, swap.base, swap.source,
                [names[i] for i in order], [float(flat[i]) for i in order], steps, confirmed, checks=tuple(checks))


def exact_edges(model: Model, base: list[int], source: list[int], metric: Metric,
                edges: Sequence[Edge]) -> tuple[NDArray[np.float64], float]:
    """Return how much the metric changes when each edge alone carries what its sender has in the source run.

    The second number is the metric with all edges as they are, minus the model's own: rounding, and on packed weights
    that heads are projected one by one.
    """
    runner = EdgeRunner(model.runner, [base])
    own, other = runner.own(), EdgeRunner(model.runner, [source]).own()
    graph, start = runner.graph, metric(own.logits)
    effects = []
    for edge in edges:
        mask = graph.exists & ~graph.mask([edge])
        changed = runner.run(mask, other.outputs, before=own, start=graph.block_of(edge[1]))
        effects.append(metric(changed.logits) - start)
    return np.array(effects), start - metric(run_text(model.runner, base, wanted="last").logits)


def _largest(graph: Graph, values: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
    """Return a mask of the n largest edges."""
    mask = np.zeros(graph.exists.size, bool)
    mask[np.argsort(-np.where(graph.exists, np.abs(values), -1), axis=None, kind="stable")[:n]] = True
    return mask.reshape(graph.exists.shape)
