"""The last steps of a build: without repeats, counted in tokens, weighed, packed, and the rejected gathered."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from petitlm.data.corpus.schema import DOCUMENTS, REJECTED, put
from petitlm.data.corpus.shards import joined, write_table
from petitlm.data.corpus.steps import CELL, KEPT, OUT, Sharded, rejected_rows, tally
from petitlm.data.record import TRAIN
from petitlm.data.repeats.clusters import CLUSTERS, apply
from petitlm.files import write_file
from petitlm.prompts import shape_named

pc: Any = compute


@dataclass(frozen=True)
class Settle:
    """One shard without its repeats, and how many tokens each document has."""

    shard: int
    sifted: tuple[Path, ...]
    repeats: Path
    tokenizer: Path
    groups: Mapping[str, str]
    """Group in the mixture, by source; of sources that are not there, "procedural"."""


def settle(folder: Path, job: Settle, _key: str) -> dict[str, Any]:
    """KEPT with `n_tokens`, OUT, and the tokens of each group's training documents."""
    from petitlm.data.tokens.encoder import load_encoder
    from petitlm.data.tokens.pack import encode_documents

    rows = joined((pq.read_table(path / KEPT) for path in job.sifted), DOCUMENTS).sort_by("doc_id")
    sifted = apply(rows, pq.read_table(job.repeats, schema=CLUSTERS))
    counted = tally("dedup", len(rows), len(sifted.kept), Counter(r.reason for r in sifted.rejected))
    write_table(folder / OUT, rejected_rows(rows, sifted.rejected, "dedup"))
    kept = sifted.kept.cast(DOCUMENTS)
    kept = put(kept, "n_tokens", pa.array(encode_documents(kept, load_encoder(job.tokenizer)).n_tokens, pa.int32()))
    write_table(folder / KEPT, kept)
    tokens: Counter[str] = Counter()
    for source, split, n in zip(*(kept[c].to_pylist() for c in ("source_id", "split", "n_tokens")), strict=True):
        if split == TRAIN:
            tokens[group_of(source, job.groups)] += n
    return {"stages": [counted], "tokens": dict(sorted(tokens.items())), "n": len(kept)}


def group_of(source_id: str, groups: Mapping[str, str]) -> str:
    """Group of a source in the mixture."""
    return groups.get(source_id, "procedural")


@dataclass(frozen=True)
class Finish:
    """One shard with its weights: what the corpus holds in the end."""

    settled: Path
    weights: Mapping[str, float]
    """Times that a pass shows a document, by group."""
    groups: Mapping[str, str]
    tokenizer: Path
    seed: int


DOCS = "documents.parquet"


def finish(folder: Path, job: Finish, _key: str) -> dict[str, Any]:
    """DOCS with `weight`, the encoded part for the token files, and what the manifest counts."""
    from petitlm.data.tokens.encoder import load_encoder
    from petitlm.data.tokens.pack import encode_part

    rows = pq.read_table(job.settled / KEPT, schema=DOCUMENTS)
    splits = rows["split"].to_pylist()
    of_group = [job.weights[group_of(source, job.groups)] for source in rows["source_id"].to_pylist()]
    # Only training documents go into the token files; the others stay tables, to be measured on.
    weights = [w if split == TRAIN else 0.0 for w, split in zip(of_group, splits, strict=True)]
    rows = put(rows, "weight", weights)
    write_table(folder / DOCS, rows)
    _, packed = encode_part(rows, load_encoder(job.tokenizer), folder, job.seed)
    return {"packed": packed["packed"], **manifest_counts(rows)}


def manifest_counts(rows: pa.Table) -> dict[str, Any]:
    """Documents, tokens and bytes by cell, source and split."""
    cells: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    sources: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0, ""])
    splits: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    names = (*CELL, "source_id", "licence", "n_tokens", "n_bytes")
    for *cell, split, source, licence, tokens, n_bytes in zip(*(rows[n].to_pylist() for n in names), strict=True):
        for counter in (cells[(*cell, split)], splits[split]):
            counter[0] += 1
            counter[1] += tokens
        of_source = sources[source]
        of_source[0] += 1
        of_source[1] += tokens
        of_source[2] += n_bytes
        of_source[3] = licence if of_source[3] in ("", licence) else "several"
    return {"cells": [[*cell, *n] for cell, n in cells.items()], "sources": dict(sources), "splits": dict(splits)}


@dataclass(frozen=True)
class Shard:
    """One file of tokens."""

    parts: tuple[Path, ...]
    number: int
    n_shards: int
    n_ids: int


def pack_shard(folder: Path, job: Shard, _key: str) -> dict[str, Any]:
    """The .bin and .idx of one shard and its spans."""
    from petitlm.data.tokens.pack import write_shard

    return write_shard(job.parts, job.number, job.n_shards, job.n_ids, folder)


def pack_spans(folder: Path, shards: Sequence[Path], _key: str) -> dict[str, Any]:
    """spans.parquet of all shards."""
    from petitlm.data.tokens.pack import join_spans, spans_name

    join_spans([path / spans_name(number) for number, path in enumerate(shards)], folder)
    return {}


def make_tokenizer(
    folder: Path, payload: tuple[Sequence[Path], int, int, Mapping[str, str]], _key: str
) -> dict[str, Any]:
    """Train a tokenizer on training documents, as much of each group and language, smallest ids first."""
    from petitlm.data.vocabulary import train_tokenizer

    folders, n_vocab, sample_bytes, groups = payload
    train_tokenizer(_sample(folders, sample_bytes, groups), folder, n_vocab)
    return {}


def _sample(folders: Sequence[Path], sample_bytes: int, groups: Mapping[str, str]) -> Iterable[str]:
    """Texts of at most `sample_bytes`, shared evenly by the groups and languages that there are."""
    found: dict[tuple[str, str], list[tuple[bytes, str]]] = defaultdict(list)
    held: Counter[tuple[str, str]] = Counter()
    for path in folders:
        rows = pq.read_table(path / KEPT, columns=["doc_id", "text", "source_id", "language", "split"])
        for row in rows.to_pylist():
            key = (group_of(row["source_id"], groups), row["language"])
            if row["split"] == TRAIN and held[key] < sample_bytes:
                held[key] += len(row["text"])
                found[key].append((row["doc_id"], row["text"]))
    left, texts = sample_bytes, []
    for i, key in enumerate(sorted(found, key=lambda key: held[key])):
        share, taken = left // (len(found) - i), 0
        for _, text in found[key]:
            if taken >= share:
                break
            texts.append(text[: share - taken])  # one long book does not end its group's share before it begins
            taken += len(texts[-1])
        left -= taken
    return texts


VARIETY = "variety.json"
_MOST_MEASURED = 1000
"""Texts of one cell and generator whose variety is measured: those with the smallest ids."""


def measure_variety(folder: Path, folders: Sequence[Path], _key: str) -> dict[str, Any]:
    """VARIETY of each generator, language and level; the counts name those whose texts repeat too much."""
    from petitlm.data.generators.variety import too_repetitive, variety

    texts: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    keys: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for path in folders:
        columns = ["text", "shape", "origin", "subcategory", "language", "difficulty", "split", "problem_key"]
        rows = pq.read_table(path / KEPT, columns=columns)
        rows = rows.filter(pc.and_(pc.equal(rows["origin"], "procedural"), pc.equal(rows["split"], TRAIN)))
        for row in rows.to_pylist():
            place = (row["subcategory"], row["language"], row["difficulty"])
            if len(texts[place]) < _MOST_MEASURED:
                texts[place].append(_unmarked(row["text"], row["shape"]))
                keys[place].append((row["problem_key"] or b"").hex())
    measured, refused = [], []
    for place in sorted(texts):
        found = variety(texts[place], keys[place])
        measured.append({
            "family": place[0], "language": place[1], "level": place[2], "texts": found.n_texts,
            "unique": round(found.unique, 4), **{f"distinct-{n}": round(x, 4) for n, x in enumerate(found.distinct, 1)},
            "unique problems": round(found.unique_keys, 4), "most frequent opening": round(found.opening, 4),
            "opening": found.opening_text,
        })  # fmt: skip
        if reason := too_repetitive(found):
            refused.append(f"{place[0]} in {place[1]!r} at level {place[2]}: {reason}")
    note = (f"At most {_MOST_MEASURED:,} training texts of each; shares of distinct n-grams are means over blocks of "
            "100.")
    write_file(folder / VARIETY, [json.dumps({"note": note, "rows": measured}, ensure_ascii=False).encode()])
    return {"refused": refused}


def _unmarked(text: str, shape: str) -> str:
    """A text without the marks of its turns, which all texts of a shape have in common."""
    layout = shape_named(shape)
    for mark in (layout.user_marker, layout.assistant_marker):
        text = text.replace(mark, "") if mark else text
    return text


def gather_rejected(folder: Path, payload: tuple[Sequence[Sharded], Sequence[Path], int], _key: str) -> dict[str, Any]:
    """All rejections of one shard, a file for each stage."""
    sharded, whole, shard = payload
    rows = joined([*(file.read(shard) for file in sharded), *(pq.read_table(path / OUT) for path in whole)], REJECTED)
    counts = {}
    for stage in sorted(set(rows["stage"].to_pylist())):
        mine = rows.filter(pc.equal(rows["stage"], stage)).sort_by("doc_id")
        write_table(folder / f"{stage}.parquet", mine)
        counts[stage] = len(mine)
    return counts


def weights_of(tokens: Mapping[str, int], shares: Mapping[str, float], max_epochs: float) -> dict[str, float]:
    """Times that a pass shows each group's documents, so that their tokens have the wanted shares.

    A pass is as long as all groups that have a share, once. A group too small for its share is shown `max_epochs`
    times, and what it cannot give is shared by the others. A group without a share is not shown; without any shares
    everything is shown once.
    """
    if not shares:
        return dict.fromkeys(tokens, 1.0)
    open_groups = {group: shares[group] for group, n in tokens.items() if n and shares.get(group)}
    left = float(sum(tokens[group] for group in open_groups))
    weights = dict.fromkeys(tokens, 0.0)
    while open_groups:
        total = sum(open_groups.values())
        wanted = {group: share / total * left / tokens[group] for group, share in open_groups.items()}
        scarce = [group for group, weight in wanted.items() if weight > max_epochs]
        for group in scarce or wanted:
            weights[group] = float(np.float32(min(wanted[group], max_epochs)))
            left -= weights[group] * tokens[group]
            del open_groups[group]
    return weights
