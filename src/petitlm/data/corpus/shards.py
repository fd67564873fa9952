"""Tables cut by ranges of `doc_id`: in one file, a run of row groups for each shard, so that a worker reads its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 16 << 20
_MAX_ROWS = 20_000
"""Of a row group: what a look-up by id has to read."""


def shard_of(rows: pa.Table, n_shards: int) -> np.ndarray:
    """(rows,) shard of each row, by the first two bytes of its `doc_id`."""
    ids = rows["doc_id"].combine_chunks()
    width = ids.type.byte_width
    raw = np.frombuffer(ids.buffers()[1], np.uint8)[ids.offset * width : (ids.offset + len(ids)) * width]
    first = raw.reshape(-1, width)[:, :2].astype(np.uint32)
    return ((first[:, 0] << 8 | first[:, 1]) * n_shards) >> 16


def write_sharded(path: Path, rows: pa.Table, n_shards: int) -> list[int]:
    """Write `rows`, in the order of their ids, one run of row groups for each shard.

    Returns: the first row group of each shard, and the number of row groups at the end.
    """
    rows = rows.sort_by("doc_id")
    shards = shard_of(rows, n_shards) if len(rows) else np.zeros(0, np.uint32)
    cuts = np.searchsorted(shards, np.arange(n_shards + 1))
    groups, n_groups = [0], 0
    with pq.ParquetWriter(path, rows.schema, **OPTIONS) as writer:
        for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            for part in row_groups(rows.slice(begin, end - begin)):
                writer.write_table(part, row_group_size=max(len(part), 1))
                n_groups += 1
            groups.append(n_groups)
    return groups


def read_shard(path: Path, groups: Sequence[int], shard: int) -> pa.Table:
    """The rows of one shard of a file that `write_sharded` wrote."""
    with pq.ParquetFile(path) as file:
        return file.read_row_groups(list(range(groups[shard], groups[shard + 1])))


OPTIONS: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "write_statistics": True,
                           "store_schema": False}


def write_table(path: Path, rows: pa.Table) -> None:
    """Write a table, in row groups of about 16 MB; the same rows give the same bytes."""
    with pq.ParquetWriter(path, rows.schema, **OPTIONS) as writer:
        for part in row_groups(rows):
            writer.write_table(part, row_group_size=max(len(part), 1))


def row_groups(rows: pa.Table) -> Iterator[pa.Table]:
    """`rows` in slices of about 16 MB and at most 20,000 rows; none for no rows."""
    if not len(rows):
        return
    size = max(1, min(_MAX_ROWS, len(rows) * ROW_GROUP_BYTES // max(rows.nbytes, 1)))
    for start in range(0, len(rows), size):
        # combined, so that how the rows were put together does not show in the file
        yield rows.slice(start, size).combine_chunks()


def joined(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """Tables of one schema, end to end; an empty one of `schema` where there are none."""
    given = [table.cast(schema) for table in tables]
    return pa.concat_tables(given) if given else schema.empty_table()
