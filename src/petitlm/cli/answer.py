"""From what a person typed to a streamed answer: shared by `petit run` and `petit chat`."""

from __future__ import annotations

import math
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from petitlm.cli.output import note
from petitlm.errors import RefusedError

if TYPE_CHECKING:
    from petitlm.engine.generation import Generation
    from petitlm.front import Model
    from petitlm.prompts import PromptShape

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
    try:
        for piece in stream:
            if piece.choice == 0:
                display.write(piece)
    finally:  # after Ctrl-C, too, so that what is said next has a line of its own
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


def summary(generation: Generation, max_tokens: int | None) -> str:
    """Return the last line of an answer: tokens made, tokens per second, seconds, then the prompt's.

    `max_tokens` is the limit that the person gave, if any.
    """
    n, prompt = generation.n_generated, generation.n_prompt
    guessed = f" · {generation.n_right} of {generation.n_guessed} guesses right" if generation.n_guessed else ""
    known = f", {generation.n_reused} known already" if generation.n_reused else ""
    text = (f"{n} token{'s' * (n != 1)} · {rate(generation):,.1f} tokens/s · {seconds_text(generation.decode_s)}"
            f"{guessed} (prompt: {prompt} token{'s' * (prompt != 1)}{known}, {seconds_text(generation.prefill_s)})")
    if generation.finish == "length" and max_tokens is None:
        text += f"\n(stopped at {len(generation.ids)} tokens; max_tokens sets another limit)"
    return text


def seconds_text(seconds: float) -> str:
    """Return a duration with three digits that count: 0.0123 s, 4.56 s, 78.9 s."""
    return f"{seconds:.{max(0, min(4, 2 - math.floor(math.log10(max(seconds, 1e-4)))))}f} s"


def rate(generation: Generation) -> float:
    """Return the tokens per second of the answer, not counting the time that the prompt took."""
    return generation.n_generated / max(generation.decode_s, 1e-9)


def figures(generation: Generation) -> dict[str, Any]:
    """Return the same for --json."""
    return {"prompt_tokens": generation.n_prompt, "reused_tokens": generation.n_reused,
            "tokens": generation.n_generated, "tokens_per_s": rate(generation),
            "prefill_s": generation.prefill_s, "decode_s": generation.decode_s, "steps": generation.n_steps,
            "tokens_per_step": generation.tokens_per_step, "guessed_tokens": generation.n_guessed,
            "right_guesses": generation.n_right, "acceptance": generation.acceptance}


def read_stdin() -> str:
    """Return standard input as text, without the newline that `echo` puts at its end.

    Raises: RefusedError if it is not UTF-8.
    """
    return decode(sys.stdin.buffer.read(), "standard input").removesuffix("\n").removesuffix("\r")


def decode(data: bytes, what: str) -> str:
    """Return UTF-8 bytes as text.

    Raises: RefusedError, saying that `what` is not.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(f"{what} is not UTF-8 text (byte {error.start}); convert it, for example with "
                           "iconv -f latin1 -t utf8") from None
