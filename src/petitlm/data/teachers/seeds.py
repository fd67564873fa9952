"""Seed documents: what a teacher is given to rewrite, and which documents it must not be given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.corpus.ingest import carried_sources
from petitlm.data.corpus.schema import DOCUMENTS, content_id, doc_id
from petitlm.data.corpus.stage import canonical
from petitlm.data.provenance.corpus import MANIFEST, open_corpus
from petitlm.data.quality.language import find_languages
from petitlm.data.record import TRAIN
from petitlm.data.sources import Bad, Reading, read
from petitlm.data.sources.licences import rights_of, spdx
from petitlm.data.teachers.strategies import LANGUAGES, Strategy
from petitlm.errors import DamagedError, NotFoundError, UsageError

SKIPPED = {
    "unreadable": "the line is no document",
    "language": "it is not in the language that the strategy starts from",
    "held-out": "it is kept for validation, test or held-out questions, and a rewrite would give it away",
    "no-licence": "nothing says under which licence it may be used",
    "no-derivatives": "its licence allows no changed versions",
    "own": "a model of petit wrote it, and is not to rewrite itself",
    "length": "it is too short to rewrite, or too long for the prompt",
    "same-text": "another seed has the same text",
}
"""Why a document is no seed: the closed list."""
_MIN_BYTES = 80
_BATCH = 512


@dataclass(frozen=True)
class Wanted:
    """Which documents may be seeds."""

    strategy: Strategy
    language: str
    """Of the replies."""
    limit: int
    """0: no limit."""
    max_bytes: int = 8000
    licence: str = ""
    """Of a JSONL file whose lines do not say."""
    by_own: bool = False
    """Whether a model of petit is the teacher."""


@dataclass
class Seeds:
    """Documents to start from."""

    rows: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    """Rows of the table of sources, of those documents alone."""
    skipped: Counter[str] = field(default_factory=Counter)


def read_seeds(path: Path, wanted: Wanted) -> Seeds:
    """The seeds in a corpus, in a table of documents, or in a JSONL file with `text` and perhaps `language` and
    `licence`.

    Raises: NotFoundError, DamagedError; UsageError for another kind of file.
    """
    sources: dict[str, dict[str, Any]] = {}
    found, seen = Seeds([], []), set()
    for row in _documents(path, wanted, sources, found.skipped):
        reason = _why_not(row, wanted)
        if not reason and row["content_id"] in seen:
            reason = "same-text"
        if reason:
            found.skipped[reason] += 1
            continue
        seen.add(row["content_id"])
        found.rows.append(row | {"split": TRAIN})  # a build must not put it into a test that its rewrite gives away
        if wanted.limit and len(found.rows) >= wanted.limit:
            break
    used = {row["source_id"] for row in found.rows}
    found.sources = [sources[name] for name in sorted(used & set(sources))]
    return found


def count_origins(path: Path) -> Counter[str]:
    """How many documents of each origin lie in a place of seeds."""
    if path.suffix == ".parquet" or path.is_dir():
        tables = [pq.read_table(table, columns=["origin"]) for table in _tables(path)]
        return Counter(origin for table in tables for origin in table["origin"].to_pylist())
    return Counter({"human": sum(not isinstance(raw, Bad) for raw in read(path, Reading(format="jsonl")))})


def _documents(path: Path, wanted: Wanted, sources: dict[str, dict[str, Any]],
               skipped: Counter[str]) -> Iterator[dict[str, Any]]:
    if path.is_dir() or path.suffix == ".parquet":
        for table in _tables(path):
            sources.update(carried_sources(table))
            yield from _table_rows(table)
    elif not path.exists():
        raise NotFoundError(f"{path} is not there; give a corpus, a table of documents or a JSONL file")
    elif ".jsonl" in path.suffixes:
        yield from _line_rows(path, wanted, sources, skipped)
    else:
        raise UsageError(f"{path} is no corpus, no .parquet and no .jsonl; `petit data build` makes a corpus of it")


def _tables(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.is_file():
            raise NotFoundError(f"{path} is not there; give a corpus, a table of documents or a JSONL file")
        return [path]
    if (path / "documents.parquet").is_file() and not (path / MANIFEST).is_file():
        return [path / "documents.parquet"]
    return open_corpus(path).tables("documents")


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = pq.ParquetFile(path)
        if lacking := [name for name in ("doc_id", "text", "origin") if name not in file.schema_arrow.names]:
            raise DamagedError(f"{path} lacks the columns {', '.join(lacking)} of a table of documents")
        for batch in file.iter_batches(_BATCH):
            for row in batch.to_pylist():
                known: dict[str, Any] = {name: row.get(name) for name in DOCUMENTS.names}
                if isinstance(known["text"], str):
                    yield known | {"content_id": content_id(known["text"])}
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise DamagedError(f"{path} is not a table of documents: {error}") from None


def _line_rows(path: Path, wanted: Wanted, sources: dict[str, dict[str, Any]],
               skipped: Counter[str]) -> Iterator[dict[str, Any]]:
    source = f"seeds:{path.name.split('.')[0]}"
    licence = spdx(wanted.licence) if wanted.licence else None
    if wanted.licence and licence is None:
        raise UsageError(f"--seed-licence {wanted.licence!r} is no licence that we can name; give an SPDX expression")
    rights = rights_of(licence) if licence else {}
    sources[source] = {"source_id": source, "kind": "real", "group": "share-alike" if rights.get("share_alike") else "",
                       "title": path.name, "licence": licence, "evidence": "declared",
                       "nc": not rights.get("commercial", True), "nd": not rights.get("derivatives", True),
                       "sa": rights.get("share_alike", False)}
    for raw in read(path, Reading(format="jsonl", licence_field="licence", language_field="language")):
        if isinstance(raw, Bad):
            skipped["unreadable"] += 1
            continue
        place = {"repo": None, "commit": None, "path": path.name, "byte_start": raw.byte_start,
                 "byte_end": raw.byte_end, "key": raw.key}
        content = content_id(raw.text)
        own = spdx(raw.licence) if raw.licence else licence
        row: dict[str, Any] = dict.fromkeys(DOCUMENTS.names)
        yield row | {
            "doc_id": doc_id(content, source, canonical(place)), "content_id": content, "text": raw.text,
            "n_bytes": len(raw.text.encode()), "origin": "human", "form": "reference", "source_id": source,
            "locator": place, "parents": [], "shape": "raw", "answers": [], "flags": [],
            "language": raw.language or find_languages([raw.text]).languages[0],
            "verify": {"status": "unverifiable", "checker": "", "version": 0, "evidence": ""}, "licence": own,
            "rights": rights_of(own) if own else None, "evidence": {"kind": "declared", "sha": None},
        }  # fmt: skip


def _why_not(row: dict[str, Any], wanted: Wanted) -> str:
    """Why a document is no seed; empty: it is one."""
    language = row["language"]
    others = [name for name in LANGUAGES if name != wanted.language]
    if (language not in others) if wanted.strategy.translates else (language != wanted.language):
        return "language"
    if row["split"] not in (None, TRAIN):
        return "held-out"
    if not (licence := row["licence"]) or licence == "LicenseRef-Unknown":
        return "no-licence"
    if not rights_of(licence)["derivatives"]:
        return "no-derivatives"
    if wanted.by_own and row["origin"] == "own":
        return "own"
    return "" if _MIN_BYTES <= len(row["text"].encode()) <= wanted.max_bytes else "length"
