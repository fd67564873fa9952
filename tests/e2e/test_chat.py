"""`petit chat` in a pipe, and on a terminal where Ctrl-C is pressed."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e.command import COMMAND, Petit, environment, hear_ctrl_c, wait_until_idle


def test_each_line_of_a_pipe_is_a_turn(petit: Petit, tiny_folder: Path) -> None:
    done = petit("chat", "-m", tiny_folder, "--max-tokens", 4, "--json", stdin="Hello\nAnd now?\n/bye\nnot said\n")
    assert done.returncode == 0
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["tokens"] == second["tokens"] == 4
    assert second["prompt_tokens"] > first["prompt_tokens"], "the second turn sees the first"


def test_input_that_is_not_utf8_is_refused_and_the_conversation_goes_on(petit: Petit, tiny_folder: Path) -> None:
    done = petit("chat", "-m", tiny_folder, "--max-tokens", 2, stdin=b"caf\xe9\nHello\n")
    assert done.returncode == 0
    assert "a line is not UTF-8 text (byte 3)" in done.stderr
    assert done.stderr.count("tokens/s") == 1


def test_a_conversation_that_outgrows_the_context_says_so(petit: Petit, tiny_folder: Path) -> None:
    done = petit("chat", "-m", tiny_folder, "--max-tokens", 8, stdin=f"{'a' * 100}\n{'b' * 100}\n{'c' * 100}\n")
    assert done.returncode == 0
    assert "the model no longer sees the oldest 2 of 2 turns" in done.stderr


def test_a_saved_conversation_is_loaded_by_the_next(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    args = ("chat", "-m", tiny_folder, "--max-tokens", 4)
    assert petit(*args, stdin="/set seed 5\nHello\n/save talk.json\n").returncode == 0
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert [turn["role"] for turn in saved["turns"]] == ["user", "assistant"]
    assert saved["settings"]["seed"] == 5
    done = petit(*args, stdin="/load talk.json\n/set\n")
    assert "loaded 2 turns" in done.stderr
    assert "seed" in done.stderr


class Terminal:
    """A process on a terminal of its own, as if a person sat there."""

    def __init__(self, *args: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(args, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        env=environment(TERM="dumb"), preexec_fn=hear_ctrl_c)
        os.close(theirs)
        self.seen = ""

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Read until `text` has been shown since the last call."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} was not shown; there is {self.seen[-2000:]!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._ours, 4096).decode(errors="replace")
                except OSError:  # how a terminal says that nobody is there any more
                    pytest.fail(f"the program ended before {text!r}; there is {self.seen[-2000:]!r}")
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for_more(self) -> None:
        """Read until anything has been shown that no call has waited for."""
        end = time.monotonic() + 30
        while not self.seen:
            assert time.monotonic() < end, "nothing more was shown"
            if select.select([self._ours], [], [], 0.1)[0]:
                self.seen += os.read(self._ours, 4096).decode(errors="replace")

    def press_ctrl_c(self, while_waiting: bool = False) -> None:
        """`while_waiting`: once the program waits, since Python's line editor misses a signal that comes earlier."""
        if while_waiting:
            wait_until_idle(self.process)
        self.process.send_signal(signal.SIGINT)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_ctrl_c_stops_the_answer_and_not_the_program(long_folder: Path) -> None:
    with Terminal(COMMAND, "chat", "-m", str(long_folder), "--max-tokens", "50000", "--stop", "\n") as terminal:
        terminal.wait_for(">>> ")
        terminal.press_ctrl_c(while_waiting=True)
        terminal.wait_for("/bye or Ctrl-D ends")
        terminal.wait_for(">>> ")
        terminal.type("Hello\n")
        terminal.wait_for("Hello\r\n")
        terminal.wait_for_more()
        terminal.press_ctrl_c()
        terminal.wait_for("(stopped; what was said so far stays in the conversation)")
        terminal.wait_for(">>> ")
        terminal.type("/set max_tokens 4\n")
        terminal.wait_for(">>> ")
        terminal.type('"""one\n')
        terminal.wait_for("... ")
        terminal.type('two"""\n')
        terminal.wait_for("4 tokens")
        terminal.wait_for(">>> ")
        terminal.type("/bye\n")
        assert terminal.process.wait(30) == 0
