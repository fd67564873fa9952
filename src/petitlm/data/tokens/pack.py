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
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from petitlm.data.corpus.schema import SPANS
from petitlm.data.tokens.encoder import Bounds, Bytes, Encoder
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
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of splitmix64 (Steele et al. 2014, figure 16)


class Coded(NamedTuple):
    """N documents as ids, each followed by the end token."""

    ids: NDArray[np.uint32]
    """(tokens,)"""
    offsets: Bounds
    """(N + 1,) where each document begins and ends, its end token included."""
    answers: pa.ListArray
    """For each document the token ranges of its answers: begin, end, begin, end, ..., counted from its first token.
    The end token belongs to an answer that ends the text."""
    loss_from: NDArray[np.int32]
    """(N,) first token that is an answer; 0 where the document names no answers."""

    @property
    def n_tokens(self) -> NDArray[np.int32]:
        """(N,) of each document, its end token included: the column `n_tokens`."""
        return np.diff(self.offsets).astype(np.int32)


def encode_documents(rows: pa.Table, encoder: Encoder) -> Coded:
    """Encode the texts of a table of documents.

    A text is cut where its answers begin and end, and the pieces are encoded one by one, as they are when a model is
    given a prompt and goes on: no token lies across the border.
    Raises: UsageError for ranges of answers that are not inside the text, in order, between whole characters.
    """
    data, bounds = _buffer(rows.column("text"))
    cuts, first = _cuts(rows, data, bounds)
    ids, offsets = encoder.encode(data, cuts)
    starts = offsets[first]  # of each document's tokens, before end tokens are put in
    ends = starts[1:] + np.arange(len(rows))
    out = np.empty(len(ids) + len(rows), np.uint32)
    plain = np.ones(len(out), bool)
    plain[ends] = False
    out[plain] = ids
    out[ends] = encoder.eos_id
    places = starts + np.arange(len(rows) + 1)
    return Coded(out, places, *_token_ranges(offsets, cuts, first, bounds))


def _buffer(texts: pa.ChunkedArray) -> tuple[Bytes, Bounds]:
    """UTF-8 of all texts end to end, and where each begins and ends."""
    column = pa.chunked_array(texts.chunks, pa.large_string()).combine_chunks()
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        raise UsageError(f"{array.null_count} documents have no text; they cannot be encoded")
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    return np.frombuffer(data or b"", np.uint8), bounds


def _cuts(rows: pa.Table, data: Bytes, bounds: Bounds) -> tuple[Bounds, Bounds]:
    """Where the pieces of all documents begin and end, and the number of each document's first piece.

    A document with K answers has 1 + 2K pieces: before, answer, between, answer, ..., after; some may be empty.
    """
    flat, per_row = _answers(rows)
    first = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(1 + 2 * per_row, out=first[1:])
    cuts = np.empty(int(first[-1]) + 1, np.int64)
    of_answer = np.ones(len(cuts), bool)
    of_answer[first[:-1]] = False
    of_answer[-1] = False
    cuts[first[:-1]] = bounds[:-1]
    cuts[-1] = bounds[-1]
    cuts[of_answer] = (flat + np.repeat(bounds[:-1], per_row)[:, None]).ravel()
    inside = cuts[of_answer]
    continues = np.zeros(len(inside), bool)
    within = inside < min(int(bounds[-1]), len(data))
    continues[within] = (data[inside[within]] & 0xC0) == 0x80
    if (flat < 0).any() or (np.diff(cuts) < 0).any() or continues.any():
        raise UsageError(_bad_answer(rows))
    return cuts, first


def _answers(rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Byte ranges of all answers (A, 2), and how many each document has."""
    column = rows.column("answers").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    per_row = pc.fill_null(pc.call_function("list_value_length", [column]), 0).to_numpy(zero_copy_only=False)
    flat = column.flatten()
    both = [flat.field(name).to_numpy(zero_copy_only=False).astype(np.int64) for name in ("start", "end")]
    return np.stack(both, 1), per_row.astype(np.int64)


def _bad_answer(rows: pa.Table) -> str:
    """Say which document's answers are wrong."""
    for row in rows.select(["doc_id", "text", "answers"]).to_pylist():
        raw, at = row["text"].encode(), 0
        for answer in row["answers"] or []:
            places = (answer["start"], answer["end"])
            if not at <= places[0] <= places[1] <= len(raw) or any(raw[p : p + 1] >= b"\x80" and raw[p] < 0xC0
                                                                   for p in places if p < len(raw)):
                return (f"document {row['doc_id'].hex()} of {len(raw)} bytes has the answer {places}; ranges must lie "
                        "in the text, one after the other, between whole characters")
            at = places[1]
    return "ranges of answers are out of order"


def _token_ranges(offsets: Bounds, cuts: Bounds, first: Bounds, bounds: Bounds) -> tuple[pa.ListArray,
                                                                                       NDArray[np.int32]]:
    """Answers in tokens instead of bytes; see `Coded`."""
    per_row = np.diff(first) - 1  # two numbers for each answer
    document = np.repeat(np.arange(len(per_row)), per_row)
    is_cut = np.ones(len(cuts), bool)
    is_cut[first] = False
    values = offsets[is_cut] - offsets[first[:-1]][document]
    at_end = cuts[is_cut] == bounds[1:][document]
    at_end[::2] = False  # where an answer begins, not where it ends
    values = (values + at_end).astype(np.int32)
    edges = np.zeros(len(per_row) + 1, np.int32)
    np.cumsum(per_row, out=edges[1:])
    loss_from = np.zeros(len(per_row), np.int32)
    loss_from[per_row > 0] = values[edges[:-1][per_row > 0]]
    return pa.ListArray.from_arrays(edges, values), loss_from


def order_keys(doc_ids: Sequence[bytes], copies: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """(N,) keys that place each copy of each document, spread evenly over 64 bits."""
    halves = np.frombuffer(b"".join(doc_ids), "<u8").reshape(-1, 2)
    with np.errstate(over="ignore"):
        key = _mixed(halves[:, 0] + _mixed(np.array(seed, np.uint64) + np.uint64(0x9E3779B97F4A7C15)))
        key = _mixed(key ^ halves[:, 1])
        return _mixed(key + copies.astype(np.uint64))


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ x >> np.uint64(30)) * _MIX[0]
    x = (x ^ x >> np.uint64(27)) * _MIX[1]
    return x ^ x >> np.uint64(31)


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
