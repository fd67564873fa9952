"""What happened inside one run: values kept at taps, whole or reduced, and edits made there.

Both work on any session, so what is read and changed under a name on the engine has the same name on
torch layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.edits import OPERATIONS, Edit, Operation, Which, as_tuple, check_heads, counted, places_of
from petitlm.engine.kernels import Floats, Ints
from petitlm.errors import ShapeError, UsageError
from petitlm.taps import TapName, by_head, full_names, tap_shape

__all__ = ["OPERATIONS", "Dictionary", "Edit", "Keep", "Operation", "Recorder", "Top", "Trace"]


_BEHIND = ("ln_final.hook_normalized", "logits")  # these have the tokens alone whose logits are asked for


class Top(NamedTuple):
    """The largest numbers of the last axis, largest first, and where they are."""

    values: Floats
    indices: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Keep:
    """What to keep of the value at a tap; it is selected and reduced inside the run, before anything is stored."""

    tap: TapName
    at: Which = None
    """Positions in the text, kept in the text's order; negative ones count from its end; None keeps all."""
    head: Which = None
    """Heads, at taps that have heads."""
    top: int | None = None
    """Only so many of the largest numbers of the last axis, as a `Top`."""
    norm: bool = False
    """Only the Euclidean length of the last axis."""
    project: Any = None
    """Only the products with these directions, (D,) or (n, D)."""

    def __post_init__(self) -> None:
        if (self.top is not None) + self.norm + (self.project is not None) > 1:
            raise UsageError(f"tap {self.tap!r} is to be reduced in more than one way; choose top, norm or project")
        if self.top is not None and self.top < 1:
            raise UsageError(f"top={self.top} at {self.tap!r}; keep at least one")
        if self.project is not None:
            object.__setattr__(self, "project", np.asarray(self.project, np.float32))
        object.__setattr__(self, "at", as_tuple(self.at, "at"))
        object.__setattr__(self, "head", as_tuple(self.head, "head"))

    def resolved(self, config: ModelConfig, length: int | None, extra: Sequence[str] = ()) -> list[Keep]:
        """Return this with full names and positions counted from the start; one for each tap that it means.

        Raises: UsageError for a tap, head or position that does not exist; ShapeError for directions that do not fit.
        """
        at = counted(places_of(self.at), length, f"tap {self.tap!r} is to be kept at position")
        at = None if at is None else tuple(sorted(at))
        if self.tap in extra:
            return [replace(self, at=at)]
        names = full_names(config, self.tap)
        for name in names:
            check_heads(config, name, places_of(self.head))
            if self.project is None:
                continue
            width = tap_shape(config, name, 1)[-1]
            if by_head(name) or self.project.shape[-1:] != (width,) or self.project.ndim > 2:
                fits = "keys have no directions" if by_head(name) else f"give ({width},) or (n, {width})"
                raise ShapeError(f"directions of shape {self.project.shape} do not fit the value at {name!r}; {fits}")
        return [self if (name, at) == (self.tap, self.at) else replace(self, tap=name, at=at) for name in names]

    @property
    def whole(self) -> bool:
        """Whether all of a token's numbers are kept as they are."""
        return self.head is None and self.top is None and not self.norm and self.project is None

    def reduce(self, x: Floats) -> Any:
        """Return what is kept of selected tokens' values (n, ...), tokens first.

        A token's numbers are the same bits in any company: sums are each token's own, no matrix product.
        """
        if self.head is not None:
            x = np.ascontiguousarray(x[:, np.asarray(self.head)])
        if self.norm and by_head(str(self.tap)):  # of what a token sees, added up in order: later keys change no bit
            seen = np.where(np.isneginf(x), np.float32(0), x)
            return np.sqrt((seen * seen).cumsum(-1)[..., -1])
        if self.norm:
            return np.sqrt((x * x).sum(-1))
        if self.project is not None:
            products = [(x * direction).sum(-1) for direction in np.atleast_2d(self.project)]
            return products[0] if self.project.ndim == 1 else np.stack(products, -1)
        return x if self.top is None else _top(x, min(self.top, x.shape[-1]))


def _top(x: Floats, k: int) -> Top:
    """Return the k largest of the last axis; of equal ones the first."""
    places = np.argpartition(x, -k, axis=-1)[..., -k:]
    values = np.take_along_axis(x, places, -1)
    least = values.min(-1, keepdims=True)
    if ((x == least).sum(-1) > (values == least).sum(-1)).any():  # which of the least are taken is not chance
        places = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    else:
        places = np.sort(places, axis=-1)
    values = np.take_along_axis(x, places, -1)
    order = np.argsort(-values, axis=-1, kind="stable")
    return Top(np.take_along_axis(values, order, -1), np.take_along_axis(places, order, -1))


class Dictionary(Protocol):
    """Learned features of the value at a tap: a sparse autoencoder, or a transcoder if it writes elsewhere."""

    @property
    def reads(self) -> str: ...  # full name of the tap that is encoded
    @property
    def writes(self) -> str: ...  # full name of the tap that decoded features add up to
    @property
    def name(self) -> str: ...  # of the features' own tap, such as `blocks.3.hook_resid_post.sae`

    def encode(self, x: Floats, /) -> Floats: ...  # (N, D) -> (N, F)
    def decode(self, f: Floats, /) -> Floats: ...  # (N, F) -> (N, D)


class Recorder:
    """A tap that keeps the values asked for and makes the edits, in the order given.

    `edits` are made in every text; `variants[s]` in the text of cache slot s alone. `length` may say how many tokens
    there will be of one text from its start: then its scores and patterns are put where they belong at once.
    """

    def __init__(self, config: ModelConfig, keeps: Sequence[TapName | Keep], edits: Sequence[Edit], positions: Ints,
                 slots: Ints | None = None, *, variants: Mapping[int, Sequence[Edit]] | None = None,
                 dictionaries: Sequence[Dictionary] = (), length: int | None = None) -> None:
        features = [d.name for d in dictionaries]
        self._keeps: dict[str, Keep] = {}
        for keep in keeps:
            for one in (keep if isinstance(keep, Keep) else Keep(keep)).resolved(config, None, features):
                if one.tap in self._keeps:
                    raise UsageError(f"tap {one.tap!r} is asked for twice; ask once")
                self._keeps[str(one.tap)] = one
        self._edits: dict[str, list[tuple[int | None, Edit]]] = {}
        given = [(None, edit) for edit in edits] + [(s, e) for s, es in (variants or {}).items() for e in es]
        for slot, edit in given:
            for one in edit.resolved(config, None, features):
                self._edits.setdefault(str(one.tap), []).append((slot, one))
        self._reads: dict[str, list[Dictionary]] = {}
        for d in dictionaries:
            if d.name in self._keeps or d.name in self._edits:
                self._reads.setdefault(d.reads, []).append(d)
        self._writes = {d.writes for ds in self._reads.values() for d in ds}
        self.names = frozenset({*self._keeps, *self._edits, *self._reads, *self._writes} - set(features))
        """Full names of the model's taps that are looked at."""
        self.only_reads = not self._edits
        self._late = {*_BEHIND, *(d.name for d in dictionaries if d.reads in _BEHIND)}
        self._changes: dict[str, Floats] = {}
        self._parts: dict[str, list[_Part]] = {}
        self._length, self._rooms = length, dict[str, Floats]()  # room (H, T, T) for all of a tap
        self.go_on(positions, slots)

    def go_on(self, positions: Ints, slots: Ints | None = None, wanted: Ints | None = None) -> None:
        """Say which tokens the next step has, and whose logits are asked for; what was kept so far stays."""
        slots = np.zeros(len(positions), np.int32) if slots is None else slots
        self._tokens = positions, slots
        self._behind = self._tokens if wanted is None else (positions[wanted], slots[wanted])  # `select`
        self._at: dict[tuple[bool, Which], tuple[Ints, Ints, NDArray[np.intp] | None]] = {}

    def wants(self, name: str, /) -> bool:
        return name in self._keeps or name in self._edits or name in self._reads or name in self._writes

    def __call__(self, name: str, value: Floats, /) -> Floats:
        if not self.wants(name):
            return value
        x = value.swapaxes(0, 1) if by_head(name) else value  # (H, N, S): tokens are the second axis
        old, x = x, self._edited(name, x)
        for d in self._reads.get(name, ()):
            f = d.encode(x)
            g = self._edited(d.name, f)
            self._keep(d.name, g)
            if g is not f:
                self._changes[d.writes] = self._changes.get(d.writes, 0) + (d.decode(g) - d.decode(f))
        if name in self._changes:
            x = x + self._changes.pop(name)
        self._keep(name, x)
        if x is old:
            return value
        return np.ascontiguousarray(x.swapaxes(0, 1) if by_head(name) else x)

    def _edited(self, name: str, x: Floats) -> Floats:
        """Return x itself if nothing is changed, or a changed copy."""
        out = x
        positions, slots = self._behind if name in self._late else self._tokens
        for slot, edit in self._edits.get(name, ()):
            for one in np.unique(slots) if slot is None else (slot,):  # `mean` is over the tokens of one text
                own = np.flatnonzero(slots == one)
                rows, places = edit.rows(positions[own])
                if len(rows):
                    out = x.copy() if out is x else out
                    edit.change(out, own[rows], places, own)
        if by_head(name) and out is not x:  # what a token may not see stays so, on both sets of layers
            later = np.greater.outer(_numbers(0, out.shape[-1]), positions).T  # (N, S)
            np.copyto(out, _unseen(name), where=later[:, None])
        return out

    def _keep(self, name: str, x: Floats) -> None:
        keep = self._keeps.get(name)
        if keep is None:
            return
        slots, positions, rows = self._chosen(name in self._late, keep.at)
        if rows is None and keep.whole and by_head(name) and self._length is not None:
            self._put(name, x, int(positions[0]), self._length)
            return
        # a copy: x may lie in memory that the next step writes to
        kept = keep.reduce(x[rows]) if rows is not None else keep.reduce(x.copy("K") if keep.whole else x)
        self._parts.setdefault(name, []).append((slots, positions, kept))

    def _put(self, name: str, x: Floats, at: int, length: int) -> None:
        """Put a step's rows (N, H, S) where they belong; what nobody may see stays as it is."""
        if name not in self._rooms:
            shape, unseen = (x.shape[1], length, length), _unseen(name)
            self._rooms[name] = np.full(shape, unseen, x.dtype) if unseen else np.zeros(shape, x.dtype)
            self._parts[name] = []
        self._rooms[name][:, at : at + len(x), : x.shape[-1]] = x.swapaxes(0, 1)

    def _chosen(self, late: bool, at: Which) -> tuple[Ints, Ints, NDArray[np.intp] | None]:
        """Return slots and positions of the tokens at some positions, and which of the step's they are; None if all."""
        key = late, at
        if key not in self._at:
            positions, slots = self._behind if late else self._tokens
            rows = None if at is None else np.flatnonzero(np.isin(positions, at))
            self._at[key] = (slots, positions, None) if rows is None else (slots[rows], positions[rows], rows)
        return self._at[key]

    def taken(self) -> dict[str, Any]:
        """Return all that was kept, by full name, and forget it: tokens first, save for scores and patterns (H, N, S).

        So never more than one tap's values are held twice.
        """
        return {name: self._whole(name, self._parts.pop(name), None, None, None) for name in list(self._parts)}

    def of(self, slot: int, at: Mapping[str, Which], n_seen: int) -> dict[str, Any]:
        """Return what was kept of the text of `n_seen` tokens in a slot, by name only at the positions `at`."""
        return {name: self._whole(name, parts, slot, at.get(name), n_seen) for name, parts in self._parts.items()}

    def _whole(self, name: str, parts: list[_Part], slot: int | None, at: Which, n_seen: int | None) -> Any:
        """Put the parts of several steps together: tokens of one text alone, or of all."""
        if name in self._rooms:
            return self._rooms.pop(name)
        top, chosen = self._keeps[name].top, list[Any]()
        for slots, positions, x in parts:
            mine = np.ones(len(slots), bool) if slot is None else slots == slot
            if at is not None:
                mine &= np.isin(positions, at)
            if not mine.all():
                x = Top(x.values[mine], x.indices[mine]) if isinstance(x, Top) else x[mine]
            chosen.append(x)
        if not by_head(name) or self._keeps[name].norm:
            return Top(*map(_joined, zip(*chosen, strict=True))) if top else _joined(chosen)
        if top:  # of keys, which come with the tokens: early steps had fewer than were asked for
            width = max(x.values.shape[-1] for x in chosen) if n_seen is None else min(top, n_seen)
            return Top(_joined([_widened(x.values, width, _unseen(name)) for x in chosen]),
                       _joined([_widened(x.indices, width, None) for x in chosen]))
        width = max(x.shape[-1] for x in chosen) if n_seen is None else n_seen
        return _joined([_widened(x, width, _unseen(name)) for x in chosen]).swapaxes(0, 1)


_Part = tuple[Ints, Ints, Any]  # slots, positions, and what was kept of these tokens


def _unseen(name: str) -> float:
    """Return what scores or a pattern have where a token may not look."""
    return 0.0 if name.endswith("pattern") else -np.inf


def _numbers(begin: int, end: int) -> NDArray[np.int64]:
    return np.asarray(range(begin, end), np.int64)


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _widened(x: NDArray[Any], width: int, fill: float | None) -> NDArray[Any]:
    """Return x with `width` numbers in its last axis; new ones are `fill`, or their own places."""
    have = x.shape[-1]
    if have >= width:
        return x[..., :width]
    new = _numbers(have, width) if fill is None else np.full(width - have, fill)
    return np.concatenate([x, np.broadcast_to(new.astype(x.dtype), (*x.shape[:-1], width - have))], -1)


class Trace(Mapping[str, Any]):
    """The values that one run had at its taps, by name, with the logits of every position.

    Shapes: (T, D), (T, H, K), (T, F) by position; scores and patterns (H, T, S); logits (T, V), or those of the last
    token alone (1, V) where it says so. What was reduced has the tokens first, then heads, then what is
    left.
    """

    def __init__(self, ids: list[int], logits: Floats, kept: dict[str, Any], config: ModelConfig | None = None) -> None:
        self.ids, self.logits, self._kept, self._config = ids, logits, kept, config

    def __getitem__(self, name: TapName) -> Any:
        full = self._full(name)
        if len(full) == 1 and full[0] in self._kept:
            return self._kept[full[0]]
        if len(full) > 1 and any(one in self._kept for one in full):
            raise KeyError(f"{name!r} stands for a tap of each of {len(full)} blocks; name one, such as ({name!r}, 0)")
        raise KeyError(f"{name!r} was not kept; this trace has {', '.join(self._kept) or 'no taps'}")

    def __contains__(self, name: object) -> bool:
        full = self._full(name)
        return len(full) == 1 and full[0] in self._kept

    def _full(self, name: Any) -> list[str]:
        """Return the full names that a name means; none if it is no tap's."""
        if isinstance(name, str) and name in self._kept:
            return [name]
        try:
            return full_names(self._config, name) if self._config is not None else []
        except UsageError:
            return []

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of all that was kept."""
        arrays = [a for x in self._kept.values() for a in (x if isinstance(x, Top) else (x,))]
        return sum(a.nbytes for a in arrays)
