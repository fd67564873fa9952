"""Tracing a corpus put together by hand: every answer is what reading all rows says."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_corpus import make_corpus

from petitlm.data.provenance.corpus import Corpus, open_corpus
from petitlm.data.provenance.index import index_folder, write_index
from petitlm.data.provenance.trace import Trace
from petitlm.errors import DamagedError, NotFoundError, UsageError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(make_corpus(tmp_path_factory.mktemp("data") / "small"))


@pytest.fixture(scope="module")
def trace(corpus: Corpus) -> Trace:
    return Trace(corpus)


@pytest.fixture(scope="module")
def rows(corpus: Corpus) -> list[dict[str, Any]]:
    return [row for path in corpus.tables("documents") for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def spans(corpus: Corpus) -> list[dict[str, Any]]:
    """Spans with positions counted over all shards, by hand."""
    shards = sorted((corpus.folder / "tokens").glob("*.bin"))
    base = np.cumsum([0, *(path.stat().st_size // 2 for path in shards)])
    spans = pq.read_table(corpus.folder / "tokens/spans.parquet").to_pylist()
    return [{**s, "start": int(base[s["shard"]]) + s["start"], "end": int(base[s["shard"]]) + s["end"]} for s in spans]


def test_tokens_lead_to_their_documents(trace: Trace, rows: list[dict[str, Any]], spans: list[dict[str, Any]]) -> None:
    by_id = {row["doc_id"]: row for row in rows}
    total = spans[-1]["end"]
    assert trace.n_positions == total == sum(row["n_tokens"] for row in rows)
    for start, end in [(0, 1), (0, total), (total - 1, total), *((s["start"], s["end"]) for s in spans),
                       *((s["end"] - 1, s["end"] + 1) for s in spans[:-1])]:
        wanted = [(s["doc_id"], max(start, s["start"]), min(end, s["end"])) for s in spans
                  if s["start"] < end and s["end"] > start]
        answer = trace.tokens(start, end, limit=1000)
        assert [(row["doc_id"], row["from"], row["to"]) for row in answer.documents] == wanted
        assert (answer.n_tokens, answer.n_documents) == (end - start, len(wanted))
        assert sum(group["tokens"] for group in answer.groups) == end - start
        for row in answer.documents:
            document = by_id[row["doc_id"]]
            assert (row["source_id"], row["licence"]) == (document["source_id"], document["licence"])


def test_the_tokens_are_the_document(trace: Trace, corpus: Corpus, rows: list[dict[str, Any]]) -> None:
    """A byte is a token here: the places of each document hold its text, and an end token."""
    ids = np.concatenate([np.fromfile(path, "<u2") for path in sorted((corpus.folder / "tokens").glob("*.bin"))])
    for row in rows:
        found = trace.document(row["doc_id"])
        assert found["document"] == row
        [(start, end)] = found["positions"]
        assert bytes(ids[start : end - 1].astype(np.uint8)).decode() == row["text"]
        assert ids[end - 1] == 256
        assert found["source"]["source_id"] == row["source_id"]
        assert found["activity"]["activity_id"] == row["activity_id"]


@pytest.mark.parametrize(("verb", "asked", "holds"), [
    ("source", "novel", lambda row: row["source_id"] == "novel"),
    ("source", "generator:arithmetic", lambda row: row["source_id"] == "generator:arithmetic"),
    ("licence", "MIT", lambda row: row["licence"] == "MIT"),
    ("licence", "CC0-1.0", lambda row: "CC0-1.0" in row["licence"]),
    ("licence", "PSF-2.0 AND CC0-1.0", lambda row: row["licence"] == "PSF-2.0 AND CC0-1.0"),
    ("teacher", "recorded", lambda row: row["call"] is not None),
    ("teacher", "recorded@r1", lambda row: row["call"] is not None),
    ("generator", "passages", lambda row: row["gen"] is not None and row["gen"]["name"] == "passages"),
])
def test_makers_and_licences_lead_to_their_documents(trace: Trace, rows: list[dict[str, Any]], verb: str, asked: str,
                                                     holds: Any) -> None:
    wanted = [row for row in rows if holds(row)]
    answer = getattr(trace, verb)(asked, limit=1000)
    assert (answer.n_documents, answer.n_tokens) == (len(wanted), sum(row["n_tokens"] for row in wanted))
    assert {row["doc_id"] for row in answer.documents} == {row["doc_id"] for row in wanted}
    assert len(getattr(trace, verb)(asked, limit=1).documents) == 1
    groups = defaultdict(int)
    for row in wanted:
        groups[row["source_id"], row["licence"]] += row["n_tokens"]
    assert {(g["source_id"], g["licence"]): g["tokens"] for g in answer.groups} == groups
    assert sum(end - start for start, end in trace.spans(answer.groups)) == answer.n_tokens


@pytest.mark.parametrize(("verb", "asked", "said"), [
    ("source", "novels", "manuel, novel"), ("licence", "GPL-3.0", "MIT"), ("teacher", "nobody", "recorded@r1"),
    ("generator", "poems", "arithmetic@"),
])
def test_what_is_not_there_is_answered_with_what_is(trace: Trace, verb: str, asked: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=said):
        getattr(trace, verb)(asked)


def test_a_text_leads_to_its_documents(trace: Trace, rows: list[dict[str, Any]], spans: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if "clocks" in row["text"])
    answer = trace.text("the clocks were")
    assert [found["doc_id"] for found in answer.documents] == [row["doc_id"]]
    span = next(s for s in spans if s["doc_id"] == row["doc_id"])
    place = (span["start"] + 27, span["start"] + 42)
    found = trace.text("the clocks were", lambda text: [place])
    assert [(d["doc_id"], d["from"], d["to"]) for d in found.documents] == [(row["doc_id"], *place)]
    with pytest.raises(NotFoundError, match="no document holds"):
        trace.text("in no document")
    with pytest.raises(NotFoundError, match="no document holds"):
        trace.text("in no document", lambda text: [])


def test_a_rewrite_leads_to_what_it_was_made_from(trace: Trace, rows: list[dict[str, Any]]) -> None:
    made = next(row for row in rows if row["parents"])
    assert trace.ancestors(made["doc_id"]) == made["parents"]
    assert trace.ancestors(made["parents"][0]) == []


def test_ids_may_be_shortened(trace: Trace, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert trace.with_prefix(row["doc_id"].hex()[:8].upper()) == row["doc_id"]
    for wrong in ("", "123", "xyzw", "1" * 33):
        with pytest.raises(UsageError, match="hexadecimal"):
            trace.with_prefix(wrong)
    with pytest.raises(NotFoundError, match="no document"):
        trace.with_prefix("f" * 32)


def test_a_rejected_document_says_why(trace: Trace, corpus: Corpus) -> None:
    rejected = pq.read_table(corpus.tables("rejected")[0]).to_pylist()[0]
    with pytest.raises(NotFoundError, match="stage verify rejected it: wrong-answer"):
        trace.document(rejected["doc_id"])
    with pytest.raises(NotFoundError, match="stage verify rejected it: wrong-answer"):
        trace.with_prefix(rejected["doc_id"].hex())


@pytest.mark.parametrize(("start", "end", "said"), [(5, 5, "no range"), (-1, 3, "no range"),
                                                    (10**9, 10**9 + 1, "it has")])
def test_ranges_that_are_none_are_refused(trace: Trace, start: int, end: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        trace.tokens(start, end)


def test_an_index_of_another_corpus_is_made_again(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "small")
    first = open_corpus(folder)
    assert index_folder(first) is None
    assert write_index(first) == index_folder(first)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "name": "other"}))
    assert index_folder(open_corpus(folder)) is None


def test_a_corpus_that_cannot_be_written_beside_is_traced_all_the_same(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_corpus(make_corpus(tmp_path / "small"))

    def refuse(corpus: Corpus, folder: Path | None = None) -> Path:
        if folder is None:
            raise PermissionError(13, "Permission denied", str(corpus.folder))
        return write_index(corpus, folder)

    monkeypatch.setattr("petitlm.data.provenance.trace.write_index", refuse)
    trace = Trace(corpus)
    assert trace.everything().n_documents == 30
    assert trace.tokens(5, 6).n_documents == 1
    assert not (corpus.folder / "index").exists()


@pytest.mark.parametrize(("change", "said"), [
    ({"schema": 2}, "schema 2"), ({"files": None}, "'files'"), ({"n_tokens": "many"}, "'n_tokens'"),
    ({"files": [{"path": "../up", "bytes": 1, "rows": 1, "sha256": ""}]}, r"\.\./up"),
    ({"files": [{"path": "/etc/passwd", "bytes": 1, "rows": 1, "sha256": ""}]}, "passwd"),
    ({"files": [{"path": "a", "bytes": "1", "rows": 1, "sha256": ""}]}, "no file in its folder"),
])
def test_a_manifest_that_is_not_one_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = make_corpus(tmp_path / "small")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(DamagedError, match=said):
        open_corpus(folder)


def test_a_folder_without_a_manifest_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"has no manifest\.json"):
        open_corpus(tmp_path)
    with pytest.raises(NotFoundError, match="is not there"):
        open_corpus(tmp_path / "nothing")
    folder = make_corpus(tmp_path / "small")
    (folder / "documents/part-00001.parquet").unlink()
    with pytest.raises(NotFoundError, match="part-00001"):
        open_corpus(folder).paths("documents")
