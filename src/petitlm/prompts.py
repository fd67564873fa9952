"""The prompt shapes of base models, and the stop rules that end an answer.

A base model continues text; it knows no roles and no special tokens for turns. So a shape is plain
text in a layout that the model saw in training (the phi-2 model card names three), and the answer
ends where the model starts to write the other side's next turn.

Three rules hold for every shape. The prompt never ends in a space: the next token of an answer
usually begins with one, and a space already there would force other, rarer tokens. No model of these
families has a system role: a system text becomes a plain first paragraph. And text that a user types
cannot open a turn: a turn marker at the start of one of its lines is moved in by one space.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from petitlm.errors import UsageError

ROLES = ("system", "user", "assistant")

TOP_LEVEL_STOPS = ("\ndef ", "\nclass ")
"""Opt-in stops for `code`: the next function or class after the one that was asked for."""


@dataclass(frozen=True)
class PromptShape:
    """One layout of a prompt: what stands before each side's text, and where an answer stops."""

    name: str
    user_marker: str
    """Opens the user's turn, at the start of a line; empty if the shape has no turns."""
    assistant_marker: str
    """Opens the answer, at the start of a line; empty if the shape has no turns."""
    stops: tuple[str, ...]
    """Texts that end an answer, besides the model's own end token."""

    @property
    def has_turns(self) -> bool:
        """Whether a prompt is laid out in turns; otherwise the model continues the text itself."""
        return bool(self.user_marker)

    def render(self, text: str, system: str | None = None) -> str:
        """Return the prompt for one request."""
        turns = [("system", system)] if system else []
        return self.render_turns([*turns, ("user", text)])

    def render_turns(self, turns: Sequence[tuple[str, str]]) -> str:
        """Return the prompt for a conversation of (role, text), ready for the assistant to go on.

        A system text is allowed first. A shape without turns joins the texts as they are.
        Raises: UsageError for an unknown role, a system text in the middle, or an end on the assistant's side.
        """
        self._check(turns)
        system = [f"{text.strip()}\n\n" for role, text in turns if role == "system"]
        spoken = [(role, text) for role, text in turns if role != "system"]
        if not self.user_marker:
            return "".join(system) + "".join(text for _, text in spoken)
        markers = {"user": self.user_marker, "assistant": self.assistant_marker}
        lines = [f"{markers[role]} {self.as_plain_text(text.strip())}" for role, text in spoken]
        system = [self.as_plain_text(text) for text in system]
        return "".join(system) + "\n".join([*lines, self.assistant_marker])

    def as_plain_text(self, text: str) -> str:
        """Return `text` with every line that would open a turn moved in by one space."""
        if not self.user_marker or (self.user_marker not in text and self.assistant_marker not in text):
            return text
        return re.sub(rf"(?m)^(?={re.escape(self.user_marker)}|{re.escape(self.assistant_marker)})", " ", text)

    def opens_a_turn(self, text: str) -> bool:
        """Whether `text` has a line that `as_plain_text` would change: worth a warning to whoever typed it."""
        return self.as_plain_text(text) != text

    def _check(self, turns: Sequence[tuple[str, str]]) -> None:
        for i, (role, _) in enumerate(turns):
            if role not in ROLES:
                raise UsageError(f"role {role!r} is not known; choose one of {', '.join(ROLES)}")
            if role == "system" and i > 0:
                raise UsageError(f"turn {i} has the role system; a system text can only come first")
        if not turns or turns[-1][0] != "user":
            last = turns[-1][0] if turns else "nothing"
            raise UsageError(f"the conversation ends with {last}; it must end with a user turn to be answered")


SHAPES: dict[str, PromptShape] = {shape.name: shape for shape in (
    PromptShape("qa", "Instruct:", "Output:", ("\nInstruct:", "\nOutput:")),
    PromptShape("chat", "Alice:", "Bob:", ("\nAlice:",)),
    PromptShape("code", "", "", ()),
    PromptShape("raw", "", "", ()),
)}


def shape_named(name: str) -> PromptShape:
    """Return the prompt shape of this name.

    Raises: UsageError, with the nearest name.
    """
    if name not in SHAPES:
        near = difflib.get_close_matches(name, SHAPES, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(SHAPES)}"
        raise UsageError(f"prompt shape {name!r} is not known; {hint}")
    return SHAPES[name]


class StopMatcher:
    """Finds stop texts in a text that arrives in pieces, and holds back what may become one.

    The first stop to be complete counts (the longest, if several end at one place), so that the
    result is the same however the text was cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if any(not stop for stop in stops):
            raise UsageError("a stop text is empty, and would end every answer at once; leave it out")
        self._stops = tuple(stops)
        self._held = ""
        self._stopped = False

    def push(self, text: str) -> tuple[str, bool]:
        """Take the next piece; return what can be shown for certain, and whether a stop has been met.

        Once a stop has been met, nothing more comes out.
        """
        if self._stopped:
            return "", True
        text = self._held + text
        met = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if met:
            self._stopped, self._held = True, ""
            return text[: min(met)[1]], True
        shown = len(text) - self._n_held(text)
        self._held = text[shown:]
        return text[:shown], False

    def flush(self) -> str:
        """Return what was held back, once no more text will come."""
        held, self._held = self._held, ""
        return held

    def _n_held(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins some stop."""
        longest = max(map(len, self._stops), default=1) - 1
        return next((n for n in range(min(longest, len(text)), 0, -1)
                     if any(stop.startswith(text[-n:]) for stop in self._stops)), 0)
