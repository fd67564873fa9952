"""Attention patterns: where every head looked, summed up while the text runs, and whole for the heads asked for.

A pattern says where a head read from, not what it did with it: Jain and Wallace 2019, Attention is not Explanation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.decoder import Tap
from petitlm.engine.edits import Which
from petitlm.engine.kernels import Floats, Ints
from petitlm.engine.runs import TRACE_LIMIT, Runner
from petitlm.errors import DoesNotFitError, UsageError
from petitlm.look.models import Model, Text, ids_of, token_texts
from petitlm.look.pieces import Watch, block_of, head_of, positions_of, run_pieces
from petitlm.look.results import Check, Result, Table, about
from petitlm.sizes import size_text

Numbers = NDArray[np.float64]
_ROWS = 40  # heads listed on a terminal


@dataclass(frozen=True)
class HeadLook:
    """Where one head looked, on average over the positions asked for."""

    layer: int
    head: int
    own: float
    """Share of attention on the token itself."""
    previous: float
    """On the token before."""
    first: float
    """On the text's first token, where heads look that have nothing to look for."""
    entropy: float
    """Of a row, in nats."""
    distance: float
    """Tokens back, on average."""
    top: list[tuple[int, float]]
    """Positions with the largest shares after the last position asked for, and the shares."""


@dataclass(frozen=True)
class Patterns(Result):
    """Where heads looked."""

    positions: list[int]
    """Positions that look."""
    tokens: list[str]
    """All tokens of the text."""
    heads: list[HeadLook]
    whole: dict[str, Floats]
    """Patterns (T, S) of the positions that look, by `layer.head`; of the heads asked for alone."""

    def tables(self) -> list[Table]:
        last = self.positions[-1]
        rows = [[f"{h.layer}.{h.head}", h.own, h.previous, h.first, h.entropy, h.distance,
                 *(f"{p} {self.tokens[p]!r} {share:.2f}" for p, share in h.top)] for h in self.heads[:_ROWS]]
        for row in rows:
            row += [""] * (max(map(len, rows)) - len(row))
        n_top = max(len(h.top) for h in self.heads)
        note = f"shares of attention, the mean of {len(self.positions)} positions; looks at: from {last} " \
               f"{self.tokens[last]!r}"
        if len(self.heads) > _ROWS:
            note += f"; {_ROWS} of {len(self.heads)} heads, the rest with --json"
        return [Table("where heads look", ["head", "itself", "before", "first", "entropy", "back",
                                           *["looks at", *["then"] * (n_top - 1)][:n_top]], rows, note)]

    def charts(self) -> list[str]:
        from petitlm.look.page import heat

        names = [f"{i} {token}" for i, token in enumerate(self.tokens)]
        if self.whole:
            return [heat(f"Head {head}: from each token (row) to those before it", [names[p] for p in self.positions],
                         names, pattern, unit="share of attention") for head, pattern in self.whole.items()]
        layers = sorted({h.layer for h in self.heads})
        grids = [("the token before", "previous"), ("the first token", "first"), ("the token itself", "own")]
        drawn = [heat(f"Attention on {what}", [f"layer {i}" for i in layers],
                      [f"head {h.head}" for h in self.heads if h.layer == layers[0]],
                      [[getattr(h, field) for h in self.heads if h.layer == i] for i in layers], unit="share", most=1.0)
                 for what, field in grids]
        return drawn


def patterns(model: Model, text: Text, *, layer: int | None = None, head: int | None = None, at: Which = None,
             top: int = 3) -> Patterns:
    """Say where each head looks from positions `at` (all if None); with `layer`, and `head`, their whole patterns.

    Patterns are summed up as they pass, layer by layer, so a long text takes no memory for those not asked for.
    Raises: UsageError; ContextError; DoesNotFitError if the whole patterns would take too much.
    """
    ids, config = ids_of(model, text), model.config
    if head is not None and layer is None:
        raise UsageError(f"head {head} is given without its layer; give layer, too")
    if top < 1:
        raise UsageError(f"top={top} keeps nothing; give 1 or more")
    positions = positions_of(at, len(ids))
    layers = list(range(config.n_layers)) if layer is None else [block_of(layer, config.n_layers)]
    heads = list(range(config.n_heads)) if head is None else [head_of(head, config.n_heads)]
    n_bytes = 4 * len(positions) * len(ids) * len(heads)
    if layer is not None and n_bytes > TRACE_LIMIT:
        raise DoesNotFitError(f"{len(heads)} patterns of {len(positions)} × {len(ids)} tokens would take "
                              f"{size_text(n_bytes)}, and the limit is {size_text(TRACE_LIMIT)}; give one head, or "
                              "fewer positions")
    looks = _Looks(len(layers), len(heads), top, positions)
    whole = np.zeros((len(heads), len(positions), len(ids)), np.float32) if layer is not None else None

    def see(i: int, pattern: Floats, seen: NDArray[np.int32]) -> None:
        rows = np.flatnonzero(np.isin(seen, positions))
        if not len(rows):
            return
        chosen = pattern[heads][:, rows]
        looks.add(layers.index(i), chosen, seen[rows])
        if whole is not None:
            whole[:, np.searchsorted(positions, seen[rows]), : chosen.shape[-1]] = chosen

    watch_patterns(model.runner, ids[: positions[-1] + 1], layers, see)
    kept = {} if whole is None else {f"{layers[0]}.{h}": whole[i] for i, h in enumerate(heads)}
    rows_check = Check("rows of a pattern: largest distance of their sum from 1", looks.worst, 1e-5)
    return Patterns(about(model, "patterns", text=text, layer=layer, head=head, at=at, top=top), positions,
                    token_texts(model, ids), looks.result(layers, heads), kept, checks=(rows_check,))


def watch_patterns(runner: Runner, ids: Sequence[int], layers: Sequence[int],
                   see: Callable[[int, Floats, NDArray[np.int32]], None]) -> None:
    """Run a text and call `see` with (layer, pattern (H, N, S), positions (N,)) as each pattern passes."""
    names = {f"blocks.{i}.attn.hook_pattern": i for i in layers}
    begin = 0

    def pass_on(name: str, pattern: Floats) -> None:
        see(names[name], pattern, np.arange(begin, begin + pattern.shape[1], dtype=np.int32))

    def tap_for(piece: Ints) -> Tap:
        nonlocal begin
        begin = int(piece[0])
        return watch

    watch = Watch(names, pass_on)
    for _ in run_pieces(runner, ids, tap_for):
        pass


class _Looks:
    """Sums over the positions that look, of every head."""

    def __init__(self, n_layers: int, n_heads: int, top: int, positions: Sequence[int]) -> None:
        self._sums = np.zeros((n_layers, n_heads, 5))
        self._top: dict[tuple[int, int], list[tuple[int, float]]] = {}
        self._n, self._last, self._k, self.worst = len(positions), positions[-1], top, 0.0

    def add(self, layer: int, pattern: Floats, positions: NDArray[np.int32]) -> None:
        """Add rows (H, N, S) of the patterns of a layer."""
        p = pattern.astype(np.float64)
        rows, back = np.arange(len(positions)), positions[:, None] - np.arange(p.shape[-1])
        before = np.where(positions > 0, p[:, rows, np.maximum(positions - 1, 0)], 0.0)
        entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)
        parts = p[:, rows, positions], before, p[..., 0], entropy, (p * np.maximum(back, 0)).sum(-1)
        self._sums[layer] += np.stack([part.sum(-1) for part in parts], -1)
        self.worst = max(self.worst, float(np.abs(p.sum(-1) - 1).max()))
        if positions[-1] == self._last:
            for h, row in enumerate(p[:, -1, : self._last + 1]):
                best = np.argsort(-row, kind="stable")[: self._k]
                self._top[layer, h] = [(int(s), float(row[s])) for s in best]

    def result(self, layers: Sequence[int], heads: Sequence[int]) -> list[HeadLook]:
        means = self._sums / self._n
        looks = []
        for i, layer in enumerate(layers):
            for j, head in enumerate(heads):
                own, previous, first, entropy, distance = means[i, j].tolist()
                looks.append(HeadLook(layer, head, own, previous, first, entropy, distance, self._top[i, j]))
        return looks
