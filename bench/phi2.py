"""Real input from start to end: a checkpoint of phi-2's size is quantized, started and measured.

usage: python bench/phi2.py CHECKPOINT OUT [--bits 4] [--threads 2] [--reps 5]

CHECKPOINT is phi-2, or random weights of its shape (../shared/bench/make_phi2_random.py). Prints how long packing took
and the most memory it had (target: 4 GB), the seconds from the start of the process to the first word of an answer with
the packed file in the page cache (target: 2), and what `petit bench` says.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from start import PETIT, seconds_to_first_byte

from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.speed import Spread


def run_with_memory(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the largest resident size that it had, in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--reps", type=int, default=5)
    arguments = parser.parse_args()
    other, facts = OtherWork(), machine()
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['measured']}; {arguments.threads} threads")
    same = ["--threads", str(arguments.threads)]
    seconds, peak = run_with_memory([PETIT, "quantize", str(arguments.checkpoint), str(arguments.out), "--bits",
                                     str(arguments.bits), "--json", *same])
    print(f"quantize to {arguments.bits} bits   {seconds:.1f} s, peak memory {peak / 1e9:.2f} GB (target: 4)")
    first = [PETIT, "run", "--model", str(arguments.out), "Hello", "--shape", "raw", "--max-tokens", "1", *same]
    spread = Spread.of([seconds_to_first_byte(first) for _ in range(arguments.reps)])
    print(f"start to first word  {spread} s (target: 2)")
    _, peak = run_with_memory(first)
    print(f"peak memory of that  {peak / 1e9:.2f} GB")
    print(f"other programs       {other.cores() or 0:.2f} cores busy meanwhile\n", flush=True)
    subprocess.run([PETIT, "bench", "--model", str(arguments.out), "--reps", str(arguments.reps), *same], check=True)


if __name__ == "__main__":
    main()
