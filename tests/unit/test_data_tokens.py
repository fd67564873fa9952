"""Token files: the same bytes however the work is cut, every token's document, answers in tokens."""

from __future__ import annotations

import filecmp
import json
import pickle
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from petitlm.data import Mixture, encode_records, make_records
from petitlm.data.corpus.generate import row_of
from petitlm.data.corpus.schema import DOCUMENTS, SPANS, content_id, doc_id, documents
from petitlm.data.tokens.coding import encode_documents
from petitlm.data.tokens.encoder import LibraryEncoder, load_encoder
from petitlm.data.tokens.layout import map_file, read_index, write_index
from petitlm.data.tokens.pack import (
    encode_part,
    join_spans,
    n_copies,
    order_keys,
    pack,
    shards_for,
    spans_name,
    write_shard,
)
from petitlm.data.tokens.reader import TokenFiles
from petitlm.data.tokens.search import Search, write_suffixes
from petitlm.errors import DamagedError, NotFoundError, PetitError, UsageError
from petitlm.tokenizer import Tokenizer

TEXTS = ["", "Hello, world!", "Né à Noël, l'été 1984.", "3 + 4 = 7", "a\n\n  b\t\u00a0c", "日本語 🤖 مرحبا",
         "the end is <|endoftext|> not here", "x" * 3000, *[f"Document {i} says {i * 7}." for i in range(90)]]


def table(texts: list[str], answers: dict[int, list[tuple[int, int]]] | None = None,
          weights: dict[int, float] | None = None) -> pa.Table:
    return documents([
        {"doc_id": doc_id(content_id(text), "test", str(i)), "content_id": content_id(text), "text": text,
         "answers": [{"start": a, "end": b} for a, b in (answers or {}).get(i, [])],
         "weight": (weights or {}).get(i)} for i, text in enumerate(texts)])


@pytest.fixture(scope="module")
def tokenizer(root: Path) -> Path:
    return root / "src" / "petitlm" / "models" / "default"


@pytest.fixture(scope="module")
def encoder(tokenizer: Path) -> LibraryEncoder:
    return LibraryEncoder(tokenizer)


@pytest.fixture(scope="module")
def packed(tokenizer: Path, encoder: LibraryEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    pack([table(TEXTS)], tokenizer, encoder, folder, seed=1, shard_tokens=700)
    return folder


def same(a: Path, b: Path) -> bool:
    names = sorted(path.name for path in a.iterdir())
    assert names == sorted(path.name for path in b.iterdir())
    return not any(filecmp.cmpfiles(a, b, names, shallow=False)[1:])


def test_however_documents_are_cut_and_ordered_the_files_are_the_same(packed, tokenizer, encoder, tmp_path):
    rows = table(TEXTS)
    backwards = rows.take(list(range(len(rows)))[::-1])
    pack([backwards.slice(i, 7) for i in range(0, len(rows), 7)], tokenizer, encoder, tmp_path, 1, 700)
    assert same(packed, tmp_path)
    other = tmp_path / "other"
    pack([rows], tokenizer, encoder, other, seed=2, shard_tokens=700)
    assert TokenFiles(other).n_tokens == TokenFiles(packed).n_tokens
    assert TokenFiles(other).doc_id(0) != TokenFiles(packed).doc_id(0), "another seed, another order"


def test_shards_made_one_by_one_by_anybody_are_those_of_pack(packed, encoder, tokenizer, tmp_path):
    rows, parts, total = table(TEXTS), [], 0
    for i, (a, b) in enumerate([(0, 1), (1, 50), (50, 50), (50, 98)]):
        parts.append(tmp_path / f"part{i}")
        parts[-1].mkdir()
        total += encode_part(rows.slice(a, b - a), pickle.loads(pickle.dumps(encoder)), parts[-1], 1)[1]["packed"]
    n = shards_for(total, 700)
    out = tmp_path / "out"
    out.mkdir()
    for shard in reversed(range(n)):
        write_shard(parts, shard, n, encoder.n_ids, out)
    join_spans([out / spans_name(i) for i in range(n)], out)
    for i in range(n):
        (out / spans_name(i)).unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (out / name).write_bytes((tokenizer / name).read_bytes())
    assert n > 3
    assert same(packed, out)


def test_each_document_is_there_once_and_says_what_it_said(packed, tokenizer):
    files, read = TokenFiles(packed), Tokenizer.load(tokenizer)
    texts = {row["doc_id"]: row["text"] for row in table(TEXTS).to_pylist()}
    assert files.n_documents == len(texts)
    for number in range(files.n_documents):
        ids = files.document(number)
        assert ids[-1] == read.eos_id
        assert read.eos_id not in ids[:-1], "a text cannot end itself"
        assert read.decode(ids[:-1].tolist()) == texts.pop(files.doc_id(number))
    assert not texts


def test_every_token_knows_its_document(packed):
    files = TokenFiles(packed)
    everything = files.tokens(0, files.n_tokens)
    assert len(files.shards) > 3
    place, number = 0, -1
    for position in range(files.n_tokens):
        found = files.locate(position)
        if position == place:
            number, place = number + 1, found.end
        assert (found.document, found.doc_id) == (number, files.doc_id(number))
        assert found.start <= position < found.end == place
    assert np.array_equal(np.concatenate([files.document(i) for i in range(files.n_documents)]), everything)
    assert np.array_equal(files.tokens(650, 800), everything[650:800]), "across two shards"


def test_spans_are_sorted_and_without_gaps(packed):
    spans = pq.read_table(packed / "spans.parquet")
    assert spans.schema.equals(SPANS)
    files = TokenFiles(packed)
    for shard, ids in enumerate(files.shards):
        rows = [row for row in spans.to_pylist() if row["shard"] == shard]
        edges = [0, *(row["end"] for row in rows)]
        assert [row["start"] for row in rows] == edges[:-1]
        assert edges[-1] == len(ids)
    assert spans.column("shard").to_pylist() == sorted(spans.column("shard").to_pylist())


def test_answers_are_where_the_training_loop_puts_them(tokenizer):
    """The same records by `encode_records`: equal ids, and its loss weights are 1 in the ranges given here."""
    made = make_records(Mixture(n_train=200, n_heldout=0, seed=3, chat_share=0.4)).records
    rows = pa.Table.from_pylist([row_of(record, record.level, 0.4, b"\0" * 16) for record in made], DOCUMENTS)
    coded = encode_documents(rows, LibraryEncoder(tokenizer))
    truth = encode_records(made, Tokenizer.load(tokenizer))
    assert np.array_equal(coded.ids, truth.ids)
    assert np.array_equal(coded.offsets, truth.offsets)
    assert coded.n_tokens.tolist() == np.diff(truth.offsets).tolist()
    assert any(len(answers) > 2 for answers in coded.answers.to_pylist()), "conversations of several turns"
    for i, answers in enumerate(coded.answers.to_pylist()):
        weights = np.zeros(coded.n_tokens[i])
        for begin, end in zip(answers[::2], answers[1::2], strict=True):
            weights[begin:end] = 1
        assert weights.tolist() == truth.record(i)[1].tolist()
        assert coded.loss_from[i] == np.argmax(weights)


def test_no_token_lies_across_the_border_of_an_answer(encoder, tokenizer):
    coded = encode_documents(table(["the weather", "the weather"], {0: [(6, 8)]}), encoder)
    read = Tokenizer.load(tokenizer)
    first = coded.ids[: coded.offsets[1]].tolist()
    begin, end = coded.answers.to_pylist()[0]
    assert [read.decode(part) for part in (first[:begin], first[begin:end], first[end:-1])] == ["the we", "at", "her"]
    assert coded.answers.to_pylist()[1] == []
    assert coded.loss_from.tolist() == [begin, 0]


def test_an_empty_answer_at_the_end_is_the_end_token_alone(encoder):
    coded = encode_documents(table(["abc"], {0: [(3, 3)]}), encoder)
    n = int(coded.n_tokens[0])
    assert coded.answers.to_pylist() == [[n - 1, n]]


@pytest.mark.parametrize("answers", [[(0, 9)], [(-1, 2)], [(4, 2)], [(3, 4), (1, 2)], [(0, 2)]])
def test_answers_outside_the_text_or_inside_a_character_are_refused(encoder, answers):
    rows = table(["fine", "hé là"], {1: answers})
    with pytest.raises(UsageError, match=rows.column("doc_id")[1].as_py().hex()):
        encode_documents(rows, encoder)


def test_slices_and_chunks_of_a_table_make_no_difference(encoder):
    rows = table(TEXTS, {1: [(0, 5)], 12: [(9, 10)]})
    whole = encode_documents(rows, encoder)
    chunked = encode_documents(pa.concat_tables([rows.slice(0, 2), rows.slice(2, 0), rows.slice(2)]), encoder)
    assert np.array_equal(whole.ids, chunked.ids)
    assert whole.answers.to_pylist() == chunked.answers.to_pylist()
    part = encode_documents(rows.slice(1, 20), encoder)
    assert np.array_equal(part.ids, whole.ids[whole.offsets[1] : whole.offsets[21]])
    assert part.answers.to_pylist() == whole.answers.to_pylist()[1:21]


def test_weights_write_documents_more_or_less_often(tokenizer, encoder, tmp_path):
    rows = table(TEXTS, weights={0: 0.0, 1: 3.0})
    counts = pack([rows], tokenizer, encoder, tmp_path)
    files = TokenFiles(tmp_path)
    found = [files.doc_id(i) for i in range(files.n_documents)]
    ids = rows.column("doc_id").to_pylist()
    assert [found.count(ids[i]) for i in range(3)] == [0, 3, 1]
    assert counts == {"shards": 1, "documents": len(TEXTS) + 1, "tokens": files.n_tokens}
    with pytest.raises(UsageError, match="weight"):
        pack([table(TEXTS, weights={4: -1.0})], tokenizer, encoder, tmp_path)


def test_fractions_of_a_copy_come_out_right_on_average():
    ids = [content_id(str(i)) for i in range(20_000)]
    times = n_copies(ids, np.full(len(ids), 1.3), 0)
    assert set(times.tolist()) == {1, 2}
    assert abs(times.mean() - 1.3) < 4 * (0.21 / len(ids)) ** 0.5, "four standard errors of a binomial share"


def test_keys_are_even_and_differ_between_copies_and_seeds():
    ids = [i.to_bytes(16, "big") for i in range(20_000)]  # nothing like a hash
    keys = order_keys(ids, np.zeros(len(ids), np.int64), 0)
    assert len(set(keys.tolist())) == len(ids)
    counts = np.bincount((keys >> np.uint64(60)).astype(int), minlength=16)
    assert ((counts - 1250) ** 2 / 1250).sum() < 44, "chi-squared, 15 degrees of freedom: one in ten thousand"
    assert not set(keys.tolist()) & set(order_keys(ids, np.ones(len(ids), np.int64), 0).tolist())
    assert not set(keys.tolist()) & set(order_keys(ids, np.zeros(len(ids), np.int64), 1).tolist())
    assert order_keys([bytes(range(16))], np.array([2]), 5).tolist() == [3165084581471006805], "golden: never changes"


def test_nothing_to_pack_gives_one_empty_shard(tokenizer, encoder, tmp_path):
    assert pack([], tokenizer, encoder, tmp_path) == {"shards": 1, "documents": 0, "tokens": 0}
    files = TokenFiles(tmp_path)
    assert (files.n_tokens, files.n_documents, len(files.tokens(0, 0))) == (0, 0, 0)
    with pytest.raises(UsageError, match="token 0"):
        files.locate(0)


def test_more_shards_than_documents_leaves_some_empty(tokenizer, encoder, tmp_path):
    pack([table(["x" * 500, "y" * 400])], tokenizer, encoder, tmp_path, shard_tokens=50)
    files = TokenFiles(tmp_path)
    assert len(files.shards) > 2
    assert {files.locate(i).document for i in range(files.n_tokens)} == {0, 1}
    assert sorted(len(files.document(i)) for i in range(2)) == sorted(files.bounds(i)[1] - files.bounds(i)[0]
                                                                      for i in range(2))


def test_large_vocabularies_take_four_bytes(tmp_path):
    write_index(tmp_path / "a.idx", np.array([2, 1], np.int32), np.dtype("<i4"))
    (tmp_path / "a.bin").write_bytes(np.array([70_000, 1, 2], "<i4").tobytes())
    index = read_index(tmp_path / "a.idx")
    assert map_file(tmp_path / "a.bin", index.dtype).tolist() == [70_000, 1, 2]
    assert index.places.tolist() == [0, 8]


def damage(folder: Path, name: str, change: object) -> None:
    path = folder / name
    raw = bytearray(path.read_bytes())
    path.write_bytes(bytes(change(raw)))  # type: ignore[operator]


@pytest.mark.parametrize(("name", "change", "says"), [
    ("shard-00001.bin", lambda raw: raw[:-2], "beyond"),
    ("shard-00001.bin", lambda raw: raw + b"\0\0", "tokens"),
    ("shard-00001.idx", lambda raw: raw[:-8], "bytes"),
    ("shard-00001.idx", lambda raw: b"X" + raw[1:], "no token index"),
    ("shard-00001.idx", lambda raw: raw[:17] + b"\x07" + raw[18:], "type 7"),
    ("shard-00001.idx", lambda raw: raw[:20], "too few"),
])
def test_damage_is_named(packed, tmp_path, name, change, says):
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path, name, change)
    with pytest.raises(DamagedError, match=says):
        TokenFiles(tmp_path)


def test_missing_files_are_named(packed, tmp_path):
    with pytest.raises(NotFoundError, match="no token files"):
        TokenFiles(tmp_path)
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    last = sorted(tmp_path.glob("shard-*.bin"))[-1]
    last.unlink()
    with pytest.raises(DamagedError, match="spans"):
        TokenFiles(tmp_path).doc_id(0)
    (tmp_path / "spans.parquet").unlink()
    with pytest.raises(NotFoundError, match="spans"):
        TokenFiles(tmp_path).doc_id(0)


def test_a_tokenizer_without_an_end_token_cannot_pack(tokenizer, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((tokenizer / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|endoftext|>"}))
    with pytest.raises(UsageError, match="eos_token"):
        load_encoder(tmp_path)
    with pytest.raises(NotFoundError):
        load_encoder(tmp_path / "nowhere")


def test_changed_bytes_are_read_or_refused(packed, tmp_path):
    """Whatever became of the files, each document is read or a sentence says what is wrong."""
    rng, results = random.Random(0), Counter()
    index = tmp_path / "index"
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_suffixes(TokenFiles(tmp_path), index)
    names = [tmp_path / "shard-00001.bin", tmp_path / "shard-00001.idx", index / "shard-00001.sa"]
    whole = {path: path.read_bytes() for path in names}
    for _ in range(400):
        path = rng.choice(names)
        raw = bytearray(whole[path])
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(min(len(raw), 90) if rng.random() < 0.7 else len(raw))
            raw[at] = rng.choice([0, 1, 127, 128, 255, raw[at] ^ 1 << rng.randrange(8)])
        path.write_bytes(raw[: rng.randrange(len(raw))] if rng.random() < 0.2 else raw)
        try:
            files = TokenFiles(tmp_path)
            for number in range(files.n_documents):
                assert len(files.document(number)) == files.bounds(number)[1] - files.bounds(number)[0]
            assert files.locate(files.n_tokens - 1).end == files.n_tokens
            Search(files, index).longest_matches(files.tokens(0, 30).tolist())
            results["read"] += 1
        except PetitError as error:
            results[str(error)[:200]] += 1
        path.write_bytes(whole[path])
    assert results["read"] > 50
    assert len(results) > 12


def test_spans_that_are_no_parquet_are_damage(packed, tmp_path):
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path, "spans.parquet", lambda raw: raw[:-9])
    with pytest.raises(DamagedError, match="Parquet"):
        TokenFiles(tmp_path).locate(3)
