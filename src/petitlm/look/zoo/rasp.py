"""A small language of sequence operations, after RASP (Weiss et al. 2021) and Tracr (Lindner et al. 2023), causal.

An operation gives one value at each position: one of a few (categorical, a one-hot in the residual stream), or a
number. Heads select and aggregate; MLPs map values, and cut numbers into steps. Position 0 holds BOS, which has no
token value. `petitlm.look.zoo.compiler` turns an operation into weights.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = Hashable


@dataclass(frozen=True, eq=False)
class Op:
    """One operation; `values` are what it may be at a position, None for a number."""

    name: str
    values: tuple[Value, ...] | None

    @property
    def width(self) -> int:
        """Features of the residual stream that it takes."""
        return 1 if self.values is None else len(self.values)

    @property
    def inputs(self) -> dict[str, Op]:
        """The operations that it reads, by the channel that it reads them with: q, k, v, or in0, in1 (MLPs)."""
        return {}


@dataclass(frozen=True, eq=False)
class Base(Op):
    """What a text gives: "token" (what stands there; BOS is none), or "position" (0 for BOS)."""


@dataclass(frozen=True, eq=False)
class Aggregate(Op):
    """The mean, over the positions so far whose key is selected by the own query, of a value.

    Of categorical values it is one of them where one position is selected, and else a share for each. With `weights`
    it is the mean of a number that each value stands for. With `rest`, BOS is selected, too, and alone counts as one:
    the result is 1 / (1 + selected positions).
    """

    keys: Op
    queries: Op
    select: Callable[[Any, Any], bool]
    """Whether a key (first) is selected by a query (second)."""
    of: Op
    weights: Mapping[Value, float] | None = None
    rest: bool = False

    @property
    def inputs(self) -> dict[str, Op]:
        return {"k": self.keys, "q": self.queries, "v": self.of}


@dataclass(frozen=True, eq=False)
class Map(Op):
    """A function of one categorical value, or of two at the same position."""

    of: tuple[Op, ...]
    function: Callable[..., Any]

    @property
    def inputs(self) -> dict[str, Op]:
        return {f"in{i}": op for i, op in enumerate(self.of)}


@dataclass(frozen=True, eq=False)
class Steps(Op):
    """A function of a number that has one of a few levels: `outputs[i]` from the middle below level i on."""

    of: Op
    levels: tuple[float, ...]
    """Increasing."""
    outputs: tuple[Value, ...]

    @property
    def inputs(self) -> dict[str, Op]:
        return {"in0": self.of}


@dataclass(frozen=True, eq=False)
class Ranked(Op):
    """The first value, in order, up to which more tokens of n have come than a rank: sorting by counts."""

    shares: Op
    """Of each value, in order: an `Aggregate` of tokens."""
    positions: Op
    rank: Callable[[int], float]
    """From a position to its rank, 0 for the smallest."""
    n: int

    @property
    def inputs(self) -> dict[str, Op]:
        return {"in0": self.shares, "in1": self.positions}


def tokens(words: Sequence[str]) -> Base:
    """Return the operation that gives each position's word."""
    return Base("token", tuple(words))


def positions(n_ctx: int) -> Base:
    """Return the operation that gives each position's number."""
    return Base("position", tuple(range(n_ctx)))


def everything(op: Op) -> list[Op]:
    """Return an operation and all that it is made of, inputs first, each once."""
    found: list[Op] = []

    def visit(one: Op) -> None:
        for other in one.inputs.values():
            visit(other)
        if one not in found:
            found.append(one)

    visit(op)
    return found
