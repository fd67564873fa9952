"""Changes to the values inside a run, said as data: they travel, are repeated, and work on every set of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.kernels import Floats, Ints
from petitlm.errors import ShapeError, UsageError
from petitlm.taps import TapName, by_head, full_names, heads_at, tap_shape

Operation = Literal["add", "scale", "zero", "mean", "replace", "project_out"]
OPERATIONS: tuple[Operation, ...] = ("add", "scale", "zero", "mean", "replace", "project_out")
_NEEDS_VALUE = ("add", "scale", "replace", "project_out")
Which = int | Sequence[int] | None


def as_tuple(which: Which, what: str) -> tuple[int, ...] | None:
    """Return what is selected as a tuple; None selects all.

    Raises: UsageError for an empty selection, one that names a place twice, or what is no whole number.
    """
    if which is None:
        return None
    try:
        given = (which,) if isinstance(which, (int, np.integer)) else tuple(which)
        places = tuple(int(i) for i in given)
        whole = all(a == b for a, b in zip(places, given, strict=True))
    except (TypeError, ValueError):
        places, whole = (), False
    if not whole or not places or len(set(places)) < len(places):
        raise UsageError(f"{what}={which!r} selects nothing, or a place twice, or is no whole number; give a number or "
                         "several different ones, or leave it out to select all")
    return places


def places_of(which: Which) -> tuple[int, ...] | None:
    """Return a selection that `as_tuple` made as the tuple that it is."""
    assert which is None or isinstance(which, tuple)
    return which


@dataclass(frozen=True, eq=False)  # arrays are equal element by element, which is no yes or no
class Edit:
    """One change to the value at a tap.

    `add` and `replace` take an array (or number) that fits what is selected, or one with a row for each selected
    token; `scale` factors of these shapes; `zero` nothing; `mean` puts the mean over the tokens of the run, or `value`
    if given, in place of each token's own; `project_out` removes the part along the direction `value`, in the last
    axis. Scores and patterns have the tokens first here, then heads, then keys; what a token may not see stays unseen.
    """

    tap: TapName
    op: Operation
    value: Any = None
    positions: Which = None
    """Positions in the text that are changed; negative ones count from its end; None changes all."""
    head: Which = None
    """Heads that are changed, at taps that have heads."""
    neuron: Which = None
    """Places of the last axis that are changed: neurons of an MLP, features of a dictionary, keys of a pattern."""

    def __post_init__(self) -> None:
        if callable(self.op) or callable(self.value):
            raise UsageError("an edit is data, not a function, so that it works on every set of layers; say it with "
                             f"one of {', '.join(OPERATIONS)}, or give the function to petitlm.look.gradients.run, "
                             "which runs the torch layers")
        if self.op not in OPERATIONS:
            raise UsageError(f"edit op={self.op!r} is not known; choose one of {', '.join(OPERATIONS)}")
        if self.op in _NEEDS_VALUE and self.value is None:
            raise UsageError(f"edit op={self.op!r} at {self.tap!r} needs a value")
        if self.op == "zero" and self.value is not None:
            raise UsageError(f"edit op='zero' at {self.tap!r} takes no value; leave it out, or use op='replace'")
        object.__setattr__(self, "value", _numbers(self))
        for name in ("positions", "head", "neuron"):
            object.__setattr__(self, name, as_tuple(getattr(self, name), name))

    def resolved(self, config: ModelConfig, length: int | None, extra: Sequence[str] = ()) -> list[Edit]:
        """Return this edit with full names and places counted from the start; one for each tap that it means.

        `length` is the number of tokens of the text, None where it still grows; `extra` are taps beyond the
        model's own.
        Raises: UsageError for a tap, head, neuron or position that does not exist; ShapeError.
        """
        positions = counted(places_of(self.positions), length, f"edit at {self.tap!r}: position")
        names = [self.tap] if self.tap in extra else full_names(config, self.tap)
        edits = list[Edit]()
        for name in names:
            neuron = places_of(self.neuron)
            if self.tap not in extra:
                _check_keys(str(name), self)
                check_heads(config, str(name), places_of(self.head))
                width = length if by_head(str(name)) else tap_shape(config, str(name), 1)[-1]
                neuron = counted(neuron, width, f"edit at {name!r}: place")
            same = (name, positions, neuron) == (self.tap, self.positions, self.neuron)
            edit = self if same else replace(self, tap=name, positions=positions, neuron=neuron)
            if length is not None:
                edit.check_rows(config, length, extra)
            edits.append(edit)
        return edits

    def check_rows(self, config: ModelConfig, length: int | None, extra: Sequence[str] = ()) -> None:
        """Refuse a value with a row for each token that has another number of rows than tokens are selected.

        Raises: ShapeError; UsageError where all are selected of a text that still grows.
        """
        n_axes = 2 if self.tap in extra else len(tap_shape(config, str(self.tap), 1))
        if self.value is None or self.value.ndim != n_axes or len(self.value) == 1:
            return
        positions = places_of(self.positions)
        expected = length if positions is None else len(positions)
        if expected is None:
            raise UsageError(f"edit at {self.tap!r} has a value for each of {len(self.value)} tokens and the text "
                             "still grows; say which with positions")
        if len(self.value) != expected:
            raise ShapeError(f"edit op={self.op!r} at {self.tap!r}: a value of shape {self.value.shape} has "
                             f"{len(self.value)} rows and does not fit {expected} tokens")

    def rows(self, positions: Ints) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which of the tokens at `positions` are changed, and the row of the value that is each one's own."""
        if self.positions is None:
            return np.arange(len(positions)), positions.astype(np.intp)
        hits = positions[:, None] == np.asarray(self.positions)
        rows = np.flatnonzero(hits.any(1))
        return rows, hits[rows].argmax(1)

    def change(self, x: Floats, rows: NDArray[np.intp], places: NDArray[np.intp], own: NDArray[np.intp]) -> None:
        """Change `x` (tokens first) in place at the tokens `rows`; `own` are all tokens of their text.

        `places` are the rows of the value that belong to them, where it has a row for each token.
        Raises: ShapeError if the value does not fit.
        """
        keys = self._keys(x)
        if keys is not None and not keys.size:
            return  # of keys that come later
        where = self._where(x, rows, keys)
        old = x[where]
        try:
            x[where] = self._changed(x, old, own, self._value(x, old, places, keys), keys)
        except (ValueError, IndexError):
            raise ShapeError(f"edit op={self.op!r} at {self.tap!r}: a value of shape {np.shape(self.value)} "
                             f"does not fit {old.shape}") from None

    def _keys(self, x: Floats) -> NDArray[np.intp] | None:
        """Return which of the selected places of the last axis there are: a pattern's keys come with the tokens."""
        if self.neuron is None:
            return None
        neuron = np.asarray(self.neuron)
        if by_head(str(self.tap)):
            return neuron[neuron < x.shape[-1]]
        if neuron.max() >= x.shape[-1] or neuron.min() < -x.shape[-1]:
            raise UsageError(f"edit at {self.tap!r} selects {self.neuron}, and there are {x.shape[-1]}")
        return neuron

    def _where(self, x: Floats, rows: NDArray[np.intp], keys: NDArray[np.intp] | None) -> Any:
        """Return the index of what is selected; with heads it is (tokens, heads, ...)."""
        if self.head is None and keys is None:
            return rows
        picks: list[Any] = [rows, *[np.arange(n) for n in x.shape[1:]]]
        if self.head is not None:
            picks[1] = np.asarray(self.head)
        if keys is not None:
            picks[-1] = keys
        return np.ix_(*picks)

    def _value(self, x: Floats, old: Floats, places: NDArray[np.intp], keys: NDArray[np.intp] | None) -> Any:
        """Return the value cut to these tokens, and to the keys that there are."""
        value = self.value
        if value is None:
            return None
        if value.ndim == old.ndim and len(value) > 1:
            value = value[places]
        if by_head(str(self.tap)) and value.ndim and value.shape[-1] > 1:
            if keys is None:
                value = value[..., : x.shape[-1]]
            elif value.shape[-1] == len(places_of(self.neuron) or ()):
                value = value[..., np.asarray(self.neuron) < x.shape[-1]]
        return value.astype(x.dtype, copy=False)

    def _changed(self, x: Floats, old: Floats, own: NDArray[np.intp], value: Any, keys: NDArray[np.intp] | None) -> Any:
        if self.op == "zero":
            return 0.0
        if self.op == "mean":
            return x[self._where(x, own, keys)].mean(0) if value is None else value
        if self.op == "add":
            return old + value
        if self.op == "scale":
            return old * value
        if self.op == "replace":
            return value
        unit = value / np.linalg.norm(value)
        # A sum for each token by itself: a matrix product would round a token's differently in other company.
        return old - (old * unit).sum(-1, keepdims=True) * unit


def _numbers(edit: Edit) -> NDArray[np.floating[Any]] | None:
    """Return an edit's value as floats, checked."""
    if edit.value is None:
        return None
    try:
        value = np.asarray(edit.value)
        value = value if value.dtype.char in "fd" else value.astype(np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"edit op={edit.op!r} at {edit.tap!r}: the value {edit.value!r:.40} is no array of numbers; "
                         "give a number, or rows of the same length") from None
    if np.isnan(value).any():
        raise UsageError(f"edit op={edit.op!r} at {edit.tap!r}: the value has entries that are not numbers (NaN)")
    if edit.op == "project_out" and (value.ndim != 1 or not np.isfinite(value).all() or not value.any()):
        raise UsageError(f"edit op='project_out' at {edit.tap!r} needs one direction, a row of numbers that are not "
                         f"all 0; a value of shape {value.shape} was given")
    return value


def _check_keys(tap: str, edit: Edit) -> None:
    """Refuse what means nothing over keys: a direction, and a mean of scores, of which some are minus infinity."""
    if by_head(tap) and edit.op == "project_out":
        raise UsageError(f"edit op='project_out' at {tap!r}: keys have no directions; edit q, k or z")
    if tap.endswith("hook_attn_scores") and edit.op == "mean" and edit.value is None:
        raise UsageError(f"edit op='mean' at {tap!r}: what a token may not see has no score and so no mean; give the "
                         "value, or take the mean of the pattern")


def counted(places: tuple[int, ...] | None, n: int | None, what: str) -> tuple[int, ...] | None:
    """Return places counted from the start; `n` is how many there are, None where more may come.

    Raises: UsageError for one that is not there.
    """
    for place in places or ():
        if n is None and place < 0:
            raise UsageError(f"{what} {place} counts from the end of a text that still grows; give it from the start")
        if n is not None and not -n <= place < n:
            raise UsageError(f"{what} {place} is not there; there are {n}, from 0 to {n - 1}")
    return places if places is None or n is None else tuple(dict.fromkeys(p % n for p in places))


def check_heads(config: ModelConfig, tap: str, heads: tuple[int, ...] | None) -> None:
    """Refuse heads that the value at a tap does not have.

    Raises: UsageError.
    """
    if heads is None:
        return
    n = heads_at(config, tap)
    if n is None:
        raise UsageError(f"heads are selected at {tap!r}, and the value there has none")
    for head in heads:
        if not 0 <= head < n:
            raise UsageError(f"head {head} is not at {tap!r}; its heads run from 0 to {n - 1}")
