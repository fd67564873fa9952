"""Attribution: what patching each part would change, estimated by gradients for all parts at once, and confirmed.

Packed weights have no gradients. They are taken of torch layers with the same weights, decoded; the parts that matter
most are then patched exactly, on the model as it is deployed. An estimate can be blind: attention that is sure of
itself has no gradient. So what the parts of a tap add up to is always held against what replacing the whole tap does;
a gap beyond the bound is said, and the parts behind it that change most are confirmed, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from petitlm.errors import UsageError
from petitlm.look.halves import PATCHING, gradient_half
from petitlm.look.models import Model, Text, make_metric, token_texts
from petitlm.look.patch import chosen_positions, metric_text, named
from petitlm.look.results import Check, Evidence, Result, Table, about
from petitlm.look.swaps import Into, Swap
from petitlm.look.units import Grid, Unit, make_grid
from petitlm.taps import full_names, short_name

if TYPE_CHECKING:
    from petitlm.look.edges import AttributedEdges

METHODS = ("atp", "atp*", "ig")
_BETTER = {"atp": ", or take method atp* or ig", "atp*": ", or take method ig", "ig": ""}
_SHOWN = 20


@dataclass(frozen=True)
class TapSum:
    """What the estimates of one tap's parts add up to, and what replacing all of it does (by the same layers)."""

    tap: str
    estimated: float
    exact: float
    steps: int | None = None

    @property
    def gap(self) -> float:
        """Estimated minus exact."""
        return self.estimated - self.exact


@dataclass(frozen=True)
class Confirmed:
    """A part that was patched on the model itself."""

    part: str
    estimate: float
    exact: float


@dataclass(frozen=True)
class Attributed(Result):
    """Estimated changes of the metric, part by part, and exact ones of the largest."""

    evidence: ClassVar[Evidence] = "approximation"
    metric: dict[str, Any]
    into: str
    method: str
    over: str
    base: float
    """The metric in the text that would be changed, as the model computes it."""
    source: float
    rows: list[str]
    columns: list[str]
    names: list[list[str]]
    estimates: NDArray[np.float64]
    """(R, C), in the metric's unit."""
    graddrop: NDArray[np.float64] | None
    """(R, C): mean size of the estimate with one later component after the other cut off; large where the estimate is
    small means that paths cancel."""
    sums: list[TapSum]
    confirmed: list[Confirmed]

    def largest(self, n: int = _SHOWN) -> list[tuple[str, float]]:
        """Return the names and estimates of the n largest parts."""
        flat = [name for row in self.names for name in row]
        order = np.argsort(-np.abs(self.estimates), axis=None, kind="stable")[:n]
        return [(flat[i], float(self.estimates.flat[i])) for i in order]

    def tables(self) -> list[Table]:
        exact = {c.part: c.exact for c in self.confirmed}
        total = self.source - self.base
        drop = [] if self.graddrop is None else list(self.graddrop.flat)
        flat = [name for row in self.names for name in row]
        shown = [name for name, _ in self.largest()]
        shown += [c.part for c in self.confirmed if c.part not in shown]
        index = {name: i for i, name in enumerate(flat)}
        rows = [[name, float(self.estimates.flat[index[name]]), exact.get(name),
                 None if name not in exact or not total else exact[name] / total,
                 *([drop[index[name]]] if drop else [])] for name in shown]
        facts = [(f"metric in the {self.into} text", self.base), ("metric in the other", self.source)]
        sums = [[s.tap, s.estimated, s.exact, s.gap, s.steps] for s in self.sums]
        return [Table(metric_text(self.metric), ["", "value"], facts),
                Table(f"Largest estimates ({self.method})",
                      ["part", "estimate", "exact", "share", *(["graddrop"] if drop else [])], rows,
                      "exact: patched on this model; – where it was not"),
                Table("What the estimates add up to", ["value", "estimated", "exact", "gap", "steps"], sums)]

    def charts(self) -> list[str]:
        from petitlm.look.page import heat, scatter

        points = [(c.part, c.exact, c.estimate) for c in self.confirmed]
        drawn = [heat(f"Estimated by {self.method}", self.rows, self.columns, self.estimates,
                      unit="change of the metric", diverging=True, note=metric_text(self.metric))]
        return drawn + ([scatter("Estimate against exact patch", points, "exact", "estimate")] if points else [])


def attribute(model: Model, clean: Text, corrupt: Text, answer: str | int, versus: str | int | None = None, *,
              over: str = "heads", method: str | None = None, into: Into = "corrupt",
              positions: Sequence[int] | None = None, each: bool | None = None, blocks: Iterable[int] | None = None,
              graddrop: bool = False, confirm: int = 10, most: int = 200,
              tolerance: float = 0.02) -> Attributed | AttributedEdges:
    """Estimate what `patch` would find for every part, with the `confirm` largest patched exactly.

    Arguments are those of `patch`. `method` is atp (one gradient), atp* (the softmax recomputed), or ig (integrated
    gradients; the default), in as many steps as bring their sum within `tolerance` of what the whole tap does exactly.
    `graddrop` adds a score that paths which cancel do not hide. `over="edges"` gives edges between heads, MLPs and
    logits, by eap, eap-ig (the default) or exact; see `petitlm.look.edges`.
    Raises: UsageError, as `patch` does; where torch is not installed.
    """
    if over == "edges":
        from petitlm.look.edges import attribute_edges

        return attribute_edges(model, clean, corrupt, answer, versus, method=method or "eap-ig", into=into,
                               confirm=confirm, tolerance=tolerance)
    method = method or "ig"
    if method not in METHODS:
        raise UsageError(f"method={method!r} is not known; choose one of {', '.join(METHODS)}, or over='edges' with "
                         "eap, eap-ig or exact")
    if graddrop and method == "ig":
        raise UsageError("GradDrop cuts one gradient off after the other and ig averages many; choose atp or atp*")
    blocks = None if blocks is None else [int(b) for b in blocks]
    asked = about(model, "attribute", clean=clean, corrupt=corrupt, answer=answer, versus=versus, over=over,
                  method=method, into=into, positions=positions, each=each, blocks=blocks, graddrop=graddrop,
                  confirm=confirm, most=most, tolerance=tolerance)
    metric = make_metric(model, answer, versus)
    swap = Swap(model, clean, corrupt, metric, into)
    config, places = model.config, chosen_positions(swap, positions)
    texts = token_texts(model, [swap.ids[p] for p in places])
    any_grid = make_grid(config, over, places, texts, each=each, blocks=blocks,
                         neurons=[Unit(tap) for tap in _neuron_taps(swap, blocks)] if over == "neurons" else [])
    taps = list(dict.fromkeys(unit.tap for unit in any_grid.flat))
    assert swap.other is not None
    half = gradient_half("attribution", PATCHING)
    found = half.estimate(model.runner, swap.ids, swap.other, metric, taps, method, drops=graddrop, tolerance=tolerance)
    grid = any_grid if over != "neurons" else make_grid(
        config, over, places, texts, each=each, neurons=_largest_neurons(found.parts, places, most))
    names = named(grid, places)
    estimates = _of_units(found.parts, grid)
    drops = _of_units(found.drops, grid) if graddrop else None
    sums = [TapSum(short_name(tap), float(found.parts[tap].sum()), found.exact[tap], found.steps.get(tap))
            for tap in taps]
    blind = {tap for tap in taps if abs(found.gap(tap)) > tolerance * found.scale}
    chosen = _to_confirm(grid, estimates, drops, _of_units(found.sizes, grid), blind, confirm)
    exact = swap.effects([[grid.flat[i]] for i in chosen])
    flat = [name for row in names for name in row]
    confirmed = [Confirmed(flat[i], float(estimates.flat[i]), float(x)) for i, x in zip(chosen, exact, strict=True)]
    return Attributed(asked, metric.to_dict(model), into, method, over, swap.base, swap.source, grid.rows, grid.columns,
                      names, estimates, drops, sums, confirmed,
                      checks=_checks(sums, confirmed, found.scale, found.total - swap.total, tolerance,
                                     method))


def _of_units(parts: dict[str, NDArray[np.float64]], grid: Grid) -> NDArray[np.float64]:
    """Sum what belongs to each unit of a grid; nan where there is nothing to sum."""
    def one(unit: Unit) -> float:
        if unit.tap not in parts:
            return float("nan")
        x = parts[unit.tap][list(unit.positions or ())]
        part = unit.head if unit.head is not None else unit.neuron
        return float(x.sum() if part is None else x[:, part].sum())

    return np.array([[one(unit) for unit in row] for row in grid.units])


def _neuron_taps(swap: Swap, blocks: Sequence[int] | None) -> list[str]:
    config = swap.runner.config
    return full_names(config, "mlp_post") if blocks is None else [
        full_names(config, ("mlp_post", block))[0] for block in blocks]


def _largest_neurons(parts: dict[str, NDArray[np.float64]], places: Sequence[int], most: int) -> list[Unit]:
    sums = {tap: x[list(places)].sum(0) for tap, x in parts.items()}
    found = [(abs(float(x[i])), Unit(tap, neuron=int(i)))
             for tap, x in sums.items() for i in np.argsort(-np.abs(x), kind="stable")[:most]]
    return [unit for _, unit in sorted(found, key=lambda pair: -pair[0])[:most]]


def _to_confirm(grid: Grid, estimates: NDArray[np.float64], drops: NDArray[np.float64] | None,
                sizes: NDArray[np.float64], blind: set[str], confirm: int) -> list[int]:
    """Return which units to patch: those with the largest estimates, and where the estimates miss something, as many
    of those that change most."""
    size = np.abs(estimates).ravel() if drops is None else np.fmax(np.abs(estimates), drops).ravel()
    chosen = [int(i) for i in np.argsort(-size, kind="stable")[:confirm]]
    suspects = [i for i in np.argsort(-sizes.ravel(), kind="stable") if grid.flat[i].tap in blind]
    return chosen + [int(i) for i in suspects[:confirm] if i not in chosen]


def _checks(sums: Sequence[TapSum], confirmed: Sequence[Confirmed], scale: float, twin: float,
            tolerance: float, method: str) -> tuple[Check, ...]:
    worst = max(sums, key=lambda s: abs(s.gap))
    seen = abs(worst.gap) <= tolerance * scale
    checks = [Check("completeness gap, as a share", worst.gap / scale if scale else 0.0, tolerance,
                    "" if seen else f"this method does not see all that {worst.tap} does ({worst.estimated:.3g} of "
                    f"{worst.exact:.3g}): trust the exact column{_BETTER[method]}")]
    if confirmed:
        off = max(abs(c.estimate - c.exact) for c in confirmed)
        checks.append(Check("largest error of the confirmed", off, None, "estimate minus exact, in the metric's unit"))
    return *checks, Check("torch layers minus the model, whole effect", twin, None, "what decoding the weights changes")


