"""`petit look steer`, `probe` and `risk`: what they print and write, and one sentence for every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import petitlm
from petitlm.cli import invoke
from petitlm.loading import DEFAULT_MODEL
from petitlm.look.directions import load_direction
from petitlm.look.judge import FILE, load_judge
from petitlm.look.probe import Probe
from petitlm.prompts import SHAPES

ENGLISH, FRENCH = "Instruct: Where is {}?\nOutput:", "Instruct: Où est {} ?\nOutput:"
NAMES = ("Tom", "Anna", "Hugo", "Clara", "Paul")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*args: str, code: int = 0) -> str:
        assert invoke(["look", *args, *(() if "--json" in args or code else ("--json",))]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return call


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    lines = [json.dumps([FRENCH.format(name), ENGLISH.format(name)]) for name in NAMES]
    (tmp_path / "pairs.jsonl").write_text("\n".join([*lines[:2], "", *lines[2:]]))
    return tmp_path / "pairs.jsonl"


def test_steering_to_french_makes_the_default_model_answer_in_french(run, pairs: Path, tmp_path: Path) -> None:
    """The direction comes from questions about people; the prompts are about other people, with a passage."""
    prompts = [f"Instruct: {n} is in the garden. Where is {n}?\nOutput:" for n in ("Emma", "Leo", "Nora")]
    asked = [part for prompt in prompts for part in ("--prompt", prompt)]
    out = tmp_path / "french.gguf"
    found: dict[str, Any] = json.loads(run(
        "steer", "--pairs", str(pairs), *asked, "--answer", " Le", "--versus", " The", "--n-neutral", "8", "--strength",
        "1", "--strength", "2", "--max-tokens", "8", "--out", str(out)))
    before, *after = found["sweep"]
    assert before["strength"] == before["kl"] == 0
    assert after[-1]["metric"] > before["metric"] + 4
    assert after[-1]["kl"] > 0
    assert found["said"][0]["text"].startswith(" ")
    direction = load_direction(out, petitlm.load(threads=1).config)
    assert list(direction.values) == found["chosen"]
    again = json.loads(run("steer", "--vector", str(out), *asked, "--answer", " Le", "--versus", " The", "--n-neutral",
                           "8", "--strength", "2"))
    assert again["sweep"][-1] == after[-1]


def test_the_language_of_a_question_is_read(run, tmp_path: Path) -> None:
    out = tmp_path / "p.safetensors"
    found = json.loads(run("probe", "--problems", "120", "--shuffles", "2", "--tap",
                           "resid_post:2", "--folds", "4", "--out", str(out)))
    assert found["classes"] == ["en", "fr"]
    assert found["readings"][0]["score"] > 0.85
    assert found["readings"][0]["score"] > found["readings"][0]["control"] + 0.2
    assert Probe.load(out).classes == ("en", "fr")


def test_labels_of_a_file_are_read(run, tmp_path: Path) -> None:
    rows = [{"text": f"Instruct: What is {a} + {b}?\nOutput:", "label": a + b, "group": min(a, b) * 10 + max(a, b)}
            for a in range(1, 7) for b in range(1, 7)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = json.loads(run("probe", str(tmp_path / "sums.jsonl"), "--method", "ridge", "--tap", "resid_post:3",
                           "--shuffles", "2"))
    assert found["n_groups"] == 21
    assert found["classes"] == []


def test_risks_of_answers_come_from_the_judge_that_is_shipped(run) -> None:
    easy, hard = "Instruct: What is 2 + 1?\nOutput:", "Instruct: Who wrote the war of the moon?\nOutput:"
    found = json.loads(run("risk", easy, hard))
    risks = [a["risk"] for a in found["answers"]]
    assert found["answers"][0]["answer"] == " 2 + 1 = 3."
    assert 0 <= risks[0] < 0.1
    assert found["judge"]["measured"][0]["n"] >= 1000


def test_the_shipped_judge_is_of_this_model_and_foresees_new_errors(run) -> None:
    """A floor below the figures in its facts, on problems without a part in it: it fails if the judge is of others."""
    judge, model = load_judge(DEFAULT_MODEL / FILE), petitlm.load(threads=1)
    assert judge.digest == model.runner.digest
    whole = json.loads(run("risk", "--problems", "150", "--seed", "97"))["measured"][0]
    assert whole["n"] >= 140
    assert whole["auroc"] > 0.65
    assert whole["brier"] < whole["brier_constant"]


def test_a_judge_is_fitted_to_questions_of_ones_own(run, tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(1), []
    for i in range(160):
        a, b = rng.integers(10, 99, 2)
        rows.append({"prompt": f"Instruct: What is {a} {'+-'[i % 2]} {b}?\nOutput:", "group": str(i % 20),
                     "answer": f"{a} {'+-'[i % 2]} {b} = {a + b if i % 2 == 0 else a - b}.",
                     "part": "heldout-values" if i < 80 else "heldout-structures"})
    path, out = tmp_path / "q.jsonl", tmp_path / "risk.safetensors"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = json.loads(run("risk", "--questions", str(path), "--fit", str(out)))
    assert [m["n"] for m in found["measured"]] == [160, 80, 80]
    again = json.loads(run("risk", "--questions", str(path), "--judge", str(out)))
    assert [a["right"] for a in again["answers"]] == [a["right"] for a in found["answers"]]


@pytest.mark.parametrize(("args", "code", "said"), [
    (["steer", "--answer", " a"], 2, "give either pairs of texts"),
    (["steer", "--answer", " a", "--pair", "a", "b", "--vector", "v.gguf"], 2, "give either pairs of texts"),
    (["steer", "--answer", " a", "--pair", "a", "b"], 2, "no prompts are given"),
    (["steer", "--answer", " a", "--pairs", "BAD", "--prompt", "x"], 2, "line 1 is not a JSON array of two texts"),
    (["steer", "--answer", " a", "--pairs", "EMPTY", "--prompt", "x"], 2, "is empty"),
    (["steer", "--answer", " a", "--vector", "BAD", "--prompt", "x"], 5, "does not begin as a GGUF file"),
    (["steer", "--answer", "qqqqq", "--pair", "a", "b", "--prompt", "x"], 2, "is not one token"),
    (["steer", "--answer", " a", "--pair", "a", "b", "--prompt", "x", "--block", "9"], 2, "block 9 is not in this"),
    (["probe", "BAD"], 2, "'text' is 'missing'"),
    (["probe", "nowhere.jsonl"], 3, "nowhere.jsonl is not there"),
    (["probe", "--tap", "resid_post:9", "--problems", "20"], 2, "beyond the last block"),
    (["probe", "--label", "colour"], 2, "'colour' is not one of"),
    (["risk"], 2, "give texts to answer"),
    (["risk", "hello", "--problems", "5"], 2, "one of the three"),
    (["risk", "hello", "--fit", "x"], 2, "--fit makes a judge"),
    (["risk", "hello", "--bits", "8"], 2, "fitted for other weights"),
    (["risk", "hello", "--judge", "nowhere"], 3, "nowhere is not there"),
    (["risk", "--questions", "BAD"], 2, "'prompt' is 'missing'"),
    (["risk", "--questions", "ONE", "--fit", "x"], 2, "no question has the part 'heldout-structures'"),
])
def test_a_mistake_gives_one_sentence(run, tmp_path: Path, args: list[str], code: int, said: str) -> None:
    files = {"BAD": '{"a": 1}', "EMPTY": "\n", "ONE": json.dumps({"prompt": "a", "answer": "b",
                                                                    "part": "heldout-values"})}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    error = run(*(str(tmp_path / arg) if arg in files else arg for arg in args), code=code)
    assert said in " ".join(error.split())
    assert "Traceback" not in error


def test_answers_end_where_any_shape_begins_a_turn() -> None:
    from petitlm.cli.look.rows import all_stops

    assert set(all_stops()) == {stop for shape in SHAPES.values() for stop in shape.stops}
