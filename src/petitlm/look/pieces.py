"""Running a text piece by piece under a tap of one's own: values are read while they pass, and never pile up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from petitlm.decoder import Tap
from petitlm.engine.edits import Which
from petitlm.engine.kernels import Floats, Ints
from petitlm.engine.runner import as_ints
from petitlm.engine.runs import Runner
from petitlm.errors import UsageError

PIECE = 256
"""Tokens in a pass, as the engine takes prompts."""


class Watch:
    """A tap that shows the values at some names to a function, and changes nothing."""

    def __init__(self, names: Collection[str], see: Callable[[str, Floats], None]) -> None:
        self._names, self._see = frozenset(names), see

    def wants(self, name: str, /) -> bool:
        return name in self._names

    def __call__(self, name: str, value: Floats, /) -> Floats:
        if name in self._names:
            self._see(name, value)
        return value


def run_pieces(runner: Runner, ids: Sequence[int], tap_for: Callable[[Ints], Tap], at: Collection[int] = (), *,
               size: int = PIECE) -> Iterator[tuple[Floats, Tap]]:
    """Run a text, each piece under the tap for its positions (N,).

    Yields the logits (M, V) of those positions that are in `at`, and the tap.
    """
    session, wanted = runner.session(1, len(ids)), np.asarray(sorted(at), np.int64)
    for begin in range(0, len(ids), size):
        positions = as_ints(range(begin, min(begin + size, len(ids))))
        rows = as_ints(np.flatnonzero(np.isin(positions, wanted)))
        tap = tap_for(positions)
        yield session.step(as_ints(ids[begin : begin + size]), positions, np.zeros_like(positions), rows, tap), tap


def positions_of(at: Which, n_tokens: int) -> list[int]:
    """Return positions counted from the start, in order; negative ones count from the end, None means all.

    Raises: UsageError for one that the text does not have.
    """
    if at is None:
        return list(range(n_tokens))
    given = [int(at)] if isinstance(at, (int, np.integer)) else [int(p) for p in at]
    for p in given:
        if not -n_tokens <= p < n_tokens:
            raise UsageError(f"position {p} is not in the text, which has {n_tokens} tokens; give one from 0 to "
                             f"{n_tokens - 1}, or from -1 to {-n_tokens} counted from its end")
    if not given:
        raise UsageError("no position is given; name at least one, or leave it out for all")
    return sorted({p % n_tokens for p in given})


def block_of(block: int, n_layers: int) -> int:
    """Return the index of a block counted from the start.

    Raises: UsageError if there is no such block.
    """
    if not -n_layers <= block < n_layers:
        raise UsageError(f"layer {block} is not in this model; its layers run from 0 to {n_layers - 1}")
    return block % n_layers


def head_of(head: int, n_heads: int) -> int:
    """Return the index of a head.

    Raises: UsageError if there is no such head.
    """
    if not 0 <= head < n_heads:
        raise UsageError(f"head {head} is not in this model; each layer has heads 0 to {n_heads - 1}")
    return head
