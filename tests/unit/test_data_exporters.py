"""Megatron's pairs, read back by a reader of our own making here, and JSON Lines."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_corpus import make_corpus

from petitlm.cli import invoke
from petitlm.data.corpus.schema import SPANS, content_id, documents
from petitlm.data.tokens.encoder import load_encoder
from petitlm.data.tokens.exporters import from_megatron, to_jsonl, to_megatron
from petitlm.data.tokens.layout import read_index, write_index
from petitlm.data.tokens.pack import pack
from petitlm.data.tokens.reader import TokenFiles
from petitlm.errors import DamagedError, NotFoundError, UsageError


@pytest.fixture(scope="module")
def own(root: Path) -> Path:
    return root / "src" / "petitlm" / "models" / "default"


@pytest.fixture(scope="module")
def files(own: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    folder = tmp_path_factory.mktemp("tokens")
    texts = [f"Text {i}, l'été {i * i}." for i in range(60)]
    pack([documents([{"doc_id": content_id(text), "text": text} for text in texts])], own, load_encoder(own), folder,
         seed=9, shard_tokens=200)
    return TokenFiles(folder)


def read_as_megatron_does(prefix: Path) -> list[list[int]]:
    """Documents of a pair, by the steps of Megatron-LM's reader of version 1: header, then arrays one by one."""
    kinds = {1: "B", 2: "b", 3: "h", 4: "i", 5: "q", 8: "H"}
    with open(f"{prefix}.idx", "rb") as file:
        assert file.read(9) == b"MMIDIDX\x00\x00"
        (version,), (code,) = struct.unpack("<Q", file.read(8)), struct.unpack("<B", file.read(1))
        n, d = struct.unpack("<QQ", file.read(16))
        lengths = struct.unpack(f"<{n}i", file.read(4 * n))
        places = struct.unpack(f"<{n}q", file.read(8 * n))
        edges = struct.unpack(f"<{d}q", file.read(8 * d))
        assert (version, file.read()) == (1, b"")
    raw = Path(f"{prefix}.bin").read_bytes()
    size = struct.calcsize(kinds[code])
    sequences = [list(struct.unpack_from(f"<{length}{kinds[code]}", raw, place))
                 for length, place in zip(lengths, places, strict=True)]
    assert sum(lengths) * size == len(raw)
    return [[id for sequence in sequences[a:b] for id in sequence] for a, b in zip(edges, edges[1:], strict=False)]


def test_all_shards_become_one_pair(files, tmp_path):
    assert len(files.shards) > 2
    assert to_megatron(files, tmp_path / "out.v1") == {"documents": 60, "tokens": files.n_tokens}
    found = read_as_megatron_does(tmp_path / "out.v1")
    assert found == [files.document(i).tolist() for i in range(60)]
    spans = pq.read_table(tmp_path / "out.v1.spans.parquet")
    assert spans.schema.equals(SPANS)
    rows = spans.to_pylist()
    assert [(row["shard"], row["start"], row["end"]) for row in rows] == [(0, *files.bounds(i)) for i in range(60)]
    assert [row["doc_id"] for row in rows] == [files.doc_id(i) for i in range(60)]


def test_each_of_our_shards_is_a_pair_as_it_is(files):
    found = [document for shard in range(len(files.shards))
             for document in read_as_megatron_does(files.folder / f"shard-{shard:05d}")]
    assert found == [files.document(i).tolist() for i in range(60)]


def test_what_was_exported_comes_back(files, own, tmp_path):
    to_megatron(files, tmp_path / "out")
    counts = from_megatron(tmp_path / "out", own, tmp_path / "in", "elsewhere", shard_tokens=300)
    back = TokenFiles(tmp_path / "in")
    assert counts == {"shards": len(back.shards), "documents": 60, "tokens": files.n_tokens, "ended": 0}
    assert len(back.shards) > 1
    assert np.array_equal(back.tokens(0, back.n_tokens), files.tokens(0, files.n_tokens))
    assert len({back.doc_id(i) for i in range(60)}) == 60
    assert back.locate(back.n_tokens - 1).document == 59


@pytest.mark.parametrize("kind", ["<u1", "<i2", "<i4", "<i8", "<u2"])
def test_pairs_of_any_type_whose_documents_have_several_sequences(own, tmp_path, kind):
    """Made by hand: sequences of 2, 0, 3 and 1 ids in three documents, one of them empty, out of order in the .bin."""
    ids = np.array([7, 8, 9, 5, 6, 0], kind)
    (tmp_path / "a.bin").write_bytes(ids.tobytes())
    size = ids.itemsize
    code = {"<u1": 1, "<i2": 3, "<i4": 4, "<i8": 5, "<u2": 8}[kind]
    (tmp_path / "a.idx").write_bytes(struct.pack("<9sQBQQ4i4q4q", b"MMIDIDX\0\0", 1, code, 4, 4, 2, 0, 3, 1,
                                                 3 * size, 0, 0, 5 * size, 0, 2, 2, 4))
    counts = from_megatron(tmp_path / "a", own, tmp_path / "in", "hand")
    back = TokenFiles(tmp_path / "in")
    assert [back.document(i).tolist() for i in range(3)] == [[5, 6, 0], [0], [7, 8, 9, 0]]
    assert counts == {"shards": 1, "documents": 3, "tokens": 8, "ended": 2}


def test_ids_that_the_tokenizer_does_not_have_are_refused(own, tmp_path):
    for bad in (60_000, -1):
        (tmp_path / "a.bin").write_bytes(np.array([1, bad], "<i4").tobytes())
        write_index(tmp_path / "a.idx", np.array([2], np.int32), np.dtype("<i4"))
        with pytest.raises(UsageError, match=f"the id {bad}"):
            from_megatron(tmp_path / "a", own, tmp_path / "in", "hand")


def test_a_pair_with_modes_or_without_a_bin_is_refused(own, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\1\0")
    write_index(tmp_path / "a.idx", np.array([1], np.int32), np.dtype("<u2"))
    raw = (tmp_path / "a.idx").read_bytes()
    (tmp_path / "a.idx").write_bytes(raw + b"\0")
    with pytest.raises(DamagedError, match="multimodal"):
        from_megatron(tmp_path / "a", own, tmp_path / "in", "hand")
    (tmp_path / "a.idx").write_bytes(raw[:-16] + struct.pack("<2q", 1, 1))
    with pytest.raises(DamagedError, match="do not cover"):
        read_index(tmp_path / "a.idx")
    (tmp_path / "a.bin").unlink()
    with pytest.raises(NotFoundError, match=r"a\.bin"):
        from_megatron(tmp_path / "a", own, tmp_path / "in", "hand")


def test_lines_hold_all_that_is_known(tmp_path):
    rows = [{"doc_id": content_id(text), "text": text, "language": "fr", "split": split, "answers": [
        {"start": 0, "end": 2}]} for text, split in (("été\n\u2028x", "train"), ("fin", "test"))]
    assert to_jsonl([documents(rows)], tmp_path / "a.jsonl.gz") == {"documents": 2}
    assert to_jsonl([documents(rows[:1]), documents(rows[1:])], tmp_path / "b.jsonl", ["train"]) == {"documents": 1}
    with gzip.open(tmp_path / "a.jsonl.gz", "rt", encoding="utf-8", newline="\n") as file:
        lines = [json.loads(line) for line in file]
    assert lines[0] == {"doc_id": content_id("été\n\u2028x").hex(), "text": "été\n\u2028x", "language": "fr",
                        "split": "train", "answers": [{"start": 0, "end": 2}]}
    assert [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().split("\n")[:-1]] == lines[:1]
    kept = (tmp_path / "a.jsonl.gz").read_bytes()
    to_jsonl([documents(rows)], tmp_path / "a.jsonl.gz")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == kept


def test_the_command_writes_either_and_says_what_is_wrong(tmp_path, capsys):
    folder = str(make_corpus(tmp_path / "corpus"))
    n = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert invoke(["data", "export", folder, "--format", "megatron", "--out", str(tmp_path / "m"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == n["n_documents"]
    assert len(read_as_megatron_does(tmp_path / "m")) == n["n_documents"]
    assert invoke(["data", "export", folder, "--format", "jsonl", "--out", str(tmp_path / "t.jsonl")]) == 0
    assert f"{n['n_documents']} documents" in capsys.readouterr().out
    assert len((tmp_path / "t.jsonl").read_text().split("\n")) == n["n_documents"] + 1
    assert invoke(["data", "export", folder, "--format", "jsonl", "--out", str(tmp_path / "t"), "--split", "dev"]) == 2
    assert "train, valid, test" in capsys.readouterr().err
    out = str(tmp_path / "t")
    assert invoke(["data", "export", folder, "--format", "megatron", "--out", out, "--split", "test"]) == 2
    assert invoke(["data", "export", str(tmp_path), "--format", "jsonl", "--out", out]) == 3
