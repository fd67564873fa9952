"""What starting petit costs: which modules come with it, and what it says first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import COMMAND, Petit, environment

from petitlm.cli import VERBS

HEAVY = {"torch", "transformers", "numpy", "tokenizers", "safetensors", "click", "rich"}


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a new process has imported after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_petitlm_imports_nothing_heavy() -> None:
    assert not modules_after("import petitlm; dir(petitlm)") & HEAVY


@pytest.mark.parametrize("args", [[], ["--help"], ["--version"], ["rum"], ["info", "phi-2"]])
def test_the_help_imports_no_numeric_library(args: list[str]) -> None:
    assert not modules_after(f"from petitlm.cli import invoke; invoke({args!r})") & (HEAVY - {"click"})


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "train"])
def test_no_command_but_train_imports_torch(verb: str) -> None:
    seen = modules_after(f"from petitlm.cli import invoke; invoke([{verb!r}, '--help'])")
    assert not seen & {"torch", "transformers"}


def test_the_public_names_are_all_there() -> None:
    import petitlm

    assert all(getattr(petitlm, name) is not None for name in petitlm.__all__)


def test_petit_alone_says_what_one_can_do_next(petit: Petit) -> None:
    done = petit()
    assert done.returncode == 0
    assert all(f"petit {verb}" in done.stdout for verb in ("run", "chat", "info", "bench", "quantize"))
    french = petit(env={"LC_ALL": "fr_FR.UTF-8"})
    assert "un petit modèle" in french.stdout


def test_every_command_is_listed_and_has_a_help_page(petit: Petit) -> None:
    listed = petit("--help").stdout
    for verb, (_, short) in VERBS.items():
        assert verb in listed
        assert short in listed
        done = petit(verb, "--help")
        assert done.returncode == 0
        assert f"Usage: petit {verb}" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script(petit: Petit, shell: str, tmp_path: Path) -> None:
    import shutil

    script = petit("completion", shell).stdout
    assert "_PETIT_COMPLETE" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert subprocess.run([shell, "-n", tmp_path / "script"], check=False).returncode == 0


@pytest.mark.parametrize(("words", "offered"), [
    ("petit qu", "plain,quantize"),
    ("petit run --temp", "plain,--temperature"),
    ("petit run --shape ", "plain,code"),
])
def test_completion_offers_commands_options_and_values(words: str, offered: str) -> None:
    env = environment(_PETIT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    done = subprocess.run([COMMAND], capture_output=True, text=True, env=env, check=False)
    assert offered in done.stdout.splitlines()
