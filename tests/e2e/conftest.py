"""The fixture that runs the real command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from e2e.command import COMMAND, Done, Petit, environment


@pytest.fixture
def petit(tmp_path: Path) -> Petit:
    """Run `petit` with arguments in an empty folder; `stdin` is its input and `env` changes its environment."""

    def run(*args: object, stdin: str | bytes = "", env: dict[str, str] | None = None) -> Done:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run([COMMAND, *map(str, args)], cwd=tmp_path, input=data, capture_output=True, timeout=120,
                              env=environment(**(env or {})))
        result = Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.stderr, result.stderr
        return result

    return run
