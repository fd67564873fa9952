"""The data part: what a corpus costs, by its size, and every bench of its parts in one run, beside other tools.

usage: python bench/data.py [--peers PYTHON] [--scale 1,10,100] [--only NAME ...]
       NAME: stages repeats tokens quality

PYTHON is an interpreter that has what the parts ask for (datatrove, spacy, tiktoken, ...); without it their rows are
left out. Everything runs in turn, on one core; rates are of the process' CPU time.

- stages: all that a document passes in `petit data build`, at 1, 10 and 100 times 2,000 passages of 1,500 characters
  from novels, English and French; copies differ in a word of every sentence. Then the same by formula for 250 B
  tokens on N nodes, from the rates measured in this run.
- repeats, tokens, quality: bench/data_repeats.py, data_tokens.py, data_quality.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from data_repeats import BASE, HERE, SHARED, measure_clusters, passages, seconds_of

from petitlm.data.corpus.row_stages import PLACES
from petitlm.data.corpus.schema import content_id, doc_id, documents
from petitlm.data.corpus.stage import Stage
from petitlm.data.repeats.clusters import apply, cluster, sign
from petitlm.data.repeats.decontaminate import Decontaminate
from petitlm.data.repeats.index import build_index
from petitlm.data.tokens.encoder import load_encoder
from petitlm.data.tokens.pack import pack
from petitlm.evals.conditions import OtherWork, machine
from petitlm.loading import DEFAULT_MODEL

CORES = 64
"""Cores of a node, in the estimate."""
BYTES_PER_TOKEN = 4
"""In the estimate; English under a vocabulary of 50,000 has a little more, French a little less."""


def table_of(texts: Sequence[str]) -> pa.Table:
    """Documents as they come from a reader."""
    ids = [content_id(text) for text in texts]
    return documents([{
        "doc_id": doc_id(id, "bench", str(i)), "content_id": id, "text": text, "origin": "human", "form": "book",
        "n_bytes": len(text.encode()), "source_id": "bench", "split": "train", "answers": [], "flags": [],
    } for i, (id, text) in enumerate(zip(ids, texts, strict=True))])  # fmt: skip


def stages(index: Path) -> dict[str, Stage]:
    """The stages that are there, in the order of `petit data build`."""
    made: dict[str, Stage] = {}
    for name, place in PLACES.items():
        module, kind = place.rsplit(".", 1)
        if name == "decontaminate":
            made[name] = Decontaminate(str(index))
            continue
        try:
            made[name] = getattr(importlib.import_module(module), kind)()
        except (ImportError, AttributeError) as error:
            print(f"  no stage {name}: {error}")
    return made


def measure_stages(scales: Sequence[int], folder: Path) -> tuple[dict[str, float], int]:
    """Print the CPU seconds of each stage at each scale; return the passages a second of each at the largest one, and
    the bytes of a passage."""
    index = folder / "benchmarks.index"
    seconds, made = seconds_of(lambda: build_index([SHARED / "benchmarks"]), 1)
    made.save(index)
    print(f"\nindex of {len(made.items):,} items of {len(made.tasks)} benchmarks: {seconds:.1f} s, "
          f"{index.stat().st_size / 1e6:.0f} MB")
    passed, n_bytes = stages(index), 0
    found: dict[str, list[float]] = defaultdict(list)
    for scale in scales:
        texts = passages(BASE * scale)
        n_bytes = sum(len(text.encode()) for text in texts) // len(texts)
        totals: dict[str, float] = defaultdict(float)
        signed: list[pa.Table] = []
        for at in range(0, len(texts), 10_000):  # in tables, as shards come
            rows = table_of(texts[at : at + 10_000])
            for name, stage in passed.items():
                begin = time.process_time()
                rows = stage(rows).kept
                totals[name] += time.process_time() - begin
            begin = time.process_time()
            signed.append(sign(rows))
            totals["sign"] += time.process_time() - begin
        begin = time.process_time()
        clusters = cluster(signed)
        totals["cluster"] += time.process_time() - begin
        begin = time.process_time()
        apply(rows, clusters)
        totals["apply"] += (time.process_time() - begin) * len(texts) / max(1, len(rows))
        totals["tokens"] += _pack(texts, folder)
        for name, spent in totals.items():
            found[name].append(spent)
    print(f"\nCPU seconds of one core for {BASE:,} passages of {n_bytes} bytes, times {', '.join(map(str, scales))}:")
    for name, spent in found.items():
        each = "".join(f"{s:10.2f}" for s in spent)
        print(f"  {name:16}{each}   {BASE * scales[-1] / spent[-1]:12,.0f} passages/s")
    each = "".join(f"{sum(spent[i] for spent in found.values()):10.2f}" for i in range(len(scales)))
    print(f"  {'all':16}{each}")
    return {name: BASE * scales[-1] / spent[-1] for name, spent in found.items()}, n_bytes


def _pack(texts: Sequence[str], folder: Path) -> float:
    table, encoder = table_of(texts), load_encoder(DEFAULT_MODEL)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        return seconds_of(lambda: pack([table], DEFAULT_MODEL, encoder, Path(out)), 1)[0]


def estimate(rates: dict[str, float], n_bytes: int, clusters: float) -> None:
    """Print the formula, with what was measured, for 250 B tokens."""
    n = 250e9 * BYTES_PER_TOKEN / n_bytes
    each = sum(1 / rate for name, rate in rates.items() if name != "cluster")
    alone = n / clusters / 3600
    print(f"""
Estimate for 250 B tokens (phi-2's unique text is said to be that), by formula; [m] measured, [a] assumed:
  documents n = 250e9 x {BYTES_PER_TOKEN} [a] / {n_bytes} bytes [m]          = {n / 1e6:,.0f} million
  core seconds a document, s = sum of 1 / rate [m]     = {each * 1e6:,.0f} us
  core hours, n s / 3600                               = {n * each / 3600:,.0f}
  clustering on one core, n / {clusters:10,.0f}/s [m]    = {alone:,.1f} h
  its memory, on that node, 850 B [m] n                = {850 * n / 1e9:,.0f} GB
  hours on N nodes of {CORES} cores [a], without waiting for disks [a]: n s / (3600 x {CORES} N) + clustering""")
    for nodes in (1, 4, 16):
        print(f"    N = {nodes:2}: {n * each / 3600 / CORES / nodes:8,.1f} h + {alone:,.1f} h")


def section(name: str, arguments: list[str]) -> None:
    """Run another bench of the data part, its output as it comes."""
    if (HERE / f"{name}.py").exists():
        print(f"\n== bench/{name}.py {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--scale", type=lambda text: [int(part) for part in text.split(",")], default=[1, 10, 100])
    parser.add_argument("--only", nargs="*", default=["stages", "repeats", "tokens", "quality"])
    asked = parser.parse_args()
    print(json.dumps(machine()))
    if "stages" in asked.only:
        others = OtherWork()
        with tempfile.TemporaryDirectory() as folder:
            rates, n_bytes = measure_stages(asked.scale, Path(folder))
        estimate(rates, n_bytes, measure_clusters(asked.scale))
        print(f"cores in use by others meanwhile: {others.cores()}")
    for name in ("repeats", "tokens", "quality"):
        if name in asked.only:
            section(f"data_{name}", ["--peers", asked.peers] if asked.peers else [])


if __name__ == "__main__":
    main()
