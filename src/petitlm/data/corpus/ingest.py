"""Ingest: the files of a source become documents that know their place, their licence and how both are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.corpus.recipe import CorpusRecipe, PolicyPlan, SourcePlan
from petitlm.data.corpus.schema import DOCUMENTS, REJECTED, SOURCES, content_id, doc_id
from petitlm.data.corpus.shards import write_sharded
from petitlm.data.corpus.stage import canonical
from petitlm.data.corpus.steps import KEPT, OUT, tally
from petitlm.data.sources import REASONS as READING_REASONS
from petitlm.data.sources import Bad, Raw, Reading, read
from petitlm.data.sources.licences import ALLOW, REASONS, Evidence, Policy, examine, rights_of
from petitlm.errors import DamagedError, NotFoundError
from petitlm.recipes import from_table

T = TypeVar("T")

VERSION = 1
DOCUMENT_TABLE, SOURCES_FILE = "documents", "sources.parquet"
"""The format of a Parquet table that already has our columns, as teachers write it."""
_ALL_REASONS = {**READING_REASONS, **REASONS}


@dataclass(frozen=True)
class Ingest:
    """One file of a source."""

    source: SourcePlan
    path: Path
    root: Path
    policy: PolicyPlan
    n_shards: int


def ingest(folder: Path, job: Ingest, key: str) -> dict[str, Any]:
    """Read one file: KEPT and OUT, by shard, and the counts of what was refused."""
    evidence = evidence_of(job.source, job.root)
    policy = policy_of(job.policy)
    found = _table_rows(job, evidence, policy, key) if job.source.format == DOCUMENT_TABLE else \
        _file_rows(job, evidence, policy, key)
    kept, rejected = found
    groups = write_sharded(folder / KEPT, pa.Table.from_pylist(kept, schema=DOCUMENTS), job.n_shards)
    out = write_sharded(folder / OUT, pa.Table.from_pylist(rejected, schema=REJECTED), job.n_shards)
    reasons = Counter(row["reason"] for row in rejected)
    if unknown := set(reasons) - set(_ALL_REASONS):
        raise AssertionError(f"ingest rejects for {unknown}, which is not on its list")
    return {"groups": groups, "out": out, "stages": [tally("ingest", len(kept) + len(rejected), len(kept), reasons)]}


def _file_rows(job: Ingest, evidence: Evidence, policy: Policy, key: str) -> tuple[list[Any], list[Any]]:
    kept: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    source, base = job.source, {"repo": job.source.uri or None, "commit": job.source.commit or None,
                                "path": _relative(job.path, job.root)}
    for i, found in enumerate(read(job.path, reading_of(source))):
        if source.max_documents and i >= source.max_documents:
            break
        place = {**base, "byte_start": found.byte_start, "byte_end": found.byte_end, "key": found.key}
        if isinstance(found, Bad):
            rejected.append(_rejected(source.id, place, found.reason, found.detail, ""))
            continue
        verdict = policy.judge(evidence, found.licence, source.id, source.group)
        if verdict.reason:
            rejected.append(_rejected(source.id, place, verdict.reason, verdict.detail, found.text[:1000]))
            continue
        kept.append(_row(source, found, place, verdict.licence, evidence, key))
    return kept, rejected


def _row(source: SourcePlan, raw: Raw, place: Mapping[str, Any], licence: str | None, evidence: Evidence,
         key: str) -> dict[str, Any]:
    content = content_id(raw.text)
    language = source.language or (raw.pair.target_language if raw.pair else raw.language)
    return {
        "doc_id": doc_id(content, source.id, canonical(place)), "content_id": content, "text": raw.text,
        "n_bytes": len(raw.text.encode("utf-8", "surrogatepass")), "origin": "human",
        "form": "pair" if raw.pair else source.form, "source_id": source.id, "locator": dict(place),
        "activity_id": bytes.fromhex(key), "shape": "raw", "answers": [],
        "verify": {"status": "unverifiable", "checker": "", "version": 0, "evidence": ""},
        "category": source.category or None, "subcategory": raw.title, "language": language,
        "label_from": "declared" if source.category else None,
        "licence": licence or "LicenseRef-Unknown", "rights": rights_of(licence) if licence else None,
        "evidence": {"kind": evidence.kind, "sha": evidence.sha256}, "flags": [],
    }  # fmt: skip


def _table_rows(job: Ingest, evidence: Evidence, policy: Policy, key: str) -> tuple[list[Any], list[Any]]:
    """Rows of a table of documents: they keep their origin, call, parents and labels; the gate looks at each."""
    try:
        rows = pq.read_table(job.path)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DamagedError(f"{job.path} is not a table of documents: {error}") from None
    if lacking := [name for name in ("doc_id", "text", "origin") if name not in rows.column_names]:
        raise DamagedError(f"{job.path} lacks the columns {', '.join(lacking)} of a table of documents")
    carried = carried_sources(job.path)
    kept, rejected = [], []
    for row in rows.to_pylist():
        source_id, group = job.source.id, job.source.group
        if row.get("source_id") in carried:  # the table brought its own sources along
            source_id, group = row["source_id"], carried[row["source_id"]]["group"]
        verdict = policy.judge(evidence, row.get("licence"), source_id, group)
        if verdict.reason:
            rejected.append(_rejected(source_id, row.get("locator"), verdict.reason, verdict.detail,
                                      (row["text"] or "")[:1000]))
            continue
        known = {name: row.get(name) for name in DOCUMENTS.names}
        kept.append(known | {"source_id": source_id, "content_id": content_id(row["text"]),
                             "licence": verdict.licence, "n_bytes": len(row["text"].encode()), "weight": None,
                             "activity_id": bytes.fromhex(key), "dup": None, "n_tokens": None})
    return kept, rejected


def carried_sources(path: Path) -> dict[str, dict[str, Any]]:
    """Sources that a table of documents brings along: those in `sources.parquet` beside it or one folder up."""
    for folder in (path.parent, path.parent.parent):
        if (folder / SOURCES_FILE).is_file():
            return {row["source_id"]: row for row in pq.read_table(folder / SOURCES_FILE, schema=SOURCES).to_pylist()}
    return {}


def _rejected(source_id: str, place: Any, reason: str, detail: str, text: str) -> dict[str, Any]:
    name = doc_id(b"", source_id, canonical(place))
    return {"doc_id": name, "source_id": source_id, "stage": "ingest", "reason": reason, "detail": detail,
            "locator": place, "text": text}


def reading_of(source: SourcePlan) -> Reading:
    """How the files of a source are read."""
    pair = (source.pair_fields[0], source.pair_fields[1]) if source.pair_fields else None
    return Reading(format=source.format, text_field=source.text_field, pair_fields=pair,
                   id_field=source.id_field or None, licence_field=source.licence_field or None,
                   language_field=source.language_field or None, title_field=source.title_field or None,
                   passage_chars=source.passage_chars, max_document_bytes=source.max_document_bytes)


def evidence_of(source: SourcePlan, root: Path) -> Evidence:
    """What is known about a source's licence."""
    return examine(source.licence or None, root / source.licence_file if source.licence_file else None,
                   source.licence_sha or None)


def policy_of(plan: PolicyPlan) -> Policy:
    """The recipe's policy: ours, with what it adds."""
    return Policy(allow=(*ALLOW, *plan.allow), deny=plan.deny, accept_unlicensed=plan.accept_unlicensed)


def source_files(recipe: CorpusRecipe) -> tuple[list[tuple[SourcePlan, Path]], list[str]]:
    """Every file of every source, in order, and the ids of optional sources that are not there.

    Raises: NotFoundError for a source that is neither there nor optional.
    """
    found: list[tuple[SourcePlan, Path]] = []
    absent: list[str] = []
    for source in recipe.sources:
        is_pattern = any(sign in source.path for sign in "*?[")
        paths = sorted(recipe.root.glob(source.path)) if is_pattern else [recipe.root / source.path]
        paths = [path for path in paths if path.is_file()]
        if not paths and not source.optional:
            raise NotFoundError(f"source {source.id!r}: {recipe.root / source.path} is not there; mend its path, give "
                                "--root, or write optional = true")
        if not paths:
            absent.append(source.id)
        found += [(source, path) for path in paths]
    return found, absent


def source_rows(recipe: CorpusRecipe, files: Sequence[tuple[SourcePlan, Path]]) -> list[dict[str, Any]]:
    """Rows of the table of sources, for those that have files."""
    carried: dict[str, dict[str, Any]] = {}
    for source, path in files:
        if source.format == DOCUMENT_TABLE:
            carried |= carried_sources(path)
    rows = list(carried.values())
    there = {source.id for source, path in files if source.format != DOCUMENT_TABLE or not carried_sources(path)}
    for source in recipe.sources:
        if source.id not in there:
            continue
        evidence = evidence_of(source, recipe.root)
        rights = rights_of(evidence.licence) if evidence.licence else {}
        rows.append({
            "source_id": source.id, "kind": "real", "group": source.group, "title": source.title or source.id,
            "publisher": source.publisher, "uri": source.uri, "commit": source.commit, "licence": evidence.licence,
            "licence_path": source.licence_file or None, "licence_sha": evidence.sha256, "evidence": evidence.kind,
            "attribution": source.attribution, "language": source.language, "form": source.form,
            "nc": not rights.get("commercial", True), "nd": not rights.get("derivatives", True),
            "sa": rights.get("share_alike", False), "output_terms": None, "note": source.note,
        })  # fmt: skip
    return rows


def licence_hashes(source: SourcePlan, root: Path) -> list[str]:
    """Hash of the licence file, if a source names one: an ingest depends on it."""
    sha = evidence_of(source, root).sha256
    return [sha] if sha else []


def from_settings(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A stage's settings from its table of the recipe.

    Raises: ConfigError for unknown keys.
    """
    return from_table(kind, {name: value for name, value in table.items() if name != "off"}, where)


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.name

