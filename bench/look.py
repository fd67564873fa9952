"""What looking costs: time and memory of taps, of the lens and of patches, beside runs that nobody looks into.

usage: python bench/look.py [MODEL] [--shape gpt2 --bits 4] [--threads 2] [--reps 7] [--only none,resid,...]
                            [--prompt 128] [--long 512] [--seconds 6]
       python bench/look.py --peers PYTHON [--shape tiny] ...      beside TransformerLens and nnsight

MODEL is a folder as `petit look` takes it (the default model if left out); --shape takes random weights of a preset's
shape instead (`tiny`, `gpt2`, `phi-2`, ...). Both kinds of run are timed in turns, so that a machine that slows down
slows both; a figure is the ratio of the medians, with the quartiles of the rounds' own ratios. Bars: no tap 0.5 % and
the same bits; the residual stream after every block at the last position 2 %; all patterns of a long text 15 %; the
lens (10 tokens at every layer, last position) 60 % of one token's step; exact patches of every head at the last
position 600 such steps for 1,024 heads; memory of a filtered trace its own bytes and 50 MB. `a token` is what the same
taps cost a single step, which is as short as a run can be.
--peers runs the same questions in float32 on the interpreter PYTHON, which has transformer_lens and nnsight
(`make oracles`), and on petit in 32 and 4 bits, with weights of the same shape.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import petitlm
from petitlm.checkpoint import save_hf
from petitlm.config import ModelConfig
from petitlm.decoder import NO_TAP
from petitlm.engine.edits import Edit
from petitlm.engine.runner import as_ints
from petitlm.engine.runs import run_text, run_variants, trace_bytes
from petitlm.engine.trace import Keep, Recorder, Trace
from petitlm.evals.conditions import OtherWork, machine, peak_memory
from petitlm.evals.speed import Spread, random_ids
from petitlm.families import PRESETS
from petitlm.look.models import Model
from petitlm.sizes import size_text

TINY = ModelConfig(n_layers=4, d_model=128, n_heads=4, d_head=32, d_mlp=512, n_vocab=2048, n_ctx=1024, n_rotary=16,
                   unembed_bias=True)
BYTES_OVER = 50e6
"""Bytes that a filtered trace may take beyond its own."""
MEMORY_TAPS: dict[str, Sequence[Any]] = {
    "resid_post": ["resid_post"], "one pattern": [("pattern", 0)], "z, top 8 of mlp_post": ["z", Keep("post", top=8)],
}


@dataclass(frozen=True)
class Row:
    """One figure, with the bar that it should stay under."""

    name: str
    value: Spread
    bar: float
    unit: str = "%"

    def __str__(self) -> str:
        verdict = "ok" if self.value.median <= self.bar else "OVER"
        return f"{self.name:58} {self.value!s:26} {self.unit:8} bar {self.bar:g}  {verdict}"


class Case:
    """A model, a text, and the runs that are compared."""

    def __init__(self, model: Model, n_short: int, n_long: int, reps: int, budget: float) -> None:
        self.model, self.runner, self.config, self.reps, self.budget = model, model.runner, model.config, reps, budget
        room = model.context
        self.short, self.long = (random_ids(self.config, min(n, room - 1), n) for n in (n_short, n_long))

    def step_seconds(self) -> float:
        """Return the median seconds of one token's step after the short text, which nobody looks into."""
        step = self.stepper()
        return statistics.median(_seconds(step) for _ in range(max(self.reps, 9)))

    def stepper(self, tap: Callable[[], Any] = lambda: NO_TAP) -> Callable[[], Any]:
        """Return what runs one token after the short text."""
        n, session = len(self.short), self.runner.session(1, len(self.short) + 1)
        _through(session, self.short)
        one, at, slot = as_ints(self.short[:1]), as_ints([n]), as_ints([0])
        return lambda: session.step(one, at, slot, None, tap())

    def none(self) -> list[Row]:
        """No tap: the same bits, and the same time as the session's own steps."""
        def plain(ids: list[int]) -> np.ndarray:
            return _through(self.runner.session(1, len(ids)), ids)

        def looked(ids: list[int], taps: Sequence[Any] = ()) -> np.ndarray:
            return run_text(self.runner, ids, taps, wanted="last").logits

        for taps in ([], [Keep("resid_post", at=-1), ("pattern", 0), "z"]):
            same = plain(self.short).view(np.uint32) == looked(self.short, taps).view(np.uint32)
            assert same.all(), "looking changes no bit"
        few = self.short[:8]  # short runs show most of what is done beside them, and there is time for many
        return [Row(f"no tap, {len(few)} tokens", self.share(lambda: plain(few), lambda: looked(few)), 0.5)]

    def resid(self) -> list[Row]:
        """`resid_post` of all layers at the last position."""
        recorder = Recorder(self.config, ["resid_post"], [], as_ints([]))

        def tap() -> Recorder:
            recorder.go_on(as_ints([len(self.short)]))
            return recorder

        rows, keep = [], [Keep("resid_post", at=-1)]
        for ids in (self.short, self.long):
            rows.append(Row(f"resid_post of all layers, last of {len(ids)} tokens",
                            self.share(lambda ids=ids: run_text(self.runner, ids, wanted="last"),
                                       lambda ids=ids: run_text(self.runner, ids, keep, wanted="last")), 2))
        return [*rows, Row("resid_post of all layers, a token", self.share(self.stepper(), self.stepper(tap)), 2)]

    def patterns(self) -> list[Row]:
        """Every attention pattern of the long text."""
        share = self.share(lambda: run_text(self.runner, self.long, wanted="last"),
                           lambda: run_text(self.runner, self.long, ["pattern"], wanted="last"))
        return [Row(f"all patterns, {len(self.long)} tokens", share, 15)]

    def lens(self) -> list[Row]:
        """Ten tokens at every layer, at the last position, as a share of a token's step."""
        from petitlm.look import lens

        few = self.short[:2]  # what it costs at the last position does not depend on what comes before

        def looked() -> Any:
            return lens(self.model, few, at=-1, top=10)

        def plain() -> Any:
            return run_text(self.runner, few, wanted="last")

        looked(), plain()
        more = [_seconds(looked) - _seconds(plain) for _ in range(3 * self.reps)]
        step = self.step_seconds()
        return [Row("lens, 10 tokens at all layers, last position", Spread.of([100 * s / step for s in more]), 60)]

    def sweep(self) -> list[Row]:
        """An exact patch of every head at the last position, in steps of one token."""
        layers, heads = self.config.n_layers, self.config.n_heads
        value = np.full(self.config.d_head, 0.1, np.float32)
        variants = [[Edit(("z", i), "replace", value, -1, head)] for i in range(layers) for head in range(heads)]
        before = self.step_seconds()

        def run() -> list[Trace]:
            return list(run_variants(self.runner, self.short, variants))

        spent = [_seconds(run) for _ in range(min(2, self.reps))]
        step = (before + self.step_seconds()) / 2
        name = f"patches of {len(variants)} heads after {len(self.short)} tokens"
        return [Row(name, Spread.of([s / step for s in spent]), 600 / 1024 * len(variants), "steps")]

    def share(self, plain: Callable[[], Any], looked: Callable[[], Any]) -> Spread:
        """Return how much longer `looked` takes, in per cent: `reps` rounds in turns or more, for some seconds."""
        plain(), looked()
        seconds: dict[Callable[[], Any], list[float]] = {plain: [], looked: []}
        end = time.perf_counter() + self.budget
        while len(seconds[plain]) < self.reps or time.perf_counter() < end:
            for f in (plain, looked) if len(seconds[plain]) % 2 else (looked, plain):
                seconds[f].append(_seconds(f))
        ratios = sorted(b / a for a, b in zip(seconds[plain], seconds[looked], strict=True))
        found = [statistics.median(seconds[looked]) / statistics.median(seconds[plain]), ratios[len(ratios) // 4],
                 ratios[-1 - len(ratios) // 4]]
        return Spread(*(100 * (x - 1) for x in found), len(ratios))


def _seconds(f: Callable[[], Any]) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def _through(session: Any, ids: Sequence[int]) -> np.ndarray:
    """Run a text in the session's own steps and return the last logits (1, V)."""
    for begin in range(0, len(ids), 256):
        part = as_ints(ids[begin : begin + 256])
        wanted = as_ints([len(part) - 1] if begin + len(part) == len(ids) else [])
        logits = session.step(part, as_ints(range(begin, begin + len(part))), np.zeros(len(part), np.int32), wanted)
    return logits


def memory(arguments: argparse.Namespace) -> list[Row]:
    """Peak memory of filtered traces beyond their own bytes, each in a process of its own."""
    own = [sys.executable, __file__, *([arguments.model] if arguments.model else []), "--threads",
           str(arguments.threads), "--long", str(arguments.long)]
    own += ["--shape", arguments.shape, "--bits", str(arguments.bits)] if arguments.shape else []
    peaks: dict[str, list[float]] = {}
    for name in ["", *MEMORY_TAPS]:
        out = subprocess.run([*own, "--peak", name or "nothing"], capture_output=True, text=True, check=True).stdout
        peaks[name] = [json.loads(out.splitlines()[-1])[key] for key in ("peak", "trace")]
    return [Row(f"memory beyond a trace of {size_text(int(trace))} ({name})",
                Spread.of([(peak - peaks[""][0] - trace) / 1e6]), BYTES_OVER / 1e6, "MB")
            for name, (peak, trace) in peaks.items() if name]


def peak(model: Model, long: int, name: str) -> None:
    """Run one trace and print what this process took at most."""
    taps = MEMORY_TAPS.get(name, [])
    ids = random_ids(model.config, min(long, model.context - 1), long)
    run_text(model.runner, ids[:8], wanted="last")
    trace = run_text(model.runner, ids, taps, wanted="last")
    expected = trace_bytes(model.config, taps, len(ids))
    assert trace.n_bytes == expected, "the size is known beforehand"
    print(json.dumps({"peak": peak_memory(), "trace": expected}))


def shape_of(name: str) -> ModelConfig:
    """Return a preset's shape, or the tiny one."""
    return TINY if name == "tiny" else PRESETS[name].with_(n_ctx=1024)


def make_folder(config: ModelConfig, folder: Path) -> Path:
    """Write random weights of a shape as a checkpoint in float32, with the default model's tokenizer."""
    rng, shapes = np.random.default_rng(0), config.tensor_shapes()

    def read(name: str) -> np.ndarray:
        if len(shapes[name]) == 1:
            return np.full(shapes[name], float(name.endswith("weight")), np.float32)
        return rng.standard_normal(shapes[name], np.float32) * np.float32(0.02)

    tokenizer = petitlm.load(None).tokenizer
    save_hf(folder, config, read, tokenizer, dtype="float32", card=None)
    return folder


def loaded(arguments: argparse.Namespace, folder: Path) -> Model:
    """Return the model that was asked for."""
    path = make_folder(shape_of(arguments.shape), folder) if arguments.shape else arguments.model
    return petitlm.load(path, bits=arguments.bits if arguments.shape else None, threads=arguments.threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--shape", choices=["tiny", *PRESETS])
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=6, help="of each comparison, at least")
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--long", type=int, default=512)
    parser.add_argument("--only", type=lambda text: text.split(","),
                        default=["none", "resid", "patterns", "lens", "sweep", "memory"])
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.peers:
            from look_peers import compare

            return compare(arguments, make_folder(shape_of(arguments.shape or "tiny"), Path(folder) / "model"))
        model = loaded(arguments, Path(folder) / "model")
        if arguments.peak:
            return peak(model, arguments.long, arguments.peak)
        facts, other = machine(), OtherWork()
        print(f"{facts['processor']}, {facts['cores']} cores, {facts['measured']}; {arguments.threads} threads; "
              f"medians of {arguments.reps}; {model.name}, {model.bits} bits")
        case = Case(model, arguments.prompt, arguments.long, arguments.reps, arguments.seconds)
        for name in arguments.only:
            for row in memory(arguments) if name == "memory" else getattr(case, name)():
                print(row, flush=True)
        print(f"a token's step: {1e3 * case.step_seconds():.2f} ms; others took {other.cores() or 0:.2f} cores")


if __name__ == "__main__":
    main()
