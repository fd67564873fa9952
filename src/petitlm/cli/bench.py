"""`petit bench`: how fast a model runs here, with the conditions that the figures hold under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from petitlm import sizes
from petitlm.cli.models import load_model
from petitlm.cli.options import cache_option, json_option, model_options
from petitlm.cli.output import note, print_columns, print_json

if TYPE_CHECKING:
    from petitlm.engine.cache import CacheKind
    from petitlm.evals.speed import SpeedReport

class Lengths(click.ParamType):
    """Whole numbers separated by commas: 128,1024."""

    name = "N,N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        try:
            lengths = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            lengths = ()
        if not lengths or min(lengths) < 1:
            self.fail(f"{value!r} is not a list of lengths such as 128,1024", param, ctx)
        return lengths


@click.command()
@model_options
@cache_option
@click.option("--prefill", type=click.IntRange(min=1), metavar="N", help="Tokens of the prompt (512).")
@click.option("--ctx", "contexts", type=Lengths(), help="Tokens before the decoded ones (128).")
@click.option("--gen", "n_tokens", type=click.IntRange(min=1), metavar="N", help="Tokens to decode (64).")
@click.option("--reps", type=click.IntRange(min=1), metavar="N", default=5, show_default=True,
              help="Repetitions of each.")
@json_option
def command(model: str | None, bits: int | None, threads: int | None, cache: CacheKind | None,
            prefill: int | None, contexts: tuple[int, ...] | None, n_tokens: int | None, reps: int,
            as_json: bool) -> None:
    """Measure prefill, decode, time to first token, memory, and the share of the memory's bandwidth that decode uses.

    Each figure is a median with the lowest and highest of the repetitions. A model with a short context is measured
    with half of it as prompt and a quarter each before and after. Close other programs first: what they took
    meanwhile is printed, too.
    """
    from petitlm.engine.cache import cache_bytes
    from petitlm.engine.kernels import NativeKernels, make_kernels
    from petitlm.evals import conditions, speed

    loaded = load_model(model, bits, threads, cache=cache)
    config = loaded.config
    speed.prefill_seconds(loaded, min(8, config.n_ctx - 1), seed=0)
    start_s = conditions.seconds_since_process_start()
    kernels = make_kernels(loaded.threads)

    def bandwidth() -> float:
        assert isinstance(kernels, NativeKernels)
        return kernels.read_bandwidth(min(1 << 30, sizes.available_memory() // 4))

    facts = {"model": loaded.name, "parameters": sizes.n_params(config), "bits": loaded.bits, "cache": loaded.cache,
             "threads": loaded.threads, "kernels": kernels.isa, **conditions.machine()}
    report = speed.measure(
        loaded, prefill=prefill or min(512, config.n_ctx // 2), contexts=contexts or (min(128, config.n_ctx // 4),),
        n_tokens=n_tokens or min(64, config.n_ctx // 4), repetitions=reps,
        bandwidth=bandwidth if isinstance(kernels, NativeKernels) else None, conditions=facts, start_s=start_s,
        cache_bytes_per_token=cache_bytes(config, 1, 16, loaded.cache) / 16,
        say=lambda text: None if as_json else note(f"measuring {text} ..."))
    if as_json:
        print_json(report)
    else:
        print_columns(lines(report))


def lines(report: SpeedReport) -> list[tuple[str, str]]:
    """Return (name, figure) for each line of the report."""
    facts, read = report.conditions, report.bandwidth_bytes_per_s
    limit = f"{read.median / 1e9:.1f} GB/s ({read.low / 1e9:.1f}..{read.high / 1e9:.1f})" if read else "not measured"
    rows = [("model", f"{facts['model']}, {facts['parameters']:,} parameters, {facts['bits']} bits"),
            ("machine", f"{facts['processor']}, {facts['cores']} cores"),
            ("computed with", f"{facts['threads']} threads, {facts['kernels']} kernels, {facts['cache']} cache"),
            ("memory bandwidth", limit),
            (f"prefill of {report.prefill_tokens}", f"{report.prefill_tokens_per_s} tokens/s"),
            ("time to first token", f"{report.first_token_s} s, with that prompt")]
    for row in report.decode:
        rows.append((f"decode after {row.context}", f"{row.tokens_per_s} tokens/s"))
        if row.share and row.share > 1.05:
            rows.append(("", "sooner than memory could be read: the model lies in the processor's caches"))
        elif row.share:
            rows.append(("", f"{row.share:.0%} of the {row.ceiling_tokens_per_s:,.1f} that the bandwidth allows"))
    if report.start_s is not None:
        rows.append(("start", f"{report.start_s:.2f} s from process start to the first token"))
    rows.append(("peak memory", sizes.size_text(report.peak_memory_bytes)))
    if report.other_cores_busy is not None:
        rows.append(("other programs", f"{report.other_cores_busy:.2f} cores busy meanwhile"))
    return rows
