"""How well `petit doctor` predicts: its figures beside measured ones on the same models, in turn, in one run.

usage: python bench/doctor.py [MODEL...] [--threads 2] [--ctx 128,1024] [--gen 24] [--rounds 3] [--folder DIR]
                              [--only NAME]

MODEL is a folder, such as phi-2 packed by `petit quantize`; the model that comes with petit is always measured, and so
is gpt2's shape with random weights, which is made in --folder at the first run. In each round the machine is probed as
the doctor does it, and right after that the model runs as `petit bench` runs it: a shared machine may be half as fast a
second later, so only neighbours are compared. Shown are the medians of both and the median of the rounds' errors.
Target: within 15 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import petitlm
from petitlm.checkpoint import open_checkpoint, save_hf
from petitlm.cli.doctor import token_seconds
from petitlm.engine.packing import quantize
from petitlm.evals import speed
from petitlm.evals.conditions import OtherWork, machine
from petitlm.evals.doctor import Subject, examine
from petitlm.families import preset
from petitlm.front import Model
from petitlm.loading import DEFAULT_MODEL
from petitlm.tokenizer import Tokenizer

MIDDLE = "gpt2"
TARGET = 0.15


def make_middle(folder: Path, threads: int) -> Path:
    """Return a packed folder of gpt2's shape with random weights, made where it is not there yet."""
    packed, config, rng = folder / f"{MIDDLE}-q4", preset(MIDDLE), np.random.default_rng(0)
    if not packed.is_dir():
        shapes = config.tensor_shapes()
        with tempfile.TemporaryDirectory() as plain:
            save_hf(Path(plain) / MIDDLE, config, lambda name: rng.normal(0, 0.02, shapes[name]).astype(np.float32),
                    Tokenizer.load(DEFAULT_MODEL), dtype="float16")
            quantize(open_checkpoint(Path(plain) / MIDDLE), packed, 4, threads)
    return packed


def measure(model: Model, context: int, n: int, seed: int) -> tuple[float, float]:
    """Return tokens per second of a prompt of `context` tokens, and of `n` after it.

    Medians over half a second of repetitions, at least one: a small model is ready in milliseconds, and at first its
    weights are still in memory and not in the caches.
    """
    rates: list[tuple[float, float]] = []
    end = time.monotonic() + 0.5
    while not rates or time.monotonic() < end:
        ids = speed.random_ids(model.config, context, 1000 * seed + len(rates))
        result = model.generate(ids, max_tokens=n + 1, logit_bias=speed.endless(model.config), speculate=None)
        rates.append((context / result.prefill_s, n / result.decode_s))
    prefill, decode = zip(*rates, strict=True)
    return statistics.median(prefill), statistics.median(decode)


def compare(label: str, path: Path | None, arguments: argparse.Namespace) -> float:
    """Print a line for each figure of one model; return the largest error."""
    model = petitlm.load(path, threads=arguments.threads)
    wanted = [c for c in map(int, arguments.ctx.split(",")) if c + arguments.gen < model.context]
    predicted: dict[tuple[str, int], list[float]] = {}
    measured: dict[tuple[str, int], list[float]] = {}
    measure(model, 16, 4, 0)
    for seed in range(arguments.rounds):
        for context in wanted:
            middle = context + arguments.gen // 2  # decoding goes on from there to twice as far
            token_s = token_seconds(arguments.threads)
            fit = examine([Subject(label, model.config)], [model.bits], arguments.threads, token_s, [context, middle],
                          formats=()).models[0]
            said = {speed.context: speed for speed in fit.speeds}
            prefill, decode = measure(model, context, arguments.gen, seed + 1)
            for key, value, guess in ((("prefill of", context), prefill, said[context].prefill_tokens_per_s),
                                      (("decode after", context), decode, said[middle].decode_tokens_per_s)):
                measured.setdefault(key, []).append(value)
                predicted.setdefault(key, []).append(guess)
    worst = 0.0
    for key, values in measured.items():
        error = statistics.median(guess / value for guess, value in zip(predicted[key], values, strict=True)) - 1
        worst = max(worst, abs(error))
        print(f"| {label} | {key[0]} {key[1]} | {speed.Spread.of(values)} | {speed.Spread.of(predicted[key])} | "
              f"{error:+.0%} |", flush=True)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ctx", default="128,1024")
    parser.add_argument("--gen", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--only", help="leave out all models but the one of this name")
    arguments = parser.parse_args()
    named = [("petit's own", None), (f"{MIDDLE}, random", make_middle(arguments.folder, arguments.threads)),
             *((model.name, model) for model in arguments.models)]
    facts, other = machine(), OtherWork()
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['measured']}; {arguments.threads} threads; tokens/s\n")
    print("| model | figure | measured | predicted | error |\n|---|---|---|---|---|")
    worst = max(compare(label, model, arguments) for label, model in named if arguments.only in (None, label))
    print(f"\nlargest error {worst:.0%} (target: {TARGET:.0%}); other programs took {other.cores() or 0:.2f} cores")


if __name__ == "__main__":
    main()
