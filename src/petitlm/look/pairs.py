"""Pairs of texts that a question is asked of again and again: clean, corrupt, answer, versus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from petitlm.errors import UsageError
from petitlm.look.models import Metric, Model, Text, aligned, make_metric

KEYS = ("clean", "corrupt", "answer", "versus")


@dataclass(frozen=True)
class Pair:
    """One pair, in ids of one length, and what is measured after the last."""

    clean: list[int]
    corrupt: list[int]
    metric: Metric


def make_pairs(model: Model, given: Sequence[Any], what: str = "pair") -> list[Pair]:
    """Return pairs from (clean, corrupt, answer, versus), in this order or under these names; `versus` may be left out.

    Raises: UsageError, which says which pair cannot be used and why.
    """
    pairs = []
    for i, one in enumerate(given):
        clean, corrupt, answer, versus = _fields(f"{what} {i + 1}", one)
        try:
            pairs.append(Pair(*aligned(model, clean, corrupt), make_metric(model, answer, versus)))
        except UsageError as error:
            raise UsageError(f"{what} {i + 1}: {error}") from None
    return pairs


def _fields(which: str, one: Any) -> tuple[Text, Text, str | int, str | int | None]:
    if isinstance(one, Mapping):
        unknown = [key for key in one if key not in KEYS]
        if unknown or any(key not in one for key in KEYS[:3]):
            raise UsageError(f"{which} has {', '.join(map(str, one)) or 'nothing'}; it needs clean, corrupt and "
                             "answer, may have versus, and nothing else")
        return one["clean"], one["corrupt"], one["answer"], one.get("versus")
    if isinstance(one, str) or not isinstance(one, Sequence) or not 3 <= len(one) <= 4:
        raise UsageError(f"{which} is {one!r:.60}; give (clean, corrupt, answer, versus), or the same by name")
    return one[0], one[1], one[2], one[3] if len(one) == 4 else None


def plain_pairs(given: Sequence[Any]) -> list[list[Any]]:
    """Return pairs as JSON has them, to be asked again with."""
    return [list(_fields(f"pair {i + 1}", one)) for i, one in enumerate(given)]
