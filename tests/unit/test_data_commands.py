"""`petit data`: tracing and verifying from the command line, on a corpus put together by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_corpus import make_corpus

from petitlm.cli import invoke
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.state import DataState
from petitlm.data.provenance.trace import Trace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(made, tmp_path / "small"))


@pytest.fixture
def petit(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*args: object) -> tuple[int, str, str]:
        code = invoke(["data", *map(str, args)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def checkpoint(made: Path, tmp_path: Path) -> Path:
    """Of two passes and a little over the corpus, in blocks of 64 tokens."""
    corpus = open_corpus(made)
    n = Trace(corpus).n_positions
    DataState(corpus.identity, corpus.manifest["tokenizer"]["sha256"], n, seed=1, length=64, sequences=8,
              steps=14).save(tmp_path)
    return tmp_path


def test_each_question_is_answered(made: Path, petit: Any) -> None:
    asked = [[], ["--tokens", "10-40"], ["--tokens", "7"], ["--source", "novel"], ["--licence", "CC0-1.0"],
             ["--teacher", "recorded"], ["--generator", "arithmetic"], ["--text", "the sea"]]
    for question in asked:
        code, out, _ = petit("trace", made, *question)
        assert code == 0
        assert "documents" in out
        code, out, _ = petit("trace", made, *question, "--json", "--limit", 2)
        answer = json.loads(out)
        assert 0 < len(answer["documents"]) <= 2 <= max(2, answer["n_documents"])
        assert all(len(row["doc_id"]) == 32 for row in answer["documents"])


def test_a_folder_may_have_any_name(made: Path, tmp_path: Path, petit: Any) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "l'été [2]*?"))
    for question in ([], ["--tokens", "7"], ["--text", "the sea"]):
        code, out, _ = petit("trace", folder, *question)
        assert (code, "documents" in out) == (0, True)
    assert petit("verify", folder, "--sample", 0)[0] == 0
    assert petit("card", folder)[0] == 0
    assert petit("report", folder)[0] == 0


def test_a_document_is_told_whole(made: Path, petit: Any) -> None:
    rows = [row for path in open_corpus(made).tables("documents") for row in pq.read_table(path).to_pylist()]
    kinds = {row["source_id"]: row for row in rows}
    for row in kinds.values():
        code, out, _ = petit("trace", made, "--document", row["doc_id"].hex()[:10], "--again")
        assert code == 0
        assert row["text"] in out
        assert row["licence"] in out
        assert ("is what" in out) == (row["gen"] is not None)
        assert "gives today: yes" in out or row["gen"] is None
        told = json.loads(petit("trace", made, "--document", row["doc_id"].hex(), "--json")[1])
        assert told["document"]["doc_id"] == row["doc_id"].hex()


def test_a_checkpoint_leads_to_what_its_steps_read(made: Path, checkpoint: Path, petit: Any) -> None:
    """Each document is read by exactly those steps that list it."""
    by_step: dict[str, set[int]] = {}
    for step in range(14):
        code, out, _ = petit("trace", made, "--checkpoint", checkpoint, "--step", step, "--json", "--limit", 999)
        assert code == 0
        answer = json.loads(out)
        assert len(answer["sequences"]) == 8
        for row in answer["documents"]:
            by_step.setdefault(row["doc_id"], set()).add(step)
    assert len(by_step) == 30
    for doc_id, steps in [*by_step.items()][:8]:
        _, out, _ = petit("trace", made, "--checkpoint", checkpoint, "--document", doc_id, "--json")
        assert {read["step"] for read in json.loads(out)["read"]} == steps
    whole = json.loads(petit("trace", made, "--checkpoint", checkpoint, "--json")[1])["learnt"]
    assert whole == {"tokens": 14 * 8 * 64, "steps": 14}
    parts = [json.loads(petit("trace", made, "--checkpoint", checkpoint, "--source", source, "--json")[1])["learnt"]
             for source in ("novel", "manuel", "teacher:recorded", "generator:arithmetic", "generator:passages")]
    assert sum(part["tokens"] for part in parts) == whole["tokens"]
    code, out, _ = petit("trace", made, "--checkpoint", checkpoint, "--tokens", "0-64")
    assert code == 0
    assert "read in step" in out


@pytest.mark.parametrize(("question", "code", "said"), [
    (["--tokens", "x"], 2, "1000-1040"), (["--tokens", "9-3"], 2, "no range"), (["--source", "nobody"], 3, "manuel"),
    (["--tokens", "1", "--text", "a"], 2, "one at a time"), (["--document", "zz"], 2, "hexadecimal"),
    (["--step", "3"], 2, "--checkpoint"), (["--text", "never said"], 3, "no document holds"),
    (["--checkpoint", "/nowhere"], 3, "does not say what data made it"), (["--limit", "0"], 2, "limit"),
])
def test_a_question_that_cannot_be_answered_is_one_sentence(made: Path, petit: Any, question: list[str], code: int,
                                                            said: str) -> None:
    got, out, err = petit("trace", made, *question)
    assert (got, out) == (code, "")
    assert said in err.replace("\n", " ")
    assert "Traceback" not in err


@pytest.mark.parametrize(("change", "said"), [
    ({"manifest_sha256": "f" * 64}, "read the corpus ffffffffffff"), ({"n_tokens": 999}, "999 tokens"),
    ({"tokenizer_sha256": "e" * 64}, "eeeeeeeeeeee"), ({"steps": 3}, "none of the 3 steps"),
])
def test_a_checkpoint_of_other_data_is_refused(made: Path, checkpoint: Path, petit: Any, change: dict[str, Any],
                                               said: str) -> None:
    plain = json.loads((checkpoint / "data.json").read_text())
    (checkpoint / "data.json").write_text(json.dumps({**plain, **change}))
    code, _, err = petit("trace", made, "--checkpoint", checkpoint, "--step", 5)
    assert code == 2
    assert said in err


def test_a_generator_that_gives_something_else_is_noticed(folder: Path, petit: Any) -> None:
    path = folder / "documents/part-00000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    i = next(i for i, row in enumerate(rows) if row["gen"])
    rows[i]["gen"]["index"] += 1
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    code, out, _ = petit("trace", folder, "--document", rows[i]["doc_id"].hex(), "--again")
    assert code == 0
    assert "gives today: NO: the call gives" in out
