"""How long tracing takes on a corpus of ten million documents, whose tables are made up here by the corpus' schema.

    python bench/data_trace.py [--documents 10000000] [--folder DIR]

The tables have every column of a built corpus and its sorting; texts are short but in one part, where they have the
usual 1.5 kB, and that part is the one whose documents are asked for. "cold" opens the index anew after the system was
told to forget the files' pages; "warm" asks again in the same process. Reading the tables is all that is timed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.corpus.schema import ACTIVITIES, CALL, DOCUMENTS, GEN, RIGHTS, SOURCES, SPANS
from petitlm.data.corpus.stage import canonical
from petitlm.data.provenance.corpus import Corpus, open_corpus
from petitlm.data.provenance.index import index_folder, write_index
from petitlm.data.provenance.state import DataState
from petitlm.data.provenance.trace import Trace

PARTS, SHARDS, SOURCES_N, ROW_GROUP = 64, 20, 200, 10_000
LICENCES = ("CC0-1.0", "CC-BY-4.0", "MIT", "PSF-2.0 AND CC0-1.0", "CC-BY-SA-4.0")
WORDS = ("the", "of", "and", "a", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "as", "with")


def main() -> None:
    """Make the tables unless they are there, index them, and print a table of times."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--documents", type=int, default=10_000_000)
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "petit-trace")
    options.add_argument("--repeats", type=int, default=15)
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    folder = given.folder / str(given.documents)
    if not (folder / "manifest.json").is_file():
        seconds = timed(lambda: make_tables(folder, given.documents))
        print(f"made tables of {given.documents:,} documents in {seconds:.0f} s")
    corpus = open_corpus(folder)
    if index_folder(corpus) is None:
        print(f"indexed them in {timed(lambda: write_index(corpus)):.0f} s")
    print(f"{size(folder, 'documents'):.0f} MB of documents, {size(folder, 'tokens'):.0f} MB of spans, "
          f"{size(folder, 'index'):.0f} MB of index; {os.cpu_count()} cores, {given.threads} threads, "
          f"{platform.machine()}, DuckDB {duckdb.__version__}")
    print(f"{'question':<28}{'cold, ms':>10}{'worst':>8}{'warm, ms':>10}{'worst':>8}")
    for name, ask in questions(corpus, given.documents).items():
        cold = [once(corpus, ask, i, given.threads, cold=True) for i in range(given.repeats)]
        warm = once_warm(corpus, ask, given.repeats, given.threads)
        print(f"{name:<28}{statistics.median(cold):>10.1f}{max(cold):>8.1f}{statistics.median(warm):>10.1f}"
              f"{max(warm):>8.1f}")


def questions(corpus: Corpus, n: int) -> dict[str, Callable[[Trace, int], Any]]:
    """Each question, asked for the i-th time: about something else every time, where it has something else."""
    n_tokens = corpus.manifest["n_tokens"]
    state = DataState(corpus.identity, "", n_tokens, seed=1, length=1024, sequences=32, steps=1000)
    part = pq.read_table(corpus.tables("documents")[0], columns=["doc_id"])["doc_id"]

    def step(trace: Trace, i: int) -> Any:
        return trace.ranges([(read.start, read.end) for read in state.reads(37 * i)], f"step {37 * i}")

    return {
        "a token": lambda t, i: t.tokens(at := 1 + (i * 7_919_777_771) % (n_tokens - 10), at + 1),
        "1,000 tokens": lambda t, i: t.tokens(at := (i * 6_700_417_001) % (n_tokens - 2000), at + 1000),
        "a step of 32 x 1,024": step,
        "a document, whole": lambda t, i: t.document(part[(i * 10_007) % len(part)].as_py()),
        "a source": lambda t, i: t.source(f"source-{(i * 7) % (SOURCES_N - 60)}"),
        "a licence": lambda t, i: t.licence(("CC0-1.0", "CC-BY-4.0", "MIT", "CC-BY-SA-4.0")[i % 4]),
        "a teacher": lambda t, i: t.teacher(f"teacher-{i % 10}"),
        "a generator": lambda t, i: t.generator(f"family-{i % 20}"),
    }


def once(corpus: Corpus, ask: Callable[[Trace, int], Any], i: int, threads: int, cold: bool) -> float:
    """Milliseconds of a question to an index just opened, opening included."""
    if cold:
        forget(corpus.folder)
    return 1000 * timed(lambda: ask(Trace(corpus, threads), i))


def once_warm(corpus: Corpus, ask: Callable[[Trace, int], Any], n: int, threads: int) -> list[float]:
    """Milliseconds of `n` questions after a first one."""
    trace = Trace(corpus, threads)
    ask(trace, n)
    return [1000 * timed(lambda i=i: ask(trace, i)) for i in range(n)]


def forget(folder: Path) -> None:
    """Ask the system to drop what it keeps of the files in memory."""
    for path in folder.rglob("*.parquet"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(call: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def size(folder: Path, under: str) -> float:
    """Megabytes of the files below."""
    return sum(path.stat().st_size for path in (folder / under).rglob("*.parquet")) / 1e6


def make_tables(folder: Path, n: int) -> None:
    """Write documents, spans, sources, activities and manifest of `n` documents."""
    rng = np.random.default_rng(0)
    ids = np.frombuffer(rng.bytes(16 * n), ">u8").reshape(n, 2)
    ids = ids[np.lexsort((ids[:, 1], ids[:, 0]))]
    lengths = rng.integers(40, 700, n)
    source = rng.integers(0, SOURCES_N, n)
    edges = np.linspace(0, n, PARTS + 1).astype(int)
    files = []
    for part, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        table = make_part(ids[a:b], lengths[a:b], source[a:b], rng, whole_texts=part == 0)
        files.append(write(folder, f"documents/part-{part:05}.parquet", table, ROW_GROUP))
    files.append(write(folder, "tokens/spans.parquet", make_spans(ids, lengths, rng), 1 << 16))
    plain = [{"source_id": f"source-{i}", "title": f"Source {i}", "licence": LICENCES[i % 5]} for i in range(SOURCES_N)]
    files.append(write(folder, "sources.parquet", pa.Table.from_pylist(plain, schema=SOURCES), ROW_GROUP))
    acts = [{"activity_id": b"a" * 16, "stage": "ingest", "version": 1}]
    files.append(write(folder, "activities.parquet", pa.Table.from_pylist(acts, schema=ACTIVITIES), ROW_GROUP))
    manifest = {"schema": 1, "name": "made up", "files": files, "stages": [], "cells": [], "sources": {}, "splits": {},
                "tokenizer": {}, "n_documents": n, "n_tokens": int(lengths.sum())}
    (folder / "manifest.json").write_text(canonical(manifest))


def make_part(ids: np.ndarray, lengths: np.ndarray, source: np.ndarray, rng: np.random.Generator,
              whole_texts: bool) -> pa.Table:
    """The rows of one file of documents: 70 % human, 20 % of generators, 10 % of teachers, by source."""
    n = len(ids)
    is_generated, is_taught = (source >= SOURCES_N - 60) & (source < SOURCES_N - 20), source >= SOURCES_N - 20
    names = np.where(is_generated, np.char.add("generator:family-", (source % 20).astype(str)),
                     np.where(is_taught, np.char.add("teacher:teacher-", (source % 10).astype(str)),
                              np.char.add("source-", source.astype(str))))
    if whole_texts:
        texts = [" ".join(WORDS[w] for w in row) for row in rng.integers(0, len(WORDS), (n, 430))]
    else:
        texts = [f"text {i}" for i in range(n)]
    columns: dict[str, pa.Array] = {
        "doc_id": blob(ids), "content_id": blob(ids), "text": pa.array(texts, pa.large_string()),
        "n_bytes": pa.array([len(text) for text in texts], pa.int32()), "n_tokens": pa.array(lengths, pa.int32()),
        "origin": pa.array(np.where(is_generated, "procedural", np.where(is_taught, "teacher", "human"))),
        "source_id": pa.array(names), "activity_id": pa.array([b"a" * 16] * n, pa.binary(16)),
        "gen": struct(GEN, {"name": [f"family-{s % 20}" for s in source], "version": [1] * n, "params": ["{}"] * n,
                            "seed": np.arange(n), "index": np.arange(n), "grammar_sha": [""] * n}, is_generated),
        "call": struct(CALL, {"teacher": [f"teacher-{s % 10}" for s in source], "revision": ["r1"] * n}, is_taught),
        "category": pa.array([f"category-{s % 20}" for s in source]), "language": pa.array(["en"] * n),
        "difficulty": pa.array(rng.integers(0, 6, n), pa.int8()), "split": pa.array(["train"] * n),
        "licence": pa.array([LICENCES[s % 5] for s in source]),
        "rights": struct(RIGHTS, {"commercial": [True] * n}, np.ones(n, bool)),
        "quality": pa.array(rng.random(n), pa.float32()), "weight": pa.array(np.ones(n), pa.float32()),
    }
    return pa.table([columns.get(field.name, pa.nulls(n, field.type)) for field in DOCUMENTS], schema=DOCUMENTS)


def make_spans(ids: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> pa.Table:
    """One span a document, in a random order, in `SHARDS` shards."""
    n = len(ids)
    order = rng.permutation(n)
    shard = np.arange(n) * SHARDS // n
    end = np.cumsum(lengths[order])
    base = np.concatenate([[0], end[np.searchsorted(shard, np.arange(1, SHARDS)) - 1]])[shard]
    columns = [pa.array(shard, pa.int32()), pa.array(end - lengths[order] - base, pa.uint64()),
               pa.array(end - base, pa.uint64()), blob(ids[order]), pa.array(np.zeros(n), pa.int32()),
               pa.nulls(n, SPANS.field("answers").type)]
    return pa.table(columns, schema=SPANS)


def blob(ids: np.ndarray) -> pa.Array:
    """Ids (n, 2) of eight bytes each as a column of sixteen."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(ids.tobytes())])


def struct(kind: pa.StructType, given: dict[str, Any], there: np.ndarray) -> pa.Array:
    """A column of structs, null where they are not there; what is not given is null."""
    n = len(there)
    fields = [kind.field(i) for i in range(kind.num_fields)]
    children = [pa.array(given[f.name], f.type) if f.name in given else pa.nulls(n, f.type) for f in fields]
    return pa.StructArray.from_arrays(children, fields=fields, mask=pa.array(~there))


def write(folder: Path, name: str, table: pa.Table, row_group: int) -> dict[str, Any]:
    """Write a table, and say what the manifest says of it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=row_group)
    return {"path": name, "bytes": path.stat().st_size, "rows": len(table), "sha256": ""}


if __name__ == "__main__":
    main()
