"""Documents to token files: a pure function of the documents, whoever encodes how many of them.

Two kinds of task. `encode_part` encodes any set of documents and leaves their ids in a folder. `write_shard` gathers
the documents of one token shard from the folders of all parts. A document's place follows from its id and the seed
alone: a 64-bit key, whose range is cut evenly into the shards, and which sorts the documents inside each. So neither
the number of workers nor the way in which documents were cut into parts changes a byte.

    shard-00000.bin, .idx   ids, and where each document lies (petitlm.data.tokens.layout)
    spans.parquet           which document that is (schema.SPANS), one row for each document of each shard, in order
    tokenizer.json, tokenizer_config.json
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from petitlm.data.corpus.schema import SPANS
from petitlm.data.splitmix import mixed
from petitlm.data.tokens.coding import Coded, encode_documents
from petitlm.data.tokens.encoder import Encoder
from petitlm.data.tokens.layout import dtype_for, in_chunks, map_file, write_index
from petitlm.errors import UsageError
from petitlm.files import write_file

VERSION = 1
"""Raised by any change that alters the files."""
SPANS_FILE = "spans.parquet"
ROWS_PER_GROUP = 1 << 16
"""Of spans.parquet: what a look-up of one document reads."""

_PART_TOKENS, _PART_COPIES = "tokens.bin", "copies.parquet"
_COPIES = pa.schema([  # of a part: one row for each time that a document is written
    ("key", pa.uint64()), ("copy", pa.int32()), ("doc_id", pa.binary(16)), ("begin", pa.int64()), ("n", pa.int32()),
    ("loss_from", pa.int32()), ("answers", pa.list_(pa.int32())),
])  # fmt: skip


def order_keys(doc_ids: Sequence[bytes], copies: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """(N,) keys that place each copy of each document, spread evenly over 64 bits."""
    halves = np.frombuffer(b"".join(doc_ids), "<u8").reshape(-1, 2)
    with np.errstate(over="ignore"):
        key = mixed(halves[:, 0] + mixed(np.array(seed, np.uint64) + np.uint64(0x9E3779B97F4A7C15)))
        key = mixed(key ^ halves[:, 1])
        return mixed(key + copies.astype(np.uint64))


def n_copies(doc_ids: Sequence[bytes], weights: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """How often each document is written: its weight, rounded up or down by its id so that shares come out right."""
    whole = np.floor(weights)
    draw = order_keys(doc_ids, np.full(len(weights), -1), seed) / 2.0**64
    return (whole + (draw < weights - whole)).astype(np.int64)


def encode_part(rows: pa.Table, encoder: Encoder, folder: Path, seed: int = 0) -> tuple[Coded, dict[str, int]]:
    """Encode documents, and leave in `folder` what `write_shard` needs of them.

    Returns: the ids (whose `n_tokens` is the column of that name), and counts: documents, tokens (each document once)
    and packed (as often as its weight says).
    """
    coded = encode_documents(rows, encoder)
    doc_ids = rows.column("doc_id").to_pylist()
    weights = pc.fill_null(rows.column("weight"), 1.0).to_numpy().astype(np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise UsageError("a document's weight is how often a pass shows it, a number of 0 or more")
    times = n_copies(doc_ids, weights, seed) if doc_ids else np.zeros(0, np.int64)
    row = np.repeat(np.arange(len(rows)), times)
    copy = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    copies = pa.Table.from_arrays([
        pa.array(order_keys([doc_ids[i] for i in row], copy, seed)), pa.array(copy, pa.int32()),
        pa.array([doc_ids[i] for i in row], pa.binary(16)), pa.array(coded.offsets[:-1][row]),
        pa.array(coded.n_tokens[row]), pa.array(coded.loss_from[row]), coded.answers.take(pa.array(row)),
    ], schema=_COPIES)  # fmt: skip
    write_file(folder / _PART_TOKENS, [coded.ids.astype(dtype_for(encoder.n_ids)).tobytes()], sync=False)
    # Sorted by key: a shard then reads the row groups of its range alone.
    pq.write_table(_sorted(copies), folder / _PART_COPIES, row_group_size=ROWS_PER_GROUP)
    packed = int(coded.n_tokens.astype(np.int64) @ times)
    return coded, {"documents": len(rows), "tokens": len(coded.ids), "packed": packed}


def _sorted(copies: pa.Table) -> pa.Table:
    return copies.sort_by([("key", "ascending"), ("doc_id", "ascending"), ("copy", "ascending")])


def shards_for(n_tokens: int, shard_tokens: int) -> int:
    """Shards of about `shard_tokens` each that hold `n_tokens`, one at least."""
    if shard_tokens < 1:
        raise UsageError(f"shard_tokens={shard_tokens}; a shard holds at least one token")
    return max(1, math.ceil(n_tokens / shard_tokens))


def write_shard(parts: Sequence[Path], shard: int, n_shards: int, n_ids: int, folder: Path) -> dict[str, Any]:
    """Gather one shard from the folders of all parts: its .bin, its .idx and `spans-NNNNN.parquet`.

    Returns: counts of documents and tokens.
    """
    low, last = -(-(shard << 64) // n_shards), -(-(shard + 1 << 64) // n_shards) - 1  # of its keys, both included
    found = []
    for number, part in enumerate(parts):
        inside = (pc.field("key") >= pa.scalar(low, pa.uint64())) & (pc.field("key") <= pa.scalar(last, pa.uint64()))
        table = pq.read_table(part / _PART_COPIES, filters=inside)
        found.append(table.append_column("part", pa.array(np.full(len(table), number, np.int32))))
    with_part = _COPIES.append(pa.field("part", pa.int32()))
    copies = _sorted(pa.concat_tables([with_part.empty_table(), *found]))
    lengths = copies.column("n").to_numpy().astype(np.int32)
    name, dtype = shard_name(shard), dtype_for(n_ids)
    write_file(folder / f"{name}.bin", in_chunks(_gathered(copies, parts, dtype)))
    write_index(folder / f"{name}.idx", lengths, dtype)
    ends = np.cumsum(lengths, dtype=np.uint64)
    spans = pa.Table.from_arrays([
        pa.array(np.full(len(copies), shard, np.int32)), pa.array(ends - lengths.astype(np.uint64)), pa.array(ends),
        copies.column("doc_id"), copies.column("loss_from"), copies.column("answers"),
    ], schema=SPANS)  # fmt: skip
    pq.write_table(spans, folder / spans_name(shard), row_group_size=ROWS_PER_GROUP)
    return {"documents": len(copies), "tokens": int(lengths.sum(dtype=np.int64))}


def _gathered(copies: pa.Table, parts: Sequence[Path], dtype: np.dtype) -> Iterator[NDArray[Any]]:
    held = [map_file(part / _PART_TOKENS, dtype) for part in parts]
    columns = (copies.column(name).to_pylist() for name in ("part", "begin", "n"))
    for part, begin, n in zip(*columns, strict=True):
        yield held[part][begin : begin + n]


def shard_name(shard: int) -> str:
    """Name of a shard's files, without their suffix."""
    return f"shard-{shard:05d}"


def spans_name(shard: int) -> str:
    """Name of the spans of one shard, before all are joined."""
    return f"spans-{shard:05d}.parquet"


def join_spans(paths: Iterable[Path], folder: Path) -> None:
    """Write spans.parquet from those of each shard, given in order."""
    beside = folder / f".{SPANS_FILE}.part"
    with pq.ParquetWriter(beside, SPANS, compression="zstd") as writer:
        waiting = SPANS.empty_table()
        for path in paths:
            waiting = pa.concat_tables([waiting, pq.read_table(path, schema=SPANS)])
            while len(waiting) >= ROWS_PER_GROUP:  # groups of one size: row i of the table is in group i // size
                writer.write_table(waiting.slice(0, ROWS_PER_GROUP))
                waiting = waiting.slice(ROWS_PER_GROUP)
        writer.write_table(waiting)
    beside.replace(folder / SPANS_FILE)


def copy_tokenizer(tokenizer: Path, folder: Path) -> None:
    """Put the tokenizer's files beside the tokens."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (tokenizer / name).exists():
            write_file(folder / name, [(tokenizer / name).read_bytes()])


def pack(tables: Iterable[pa.Table], tokenizer: Path, encoder: Encoder, folder: Path, seed: int = 0,
         shard_tokens: int = 50_000_000) -> Mapping[str, int]:
    """Pack documents in this process, table by table, into `folder`.

    Returns: counts of shards, documents and tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".parts-") as held:
        parts, packed = [], 0
        for number, rows in enumerate(tables):
            parts.append(Path(held, str(number)))
            parts[-1].mkdir()
            packed += encode_part(rows, encoder, parts[-1], seed)[1]["packed"]
        n_shards = shards_for(packed, shard_tokens)
        counts = [write_shard(parts, shard, n_shards, encoder.n_ids, folder) for shard in range(n_shards)]
        spans = [folder / spans_name(shard) for shard in range(n_shards)]
        join_spans(spans, folder)
        for path in spans:
            path.unlink()
    copy_tokenizer(tokenizer, folder)
    return {"shards": n_shards, **{key: sum(count[key] for count in counts) for key in ("documents", "tokens")}}
