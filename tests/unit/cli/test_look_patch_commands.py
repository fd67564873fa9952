"""`petit look patch`, `attribute` and `circuit`: what is asked arrives, what is wrong is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from petitlm.cli import invoke
from petitlm.cli.look.pairs import TASKS, pairs_of
from petitlm.errors import UsageError

CLEAN = "Instruct: What is 2 + 3?\nOutput: 2 + 3 = "
CORRUPT = "Instruct: What is 2 + 5?\nOutput: 2 + 5 = "
ASKED = [CLEAN, CORRUPT, "--answer", "5", "--versus", "7", "-t", "1"]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    code = invoke(["look", *args])
    out, err = capsys.readouterr()
    return code, out or err


def test_patch_says_what_matters(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page, finding = tmp_path / "page.html", tmp_path / "finding.json"
    code, out = run(capsys, "patch", *ASKED, "--over", "resid_post", "--at", "-1", "--html", str(page), "--save",
                    str(finding))
    assert code == 0
    assert "resid_post:5@19" in out
    assert "What each part restores" in page.read_text("utf-8")
    assert run(capsys, "replay", str(finding), "-t", "1")[1].startswith("The finding holds: patch")
    code, out = run(capsys, "patch", *ASKED, "--to", "logits", "--block", "4", "--block", "5", "--json")
    found = json.loads(out)
    assert found["to"] == ["logits"]
    assert found["rows"] == ["z:4", "z:5"]
    assert len(found["effects"][0]) == 6


def test_an_ablation_needs_one_text(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "patch", CLEAN, "--answer", "5", "--ablation", "zero", "--over", "mlp_out", "--together",
                    "-t", "1")
    assert code == 0
    assert "log-probability of '5'" in out


def test_attribute_estimates_and_confirms(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "attribute", *ASKED, "--method", "atp", "--confirm", "3", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["evidence"] == "approximation"
    assert len(found["confirmed"]) >= 3
    assert found["checks"][0]["name"] == "completeness gap, as a share"


def test_circuit_takes_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [dict(clean=c, corrupt=d, answer=a, versus=v) for c, d, a, v in pairs_of(None, "sums", 4, 1)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    code, out = run(capsys, "circuit", str(file), "--size", "30", "--subsets", "0", "--json", "-t", "1")
    assert code == 0
    found = json.loads(out)
    assert len(found["edges"]) <= 30
    assert found["held_out"]["n_pairs"] == 2
    assert found["about"]["arguments"]["pairs"][0][2] == rows[0]["answer"]


@pytest.mark.parametrize(("args", "said"), [
    (["patch", CLEAN, CORRUPT, "--answer", "fifty"], "is not one token of this model"),
    (["patch", CLEAN, "--answer", "5"], "there is no corrupt text"),
    (["patch", CLEAN, CORRUPT + "5 5", "--answer", "5"], "choose words of as many tokens"),
    (["patch", *ASKED, "--block", "6"], "is beyond the last block"),
    (["patch", *ASKED, "--to", "z:9.0"], "is beyond the last block"),
    (["patch", *ASKED, "--over", "neuron"], "'neuron' is not one of"),
    (["attribute", *ASKED, "--method", "eap"], "over='edges'"),
    (["circuit"], "say which prompts"),
    (["circuit", "--task", "sums", "--n", "900"], "there are only 330 different prompts"),
    (["circuit", "nowhere.jsonl"], "nowhere.jsonl"),
    (["circuit", "--task", "sums", "--n", "4", "--size", "9999"], "this model has 2152 edges"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(capsys: pytest.CaptureFixture[str], args: list[str], said: str) -> None:
    code, out = run(capsys, *args)
    assert code in (2, 3)
    assert said in out
    assert "Traceback" not in out


@pytest.mark.parametrize("task", list(TASKS))
def test_tasks_make_pairs_that_differ_in_the_answer(task: str) -> None:
    pairs = pairs_of(None, task, 30, 3)
    assert pairs == pairs_of(None, task, 30, 3)
    assert len(set(pairs)) == 30
    for clean, corrupt, answer, versus in pairs:
        assert clean != corrupt
        assert answer != versus
        assert len(clean.split()) == len(corrupt.split())
    assert TASKS[task](Random(1)) == TASKS[task](Random(1))
    with pytest.raises(UsageError, match="say which prompts"):
        pairs_of("x.jsonl", task, 2, 0)
