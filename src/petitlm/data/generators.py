"""The families of verified problems, each with two routes: one makes the answer, one checks it from the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from petitlm.data import arithmetic, arithmetic_check, commands, commands_check, passages, passages_check, small_talk
from petitlm.data.record import Problem
from petitlm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Generator:
    """A family of problems."""

    name: str
    version: int
    """Raised by any change that alters what a seed gives."""
    level_weights: tuple[int, ...]
    """Share of each level, 0 first; higher levels have more distinct problems."""
    draw: Callable[[Random, str, int, bool], Problem]
    """(rng, language, level, held_out) -> a problem whose structure is held out, or not, as asked."""
    draw_conversation: Callable[[Random, str, int, bool, int], list[Problem]] | None
    """Several questions about one context, `held_out` for the last; None where there are no contexts."""
    is_held_out: Callable[[str], bool]
    """Whether a structure belongs to `heldout-structures`."""
    check: Callable[[Problem], str | None]
    """The second route: why the answer is wrong, or None."""


GENERATORS: dict[str, Generator] = {
    made.FAMILY: Generator(
        made.FAMILY, made.VERSION, made.LEVEL_WEIGHTS, made.draw, conversation, made.is_held_out, check
    )
    for made, conversation, check in (
        (arithmetic, None, arithmetic_check.check),
        (passages, passages.draw_conversation, passages_check.check),
        (commands, None, commands_check.check),
        (small_talk, None, small_talk.check),
    )
}


def generator(name: str) -> Generator:
    """The generator of a family.

    Raises: UsageError if there is none of that name.
    """
    if name not in GENERATORS:
        raise UsageError(f"no generator is named {name!r}; choose one of {', '.join(GENERATORS)}")
    return GENERATORS[name]
