"""Which documents repeat which: exact copies, near copies, and one problem in several splits.

Documents are put into one order, best first: test, held-out and validation documents before those of training, then
higher quality, then the smaller `doc_id`. In this order each document is kept unless one that was kept before it

1. has its problem and belongs to another split than training (`same-problem`; likewise what exceeds `max_per_problem`),
2. has its text (`exact-duplicate`), or
3. has a band of MinHash values in common with it and an estimated similarity of at least `min_similarity`
   (`near-duplicate`); of several, it joins the most similar one.

So each dropped document is like a kept one, and no two kept ones that met are alike. A chain A~B~C whose ends are not
alike loses B only, where A and C come first: B's cluster is A's or C's, whichever it is more like. Joining everything
that is connected, as most tools do, would also drop C for being like B, which is not there any more.

The result depends on the set of documents alone, not on their order or on how they were cut into tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from petitlm.data.corpus.schema import SPLITS, put
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.repeats import minhash, reference
from petitlm.data.repeats.minhash import (
    FINEWEB,
    NO_WORDS,
    Repeats,
    band_keys,
    least_equal,
    signatures,
    similarity,
    sketch,
)
from petitlm.errors import DamagedError

pc: Any = compute  # its functions are made when it is imported: no type checker knows them

NAME, VERSION = "dedup", 1
REASONS = {
    "exact-duplicate": "the text is equal to that of a document that is kept",
    "near-duplicate": "the text is nearly equal to that of a document that is kept",
    "same-problem": "its problem is in a held-out split, or in as many documents as a problem may be",
}
_EXACT, _NEAR, _PROBLEM = REASONS

# Held-out documents stay and training gives way: what a model is measured on decides.
_ORDER = {split: i for i, split in enumerate(["test", "heldout-structures", "heldout-values", "valid", "train"])}
assert set(_ORDER) == set(SPLITS)
_TRAIN = _ORDER["train"]
_U64, _U8 = np.dtype("<u8"), np.dtype(np.uint8)

CLUSTERS = pa.schema([
    ("doc_id", pa.binary(16)), ("cluster", pa.binary(16)), ("size", pa.int32()), ("kept", pa.bool_()),
    ("reason", pa.string()), ("similarity", pa.float32()),
])  # fmt: skip


def signed_schema(repeats: Repeats = FINEWEB) -> pa.Schema:
    """Columns of what `sign` gives: what clustering needs of a document, 320 bytes by default."""
    return pa.schema([
        ("doc_id", pa.binary(16)), ("content_id", pa.binary(16)), ("problem_key", pa.binary(16)),
        ("language", pa.string()), ("order", pa.int8()), ("quality", pa.float32()),
        ("bands", pa.binary(8 * repeats.bands)), ("sketch", pa.binary(repeats.n_hashes)),
    ])  # fmt: skip


def sign(rows: pa.Table, repeats: Repeats = FINEWEB) -> pa.Table:
    """What clustering needs of each document; columns as in `signed_schema`, in the order given."""
    order = pc.index_in(rows["split"].fill_null("train"), pa.array(list(_ORDER)))
    near = pc.is_in(rows["origin"], pa.array(repeats.near_origins, pa.string())).combine_chunks().fill_null(False)
    places = np.flatnonzero(near.to_numpy(zero_copy_only=False))
    signed = signatures(rows["text"].take(_places(places)), repeats)
    has_words = (signed != NO_WORDS).any(1)  # two texts without words have nothing in common but that
    signed, places = signed[has_words], places[has_words]
    return pa.table([
        rows["doc_id"], rows["content_id"], rows["problem_key"], rows["language"], order.cast(pa.int8()),
        rows["quality"], _scattered(band_keys(signed, repeats).astype("<u8"), places, len(rows)),
        _scattered(sketch(signed), places, len(rows)),
    ], schema=signed_schema(repeats))  # fmt: skip


def cluster(tables: Iterable[pa.Table], repeats: Repeats = FINEWEB) -> pa.Table:
    """All documents that have repeats, kept or not, sorted by `doc_id`; columns as in CLUSTERS.

    `cluster` is the doc_id of the kept one, `size` counts it and its repeats; `reason` and `similarity` (estimated
    Jaccard; 1 for equal texts) are null for the kept one. Documents that are not in the table have no repeats.
    Memory: about 290 bytes a document for `tables`, up to 560 more here (14 bands of 8, a fifth of them repeats).
    Raises: DamagedError where a doc_id occurs twice.
    """
    whole = pa.concat_tables([signed_schema(repeats).empty_table(), *tables])
    best = _best_first(whole)
    signed = whole.drop_columns(["bands", "sketch"]).take(best).combine_chunks()
    ids, contents = _matrix(signed["doc_id"], _U64), _matrix(signed["content_id"], _U64)
    _check_unique(ids, signed)
    n = len(signed)
    leaders, reasons, likeness = np.arange(n), np.full(n, -1, np.int8), np.ones(n)
    _join_problems(signed, repeats, leaders, reasons)
    _join_equal(contents, leaders, reasons)
    _join_near(whole, best.to_numpy(), repeats, leaders, reasons, likeness)
    return _table(signed, leaders, reasons, likeness)


def apply(rows: pa.Table, clusters: pa.Table) -> Sifted:
    """Drop the repeats among `rows`; the column `dup` of those kept says of how many documents they stand for."""
    places = pc.index_in(rows["doc_id"], clusters["doc_id"].combine_chunks())
    mine = clusters.take(places)
    rejected = [
        Rejection(i, reason, f"{'like' if reason == _NEAR else 'repeats'} {stands_for.hex()}"
                  + (f", similarity {alike:.2f}" if reason == _NEAR else ""))
        for i, (reason, stands_for, alike) in enumerate(
            zip(*(mine[name].to_pylist() for name in ("reason", "cluster", "similarity")), strict=True))
        if reason is not None
    ]  # fmt: skip
    dup = [{"cluster": stands_for, "size": size} if stands_for else None
           for stands_for, size in zip(mine["cluster"].to_pylist(), mine["size"].to_pylist(), strict=True)]  # fmt: skip
    return keep(put(rows, "dup", dup), rejected)


def _best_first(signed: pa.Table) -> pa.Array:
    return pc.sort_indices(
        signed, sort_keys=[("order", "ascending"), ("quality", "descending"), ("doc_id", "ascending")]
    )  # a null quality comes last


def _scattered(values: NDArray[Any], places: NDArray[np.int64], n: int) -> pa.Array:
    """`values` (M, K) as M of n binary values, at `places`; null elsewhere."""
    width = values.shape[1] * values.itemsize
    whole = np.zeros((n, width), np.uint8)
    whole[places] = np.ascontiguousarray(values).view(np.uint8).reshape(len(places), width)
    there = np.zeros(n, bool)
    there[places] = True
    valid = pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.binary(width), n, [valid, pa.py_buffer(whole)])


def _groups(*keys: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row the first row with equal keys, and how many such rows come before it."""
    n = len(keys[0])
    by_key = np.lexsort(keys)  # stable: equal keys stay in order
    is_new = np.ones(n, bool)
    for key in keys:
        is_new[1:] &= key[by_key[1:]] == key[by_key[:-1]]
    is_new[1:] = ~is_new[1:]
    starts = np.flatnonzero(is_new)
    begin = np.repeat(starts, np.diff(np.append(starts, n)))
    first, before = np.empty(n, np.int64), np.empty(n, np.int64)
    first[by_key], before[by_key] = by_key[begin], np.arange(n) - begin
    return first, before


def _check_unique(ids: NDArray[np.uint64], signed: pa.Table) -> None:
    twice = np.flatnonzero(_groups(ids[:, 0], ids[:, 1])[1])
    if len(twice):
        raise DamagedError(f"document {signed['doc_id'][int(twice[0])].as_py().hex()} is given twice to the search for "
                           f"repeats; give each shard once")  # fmt: skip


def _join_problems(
    signed: pa.Table, repeats: Repeats, leaders: NDArray[np.int64], reasons: NDArray[np.int8]
) -> None:
    known = np.flatnonzero(pc.is_valid(signed["problem_key"]).to_numpy())
    if not len(known):
        return
    rows = signed.take(_places(known))
    keys, order = _matrix(rows["problem_key"], _U64), rows["order"].to_numpy()
    first, _ = _groups(keys[:, 0], keys[:, 1])
    leaks = (order == _TRAIN) & (order[first] != _TRAIN)
    leader = np.where(leaks, first, np.arange(len(rows)))
    if repeats.max_per_problem:
        language = cast(pa.DictionaryArray, rows["language"].combine_chunks().fill_null("und").dictionary_encode())
        kind = language.indices.to_numpy(zero_copy_only=False)
        first, before = _groups(keys[:, 0], keys[:, 1], order, kind)
        leader = np.where(~leaks & (before >= repeats.max_per_problem), first, leader)
    drops = np.flatnonzero(leader != np.arange(len(rows)))
    leaders[known[drops]], reasons[known[drops]] = known[leader[drops]], list(REASONS).index(_PROBLEM)


def _join_equal(contents: NDArray[np.uint64], leaders: NDArray[np.int64], reasons: NDArray[np.int8]) -> None:
    alive = np.flatnonzero(reasons < 0)
    first, before = _groups(contents[alive, 0], contents[alive, 1])
    drops = np.flatnonzero(before)
    leaders[alive[drops]], reasons[alive[drops]] = alive[first[drops]], list(REASONS).index(_EXACT)


def _join_near(
    whole: pa.Table, best: NDArray[np.int64], repeats: Repeats, leaders: NDArray[np.int64], reasons: NDArray[np.int8],
    likeness: NDArray[np.float64],
) -> None:  # fmt: skip
    alive = np.flatnonzero((reasons < 0) & pc.is_valid(whole["bands"]).to_numpy()[best])
    buckets, n_buckets = _shared_buckets(whole["bands"], best[alive], repeats.bands)
    met = np.flatnonzero((buckets >= 0).any(1))
    alive, buckets = alive[met], buckets[met]
    sketches = _matrix(whole["sketch"].take(_places(best[alive])), _U8)
    found, equal = _lead(buckets, sketches, n_buckets, repeats)
    drops = np.flatnonzero(found != np.arange(len(alive)))
    leaders[alive[drops]], reasons[alive[drops]] = alive[found[drops]], list(REASONS).index(_NEAR)
    likeness[alive[drops]] = similarity(equal[drops], repeats.n_hashes)


def _lead(
    buckets: NDArray[np.int32], sketches: NDArray[np.uint8], n_buckets: int, repeats: Repeats
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    if minhash.native is None:
        minhash.warn_slow()
        return reference.lead(buckets, sketches, least_equal(repeats), repeats.most_kept)
    leaders, equal = np.empty(len(buckets), np.int64), np.empty(len(buckets), np.int32)
    minhash.native.lead(buckets, sketches, n_buckets, least_equal(repeats), repeats.most_kept, leaders, equal)
    return leaders, equal


def _places(found: NDArray[np.int64]) -> pa.Array:
    """Indices for `take`, of a type even where there are none."""
    return pa.array(found, pa.int64())


def _matrix(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A column of binary values of one width as rows of numbers; nulls hold anything."""
    width = cast(pa.FixedSizeBinaryType, column.type).byte_width // dtype.itemsize
    return np.concatenate([np.zeros((0, width), dtype), *_views(column, dtype)])


def _views(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Its chunks as they lie in memory."""
    width = cast(pa.FixedSizeBinaryType, column.type).byte_width
    for chunk in column.chunks:
        if len(chunk):
            data = np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width)
            yield data.view(dtype).reshape(len(chunk), -1)


def _shared_buckets(column: pa.ChunkedArray, rows: NDArray[np.int64], bands: int) -> tuple[NDArray[np.int32], int]:
    """For each of `rows` and each band the number of its key, -1 for a key that no other has: (N, bands)."""
    buckets, n_buckets = np.full((len(rows), bands), -1, np.int32), 0
    for band in range(bands if len(rows) else 0):
        keys = np.concatenate([view[:, band] for view in _views(column, _U64)])[rows]
        by_key = np.argsort(keys, kind="stable")
        keys = keys[by_key]
        is_new = np.append(True, keys[1:] != keys[:-1])
        shared = ~(is_new & np.append(is_new[1:], True))  # another one stands beside it
        number = np.cumsum(is_new[shared])
        buckets[by_key[shared], band] = number - 1 + n_buckets
        n_buckets += int(number[-1]) if len(number) else 0
    return buckets, n_buckets


def _table(
    signed: pa.Table, leaders: NDArray[np.int64], reasons: NDArray[np.int8], likeness: NDArray[np.float64]
) -> pa.Table:
    for _ in range(3):  # a copy of a document that joined another one joins that: near, equal, problem
        leaders = leaders[leaders]
    sizes = np.bincount(leaders, minlength=len(leaders))[leaders]
    wanted = np.flatnonzero(sizes > 1)
    dropped = reasons[wanted] >= 0
    ids = signed["doc_id"]
    made = pa.table([
        ids.take(_places(wanted)), ids.take(_places(leaders[wanted])), sizes[wanted].astype(np.int32),
        ~dropped, pa.array(np.array(list(REASONS), object)[reasons[wanted]], pa.string(), mask=~dropped),
        pa.array(likeness[wanted].astype(np.float32), mask=~dropped),
    ], schema=CLUSTERS)  # fmt: skip
    return made.sort_by("doc_id")
