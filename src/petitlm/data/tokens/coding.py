"""Documents as token ids, with the token ranges of their answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from petitlm.data.tokens.encoder import Bounds, Bytes, Encoder
from petitlm.errors import UsageError


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
