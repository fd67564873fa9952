"""The real command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Done = subprocess.CompletedProcess[str]
Petit = Callable[..., Done]
"""What the fixture `petit` is: call it with arguments, and with `stdin` and `env` where they matter."""

COMMAND = str(Path(sys.executable).parent / "petit")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a plain English terminal without colours, one thread for numeric libraries."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **changes}
