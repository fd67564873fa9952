"""Any bytes give a model or a petit error: the corpus is replayed, and each reader fuzzed for a while."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from fuzz import targets
from fuzz.mutate import MUTATORS

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("PETIT_FUZZ_SECONDS", "300"))  # of each target, in `make test-all`
INPUTS = sorted(path.relative_to(HERE / "corpus") for path in (HERE / "corpus").glob("*/*"))


@pytest.mark.parametrize("path", INPUTS, ids=str)
def test_every_input_of_the_corpus(path: Path) -> None:
    """Whole files are read; `refused-...` are refused, with a sentence; neither takes much memory."""
    data = (HERE / "corpus" / path).read_bytes()
    targets.run(path.parts[0], data)  # imports what it needs
    tracemalloc.start()
    try:
        result = targets.run(path.parts[0], data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (result != "read") == path.name.startswith("refused-"), result
    assert peak < 4_000_000


@pytest.mark.parametrize("name", targets.TARGETS)
def test_changed_files_are_read_or_refused(name: str) -> None:
    """A little fuzzing without the fuzzer, for machines that have none."""
    rng, seeds = random.Random(0), [path for path in INPUTS if path.parts[0] == name]
    results = set()
    for _ in range(300):
        data = (HERE / "corpus" / rng.choice(seeds)).read_bytes()
        for _ in range(rng.randint(1, 3)):
            data = MUTATORS[name](data, rng)
        results.add(targets.run(name, data))
    assert "read" in results
    assert len(results) > 20  # refusals for many reasons


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris, which has wheels for Linux on "
                    "x86-64 with Python up to 3.13; pip install atheris")
@pytest.mark.parametrize("name", targets.TARGETS)
def test_fuzzing_finds_nothing(name: str, tmp_path: Path) -> None:
    options = [f"-max_total_time={SECONDS}", f"-artifact_prefix={tmp_path}/", "-verbosity=0", "-print_final_stats=1"]
    run = subprocess.run([sys.executable, HERE / "run.py", name, *options, tmp_path, HERE / "corpus" / name],
                         capture_output=True, text=True, timeout=SECONDS + 300)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "number_of_executed_units" in run.stderr
