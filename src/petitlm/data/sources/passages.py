"""Long texts cut into passages: between paragraphs, else lines, else sentences, else words."""

from __future__ import annotations

import re
from collections.abc import Iterator

# From the best joint to the worst; a joint belongs to neither side.
_JOINTS = (re.compile(r"\n[^\S\n]*\n\s*"), re.compile(r"\n"), re.compile(r"(?<=[.!?…»”\"])\s+"), re.compile(r"\s+"))


def passages(text: str, size: int) -> Iterator[str]:
    """Cut `text` into passages of at most `size` characters, about equally long.

    What is lost is the white space at the joints alone. A word longer than `size` is cut.
    """
    yield from (text[a:b] for a, b in _pack(_pieces(text, 0, len(text), size, 0), size, len(text)))


def _pieces(text: str, start: int, end: int, size: int, joint: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most `size` characters, in order, cut at the best joints that make them short enough."""
    if end - start <= size:
        if text[start:end].strip():
            yield start, end
        return
    if joint == len(_JOINTS):
        yield from ((at, min(at + size, end)) for at in range(start, end, size))
        return
    at = start
    for found in _JOINTS[joint].finditer(text, start, end):
        yield from _pieces(text, at, found.start(), size, joint + 1)
        at = found.end()
    yield from _pieces(text, at, end, size, joint + 1)


def _pack(pieces: Iterator[tuple[int, int]], size: int, n_chars: int) -> Iterator[tuple[int, int]]:
    """Neighbouring ranges joined while they fit into `size`, until they have their share of what is left."""
    start = end = -1
    share = 0
    for a, b in pieces:
        if start >= 0 and (b - start > size or (end + b) // 2 - start >= share):
            yield start, end
            start = -1
        if start < 0:
            start, left = a, n_chars - a
            share = left // -(-left // size)  # passages alike, rather than a short last one
        end = b
    if start >= 0:
        yield start, end
