"""`petit look lens`, `patchscope`, `dla`, `attention`, `heads`: what they print and write; a sentence for mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from petitlm.cli import invoke

SUM = "Instruct: What is 12 + 30?\nOutput: 12 + 30 = "


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*args: str, code: int = 0) -> str:
        assert invoke(["look", *args, "--threads", "1"]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return call


def test_the_lens_says_the_answer_at_the_end(run, tmp_path: Path) -> None:
    saved, page = str(tmp_path / "lens.json"), tmp_path / "lens.html"
    found: dict[str, Any] = json.loads(run("lens", SUM, "--at", "-1", "--follow", "4", "--top", "3", "--json", "--save",
                                           saved, "--html", str(page)))
    assert found["top_tokens"][-1][0][0] == "4" and found["layers"] == ["embed", *"012345"]
    assert found["checks"][0]["value"] == 0
    assert "<html" in page.read_text() and "KL" in page.read_text()
    assert "The finding holds: lens" in run("replay", saved)
    table = run("lens", SUM)
    assert "settled" in table and "after token 23" in table


def test_a_tuned_lens_is_learned_and_read(run, tmp_path: Path) -> None:
    lens, texts = str(tmp_path / "lens.safetensors"), tmp_path / "texts.txt"
    texts.write_text("\n\n".join(f"Instruct: What is {i} + {i}?\nOutput: {i} + {i} = {2 * i}." for i in range(20)))
    shown = run("lens", SUM, "--fit", lens, "--texts", str(texts), "--n-texts", "20", "--steps", "20", "--at", "-1")
    assert "on 2 held-out texts" in shown and "after token 23" in shown
    assert run("lens", SUM, "--tuned", lens, "--at", "-1") == shown[shown.index("after token 23"):]
    assert "made for other weights: 1; " in run("lens", SUM, "--tuned", lens, "--at", "-1", "--bits", "8")


def test_a_patchscope_carries_the_answer(run) -> None:
    """From block 2 on the last position holds what decides the answer; docs/look/patchscope.md tells it."""
    other = SUM.replace("12", "5").replace("30", "2")
    found = json.loads(run("patchscope", other.replace("+", "-"), other, "--max-tokens", "2", "--json"))
    assert found["unpatched"]["text"] == "7."
    assert [one["text"] for one in found["said"]][2:] == ["3."] * 4


def test_votes_add_up_in_the_format_that_runs(run) -> None:
    asked = "--answer", "4", "--versus", "3", "--unit", "head", "--basis", "folded"
    found = json.loads(run("dla", SUM, *asked, "--json"))
    assert sum(term["value"] for term in found["terms"]) == pytest.approx(found["total"])
    assert found["about"]["model"]["bits"] == 4 and found["checks"][0]["value"] < 1e-5


def test_heads_and_where_they_look(run) -> None:
    found = json.loads(run("attention", SUM, "--layer", "1", "--head", "3", "--at", "-1", "--json"))
    assert len(found["whole"]["1.3"][0]) == 24 and sum(found["whole"]["1.3"][0]) == pytest.approx(1, abs=1e-5)
    found = json.loads(run("heads", "--n-texts", "1", "--period", "16", "--no-compose", "--json"))
    assert found["pairs"] == [] and max(map(max, found["previous"])) > 0.5
    assert "heads that copy" in run("heads", "--n-texts", "1")


@pytest.mark.parametrize(("arguments", "says"), [
    (["lens"], "no text is given; give one to read, or --fit FILE"),
    (["lens", "Hi", "--fit", "a", "--tuned", "b"], "give one of them"),
    (["lens", "Hi", "--at", "99"], "position 99 is not in the text, which has"),
    (["lens", ""], "the text is empty"),
    (["dla", SUM, "--answer", "hello"], "'hello' is not one token of this model but 'he' + 'l' + 'lo'"),
    (["attention", SUM, "--head", "1"], "head 1 is given without its layer"),
    (["attention", SUM, "--layer", "6"], "layer 6 is not in this model; its layers run from 0 to 5"),
    (["heads", "--period", "400"], "period=400 is not possible"),
    (["patchscope", SUM, SUM, "--into-layer", "-7"], "layer -7 is not in this model"),
    (["patchscope", SUM, SUM, "--max-tokens", "600"], "do not fit in the context of 512"),
])
def test_one_sentence_for_a_mistake(run, arguments: list[str], says: str) -> None:
    assert says in run(*arguments, code=2)


def test_texts_without_text(run, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n \n")
    assert "holds no text" in run("lens", "--fit", "x", "--texts", str(tmp_path / "empty"), code=2)
    assert "is not there" in run("lens", "--fit", "x", "--texts", str(tmp_path / "none"), code=3)
    assert not (tmp_path / "x").exists()
