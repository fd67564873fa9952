"""Any documents: packed, each says what it said, its answers are its answers, and any cutting gives the same files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm.data.corpus.schema import content_id, doc_id, documents
from petitlm.data.tokens.encoder import Encoder, load_encoder
from petitlm.data.tokens.pack import pack
from petitlm.data.tokens.reader import TokenFiles
from petitlm.tokenizer import Tokenizer

OWN = Path(__file__).resolve().parents[2] / "src" / "petitlm" / "models" / "default"
PIECES = st.lists(st.text(max_size=12) | st.sampled_from([" 42", "\n\nUser:", "l'été ", "日本", "<|endoftext|>", "  "]),
                  max_size=7)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(OWN)


@pytest.fixture(scope="module")
def read() -> Tokenizer:
    return Tokenizer.load(OWN)


def row(pieces: list[str], number: int) -> dict[str, object]:
    """A document of these pieces, every second of them an answer."""
    text, edges = "".join(pieces), [0]
    for piece in pieces:
        edges.append(edges[-1] + len(piece.encode()))
    answers = [{"start": a, "end": b} for a, b in list(zip(edges, edges[1:], strict=False))[1::2]]
    return {"doc_id": doc_id(content_id(text), "any", str(number)), "text": text, "answers": answers}


@settings(max_examples=25)  # each writes some twenty files twice
@given(st.lists(PIECES, max_size=6), st.integers(0, 6), st.integers(0, 1 << 63), st.sampled_from([40, 10_000]))
def test_what_is_packed_can_be_read(encoder, read, made, cut, seed, shard_tokens):
    table = documents([row(pieces, i) for i, pieces in enumerate(made)])
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        pack([table], OWN, encoder, Path(folder), seed, shard_tokens)
        pack([table.slice(cut), table.slice(0, cut)], OWN, encoder, Path(other), seed, shard_tokens)
        names = sorted(path.name for path in Path(folder).iterdir())
        assert names == sorted(path.name for path in Path(other).iterdir())
        assert all(Path(folder, name).read_bytes() == Path(other, name).read_bytes() for name in names)
        files, spans = TokenFiles(folder), pq.read_table(Path(folder, "spans.parquet")).to_pylist()
        truth = {source["doc_id"]: source for source in table.to_pylist()}
        assert sorted(span["doc_id"] for span in spans) == sorted(truth)
        for number, span in enumerate(spans):
            ids, source = files.document(number).tolist(), truth[span["doc_id"]]
            assert read.decode(ids[:-1]) == source["text"]
            ranges = list(zip(span["answers"][::2], span["answers"][1::2], strict=True))
            raw = source["text"].encode()
            said = [raw[answer["start"] : answer["end"]].decode() for answer in source["answers"]]
            assert [read.decode(ids[a : min(b, len(ids) - 1)]) for a, b in ranges] == said
            assert span["loss_from"] == (span["answers"][0] if ranges else 0)
