"""`data.json`: what a checkpoint says of the data that made it, so that each of its steps can be traced.

A trainer writes it beside the weights. All of it:

    {"schema": 1,
     "manifest_sha256": "...",      of the corpus: its identity
     "tokenizer_sha256": "...",     of the tokenizer.json that the corpus was encoded with
     "n_tokens": 123456,            of the corpus, in all its shards
     "sampler": {"name": "blocks", "version": 1, "seed": 0, "length": 512},
     "sequences": 32,               of one step, over all devices and however they were cut
     "first_step": 0,               number of the first step that read in this order; earlier ones are the parents'
     "first_sequence": 0,           place in the order where that step began
     "steps": 1200,                 steps done when the checkpoint was written, earlier ones included
     "parents": [{"how": "grown", "weights_sha256": "...", "data": {...} or null}]}

A run that changes its corpus, its batch or its seed on the way starts a new order: its checkpoint names itself as the
parent. A merged checkpoint has several parents, and all of them answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from petitlm.data.provenance.order import SAMPLER, VERSION, Blocks
from petitlm.errors import ConfigError, DamagedError, NotFoundError, UsageError
from petitlm.files import read_json_object, write_json
from petitlm.recipes import check_keys

SCHEMA = 1
FILE = "data.json"
_NUMBERS = ("n_tokens", "sequences", "first_step", "first_sequence", "steps")
_KEYS = ("schema", "manifest_sha256", "tokenizer_sha256", "sampler", "parents", *_NUMBERS)
_DEEPEST = 64  # generations of parents; more is a cycle or an attack


class Read(NamedTuple):
    """One sequence that a step read."""

    step: int
    sequence: int
    """Its place in the step's batch."""
    epoch: int
    start: int
    """First token read, counted over all shards."""
    end: int
    """One behind the last target."""


@dataclass(frozen=True)
class Parent:
    """A checkpoint that this one was made from."""

    how: str
    """"continued", "adapted", "grown", "merged", ..."""
    weights_sha256: str
    data: DataState | None
    """What it says of its own data; None where it says nothing."""


@dataclass(frozen=True)
class DataState:
    """The data of a checkpoint; the fields are those of the file."""

    manifest_sha256: str
    tokenizer_sha256: str
    n_tokens: int
    seed: int
    length: int
    sequences: int
    steps: int
    first_step: int = 0
    first_sequence: int = 0
    parents: tuple[Parent, ...] = ()

    def __post_init__(self) -> None:
        if self.sequences < 1 or not 0 <= self.first_step <= self.steps or self.first_sequence < 0:
            raise UsageError(f"sequences={self.sequences}, first_step={self.first_step}, steps={self.steps}, "
                             f"first_sequence={self.first_sequence} describe no run; a step has one sequence or more, "
                             "and a run does not end before it begins")
        _ = self.order  # checks the rest

    @property
    def order(self) -> Blocks:
        """The order in which it read."""
        return Blocks(self.n_tokens, self.length, self.seed)

    def reads(self, step: int) -> list[Read]:
        """What a step of this order read, sequence by sequence.

        Raises: UsageError for a step that this order did not do.
        """
        if not self.first_step <= step < self.steps:
            raise UsageError(f"step {step} is not among the steps {self.first_step} to {self.steps - 1} "
                             "of this checkpoint's data")
        first = self.first_sequence + (step - self.first_step) * self.sequences
        blocks = self.order.at(first, self.sequences).tolist()
        return [self._read(first + i, block) for i, block in enumerate(blocks)]

    def exposures(self, start: int, end: int) -> list[Read]:
        """Every sequence so far that read a token of `start` to `end`, in the order of reading."""
        order, last = self.order, self.first_sequence + (self.steps - self.first_step) * self.sequences
        if not 0 <= start < end <= self.n_tokens:
            raise UsageError(f"tokens {start} to {end} are not a range of the corpus' {self.n_tokens:,} tokens")
        blocks = range(max(0, (start - 1) // self.length), min(order.n_blocks, (end - 1) // self.length + 1))
        return sorted(self._read(sequence, block) for block in blocks for sequence in order.when(block, last)
                      if sequence >= self.first_sequence)

    def learnt(self, ranges: Sequence[tuple[int, int]]) -> int:
        """How often a token of these ranges was a target so far: tokens times exposures."""
        order, last = self.order, self.first_sequence + (self.steps - self.first_step) * self.sequences
        times = np.zeros(order.n_blocks + 1, np.int64)  # of each block; none of the tokens behind the last one
        at = self.first_sequence
        while at < last:
            end = min(last, (at // order.n_blocks + 1) * order.n_blocks)  # of this pass
            if end - at == order.n_blocks:
                times[:-1] += 1
            else:
                times[order.at(at, end - at)] += 1
            at = end
        before = np.concatenate([[0], np.cumsum(times)])  # targets of all blocks before, over `length`
        # Token t > 0 is the target of block (t - 1) // length alone; how many before token t:
        places = np.maximum(np.array(ranges, np.int64).reshape(-1, 2) - 1, 0)
        block = np.minimum(places // self.length, order.n_blocks)
        upto = before[block] * self.length + times[block] * (places - block * self.length)
        return int((upto[:, 1] - upto[:, 0]).sum())

    def _read(self, sequence: int, block: int) -> Read:
        done, start = sequence - self.first_sequence, block * self.length
        return Read(self.first_step + done // self.sequences, done % self.sequences, sequence // self.order.n_blocks,
                    start, start + self.length + 1)

    def to_dict(self) -> dict[str, Any]:
        """The file's content."""
        sampler = {"name": SAMPLER, "version": VERSION, "seed": self.seed, "length": self.length}
        parents = [{"how": p.how, "weights_sha256": p.weights_sha256, "data": p.data.to_dict() if p.data else None}
                   for p in self.parents]
        return {"schema": SCHEMA, "manifest_sha256": self.manifest_sha256, "tokenizer_sha256": self.tokenizer_sha256,
                "sampler": sampler, **{name: getattr(self, name) for name in _NUMBERS}, "parents": parents}

    def save(self, checkpoint: Path | str) -> None:
        """Write it into a checkpoint's folder."""
        write_json(Path(checkpoint) / FILE, self.to_dict())


def load_state(checkpoint: Path | str) -> DataState:
    """Read the data of a checkpoint's folder.

    Raises: NotFoundError for a checkpoint that does not say what it was made from; DamagedError.
    """
    path = Path(checkpoint)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise NotFoundError(f"{path} is not there: this checkpoint does not say what data made it; "
                            "only checkpoints trained on a built corpus can be traced")
    try:
        return _from_dict(read_json_object(path), 0)
    except (ConfigError, UsageError) as error:
        raise DamagedError(f"{path}: {error}") from None


def lineage(state: DataState, depth: int = 0) -> list[tuple[int, str, DataState | None]]:
    """The state, its parents and theirs: (generations back, how the younger was made from it, state)."""
    rows: list[tuple[int, str, DataState | None]] = [(0, "", state)] if depth == 0 else []
    for parent in state.parents:
        rows.append((depth + 1, parent.how, parent.data))
        if parent.data:
            rows += lineage(parent.data, depth + 1)
    return rows


def states_of_step(state: DataState, step: int) -> list[DataState]:
    """The orders, this one's or its nearest ancestors', that did a step; several where parents were merged."""
    if state.first_step <= step < state.steps:
        return [state]
    return [found for parent in state.parents if parent.data for found in states_of_step(parent.data, step)]


def _from_dict(value: Mapping[str, Any], depth: int) -> DataState:
    if value.get("schema") != SCHEMA:
        raise ConfigError(f"schema {value.get('schema')!r} is not the {SCHEMA} that this petit reads")
    check_keys(value, _KEYS, "data", _KEYS)
    sampler = _table(value["sampler"], "sampler")
    check_keys(sampler, ("name", "version", "seed", "length"), "sampler", ("name", "version", "seed", "length"))
    if (sampler["name"], sampler["version"]) != (SAMPLER, VERSION):
        raise ConfigError(f"the order {sampler['name']!r}, version {sampler['version']!r}, is not known here; "
                          f"this petit knows {SAMPLER!r}, version {VERSION}")
    for name, number in [*((name, value[name]) for name in _NUMBERS), ("seed", sampler["seed"]),
                         ("length", sampler["length"])]:
        if type(number) is not int:
            raise ConfigError(f"{name}={number!r:.50} is not a whole number")
    for name in ("manifest_sha256", "tokenizer_sha256"):
        if not isinstance(value[name], str):
            raise ConfigError(f"{name}={value[name]!r:.50} is not text")
    if depth >= _DEEPEST or not isinstance(value["parents"], list):
        raise ConfigError(f"parents are not a list of at most {_DEEPEST} generations")
    return DataState(value["manifest_sha256"], value["tokenizer_sha256"], value["n_tokens"], sampler["seed"],
                     sampler["length"], value["sequences"], value["steps"], value["first_step"],
                     value["first_sequence"], tuple(_parent(parent, depth) for parent in value["parents"]))


def _parent(value: Any, depth: int) -> Parent:
    keys = ("how", "weights_sha256", "data")
    table = _table(value, "parents")
    check_keys(table, keys, "parents", keys)
    data = None if table["data"] is None else _from_dict(_table(table["data"], "data"), depth + 1)
    return Parent(str(table["how"]), str(table["weights_sha256"]), data)


def _table(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is not an object")
    return value
