"""What it costs to start: importing petitlm, and each command up to its first word.

usage: python bench/start.py [--reps 15]

Prints medians with lowest and highest, of new processes with files in the page cache. The target for the import
is 150 ms, the interpreter's own start left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.speed import Spread

PETIT = str(Path(sys.executable).parent / "petit")


def seconds_to_end(command: Sequence[str]) -> float:
    """Return the seconds from starting a command to its end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def seconds_to_first_byte(command: Sequence[str]) -> float:
    """Return the seconds from starting a command to the first byte of its output."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=15)
    reps = range(parser.parse_args().reps)
    other, facts = OtherWork(), machine()
    empty = Spread.of([seconds_to_end([sys.executable, "-c", ""]) for _ in reps])
    package = Spread.of([seconds_to_end([sys.executable, "-c", "import petitlm"]) for _ in reps])
    print(f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}, {facts['measured']}")
    print(f"import petitlm           {1000 * (package.median - empty.median):6.1f} ms (target: 150)")
    for name, command in (("petit --help", ["--help"]), ("petit info phi-2", ["info", "phi-2"]),
                          ("petit run, first word", ["run", "What is 2 + 3?"])):
        spread = Spread.of([seconds_to_first_byte([PETIT, *command]) for _ in reps])
        print(f"{name:<24} {1000 * spread.median:6.1f} ms ({1000 * spread.low:.1f}..{1000 * spread.high:.1f})")
    print(f"other programs           {other.cores() or 0:6.2f} cores busy meanwhile")


if __name__ == "__main__":
    main()
