"""The house itself: versions pinned, one version number, one way in."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import petitlm


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.!+]+", line) for line in lines), "exact versions and nothing else"
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_has_an_exact_version(project: dict, pins: dict[str, str]) -> None:
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"],
              *(requirement for extra in extras.values() for requirement in extra)]
    names = {normal(re.split(r"[\[<>=~! ]", requirement)[0]) for requirement in wanted} - {"petitlm"}
    assert not names - pins.keys()
    assert pins["torch"] == "2.13.0"
    assert {"cmake", "ninja"} <= pins.keys(), "what builds the kernels where the system has none"


def test_the_extras_of_the_design_exist(project: dict) -> None:
    assert {"serve", "data", "train", "ray", "all"} <= project["project"]["optional-dependencies"].keys()
    assert {re.split("[<>=]", name)[0] for name in project["project"]["dependencies"]} == {
        "numpy", "tokenizers", "safetensors", "click", "rich"}


def test_the_version_is_said_once_and_the_same(project: dict, root: Path) -> None:
    assert project["project"]["version"] == petitlm.__version__
    assert f"## {petitlm.__version__}" in (root / "CHANGELOG.md").read_text()


def test_the_makefile_has_every_door(root: Path) -> None:
    text = (root / "Makefile").read_text()
    doors = {"setup", "run", "test", "test-all", "check", "docs", "bench", "default-model"}
    assert doors <= set(re.findall(r"^([a-z-]+):", text, re.M))
    ci = (root / ".ci" / "run").read_text()
    assert "make check" in ci
    assert "make test" in ci
    assert "|| true" not in ci


def test_scripts_are_valid_bash(root: Path) -> None:
    for script in (".ci/run", "examples/tour.sh"):
        subprocess.run(["bash", "-n", root / script], check=True)
        assert (root / script).stat().st_mode & 0o100, f"{script} is not executable"


def test_no_file_is_longer_than_one_reads_at_once(root: Path) -> None:
    long = {str(path.relative_to(root)): n for path in (root / "src").rglob("*.py")
            if (n := len(path.read_text("utf-8").splitlines())) > 400}
    assert not long, "split these along their nouns"
