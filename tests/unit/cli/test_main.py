"""The one place that turns every ending of a command into a sentence and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from petitlm import cli, errors
from petitlm.cli import invoke


@pytest.mark.parametrize(("args", "code", "said"), [
    (["run", ""], 2, "the prompt is empty"),
    (["run", "caf\udce9"], 6, "the prompt is not UTF-8 text (byte 3)"),
    (["run", "hi", "there"], 2, "unexpected extra argument"),
    (["run", "hi", "--bits", "5"], 2, "'5' is not one of"),
    (["run", "hi", "--top-p", "0"], 2, "0.0 is not in the range"),
    (["run", "hi", "--logit-bias", "5"], 2, "not ID=VALUE"),
    (["run", "hi", "--logit-bias", "9999=1"], 2, "9999"),
    (["run", "hi", "--max-tokens", "1000"], 2, "1000"),
    (["run", "x" * 300], 2, "256"),
    (["run", "hi", "-m", "nowhere"], 3, "nowhere is not there"),
    (["run", "hi", "-m", "phi-2"], 3, "preset"),
    (["info", "phi2"], 3, "did you mean phi-2"),
    (["quantize", "nowhere", "out"], 3, "nowhere is not there"),
    (["convert", "nowhere", "out", "--to", "hf"], 3, "nowhere is not there"),
    (["convert", "nowhere", "out", "--to", "coreml"], 2, "'coreml' is not"),
    (["rum"], 2, "did you mean `petit run`?"),
    (["bench", "--ctx", "a,b"], 2, "not a list of lengths"),
    (["bench", "--prefill", "5000"], 2, "5001"),
])
def test_a_mistake_gives_one_sentence_and_its_exit_code(tiny_folder: Path, capsys: pytest.CaptureFixture[str],
                                                        args: list[str], code: int, said: str) -> None:
    if args[0] in ("run", "bench") and "-m" not in args:
        args = [*args, "-m", str(tiny_folder)]
    assert invoke(args) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("petit: ")
    assert said in err
    assert err.count("\n") == 1


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `petit run` end with `error`."""

    @click.command()
    def command() -> None:
        raise error

    find: Callable[..., Any] = lambda *_: command  # noqa: E731
    monkeypatch.setattr(cli.Verbs, "get_command", find)


@pytest.mark.parametrize(("error", "code", "said"), [
    (errors.PetitError("it failed"), 1, "it failed"),
    (errors.UsageError("wrong use"), 2, "wrong use"),
    (errors.NotFoundError("not there"), 3, "not there"),
    (errors.DoesNotFitError("too big"), 4, "too big"),
    (errors.DamagedError("torn"), 5, "torn"),
    (errors.RefusedError("no"), 6, "no"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (MemoryError(), 4, "choose fewer bits"),
    (FileNotFoundError(errno.ENOENT, "No such file", "talk.json"), 3, "talk.json is not there"),
    (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 1, "/root/x: Permission denied"),
    (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left"),
    (ModuleNotFoundError("No module named 'torch'", name="torch"), 3, "pip install 'petitlm[train]'"),
    (ModuleNotFoundError("No module named 'torch'", name="torch._C"), 3, "pip install 'petitlm[train]'"),
])
def test_each_ending_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                                       error: BaseException, code: int, said: str) -> None:
    ends_with(monkeypatch, error)
    assert invoke(["run"]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("error", [ZeroDivisionError(), ModuleNotFoundError("No module named 'x'", name="petitlm.x")])
def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    ends_with(monkeypatch, error)
    with pytest.raises(type(error)):
        invoke(["run"])


def test_every_error_of_petit_has_an_exit_code_of_the_design() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PetitError)]
    assert {kind.exit_code for kind in kinds} == {1, 2, 3, 4, 5, 6}


def test_a_model_that_does_not_fit_is_4_before_memory_is_taken(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("petitlm.sizes.available_memory", lambda: 100_000)
    assert invoke(["run", "hi", "-m", str(tiny_folder)]) == 4
    assert "97.7 KiB are available" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["quantize"], ["convert", "--to", "hf"]])
def test_an_interruption_leaves_nothing_behind(verb: list[str], tiny_folder: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def interrupted(_what: str) -> Iterator[Callable[[int, int, str], None]]:
        def report(done: int, _total: int, _name: str) -> None:
            if done > 4:
                raise KeyboardInterrupt

        yield report

    monkeypatch.setattr(importlib.import_module(f"petitlm.cli.{verb[0]}"), "progress", interrupted)
    assert invoke([*verb, str(tiny_folder), str(tmp_path / "out")]) == 130
    assert list(tmp_path.iterdir()) == []


def test_the_shapes_offered_are_the_shapes_that_exist() -> None:
    from petitlm.cli.options import SHAPES
    from petitlm.prompts import SHAPES as EXISTING

    assert set(SHAPES) == set(EXISTING)


@pytest.mark.parametrize("args", [["run", "hi"], ["info"], ["chat"], ["bench"]])
def test_an_installation_without_the_default_model_says_so(args: list[str], tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("petitlm.loading.DEFAULT_MODEL", tmp_path / "nothing")
    assert invoke(args) == 3
    assert "came without petit's own model" in capsys.readouterr().err
