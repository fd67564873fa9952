"""What happened inside one run: values kept at taps, and edits made there.

Both work on any session, so what is read and changed under a name on the engine has the same name on
torch layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.decoder import check_tap
from petitlm.engine.kernels import Floats, Ints
from petitlm.errors import ShapeError, UsageError

Operation = Literal["add", "scale", "zero", "mean", "replace", "project_out"]
OPERATIONS: tuple[Operation, ...] = ("add", "scale", "zero", "mean", "replace", "project_out")
_NEEDS_VALUE = ("add", "scale", "replace", "project_out")


@dataclass(frozen=True)
class Edit:
    """One change to the value at a tap, said as data so that it can travel and be repeated.

    `add` and `replace` take an array (or number) that fits the value; `scale` a factor; `zero` nothing;
    `mean` puts the mean over the tokens of the run, or `value` if given, in place of each token's own;
    `project_out` removes the part along the direction `value`, in the last axis.
    """

    tap: str
    op: Operation
    value: Any = None
    positions: tuple[int, ...] | None = None
    """Positions in the text that are changed; None changes all."""

    def __post_init__(self) -> None:
        if self.op not in OPERATIONS:
            raise UsageError(f"edit op={self.op!r} is not known; choose one of {', '.join(OPERATIONS)}")
        if self.op in _NEEDS_VALUE and self.value is None:
            raise UsageError(f"edit op={self.op!r} at {self.tap!r} needs a value")

    def apply(self, x: Floats, rows: NDArray[np.bool_]) -> Floats:
        """Return `x` changed at the tokens `rows` (N,), the first axis of x.

        Raises: ShapeError if the value does not fit.
        """
        if not rows.any():
            return x
        out = x.copy()
        try:
            out[rows] = self._changed(x, rows)
        except ValueError:
            raise ShapeError(f"edit op={self.op!r} at {self.tap!r}: a value of shape {np.shape(self.value)} "
                             f"does not fit {x[rows].shape}") from None
        return out

    def _changed(self, x: Floats, rows: NDArray[np.bool_]) -> Any:
        value = None if self.value is None else np.asarray(self.value, np.float32)
        if self.op == "zero":
            return 0.0
        if self.op == "mean":
            return x.mean(0) if value is None else value
        assert value is not None
        if self.op == "add":
            return x[rows] + value
        if self.op == "scale":
            return x[rows] * value
        if self.op == "replace":
            return value
        unit = value / np.linalg.norm(value)
        return x[rows] - (x[rows] @ unit)[..., None] * unit


class Recorder:
    """A tap that keeps the values asked for and makes the edits, in the order given."""

    def __init__(self, config: ModelConfig, taps: Sequence[str], edits: Sequence[Edit], positions: Ints) -> None:
        self._taps = {check_tap(config, name) for name in taps}
        self._edits: dict[str, list[Edit]] = {}
        for edit in edits:
            self._edits.setdefault(check_tap(config, edit.tap), []).append(edit)
        self._positions = positions
        self.kept: dict[str, Floats] = {}

    def wants(self, name: str, /) -> bool:
        return name in self._taps or name in self._edits

    def __call__(self, name: str, value: Floats, /) -> Floats:
        for edit in self._edits.get(name, ()):
            by_head = name.endswith(("hook_attn_scores", "hook_pattern"))  # (H, N, S): tokens are the second axis
            x = value.swapaxes(0, 1) if by_head else value
            x = edit.apply(x, self._rows(edit))
            value = np.ascontiguousarray(x.swapaxes(0, 1) if by_head else x)
        if name in self._taps:
            self.kept[name] = value
        return value

    def _rows(self, edit: Edit) -> NDArray[np.bool_]:
        if edit.positions is None:
            return np.ones(len(self._positions), bool)
        return np.isin(self._positions, edit.positions)


class Trace(Mapping[str, "Floats"]):
    """The values that one run had at its taps, by name, with the logits of every position.

    Shapes: (T, D), (T, H, K), (T, F) by position; scores and patterns (H, T, S); logits (T, V).
    """

    def __init__(self, ids: list[int], logits: Floats, kept: dict[str, Floats]) -> None:
        self.ids, self.logits, self._kept = ids, logits, kept

    def __getitem__(self, name: str) -> Floats:
        if name not in self._kept:
            raise KeyError(f"{name!r} was not kept; this trace has {', '.join(self._kept) or 'no taps'}")
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
