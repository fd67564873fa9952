"""The steps of a build as functions that write into a folder: what `petitlm.data.corpus.pipeline` gives to workers.

Every step reads files, writes files and returns counts. It knows no clock, no other step, and not how many run beside.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from petitlm.data.corpus.generate import Call, draft
from petitlm.data.corpus.schema import DOCUMENTS, REJECTED, put
from petitlm.data.corpus.shards import joined, read_shard, write_sharded, write_table
from petitlm.data.corpus.stage import Rejection, Sifted, Stage
from petitlm.data.record import TRAIN
from petitlm.data.repeats.clusters import cluster, sign
from petitlm.data.repeats.minhash import Repeats

pc: Any = compute

KEPT, OUT = "kept.parquet", "rejected.parquet"
SIGNS, CELLS, CLUSTERED = "signs.parquet", "cells.parquet", "repeats.parquet"
CELL = ("category", "language", "difficulty", "split")
_MAX_TEXT = 4096
"""Bytes of a rejected text that are kept for a reader; its place says where the whole is."""


@dataclass(frozen=True)
class Sharded:
    """A file that `write_sharded` wrote."""

    path: Path
    groups: tuple[int, ...]

    def read(self, shard: int) -> pa.Table:
        """The rows of one shard."""
        return read_shard(self.path, self.groups, shard)


def tally(name: str, n_in: int, n_kept: int, reasons: Mapping[str, int]) -> dict[str, Any]:
    """The counts of one stage, which must add up: nothing vanishes.

    Raises: AssertionError if they do not.
    """
    n_rejected = sum(reasons.values())
    if n_in != n_kept + n_rejected:
        raise AssertionError(f"stage {name}: {n_in} rows became {n_kept} kept and {n_rejected} rejected")
    return {"stage": name, "n_in": n_in, "n_kept": n_kept, "n_rejected": n_rejected,
            "reasons": dict(sorted(reasons.items()))}


def generate(folder: Path, payload: tuple[Sequence[Call], int], key: str) -> dict[str, Any]:
    """Draft records of some cells: KEPT and OUT, by shard."""
    calls, n_shards = payload
    kept, rejected, reasons = [], [], Counter[str]()
    for call in calls:
        more_kept, more_rejected, more_reasons = draft(call, bytes.fromhex(key))
        kept += more_kept
        rejected += more_rejected
        reasons.update(more_reasons)
    n_drafts = sum(call.count for call in calls)
    groups = write_sharded(folder / KEPT, pa.Table.from_pylist(kept, schema=DOCUMENTS), n_shards)
    out = write_sharded(folder / OUT, pa.Table.from_pylist(rejected, schema=REJECTED), n_shards)
    other = {"other-split": reasons["other-split"]} if reasons["other-split"] else {}
    wrong = {"wrong-answer": reasons["wrong-answer"]} if reasons["wrong-answer"] else {}
    n_checked = n_drafts - reasons["other-split"]
    return {"groups": groups, "out": out, "stages": [tally("generate", n_drafts, n_checked, other),
                                                     tally("verify", n_checked, len(kept), wrong)]}


@dataclass(frozen=True)
class Sift:
    """One shard of documents through all row-wise stages."""

    shard: int
    documents: tuple[Sharded, ...]
    stages: tuple[Stage, ...]
    repeats: Repeats
    valid: float
    test: float


def sift(folder: Path, job: Sift, _key: str) -> dict[str, Any]:
    """KEPT (all columns), OUT (with the stage of each), SIGNS for the search for repeats, CELLS for the grid."""
    rows = joined((file.read(job.shard) for file in job.documents), DOCUMENTS).sort_by("doc_id")
    tallies, rejected = [], []
    for stage in job.stages:
        sifted = checked(stage, rows, stage(rows))
        tallies.append(tally(stage.name, len(rows), len(sifted.kept), Counter(r.reason for r in sifted.rejected)))
        rejected.append(rejected_rows(rows, sifted.rejected, stage.name))
        rows = sifted.kept
    rows = assign_splits(rows, job.valid, job.test)
    write_table(folder / KEPT, rows)
    write_table(folder / OUT, joined(rejected, REJECTED).sort_by([("stage", "ascending"), ("doc_id", "ascending")]))
    write_table(folder / SIGNS, sign(rows, job.repeats))
    write_table(folder / CELLS, rows.select(["doc_id", *CELL]))
    return {"stages": tallies, "n": len(rows)}


def checked(stage: Stage, rows: pa.Table, sifted: Sifted) -> Sifted:
    """`sifted`, when every row is in exactly one of its halves and every reason is on the stage's list.

    Raises: AssertionError: only a mistake of ours breaks it.
    """
    if len(rows) != len(sifted.kept) + len(sifted.rejected):
        raise AssertionError(f"{stage.name} lost or doubled documents")
    if unknown := {rejection.reason for rejection in sifted.rejected} - set(stage.reasons):
        raise AssertionError(f"{stage.name} rejects for {unknown}, which is not on its list")
    out = {rejection.row for rejection in sifted.rejected}
    stay = pa.array([i for i in range(len(rows)) if i not in out], pa.int64())
    if not rows["doc_id"].take(stay).equals(sifted.kept["doc_id"]):
        raise AssertionError(f"{stage.name} changed the order or the names of documents")
    return Sifted(sifted.kept.cast(DOCUMENTS), sifted.rejected)


def rejected_rows(rows: pa.Table, rejected: Sequence[Rejection], stage: str) -> pa.Table:
    """The table of what a stage rejected, with the beginning of each text."""
    places = pa.array([r.row for r in rejected], pa.int64())
    out = rows.select(["doc_id", "source_id", "locator", "gen", "text"]).take(places)
    texts = [text.encode()[:_MAX_TEXT].decode(errors="ignore") for text in out["text"].to_pylist()]
    return pa.table({
        "doc_id": out["doc_id"], "source_id": out["source_id"], "stage": pa.array([stage] * len(out), pa.string()),
        "reason": pa.array([r.reason for r in rejected], pa.string()),
        "detail": pa.array([r.detail for r in rejected], pa.string()),
        "locator": out["locator"], "gen": out["gen"], "text": pa.array(texts, pa.large_string()),
    }, schema=REJECTED)  # fmt: skip


def assign_splits(rows: pa.Table, valid: float, test: float) -> pa.Table:
    """Give each document without a split one, by the hash of its text: equal texts fall together."""
    def split(content: bytes) -> str:
        draw = int.from_bytes(hashlib.blake2b(content, digest_size=8, person=b"split").digest(), "little") / 2.0**64
        return "valid" if draw < valid else "test" if draw < valid + test else TRAIN

    given = rows["split"].to_pylist()
    contents = rows["content_id"].to_pylist()
    return put(rows, "split", [s or split(c) for s, c in zip(given, contents, strict=True)])


def find_repeats(folder: Path, payload: tuple[Sequence[Path], Repeats], _key: str) -> dict[str, Any]:
    """CLUSTERED over the SIGNS of all shards, and how many documents each cell keeps.

    It holds about 450 bytes for each document in memory.
    """
    folders, repeats = payload
    found = cluster((pq.read_table(path / SIGNS) for path in folders), repeats)
    write_table(folder / CLUSTERED, found)
    dropped = found.filter(pc.invert(found["kept"]))["doc_id"].combine_chunks()
    cells: Counter[tuple[Any, ...]] = Counter()
    for path in folders:
        rows = pq.read_table(path / CELLS)
        rows = rows.filter(pc.invert(pc.is_in(rows["doc_id"], dropped)))
        counted = rows.group_by(list(CELL)).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            cells[tuple(row[name] for name in CELL)] += row["count_all"]
    ordered = sorted(cells.items(), key=lambda item: [str(value) for value in item[0]])
    return {"cells": [[*cell, n] for cell, n in ordered], "n_dropped": len(dropped)}
