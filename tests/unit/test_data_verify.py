"""Verifying: a whole corpus passes, and each way to break one is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_corpus import change_rows, make_corpus

from petitlm.cli import invoke
from petitlm.data.corpus.schema import content_id
from petitlm.data.corpus.stage import canonical
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.rules import RULES
from petitlm.data.provenance.verify import Verdict, verify, verify_files
from petitlm.tokenizer import Tokenizer

PART = "documents/part-00000.parquet"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Tokenizer) -> Path:
    return make_corpus(tmp_path_factory.mktemp("data") / "small", byte_tokenizer)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(made, tmp_path / "small"))


def told(verdict: Verdict) -> str:
    return "\n".join(f"{finding.where} {finding.what}" for finding in verdict.findings)


def test_a_whole_corpus_passes(made: Path) -> None:
    verdict = verify(open_corpus(made))
    assert verdict.ok, told(verdict)
    assert verdict.notes == []
    assert verdict.checks == {"files": 12, "rules": len(RULES), "counts": 14, "texts": 30, "documents made again": 24,
                              "documents encoded again": 30}


def test_every_file_is_missed_and_every_flipped_bit_found(folder: Path) -> None:
    """In each file: one bit changed at each end and in the middle, a byte more, a byte less, nothing left, no file."""
    corpus = open_corpus(folder)
    for entry in corpus.manifest["files"]:
        path = folder / entry["path"]
        whole = path.read_bytes()
        flipped = [bytes([*whole[:i], whole[i] ^ 4, *whole[i + 1 :]]) for i in (0, len(whole) // 2, len(whole) - 1)]
        for broken in (*flipped, whole + b"\0", whole[:-1], b"", None):
            path.unlink()
            if broken is not None:
                path.write_bytes(broken)
            verdict = Verdict(corpus.identity)
            verify_files(corpus, verdict)
            assert [finding.where for finding in verdict.findings] == [entry["path"]]
            path.write_bytes(whole)
    assert verify(corpus, sample=0).ok


def _set(**values: Any) -> Callable[[Rows], object]:
    """Change the first document."""
    return lambda rows: rows[0].update(values)


def _text(text: str) -> Callable[[Rows], object]:
    return _set(text=text, content_id=content_id(text), n_bytes=len(text.encode()), answers=[])


def _first(rows: Rows, test: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    return next(row for row in rows if test(row))


@pytest.mark.parametrize(("change", "said"), [
    (lambda rows: rows[1].update(doc_id=rows[0]["doc_id"]), "an id that another document has too: 1"),
    (_set(text=None), "have no text"),
    (_text("e\u0301te\u0301"), "NFC: 1"),
    (_text("a\0b"), "hold a NUL character: 1"),
    (_set(n_bytes=7), "another number of bytes"),
    (_set(text="changed"), "another text than their content id is of: 1"),
    (_set(verify={"status": "failed"}), "failed their verifier"),
    (_set(difficulty=6), "difficulty that is not from 0 to 5"),
    (_set(quality=1.5), "out of range"),
    (_set(weight=float("nan")), "out of range"),
    (_set(licence=None), "have no licence"),
    (_set(origin="procedural", gen=None), "not which call"),
    (_set(origin="own", call=None), "not in which call"),
    (_set(origin="rewrite", parents=[], call={"teacher": "t"}), "not from what"),
    (_set(origin="found"), "value of origin that is not on the list"),
    (_set(split="holdout"), "value of split that is not on the list"),
    (_set(category="poems"), "value of category that is not on the list"),
    (_set(evidence={"kind": "rumour", "sha": ""}), r"value of evidence.kind that is not on the list"),
    (_set(source_id="nobody"), "not in sources.parquet"),
    (_set(activity_id=b"?" * 16), "not in activities.parquet"),
    (_set(answers=[{"start": 5, "end": 3}]), "does not lie inside their text"),
    (_set(answers=[{"start": 0, "end": 5}, {"start": 4, "end": 6}]), "after the one before"),
    (_set(answers=[{"start": 0, "end": 5000}]), "does not lie inside their text"),
    (_set(parents=[b"?" * 16]), "neither kept nor rejected"),
    (lambda rows: rows[0].update(parents=[rows[1]["doc_id"]]) or rows[1].update(parents=[rows[0]["doc_id"]]),
     "are their own ancestors: 2"),
    (_set(split="valid"), "documents and tokens of valid, and the tables hold 1"),
    (_set(n_tokens=1), "another length than their row says"),
    (lambda rows: rows.reverse(), "not in the order of their ids"),
    (lambda rows: _first(rows, lambda r: r["gen"])["gen"].update(seed=6), "not what its generator gives"),
    (lambda rows: _first(rows, lambda r: r["gen"])["gen"].update(version=99), "is of 99"),
    (lambda rows: _first(rows, lambda r: r["gen"]).update(answer="42 or so"), "gives another answer"),
])
def test_a_document_that_breaks_a_rule_is_named(folder: Path, change: Callable[[Rows], object], said: str) -> None:
    change_rows(folder, PART, change)
    assert said in told(verify(open_corpus(folder)))


def test_what_training_holds_must_not_be_held_out(folder: Path) -> None:
    def leak(rows: Rows) -> None:
        one, two = (row for row in rows[:2])
        one.update(split="heldout-values", problem_key=b"k" * 16)
        two.update(split="train", problem_key=b"k" * 16, text=one["text"], content_id=one["content_id"])

    change_rows(folder, PART, leak)
    found = told(verify(open_corpus(folder)))
    assert "held out, and training holds their problem: 1" in found
    assert "training holds their text: 1" in found


def test_an_answer_that_cuts_a_character_is_found(folder: Path) -> None:
    text = "Où ? Là."
    change_rows(folder, PART, lambda rows: _text(text)(rows) or rows[0].update(answers=[{"start": 2, "end": 4}]))
    assert "inside a character: 1" in told(verify(open_corpus(folder)))


@pytest.mark.parametrize(("table", "change", "said"), [
    ("tokens/spans.parquet", lambda rows: rows[3].update(doc_id=b"?" * 16), "not among the documents: 1"),
    ("tokens/spans.parquet", lambda rows: rows[3].update(start=rows[3]["start"] + 1), "where the one before ends: 1"),
    ("tokens/spans.parquet", lambda rows: rows.pop(3), "where the one before ends: 1"),
    ("rejected/verify/part-00000.parquet", lambda rows: rows[0].update(reason="mood"), "rejections of verify, mood"),
    ("rejected/verify/part-00000.parquet", lambda rows: rows.clear(), "1 rejections of verify, wrong-answer"),
    ("sources.parquet", lambda rows: rows.clear(), "not in sources.parquet: 30"),
    ("sources.parquet", lambda rows: rows[0].update(source_id=None), "not in sources.parquet: 12"),
])
def test_other_tables_that_do_not_fit_are_named(folder: Path, table: str, change: Callable[[Rows], object],
                                                said: str) -> None:
    change_rows(folder, table, change)
    assert said in told(verify(open_corpus(folder)))


def test_a_document_both_kept_and_rejected_is_found(folder: Path) -> None:
    ids: list[bytes] = []
    change_rows(folder, PART, lambda rows: ids.append(rows[0]["doc_id"]))
    change_rows(folder, "rejected/verify/part-00000.parquet", lambda rows: rows[0].update(doc_id=ids[0]))
    assert "kept and rejected at once: 1" in told(verify(open_corpus(folder)))


def test_tokens_that_are_not_the_text_are_found(folder: Path) -> None:
    """Two tokens of a document exchanged, and the manifest made to agree: only encoding again finds it."""
    path = folder / "tokens/shard-00000.bin"
    data = path.read_bytes()
    path.write_bytes(data[2:4] + data[:2] + data[4:])
    _trust(folder)
    assert data[:2] != data[2:4]
    verdict = verify(open_corpus(folder))
    assert len(verdict.findings) == 1
    assert "other tokens in the files than its text gives" in told(verdict)


@pytest.mark.parametrize(("change", "said"), [
    (lambda m: m["stages"][0].update(n_in=99), "some vanished"),
    (lambda m: m["stages"][0]["reasons"].update(other=3), "another number than it rejected"),
    (lambda m: m["cells"][0].update(tokens=1), "documents and tokens of arithmetic"),
    (lambda m: m["cells"].pop(), "says none documents and tokens of"),
    (lambda m: m["sources"]["novel"].update(bytes=0), "documents, tokens and bytes of novel"),
    (lambda m: m.update(n_documents=31), "says 31,"),
    (lambda m: m.update(n_packed_tokens=5), "tokens and the manifest says 5"),
    (lambda m: m["tokenizer"].update(sha256="f" * 64), "the manifest says ffff"),
    (lambda m: m["files"].append(m["files"][0]), "lists a file twice"),
])
def test_a_manifest_that_says_something_else_is_found(folder: Path, change: Callable[[Any], object], said: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(canonical(manifest) + "\n")
    assert said in told(verify(open_corpus(folder)))


def test_an_edited_manifest_is_seen_by_its_form(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    assert "canonical form" in told(verify(open_corpus(folder)))


def test_the_command_says_it_and_ends_with_5(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "verify", str(folder), "--sample", "5"]) == 0
    assert "all as it should be" in capsys.readouterr().out
    (folder / PART).write_bytes(b"no table")
    assert invoke(["data", "verify", str(folder)]) == 5
    assert f"NOT AS IT SHOULD BE: {PART} has 8 bytes" in capsys.readouterr().out
    assert invoke(["data", "verify", str(folder), "--json"]) == 5
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["ok"], verdict["findings"][0]["where"]) == (False, PART)
    assert verdict["notes"]


def _trust(folder: Path) -> None:
    """Make the manifest vouch for the tables as they are."""
    change_rows(folder, "tokens/spans.parquet", lambda rows: None)
    manifest = json.loads((folder / "manifest.json").read_text())
    import hashlib

    for entry in manifest["files"]:
        entry["sha256"] = hashlib.sha256((folder / entry["path"]).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(canonical(manifest) + "\n")
