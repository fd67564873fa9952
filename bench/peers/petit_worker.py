"""One round of petit for bench/run.py: first token, prefill, decode after each context, eight sequences, memory."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.engine.cache import cache_bytes
from petitlm.engine.kernels import NativeKernels
from petitlm.engine.packing import open_packed
from petitlm.engine.runner import CHUNK, EngineRunner, EngineSession, as_ints
from petitlm.evals.conditions import peak_memory


def emit(kind: str, **values: Any) -> None:
    print("@@ " + json.dumps({"kind": kind, **values}), flush=True)


def ids(n: int, n_vocab: int) -> np.ndarray:
    return as_ints(np.random.default_rng(n).integers(300, n_vocab - 300, n))


def prefill(session: EngineSession, n: int) -> float:
    tokens, start = ids(n, session.runner.config.n_vocab), time.perf_counter()
    for at in range(0, n, CHUNK):
        end = min(n, at + CHUNK)
        wanted = as_ints([end - at - 1] if end == n else [])
        session.step(tokens[at:end], as_ints(range(at, end)), np.zeros(end - at, np.int32), wanted)
    return time.perf_counter() - start


def decode(session: EngineSession, context: int, n: int, sequences: int = 1) -> float:
    """Return seconds for n steps of one token for each sequence, of what the arithmetic says is a real answer."""
    start = time.perf_counter()
    for i in range(n):
        last = session.step(np.full(sequences, 300 + i, np.int32), np.full(sequences, context + i, np.int32),
                            as_ints(range(sequences)))
        last.argmax(-1)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("packed")
    parser.add_argument("--cache")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--prefill", type=int)
    parser.add_argument("--gen", type=int)
    parser.add_argument("--ctx", type=lambda text: [int(part) for part in text.split(",")])
    arguments = parser.parse_args()
    packed, kernels = open_packed(Path(arguments.packed)), NativeKernels(arguments.threads)
    runner = EngineRunner(packed.config, packed.weights, kernels, arguments.cache)
    session = runner.session(1, arguments.prefill)
    prefill(session, 8)
    emit("ready", at=time.time())
    prefill(session, arguments.prefill)  # every engine runs a prompt of this length once before the one that counts
    emit("prefill", ctx=0, value=arguments.prefill / prefill(session, arguments.prefill))
    weights = sum(file.stat().st_size for file in Path(arguments.packed).glob("*.safetensors"))
    cache = cache_bytes(packed.config, 1, arguments.prefill, arguments.cache)
    emit("peak", value=peak_memory(), needed=weights + cache)
    session = runner.session(1, max(arguments.ctx) + arguments.gen)
    prefill(session, max(arguments.ctx))
    for context in sorted(arguments.ctx):
        decode(session, context, 2)
        before = kernels.read_bandwidth(1 << 28, 2)
        rate = arguments.gen / decode(session, context, arguments.gen)
        emit("decode", ctx=context, value=rate, bandwidth=(before + kernels.read_bandwidth(1 << 28, 2)) / 2)
    eight, alone = runner.session(8, 192), runner.session(1, 192)
    decode(eight, 126, 2, 8)
    decode(alone, 126, 2)
    one, together = [], []
    for at in range(128, 176, 8):  # in turns: the machine's speed changes within seconds
        one.append(decode(alone, at, 8))
        together.append(decode(eight, at, 8, 8))
    emit("together", value=8 * sum(one) / sum(together), rate=8 * 48 / sum(together))


if __name__ == "__main__":
    main()
