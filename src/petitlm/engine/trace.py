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
from petitlm.engine.edits import OPERATIONS, Edit, Operation, Which
from petitlm.engine.kernels import Floats, Ints
from petitlm.errors import UsageError
from petitlm.taps import TapName, by_head, full_names

__all__ = ["OPERATIONS", "Dictionary", "Edit", "Keep", "Operation", "Recorder", "Top", "Trace"]


_BEHIND = ("ln_final.hook_normalized", "logits")  # these have the tokens alone whose logits are asked for


class Top(NamedTuple):
    """The largest numbers of the last axis, largest first, and where they are."""

    values: Floats
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class Keep:
    """What to keep of the value at a tap; it is selected and reduced inside the run, before anything is stored."""

    tap: TapName
    at: Which = None
    """Positions in the text; negative ones count from its end; None keeps all."""
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
        for name in ("at", "head"):
            which = getattr(self, name)
            if which is not None:
                which = (which,) if isinstance(which, (int, np.integer)) else which
                object.__setattr__(self, name, tuple(int(i) for i in which))

    def resolved(self, config: ModelConfig, length: int | None, extra: Sequence[str] = ()) -> list[Keep]:
        """Return this with full names and positions counted from the start; one for each tap that it means.

        Raises: UsageError for a tap or position that does not exist.
        """
        at = self.at
        if at is not None:
            if any((p < 0 and (length is None or p < -length)) or (length is not None and p >= length)
                   for p in at):  # type: ignore[union-attr]
                raise UsageError(f"tap {self.tap!r} is to be kept at position {min(at)}, "  # type: ignore[type-var]
                                 f"and the text has {length or 'no known number of'} tokens")
            at = tuple(p % length if length else p for p in at)  # type: ignore[union-attr]
        names = [self.tap] if self.tap in extra else full_names(config, self.tap)
        return [replace(self, tap=name, at=at) for name in names]

    def reduce(self, x: Floats) -> Any:
        """Return what is kept of selected tokens' values (n, ...), tokens first."""
        if self.head is not None:
            if x.ndim < 3 or max(self.head) >= x.shape[1]:  # type: ignore[type-var]
                raise UsageError(f"heads {self.head} are not at {self.tap!r}, whose values have shape {x.shape[1:]}")
            x = x[:, list(self.head)]  # type: ignore[arg-type]
        if self.norm:
            return np.linalg.norm(x, axis=-1).astype(np.float32)
        if self.project is not None:
            return x @ np.asarray(self.project, np.float32).T
        if self.top is not None:
            k = min(self.top, x.shape[-1])
            places = np.argpartition(x, -k, axis=-1)[..., -k:]
            values = np.take_along_axis(x, places, -1)
            order = np.argsort(-values, axis=-1, kind="stable")
            return Top(np.take_along_axis(values, order, -1), np.take_along_axis(places, order, -1))
        return x


class Dictionary(Protocol):
    """Learned features of the value at a tap: a sparse autoencoder, or a transcoder if it writes elsewhere."""

    reads: str
    """Full name of the tap that is encoded."""
    writes: str
    """Full name of the tap that decoded features add up to."""
    name: str
    """Name of the features' own tap, such as `blocks.3.hook_resid_post.sae`."""

    def encode(self, x: Floats, /) -> Floats: ...  # (N, D) -> (N, F)
    def decode(self, f: Floats, /) -> Floats: ...  # (N, F) -> (N, D)


class Recorder:
    """A tap that keeps the values asked for and makes the edits, in the order given.

    `edits` are made in every text; `variants[s]` in the text of cache slot s alone.
    """

    def __init__(self, config: ModelConfig, keeps: Sequence[TapName | Keep], edits: Sequence[Edit], positions: Ints,
                 slots: Ints | None = None, *, variants: Mapping[int, Sequence[Edit]] | None = None,
                 dictionaries: Sequence[Dictionary] = ()) -> None:
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
        self._changes: dict[str, Floats] = {}
        self._parts: dict[str, list[tuple[Ints, Ints, Any]]] = {}
        self.go_on(positions, slots)

    def go_on(self, positions: Ints, slots: Ints | None = None, wanted: Ints | None = None) -> None:
        """Say which tokens the next step has, and whose logits are asked for; what was kept so far stays."""
        slots = np.zeros(len(positions), np.int32) if slots is None else slots
        self._tokens = positions, slots
        self._behind = self._tokens if wanted is None else (positions[wanted], slots[wanted])  # `select`

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
        positions, slots = self._behind if name in _BEHIND else self._tokens
        for slot, edit in self._edits.get(name, ()):
            for one in np.unique(slots) if slot is None else (slot,):  # `mean` is over the tokens of one text
                own = np.flatnonzero(slots == one)
                rows = own if edit.positions is None else own[np.isin(positions[own], edit.positions)]
                if len(rows):
                    out = x.copy() if out is x else out
                    edit.change(out, rows, own)
        return out

    def _keep(self, name: str, x: Floats) -> None:
        keep = self._keeps.get(name)
        if keep is None:
            return
        positions, slots = self._behind if name in _BEHIND else self._tokens
        rows = slice(None) if keep.at is None else np.flatnonzero(np.isin(positions, keep.at))
        self._parts.setdefault(name, []).append((slots[rows], positions[rows], keep.reduce(x[rows])))

    @property
    def kept(self) -> dict[str, Any]:
        """All that was kept, by full name: tokens first, save for scores and patterns (H, N, S)."""
        return self.of(None)

    def of(self, slot: int | None, at: Mapping[str, Which] | None = None) -> dict[str, Any]:
        """Return what was kept of the text in a slot (None: of all), by name only at the positions `at`."""
        return {name: _joined(name, parts, slot, (at or {}).get(name)) for name, parts in self._parts.items()}


def _joined(name: str, parts: list[tuple[Ints, Ints, Any]], slot: int | None, at: Which) -> Any:
    """Put the parts of several steps together, tokens of one text alone, or of all."""
    if isinstance(parts[0][2], Top):
        return Top(*(_joined("", [(s, p, x[i]) for s, p, x in parts], slot, at) for i in range(2)))
    chosen, last = [], -1
    for slots, positions, x in parts:
        mine = np.ones(len(slots), bool) if slot is None else slots == slot
        if at is not None:
            mine &= np.isin(positions, at)
        chosen.append(x if mine.all() else x[mine])
        last = max(last, int(positions[mine].max(initial=-1)))
    if by_head(name) and chosen[0].ndim == 3:
        fill = 0.0 if name.endswith("pattern") else -np.inf
        seen = last + 1 if slot is not None else max(x.shape[-1] for x in chosen)
        chosen = [_widened(x, seen, fill) for x in chosen]
    whole = chosen[0] if len(chosen) == 1 else np.concatenate(chosen)
    return whole.swapaxes(0, 1) if by_head(name) and whole.ndim == 3 else whole


def _widened(x: Floats, seen: int, fill: float) -> Floats:
    if x.shape[-1] >= seen:
        return x[..., :seen]
    return np.concatenate([x, np.full((*x.shape[:-1], seen - x.shape[-1]), fill, x.dtype)], -1)


class Trace(Mapping[str, Any]):
    """The values that one run had at its taps, by name, with the logits of every position.

    Shapes: (T, D), (T, H, K), (T, F) by position; scores and patterns (H, T, S); logits (T, V). What was reduced
    has the reduction's shape.
    """

    def __init__(self, ids: list[int], logits: Floats, kept: dict[str, Any], config: ModelConfig | None = None) -> None:
        self.ids, self.logits, self._kept, self._config = ids, logits, kept, config

    def __getitem__(self, name: TapName) -> Any:
        if name not in self._kept and self._config is not None:
            full = full_names(self._config, name)
            if len(full) == 1:
                name = full[0]
        if name not in self._kept:
            raise KeyError(f"{name!r} was not kept; this trace has {', '.join(self._kept) or 'no taps'}")
        return self._kept[str(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of all that was kept."""
        arrays = [a for x in self._kept.values() for a in (x if isinstance(x, Top) else (x,))]
        return sum(a.nbytes for a in arrays)
