"""Where in the token files is this? By a suffix array for each shard: its places, in the order of what follows them.

A shard's array lies in a file `shard-NNNNN.sa`, four bytes for each token, read from disk as it is used: a question
touches a few pages of it. The file, little-endian:

    8 bytes    b"PETITSA\\0"
    uint32     1, the version
    uint32     bytes of a place: 4 or 8
    uint64     tokens of the shard
    32 bytes   sha256 of the shard's .bin
    8 bytes    0
    int32 or int64 [tokens]   the places

Documents end with a token that no text holds, so a run of tokens of a text never lies across two documents.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from petitlm.data.tokens.encoder import Encoder
from petitlm.data.tokens.layout import map_file
from petitlm.data.tokens.letters import Letters, find_letters
from petitlm.data.tokens.pack import shard_name
from petitlm.data.tokens.reader import TokenFiles
from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.files import write_file

_HEADER = struct.Struct("<8sIIQ32s8x")
_MAGIC, _VERSION = b"PETITSA\x00", 1
_SPACES = " \n\t\r"


@dataclass(frozen=True)
class Found:
    """Where a run of tokens is."""

    count: int
    positions: NDArray[np.int64]
    """First tokens over all shards, rising; no more than were asked for."""


@dataclass(frozen=True)
class Match:
    """A stretch of a query that lies in the files, and in none longer."""

    start: int
    """Its first id in the query."""
    length: int
    found: Found


class Places(NamedTuple):
    """Where a text is."""

    ranges: list[tuple[int, int]]
    """First token that holds some of it and one behind the last, over all shards, rising."""
    complete: bool
    """Whether these are all places, and not some of many."""


def write_suffixes(files: TokenFiles, folder: Path, progress: Callable[[int, int], None] = lambda *_: None,
                   shas: Sequence[str] | None = None) -> int:
    """Write the suffix array of each shard that has none in `folder` yet, or one of another .bin.

    `shas` are the sha256 of the .bin files, which are read to know them otherwise.
    Returns: how many were written.
    """
    wanted = [bytes.fromhex(sha) for sha in shas] if shas else [
        hashlib.sha256(ids.data).digest() for ids in files.shards]
    lacking = [shard for shard, sha in enumerate(wanted) if _sha_of(suffix_path(folder, shard)) != sha]
    for done, shard in enumerate(lacking):
        write_shard_suffixes(files, shard, folder, wanted[shard])
        progress(done + 1, len(lacking))
    return len(lacking)


def write_shard_suffixes(files: TokenFiles, shard: int, folder: Path, sha: bytes) -> None:
    """Write the suffix array of one shard, whose .bin has the sha256 `sha`."""
    ids = _as_kernel(files.shards[shard])
    kind = np.dtype("<i4" if len(ids) < (1 << 31) - 1 else "<i8")
    places = np.empty(len(ids) + 1, kind)
    _kernels().suffix_array(ids, places, int(ids.max()) + 1 if len(ids) else 0)
    header = _HEADER.pack(_MAGIC, _VERSION, kind.itemsize, len(ids), sha)
    write_file(suffix_path(folder, shard), [header, places[1:].data])


def suffix_path(folder: Path, shard: int) -> Path:
    """Name of the suffix array of a shard."""
    return folder / f"{shard_name(shard)}.sa"


class Search:
    """Questions to the token files of a folder."""

    def __init__(self, files: TokenFiles, folder: Path, shas: Sequence[bytes] | None = None) -> None:
        """Open the suffix arrays in `folder`; `shas` are the sha256 of the .bin files, where somebody knows them.

        Raises: NotFoundError, DamagedError; UsageError for arrays of other token files.
        """
        self.files = files
        self._shards = [_as_kernel(ids) for ids in files.shards]
        self._places = [_open(suffix_path(folder, i), len(ids), shas[i] if shas else None)
                        for i, ids in enumerate(self._shards)]

    def find(self, ids: Sequence[int], limit: int | None = None) -> Found:
        """How often, and where, these ids lie together; of the places the first `limit`.

        Raises: UsageError without ids.
        """
        if not len(ids):
            raise UsageError("no tokens to look for; an empty run is everywhere")
        query, count, found = np.array(ids, np.int64), 0, []
        for base, tokens, places in zip(self.files.first_token, self._shards, self._places, strict=False):
            low, high = _asked(_kernels().suffix_range, tokens, places, query)
            count += high - low
            left = None if limit is None else max(0, limit - sum(map(len, found)))
            found.append(_smallest(places[low:high], left) + base)
        return Found(count, np.concatenate([np.zeros(0, np.int64), *found]))

    def count(self, ids: Sequence[int]) -> int:
        """How often these ids lie together."""
        return self.find(ids, 0).count

    def longest_matches(self, ids: Sequence[int], min_length: int = 1, limit: int = 10) -> list[Match]:
        """The stretches of `ids` that the files hold and that cannot be made longer, of `min_length` or more."""
        query = np.array(ids, np.int64)
        longest, of_shard = np.zeros(len(query), np.int64), np.zeros(len(query), np.int64)
        for tokens, places in zip(self._shards, self._places, strict=True):
            _asked(_kernels().suffix_longest, tokens, places, query, of_shard)
            np.maximum(longest, of_shard, out=longest)
        matches, reached = [], 0
        for start, length in enumerate(longest.tolist()):
            if start + length > reached and length >= max(1, min_length):
                matches.append(Match(start, length, self.find(query[start : start + length].tolist(), limit)))
            reached = max(reached, start + length)
        return matches

    def find_text(self, text: str, encoder: Encoder, letters: Letters, limit: int = 1000) -> Places:
        """Where a text is, whatever stands around it and however its letters were cut into tokens.

        Words between the first and the last are cut into the same tokens wherever they stand: those are looked for,
        and what is before and behind them is compared letter by letter. A text without such words, or whose words are
        in more than `limit` places, is looked for letter by letter from its first token on, which takes longer.
        An answer's border that cuts a word in two hides that word from the first way.
        """
        if not text:
            raise UsageError("no text to look for; an empty one is everywhere")
        begin, end = _core(text)
        raw = text[begin:end].encode()
        core = encoder.encode(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]))[0].tolist()
        if core and (found := self.find(core, limit)).count <= limit:
            before, behind = text[:begin].encode(), text[end:].encode()
            ranges = []
            for position in found.positions.tolist():
                first = self._reach(position, before, -1, letters)
                last = self._reach(position + len(core) - 1, behind, 1, letters)
                if first is not None and last is not None:
                    ranges.append((first, last + 1))
            return Places(ranges, True)
        return self._find_letters(text.encode(), letters, limit)

    def _find_letters(self, raw: bytes, letters: Letters, limit: int) -> Places:
        ranges: set[tuple[int, int]] = set()
        for base, tokens, places in zip(self.files.first_token, self._shards, self._places, strict=False):

            def places_of(id: int, tokens: NDArray[Any] = tokens, places: NDArray[Any] = places) -> NDArray[Any]:
                low, high = _asked(_kernels().suffix_range, tokens, places, np.array([id], np.int64))
                return places[low:high]

            for first, last in find_letters(raw, letters, tokens, places_of):
                ranges.add((base + first, base + last))
                if len(ranges) > limit:
                    return Places(sorted(ranges)[:limit], False)
        return Places(sorted(ranges), True)

    def _reach(self, position: int, wanted: bytes, step: int, letters: Letters) -> int | None:
        """The token up to which `wanted` lies before (-1) or behind (1) the token at `position`; None: it does not."""
        read = b""
        while len(read) < len(wanted):
            position += step
            if not 0 <= position < self.files.n_tokens:
                return None
            token = letters.tokens[int(self.files.tokens(position, position + 1)[0])]
            if not token:  # the end of the document
                return None
            read = token + read if step < 0 else read + token
        same = read.endswith(wanted) if step < 0 else read.startswith(wanted)
        return position if same else None


def _core(text: str) -> tuple[int, int]:
    """The stretch of `text` that begins and ends where a word does, whatever stands before and behind the text."""
    borders = [i for i in range(1, len(text)) if text[i] in _SPACES and not text[i - 1].isspace()]
    return (borders[0], borders[-1]) if borders else (0, 0)


def _smallest(values: NDArray[Any], n: int | None) -> NDArray[np.int64]:
    if n == 0:
        return np.zeros(0, np.int64)
    if n is not None and n < len(values):
        values = np.partition(values, n - 1)[:n]
    return np.sort(values).astype(np.int64)


def _as_kernel(ids: NDArray[Any]) -> NDArray[Any]:
    """Ids in one of the two types that the kernels read, both of them as in petit's own files."""
    return ids if ids.dtype in (np.dtype("<u2"), np.dtype("<i4")) else ids.astype("<i4")


def _header(path: Path) -> tuple[Any, ...] | None:
    try:
        with open(path, "rb") as file:
            raw = file.read(_HEADER.size)
    except FileNotFoundError:
        return None
    return _HEADER.unpack(raw) if len(raw) == _HEADER.size else (b"", 0, 0, 0, b"")


def _sha_of(path: Path) -> bytes | None:
    header = _header(path)
    whole = header and header[0] == _MAGIC and path.stat().st_size == _HEADER.size + header[2] * header[3]
    return header[4] if header and whole and header[1] == _VERSION else None


def _open(path: Path, n: int, sha: bytes | None) -> NDArray[Any]:
    header = _header(path)
    if header is None:
        raise NotFoundError(f"{path} is not there; the suffixes of these token files were not sorted yet")
    magic, version, width, n_tokens, of_bin = header
    if magic != _MAGIC or version != _VERSION or width not in (4, 8):
        raise DamagedError(f"{path} is no suffix array of version {_VERSION}; delete it, and it is made again")
    if n_tokens != n or (sha is not None and sha != of_bin):
        raise UsageError(f"{path} belongs to other token files; delete it, and it is made again")
    if path.stat().st_size != _HEADER.size + width * n:
        raise DamagedError(f"{path} is truncated; delete it, and it is made again")
    return map_file(path, np.dtype(f"<i{width}"))[_HEADER.size // width :]


def _asked(kernel: Callable[..., Any], *arrays: NDArray[Any]) -> Any:
    try:
        return kernel(*arrays)
    except ValueError as error:  # a place outside of the tokens
        raise DamagedError(f"{error}; delete the .sa files, and they are made again") from None


@cache
def _kernels() -> Any:
    try:
        from petitlm import _text

        return _text
    except ImportError:
        from petitlm.data.tokens import reference

        warnings.warn("petitlm._text is not compiled: suffixes are sorted by their NumPy twin, which is slow; "
                      "install a C++ compiler and petit again", stacklevel=3)
        return reference
