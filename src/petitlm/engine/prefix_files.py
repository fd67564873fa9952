"""Blocks of keys and values on disk: safe to share between processes, to kill and to damage.

A file holds a mark, its own name, a SHA-256 of the rest, and the bytes. It appears whole or not at all; a file that
is not what it says is never used, but removed with a warning and made again when its text is next run. The time of
its last change is when it was last used; the oldest go when the folder outgrows its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.prefixes import MemoryStore
from petitlm.errors import UsageError
from petitlm.files import write_file

DISK_LIMIT = 8 << 30
"""Bytes on disk unless something else is said."""
MARK = b"petit prefix 1\0\0"
_HEAD = len(MARK) + 32 + 32
_OURS = re.compile(r"[0-9a-f]{64}\.prefix")
_PART = re.compile(r"\.[0-9a-f]{64}\.prefix\.[0-9a-f]+\.part")
_ABANDONED_S = 3600.0
"""A half-written file older than this belongs to nobody any more."""


def open_store(where: int | str | Path, limit: int) -> MemoryStore | DiskStore:
    """Return a store of `where` bytes in memory, or of `limit` bytes in the folder `where`.

    Raises: UsageError.
    """
    size = where if isinstance(where, int) else limit
    if size < 1:
        raise UsageError(f"a prefix cache of {size} bytes keeps nothing; give a larger size, or leave it out")
    return MemoryStore(where) if isinstance(where, int) else DiskStore(where, limit)


class DiskStore:
    """Blocks in a folder; see `petitlm.engine.prefixes.Store`. A folder that fails costs speed, never an answer."""

    def __init__(self, folder: Path | str, limit: int) -> None:
        self.folder, self.limit = Path(folder), limit
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UsageError(f"prefix_cache={self.folder} is a file; name a folder, new or used before") from None
        self._used: int | None = None  # bytes, as far as this process knows
        self._warned = False
        self._last = 0

    def get(self, name: bytes, n_bytes: int) -> NDArray[np.uint8] | None:
        """Return a block of `n_bytes`, or None if it is not there or not to be trusted."""
        path = self._path(name)
        try:
            data = np.fromfile(path, np.uint8)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._warn(f"{path} cannot be read ({error.strerror})")
        block = data[_HEAD:]
        if len(data) == _HEAD + n_bytes and data[:_HEAD].tobytes() == _head(name, block):
            return block
        with contextlib.suppress(OSError):
            path.unlink()
        return self._warn(f"{path} is damaged and was removed")

    def put(self, name: bytes, data: NDArray[np.uint8]) -> None:
        """Keep a block, and make room for it."""
        path = self._path(name)
        try:
            write_file(path, [_head(name, data), data.data], sync=False)
            self.touch(name)
            self._used = self._scan() if self._used is None else self._used + _HEAD + data.nbytes
            if self._used > self.limit:
                self._used = self._scan(self.limit - self.limit // 10)
        except OSError as error:
            self._warn(f"{path} cannot be written ({error.strerror})")

    def touch(self, name: bytes) -> bool:
        """Whether a block is there; it counts as used now."""
        self._last = max(self._last + 1000, time.time_ns())  # later than the one before, by what file systems tell
        try:
            os.utime(self._path(name), ns=(self._last, self._last))
        except OSError:
            return False
        return True

    def remember(self, key: bytes, compute: Callable[[], bytes]) -> bytes:
        """Return the 32 bytes that `compute` gave for `key`, now or in an earlier process."""
        name = hashlib.sha256(b"remembered" + key).digest()
        block = self.get(name, 32)
        if block is None:
            block = np.frombuffer(compute(), np.uint8)
            self.put(name, block)
        else:
            self.touch(name)
        return block.tobytes()

    def _path(self, name: bytes) -> Path:
        return self.folder / f"{name.hex()}.prefix"

    def _scan(self, room: int | None = None) -> int:
        """Return the bytes in use, after removing the oldest files until they fit in `room`; others' files stay."""
        files = list[tuple[int, int, str]]()
        for entry in os.scandir(self.folder):
            with contextlib.suppress(FileNotFoundError):
                if _OURS.fullmatch(entry.name):
                    files.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
                elif _PART.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _ABANDONED_S:
                    os.unlink(entry.path)
        used = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if room is None or used <= room:
                break
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.unlink(path)
            used -= size
        return used

    def _warn(self, what: str) -> None:
        if not self._warned:
            warnings.warn(f"prefix cache: {what}; answers stay right, and prompts take their full time",
                          RuntimeWarning, stacklevel=2)
            self._warned = True


def _head(name: bytes, data: NDArray[np.uint8]) -> bytes:
    digest = hashlib.sha256(name)
    digest.update(data.data)
    return MARK + name + digest.digest()
