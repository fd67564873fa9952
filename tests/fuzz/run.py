"""Fuzz one target with atheris (libFuzzer for Python):  python tests/fuzz/run.py TARGET [libFuzzer options] FOLDERS

Run by `make test-all` for five minutes each; longer by hand:
    python tests/fuzz/run.py gguf -max_total_time=3600 build/fuzz/gguf tests/fuzz/corpus/gguf
New inputs that reach new code land in the first folder. A crash leaves its input as `crash-...` (see -artifact_prefix):
add it to tests/fuzz/corpus/TARGET, where the tests replay it, and mend the reader.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))
with atheris.instrument_imports(include=["petitlm"]):
    from fuzz import targets
from fuzz.mutate import MUTATORS

# No input of 16 KB may take a minute (a hang, on a machine that is busy elsewhere) or 600 MB, libraries included.
LIMITS = ["-timeout=60", "-rss_limit_mb=600", "-max_len=16384"]


def main(target: str, options: list[str]) -> None:
    """Fuzz until libFuzzer ends the process."""
    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if target in MUTATORS and rng.random() < 0.5:
            return MUTATORS[target](data, rng)[:max_size]
        return atheris.Mutate(data, max_size)

    atheris.Setup([sys.argv[0], *LIMITS, *options], lambda data: targets.run(target, data), custom_mutator=mutate)
    try:
        atheris.Fuzz()
    finally:
        targets.clean_up()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(f"usage: run.py {{{','.join(targets.TARGETS)}}} [libFuzzer options] FOLDERS")
    main(sys.argv[1], sys.argv[2:])
