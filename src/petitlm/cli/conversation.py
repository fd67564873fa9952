"""A conversation: its turns, what of them still fits in the model's context, and its file. No terminal in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petitlm.errors import ContextError, DamagedError, UsageError
from petitlm.files import read_json_object, write_json
from petitlm.prompts import ROLES, PromptShape

FORMAT = "petit chat 1"


@dataclass
class Conversation:
    """The turns so far, all of them; `prompt` says which of them the model sees."""

    turns: list[tuple[str, str]] = field(default_factory=list)
    """(role, text), user and assistant taking turns."""
    system: str | None = None
    """A first paragraph that stays in front however long the conversation grows."""

    def prompt(self, shape: PromptShape, text: str, count: Callable[[str], int], room: int) -> tuple[str, int]:
        """Return the prompt for the user's next `text`, and how many of the oldest turns it leaves out to fit.

        `count` gives the tokens of a prompt, and `room` how many a prompt may have.
        Raises: ContextError if `text` alone does not fit.
        """
        first, needed = [("system", self.system)] if self.system else [], 0
        for left_out in range(0, len(self.turns) + 1, 2):
            rendered = shape.render_turns([*first, *self.turns[left_out:], ("user", text)])
            if (needed := count(rendered)) <= room:
                return rendered, left_out
        raise ContextError(f"this text needs {needed} tokens and {room} are left for a prompt; write less, or make the "
                           "answer shorter with /set max_tokens")

    def add(self, text: str, answer: str) -> None:
        """Append one exchange."""
        self.turns += [("user", text), ("assistant", answer)]

    def save(self, path: Path, settings: dict[str, Any]) -> None:
        """Write the conversation and the settings it was held with, whole or not at all."""
        turns = [{"role": role, "text": text} for role, text in self.turns]
        write_json(path, {"format": FORMAT, "system": self.system, "settings": settings, "turns": turns})

    @classmethod
    def load(cls, path: Path) -> tuple[Conversation, dict[str, Any]]:
        """Return a saved conversation and its settings.

        Raises: NotFoundError, DamagedError.
        """
        value = read_json_object(path)
        if value.get("format") != FORMAT:
            raise UsageError(f"{path} is not a saved conversation (format {value.get('format')!r}, not {FORMAT!r})")
        turns, system, settings = value.get("turns"), value.get("system"), value.get("settings", {})
        if not isinstance(turns, list) or not isinstance(settings, dict) or not isinstance(system, str | None):
            raise DamagedError(f"{path} is damaged: its turns are not a list, or its settings not an object")
        conversation = cls(system=system)
        for i, turn in enumerate(turns):
            role, text = ROLES[1 + i % 2], turn.get("text") if isinstance(turn, dict) else None
            if not isinstance(text, str) or turn.get("role") != role:
                raise DamagedError(f"{path} is damaged: turn {i} is not a text of the {role}")
            conversation.turns.append((role, text))
        if len(turns) % 2:
            raise DamagedError(f"{path} is damaged: its last turn has no answer")
        return conversation, settings
