"""Is a corpus what its manifest says? Files are hashed again, rules and counts asked again, a sample made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.corpus.schema import ACTIVITIES, DOCUMENTS, REJECTED, SOURCES, SPANS, content_id
from petitlm.data.corpus.stage import canonical
from petitlm.data.provenance.corpus import MANIFEST, Corpus
from petitlm.data.provenance.index import quoted
from petitlm.data.provenance.rules import RULES
from petitlm.files import file_sha256

Progress = Callable[[int, int, str], None]
"""Called with (done, total, name of what is being done)."""

_TABLES = {"documents": ("documents", DOCUMENTS), "rejected": ("rejected", REJECTED),
           "sources": ("sources.parquet", SOURCES), "activities": ("activities.parquet", ACTIVITIES),
           "spans": ("tokens/spans.parquet", SPANS)}
_NAMED = 3  # rows that a finding names


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    where: str
    """File, stage, source or table."""
    what: str


@dataclass
class Verdict:
    """What verifying found."""

    corpus: str
    """SHA-256 of the manifest."""
    checks: dict[str, int] = field(default_factory=dict)
    """How many of what were looked at."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be checked, and why."""

    @property
    def ok(self) -> bool:
        """Whether everything that was looked at is as it should be."""
        return not self.findings

    def find(self, where: str, what: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(where, what))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"corpus": self.corpus, "ok": self.ok, "checks": dict(self.checks), "notes": list(self.notes),
                "findings": [{"where": f.where, "what": f.what} for f in self.findings]}


def verify(corpus: Corpus, sample: int = 100, progress: Progress = lambda *_: None) -> Verdict:
    """Verify a corpus; `sample` documents are made, checked and encoded again.

    What rests on a table that is missing or damaged is not looked at, and the verdict says so.
    """
    from petitlm.data.provenance.sample import verify_sample

    verdict = Verdict(corpus.identity)
    verify_files(corpus, verdict, progress)
    broken = {finding.where for finding in verdict.findings}
    whole = not any(name.endswith(".parquet") for name in broken) and _schemas_hold(corpus, verdict)
    if not whole:
        verdict.notes.append("rules, counts and samples wait until all tables are whole")
        return verdict
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        for name, (under, _) in _TABLES.items():
            paths = ", ".join(quoted(path) for path in corpus.tables(under))
            db.execute(f"CREATE VIEW {name} AS " + (f"FROM read_parquet([{paths}])" if paths else _empty(name)))
        for done, rule in enumerate(RULES):
            progress(done, len(RULES), rule.broken)
            _ask(db, rule.broken, rule.query, verdict)
        verdict.checks["rules"] = len(RULES)
        _verify_counts(db, corpus.manifest, verdict)
    _verify_texts(corpus, verdict, progress)
    verify_sample(corpus, sample, verdict, progress, tokens=not any(name.startswith("tokens/") for name in broken))
    return verdict


def verify_files(corpus: Corpus, verdict: Verdict, progress: Progress = lambda *_: None) -> None:
    """Compare every file with its size and hash in the manifest."""
    entries = corpus.manifest["files"]
    for done, entry in enumerate(entries):
        progress(done, len(entries), entry["path"])
        path = corpus.folder / entry["path"]
        if not path.is_file():
            verdict.find(entry["path"], "is missing")
        elif (size := path.stat().st_size) != entry["bytes"]:
            verdict.find(entry["path"], f"has {size:,} bytes and should have {entry['bytes']:,}")
        elif (found := file_sha256(path)) != entry["sha256"]:
            verdict.find(entry["path"], f"is damaged: its SHA-256 is {found[:16]}… and should be "
                                        f"{entry['sha256'][:16]}…")
    verdict.checks["files"] = len(entries)
    if len({entry["path"] for entry in entries}) != len(entries):
        verdict.find(MANIFEST, "lists a file twice")
    if (corpus.folder / MANIFEST).read_bytes().rstrip(b"\n") != canonical(corpus.manifest).encode():
        verdict.find(MANIFEST, "is not in its canonical form: somebody edited it")


def _schemas_hold(corpus: Corpus, verdict: Verdict) -> bool:
    """Whether all tables have the columns of the schema and the rows of the manifest."""
    before, rows = len(verdict.findings), {entry["path"]: entry["rows"] for entry in corpus.manifest["files"]}
    for under, schema in _TABLES.values():
        for path in corpus.tables(under):
            name = path.relative_to(corpus.folder).as_posix()
            if _columns(pq.read_schema(path)) != _columns(schema):
                verdict.find(name, "has other columns than the schema")
            elif (n := pq.read_metadata(path).num_rows) != rows[name]:
                verdict.find(name, f"has {n:,} rows and the manifest says {rows[name]}")
    return len(verdict.findings) == before


def _columns(schema: pa.Schema) -> list[tuple[str, str]]:
    """Names and types as Parquet itself has them: one type of text, and no name for the items of a list."""
    same = {"large_string": "string", "<item: ": "<element: "}
    types = [str(field.type) for field in schema]
    for arrow, parquet in same.items():
        types = [text.replace(arrow, parquet) for text in types]
    return list(zip(schema.names, types, strict=True))


def _empty(name: str) -> str:
    columns = {"rejected": "'' AS stage, '' AS reason, ''::BLOB AS doc_id",
               "spans": "0 AS shard, 0::UBIGINT AS start, 0::UBIGINT AS \"end\", ''::BLOB AS doc_id",
               "sources": "'' AS source_id", "activities": "''::BLOB AS activity_id"}
    return f"SELECT {columns[name]} WHERE false"


def _ask(db: duckdb.DuckDBPyConnection, broken: str, query: str, verdict: Verdict) -> None:
    """Run a rule's query; rows that come back are a finding."""
    row = db.execute(f"SELECT count(*), list(name)[:{_NAMED}] FROM ({query}) AS t(name)").fetchone()
    if row and row[0]:
        verdict.find("documents", f"{broken}: {row[0]:,}, such as {', '.join(row[1])}")


def _verify_counts(db: duckdb.DuckDBPyConnection, manifest: Mapping[str, Any], verdict: Verdict) -> None:
    """Count again what the manifest says: stages, rejections, cells, splits, sources, all."""
    for stage in manifest["stages"]:
        if stage["n_in"] != stage["n_kept"] + stage["n_rejected"]:
            verdict.find(f"stage {stage['stage']}", f"took {stage['n_in']:,}, kept {stage['n_kept']:,} and rejected "
                                                    f"{stage['n_rejected']:,}: some vanished")
        if stage["n_rejected"] != sum(stage["reasons"].values()):
            verdict.find(f"stage {stage['stage']}", "gives reasons for another number than it rejected")
    said = {(stage["stage"], reason): n for stage in manifest["stages"] for reason, n in stage["reasons"].items() if n}
    _compare(db, "stage, reason", "count(*)", "rejected", said, "rejections of", verdict)
    both = "count(*), coalesce(sum(n_tokens), 0)::BIGINT"
    _compare(db, "category, language, difficulty, split", both, "documents",
             {(c["category"], c["language"], c["difficulty"], c["split"]): (c["documents"], c["tokens"])
              for c in manifest["cells"]}, "documents and tokens of", verdict)
    _compare(db, "split", both, "documents",
             {(name,): (n["documents"], n["tokens"]) for name, n in manifest["splits"].items()},
             "documents and tokens of", verdict)
    _compare(db, "source_id", f"{both}, coalesce(sum(n_bytes), 0)::BIGINT", "documents",
             {(name,): (n["documents"], n["tokens"], n["bytes"]) for name, n in manifest["sources"].items()},
             "documents, tokens and bytes of", verdict)
    _compare(db, "'all'", both, "documents", {("all",): (manifest["n_documents"], manifest["n_tokens"])},
             "documents and tokens of", verdict)


def _compare(db: duckdb.DuckDBPyConnection, keys: str, counts: str, table: str, said: Mapping[tuple[Any, ...], Any],
             what: str, verdict: Verdict) -> None:
    n_keys = keys.count(",") + 1
    rows = db.execute(f"SELECT {keys}, {counts} FROM {table} GROUP BY {keys}").fetchall()
    found = {row[:n_keys]: row[n_keys:] if len(row) > n_keys + 1 else row[n_keys] for row in rows}
    verdict.checks["counts"] = verdict.checks.get("counts", 0) + len(said)
    for key in sorted({*said, *found}, key=str):
        if said.get(key) != found.get(key):
            verdict.find(MANIFEST, f"says {_shown(said.get(key))} {what} {', '.join(map(str, key))}, and the tables "
                                   f"hold {_shown(found.get(key))}")


def _shown(count: Any) -> str:
    return "none" if count is None else ", ".join(f"{n:,}" for n in count) if isinstance(count, tuple) else f"{count:,}"


def _verify_texts(corpus: Corpus, verdict: Verdict, progress: Progress) -> None:
    """Hash every text again, see that documents are in the order of their ids, and cut answers between characters."""
    wrong, last, paths = Counter[str](), b"", corpus.tables("documents")
    for done, path in enumerate(paths):
        progress(done, len(paths), path.name)
        for batch in pq.ParquetFile(path).iter_batches(4096, columns=["doc_id", "content_id", "text", "answers"]):
            columns = [batch.column(name).to_pylist() for name in ("doc_id", "content_id", "text", "answers")]
            for doc_id, content, text, answers in zip(*columns, strict=True):
                wrong["have another text than their content id is of"] += content != content_id(text or "")
                wrong["are not in the order of their ids"] += doc_id <= last
                wrong["have an answer that begins or ends inside a character"] += _cuts_a_character(text or "", answers)
                last = doc_id
            verdict.checks["texts"] = verdict.checks.get("texts", 0) + len(batch)
    for what, n in wrong.items():
        if n:
            verdict.find("documents", f"{what}: {n:,}")


def _cuts_a_character(text: str, answers: list[dict[str, int]] | None) -> bool:
    if not answers:
        return False
    raw, places = text.encode(), [place for answer in answers for place in answer.values()]
    return any(place < len(raw) and 0x80 <= raw[place] < 0xC0 for place in places)
