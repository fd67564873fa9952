"""Narrow copies of a corpus' tables, sorted so that a question reads a few row groups and not all rows.

Everything in them follows from `documents/` and `tokens/spans.parquet`: they may be deleted at any time, are not in the
manifest, and are made again when the manifest is another than the one they were made from.

kinds.parquet       each combination of source, licence, maker, category, language, level and split, with its totals
positions.parquet   one row a span, by its first token: which documents lie behind a range of tokens
documents.parquet   one row a span, by document: where a document lies, and in which file
origins.parquet     one row a span, by kind: what a source, licence, teacher or generator gave

Token positions count over all shards, in their order. A document without tokens has one row without a position. A part
is a file of `documents/`, counted in the order of names; a page is a row group of positions.parquet.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.provenance.corpus import Corpus
from petitlm.errors import DamagedError, PetitError
from petitlm.files import new_folder, read_json_object, write_json

FOLDER = "index"
VERSION = 2
PAGE = 16_384
"""Rows of a row group: what a question about one document reads, 0.3 MB of the id column."""
_KIND = "source_id, licence, teacher, generator, origin, category, language, difficulty, split"
_PLACES = ("start", "end")  # rise slowly: differences take two bytes each
_IDS = ("doc_id",)  # random bytes: to compress them or to keep a dictionary of them would only cost

# Documents with the columns that questions are about, and a row for each of their spans.
_NARROW = """
    SELECT doc_id, part, n_tokens, n_bytes, origin, source_id, coalesce(licence, '') AS licence,
           CASE WHEN call IS NULL THEN '' ELSE concat_ws('@', call.teacher, nullif(call.revision, '')) END AS teacher,
           CASE WHEN gen IS NULL THEN '' ELSE concat(gen.name, '@', gen.version) END AS generator,
           coalesce(category, '') AS category, coalesce(language, 'und') AS language,
           coalesce(difficulty, -1)::TINYINT AS difficulty, coalesce(split, '') AS split
    FROM ({parts})"""
_KINDS = f"""
    SELECT (row_number() OVER (ORDER BY {_KIND}) - 1)::INTEGER AS kind, {_KIND}, count(*) AS documents,
           coalesce(sum(n_tokens), 0)::BIGINT AS tokens, coalesce(sum(n_bytes), 0)::BIGINT AS bytes
    FROM narrow GROUP BY {_KIND}"""
# Where each shard begins, over all shards: spans leave no token between them.
_BASES = """
    SELECT shard, coalesce(sum(last) OVER (ORDER BY shard ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS base
    FROM (SELECT shard, max("end") AS last FROM spans GROUP BY shard)"""
_JOINED = f"""
    SELECT doc_id, part, kind, (s.start + b.base)::BIGINT AS start, (s."end" + b.base)::BIGINT AS "end"
    FROM narrow JOIN kinds USING ({_KIND}) LEFT JOIN spans s USING (doc_id) LEFT JOIN bases b USING (shard)"""
_TABLES = {
    "kinds": "FROM kinds ORDER BY kind",
    "positions": f'SELECT ((row_number() OVER (ORDER BY start) - 1) // {PAGE})::INTEGER AS page, start, "end", doc_id, '
                 "part, kind FROM joined WHERE start IS NOT NULL ORDER BY start",
    "documents": "FROM joined ORDER BY doc_id, start",
    "origins": "FROM joined ORDER BY kind, doc_id, start",
}
_NO_SPANS = 'SELECT NULL::BLOB AS doc_id, 0 AS shard, 0::UBIGINT AS start, 0::UBIGINT AS "end" LIMIT 0'


def index_folder(corpus: Corpus) -> Path | None:
    """Where the corpus' index lies; None where it has none, or one of another manifest."""
    folder = corpus.folder / FOLDER
    try:
        about = read_json_object(folder / "index.json")
    except PetitError:
        return None
    made = about.get("manifest_sha256") == corpus.identity and about.get("version") == VERSION
    return folder if made and all((folder / f"{name}.parquet").is_file() for name in _TABLES) else None


def write_index(corpus: Corpus, folder: Path | None = None, memory: str = "4GB", threads: int = 2) -> Path:
    """Write the index of a corpus beside its tables, or into `folder`; returns where it lies.

    `memory` bounds what sorting takes; what does not fit goes to disk, in the same folder.
    """
    folder = folder or corpus.folder / FOLDER
    with new_folder(folder, _belongs) as beside:
        with tempfile.TemporaryDirectory(dir=beside) as spill, duckdb.connect() as db:
            db.execute("SET threads = ?", [threads])
            db.execute("SET enable_progress_bar = false")
            db.execute("SET memory_limit = ?", [memory])
            db.execute("SET temp_directory = ?", [spill])
            _make_tables(db, corpus)
            for name, query in _TABLES.items():
                _write(db.sql(query).to_arrow_reader(8 * PAGE), beside / f"{name}.parquet")
        pages = pq.read_metadata(beside / "positions.parquet")
        starts = [pages.row_group(i).column(1).statistics.min for i in range(pages.num_row_groups)]
        write_json(beside / "index.json", {"manifest_sha256": corpus.identity, "version": VERSION, "pages": starts})
    return folder


def page_firsts(folder: Path) -> np.ndarray:
    """First token of each page of an index (P,)."""
    return np.array(read_json_object(folder / "index.json")["pages"], np.int64)


def _make_tables(db: duckdb.DuckDBPyConnection, corpus: Corpus) -> None:
    parts = " UNION ALL ".join(f"SELECT {i}::SMALLINT AS part, * FROM read_parquet({quoted(path)})"
                               for i, path in enumerate(corpus.tables("documents")))
    if not parts:
        raise DamagedError(f"{corpus.folder} lists no table of documents; build the corpus again")
    spans = [f'SELECT doc_id, shard, start, "end" FROM read_parquet({quoted(path)})'
             for path in corpus.tables("tokens/spans.parquet")]
    queries = {"spans": spans[0] if spans else _NO_SPANS, "narrow": _NARROW.format(parts=parts), "kinds": _KINDS,
               "bases": _BASES, "joined": _JOINED}
    for name, query in queries.items():
        db.execute(f"CREATE TEMP TABLE {name} AS {query}")


def _write(batches: pa.RecordBatchReader, path: Path) -> None:
    """Write rows in row groups of `PAGE`, whatever pieces they come in."""
    names = batches.schema.names
    how: dict[str, Any] = {
        "compression": {name: "NONE" if name in _IDS + _PLACES else "ZSTD" for name in names},
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in names if name in _PLACES},
        "use_dictionary": [name for name in names if name not in _IDS + _PLACES],
    }
    with pq.ParquetWriter(path, batches.schema, **how) as writer:
        for table in _regrouped(batches):
            writer.write_table(table, row_group_size=PAGE)


def _regrouped(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The same rows in tables of a whole number of row groups, but the last."""
    left = batches.schema.empty_table()
    for batch in batches:
        left = pa.concat_tables([left, pa.Table.from_batches([batch])])
        whole = len(left) // PAGE * PAGE
        if whole:
            yield left.slice(0, whole)
            left = left.slice(whole)
    if len(left):
        yield left


def _belongs(name: str) -> bool:
    return name == "index.json" or name.removesuffix(".parquet") in _TABLES


def quoted(path: Path | str) -> str:
    """A path as DuckDB's SQL spells a text; what would be a pattern in it stands for itself."""
    return "'" + re.sub(r"[*?\[]", r"[\g<0>]", str(path)).replace("'", "''") + "'"


def rows_of(result: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries."""
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
