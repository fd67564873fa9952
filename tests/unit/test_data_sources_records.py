"""Readers of records and plain files: exact places, nothing lost, nothing that stops them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from petitlm.data.sources import REASONS, Bad, Raw, Reading, format_of, read
from petitlm.data.sources.passages import passages
from petitlm.errors import ConfigError, NotFoundError, UsageError

LINES = [
    b'{"text": "first", "id": "a", "lang": "fr"}',
    b"",
    b'{"text": "se\\u00e9cond"}\r',
    b"{broken",
    b'["a", "list"]',
    b'{"no": "text"}',
    b'{"text": 12}',
    b'{"text": null}',
    b'{"text": ["a"]}',
    b'{"text": "   \\n"}',
    b'{"text": "half \\ud800 letter"}',
    b'{"text": "bytes \xff\xfe"}',
    b'{"text": "' + b"x" * 400 + b'"}',
    b"[" * 100_000,
    b'{"text": "same id", "id": "a", "n": 123456789012345678901234567890}',
    b'{"text": "nul \\u0000 inside", "lang": "no language at all"}',
    b'{"text": ' + b"1" * 5000 + b"}",
    b'{"text": "last, without a newline"}',
]
WANTED = [
    "a", None, "3", "not-json", "not-object", "no-text-field", "not-text", "not-text", "not-text", "empty",
    "lone-surrogate", "not-utf8", "too-long", "too-long", "a", "16", "too-long", "18",
]  # fmt: skip


def found(path: Path, **options: object) -> list[Raw | Bad]:
    made = list(read(path, Reading(**options)))  # type: ignore[arg-type]
    assert all(one.reason in REASONS for one in made if isinstance(one, Bad))
    return made


def test_each_line_is_a_text_or_a_refusal_with_its_exact_place(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    data = b"\xef\xbb\xbf" + b"\n".join(LINES)
    path.write_bytes(data)
    made = found(path, id_field="id", language_field="lang", max_document_bytes=300)
    assert [one.key if isinstance(one, Raw) else one.reason for one in made] == [one for one in WANTED if one]
    assert [data[one.byte_start : one.byte_end] for one in made] == [line for line in LINES if line]
    assert [one.language for one in made if isinstance(one, Raw)] == ["fr", None, None, None, None]


def test_two_deep_and_two_long_lines_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_bytes(b"[" * 100_000 + b"\n" + b'{"text": ' + b"1" * 5000 + b"}")
    reasons = [(one.reason, one.detail[:17]) for one in found(path) if isinstance(one, Bad)]
    assert reasons == [("not-json", "nested too deeply"), ("not-json", "Exceeds the limit")]


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz", ""])
def test_packed_files_give_the_same_as_plain_ones(tmp_path: Path, suffix: str) -> None:
    data = b"".join(json.dumps({"text": f"line {i} é"}).encode() + b"\n" for i in range(2000))
    packed = {
        ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, "": bytes,
        ".zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
    }[suffix](data)  # fmt: skip
    path = tmp_path / f"some.jsonl{suffix}"
    path.write_bytes(packed)
    made = found(path)
    assert [one.text for one in made if isinstance(one, Raw)] == [f"line {i} é" for i in range(2000)]
    assert json.loads(data[made[7].byte_start : made[7].byte_end])["text"] == "line 7 é"


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz"])
def test_a_file_cut_short_gives_what_came_before_and_one_refusal(tmp_path: Path, suffix: str) -> None:
    import random

    rng = random.Random(3)
    data = b"".join(json.dumps({"text": f"{rng.random()}"}).encode() + b"\n" for _ in range(60_000))
    packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lambda data: lzma.compress(data, preset=0)}.get(
        suffix, lambda data: pa.Codec("zstd").compress(data, asbytes=True)
    )(data)
    path = tmp_path / f"cut.jsonl{suffix}"
    path.write_bytes(packed[: len(packed) * 9 // 10])
    *good, last = found(path)
    assert isinstance(last, Bad)
    assert (last.key, last.reason) == ("rest", "damaged")
    assert len(good) > 1000
    assert all(isinstance(one, Raw) for one in good)
    assert last.byte_start == good[-1].byte_end


def test_an_archive_bomb_is_left_early(tmp_path: Path) -> None:
    path = tmp_path / "bomb.txt.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(b"\0" * (1 << 20))
    (only,) = found(path, max_document_bytes=1 << 30, max_expansion=100)
    assert isinstance(only, Bad)
    assert only.reason == "archive-bomb"
    assert only.byte_end == 65 << 20  # one block past the floor of 64 MiB


def test_a_line_of_100_mb_costs_no_memory_and_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with open(path, "wb") as file:
        file.write(b'{"text": "before"}\n{"text": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"text": "after"}\n')
    tracemalloc.start()
    made = found(path, max_document_bytes=4 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.text if isinstance(one, Raw) else one.reason for one in made] == ["before", "too-long", "after"]
    assert made[1].byte_end - made[1].byte_start == (100 << 20) + 12  # type: ignore[operator]
    assert peak < 12 << 20


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.md", "a.html", "a.tei", "a.cnxml", "a.po"])
@pytest.mark.parametrize("data", [b"", b" \n\n\t"])
def test_a_file_of_nothing_is_one_refusal(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (only,) = found(tmp_path / name)
    assert isinstance(only, Bad)
    assert only.reason in ("empty", "not-xml")


def test_plain_text_is_whole_or_passages_with_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "novel.txt"
    paragraphs = [f"Paragraphe {i} : l'été, « enfin ».\nDeuxième ligne." for i in range(50)]
    data = "\ufeff".encode() + "\n\n\n".join(paragraphs).encode()
    path.write_bytes(data)
    (whole,) = found(path)
    assert isinstance(whole, Raw)
    assert whole.text.encode() == data[3:]
    parts = [one for one in found(path, passage_chars=300) if isinstance(one, Raw)]
    assert len(parts) > 5
    assert all(data[one.byte_start : one.byte_end].decode() == one.text for one in parts)
    assert "\n\n\n".join(paragraphs).split() == " ".join(one.text for one in parts).split()
    assert max(len(one.text) for one in parts) < 600


def test_a_bad_or_endless_line_of_a_text_is_refused_alone(tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    data = b"good one\n\n" + b"\xff\xfe" * 20 + b"\n\nmore text\n" + b"y" * 5000 + b"\n\nend"
    path.write_bytes(data)
    made = found(path, passage_chars=5, max_document_bytes=1000)
    kinds = [one.text if isinstance(one, Raw) else one.reason for one in made]
    assert kinds == ["good one", "not-utf8", "more text", "too-long", "end"]
    places = [data[one.byte_start : one.byte_end][:4] for one in made]
    assert places == [b"good", b"\xff\xfe" * 2, b"more", b"yyyy", b"end"]
    (whole,) = found(path)
    assert isinstance(whole, Bad)
    assert whole.reason == "not-utf8"


def test_utf_16_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("du texte".encode("utf-16"))
    (only,) = found(tmp_path / "a.txt")
    assert isinstance(only, Bad)
    assert "UTF-16" in only.detail


def test_parquet_rows_are_read_whatever_their_types(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({
        "text": pa.array([b"one", b"tw\xff", None, b" ", b"z" * 99, b"five"], pa.binary()),
        "lang": pa.array(["fr", "FR_ca", None, "en", "en", ""]).dictionary_encode(),
        "n": pa.array([1, 2, 3, 4, 5, 6]),
    })  # fmt: skip
    pq.write_table(table, path, row_group_size=2)
    made = found(path, language_field="lang", meta_fields=("n",), max_document_bytes=50)
    assert [one.text if isinstance(one, Raw) else one.reason for one in made] == [
        "one", "not-utf8", "not-text", "empty", "too-long", "five"]  # fmt: skip
    assert [one.key for one in made] == list("123456")
    assert isinstance(made[0], Raw)
    assert (made[0].language, made[0].meta, made[0].byte_start) == ("fr", {"n": 1}, None)


def test_shards_whose_columns_drift_are_refused_row_by_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.nulls(3)}), tmp_path / "null.parquet")
    pq.write_table(pa.table({"texte": ["a", "b"]}), tmp_path / "other.parquet")
    assert Counter(one.reason for one in found(tmp_path / "null.parquet")) == {"not-text": 3}  # type: ignore[union-attr]
    assert Counter(one.reason for one in found(tmp_path / "other.parquet")) == {"no-text-field": 2}  # type: ignore[union-attr]
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "other.parquet").read_bytes()[:-20])
    (only,) = found(tmp_path / "cut.parquet")
    assert isinstance(only, Bad)
    assert only.reason == "damaged"


def test_a_parquet_bomb_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    table = pa.table({"text": ["a" * (66 << 20)]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    (only,) = found(path)
    assert isinstance(only, Bad)
    assert only.reason == "archive-bomb"


def test_pairs_come_from_two_fields(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"en": "Yes", "fr": "Oui"}\n{"en": "No"}\n{"en": "Maybe", "fr": " "}\n')
    first, *bad = found(path, pair_fields=("en", "fr"))
    assert isinstance(first, Raw)
    assert first.pair is not None
    assert (first.text, first.pair.source, first.pair.target, first.language) == ("Yes\nOui", "Yes", "Oui", "fr")
    assert [one.reason for one in bad if isinstance(one, Bad)] == ["no-text-field", "empty"]


def test_long_records_are_cut_into_passages_that_lose_nothing(tmp_path: Path) -> None:
    text = "\n\n".join(f"Phrase {i}. " * (i % 7 + 1) for i in range(80))
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": text}))
    parts = [one for one in found(path, passage_chars=400) if isinstance(one, Raw)]
    assert " ".join(one.text for one in parts).split() == text.split()
    assert [one.key for one in parts[:2]] == ["1#1", "1#2"]
    assert all(len(one.text) <= 400 for one in parts)
    assert min(len(one.text) for one in parts) > 150


def test_a_word_without_end_is_cut_all_the_same() -> None:
    assert [len(part) for part in passages("a" * 25, 10)] == [10, 10, 5]


def test_what_the_user_got_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not there"):
        list(read(tmp_path / "nothing.jsonl"))
    with pytest.raises(UsageError, match="no suffix"):
        format_of("file")
    with pytest.raises(UsageError, match="no known format"):
        format_of("file.doc.gz")
    with pytest.raises(ConfigError, match="not known"):
        Reading(format="docx")
    with pytest.raises(ConfigError, match="never cut"):
        Reading(pair_fields=("en", "fr"), passage_chars=100)
    assert format_of("file.weird", "tei") == "tei"


def test_the_real_sets_are_read_whole(shared: Path) -> None:
    wanted = {"python_peps": 164, "us_speeches": 120, "python_docs_en_fr_pairs": 5729, "tiny_shakespeare": 1}
    for name, n in wanted.items():
        pairs = ("en", "fr") if "pairs" in name else None
        made = found(shared / "data/text" / f"{name}.jsonl.gz", licence_field="licence", pair_fields=pairs)
        assert len(made) == n
        assert all(isinstance(one, Raw) and one.licence for one in made)
