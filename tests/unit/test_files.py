"""Files and folders appear whole or not at all; small files are read with limits."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from petitlm import files
from petitlm.errors import DamagedError, NotFoundError, UsageError


def anything(name: str) -> bool:
    return True


def failing_chunks() -> Iterator[bytes]:
    yield b"half"
    raise OSError("disk full")


def test_a_file_is_replaced_whole_with_ordinary_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.txt"
    files.write_file(path, [b"a", memoryview(b"bc")])
    files.write_file(path, [b"again"])
    assert path.read_bytes() == b"again"
    (tmp_path / "plain").write_text("x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(OSError, match="disk full"):
        files.write_file(tmp_path / "x", failing_chunks())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "old"}


def test_a_file_is_synced_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("sync"), sync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), replace(a, b))[1])
    files.write_file(tmp_path / "x", [b"a"])
    assert steps == ["sync", "rename", "sync"]  # the content, the name, and the folder that holds the name


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_whole(tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    for content in ("first", "second"):
        with files.new_folder(tmp_path / "m", anything) as beside:
            (beside / content).write_text(content)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_an_unfinished_folder_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "old").touch()
    with pytest.raises(KeyboardInterrupt), files.new_folder(tmp_path / "m", anything) as beside:
        (beside / "new").touch()
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["m", "old"]


def test_a_folder_or_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "letter.txt").touch()
    with pytest.raises(UsageError, match=r"holds 'letter\.txt', which writing here would delete"):
        with files.new_folder(tmp_path / "m", lambda name: name == "config.json"):
            pass
    (tmp_path / "f").touch()
    with pytest.raises(UsageError, match="is a file, and a folder is to be written there"):
        with files.new_folder(tmp_path / "f", anything):
            pass


def test_json_comes_back(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"é": [1, None]})
    assert files.read_json_object(tmp_path / "x.json") == {"é": [1, None]}
    assert "é" in (tmp_path / "x.json").read_text("utf-8")


@pytest.mark.parametrize(("content", "message"), [
    (b"{", "not valid JSON"), (b"[1]", "holds a JSON list"), (b"\xff{}", "not UTF-8 text .byte 0."),
    (b'{"a": {"b": 1, "b": 2}}', "the key 'b' is given twice"), (b'{"a":' * 100_000, "not valid JSON"),
    (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
])
def test_json_that_is_none_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DamagedError, match=message):
        files.read_json_object(tmp_path / "x.json")


def test_a_file_larger_than_its_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"a": "b" * 100}))
    with pytest.raises(DamagedError, match="has 109 bytes, more than the 50"):
        files.read_json_object(tmp_path / "x.json", 50)
    with pytest.raises(NotFoundError, match="is not there"):
        files.read_text(tmp_path / "none")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a\\b", "C:a", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    files.check_plain_names(["a.safetensors"], "index")
    with pytest.raises(DamagedError, match="only plain names in the same folder"):
        files.check_plain_names(["a.safetensors", name], "index")
