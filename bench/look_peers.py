"""The second half of bench/look.py: the same questions asked of TransformerLens and nnsight, on the same weights."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import petitlm
from petitlm.engine.edits import Edit
from petitlm.engine.runs import run_text, run_variants
from petitlm.engine.trace import Keep
from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.speed import Spread
from petitlm.look import lens
from petitlm.look.models import Model

QUESTIONS = {("plain", "prompt"): "a run that nobody looks into", ("resid", "prompt"): "resid_post of all layers, last",
             ("lens", "prompt"): "lens, 10 tokens at all layers, last",
             ("patch", "prompt"): "one patch of a head, of a sweep", ("plain", "long"): "a long run",
             ("patterns", "long"): "all patterns of it"}
Seconds = dict[tuple[str, str], list[float]]


def ours(model: Model, ids: dict[str, list[int]], reps: int) -> Seconds:
    """Return petit's seconds for each question."""
    runner, config = model.runner, model.config
    value = np.full(config.d_head, 0.1, np.float32)
    heads = [(i, h) for i in range(config.n_layers) for h in range(config.n_heads)]
    variants = [[Edit(("z", i), "replace", value, -1, h)] for i, h in heads]
    asked: dict[tuple[str, str], Callable[[list[int]], Any]] = {
        ("plain", "prompt"): lambda ids: run_text(runner, ids),
        ("resid", "prompt"): lambda ids: run_text(runner, ids, [Keep("resid_post", at=-1)]),
        ("lens", "prompt"): lambda ids: lens(model, ids, at=-1, top=10),
        ("patch", "prompt"): lambda ids: list(run_variants(runner, ids, variants)),
        ("plain", "long"): lambda ids: run_text(runner, ids),
        ("patterns", "long"): lambda ids: run_text(runner, ids, ["pattern"]),
    }
    found: Seconds = defaultdict(list)
    for rep in range(-1, reps):
        for (question, length), f in asked.items():
            start = time.perf_counter()
            f(ids[length])
            spent = time.perf_counter() - start
            if rep >= 0:
                found[question, length].append(spent / (len(variants) if question == "patch" else 1))
    return found


def theirs(python: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Seconds]:
    """Return the other tools' seconds for each question."""
    worker = Path(__file__).parent / "peers" / "look_worker.py"
    sizes = {name: str(getattr(arguments, name)) for name in ("threads", "reps", "prompt", "long")}
    out = subprocess.run([python, worker, folder, *(part for name, n in sizes.items() for part in (f"--{name}", n))],
                         capture_output=True, text=True, check=True).stdout
    found: dict[str, Seconds] = defaultdict(lambda: defaultdict(list))
    for line in out.splitlines():
        if line.startswith("@@ "):
            row = json.loads(line[3:])
            found[row["tool"]][row["question"], row["length"]].append(row["s"])
    return found


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Print milliseconds of each tool for each question; all return the logits of every position."""
    facts, other = machine(), OtherWork()
    rows = theirs(arguments.peers, folder, arguments)
    for bits in (32, 4):
        model = petitlm.load(folder, bits=bits, threads=arguments.threads)
        ids = {name: np.random.default_rng(1).integers(0, 300, getattr(arguments, name)).tolist()
               for name in ("prompt", "long")}
        rows[f"petit, {bits} bits"] = ours(model, ids, arguments.reps)
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['measured']}; {arguments.threads} threads, "
          f"{arguments.shape or 'tiny'}; {arguments.prompt} and {arguments.long} tokens; milliseconds, medians of "
          f"{arguments.reps} (range)\n")
    print("| | " + " | ".join(rows) + " |\n|---" + "|---" * len(rows) + "|")
    for question, text in QUESTIONS.items():
        cells = [Spread.of([1e3 * s for s in found[question]]) for found in rows.values()]
        print(f"| {text} | " + " | ".join(map(str, cells)) + " |")
    for title, looked, plain in (("resid_post over a plain run", ("resid", "prompt"), ("plain", "prompt")),
                                 ("patterns over a plain run", ("patterns", "long"), ("plain", "long"))):
        shares = [statistics.median(f[looked]) / statistics.median(f[plain]) - 1 for f in rows.values()]
        print(f"| {title} | " + " | ".join(f"{share:+.1%}" for share in shares) + " |")
    print(f"\nothers took {other.cores() or 0:.2f} cores, these tools' own processes included")
