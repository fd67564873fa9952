"""The engine's speed on one checkpoint, for people or for a comparison with other engines.

usage: python bench/engine.py [MODEL] [--threads 2] [--bits 4] [--prefill 512] [--ctx 128,1024] [--gen 64] [--reps 5]
       python bench/engine.py MODEL --peer ...      lines for the comparison script

Without --peer this is `petit bench`. With it, each repetition is one line of JSON after '@@ ', as the comparison script
../shared/bench/peers.py wants from a `cmd:` peer, so that petit and other engines are measured in one run:

    peers.py --threads 2 --ctx 128,1024 "bench:llama.cpp q4_0:LLAMA_BENCH:q4_0.gguf" \\
        "cmd:petit q4:PACKED:.venv/bin/python bench/engine.py {file} --peer --threads {threads} --prefill {prefill}
         --ctx {ctx} --gen {gen} --reps {reps}"
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import petitlm
from petitlm.cli import main as petit
from petitlm.evals import speed
from petitlm.evals.conditions import OtherWork

QUIET_CORES = 0.1
"""Cores that other programs may take when a repetition starts."""


def emit(**values: Any) -> None:
    print("@@ " + json.dumps(values), flush=True)


def wait_until_quiet(seconds: float) -> None:
    """Wait until other programs take little, or until `seconds` have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        other = OtherWork()
        time.sleep(0.5)
        if (other.cores() or 0) < QUIET_CORES:
            return


def timed(kind: str, n: int, context: int, quiet: float, seconds: Callable[[], float]) -> None:
    """Print one repetition: `seconds()` runs it and returns what counts of its time."""
    wait_until_quiet(quiet)
    other = OtherWork()
    counted = seconds()
    emit(kind=kind, n=n, ctx=context, s=counted, busy=other.cores() or 0.0)


def peer(arguments: argparse.Namespace) -> None:
    """Measure as the comparison script does: first token, then prefill, then decode after each context."""
    model = petitlm.load(arguments.model, bits=arguments.bits, threads=arguments.threads)
    speed.prefill_seconds(model, 8, seed=0)
    emit(first_token=time.time())
    packed = Path(arguments.model or "") / "packed.safetensors"
    emit(bytes=packed.stat().st_size if packed.is_file() else model.n_bytes)
    for seed in range(1, arguments.reps + 1):
        timed("prefill", arguments.prefill, 0, arguments.quiet,
              lambda seed=seed: speed.prefill_seconds(model, arguments.prefill, seed))
    for context in map(int, arguments.ctx.split(",")):
        for seed in range(arguments.reps):
            timed("decode", arguments.gen, context, arguments.quiet, lambda context=context, seed=seed:
                  arguments.gen / speed.decode_rate(model, context, arguments.gen, seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--bits", type=int)
    parser.add_argument("--prefill", type=int)
    parser.add_argument("--ctx")
    parser.add_argument("--gen", type=int)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--quiet", type=float, default=5.0, help="seconds to wait for other programs (--peer)")
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    if arguments.peer:
        arguments.prefill, arguments.gen = arguments.prefill or 512, arguments.gen or 64
        arguments.ctx = arguments.ctx or "128,1024"
        peer(arguments)
        return
    named = {"--model": arguments.model, "--threads": arguments.threads, "--bits": arguments.bits,
             "--prefill": arguments.prefill, "--ctx": arguments.ctx, "--gen": arguments.gen, "--reps": arguments.reps}
    petit(["bench", *(str(part) for name, value in named.items() if value is not None for part in (name, value))])


if __name__ == "__main__":
    main()
