"""A corpus as it lies on disk: its manifest, and the files that the manifest vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from petitlm.errors import DamagedError, NotFoundError
from petitlm.files import file_sha256, read_json_object

SCHEMA = 1
"""Of the manifests that this code can read."""
MANIFEST = "manifest.json"
_NEEDED = {"files": list, "stages": list, "cells": list, "sources": dict, "splits": dict, "tokenizer": dict,
           "n_documents": int, "n_tokens": int}


@dataclass(frozen=True)
class Corpus:
    """A folder that `petit data build` wrote."""

    folder: Path
    manifest: Mapping[str, Any]
    identity: str
    """SHA-256 of the manifest's bytes: the name of this corpus and no other."""

    @property
    def name(self) -> str:
        """What its recipe calls it."""
        return str(self.manifest.get("name") or self.folder.name)

    def paths(self, under: str) -> list[Path]:
        """Files that the manifest lists with this name or in this folder, in order.

        Raises: NotFoundError where one of them is not there.
        """
        listed = sorted(entry["path"] for entry in self.manifest["files"]
                        if entry["path"] == under or entry["path"].startswith(f"{under}/"))
        paths = [self.folder / name for name in listed]
        if lost := [path for path in paths if not path.is_file()]:
            raise NotFoundError(f"{lost[0]} is in the manifest and not on disk; `petit data verify {self.folder}` "
                                "lists all that is missing, and building again with the same recipe restores it")
        return paths

    def tables(self, under: str) -> list[Path]:
        """The Parquet files among `paths(under)`."""
        return [path for path in self.paths(under) if path.suffix == ".parquet"]


def open_corpus(folder: Path | str) -> Corpus:
    """Open the corpus in a folder, by its manifest.

    Raises: NotFoundError without a manifest; DamagedError for one that is not whole or that another schema wrote.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        what = "is not there" if not folder.exists() else f"has no {MANIFEST}"
        raise NotFoundError(f"{folder} {what}; give a folder that `petit data build` finished")
    manifest = read_json_object(path)
    if (schema := manifest.get("schema")) != SCHEMA:
        raise DamagedError(f"{path} has schema {schema!r} and this petit reads {SCHEMA}; "
                           "use the version of petit that wrote it, or build the corpus again")
    for key, kind in _NEEDED.items():
        if type(manifest.get(key)) is not kind:
            raise DamagedError(f"{path} lacks {key!r} or has something else than {kind.__name__} there; "
                               "build the corpus again")
    for entry in manifest["files"]:
        _check_entry(entry, path)
    return Corpus(folder, manifest, file_sha256(path))


def _check_entry(entry: Any, where: Path) -> None:
    """Refuse a listed file whose name leads out of the folder, or that is not fully described."""
    described = isinstance(entry, dict) and isinstance(entry.get("path"), str) and type(entry.get("bytes")) is int \
        and isinstance(entry.get("sha256"), str) and type(entry.get("rows")) in (int, type(None))
    name = entry["path"] if described else ""
    if not described or not name or "\\" in name or "\0" in name or PurePosixPath(name).is_absolute() \
            or {"..", "."} & set(name.split("/")):
        raise DamagedError(f"{where} lists {entry!r:.200}, which names no file in its folder with bytes, rows and "
                           "sha256; build the corpus again")
