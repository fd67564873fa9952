"""Time to the first token of a long prompt: nothing known, known in memory, known on disk, and the last text again.

usage: python bench/prefix_cache.py [MODEL] [--prompt 512] [--reps 3] [--threads 2] [--folder DIR]

"On disk" is what another process would do: the files are read (from the system's file cache, unless memory is short),
checked and copied, and the rest of the prompt is run. Tokens are random: none of this depends on which they are.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import petitlm
from petitlm.engine.prefixes import Prefixes
from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.speed import random_ids
from petitlm.sizes import size_text


def first_token_s(model: petitlm.Model, prompt: list[int]) -> tuple[float, int, tuple[int, ...]]:
    """Return the seconds to the first token, how many tokens were known, and the token."""
    start = time.perf_counter()
    result = model.generate(prompt, max_tokens=1)
    return time.perf_counter() - start, result.n_reused, result.ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--folder", type=Path, help="where the files go meanwhile (a temporary folder)")
    arguments = parser.parse_args()
    other, facts = OtherWork(), machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        models = {"in memory": petitlm.load(arguments.model, threads=arguments.threads, prefix_cache=1 << 32),
                  "on disk": petitlm.load(arguments.model, threads=arguments.threads, prefix_cache=folder)}
        model = models["in memory"]
        n = min(arguments.prompt, model.config.n_ctx - 1)
        size = size_text(model.runner.session(1, n).n_bytes(0, n // 16 * 16))
        print(f"{model.name}, {model.bits} bits, {model.threads} threads; {facts['processor']}, {facts['measured']}\n"
              f"prompt of {n} tokens, {size} of keys and values, medians of {arguments.reps}\n")
        times: dict[str, list[float]] = {}
        for rep in range(arguments.reps):
            prompt, tokens = random_ids(model.config, n, rep), set()
            plain = Prefixes(model.runner.session)
            kept, model.prefixes = model.prefixes, plain
            for what in ("nothing known", "the last text"):
                seconds, n_known, ids = first_token_s(model, prompt)
                times.setdefault(f"{what} ({n_known} tokens)", []).append(seconds)
                tokens.add(ids)
            model.prefixes = kept
            for where, knows in models.items():
                seconds, n_known, _ = first_token_s(knows, prompt)  # now it is kept, and the time has that in it
                if where == "in memory" or rep == 0:
                    times.setdefault(f"and keeping it {where} ({n_known} tokens)", []).append(seconds)
                first_token_s(knows, random_ids(model.config, 8, 99))  # something else is the last text
                seconds, n_known, ids = first_token_s(knows, prompt)
                times.setdefault(f"{where} ({n_known} tokens)", []).append(seconds)
                tokens.add(ids)
            assert len(tokens) == 1, "the same token, whatever was known"
        longest = max(map(len, times))
        cold = statistics.median(next(iter(times.values())))
        for what, seconds in times.items():
            median = statistics.median(seconds)
            print(f"{what:<{longest}}  {median:>8.4f} s  {cold / median:>6.1f} x")
    print(f"\n{other.cores() or 0:.2f} cores busy elsewhere")


if __name__ == "__main__":
    main()
