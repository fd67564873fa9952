"""Moving values from one run into another, and measuring what it changes: the experiment behind patching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import TRACE_LIMIT, check_trace, run_text, run_variants
from petitlm.engine.trace import Keep
from petitlm.errors import UsageError
from petitlm.look.models import Metric, Model, Text, aligned, ids_of
from petitlm.look.units import Unit
from petitlm.taps import TapName, by_head

Ablation = Literal["resample", "zero", "mean"]
"""What is put in place of a value: the same value of the other text, zero, or its mean over this text's positions."""
Into = Literal["corrupt", "clean"]


class Swap:
    """A base text, and the values that are put into its run: another text's, zeros, or means.

    `base` and `source` are the metric in the two texts' own runs (`source` is nan where there is no other text);
    `first` the first position at which the texts differ: what comes before has the same bits in both.
    """

    def __init__(self, model: Model, clean: Text, corrupt: Text | None, metric: Metric, into: Into,
                 ablation: Ablation = "resample") -> None:
        if into not in get_args(Into):
            raise UsageError(f"into={into!r} is not known; choose corrupt (what restores the answer) or clean (what "
                             "breaks it)")
        if ablation not in get_args(Ablation):
            raise UsageError(f"ablation={ablation!r} is not known; choose one of {', '.join(get_args(Ablation))}")
        self.model, self.runner, self.metric, self.ablation = model, model.runner, metric, ablation
        self.ids, self.other, self.first = _texts(model, clean, corrupt, into, ablation)
        self._values: dict[tuple[bool, str], Floats] = {}
        self._frozen: dict[Unit, Edit] = {}
        self.base = self._measure(self.ids)
        self.source = self._measure(self.other) if self.other is not None else float("nan")

    @property
    def positions(self) -> list[int]:
        """Positions at which anything can differ."""
        return list(range(self.first, len(self.ids)))

    @property
    def total(self) -> float:
        """What changing everything changes: the metric in the source text minus that in the base; nan without one."""
        return self.source - self.base

    def _measure(self, ids: Sequence[int]) -> float:
        return self.metric(run_text(self.runner, ids, wanted="last").logits)

    def load(self, taps: Iterable[str], *, of_base: bool = False) -> None:
        """Run a text once and keep what it has at some taps, from position `first` on.

        Raises: DoesNotFitError if that is too much.
        """
        of_base = of_base or self.ablation != "resample"
        missing = [tap for tap in dict.fromkeys(taps) if (of_base, tap) not in self._values]
        if not missing:
            return
        ids = self.ids if of_base or self.other is None else self.other
        keeps: list[TapName | Keep] = [Keep(tap, at=self.positions) for tap in missing]
        check_trace(self.runner.config, keeps, len(ids), TRACE_LIMIT)
        trace = run_text(self.runner, ids, keeps, wanted="none")
        for tap in missing:
            value = trace[tap]
            self._values[of_base, tap] = value.swapaxes(0, 1) if by_head(tap) else value  # tokens first

    def value(self, unit: Unit, *, of_base: bool = False) -> Floats:
        """Return what a unit has in the source (or the base) run: tokens first, (n, 1, K), (n, 1) or (n, D)."""
        of_base = of_base or self.ablation != "resample"
        self.load([unit.tap], of_base=of_base)
        x = self._values[of_base, unit.tap][[p - self.first for p in self.at(unit)]]
        if unit.head is not None:
            return x[:, [unit.head]]
        return x if unit.neuron is None else x[..., [unit.neuron]]

    def at(self, unit: Unit) -> list[int]:
        """Return the positions of a unit that can differ.

        Raises: UsageError for one beyond the text.
        """
        if unit.positions is None:
            return self.positions
        if max(unit.positions) >= len(self.ids):
            raise UsageError(f"{unit.name} is at position {max(unit.positions)}, and the text has {len(self.ids)} "
                             "tokens")
        return [p for p in unit.positions if p >= self.first]

    def edit(self, unit: Unit) -> Edit | None:
        """Return the edit that puts the source's value in place of the base's; None where they cannot differ."""
        at = self.at(unit)
        if not at:
            return None
        if self.ablation == "zero":
            return _edit(unit, at, "zero", None)
        value = self.value(unit)
        if self.ablation == "mean":
            whole = Unit(unit.tap, unit.head, unit.neuron)
            value = np.broadcast_to(self.value(whole).mean(0, keepdims=True), value.shape)
        return _edit(unit, at, "replace", value)

    def freeze(self, unit: Unit) -> Edit:
        """Return the edit that keeps a unit as it is in the base run."""
        if unit not in self._frozen:  # asked for again with every sender
            self._frozen[unit] = _edit(unit, self.at(unit), "replace", self.value(unit, of_base=True))
        return self._frozen[unit]

    def effects(self, units: Sequence[Sequence[Unit]]) -> NDArray[np.float64]:
        """Return how much the metric changes from the base run when each group of units is changed together.

        The text up to the first change is run once for all groups that begin at the same position.
        """
        if self.ablation != "zero":
            self.load([unit.tap for group in units for unit in group])
        return self.effects_of([[e for unit in group if (e := self.edit(unit)) is not None] for group in units])

    def effects_of(self, variants: Sequence[Sequence[Edit]]) -> NDArray[np.float64]:
        """Return how much the metric changes from the base run under each list of edits."""
        effects = np.zeros(len(variants))
        by_start: dict[int, list[int]] = {}
        for i, edits in enumerate(variants):
            if edits:
                start = min(min(e.positions) for e in edits)  # type: ignore[type-var]
                by_start.setdefault(start, []).append(i)  # type: ignore[arg-type]
        for members in by_start.values():
            traces = run_variants(self.runner, self.ids, [variants[i] for i in members])
            for i, trace in zip(members, traces, strict=True):
                effects[i] = self.metric(trace.logits) - self.base
        return effects


def _edit(unit: Unit, at: Sequence[int], op: Literal["zero", "replace"], value: Floats | None) -> Edit:
    return Edit(unit.tap, op, value, positions=at, head=unit.head, neuron=unit.neuron)


def _texts(model: Model, clean: Text, corrupt: Text | None, into: Into,
           ablation: Ablation) -> tuple[list[int], list[int] | None, int]:
    """Return the base text's ids, the source's, and where they first differ."""
    if corrupt is None:
        if ablation == "resample":
            raise UsageError("there is no corrupt text to take values from; give one, or choose ablation zero or mean")
        return ids_of(model, clean), None, 0
    a, b = aligned(model, clean, corrupt)
    base, source = (b, a) if into == "corrupt" else (a, b)
    if ablation != "resample":
        return base, source, 0
    return base, source, next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
