"""Activation patching: move one value at a time from one text's run into another's, and see what that changes.

The two texts are as long as one another and differ in what the answer depends on. Each effect is a run of its own, on
the model as it is deployed: the text up to the first change is run once, and the ends are run many at a time.

Source: Meng et al. 2022, Locating and Editing Factual Associations in GPT, section 2 (causal tracing); Zhang and Nanda
2024, Towards Best Practices of Activation Patching. Path patching: `petitlm.look.paths`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.runs import run_text
from petitlm.errors import UsageError
from petitlm.look.models import Model, Text, make_metric, token_texts
from petitlm.look.paths import LOGITS, make_readers, path_effects
from petitlm.look.results import Check, Evidence, Result, Table, about
from petitlm.look.swaps import Ablation, Into, Swap
from petitlm.look.units import Grid, Unit, make_grid, parse_unit
from petitlm.taps import full_names

_SHOWN = 20  # rows of the table of largest effects


@dataclass(frozen=True)
class Patched(Result):
    """How much the metric changes when each part is changed, in the metric's unit (logits or nats)."""

    evidence: ClassVar[Evidence] = "intervention"
    metric: dict[str, Any]
    into: str
    ablation: str
    over: str
    to: list[str] | None
    """What read the changed parts, in path patching; None where everything did."""
    base: float
    """The metric in the text that was changed."""
    source: float
    """The metric in the text that values come from; nan where there is none."""
    rows: list[str]
    columns: list[str]
    names: list[list[str]]
    """Name of each part (R, C)."""
    effects: NDArray[np.float64]
    """(R, C): the metric with this part changed, minus the metric without."""
    direct: NDArray[np.float64] | None = None
    """(R, C): the part of each effect that goes straight to the logits, all else frozen; see `paths`."""

    @property
    def total(self) -> float:
        """The metric in the source text minus that in the base."""
        return self.source - self.base

    def share(self) -> NDArray[np.float64]:
        """Return the effects as shares of the total (R, C): 1 does what moving everything does."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.effects / self.total

    def largest(self, n: int = _SHOWN) -> list[tuple[str, float]]:
        """Return the names and effects of the n parts that change most."""
        order = np.argsort(-np.abs(self.effects), axis=None, kind="stable")[:n]
        flat = [name for row in self.names for name in row]
        return [(flat[i], float(self.effects.flat[i])) for i in order]

    def tables(self) -> list[Table]:
        facts = [(f"metric in the {self.into} text", self.base)]
        if np.isfinite(self.source):
            facts += [("metric in the other", self.source), ("difference", self.total)]
        kind = {"resample": "the other text's values", "zero": "zeros", "mean": "means over positions"}[self.ablation]
        through = "" if self.to is None else f", read by {', '.join(self.to)} alone"
        order = np.argsort(-np.abs(self.effects), axis=None, kind="stable")[:_SHOWN]
        names = [name for row in self.names for name in row]
        columns, shares = ["part", "effect"], np.isfinite(self.total) and self.total != 0
        columns += ["share"] if shares else []
        columns += ["direct", "through others"] if self.direct is not None else []
        rows = []
        for i in order:
            effect = float(self.effects.flat[i])
            row: list[Any] = [names[i], effect, *([effect / self.total] if shares else [])]
            if self.direct is not None:
                row += [float(self.direct.flat[i]), effect - float(self.direct.flat[i])]
            rows.append(row)
        note = f"{len(names)} parts, each changed to {kind}{through}"
        return [Table(metric_text(self.metric), ["", "value"], facts), Table("Largest effects", columns, rows, note)]

    def charts(self) -> list[str]:
        from petitlm.look.page import heat

        what = "restores" if self.into == "corrupt" and self.ablation == "resample" else "changes"
        charts = [heat(f"What each part {what}", self.rows, self.columns, self.effects, unit="change of the metric",
                       diverging=True, note=metric_text(self.metric))]
        if self.direct is not None:
            charts.append(heat("Directly, to the logits", self.rows, self.columns, self.direct,
                               unit="change of the metric", diverging=True))
        return charts


def metric_text(metric: dict[str, Any]) -> str:
    """Return what is measured, in words."""
    if "versus" in metric:
        return f"logit of {metric['answer']!r} minus logit of {metric['versus']!r}"
    return f"log-probability of {metric['answer']!r}"


def patch(model: Model, clean: Text, corrupt: Text | None, answer: str | int, versus: str | int | None = None, *,
          over: str = "heads", into: Into = "corrupt", ablation: Ablation = "resample",
          positions: Sequence[int] | None = None, each: bool | None = None, blocks: Iterable[int] | None = None,
          to: str | Sequence[str] | None = None, given: Sequence[str] = (), direct: bool = False,
          most: int = 200) -> Patched:
    """Return what changing each part of a kind does to the metric after the last token.

    The metric is the logit of `answer` minus that of `versus`, or the log-probability of `answer` alone.
    `over` says which parts: resid_pre, resid_mid, resid_post, attn_out, mlp_out, embed (each position for itself),
    heads (= z), q, k, v, pattern, neurons (all positions together; `each` says otherwise). `positions` (negative ones
    count from the end) and `blocks` narrow them; of neurons only the `most` whose change writes most are run.
    `into="corrupt"` puts the clean text's values into the corrupt run: 1 is full restoration. `into="clean"` is the
    other way round. `ablation` zero or mean needs no corrupt text (None) and is made in the clean run.
    `to` (`logits`, `k:5.3`, `mlp_out:4`) changes what those alone read: path patching. `direct` adds each part's
    path to the logits to its whole effect: where they disagree, others make up for the part or carry it on.
    `given` are parts (`z:0.1`) that are changed in every run and in what it is compared with, for what two do together.
    Raises: UsageError: texts of different length, an answer that is not one token, a part that does not exist.
    """
    blocks = None if blocks is None else [int(b) for b in blocks]
    asked = about(model, "patch", clean=clean, corrupt=corrupt, answer=answer, versus=versus, over=over, into=into,
                  ablation=ablation, positions=positions, each=each, blocks=blocks, to=to, given=given, direct=direct,
                  most=most)
    metric = make_metric(model, answer, versus)
    swap = Swap(model, clean, corrupt, metric, "clean" if ablation != "resample" else into, ablation)
    config, places = model.config, chosen_positions(swap, positions)
    texts = token_texts(model, [swap.ids[p] for p in places])
    neurons = most_changed_neurons(swap, blocks, most) if over == "neurons" else []
    grid = make_grid(config, over, places, texts, each=each, blocks=blocks, neurons=neurons)
    shape = len(grid.rows), len(grid.columns)
    fixed = [parse_unit(config, name) for name in given]
    if fixed and (to is not None or direct):
        raise UsageError("given parts and paths do not go together; leave one out")
    if to is None:
        effects = swap.effects([[*fixed, unit] for unit in grid.flat])
        effects -= swap.effects([fixed])[0] if fixed else 0.0
    else:
        effects = path_effects(swap, grid.flat, make_readers(config, to))
    alone = path_effects(swap, grid.flat, make_readers(config, LOGITS)) if direct else None
    return Patched(asked, metric.to_dict(model), into=swap_into(ablation, into), ablation=ablation, over=over,
                   to=None if to is None else [to] if isinstance(to, str) else list(to), base=swap.base,
                   source=swap.source, rows=grid.rows, columns=grid.columns, names=named(grid, places),
                   effects=effects.reshape(shape), direct=None if alone is None else alone.reshape(shape),
                   checks=_checks(swap))


def swap_into(ablation: str, into: str) -> str:
    """Return which text is changed: an ablation is made in the clean one."""
    return "clean" if ablation != "resample" else into


def chosen_positions(swap: Swap, positions: Sequence[int] | None) -> list[int]:
    """Return the positions asked about, counted from the start; all that can differ if none are named.

    Raises: UsageError for one beyond the text.
    """
    if positions is None:
        return swap.positions
    n = len(swap.ids)
    for p in positions:
        if not -n <= p < n:
            raise UsageError(f"position {p} is not in a text of {n} tokens; give one from {-n} to {n - 1}")
    return sorted({int(p) % n for p in positions})


def named(grid: Grid, places: Sequence[int]) -> list[list[str]]:
    """Return the units' names, without positions where they are all that are asked about."""
    whole = tuple(places)
    return [[(Unit(u.tap, u.head, u.neuron) if u.positions == whole and len(whole) > 1 else u).name for u in row]
            for row in grid.units]


def most_changed_neurons(swap: Swap, blocks: Sequence[int] | None, most: int) -> list[Unit]:
    """Return the neurons whose change writes most: |change of the activation| times the length of what it writes.

    Raises: UsageError for a number below one.
    """
    if most < 1:
        raise UsageError(f"most={most}: ask for at least one neuron")
    config = swap.runner.config
    taps = full_names(config, "mlp_post") if blocks is None else [
        tap for block in blocks for tap in full_names(config, ("mlp_post", block))]
    swap.load(taps)
    swap.load(taps, of_base=True)
    found: list[tuple[float, Unit]] = []
    for tap in taps:
        new = 0.0 if swap.ablation == "zero" else swap.value(Unit(tap))
        old = swap.value(Unit(tap), of_base=True)
        new = np.mean(new, 0) if swap.ablation == "mean" else new
        written = np.linalg.norm(swap.runner.weight(tap.replace("hook_post", "down.weight")), axis=0)
        size = np.abs(new - old).max(0) * written
        found += [(float(size[i]), Unit(tap, neuron=int(i))) for i in np.argsort(-size, kind="stable")[:most]]
    return [unit for _, unit in sorted(found, key=lambda pair: -pair[0])[:most]]


def _checks(swap: Swap) -> tuple[Check, ...]:
    if swap.ablation != "resample" or swap.other is None:
        return ()
    first = Unit(full_names(swap.runner.config, ("resid_pre", 0))[0])
    edit = swap.edit(first)
    assert edit is not None
    moved = swap.metric(run_text(swap.runner, swap.ids, edits=[edit], wanted="last").logits)
    bound = 1e-4 * max(1.0, abs(swap.source))
    return (Check("everything moved, against the other text's own run", moved - swap.source, bound),)
