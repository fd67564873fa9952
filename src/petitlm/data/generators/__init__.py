"""The families of verified problems, each with two routes: one makes the answer, one checks it from the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import ModuleType

from petitlm.data.generators import (
    arithmetic,
    arithmetic_check,
    code,
    code_check,
    commands,
    commands_check,
    dialogue,
    dialogue_check,
    grammar,
    grammar_check,
    gridworld,
    gridworld_check,
    instructions,
    instructions_check,
    measures,
    measures_check,
    number_words_check,
    number_words_task,
    ordering,
    ordering_check,
    passages,
    passages_check,
    small_talk,
    stories,
    stories_check,
    translation,
    translation_check,
    truth_tellers,
    truth_tellers_check,
    word_problems,
    word_problems_check,
)
from petitlm.data.record import Problem
from petitlm.errors import UsageError

LEVELS = 6
"""Difficulty runs from 0 to 5; each family says what its levels are."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A family of problems."""

    name: str
    version: int
    """Raised by any change that alters what a seed gives."""
    level_weights: tuple[int, ...]
    """Share of each level, 0 first, where a mixture does not name levels; 0 for those it leaves out."""
    draw: Callable[[Random, str, int, bool], Problem]
    """(rng, language, level, held_out) -> a problem whose structure is held out, or not, as asked."""
    draw_conversation: Callable[[Random, str, int, bool, int], list[Problem]] | None
    """Several questions about one context, `held_out` for the last; None where there are no contexts."""
    is_held_out: Callable[[str], bool]
    """Whether a structure belongs to `heldout-structures`."""
    check: Callable[[Problem], str | None]
    """The second route: why the answer is wrong, or None."""
    category: str
    """One of `petitlm.data.corpus.schema.CATEGORIES`: the row of the grid that its records fill."""
    form: str
    """One of `petitlm.data.corpus.schema.FORMS`."""
    levels: tuple[int, ...]
    """The levels that it can draw."""
    shape: str | None = None
    """The prompt shape that all its records have ("raw": the answer alone is the text); None: as the mixture asks."""


def _generator(made: ModuleType, check: Callable[[Problem], str | None]) -> Generator:
    """A family from the module that makes its problems: FAMILY, VERSION, LEVEL_WEIGHTS, draw, is_held_out, and what
    differs from the defaults: CATEGORY, FORM, LEVELS, SHAPE, draw_conversation."""
    return Generator(
        made.FAMILY, made.VERSION, made.LEVEL_WEIGHTS, made.draw, getattr(made, "draw_conversation", None),
        made.is_held_out, check, getattr(made, "CATEGORY", made.FAMILY), getattr(made, "FORM", "exercise"),
        getattr(made, "LEVELS", tuple(range(LEVELS))), getattr(made, "SHAPE", None),
    )  # fmt: skip


GENERATORS: dict[str, Generator] = {
    made.FAMILY: _generator(made, check)
    for made, check in (
        (arithmetic, arithmetic_check.check),
        (passages, passages_check.check),
        (commands, commands_check.check),
        (small_talk, small_talk.check),
        (number_words_task, number_words_check.check),
        (word_problems, word_problems_check.check),
        (measures, measures_check.check),
        (translation, translation_check.check),
        (grammar, grammar_check.check),
        (stories, stories_check.check),
        (dialogue, dialogue_check.check),
        (ordering, ordering_check.check),
        (truth_tellers, truth_tellers_check.check),
        (code, code_check.check),
        (instructions, instructions_check.check),
        (gridworld, gridworld_check.check),
    )
}


def generator(name: str) -> Generator:
    """The generator of a family.

    Raises: UsageError if there is none of that name.
    """
    if name not in GENERATORS:
        raise UsageError(f"no generator is named {name!r}; choose one of {', '.join(GENERATORS)}")
    return GENERATORS[name]
