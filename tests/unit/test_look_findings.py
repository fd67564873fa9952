"""Findings: kept in a file, asked again, and answered honestly; a damaged or foreign one is one sentence."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_look import random_model

from petitlm import look
from petitlm.cli import invoke
from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.look.findings import load_finding, replay, save_finding

TEXT = [5, 9, 2, 44, 9]


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("findings") / "diff.json"
    save_finding(look.diff(random_model("phi", 4), random_model("phi", 32), TEXT), path)
    return load_finding(path)


def test_a_finding_holds_to_the_bit(finding: dict[str, Any]) -> None:
    found = replay(finding, random_model("phi", 4), random_model("phi", 32))
    assert found.holds and found.worst == 0 and found.verb == "diff" and not found.differences
    assert found.n_numbers > len(finding["errors"]) * len(TEXT)


@pytest.mark.parametrize(("change", "where"), [
    (lambda f: f["kl"].__setitem__(2, f["kl"][2] + 0.01), r"kl\[2\]"),
    (lambda f: f["said"].__setitem__(0, "other"), r"said\[0\]: other was found, w\d+ now"),
    (lambda f: f["errors"].pop(), "errors"), (lambda f: f.pop("kl"), "kl: None was found"),
    (lambda f: f["kl"].__setitem__(0, None), r"kl\[0\]"), (lambda f: f.__setitem__("extra", 1), "extra"),
])
def test_what_changed_is_named(finding: dict[str, Any], change: Callable[[dict[str, Any]], Any], where: str) -> None:
    other = copy.deepcopy(finding)
    change(other)
    found = replay(other, random_model("phi", 4), random_model("phi", 32))
    assert not found.holds and re.match(where, found.differences[0])


def test_a_number_may_be_off_by_the_tolerance_of_what_it_stands_with(finding: dict[str, Any]) -> None:
    most = max(finding["kl"])
    for off, holds in ((0.9e-4 * max(most, 1e-2), True), (1.2e-4 * max(most, 1e-2), False)):
        other = copy.deepcopy(finding)
        other["kl"][0] += off
        assert replay(other, random_model("phi", 4), random_model("phi", 32)).holds is holds
    assert replay({**other, "tolerance": 1e-3}, random_model("phi", 4), random_model("phi", 32)).holds


def test_other_weights_are_refused_unless_meant(finding: dict[str, Any]) -> None:
    same, reference = random_model("phi", 4), random_model("phi", 32)
    other = random_model("phi", 4, seed=1)
    with pytest.raises(UsageError, match=r"about random in 4 bits .* load the model"):
        replay(finding, other, reference)
    with pytest.raises(UsageError, match="in 32 bits"):
        replay(finding, same, random_model("phi", 32, seed=1))
    with pytest.raises(UsageError, match="compares with random in 32 bits"):
        replay(finding, same)
    assert not replay(finding, other, reference, other_model=True).holds


@pytest.mark.parametrize("change", [
    lambda f: f.pop("petit_finding"), lambda f: f.update(petit_finding=2), lambda f: f.pop("about"),
    lambda f: f.update(about=[]), lambda f: f["about"].pop("arguments"), lambda f: f["about"].update(model="phi"),
    lambda f: f["about"]["model"].pop("digest"), lambda f: f["about"]["model"].update(name=3),
    lambda f: f["about"].update(verb=["lens"]), lambda f: f.update(tolerance="much"), lambda f: f.update(tolerance=-1),
])
def test_a_file_that_is_no_finding_is_refused(finding: dict[str, Any], tmp_path: Path,
                                              change: Callable[[dict[str, Any]], Any]) -> None:
    other = copy.deepcopy(finding)
    change(other)
    (tmp_path / "x.json").write_text(json.dumps(other))
    with pytest.raises(DamagedError, match="--save"):
        load_finding(tmp_path / "x.json")


def test_files_that_are_not_there_or_not_json(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_finding(tmp_path / "nothing.json")
    (tmp_path / "x.json").write_text("[1")
    with pytest.raises(DamagedError):
        load_finding(tmp_path / "x.json")


@pytest.mark.parametrize(("change", "says"), [
    (lambda a: a.update(verb="rm"), "'rm' is not one of"),
    (lambda a: a["arguments"].update(colour=1), "colour"), (lambda a: a["arguments"].pop("text"), "text"),
])
def test_a_question_that_cannot_be_asked_is_refused(finding: dict[str, Any], change: Callable[[dict[str, Any]], Any],
                                                    says: str) -> None:
    other = copy.deepcopy(finding)
    change(other["about"])
    with pytest.raises(DamagedError, match=says):
        replay(other, random_model("phi", 4), random_model("phi", 32))


def test_the_command_repeats_a_finding_and_says_whether_it_holds(tiny_folder: Path, tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    path, html = tmp_path / "found.json", tmp_path / "found.html"
    asked = ["look", "diff", "The quick fox", "-m", str(tiny_folder), "-t", "1"]
    assert invoke([*asked, "--save", str(path), "--html", str(html), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["about"]["arguments"]["reference"]["bits"] == 32
    assert html.read_text("utf-8").startswith("<!doctype html>")
    assert invoke(["look", "replay", str(path), "-t", "1"]) == 0
    assert "holds" in capsys.readouterr().out
    changed = json.loads(path.read_text())
    changed["kl"][1] += 1
    path.write_text(json.dumps(changed))
    assert invoke(["look", "replay", str(path), "-t", "1"]) == 1
    assert "kl[1]" in capsys.readouterr().out
    changed["about"]["model"]["digest"] = "0" * 64
    path.write_text(json.dumps(changed))
    assert invoke(["look", "replay", str(path), "-t", "1"]) == 2
    assert "other" in capsys.readouterr().err
    assert invoke(["look", "replay", str(path), "-t", "1", "--other-model", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["holds"] is False


def test_the_command_compares_over_texts(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["look", "drift", "-m", str(tiny_folder), "--bits", "8", "-t", "1", "--json"]
    assert invoke([*asked, "The quick fox", "jumps"]) == 0
    by_name = json.loads(capsys.readouterr().out)
    assert by_name["n_tokens"] == len("The quick fox") + len("jumps") and by_name["kl"] > 0
    (tmp_path / "texts.txt").write_text("The quick fox\n\njumps\n")
    assert invoke([*asked, "--texts", str(tmp_path / "texts.txt")]) == 0
    assert json.loads(capsys.readouterr().out)["kl"] == by_name["kl"]
    assert invoke([*asked, "x", "--from", str(tiny_folder), "--from-bits", "8"]) == 0
    assert json.loads(capsys.readouterr().out)["kl"] == 0
