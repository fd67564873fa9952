"""How an answer is shown: as it is made, to the letter where it must be, and never as a command to the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest

from petitlm.cli.answer import Display, printable, seconds_text, stream_answer, summary


class Screen(io.StringIO):
    """A terminal that remembers what was on it at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.shown.append(self.getvalue())


def test_each_piece_is_on_the_screen_before_the_next_is_made(parrot: Any) -> None:
    screen = Screen()
    parrot.answers = [[" Once", " upon", " a time"]]
    stream_answer(parrot, "Tell", screen, trim=False)
    assert screen.shown[:3] == [" Once", " Once upon", " Once upon a time"]
    assert screen.getvalue() == " Once upon a time\n"


def test_ctrl_c_leaves_the_cursor_on_a_new_line(parrot: Any) -> None:
    screen = Screen()
    parrot.answers = [["Once", KeyboardInterrupt()]]
    with pytest.raises(KeyboardInterrupt):
        stream_answer(parrot, "Tell", screen, trim=False)
    assert screen.getvalue() == "Once\n"


@pytest.mark.parametrize(("pieces", "shown"), [
    ([" yes"], "yes"),
    ([" ", "\n", " yes", " no"], "yes no"),
    (["", "yes"], "yes"),
    ([" ", " "], ""),
])
def test_an_answer_in_turns_is_shown_without_the_space_before_it(pieces: list[str], shown: str) -> None:
    out = io.StringIO()
    display = Display(out, trim=True)
    for piece in pieces:
        display.write(piece)
    assert out.getvalue() == shown


def test_a_terminal_is_not_commanded_by_the_model() -> None:
    assert printable("a\x1b[2Jb\x9bc\r\n\té", Screen()) == "a�[2Jb�c�\n\té"
    assert printable("a\x1b[2J", io.StringIO()) == "a\x1b[2J", "a file gets what the model said"


def test_the_last_line_counts_tokens_and_time(parrot: Any) -> None:
    result = parrot.generate("Tell")
    assert summary(result, None) == "1 token · 1.3 tokens/s · 0.750 s (prompt: 3 tokens, 0.250 s)"
    result.n_reused = 2
    assert summary(result, None).endswith("(prompt: 3 tokens, 2 known already, 0.250 s)")
    result.n_guessed, result.n_right = 9, 7
    assert " · 0.750 s · 7 of 9 guesses right (prompt: " in summary(result, None)
    result.finish = "length"
    assert "stopped at 1 tokens" in summary(result, None)
    assert "stopped" not in summary(result, 1), "who set the limit knows it"


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0.0000 s"), (0.00123, "0.0012 s"), (0.01234, "0.0123 s"), (0.5, "0.500 s"), (4.567, "4.57 s"),
    (78.94, "78.9 s"), (1234.5, "1234 s"),
])
def test_seconds_have_the_digits_that_count(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
