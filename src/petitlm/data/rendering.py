"""Records as the text that a model reads: prompt and answer pieces in a prompt shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from petitlm.data.record import Record, Turn
from petitlm.prompts import shape_named


class Piece(NamedTuple):
    """A stretch of a rendered record."""

    text: str
    is_answer: bool


def pieces(turns: Sequence[Turn], shape: str) -> list[Piece]:
    """Prompt and answer, turn by turn; joined, they are the whole text without its end token.

    An answer begins with its space: a prompt never ends in one, so that both tokenize alike alone and together.
    """
    layout = shape_named(shape)
    if not layout.has_turns:  # "raw": the answers are the text
        return [Piece(turn.answer, True) for turn in turns]
    cut: list[Piece] = []
    said: list[tuple[str, str]] = []
    before = ""
    for turn in turns:
        said.append(("user", turn.question))
        prompt = layout.render_turns(said)
        said.append(("assistant", turn.answer))
        cut += [Piece(prompt[len(before) :], False), Piece(f" {turn.answer}", True)]
        before = f"{prompt} {turn.answer}"
    return cut


def text_of(record: Record) -> str:
    """The whole text of `record`, without its end token."""
    return "".join(piece.text for piece in pieces(record.turns, record.shape))


def prompt_of(record: Record) -> str:
    """What a model is given to write the last answer of `record`."""
    return "".join(piece.text for piece in pieces(record.turns, record.shape)[:-1])
