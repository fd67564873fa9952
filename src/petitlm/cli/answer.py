"""From what a person typed to a streamed answer: shared by `petit run` and `petit chat`."""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from petitlm.cli.output import note
from petitlm.errors import RefusedError

if TYPE_CHECKING:
    from petitlm.front import Generation, Model
    from petitlm.prompts import PromptShape

DEFAULT_MAX_TOKENS = 256


def load_model(path: str | None, bits: int | None, threads: int | None) -> Model:
    """Load the model that the options name; without --bits, a packed folder keeps its own."""
    import petitlm

    return petitlm.load(path, threads=threads, **({} if bits is None else {"bits": bits}))


def longest_answer(model: Model, n_prompt: int, wanted: int | None) -> int:
    """Return how many tokens the answer may have: what was asked for, or what the context leaves, up to 256.

    A number that was asked for is passed on as it is: the engine refuses it if it does not fit.
    """
    return wanted or max(1, min(DEFAULT_MAX_TOKENS, model.config.n_ctx - n_prompt))


@dataclass
class Display:
    """Shows an answer on `out` as it is made."""

    out: TextIO
    trim: bool
    """Leave out the space that an answer in turns begins with (`Output: yes`); other shapes are shown to the letter."""

    def write(self, piece: str) -> None:
        """Show one piece at once."""
        if self.trim:
            piece = piece.lstrip()
            self.trim = not piece
        self.out.write(printable(piece, self.out))
        self.out.flush()


def stream_answer(model: Model, prompt: str, out: TextIO, trim: bool, **options: Any) -> Generation:
    """Write the answer to `out` as it is made, and return it.

    With several answers (`n`), the first streams and the others follow it, each under its number.
    """
    stream = model.stream(prompt, **options)
    several, display = options.get("n", 1) > 1, Display(out, trim)
    if several:
        out.write("[1] ")
    for piece in stream:
        if piece.index == 0:
            display.write(piece)
    out.write("\n")
    for i, choice in enumerate(stream.result.choices[1:], start=2):
        out.write(f"[{i}] ")
        Display(out, trim).write(choice.text)
        out.write("\n")
    out.flush()
    return stream.result


def printable(text: str, out: TextIO) -> str:
    """Return `text` for `out`; on a terminal, without the control characters that could command it."""
    if not out.isatty():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)


def warn_of_turns(shape: PromptShape, text: str) -> None:
    """Say so where `text` has lines that look like turns: they are given to the model as plain text."""
    if shape.opens_a_turn(text):
        note(f"(lines that begin with {shape.user_marker} or {shape.assistant_marker} are moved in by a space: they "
             "are text here, not turns; the shape raw leaves everything as it is)")


def summary(generation: Generation, asked: int | None) -> str:
    """Return the last line of an answer: tokens · tokens/s · seconds."""
    n = n_tokens(generation)
    text = f"{n} token{'s' * (n != 1)} · {rate(generation):.1f} tokens/s · {seconds(generation):.2f} s"
    if generation.finish == "length" and asked is None:
        text += f" (stopped at {n} tokens; --max-tokens sets another limit)"
    return text


def n_tokens(generation: Generation) -> int:
    """Return the tokens made, over all answers."""
    return sum(len(choice.ids) for choice in generation.choices)


def seconds(generation: Generation) -> float:
    """Return the seconds from the prompt's first token to the answer's last."""
    return generation.prefill_s + generation.decode_s


def rate(generation: Generation) -> float:
    """Return tokens per second over the whole answer, reading the prompt included."""
    return n_tokens(generation) / max(seconds(generation), 1e-9)


def read_stdin() -> str:
    """Return standard input as text, without the newline that `echo` puts at its end.

    Raises: RefusedError if it is not UTF-8.
    """
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise RefusedError(f"standard input is not UTF-8 text (byte {error.start}); convert it, for example with iconv "
                           "-f latin1 -t utf8") from None


def say_summary(generation: Generation, asked: int | None) -> None:
    """Print the last line, on standard error so that a pipe gets the answer alone."""
    note(summary(generation, asked))
