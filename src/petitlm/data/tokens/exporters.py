"""Corpora in the formats of other programs, and token files of another program as petit's own.

Megatron-LM reads a pair of one .bin and one .idx (petitlm.data.tokens.layout); a file of spans goes with them, since a
number of a document alone leads nowhere. JSON Lines hold texts with all that is known of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from petitlm.data.corpus.schema import SPANS, doc_id
from petitlm.data.tokens.encoder import load_encoder
from petitlm.data.tokens.layout import Index, dtype_for, map_file, read_index, write_index
from petitlm.data.tokens.pack import ROWS_PER_GROUP, copy_tokenizer, join_spans, shard_name, spans_name
from petitlm.data.tokens.reader import TokenFiles
from petitlm.errors import UsageError
from petitlm.files import write_file

_CHUNK = 1 << 20


def to_megatron(files: TokenFiles, prefix: Path) -> dict[str, int]:
    """Write all shards as one pair PREFIX.bin and PREFIX.idx, with PREFIX.spans.parquet beside it.

    Returns: counts of documents and tokens.
    """
    bin_path, idx_path, spans_path = (prefix.with_name(prefix.name + end) for end in (".bin", ".idx", ".spans.parquet"))
    write_file(bin_path, (chunk for ids in files.shards for chunk in _pieces(ids)))
    write_index(idx_path, np.concatenate([index.lengths for index in files.indexes]), files.indexes[0].dtype)
    with pq.ParquetWriter(spans_path, SPANS, compression="zstd") as writer:
        for batch in files.spans().iter_batches(ROWS_PER_GROUP):
            base = np.array(files.first_token, np.uint64)[batch.column("shard").to_numpy()]
            moved = {name: pa.array(batch.column(name).to_numpy() + base) for name in ("start", "end")}
            moved["shard"] = pa.array(np.zeros(len(batch), np.int32))
            columns = [moved.get(name, batch.column(name)) for name in SPANS.names]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SPANS))
    return {"documents": files.n_documents, "tokens": files.n_tokens}


def _pieces(ids: NDArray[Any]) -> Iterator[memoryview]:
    for at in range(0, len(ids), _CHUNK):
        yield ids[at : at + _CHUNK].data.cast("B")


def from_megatron(prefix: Path, tokenizer: Path, folder: Path, source_id: str,
                  shard_tokens: int = 50_000_000) -> dict[str, int]:
    """Write the documents of PREFIX.bin and PREFIX.idx as token files of petit into `folder`, in their order.

    `tokenizer` is the folder of the one they were encoded with. A document that does not end with its end token gets
    one. Documents are named by their ids, `source_id` and their number.
    Returns: counts of shards, documents, tokens, and of documents that were ended.
    Raises: NotFoundError; DamagedError; UsageError for ids that the tokenizer does not have.
    """
    index = read_index(prefix.with_name(prefix.name + ".idx"))
    ids = map_file(prefix.with_name(prefix.name + ".bin"), index.dtype)
    encoder = load_encoder(tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"shards": 0, "documents": 0, "tokens": 0, "ended": 0}
    for held, ended in _shards(index, ids, encoder.eos_id, shard_tokens):
        _check_ids(held, encoder.n_ids, prefix)
        _write_shard(held, counts["shards"], counts["documents"], source_id, dtype_for(encoder.n_ids), folder)
        for name, n in (("shards", 1), ("documents", len(held)), ("tokens", sum(map(len, held))), ("ended", ended)):
            counts[name] += n
    spans = [folder / spans_name(shard) for shard in range(counts["shards"])]
    join_spans(spans, folder)
    for path in spans:
        path.unlink()
    copy_tokenizer(tokenizer, folder)
    return counts


def _shards(index: Index, ids: NDArray[Any], eos_id: int,
            shard_tokens: int) -> Iterator[tuple[list[NDArray[Any]], int]]:
    """Documents of one shard after the other, and how many of them had to be ended; one empty shard of nothing."""
    held: list[NDArray[Any]] = []
    size = ended = 0
    for number in range(len(index.documents) - 1):
        document = _document(index, ids, number)
        if not len(document) or document[-1] != eos_id:
            document, ended = np.append(document, eos_id), ended + 1
        if held and size + len(document) > shard_tokens:
            yield held, ended
            held, size, ended = [], 0, 0
        held.append(document)
        size += len(document)
    yield held, ended


def _document(index: Index, ids: NDArray[Any], number: int) -> NDArray[Any]:
    first, last = index.documents[number : number + 2]
    begins = (index.places[first:last] // index.dtype.itemsize).tolist()
    parts = [ids[begin : begin + n] for begin, n in zip(begins, index.lengths[first:last].tolist(), strict=True)]
    return parts[0] if len(parts) == 1 else np.concatenate([ids[:0], *parts])


def _check_ids(documents: list[NDArray[Any]], n_ids: int, prefix: Path) -> None:
    low, high = (int(f(list(map(f, documents)))) for f in (np.min, np.max)) if documents else (0, 0)
    if low < 0 or high >= n_ids:
        raise UsageError(f"{prefix} has the id {low if low < 0 else high} and the tokenizer ids below {n_ids:,}; "
                         "give the tokenizer that it was encoded with")


def _write_shard(documents: list[NDArray[Any]], shard: int, first: int, source_id: str, dtype: np.dtype,
                 folder: Path) -> None:
    lengths = np.array([len(document) for document in documents], np.int32)
    stored = [document.astype(dtype) for document in documents]
    name = shard_name(shard)
    write_file(folder / f"{name}.bin", (document.tobytes() for document in stored))
    write_index(folder / f"{name}.idx", lengths, dtype)
    names = [doc_id(document.astype("<u4").tobytes(), source_id, str(first + i)) for i, document in enumerate(stored)]
    ends = np.cumsum(lengths, dtype=np.uint64)
    table = pa.Table.from_arrays([
        pa.array(np.full(len(names), shard, np.int32)), pa.array(ends - lengths.astype(np.uint64)), pa.array(ends),
        pa.array(names, pa.binary(16)), pa.array(np.zeros(len(names), np.int32)),
        pa.array([[] for _ in names], pa.list_(pa.int32())),
    ], schema=SPANS)  # fmt: skip
    pq.write_table(table, folder / spans_name(shard))


def to_jsonl(tables: Iterable[pa.Table], path: Path, splits: Collection[str] = ()) -> dict[str, int]:
    """Write documents as JSON Lines, compressed where the name ends in .gz: the text and every column that is not null,
    bytes as hexadecimal digits. Without `splits` all of them.

    Returns: count of documents.
    """
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for table in tables:
            for batch in table.to_batches(1024):
                rows = [row for row in batch.to_pylist() if not splits or row["split"] in splits]
                count += len(rows)
                yield "".join(f"{json.dumps(_plain(row), ensure_ascii=False)}\n" for row in rows).encode()

    write_file(path, map(_gzipped, lines()) if path.suffix == ".gz" else lines())
    return {"documents": count}


def tables_in(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """The tables of Parquet files, a row group at a time."""
    for path in paths:
        file = pq.ParquetFile(path)
        yield from (file.read_row_group(group) for group in range(file.num_row_groups))


def _gzipped(chunk: bytes) -> bytes:
    return gzip.compress(chunk, mtime=0)  # members end to end are one file; without a clock: same rows, same bytes


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else value
