"""Files that are never half there, and small text files read with a limit."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from petitlm.errors import DamagedError, NotFoundError, UsageError

MAX_JSON_BYTES = 256 << 20
"""No tokenizer in use comes near this; a larger file is a mistake or an attack."""


def write_file(path: Path | str, chunks: Iterable[bytes | memoryview], sync: bool = True) -> None:
    """Write `chunks` to a new file beside `path`, sync it, then give it its name.

    Whoever looks at `path` at any moment, even after a crash, sees the old file or the whole new one. Without `sync`
    a power cut may leave less: for files that carry a checksum and can be made again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        with open(beside, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    if sync:
        _sync_folder(path.parent)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, whole or not at all."""
    write_file(path, [json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"])


@contextlib.contextmanager
def new_folder(folder: Path | str, belongs: Callable[[str], bool]) -> Iterator[Path]:
    """Give an empty folder to fill beside `folder`; at the end it takes `folder`'s place in one step.

    A folder that is already there is replaced only if every name in it satisfies `belongs`, so that
    a mistyped path never costs anybody their files.
    Raises: UsageError, naming the first file that does not belong.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, and a folder is to be written there; choose another name")
    for name in sorted(os.listdir(folder)) if folder.exists() else []:
        if not belongs(name):
            raise UsageError(f"{folder} holds {name!r}, which writing here would delete; choose an empty or new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(folder)
    beside.mkdir()
    try:
        yield beside
        _sync_folder(beside)
        _take_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # the unfinished new folder, or the replaced old one
    _sync_folder(folder.parent)


def read_text(path: Path | str, max_bytes: int = MAX_JSON_BYTES) -> str:
    """Return the UTF-8 text of a small file.

    Raises: NotFoundError; DamagedError if it is larger than `max_bytes` or not UTF-8.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DamagedError(f"{path} has {size:,} bytes, more than the {max_bytes:,} that such a file may have")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there") from None
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path} is not UTF-8 text (byte {error.start}); fetch the file again") from None


def parse_json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in `text`, refusing anything else and keys given twice.

    Raises: DamagedError, starting with `where`.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{where} is not valid JSON ({error}); fetch the file again") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{where} holds a JSON {type(value).__name__} where an object {{...}} belongs")
    return value


def read_json_object(path: Path | str, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises: NotFoundError, DamagedError.
    """
    return parse_json_object(read_text(path, max_bytes), str(path))


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_plain_names(names: Collection[str], where: str) -> None:
    """Refuse file names that could lead out of the folder they are looked up in.

    Raises: DamagedError.
    """
    for name in names:
        if not isinstance(name, str) or not name or name in (".", "..") or any(c in name for c in "/\\:\0"):
            raise DamagedError(f"{where} names the file {name!r:.100}; only plain names in the same folder are read")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice!r:.100} is given twice")
    return result


def _beside(path: Path) -> Path:
    """Return a new name in the same folder: a rename works only within one file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")


def _take_place(new: Path, place: Path) -> None:
    """Move folder `new` to `place`; what was there, if anything, ends up at `new`."""
    if not place.exists():
        os.rename(new, place)
    elif not _exchange(new, place):
        # No atomic exchange here: the old folder is out of its place for an instant, but never lost.
        old = new.with_name(f"{new.name}.old")
        os.rename(place, old)
        os.rename(new, place)
        os.rename(old, new)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step where the system can (Linux, renameat2)."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2 is not None and renameat2(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def _sync_folder(folder: Path) -> None:
    """Make names in `folder` survive a power cut; systems without it (Windows) sync on their own."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
