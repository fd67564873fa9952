"""What reading a file gives: texts with their exact place, and, one by one, what could not be read and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from petitlm.errors import ConfigError

REASONS: Mapping[str, str] = {
    "archive-bomb": "the file unpacks to far more than its size; reading stopped there",
    "damaged": "the file cannot be read on from here: cut short, or not of its kind",
    "empty": "no text but white space",
    "fuzzy": "the translation is marked as a guess",
    "lone-surrogate": "an escape names half of a character",
    "no-text-field": "the record has no field of that name",
    "not-json": "the line is not JSON",
    "not-object": "the line is JSON, but not an object {...}",
    "not-text": "the field is there, but holds no string",
    "not-utf8": "the bytes are not UTF-8",
    "not-xml": "the file is not well-formed XML, or declares a document type (entities are never expanded)",
    "obsolete": "the translation belongs to a message that is no longer there",
    "syntax": "lines that are no message of a translation file, or a page of marks that never end",
    "too-deep": "elements are nested deeper than any text needs",
    "too-long": "the record is longer than max_document_bytes",
    "untranslated": "the message has no translation",
}
"""Why a record, or the rest of a file, is refused while reading: the closed list."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read; the same for all files of a source."""

    format: str = ""
    """One of `FORMATS`; empty: by the file's suffix, before .gz, .zst, .bz2 or .xz."""
    text_field: str = "text"
    """JSONL and Parquet: the field that holds the text."""
    pair_fields: tuple[str, str] | None = None
    """JSONL and Parquet: the two fields that hold a sentence and its translation, instead of `text_field`."""
    languages: tuple[str, str] = ("en", "fr")
    """Of pairs: original and translation; a translation file that names its language overrides the second."""
    id_field: str | None = None
    """Field with the record's own name; without it the line or row number is its key."""
    licence_field: str | None = None
    language_field: str | None = None
    title_field: str | None = None
    meta_fields: tuple[str, ...] = ()
    """Fields that are handed on as they are, in `Raw.meta`."""
    passage_chars: int = 0
    """Longer texts are cut between paragraphs into passages of about this many characters; 0: never cut."""
    max_document_bytes: int = 16 << 20
    """A longer record is refused unread; so much and no more is held in memory."""
    max_expansion: float = 250.0
    """Unpacked bytes for each packed byte; beyond it (and beyond 64 MiB) a file counts as an archive bomb.
    Text packs 3 to 10 times, gzip at most 1,032 times."""

    def __post_init__(self) -> None:
        if self.format and self.format not in FORMATS:
            raise ConfigError(f"format {self.format!r} is not known; choose one of {', '.join(FORMATS)}")
        if self.max_document_bytes < 1 or self.max_expansion < 1 or self.passage_chars < 0:
            raise ConfigError(
                f"max_document_bytes={self.max_document_bytes} and max_expansion={self.max_expansion} must be at "
                f"least 1, passage_chars={self.passage_chars} at least 0"
            )
        if self.passage_chars and self.pair_fields:
            raise ConfigError("passage_chars and pair_fields contradict each other: a pair is never cut")


FORMATS = {
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
    "text": (".txt", ".text"),
    "markdown": (".md", ".markdown"),
    "html": (".html", ".htm", ".xhtml"),
    "tei": (".tei", ".xml"),
    "cnxml": (".cnxml",),
    "po": (".po",),
}
"""Formats that can be read, with the suffixes that mean them."""


class Pair(NamedTuple):
    """A text and its translation."""

    source: str
    target: str
    source_language: str
    target_language: str


@dataclass(frozen=True, slots=True)
class Raw:
    """One text of a file, as it stands there."""

    text: str
    """Of a pair: original, newline, translation."""
    key: str
    """Its name in the file: line or row from 1, or its own id; `#n` after it counts passages and plural forms."""
    byte_start: int | None
    byte_end: int | None
    """The record is `file[byte_start:byte_end]` of the unpacked file; None in Parquet, where rows have no bytes."""
    title: str | None = None
    language: str | None = None
    """BCP-47, as the file declares it; None where it says nothing readable. Of a pair: the translation's."""
    licence: str | None = None
    """In the file's own words."""
    pair: Pair | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bad:
    """A record, or the rest of a file, that was refused."""

    key: str
    byte_start: int | None
    byte_end: int | None
    reason: str
    """One of `REASONS`."""
    detail: str
    """The value that led to it."""


_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_SHORTER = {
    "eng": "en", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "spa": "es", "ita": "it", "por": "pt",
    "nld": "nl", "dut": "nl",
}  # fmt: skip


def language_tag(words: str | None) -> str | None:
    """A BCP-47 tag in lower case, the two-letter code where there is one; None for no such tag, and for "not known"."""
    tag = words.strip().lower().replace("_", "-") if words else ""
    if not _TAG.fullmatch(tag) or tag in ("und", "mul", "zxx"):
        return None
    first, dash, rest = tag.partition("-")
    return _SHORTER.get(first, first) + dash + rest
