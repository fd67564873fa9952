"""Speed and memory of petit on one model, beside the limits of the machine and beside other engines, in one run.

usage: python bench/run.py PACKED [--threads 2] [--reps 5] [--prefill 512] [--ctx 128,1024,1900] [--gen 32]
       [--cache f16,int8] [--llama LLAMA_BENCH FILE.gguf]... [--openvino PYTHON FOLDER]... [--json FILE]

PACKED is a packed folder (petit quantize). Every engine gets `reps` rounds, taken in turns, so that a machine that
slows down slows all of them; between rounds the limits are measured again: what all threads read from memory, and how
many bytes they multiply in registers. A figure is the median of its rounds, with the lowest and highest; "of limit" is
the median of each round's share of the limit next to it. Decode reads the weights (and the embedding's one row) and the
keys and values of its context once for each token; prefill multiplies every weight of the blocks with every token.
LLAMA_BENCH is llama.cpp's own benchmark; PYTHON is an interpreter that has openvino_genai, FOLDER its exported model.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from petitlm import sizes
from petitlm.engine.cache import cache_bytes
from petitlm.engine.kernels import NativeKernels
from petitlm.engine.packing import open_packed
from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.speed import Spread, decode_bytes

HERE = Path(__file__).parent
Row = dict[str, Any]


def worker(command: list[str], name: str) -> list[Row]:
    """Run one round of an engine; its lines after '@@ ' are figures."""
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, errors = process.communicate()
    if process.returncode:
        print(f"{name} failed: {errors.strip().splitlines()[-1] if errors.strip() else process.returncode}",
              file=sys.stderr)
        return []
    rows = [json.loads(line[3:]) for line in out.splitlines() if line.startswith("@@ ")]
    for row in rows:
        if row["kind"] == "ready":
            row["value"] = row["at"] - start
    return rows


def llama_round(bench: str, file: str, arguments: argparse.Namespace) -> list[Row]:
    """Run llama-bench once; -d is the number of tokens before the decoded ones."""
    rows: list[Row] = []
    calls = [["-p", str(arguments.prefill), "-n", "0"]]
    calls += [["-p", "0", "-n", str(arguments.gen), "-d", str(context)] for context in arguments.ctx]
    for call in calls:
        done = subprocess.run([bench, "-m", file, "-t", str(arguments.threads), "-r", "1", "-o", "jsonl", *call],
                              capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            found = json.loads(line)
            kind, context = ("prefill", 0) if found["n_prompt"] else ("decode", found["n_depth"])
            rows.append({"kind": kind, "ctx": context, "value": found["avg_ts"]})
    return rows


def engines(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return a function for each engine that runs one round of it."""
    plan = ["--threads", str(arguments.threads), "--prefill", str(arguments.prefill), "--gen", str(arguments.gen),
            "--ctx", ",".join(map(str, arguments.ctx))]
    found: dict[str, Any] = {}
    for cache in arguments.cache:
        command = [sys.executable, str(HERE / "peers" / "petit_worker.py"), arguments.packed, "--cache", cache, *plan]
        found[f"petit, {cache} cache"] = lambda command=command: worker(command, "petit")
    for bench, file in arguments.llama or []:
        found[f"llama.cpp {Path(file).stem}"] = lambda bench=bench, file=file: llama_round(bench, file, arguments)
    for python, folder in arguments.openvino or []:
        for group in (32, 128):  # its default, and its fastest where we measured
            command = [python, str(HERE / "peers" / "openvino_worker.py"), folder, "--group", str(group), *plan]
            found[f"OpenVINO {Path(folder).name}, groups of {group}"] = (
                lambda command=command: worker(command, "OpenVINO"))
    return found


def limits(kernels: NativeKernels) -> tuple[float, float]:
    """Return bytes per second read, and operations per second on bytes."""
    return kernels.read_bandwidth(1 << 29, 2), kernels.integer_rate(2_000_000)


def work(arguments: argparse.Namespace) -> tuple[dict[tuple[str, int], dict[str, float]], float]:
    """Return the bytes that a decoded token reads, by cache and context, and the operations of a prompt's token."""
    packed = open_packed(Path(arguments.packed))
    weights = decode_bytes(packed.config, packed.bits)
    reads: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for cache in arguments.cache:
        each = cache_bytes(packed.config, 1, 16, cache) / 16
        for context in arguments.ctx:
            reads["decode", context][f"petit, {cache} cache"] = weights + each * (context + arguments.gen / 2)
    blocks = sum(shape[0] * shape[1] for name, shape in packed.config.tensor_shapes().items()
                 if name.startswith("blocks.") and len(shape) == 2)
    return reads, 2.0 * blocks


def table(samples: dict[str, list[Row]], arguments: argparse.Namespace, shares: dict[tuple[str, str, int], list[float]]
          ) -> None:
    first = next(iter(samples))
    for kind, context in [("prefill", 0), *(("decode", context) for context in arguments.ctx)]:
        title = f"prefill of {arguments.prefill}" if kind == "prefill" else f"decode after {context}"
        print(f"\n{title}, tokens/s")
        values = {name: [row["value"] for row in rows if row["kind"] == kind and row.get("ctx", 0) == context]
                  for name, rows in samples.items()}
        for name, found in values.items():
            if not found:
                continue
            ratio = statistics.median(values[first]) / statistics.median(found)
            share = shares.get((name, kind, context))
            of = f"{statistics.median(share):.0%} of limit" if share else f"petit is {ratio:.2f} x"
            print(f"  {name:36} {Spread.of(found)!s:28} {of}")
    print(f"\nstart to first token, s; most memory up to {arguments.prefill} tokens")
    for name, rows in samples.items():
        ready = [row["value"] for row in rows if row["kind"] == "ready"]
        peaks = [row for row in rows if row["kind"] == "peak"]
        if ready:
            peak = max(peaks, key=lambda row: row["value"])
            beyond = peak["value"] - peak["needed"] if "needed" in peak else None
            more = f", {sizes.size_text(beyond)} beyond weights and cache" if beyond else ""
            print(f"  {name:36} {Spread.of(ready)!s:28} {sizes.size_text(peak['value'])}{more}")
    for name, rows in samples.items():
        together = [row for row in rows if row["kind"] == "together"]
        if together:
            print(f"{name}: 8 sequences together {Spread.of([row['rate'] for row in together])} tokens/s, "
                  f"{Spread.of([row['value'] for row in together])} times one's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--ctx", type=lambda text: [int(part) for part in text.split(",")], default=[128, 1024, 1900])
    parser.add_argument("--gen", type=int, default=32)
    parser.add_argument("--cache", type=lambda text: text.split(","), default=["f16", "int8"])
    parser.add_argument("--llama", nargs=2, action="append", metavar=("BENCH", "GGUF"))
    parser.add_argument("--openvino", nargs=2, action="append", metavar=("PYTHON", "FOLDER"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    other, facts, kernels = OtherWork(), machine(), NativeKernels(arguments.threads)
    reads, operations = work(arguments)
    runners = engines(arguments)
    samples: dict[str, list[Row]] = {name: [] for name in runners}
    shares: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    bounds: list[tuple[float, float]] = []
    for number in range(arguments.reps):
        for name, run in runners.items():
            before = limits(kernels)
            rows = run()
            after = limits(kernels)
            samples[name] += rows
            bounds += [before, after]
            _, speed = ((a + b) / 2 for a, b in zip(before, after, strict=True))
            for row in rows:
                size = reads.get(("decode", row.get("ctx", 0)), {}).get(name)
                if row["kind"] == "decode" and size:
                    shares[name, "decode", row["ctx"]].append(row["value"] * size / row["bandwidth"])
                if row["kind"] == "prefill" and name.startswith("petit"):
                    shares[name, "prefill", 0].append(row["value"] * operations / speed)
            print(f"round {number + 1}: {name} done", file=sys.stderr)
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['measured']}; {arguments.threads} threads; medians of "
          f"{arguments.reps}; others took {other.cores() or 0:.2f} cores, these engines' other rounds included")
    print(f"limits: {Spread.of([b / 1e9 for b, _ in bounds])} GB/s read, "
          f"{Spread.of([o / 1e9 for _, o in bounds])} GOP/s on bytes")
    table(samples, arguments, shares)
    if arguments.json:
        arguments.json.write_text(json.dumps({"conditions": facts, "limits": bounds, "samples": samples}))


if __name__ == "__main__":
    main()
