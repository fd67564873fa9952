"""The parts of a model that are asked about one by one: a block's value, a head, a neuron; at some positions or all.

A unit has a name that can be typed: `z:5.3` (head 3 of block 5), `mlp_out:2`, `post:2.17` (a neuron), and
`resid_post:4@11` at position 11 alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from petitlm.config import ModelConfig
from petitlm.errors import UsageError
from petitlm.taps import block_of, by_head, full_names, short_name, tap_shape

STREAM = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "embed")
"""Values with one row for each position."""
HEADS = ("heads", "z", "q", "k", "v", "rot_q", "rot_k", "pattern", "attn_scores")
"""Values that each head has; `heads` is `z`, what a head has read."""
OVER = (*STREAM, *HEADS, "neurons")
_TAPS = {"heads": "z", "neurons": "mlp_post"}
_NAME = re.compile(r"(?P<tap>[a-z_0-9]+?)(?::(?P<block>\d+)(?:\.(?P<part>\d+))?)?(?:@(?P<at>\d+(?:,\d+)*))?")


@dataclass(frozen=True)
class Unit:
    """One part of a model."""

    tap: str
    """Full name of the tap."""
    head: int | None = None
    neuron: int | None = None
    positions: tuple[int, ...] | None = None
    """Positions in the text; None means all that are asked about."""

    @property
    def name(self) -> str:
        """What it is called: `z:5.3`, `mlp_out:2@11`."""
        part = self.head if self.head is not None else self.neuron
        at = "" if self.positions is None else "@" + ",".join(map(str, self.positions))
        return short_name(self.tap) + ("" if part is None else f".{part}") + at

    @property
    def block(self) -> int | None:
        """Its block; None for what a model has once."""
        return block_of(self.tap)


def parse_unit(config: ModelConfig, text: str) -> Unit:
    """Return the unit of a name.

    Raises: UsageError if there is none, saying what names look like.
    """
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} names no part; write it like z:5.3 (head 3 of block 5), mlp_out:2, post:2.17 (a "
                         "neuron) or resid_post:4@11 (at position 11)")
    name, block, part = match["tap"], match["block"], match["part"]
    taps = full_names(config, _TAPS.get(name, name) if block is None else (_TAPS.get(name, name), int(block)))
    if len(taps) > 1:
        raise UsageError(f"{text!r} says no block; write {text.split('@')[0]}:0 to {name}:{config.n_layers - 1}")
    at = tuple(int(p) for p in match["at"].split(",")) if match["at"] else None
    if part is None:
        return Unit(taps[0], positions=at)
    shape = tap_shape(config, taps[0], 1)
    parts, what = (n_heads(config, taps[0]), "head") if len(shape) == 3 else (shape[-1], "neuron")
    if int(part) >= parts:
        raise UsageError(f"{text!r}: there is no {what} {part}; they run from 0 to {parts - 1}")
    return Unit(taps[0], **{what: int(part)}, positions=at)


def n_heads(config: ModelConfig, tap: str) -> int:
    """Return how many heads the value at a tap has; keys and values may have fewer than queries."""
    shape = tap_shape(config, tap, 1)
    return shape[0] if by_head(tap) else shape[1]


@dataclass(frozen=True)
class Grid:
    """Units in rows and columns, as they are shown."""

    rows: list[str]
    columns: list[str]
    units: list[list[Unit]]

    @property
    def flat(self) -> list[Unit]:
        """All units, row by row."""
        return [unit for row in self.units for unit in row]


def make_grid(config: ModelConfig, over: str, positions: Sequence[int], texts: Sequence[str], *,
              each: bool | None = None, blocks: Iterable[int] | None = None, neurons: Sequence[Unit] = ()) -> Grid:
    """Return the units of a kind: `each` position for itself (None: for values of the stream) or all together.

    `positions` are those asked about and `texts` the tokens there.
    Raises: UsageError for a kind or block that does not exist.
    """
    if over not in OVER:
        raise UsageError(f"over={over!r} is not known; choose one of {', '.join(OVER)}")
    each = over in STREAM if each is None else each
    labels = [f"{p} {text.strip() or '␣'}" for p, text in zip(positions, texts, strict=True)]
    columns = labels if each else ["together"]
    places: list[tuple[int, ...]] = [(p,) for p in positions] if each else [tuple(positions)]
    taps = _taps(config, over, blocks)
    if over == "neurons":
        return Grid([unit.name for unit in neurons], columns,
                    [[Unit(unit.tap, neuron=unit.neuron, positions=at) for at in places] for unit in neurons])
    if over in STREAM:
        return Grid([short_name(tap) for tap in taps], columns,
                    [[Unit(tap, positions=at) for at in places] for tap in taps])
    heads = range(n_heads(config, taps[0]))
    if each:
        return Grid([f"{short_name(tap)}.{h}" for tap in taps for h in heads], columns,
                    [[Unit(tap, h, positions=at) for at in places] for tap in taps for h in heads])
    return Grid([short_name(tap) for tap in taps], [f"head {h}" for h in heads],
                [[Unit(tap, h, positions=places[0]) for h in heads] for tap in taps])


def _taps(config: ModelConfig, over: str, blocks: Iterable[int] | None) -> list[str]:
    name = _TAPS.get(over, over)
    if blocks is None or over == "embed":
        return full_names(config, name)
    return [tap for block in blocks for tap in full_names(config, (name, int(block)))]
