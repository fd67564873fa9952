"""Translation files (gettext PO): each translated message as a pair, with its exact lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from petitlm.data.sources.reading import Bad, Pair, Raw, Reading, language_tag
from petitlm.data.sources.streams import Line, Stream, lines

_LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d+)\])?)\s*)?"((?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"((?:\\(?:x[0-9a-fA-F]{1,2}|[0-7]{1,3}))+)|\\(.)")
_BYTE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3}))")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass
class _Message:
    """A message as its lines come in."""

    start: int
    end: int
    number: int
    """Its first line, from 1."""
    parts: dict[str, list[str]] = field(default_factory=dict)
    flags: str = ""
    obsolete: bool = False
    trouble: tuple[str, str] | None = None
    at: str = ""

    def text(self, name: str) -> str:
        return "".join(self.parts.get(name, []))


def read_po(stream: Stream, reading: Reading) -> Iterator[Raw | Bad]:
    """Pairs of original and translation; guesses, old and missing translations are refused one by one.

    A message with a plural gives two pairs, `#1` and `#2` (further plural forms have no original of their own).
    The header is no message: its `Language:` names the translation's language. Messages are in UTF-8.
    Raises: Broken.
    """
    language = reading.languages[1]
    for message in _messages(stream, reading.max_document_bytes):
        if not message.text("msgid") and not message.trouble and not message.obsolete:
            declared = re.search(r"^Language:\s*([A-Za-z_-]+)", message.text("msgstr"), re.M)
            language = (language_tag(declared[1]) if declared else None) or language
        else:
            yield from _pairs(message, (reading.languages[0], language))


def _messages(stream: Stream, max_bytes: int) -> Iterator[_Message]:
    """Runs of lines with a message in them; a new one starts after a blank line, or with a second `msgid`."""
    message: _Message | None = None
    for number, line in enumerate(lines(stream, max_bytes), 1):
        text = _text(line)
        if isinstance(text, str) and not text.strip():
            if message and (message.parts or message.trouble):
                yield message
            message = None
            continue
        starts = isinstance(text, str) and re.match(r"(#~ )?msg(ctxt|id)\b(?!_)|#(?!~)", text)
        if message and starts and "msgstr" in " ".join(message.parts):
            yield message
            message = None
        message = message or _Message(line.start, line.end, number)
        message.end = line.end
        if message.end - message.start > max_bytes:
            message.trouble = "too-long", f"more than {max_bytes} bytes"
            message.parts = {"msgid": ["?"]}
        elif isinstance(text, str):
            _add(message, text.strip())
        else:
            message.trouble = message.trouble or text
    if message and (message.parts or message.trouble):
        yield message


def _text(line: Line) -> str | tuple[str, str]:
    if line.data is None:
        return "too-long", f"a line of {line.end - line.start} bytes"
    try:
        return line.data.decode()
    except UnicodeDecodeError as error:
        return "not-utf8", f"byte {line.start + error.start}: {error.reason}"


def _add(message: _Message, text: str) -> None:
    if text.startswith("#~"):
        message.obsolete = True
        text = text[2:].strip()
    if text.startswith("#,"):
        message.flags += text[2:]
    if text.startswith(("#", "|")) or not text:
        return
    found = _LINE.fullmatch(text)
    if not found or not (found[1] or message.at):
        message.trouble = message.trouble or ("syntax", text[:80])
        return
    message.at = found[1] or message.at
    message.parts.setdefault(message.at, []).append(_ESCAPE.sub(_unescaped, found[3]))


def _unescaped(found: re.Match[str]) -> str:
    """A letter after a backslash, or a run of bytes given by number."""
    if found[1]:
        codes = (int(code, 16) if code else int(octal, 8) & 255 for code, octal in _BYTE.findall(found[1]))
        return bytes(codes).decode(errors="replace")
    return _ESCAPES.get(found[2], found[2])


def _pairs(message: _Message, languages: tuple[str, str]) -> Iterator[Raw | Bad]:
    key, place = str(message.number), (message.start, message.end)
    why = _refusal(message)
    if why:
        yield Bad(key, *place, *why)
        return
    sides = [(message.text("msgid"), message.text("msgstr") or message.text("msgstr[0]"))]
    if "msgid_plural" in message.parts:
        sides.append((message.text("msgid_plural"), message.text("msgstr[1]")))
    context = message.text("msgctxt")
    for number, (source, target) in enumerate(sides, 1):
        name = key if len(sides) == 1 else f"{key}#{number}"
        if not source.strip() or not target.strip():
            yield Bad(name, *place, "untranslated", source[:80])
            continue
        pair = Pair(source, target, *languages)
        meta = {"context": context} if context else {}
        yield Raw(f"{source}\n{target}", name, *place, language=pair.target_language, pair=pair, meta=meta)


def _refusal(message: _Message) -> tuple[str, str] | None:
    """Why no pair of the message is used."""
    if message.trouble:
        return message.trouble
    original = message.text("msgid")[:80]
    if message.obsolete:
        return "obsolete", original
    if re.search(r"\bfuzzy\b", message.flags):
        return "fuzzy", original
    return None
