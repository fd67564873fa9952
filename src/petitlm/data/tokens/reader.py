"""Token files read where they lie: ranges of tokens, whole documents, and which document a token is of."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from petitlm.data.tokens.layout import Index, map_file, read_index
from petitlm.data.tokens.pack import ROWS_PER_GROUP, SPANS_FILE, shard_name
from petitlm.errors import DamagedError, NotFoundError, UsageError


class Place(NamedTuple):
    """Where a token is."""

    document: int
    """Number of the document over all shards."""
    doc_id: bytes
    start: int
    """First token of the document, counted over all shards."""
    end: int
    """One behind its end token."""


class TokenFiles:
    """The shards of a folder, memory-mapped; tokens and documents are counted over all shards, in their order."""

    def __init__(self, folder: Path | str) -> None:
        """Raises: NotFoundError; DamagedError where files lack or do not fit each other."""
        self.folder = Path(folder)
        self.indexes = list(self._read_indexes())
        self.shards = [map_file(self.folder / f"{shard_name(i)}.bin", index.dtype)
                       for i, index in enumerate(self.indexes)]
        for i, (index, ids) in enumerate(zip(self.indexes, self.shards, strict=True)):
            if index.n_tokens != len(ids):
                raise DamagedError(f"{self.folder / shard_name(i)}.bin has {len(ids):,} tokens and its .idx "
                                   f"{index.n_tokens:,}; one of the two is damaged")
            sizes = index.lengths[:-1].astype(np.int64) * ids.itemsize
            if (index.places[:1] != 0).any() or (np.diff(index.places) != sizes).any():
                raise DamagedError(f"{self.folder / shard_name(i)}.idx: its documents do not lie end to end; "
                                   "import files of another program first")
        self._group, self._names = -1, pa.chunked_array([], pa.binary(16))
        self.first_token = np.concatenate([[0], np.cumsum([len(ids) for ids in self.shards])]).tolist()
        self.first_document = np.concatenate([[0], np.cumsum([len(i.lengths) for i in self.indexes])]).tolist()

    def _read_indexes(self) -> list[Index]:
        n = len(list(self.folder.glob("shard-*.bin")))
        if not n:
            raise NotFoundError(f"{self.folder} holds no token files (shard-00000.bin); petit data build makes them")
        return [read_index(self.folder / f"{shard_name(i)}.idx") for i in range(n)]

    @property
    def n_tokens(self) -> int:
        """Over all shards, end tokens included."""
        return self.first_token[-1]

    @property
    def n_documents(self) -> int:
        """Over all shards; a document that is written twice counts twice."""
        return self.first_document[-1]

    def tokens(self, begin: int, end: int) -> NDArray[Any]:
        """The ids from `begin` up to `end`; they may lie across shards.

        Raises: UsageError for a range that the files do not hold.
        """
        if not 0 <= begin <= end <= self.n_tokens:
            raise UsageError(f"tokens {begin} to {end} are not among the {self.n_tokens:,} of {self.folder}")
        shard, parts = self._shard_of(begin), []
        while begin < end:
            base, last = self.first_token[shard], min(end, self.first_token[shard + 1])
            parts.append(self.shards[shard][begin - base : last - base])
            begin, shard = last, shard + 1
        return parts[0] if len(parts) == 1 else np.concatenate([self.shards[0][:0], *parts])

    def document(self, number: int) -> NDArray[Any]:
        """The ids of one document, its end token included."""
        begin, end = self.bounds(number)
        return self.tokens(begin, end)

    def bounds(self, number: int) -> tuple[int, int]:
        """First token of a document, and one behind its last.

        Raises: UsageError for a number that is none.
        """
        if not 0 <= number < self.n_documents:
            raise UsageError(f"document {number} is not among the {self.n_documents:,} of {self.folder}")
        shard = bisect_right(self.first_document, number) - 1
        index, row = self.indexes[shard], number - self.first_document[shard]
        begin = self.first_token[shard] + int(index.places[row]) // index.dtype.itemsize
        return begin, begin + int(index.lengths[row])

    def locate(self, position: int) -> Place:
        """The document that a token is of.

        Raises: UsageError for a position beyond the files.
        """
        if not 0 <= position < self.n_tokens:
            raise UsageError(f"token {position} is not among the {self.n_tokens:,} of {self.folder}")
        shard = self._shard_of(position)
        index = self.indexes[shard]
        byte = (position - self.first_token[shard]) * index.dtype.itemsize
        # Not by NumPy, which would copy the whole array to align it.
        number = self.first_document[shard] + bisect_right(index.places, byte) - 1
        return Place(number, self.doc_id(number), *self.bounds(number))

    def doc_id(self, number: int) -> bytes:
        """Name of a document, from spans.parquet; one row group is read, unless it is the last one read."""
        group, row = divmod(number, ROWS_PER_GROUP)
        if group != self._group:
            self._names = self._spans.read_row_group(group, columns=["doc_id"]).column("doc_id")
            self._group = group
        return self._names[row].as_py()

    def spans(self) -> pq.ParquetFile:
        """The table of spans (schema.SPANS), one row for each document, in their order.

        Raises: NotFoundError; DamagedError for the spans of other files.
        """
        return self._spans

    @cached_property
    def _spans(self) -> pq.ParquetFile:
        path = self.folder / SPANS_FILE
        if not path.exists():
            raise NotFoundError(f"{path} is not there; without it nobody can say which document a token is of")
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(f"{path} is no Parquet file ({error}); build the corpus again") from None
        if file.metadata.num_rows != self.n_documents:
            raise DamagedError(f"{path} has {file.metadata.num_rows:,} spans and the shards {self.n_documents:,} "
                               "documents; a file is missing or from another corpus")
        return file

    def _shard_of(self, position: int) -> int:
        return min(bisect_right(self.first_token, position), len(self.shards)) - 1
