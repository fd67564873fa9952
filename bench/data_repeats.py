"""Repeats: signatures, who meets whom, and clusters; petit beside datatrove, rensa and datasketch.

usage: python bench/data_repeats.py [--peers PYTHON] [--passages 20000] [--reps 3] [--scale 1,10,100]

PYTHON is an interpreter that has datatrove and spacy; without it its rows are left out. Passages are of 1,500
characters, from the novels of ../shared/data/text, 55 % English; rates are of the process' CPU time, the best of
`reps`, on one core, everything in turn.

- signatures: text in memory to 112 MinHash values, shingles of 5 words.
- agreement: pairs of passages and changed copies that meet in a band, ours and datatrove's, by exact similarity.
- clusters: who repeats whom, from signatures. The larger corpora are the same signatures again, each copy with random
  bits of its own: it has the repeats of the first one, and none with the others.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from petitlm.data.repeats import reference
from petitlm.data.repeats.clusters import cluster, signed_schema
from petitlm.data.repeats.minhash import Repeats, band_keys, meeting_probability, signatures, sketch
from petitlm.evals.conditions import OtherWork, machine, peak_memory

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared" / "data"
PASSAGE = 1500
BASE = 2_000
"""Passages of the corpus of size 1."""
T = TypeVar("T")


def novels(name: str, n: int) -> list[str]:
    """Passages of the novels in one language; again from the beginning, with other names, where there are too few."""
    with gzip.open(SHARED / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        whole = [json.loads(line)["text"] for line in file]
    found = [text[i : i + PASSAGE] for text in whole for i in range(0, len(text) - PASSAGE, PASSAGE)]
    return [changed(found[i % len(found)], i // len(found)) for i in range(n)]


def changed(text: str, copy: int) -> str:
    """`text` with a word in each sentence that no other copy has; the first copy is the text itself."""
    name = "".join(chr(ord("a") + int(digit)) for digit in str(copy))  # no digits: those cost some stages more
    return re.sub(r"\. (?=\w)", f". Zeno{name} ", text) if copy else text


def passages(n: int) -> list[str]:
    """English and French, 55 to 45."""
    english = round(0.55 * n)
    return novels("novels_en", english) + novels("novels_fr", n - english)


def seconds_of(call: Callable[[], T], reps: int) -> tuple[float, T]:
    """CPU seconds, the best of `reps`."""
    times: list[float] = []
    result: Any = None
    for _ in range(reps):
        begin = time.process_time()
        result = call()
        times.append(time.process_time() - begin)
    return min(times), result


def row(what: str, tool: str, rate: float, unit: str = "passages/s", ours: float | None = None, note: str = "") -> None:
    times = f"{ours / rate:8.1f} x" if ours is not None and ours != rate else " " * 10
    print(f"{what:26}{tool:30}{rate:14,.0f} {unit:12}{times}  {note}".rstrip(), flush=True)


def measure_signatures(texts: list[str], reps: int, peers: str | None) -> float:
    """Print petit's rate and the others'; return petit's."""
    column = pa.array(texts, pa.large_string())
    seconds, _ = seconds_of(lambda: band_keys(signatures(column)), reps)
    ours = len(texts) / seconds
    row("signatures", "petit, with band keys", ours, note=f"{sum(map(len, texts)) / seconds / 1e6:.0f} MB/s")
    few = texts[:: max(1, len(texts) // 2000)]
    for name, tool in (("Python shingles + rensa", _rensa), ("Python shingles + datasketch", _datasketch)):
        if (call := tool(few)) is not None:
            row("signatures", name, len(few) / seconds_of(call, reps)[0], ours=ours)
    twin, _ = seconds_of(lambda: [reference.run_keys(text, 5, True) for text in few[:100]], 1)
    row("signatures", "petit's twin, shingles only", 100 / twin, ours=ours)
    if peers:
        split = [few[: len(few) * 55 // 100], few[len(few) * 55 // 100 :]]
        theirs = sum(_datatrove(peers, part, language, reps)["seconds"] for part, language in
                     zip(split, ("eng", "fra"), strict=True))  # fmt: skip
        row("signatures", "datatrove", len(few) / theirs, ours=ours, note="to files, with spacy's words")
    return ours


def _shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 5]) for i in range(len(words) - 4)}


def _rensa(texts: Sequence[str]) -> Callable[[], object] | None:
    try:
        from rensa import RMinHash
    except ImportError:
        return None

    def run() -> None:
        for text in texts:
            made = RMinHash(num_perm=112, seed=1)
            made.update(list(_shingles(text)))
            made.digest()

    return run


def _datasketch(texts: Sequence[str]) -> Callable[[], object] | None:
    try:
        from datasketch import MinHash
    except ImportError:
        return None

    def run() -> None:
        for text in texts:
            MinHash(112, seed=1).update_batch([shingle.encode() for shingle in _shingles(text)])

    return run


def _datatrove(python: str, texts: Sequence[str], language: str, reps: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(list(texts), file)
        file.flush()
        command = [python, str(HERE / "peers" / "repeats_worker.py"), file.name, language, str(reps)]
        said = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    lines = [line[3:] for line in said.stdout.splitlines() if line.startswith("@@ ")]
    if not lines:
        raise SystemExit(f"datatrove failed:\n{said.stderr[-2000:]}")
    return json.loads(lines[0])


def measure_agreement(peers: str | None) -> None:
    """Print, by exact similarity, how many pairs meet: by the formula, ours, theirs."""
    rng = Random(1)
    first = novels("novels_en", 1000)
    second = [" ".join(f"zz{rng.random()}" if rng.random() < share else word for word in text.split())
              for text in first for share in [rng.choice((0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07))]]  # fmt: skip
    keys = [set(reference.run_keys(text, 5, True)[1]) for text in first + second]
    exact = np.array([len(a & b) / len(a | b) for a, b in zip(keys[:1000], keys[1000:], strict=True)])
    bands = band_keys(signatures(first + second))
    ours = (bands[:1000] == bands[1000:]).any(1)
    theirs = None
    if peers:
        found = _datatrove(peers, first + second, "eng", 1)["bands"]
        theirs = np.array([any(a == b for a, b in zip(*pair, strict=True))
                           for pair in zip(found[:1000], found[1000:], strict=True)])  # fmt: skip
    print("\nPairs that meet in a band of 14 x 8, by exact similarity of their shingles:")
    for low in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        inside = (exact >= low) & (exact < low + 0.1)
        formula = np.mean([meeting_probability(j) for j in exact[inside]])
        print(f"  {low:.1f} to {low + 0.1:.1f}: {inside.sum():4} pairs, formula {formula:6.1%}, "
              f"petit {ours[inside].mean():6.1%}"
              + (f", datatrove {theirs[inside].mean():6.1%}" if theirs is not None else ""))
    if theirs is not None:
        print(f"  the same decision for {np.mean(ours == theirs):.1%} of the pairs")
    _false_pairs(bands, keys)


def _false_pairs(bands: np.ndarray, keys: list[set[int]]) -> None:
    met: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, mine in enumerate(bands.tolist()):
        for band, key in enumerate(mine):
            met[band, key].append(i)
    pairs = {pair for members in met.values() for pair in combinations(members, 2)}
    low = sum(len(keys[a] & keys[b]) / len(keys[a] | keys[b]) < 0.4 for a, b in pairs)
    print(f"  of {len(pairs)} pairs that meet, {low} are less alike than 0.4")


def copies(base: np.ndarray, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """Signatures of `n` documents: those of `base` again and again, each time with random bits of their own."""
    rng = np.random.default_rng(0)
    for at in range(0, n, len(base)):
        yield at, base[: n - at] ^ rng.integers(0, 1 << 63, base.shape[1], dtype=np.uint64)


def signed_copies(base: np.ndarray, n: int) -> Iterator[pa.Table]:
    repeats = Repeats()
    for at, values in copies(base, n):
        ids = [i.to_bytes(16, "big") for i in range(at, at + len(values))]
        yield pa.table([
            pa.array(ids, pa.binary(16)), pa.array(ids, pa.binary(16)), pa.nulls(len(ids), pa.binary(16)),
            pa.array(["en"] * len(ids)), pa.array([4] * len(ids), pa.int8()), pa.nulls(len(ids), pa.float32()),
            pa.array([r.tobytes() for r in band_keys(values, repeats)], pa.binary(8 * repeats.bands)),
            pa.array([r.tobytes() for r in sketch(values)], pa.binary(repeats.n_hashes)),
        ], schema=signed_schema())  # fmt: skip


def measure_clusters(scales: Sequence[int]) -> float:
    """Print the rate and memory of clustering at each scale; return the last rate."""
    rng = Random(2)
    some = passages(BASE)
    near = [" ".join("zz" if rng.random() < 0.01 else word for word in text.split()) for text in some[: BASE // 5]]
    base = signatures(some + some[: BASE // 10] + near)
    rate = math.nan
    for scale in scales:
        tables = list(signed_copies(base, len(base) * scale * 10))
        n = sum(map(len, tables))
        seconds, found = seconds_of(lambda tables=tables: cluster(tables), 1)
        rate = n / seconds
        dropped = found["kept"].to_pylist().count(False) / n
        note = f"{n:,} documents, {dropped:.1%} dropped, peak {peak_memory() / 1e9:.2f} GB of the process"
        row("clusters", "petit", rate, "documents/s", note=note)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--scale", type=lambda text: [int(part) for part in text.split(",")], default=[1, 10, 100])
    asked = parser.parse_args()
    print(json.dumps(machine()))
    others, texts = OtherWork(), passages(asked.passages)
    measure_signatures(texts, asked.reps, asked.peers)
    measure_clusters(asked.scale)
    measure_agreement(asked.peers)
    print(f"cores in use by others meanwhile: {others.cores()}")


if __name__ == "__main__":
    main()
