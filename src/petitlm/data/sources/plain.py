"""Plain text and Markdown: whole files, or, of long plain texts, passages with their exact bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from petitlm.data.sources.passages import passages
from petitlm.data.sources.reading import Bad, Raw, Reading
from petitlm.data.sources.streams import Broken, Line, Stream, lines

_BOM = "\ufeff"
_FRONT = re.compile(r"(---|\+\+\+)[^\S\n]*\n(.*?)\n\1[^\S\n]*(?:\n|\Z)", re.S)
_FRONT_LINE = re.compile(r"^(title|titre|lang|language|licen[cs]e)\s*[:=]\s*[\"']?(.*?)[\"']?\s*$", re.M | re.I)
# Every repetition has an end: on a long line of opening brackets the work would grow with its square.
_HEADING = re.compile(r"^#{1,6}[ \t]{1,20}(\S.{0,300}?)[ \t]{0,20}#{0,20}$", re.M)
_IMAGE = re.compile(r"!\[([^\]\n]{0,400})\]\([^)\n]{0,2000}\)")
_LINKED_NOTHING = re.compile(r"\[[ \t]{0,20}\]\([^)\n]{0,2000}\)")
_FENCE = re.compile(r"^(`{3,20}|~{3,20})[^\n]{0,200}\n.*?(?:^\1[`~]*[^\S\n]*$|\Z)", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a whole file, with what the file says of itself."""

    text: str
    title: str | None = None
    language: str | None = None
    licence: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def decoded(data: bytes) -> str:
    """UTF-8 without its byte order mark.

    Raises: Broken.
    """
    try:
        return data.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        hint = "; it starts like UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise Broken("not-utf8", f"byte {error.start}: {error.reason}{hint}") from None


def text_page(data: bytes) -> Page:
    """Plain text, as it is."""
    return Page(decoded(data))


def markdown_page(data: bytes) -> Page:
    """Markdown with its marks, without front matter, comments and pictures (their descriptions stay).

    Code blocks are kept to the letter. Title: of the front matter, else the first heading.
    """
    text = decoded(data).replace("\r\n", "\n")
    front = _FRONT.match(text)
    said = {name.lower(): value for name, value in _FRONT_LINE.findall(front[2])} if front else {}
    text = text[front.end() :] if front else text
    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_without_pictures(text[at : fence.start()]), fence[0]]
        at = fence.end()
    parts.append(_without_pictures(text[at:]))
    body = "".join(parts).strip("\n")
    heading = _HEADING.search(parts[0]) or _HEADING.search("".join(parts[::2]))
    title = said.get("title") or said.get("titre") or (heading[1] if heading else None)
    language = said.get("lang") or said.get("language")
    return Page(body, title, language or None, said.get("licence") or said.get("license") or None)


def _without_pictures(text: str) -> str:
    return _LINKED_NOTHING.sub("", _IMAGE.sub(r"\1", _without_comments(text)))


def _without_comments(text: str) -> str:
    pieces: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        pieces.append(text[at:start])
        at = end + 3
    return "".join([*pieces, text[at:]])


def paragraphs(stream: Stream, reading: Reading) -> Iterator[Raw | Bad]:
    """A plain text of any length as passages: each ends with the paragraph that brings it to `passage_chars` bytes.

    A line longer than `max_document_bytes`, or one that is not UTF-8, is refused alone.
    Raises: Broken.
    """
    held: list[Line] = []
    n_chars = number = 0
    for line in lines(stream, reading.max_document_bytes):
        bad = _unreadable(line, reading.max_document_bytes, number + 2 if held else number + 1)
        blank = line.data is not None and not line.data.strip()
        n_chars += len(line.data or b"")
        if held and (bad or (blank and n_chars >= reading.passage_chars) or n_chars > reading.max_document_bytes):
            number += 1
            yield from _passage(held, number, reading.passage_chars)
            held, n_chars = [], 0
        if bad:
            number += 1
            yield bad
        elif held or not blank:
            held.append(line)
    if held:
        yield from _passage(held, number + 1, reading.passage_chars)


def _unreadable(line: Line, max_bytes: int, number: int) -> Bad | None:
    if line.data is None:
        return Bad(str(number), line.start, line.end, "too-long", f"{line.end - line.start} bytes, {max_bytes} allowed")
    try:
        line.data.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {line.start + error.start}: {error.reason}"
        return Bad(str(number), line.start, line.end, "not-utf8", detail)
    return None


def _passage(held: list[Line], number: int, size: int) -> Iterator[Raw]:
    """The lines held so far, cut once more where they are a good deal longer than asked."""
    begin = held[0].start
    text = b"\n".join(line.data or b"" for line in held).decode()
    at = 0
    for part, piece in enumerate(passages(text, size) if len(text) > 2 * size else [text], 1):
        found = text.index(piece, at)
        begin += len(text[at:found].encode())
        end = begin + len(piece.encode())
        key = str(number) if len(piece) == len(text) else f"{number}#{part}"
        yield Raw(piece, key, begin, end)
        at, begin = found + len(piece), end
