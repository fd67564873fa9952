"""A tree of elements as plain text: paragraphs, lists, tables, code and formulas, by a table of what each tag is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

_SPACE = re.compile(r"[ \t\r\n]+")
_SPACES = re.compile(r" {2,}")
_AROUND_TURN = re.compile(r" *\n *")


@dataclass(frozen=True)
class Rules:
    """What the tags of a format mean for its text. A tag not named is part of the line it stands in."""

    block: frozenset[str]
    """Paragraphs, headings, sections: apart from what is before and after."""
    item: frozenset[str] = frozenset()
    """Points of a list, each on a line of its own."""
    line: frozenset[str] = frozenset()
    """Lines of verse or rows of a table."""
    cell: frozenset[str] = frozenset()
    """Cells of a row, between vertical bars."""
    code: frozenset[str] = frozenset()
    """Kept to the letter."""
    turn: frozenset[str] = frozenset()
    """Where a new line starts."""
    skip: frozenset[str] = frozenset()
    """Left out with all they hold."""
    aside: frozenset[str] = frozenset()
    """Notes: taken out of their sentence and put, in brackets, after the block that it ends."""
    special: Mapping[str, Callable[[Element], str]] = field(default_factory=dict)
    """Tags whose text is made by a function, in the line."""


def words(text: str) -> frozenset[str]:
    """A set of tags from their names between spaces."""
    return frozenset(text.split())


def text_of(element: Element, rules: Rules) -> str:
    """The text of an element: neighbours of one list, verse or table on successive lines, other blocks apart."""
    writer = _Writer(rules)
    writer.walk(element)
    writer.end()
    pieces: list[str] = []
    before = ""
    for kind, text in writer.blocks:
        together = kind == before and kind in ("item", "line")
        pieces.append(text if not pieces else ("\n" if together else "\n\n") + text)
        before = kind
    return "".join(pieces)


class _Writer:
    """Walks a tree and gathers its blocks."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.blocks: list[tuple[str, str]] = []  # (kind, text)
        self._line: list[str] = []
        self._notes: list[str] = []
        self._depth = 0  # of lists
        self._mark = ""  # what the next block starts with: a dash for the first of an item, then spaces
        self._in_row = False
        self._has_text = False  # whether the line so far is more than white space

    def walk(self, element: Element) -> None:
        """Add the text of an element, not its tail."""
        tag, rules = element.tag, self.rules
        if tag in rules.skip:
            return
        if tag in rules.special:
            self._add(rules.special[tag](element))
        elif tag in rules.aside:
            inside = Element("inside")  # a tag of no rule
            inside.text, inside[:] = element.text, list(element)
            self._notes.append(_SPACE.sub(" ", text_of(inside, rules)))
        elif tag in rules.turn:
            self._line.append("\n")
        elif tag in rules.cell:
            if self._has_text:
                self._line.append(" | ")
            self._children(element)
        elif self._in_row and (tag in rules.block or tag in rules.item or tag in rules.code or tag in rules.line):
            self._line.append(" ")  # a cell's paragraphs stay in its row
            self._children(element)
        elif tag in rules.code:
            self.end()
            self.blocks.append(("code", "".join(element.itertext()).strip("\n")))
        elif tag in rules.item:
            self._item(element)
        elif tag in rules.line:
            self.end()
            self._in_row = any(child.tag in rules.cell for child in element)
            self._children(element)
            self._in_row = False
            self.end("line")
        elif tag in rules.block:
            self.end()
            self._children(element)
            self.end()
        else:
            self._children(element)

    def _children(self, element: Element) -> None:
        self._add(element.text)
        for child in element:
            self.walk(child)
            self._add(child.tail)

    def _add(self, text: str | None) -> None:
        if text:
            self._line.append(_SPACE.sub(" ", text))
            self._has_text = self._has_text or not text.isspace()

    def _item(self, element: Element) -> None:
        self.end()
        self._mark = "  " * self._depth + "- "
        self._depth += 1
        self._children(element)
        self.end()
        self._depth -= 1
        self._mark = "  " * self._depth

    def end(self, kind: str = "block") -> None:
        """End the line so far as a block of its own, and put its notes after it."""
        text = _AROUND_TURN.sub("\n", _SPACES.sub(" ", "".join(self._line))).strip()
        self._line, self._has_text = [], False
        if text:
            self.blocks.append(("item" if self._depth else kind, self._mark + text))
            self._mark = "  " * self._depth
        notes, self._notes = self._notes, []
        self.blocks += [("note", f"[{note}]") for note in notes if note]
