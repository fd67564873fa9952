"""A model that says what the test wants, so that commands are tested without weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from petitlm.config import ModelConfig


@dataclass
class Answer:
    """What the front's Generation has."""

    text: str
    ids: list[int]
    finish: str = "stop"
    logprobs: Any = None
    n_prompt: int = 3
    n_reused: int = 0
    prefill_s: float = 0.25
    decode_s: float = 0.75
    n_steps: int = 0
    n_guessed: int = 0
    n_right: int = 0
    tokens_per_step: float | None = None
    acceptance: float | None = None
    choices: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.choices = self.choices or [self]

    @property
    def n_generated(self) -> int:
        return sum(len(choice.ids) for choice in self.choices)


class Piece(str):
    """A part of an answer that knows which answer it belongs to."""

    choice = 0


class Stream:
    """Pieces in order; an exception among them is raised in its place, as Ctrl-C would be."""

    def __init__(self, pieces: Sequence[str | BaseException], result: Answer) -> None:
        self._pieces, self.result, self.closed = pieces, result, False

    def __iter__(self) -> Iterator[Piece]:
        for piece in self._pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield Piece(piece)

    def close(self) -> None:
        self.closed = True


class Parrot:
    """A model that gives the prepared answers, one after the other, and remembers what it was asked."""

    name, bits, threads, prompt = "parrot", 4, 1, "qa"

    def __init__(self) -> None:
        self.config = ModelConfig(1, 8, 2, 4, 16, n_vocab=64, n_ctx=1000, n_rotary=2)
        self.context = 1000
        self.answers: list[Sequence[str | BaseException]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.streams: list[Stream] = []

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]  # one token for each

    def stream(self, prompt: str, **options: Any) -> Stream:
        self.asked.append((prompt, options))
        pieces = self.answers.pop(0) if self.answers else ["ok"]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        self.streams.append(Stream(pieces, Answer(text, list(range(len(pieces))))))
        return self.streams[-1]

    def generate(self, prompt: str, **options: Any) -> Answer:
        return self.stream(prompt, **options).result


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()
