"""The real command, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Done = subprocess.CompletedProcess[str]
Petit = Callable[..., Done]
"""What the fixture `petit` is: call it with arguments, and with `stdin` and `env` where they matter."""

COMMAND = str(Path(sys.executable).parent / "petit")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a plain English terminal without colours, one thread for numeric libraries."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **changes}


def hear_ctrl_c() -> None:
    """Called in a new process: a shell that put the tests in the background told all of them to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until_idle(process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Wait until a process sleeps, half a second long: it waits for input then, however busy the machine is."""
    end, asleep = time.monotonic() + seconds, 0
    while asleep < 5:
        assert time.monotonic() < end, "the program never waits"
        time.sleep(0.1)
        try:
            with open(f"/proc/{process.pid}/stat") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:  # a system without /proc: half a second has to do
            state = "S"
        asleep = asleep + 1 if state == "S" else 0
