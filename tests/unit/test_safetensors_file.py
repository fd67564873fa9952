"""The safetensors reader and writer, against the reference library and against damaged files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors import safe_open

from petitlm.errors import DamagedError, NotFoundError, ShapeError
from petitlm.safetensors_file import (
    DATA_ALIGNMENT,
    MAX_HEADER_BYTES,
    SafetensorsFile,
    TensorSpec,
    as_float32,
    from_float32,
    write_safetensors,
)

TENSORS = {
    "b.second": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.first": np.array([1.5, -2.0], np.float16),
    "empty": np.zeros((0, 4), np.uint8),
    "codes": np.arange(5, dtype=np.uint8),
    "scalar": np.array(7, np.int64),
}
SPECS = [TensorSpec("b.second", "F32", (2, 3)), TensorSpec("a.first", "F16", (2,)), TensorSpec("empty", "U8", (0, 4)),
         TensorSpec("codes", "U8", (5,)), TensorSpec("scalar", "I64", ())]


def entry(dtype: Any = "U8", shape: Any = (4,), begin: Any = 0, end: Any = 4) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [begin, end]}


def write_raw(path: Path, header: Any, data: bytes = b"\0" * 4, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def test_the_reference_library_reads_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, SPECS, TENSORS.__getitem__, {"format": "pt"})
    read = safetensors.numpy.load_file(path)
    assert read.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        assert read[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], values)
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_we_read_what_the_reference_library_writes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(TENSORS, path, {"made": "elsewhere"})
    file = SafetensorsFile(path)
    assert sorted(file.names) == sorted(TENSORS)
    assert file.metadata == {"made": "elsewhere"}
    for spec in SPECS:
        assert (file.dtype(spec.name), file.shape(spec.name)) == (spec.dtype, spec.shape)
        np.testing.assert_array_equal(file.view(spec.name), TENSORS[spec.name])


def test_data_begins_at_a_page_and_follows_in_the_given_order(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, SPECS, TENSORS.__getitem__)
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    assert start % DATA_ALIGNMENT == 0
    assert content[start:] == b"".join(TENSORS[spec.name].tobytes() for spec in SPECS)


def test_views_share_the_file_and_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, SPECS, TENSORS.__getitem__)
    view = SafetensorsFile(path).view("b.second")
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_writing_asks_for_one_tensor_at_a_time(tmp_path: Path) -> None:
    asked: list[str] = []

    def data(name: str) -> bytes:
        asked.append(name)
        return TENSORS[name].tobytes()

    write_safetensors(tmp_path / "model.safetensors", SPECS, data)
    assert asked == [spec.name for spec in SPECS]


def test_a_failure_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("old")

    def data(name: str) -> np.ndarray:
        if name == "codes":
            raise KeyboardInterrupt
        return TENSORS[name]

    with pytest.raises(KeyboardInterrupt):
        write_safetensors(path, SPECS, data)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_data_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"'x' needs 8 bytes for F32 \(2,\) and was given 12"):
        write_safetensors(tmp_path / "x", [TensorSpec("x", "F32", (2,))], lambda _: np.zeros(3, np.float32))


@pytest.mark.parametrize(("header", "data", "message"), [
    (b"{not json", b"", "not valid JSON"),
    (b"[]", b"", "a JSON list where an object"),
    (b"[" * 100_000, b"", "not valid JSON"),
    (b'{"x": 1, "x": 2}', b"", "the key 'x' is given twice"),
    (b'{"\xff": 1}', b"", "not valid JSON"),
    ({"__metadata__": {"a": 1}}, b"", "must map text to text"),
    ({"x": [1]}, b"", "must have dtype, shape and data_offsets"),
    ({"x": {**entry(), "more": 1}}, b"\0" * 4, "must have dtype, shape and data_offsets"),
    ({"x": entry("F7")}, b"\0" * 4, "unknown dtype 'F7'"),
    ({"x": entry(["F32"])}, b"\0" * 4, "unknown dtype"),
    ({"x": entry(shape=[-1])}, b"\0" * 4, "no list of sizes"),
    ({"x": entry(shape=[True])}, b"\0" * 4, "no list of sizes"),
    ({"x": entry(shape=[1 << 80])}, b"\0" * 4, "no list of sizes"),
    ({"x": entry(begin=4, end=0)}, b"\0" * 4, r"no \[begin, end\]"),
    ({"x": entry(begin=-4, end=0)}, b"\0" * 4, r"no \[begin, end\]"),
    ({"x": entry()}, b"\0" * 3, "ends at byte 4 of the data and the file holds 3; it is truncated"),
    ({"x": entry(shape=(5,))}, b"\0" * 4, r"needs 5 bytes for U8 \[5\] and has 4"),
    ({"x": entry(), "y": entry(begin=2, end=6)}, b"\0" * 6, "'y' overlaps 'x'"),
    ({"x": entry(), "y": entry(begin=6, end=10)}, b"\0" * 10, "'y' leaves a hole of 2 bytes after 'x'"),
    ({"x": entry(begin=1, end=5)}, b"\0" * 5, "leaves a hole of 1 bytes after the header"),
    ({"x": entry()}, b"\0" * 5, "1 bytes after the last tensor belong to none"),
])
def test_a_damaged_file_is_refused_with_one_sentence(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = write_raw(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(DamagedError, match=message) as caught:
        SafetensorsFile(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "bad.safetensors", b"{}", length=1 << 62)
    with pytest.raises(DamagedError, match="the header claims 4,611,686,018,427,387,904 bytes and the file has 14"):
        SafetensorsFile(path)


def test_a_header_larger_than_the_format_allows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER_BYTES + 1))
        file.truncate(MAX_HEADER_BYTES + 100)  # a sparse file: no bytes are stored
    with pytest.raises(DamagedError, match="more than the 100,000,000"):
        SafetensorsFile(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 7])
def test_a_file_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=f"has {len(content)} bytes, too few"):
        SafetensorsFile(path)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not there"):
        SafetensorsFile(tmp_path / "none.safetensors")
    write_safetensors(tmp_path / "x", [], lambda _: b"")
    with pytest.raises(NotFoundError, match="has no tensor 'y'"):
        SafetensorsFile(tmp_path / "x").view("y")


def test_rounding_to_bfloat16_is_torchs() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 20_000, dtype=np.uint32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 3.3895314e38], np.float32)
    values = np.concatenate([bits.view(np.float32), special])
    ours = from_float32(values, "BF16")
    theirs = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(ours[numbers], theirs[numbers])
    assert np.isnan(as_float32(ours, "BF16")[~numbers]).all()
