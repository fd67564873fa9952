"""One door to all formats: a path in, texts and refusals out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from petitlm.data.sources.cnxml import cnxml_text
from petitlm.data.sources.html_page import html_text
from petitlm.data.sources.passages import passages
from petitlm.data.sources.plain import Page, markdown_page, paragraphs, text_page
from petitlm.data.sources.po import read_po
from petitlm.data.sources.reading import FORMATS, Bad, Raw, Reading, language_tag
from petitlm.data.sources.records import read_jsonl, read_parquet
from petitlm.data.sources.streams import Broken, Stream, format_suffix, open_stream
from petitlm.data.sources.tei import tei_text
from petitlm.errors import NotFoundError, UsageError

_RECORDS = {"jsonl": read_jsonl, "po": read_po}
_PAGES = {
    "text": text_page,
    "markdown": markdown_page,
    "html": html_text,
    "tei": tei_text,
    "cnxml": cnxml_text,
}  # formats whose whole file is one text


def format_of(path: Path | str, named: str = "") -> str:
    """The format of a file: the one named, or by its suffix.

    Raises: UsageError where neither tells.
    """
    if named:
        return named
    suffix = format_suffix(Path(path))
    for name, suffixes in FORMATS.items():
        if suffix in suffixes:
            return name
    raise UsageError(f"{path}: the suffix {suffix!r} means no known format; name one of {', '.join(FORMATS)}")


def read(path: Path | str, reading: Reading | None = None) -> Iterator[Raw | Bad]:
    """Every text of a file in its order, and a `Bad` for each record, or rest of the file, that cannot be read.

    Nothing that stands in a file stops it or vanishes from it: a damaged line is one `Bad`, a file cut short gives
    what came before and one `Bad`, a file of nothing gives one `Bad`. Memory is bounded by `max_document_bytes`.
    Raises: NotFoundError, UsageError, DamagedError (no right to read): about the path, at the first step.
    """
    path, reading = Path(path), reading or Reading()
    if not path.exists():
        raise NotFoundError(f"{path} is not there")
    n = 0
    for n, found in enumerate(_read(path, format_of(path, reading.format), reading), 1):  # noqa: B007
        yield found
    if not n:
        yield Bad("file", 0, path.stat().st_size, "empty", "no records")


def _read(path: Path, format: str, reading: Reading) -> Iterator[Raw | Bad]:
    if format == "parquet":
        yield from _cut(read_parquet(path, reading), reading)
        return
    with open_stream(path, reading.max_expansion) as stream:
        end = 0
        try:
            for found in _found(stream, format, reading):
                end = found.byte_end or end
                yield found
        except Broken as broken:
            yield Bad("rest", end, stream.position, broken.reason, broken.detail)


def _found(stream: Stream, format: str, reading: Reading) -> Iterator[Raw | Bad]:
    if format in _RECORDS:
        yield from _cut(_RECORDS[format](stream, reading), reading)
    elif format == "text" and reading.passage_chars:
        yield from paragraphs(stream, reading)
    else:
        yield from _cut(_page(stream, format, reading), reading)


def _page(stream: Stream, format: str, reading: Reading) -> Iterator[Raw | Bad]:
    """The one text of a file."""
    data = stream.rest(reading.max_document_bytes)
    end = stream.position
    if data is None:
        yield Bad("1", 0, end, "too-long", f"{end} bytes, {reading.max_document_bytes} are allowed")
        return
    try:
        page: Page = _PAGES[format](data)
    except Broken as broken:
        yield Bad("1", 0, end, broken.reason, broken.detail)
        return
    if not page.text.strip():
        yield Bad("1", 0, end, "empty", f"{end} bytes without text")
        return
    yield Raw(page.text, "1", 0, end, page.title, language_tag(page.language), page.licence, meta=page.meta)


def _cut(found: Iterator[Raw | Bad], reading: Reading) -> Iterator[Raw | Bad]:
    """Long texts as passages, which keep the place of the whole and are numbered in their keys."""
    for raw in found:
        if isinstance(raw, Bad) or not reading.passage_chars or len(raw.text) <= reading.passage_chars:
            yield raw
            continue
        for number, text in enumerate(passages(raw.text, reading.passage_chars), 1):
            yield replace(raw, text=text, key=f"{raw.key}#{number}")
