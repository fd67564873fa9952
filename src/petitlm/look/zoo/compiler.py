"""C7: operations into ordinary weights of a sequential block, with the list of edges that make them.

Every operation has its own part of the residual stream, which one component writes and others read: so who reads whom
is known exactly. Block i's heads run what depends on blocks before it, block i's MLP also what those heads wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.look.zoo.made import NO_NORM_EPS, Blueprint, layout, zeros
from petitlm.look.zoo.rasp import Aggregate, Base, Map, Op, Ranked, Steps, everything

GAIN = 60.0
"""Score of a selected key; the others' is 0, so that e^-60 of the attention leaks."""
TOP = 10.0
"""Logit of the word that a categorical result says, or of NUMBER for a result of 1."""
NUMBER = "#"

Node = str
"""As `petitlm.look` names them: embed, pos_embed, z:1.0 (a head), mlp_out:1."""


@dataclass(frozen=True)
class Edge:
    """One component's output read by another."""

    source: Node
    target: str
    """What reads: q:1.0, k:1.0 or v:1.0 of a head, mlp_out:1, or logits."""
    carries: str
    """Name of the operation that passes."""
    varies: bool
    """Whether it depends on the tokens: what does not is the same in every text of a length, and no patch sees it."""


@dataclass(frozen=True)
class Compiled:
    """A program as a model, and the truth about it."""

    blueprint: Blueprint
    edges: tuple[Edge, ...]
    roles: dict[str, Node]
    """Operation: the component that computes it; those that the result does not need, too."""

    @property
    def varying(self) -> set[tuple[str, str]]:
        """The edges that a patch between two texts can see, as (sender, reader)."""
        return {(edge.source, edge.target) for edge in self.edges if edge.varies}


def compile_program(result: Op, words: Sequence[str], n_ctx: int, unused: Sequence[Op] = ()) -> Compiled:
    """Return the model whose logits say `result`; `unused` operations are computed and read by nobody.

    `words` is the vocabulary, with BOS first; values of a categorical result are words, a number goes to NUMBER.
    """
    ops: list[Op] = []
    for op in (result, *unused):
        ops += [one for one in everything(op) if one not in ops]
    stage = _stages(ops)
    heads = {op: _count(op, ops, stage) for op in ops if isinstance(op, Aggregate)}
    at = layout(**{f"op{i}": op.width for i, op in enumerate(ops)})
    where = {op: at[f"op{i}"] for i, op in enumerate(ops)}
    cuts = {op: list(_units(op, where, at["all"].stop)) for op in ops if isinstance(op, Map | Steps | Ranked)}
    n_layers = max(1, 1 + max(s // 2 for s in stage.values()))
    per_block = [sum(len(u) for op, u in cuts.items() if stage[op] == 2 * i + 1) for i in range(n_layers)]
    config = ModelConfig(
        n_layers=n_layers, d_model=at["all"].stop, n_heads=1 + max([*heads.values(), 0]),
        d_head=max([1, *(max(op.keys.width + 1, op.of.width) for op in heads)]), d_mlp=max(1, *per_block),
        n_vocab=len(words), n_ctx=n_ctx, norm="rms", norm_eps=NO_NORM_EPS, parallel_block=False, activation="relu",
        positions="learned", qkv_bias=False, out_bias=False)
    w = zeros(config)
    _write_ends(w, ops, where, words, result)
    for op, head in heads.items():
        _write_head(w, config, op, stage[op] // 2, head, where)
    for i in range(n_layers):
        _write_mlp(w, i, [unit for op, units in cuts.items() if stage[op] == 2 * i + 1 for unit in units])
    roles = {op.name: _node(op, stage, heads) for op in ops}
    return Compiled(Blueprint(result.name, config, w, tuple(words)), tuple(_edges(result, roles)), roles)


def _stages(ops: Sequence[Op]) -> dict[Op, int]:
    """Return when each operation can run: 2 i in block i's heads, 2 i + 1 in its MLP, -1 before all."""
    stage: dict[Op, int] = {}
    for op in ops:
        first = 1 + max((stage[one] for one in op.inputs.values()), default=-2)
        stage[op] = first + (first % 2 if isinstance(op, Aggregate) else 1 - first % 2) if op.inputs else -1
    return stage


def _count(op: Op, ops: Sequence[Op], stage: dict[Op, int]) -> int:
    """Return the head's number in its block."""
    beside: list[Op] = [one for one in ops if isinstance(one, Aggregate) and stage[one] == stage[op]]
    return beside.index(op)


def _node(op: Op, stage: dict[Op, int], heads: dict[Aggregate, int]) -> Node:
    if isinstance(op, Base):
        return "embed" if op.name == "token" else "pos_embed"
    return f"z:{stage[op] // 2}.{heads[op]}" if isinstance(op, Aggregate) else f"mlp_out:{stage[op] // 2}"


def _edges(result: Op, roles: dict[str, Node]) -> Iterator[Edge]:
    ops = everything(result)
    varies = {op: any(isinstance(one, Base) and one.name == "token" for one in everything(op)) for op in ops}
    for op in ops:
        for channel, one in op.inputs.items():
            target = roles[op.name].replace("z:", f"{channel}:")
            yield Edge(roles[one.name], target, one.name, varies[one])
        if isinstance(op, Aggregate) and op.rest:  # BOS is known by its position
            yield from (Edge("pos_embed", roles[op.name].replace("z:", c), "position", False) for c in ("k:", "v:"))
    yield Edge(roles[result.name], "logits", result.name, varies[result])


def _write_ends(w: dict[str, NDArray[np.float64]], ops: Sequence[Op], where: dict[Op, slice], words: Sequence[str],
                result: Op) -> None:
    for op in ops:
        if isinstance(op, Base) and op.values is not None:
            name, rows = "pos_embed.weight", list(range(op.width))
            if op.name == "token":
                name, rows = "embed.weight", [words.index(str(value)) for value in op.values]
            w[name][rows, where[op]] = np.eye(op.width)
    for i, value in enumerate(result.values or (NUMBER,)):
        w["unembed.weight"][words.index(str(value)), where[result].start + i] = TOP


def _write_head(w: dict[str, NDArray[np.float64]], config: ModelConfig, op: Aggregate, block: int, head: int,
                where: dict[Op, slice]) -> None:
    at, score, k = f"blocks.{block}.attn.", GAIN * np.sqrt(config.d_head), config.d_head
    assert op.keys.values is not None and op.queries.values is not None
    rows = slice(head * k, head * k + op.keys.width)
    w[at + "k.weight"][rows, where[op.keys]] = np.eye(op.keys.width)
    selected = [[score * op.select(key, query) for query in op.queries.values] for key in op.keys.values]
    w[at + "q.weight"][rows, where[op.queries]] = selected
    if op.rest:
        bos = next(s.start for one, s in where.items() if isinstance(one, Base) and one.name == "position")
        w[at + "k.weight"][rows.stop, bos] = 1
        w[at + "q.weight"][rows.stop, where[op.queries]] = score  # a query is one of its values: a constant
        w[at + "v.weight"][head * k, bos] = 1
    elif op.weights is not None and op.of.values is not None:
        w[at + "v.weight"][head * k, where[op.of]] = [op.weights.get(value, 0.0) for value in op.of.values]
    else:
        w[at + "v.weight"][head * k : head * k + op.of.width, where[op.of]] = np.eye(op.of.width)
    w[at + "o.weight"][where[op], head * k : head * k + op.width] = np.eye(op.width)


@dataclass(frozen=True)
class _Unit:
    """One unit of an MLP: relu(reads . x + bias), times what it writes."""

    reads: NDArray[np.float64]
    bias: float
    writes: NDArray[np.float64]


def _units(op: Op, where: dict[Op, slice], d: int) -> Iterator[_Unit]:
    def vector(entries: dict[int, float]) -> NDArray[np.float64]:
        out = np.zeros(d)
        for place, number in entries.items():
            out[place] += number
        return out

    def says(value: object) -> NDArray[np.float64]:
        start = where[op].start
        return vector({start: float(value)} if op.values is None  # type: ignore[arg-type]
                      else {start + op.values.index(value): 1.0})  # type: ignore[arg-type]

    if isinstance(op, Map) and len(op.of) == 1:
        for i, value in enumerate(op.of[0].values or ()):
            yield _Unit(vector({where[op.of[0]].start + i: 1.0}), 0.0, says(op.function(value)))
    elif isinstance(op, Map):
        a, b = op.of
        for i, x in enumerate(a.values or ()):
            for j, y in enumerate(b.values or ()):
                if (said := op.function(x, y)) is not None:
                    yield _Unit(vector({where[a].start + i: 1.0, where[b].start + j: 1.0}), -1.0, says(said))
    elif isinstance(op, Steps):
        reads = vector({where[op.of].start: 1.0})
        yield _Unit(np.zeros(d), 1.0, says(op.outputs[0]))
        for low, high, before, after in zip(op.levels, op.levels[1:], op.outputs, op.outputs[1:], strict=False):
            yield from _cut(reads, (low + high) / 2, high - low, says(after) - says(before))
    elif isinstance(op, Ranked):
        ranks = {where[op.positions].start + p: -op.rank(p) for p in op.positions.values or ()}  # type: ignore[arg-type]
        for i, value in enumerate(op.values or ()):
            below = {where[op.shares].start + j: float(op.n) for j in range(i + 1)}
            after = says(op.values[i + 1]) if i + 1 < op.width else np.zeros(d)  # type: ignore[index]
            yield from _cut(vector(below | ranks), 0.5, 1.0, says(value) - after)


def _cut(reads: NDArray[np.float64], middle: float, gap: float, writes: NDArray[np.float64]) -> Iterator[_Unit]:
    """Yield two units whose sum writes nothing below the middle, by a quarter of the gap, and all above it."""
    slope = 2 / gap
    yield _Unit(slope * reads, 0.5 - slope * middle, writes)
    yield _Unit(slope * reads, -0.5 - slope * middle, -writes)


def _write_mlp(w: dict[str, NDArray[np.float64]], block: int, units: Sequence[_Unit]) -> None:
    at = f"blocks.{block}.mlp."
    for i, unit in enumerate(units):
        w[at + "up.weight"][i], w[at + "up.bias"][i] = unit.reads, unit.bias
        w[at + "down.weight"][:, i] = unit.writes
