"""Changes to the values inside a run, said as data: they travel, are repeated, and work on every set of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.kernels import Floats
from petitlm.errors import ShapeError, UsageError
from petitlm.taps import TapName, by_head, full_names

Operation = Literal["add", "scale", "zero", "mean", "replace", "project_out"]
OPERATIONS: tuple[Operation, ...] = ("add", "scale", "zero", "mean", "replace", "project_out")
_NEEDS_VALUE = ("add", "scale", "replace", "project_out")
Which = int | Sequence[int] | None


@dataclass(frozen=True)
class Edit:
    """One change to the value at a tap.

    `add` and `replace` take an array (or number) that fits what is selected; `scale` a factor; `zero` nothing;
    `mean` puts the mean over the tokens of the run, or `value` if given, in place of each token's own;
    `project_out` removes the part along the direction `value`, in the last axis.
    """

    tap: TapName
    op: Operation
    value: Any = None
    positions: Which = None
    """Positions in the text that are changed; negative ones count from its end; None changes all."""
    head: Which = None
    """Heads that are changed, at taps that have heads."""
    neuron: Which = None
    """Places of the last axis that are changed: neurons of an MLP, or features of a dictionary."""

    def __post_init__(self) -> None:
        if callable(self.op):
            raise UsageError("an edit is data, not a function, so that it works on every set of layers; say it with "
                             f"one of {', '.join(OPERATIONS)}, or run a function as a tap of the torch layers")
        if self.op not in OPERATIONS:
            raise UsageError(f"edit op={self.op!r} is not known; choose one of {', '.join(OPERATIONS)}")
        if self.op in _NEEDS_VALUE and self.value is None:
            raise UsageError(f"edit op={self.op!r} at {self.tap!r} needs a value")
        for name in ("positions", "head", "neuron"):
            which = getattr(self, name)
            if which is not None:
                which = (which,) if isinstance(which, (int, np.integer)) else which
                object.__setattr__(self, name, tuple(int(i) for i in which))

    def resolved(self, config: ModelConfig, length: int | None, extra: Sequence[str] = ()) -> list[Edit]:
        """Return this edit with full names and positions counted from the start; one for each tap that it means.

        `length` is the number of tokens of the text, None where it still grows; `extra` are taps beyond the
        model's own.
        Raises: UsageError for a tap, head or position that does not exist.
        """
        positions = self.positions
        if positions is not None:
            positions = tuple(_counted(p, length, self) for p in positions)  # type: ignore[union-attr]
        names = [self.tap] if self.tap in extra else full_names(config, self.tap)
        return [replace(self, tap=name, positions=positions)._checked(config) for name in names]

    def _checked(self, config: ModelConfig) -> Edit:
        if self.head is None:
            return self
        n = _heads_at(config, str(self.tap))
        if n is None:
            raise UsageError(f"edit at {self.tap!r} selects heads, and the value there has none")
        for head in self.head:  # type: ignore[union-attr]
            if not 0 <= head < n:
                raise UsageError(f"head {head} is not at {self.tap!r}; its heads run from 0 to {n - 1}")
        return self

    def apply(self, x: Floats, rows: NDArray[np.bool_]) -> Floats:
        """Return `x` (tokens first) changed at the tokens `rows` (N,); x itself where no token is selected.

        Raises: ShapeError if the value does not fit.
        """
        if not rows.any():
            return x
        out = x.copy()
        self.change(out, np.flatnonzero(rows))
        return out

    def change(self, x: Floats, rows: NDArray[np.intp], own: NDArray[np.intp] | None = None) -> None:
        """Change `x` (tokens first) in place at some tokens; `own` are all tokens of their text (all of x).

        Raises: ShapeError if the value does not fit.
        """
        where = self._where(x, rows)
        old = x[where]
        try:
            x[where] = self._changed(x, old, np.arange(len(x)) if own is None else own)
        except (ValueError, IndexError):
            raise ShapeError(f"edit op={self.op!r} at {self.tap!r}: a value of shape {np.shape(self.value)} "
                             f"does not fit {old.shape}") from None

    def _where(self, x: Floats, rows: NDArray[np.intp]) -> Any:
        """Return the index of what is selected; with heads it is (tokens, heads, ...)."""
        picks: list[Any] = [rows, *[np.arange(n) for n in x.shape[1:]]]
        for which, axis in ((self.head, 1), (self.neuron, x.ndim - 1)):
            if which is None:
                continue
            if any(not -x.shape[axis] <= i < x.shape[axis] for i in which):  # type: ignore[union-attr]
                raise UsageError(f"edit at {self.tap!r} selects {which}, and there are {x.shape[axis]}")
            picks[axis] = np.asarray(which)
        return np.ix_(*picks) if self.head is not None or self.neuron is not None else rows

    def _changed(self, x: Floats, old: Floats, own: NDArray[np.intp]) -> Any:
        value = None if self.value is None else np.asarray(self.value, np.float32)
        if self.op == "zero":
            return 0.0
        if self.op == "mean":
            if value is not None:
                return value
            return x[self._where(x, own)].mean(0)
        assert value is not None
        if self.op == "add":
            return old + value
        if self.op == "scale":
            return old * value
        if self.op == "replace":
            return value
        unit = value / np.linalg.norm(value)
        return old - (old @ unit)[..., None] * unit


def _counted(position: int, length: int | None, edit: Edit) -> int:
    if position >= 0:
        return position
    if length is None or position < -length:
        raise UsageError(f"edit at {edit.tap!r}: position {position} counts from the end of a text "
                         + ("that still grows; give it from the start" if length is None else f"of {length} tokens"))
    return position + length


def _heads_at(config: ModelConfig, name: str) -> int | None:
    last = name.rsplit(".", 1)[-1]
    if by_head(name) or last in ("hook_q", "hook_rot_q", "hook_z"):
        return config.n_heads
    return config.n_kv_heads if last in ("hook_k", "hook_v", "hook_rot_k") else None
