"""A corpus of a few dozen documents, put together by hand and without the builder, so that what reads corpora is
judged by another road than the one that writes them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.corpus.generate import Call, draft
from petitlm.data.corpus.schema import (
    ACTIVITIES,
    REJECTED,
    SOURCES,
    SPANS,
    content_id,
    doc_id,
    documents,
)
from petitlm.data.corpus.stage import canonical
from petitlm.tokenizer import Tokenizer

EOS = 256
_BUILT, _TAUGHT = b"a" * 16, b"t" * 16
_TEXTS = {
    "novel": ("en", "prose", "CC0-1.0", ["It was a cold bright day, and the clocks were striking one.",
                                         "Nobody in the village had ever seen the sea.",
                                         "She closed the book and listened to the rain."]),
    "manuel": ("fr", "technical", "PSF-2.0 AND CC0-1.0", ["Une liste contient des éléments séparés par des virgules.",
                                                          "L’instruction « for » parcourt les éléments dans l’ordre."]),
}


def make_corpus(folder: Path, tokenizer: Tokenizer | None = None) -> Path:
    """Write the corpus into `folder`: two parts, two shards, five sources, one teacher.

    Tokens are bytes: those that the tokenizer, one of bytes, has for them, or the bytes themselves.
    """
    rows, rejected = _rows()
    tokenizer_sha = _write_tokens(folder, rows, tokenizer)
    half = len(rows) // 2
    for part, some in enumerate((rows[:half], rows[half:])):
        _write(folder / f"documents/part-{part:05}.parquet", documents(some))
    _write(folder / "rejected/verify/part-00000.parquet", pa.Table.from_pylist(rejected, schema=REJECTED))
    _write(folder / "sources.parquet", pa.Table.from_pylist(_sources(rows), schema=SOURCES))
    acts = [{"activity_id": _BUILT, "stage": "generate", "version": 1, "code_version": "1", "settings": "{}",
             "agent": "petit", "inputs": [], "outputs": [], "n_in": len(rows) + 1, "n_kept": len(rows),
             "n_rejected": 1},
            {"activity_id": _TAUGHT, "stage": "teach", "version": 1, "code_version": "1", "settings": "{}",
             "agent": "petit", "inputs": [], "outputs": [], "n_in": 1, "n_kept": 1, "n_rejected": 0}]
    _write(folder / "activities.parquet", pa.Table.from_pylist(acts, schema=ACTIVITIES))
    write_manifest(folder, rows, tokenizer_sha, len(rejected))
    return folder


def write_manifest(folder: Path, rows: list[dict[str, Any]], tokenizer_sha: str, n_rejected: int) -> None:
    """Write the manifest of what lies in `folder`."""
    files = [_entry(folder, path) for path in sorted(folder.rglob("*"))
             if path.is_file() and path.name != "manifest.json"]
    cells, tokens = Counter[tuple[str, str, int, str]](), Counter[tuple[str, str, int, str]]()
    splits: dict[str, dict[str, int]] = {}
    for row in rows:
        cell = row["category"], row["language"], row["difficulty"], row["split"]
        split = splits.setdefault(row["split"], {"documents": 0, "tokens": 0})
        split["documents"] += 1
        split["tokens"] += row["n_tokens"]
        cells[cell] += 1
        tokens[cell] += row["n_tokens"]
    by_source = {source: [row for row in rows if row["source_id"] == source] for source in
                 sorted({row["source_id"] for row in rows})}
    manifest = {
        "schema": 1, "name": "small", "recipe_sha256": "0" * 64, "code_version": "0.1", "files": files,
        "stages": [{"stage": "verify", "n_in": len(rows) + n_rejected, "n_kept": len(rows), "n_rejected": n_rejected,
                    "reasons": {"wrong-answer": n_rejected}}],
        "cells": [{"category": c, "language": lang, "difficulty": d, "split": s, "documents": n,
                   "tokens": tokens[c, lang, d, s]} for (c, lang, d, s), n in sorted(cells.items())],
        "sources": {source: {"documents": len(some), "tokens": sum(row["n_tokens"] for row in some),
                             "bytes": sum(row["n_bytes"] for row in some), "licence": some[0]["licence"]}
                    for source, some in by_source.items()},
        "splits": splits, "n_packed_tokens": sum(row["n_tokens"] for row in rows),
        "tokenizer": {"sha256": tokenizer_sha, "n_vocab": 257},
        "n_documents": len(rows), "n_tokens": sum(row["n_tokens"] for row in rows),
    }
    (folder / "manifest.json").write_text(canonical(manifest) + "\n", "utf-8")


def change_rows(folder: Path, name: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the rows of a table behind the rules' back: the manifest vouches for the file as it is then."""
    path = folder / name
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    _write(path, pa.Table.from_pylist(rows, schema=table.schema))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [_entry(folder, path) if entry["path"] == name else entry for entry in manifest["files"]]
    (folder / "manifest.json").write_text(canonical(manifest) + "\n", "utf-8")


def _rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for family in ("arithmetic", "passages"):
        for language in ("en", "fr"):
            kept, _, _ = draft(Call(family, language, 1, "train", 5, 0, 14, 0.0), _BUILT)
            rows += kept[:6]
    for source, (language, category, licence, texts) in _TEXTS.items():
        rows += [_human(source, language, category, licence, text, i) for i, text in enumerate(texts)]
    rows.append(_taught(rows[-1]))
    for row in rows:
        row["n_tokens"] = row["n_bytes"] + 1
    failed = {"doc_id": doc_id(b"", "generator:arithmetic", "bad"), "source_id": "generator:arithmetic",
              "stage": "verify", "reason": "wrong-answer", "detail": "4 is not 5", "text": "2 + 2 = 5"}
    return sorted(rows, key=lambda row: row["doc_id"]), [failed]


def _human(source: str, language: str, category: str, licence: str, text: str, i: int) -> dict[str, Any]:
    content = content_id(text)
    return {"doc_id": doc_id(content, source, str(i)), "content_id": content, "text": text,
            "n_bytes": len(text.encode()), "origin": "human", "form": "book", "source_id": source,
            "locator": {"repo": "by/hand", "commit": "c0ffee", "path": f"{source}.txt", "byte_start": 0,
                        "byte_end": len(text.encode()), "key": str(i)},
            "activity_id": _BUILT, "shape": "raw", "answers": [], "category": category, "subcategory": "",
            "language": language, "difficulty": 2, "label_from": "declared", "label_conf": 1.0, "lang_conf": 0.9,
            "quality": 0.8, "script": "Latn", "licence": licence,
            "evidence": {"kind": "declared", "sha": ""}, "flags": [], "split": "train", "weight": 1.0,
            "verify": {"status": "not_run", "checker": "", "version": 0, "evidence": ""}}


def _taught(parent: dict[str, Any]) -> dict[str, Any]:
    text = "Question : que fait « for » ? Il parcourt."
    row = _human("teacher:recorded", "fr", "technical", parent["licence"], text, 0)
    call = {"teacher": "recorded", "revision": "r1", "weights_sha": "ab" * 32, "prompt_id": "faq", "finish": "stop",
            "prompt_sha": "cd" * 32, "sampling": "{}", "attempt": 1, "call_id": "call-1"}
    return {**row, "origin": "rewrite", "parents": [parent["doc_id"]], "call": call, "activity_id": _TAUGHT}


def _sources(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {row["source_id"]: row for row in rows}
    return [{"source_id": name, "kind": row["origin"], "group": "real" if row["origin"] == "human" else "made",
             "title": f"The source {name}", "publisher": "By hand", "uri": "", "commit": "c0ffee",
             "licence": row["licence"], "licence_sha": "", "evidence": "declared", "language": row["language"],
             "attribution": f"{name}, by hand" if row["origin"] == "human" else "", "form": row["form"], "nc": False,
             "nd": False, "sa": False, "output_terms": "", "note": ""} for name, row in sorted(found.items())]


def _write_tokens(folder: Path, rows: list[dict[str, Any]], tokenizer: Tokenizer | None) -> str:
    """Two shards of uint16: the bytes of each text and an end token, documents in the order of their content ids."""
    order = sorted(rows, key=lambda row: row["content_id"])
    shards: list[list[int]] = [[], []]
    spans = []
    for i, row in enumerate(order):
        shard = int(i >= len(order) // 2)
        start = len(shards[shard])
        shards[shard] += [*(tokenizer.encode(row["text"]) if tokenizer else row["text"].encode()), EOS]
        flat = [edge for a in row["answers"] for edge in (a["start"], a["end"])]
        spans.append({"shard": shard, "start": start, "end": len(shards[shard]), "doc_id": row["doc_id"],
                      "loss_from": flat[0] if flat else 0, "answers": flat})
    (folder / "tokens").mkdir(parents=True)
    for i, ids in enumerate(shards):
        (folder / f"tokens/shard-{i:05}.bin").write_bytes(np.array(ids, "<u2").tobytes())
        lengths = [span["end"] - span["start"] for span in spans if span["shard"] == i]
        n, starts = len(lengths), [2 * span["start"] for span in spans if span["shard"] == i]
        (folder / f"tokens/shard-{i:05}.idx").write_bytes(
            struct.pack(f"<9sQBQQ{n}i{n}q{n + 1}q", b"MMIDIDX\0\0", 1, 8, n, n + 1, *lengths, *starts, *range(n + 1)))
    _write(folder / "tokens/spans.parquet", pa.Table.from_pylist(spans, schema=SPANS))
    if tokenizer is None:
        (folder / "tokens/tokenizer.json").write_text(json.dumps({"made": "by hand"}))
    else:
        tokenizer.save(folder / "tokens")
    return hashlib.sha256((folder / "tokens/tokenizer.json").read_bytes()).hexdigest()


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    rows = pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None
    return {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "rows": rows,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
