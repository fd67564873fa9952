"""How people type a question: now and then without its capital and its final mark."""

from __future__ import annotations

from random import Random


def in_haste(rng: Random, text: str) -> str:
    """`text`, one time in six with a small first letter or without its final mark, or both."""
    if rng.random() >= 1 / 6:
        return text
    habit = rng.randrange(3)
    if habit != 0:
        text = text[0].lower() + text[1:]
    return text if habit == 1 else text.rstrip(" ?.!")
