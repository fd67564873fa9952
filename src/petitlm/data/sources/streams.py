"""Bytes of a file, unpacked as they come, in blocks; lines of any length in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pyarrow as pa

from petitlm.errors import DamagedError, NotFoundError, UsageError

BLOCK = 1 << 20
BOMB_FLOOR = 64 << 20
"""Unpacked bytes below which nothing counts as an archive bomb: short files of one letter pack without limit."""
PACKED = (".gz", ".zst", ".bz2", ".xz")


class Broken(Exception):
    """Reading cannot go on; carries one of `reading.REASONS` and what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Line(NamedTuple):
    """A line without its newline."""

    start: int
    end: int
    data: bytes | None
    """None where it is longer than allowed; then only its place is known."""


class Stream:
    """Unpacked bytes of a file, block by block."""

    def __init__(self, packed: BinaryIO, plain: io.BufferedIOBase, max_expansion: float) -> None:
        self._packed, self._plain, self._max_expansion = packed, plain, max_expansion
        self._trouble: str | None = None
        self.position = 0
        """Unpacked bytes given so far."""

    def read(self) -> bytes:
        """The next block; empty at the end.

        Raises: Broken.
        """
        block = self._fill()
        self.position += len(block)
        if self.position > BOMB_FLOOR and self.position > self._max_expansion * max(self._packed.tell(), 1):
            raise Broken("archive-bomb", f"{self._packed.tell()} bytes unpack to more than {self.position}")
        return block

    def _fill(self) -> bytes:
        """A block, or what there is before the end or before the place where unpacking fails."""
        pieces: list[bytes] = []
        size = 0
        while size < BLOCK and self._trouble is None:
            try:
                piece = self._plain.read1(BLOCK - size)
            except (EOFError, zlib.error, lzma.LZMAError, pa.ArrowInvalid, OSError) as error:
                self._trouble = str(error)[:200]
                break
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        if self._trouble is not None and not pieces:
            raise Broken("damaged", f"after {self.position} bytes: {self._trouble}")
        return b"".join(pieces)

    def rest(self, limit: int) -> bytes | None:
        """All that is left; None, after reading to the end, where it is more than `limit` bytes.

        Raises: Broken.
        """
        blocks: list[bytes] | None = []
        start = self.position
        while block := self.read():
            if blocks is not None:
                blocks.append(block)
            if self.position - start > limit:
                blocks = None
        return b"".join(blocks) if blocks is not None else None


@contextmanager
def open_stream(path: Path, max_expansion: float) -> Iterator[Stream]:
    """Open a file, unpacking it if its suffix says so.

    Raises: NotFoundError; DamagedError if the system does not let it be read.
    """
    try:
        packed = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there") from None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror}); check the path and its rights") from None
    with closing(packed), closing(_unpacked(packed, path.suffix.lower())) as plain:
        yield Stream(packed, plain, max_expansion)


def _unpacked(packed: io.BufferedReader, suffix: str) -> io.BufferedIOBase:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=packed)
    if suffix == ".bz2":
        return bz2.BZ2File(packed)
    if suffix == ".xz":
        return lzma.LZMAFile(packed)
    if suffix == ".zst":  # the standard library knows it from Python 3.14 on only
        return cast(io.BufferedIOBase, pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd"))
    return packed


def lines(stream: Stream, max_bytes: int) -> Iterator[Line]:
    """Lines with their exact places; a byte order mark at the very start belongs to no line.

    Holds at most `max_bytes` and two blocks. An unfinished line before a break is given up with the break.
    Raises: Broken.
    """
    held: list[bytes] | None = []  # the line so far, in pieces; None: too long to hold
    start = size = 0
    while block := stream.read():
        at = 3 if start == 0 == size and block.startswith(b"\xef\xbb\xbf") else 0
        start += at
        while (end := block.find(b"\n", at)) >= 0:
            size += end - at
            if held is not None and size <= max_bytes:
                yield Line(start, start + size, b"".join([*held, block[at:end]]) if held else block[at:end])
            else:
                yield Line(start, start + size, None)
            start, size, held, at = start + size + 1, 0, [], end + 1
        size += len(block) - at
        if size > max_bytes:
            held = None
        elif held is not None and at < len(block):
            held.append(block[at:])
    if size:
        yield Line(start, start + size, b"".join(held) if held is not None else None)


def format_suffix(path: Path) -> str:
    """The suffix that tells the format, without that of the packing.

    Raises: UsageError if there is none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    if not suffixes:
        raise UsageError(f"{path} has no suffix that tells its format; name the format in the recipe")
    return suffixes[-1]
