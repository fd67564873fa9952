"""`petit doctor`: what this machine can run, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from petitlm import sizes
from petitlm.cli.info import find
from petitlm.cli.models import own_model
from petitlm.cli.options import json_option
from petitlm.cli.output import note, plain, print_columns, print_json
from petitlm.errors import NotFoundError, UsageError
from petitlm.families import PRESETS

if TYPE_CHECKING:
    from petitlm.evals.doctor import Diagnosis, Fit, Subject

ALL_BITS = (4, 8, 16, 32)
_TOKENS, _REPETITIONS = 48, 12  # of the default model, to measure what a token costs besides the kernels


@click.command()
@click.argument("models", nargs=-1)
@click.option("--bits", type=click.Choice([str(bits) for bits in ALL_BITS]), multiple=True,
              help="Bits of a weight; may be given again (4 for the published shapes, all for MODELS).")
@click.option("--context", "contexts", type=click.IntRange(min=1), multiple=True, metavar="N",
              help="Predict after N tokens; may be given again (128, 1024 and the model's own context).")
@click.option("--threads", "-t", type=click.IntRange(min=1), metavar="N", help="Threads to compute with (all cores).")
@json_option
def command(models: tuple[str, ...], bits: tuple[str, ...], contexts: tuple[int, ...], threads: int | None,
            as_json: bool) -> None:
    """Say what this machine can run, and how fast.

    Looks at the processor, memory and limits, measures the engine for a few seconds, and predicts the speed of MODELS
    (folders, .gguf files or published shapes), or of the model that comes with petit and of all published shapes.
    Problems that cost speed are listed with what to do. The exit code is 0 even if nothing fits.
    """
    from petitlm.engine.kernels import available_cores
    from petitlm.evals.doctor import examine

    start = time.perf_counter()
    subjects = [subject_of(model) for model in models] or [*own_subject(), *preset_subjects()]
    wanted = sorted({int(b) for b in bits}) or ([*ALL_BITS] if models else [4])
    threads = threads or available_cores()
    if not as_json:
        note("measuring for a few seconds ...")
    diagnosis = examine(subjects, wanted, threads, token_seconds(threads), contexts)
    if as_json:
        print_json({**plain(diagnosis), "seconds": time.perf_counter() - start})
        return
    print_columns(lines(diagnosis))
    click.echo()
    print_columns(table(diagnosis.models, contexts))
    for problem in diagnosis.problems or ["No problem was found."]:
        click.echo(f"\n{problem}")


def subject_of(model: str) -> Subject:
    """Return the model that `model` names."""
    from petitlm.evals.doctor import Subject

    found = find(model)
    return Subject(found.name, found.config, found.packed_bits)


def own_subject() -> list[Subject]:
    """Return the model that comes with petit, if it came along."""
    from petitlm.evals.doctor import Subject

    try:
        found = find(None)
    except NotFoundError:
        return []
    return [Subject(found.name, found.config)]


def preset_subjects() -> list[Subject]:
    """Return the published shapes, once each."""
    from petitlm.evals.doctor import Subject

    once = {config: name for name, config in reversed(PRESETS.items())}  # the first name of each shape
    return [Subject(name, config) for config, name in reversed(once.items())]


def token_seconds(threads: int) -> float:
    """Return what the default model's tokens take besides the engine's steps; 0 where it did not come along."""
    import petitlm
    from petitlm.engine.kernels import available_isas
    from petitlm.engine.runner import as_ints
    from petitlm.evals import speed

    try:
        own_model()
    except NotFoundError:
        return 0.0
    if not available_isas():
        return 0.0
    model = petitlm.load(threads=threads)
    try:
        rates = [speed.decode_rate(model, 16, _TOKENS, seed) for seed in range(_REPETITIONS)]
    except UsageError:
        return 0.0
    session, seconds, first = model.runner.session(1, 16 + _TOKENS), [], as_ints([0])
    for i in _REPETITIONS * [*range(16, 16 + _TOKENS)]:
        position = as_ints([i])
        begin = time.perf_counter()
        session.step(first, position, first, first)
        seconds.append(time.perf_counter() - begin)
    return max(0.0, 1 / statistics.median(rates) - statistics.median(seconds))


def lines(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return (name, value) of each line above the table."""
    system, built = diagnosis.system, diagnosis.kernels
    cores = f"{_known(system.cores)} ({_known(system.cores_physical)} physical), {system.cores_usable} usable"
    memory = f"{_size(system.memory_bytes)}, {_size(system.memory_available_bytes)} available"
    kernels = "not built" if built.used is None else (
        f"{built.used} (available: {', '.join(built.available)}), compiled by {_known(built.compiled_by)}")
    rows = [("processor", system.processor),
            ("features", " ".join(system.features) or "unknown"),
            ("cores", f"{cores}; computing with {diagnosis.threads}"),
            ("caches", ", ".join(f"{name} {_size(size)}" for name, size in system.caches.items()) or "unknown"),
            ("memory", memory), ("huge pages", _known(system.huge_pages)), ("clock", _known(system.governor)),
            ("kernels", kernels)]
    if diagnosis.read_bytes_per_s:
        one, all_ = (diagnosis.read_bytes_per_s[key] / 1e9 for key in ("1", "all"))
        rows.append(("memory reads", f"{one:.1f} GB/s with 1 thread, {all_:.1f} GB/s with {diagnosis.threads}"))
    rows += [(f"{probe.format} products", f"{probe.decode_bytes_per_s / 1e9:.1f} GB/s of weights for one token, "
              f"{probe.prefill_op_per_s / 1e9:,.0f} GOP/s for many") for probe in diagnosis.matmul]
    if diagnosis.other_cores_busy is not None:
        rows.append(("other programs", f"{diagnosis.other_cores_busy:.2f} cores busy meanwhile"))
    return rows


def table(fits: tuple[Fit, ...], contexts: Sequence[int] = ()) -> list[tuple[str, ...]]:
    """Return the table of models; speeds are tokens per second, predicted, after `contexts` or the usual ones."""
    heads = [f"{context}" for context in contexts] or ["128", "1024", "full"]
    rows: list[tuple[str, ...]] = [("model", "bits", "weights", "cache", f"prefill {heads[0]}", *heads[1:],
                                    f"decode {heads[0]}", *heads[1:], "fits")]
    for fit in fits:
        speeds = {speed.context: speed for speed in fit.speeds}
        columns = contexts or (128, 1024, max(speeds, default=0))
        shown = [speeds.get(context) for context in columns]
        rows.append((fit.model, str(fit.bits), sizes.size_text(fit.weight_bytes), sizes.size_text(fit.cache_bytes),
                     *(_rate(speed and speed.prefill_tokens_per_s) for speed in shown),
                     *(_rate(speed and speed.decode_tokens_per_s) for speed in shown), verdict(fit)))
    return rows


def verdict(fit: Fit) -> str:
    """Return whether a model fits, in words."""
    if fit.fits is None:
        return "unknown"
    if fit.fits:
        return f"all {fit.n_ctx:,} tokens"
    return f"{fit.context_that_fits:,} of {fit.n_ctx:,} tokens" if fit.context_that_fits else "no"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _size(n_bytes: int | None) -> str:
    return "unknown" if n_bytes is None else sizes.size_text(n_bytes)


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)
