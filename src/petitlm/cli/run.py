"""`petit run`: one prompt, one answer, streamed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli import answer
from petitlm.cli.models import guesser, load_model
from petitlm.cli.options import (
    context_options,
    json_option,
    model_options,
    prompt_options,
    sampling_options,
    speed_options,
)
from petitlm.cli.output import note, print_columns, print_json
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.engine.cache import CacheKind
    from petitlm.engine.generation import Generation
    from petitlm.engine.sampling import Choice
    from petitlm.front import Model
    from petitlm.tokenizer import Tokenizer


class LogitBias(click.ParamType):
    """ID=VALUE, such as 50256=-100."""

    name = "ID=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, float]:
        try:
            token, bias = str(value).split("=")
            return int(token), float(bias)
        except ValueError:
            self.fail(f"{value!r} is not ID=VALUE, such as 50256=-100", param, ctx)


@click.command()
@click.argument("prompt", required=False)
@model_options
@context_options
@prompt_options
@sampling_options
@speed_options
@click.option("--logit-bias", type=LogitBias(), multiple=True, help="Added to a token's logit; may be given again.")
@click.option("--n", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
              help="How many answers to make.")
@click.option("--logprobs", type=click.IntRange(0, 20), metavar="K",
              help="Also give the log-probability of each token and of the K likeliest.")
@json_option
def command(prompt: str | None, model: str | None, bits: int | None, threads: int | None, context: int | None,
            rope_scaling: str | None, cache: CacheKind | None, shape: str | None, system: str | None,
            stop: tuple[str, ...],
            logit_bias: tuple[tuple[int, float], ...], n: int, logprobs: int | None, as_json: bool,
            max_tokens: int | None, speculate: str, draft: str | None, prefix_cache: str | None,
            prefix_cache_gib: float, **sampling: Any) -> None:
    """Answer PROMPT; with - as PROMPT, or in a pipe, the prompt is read from standard input.

    The answer goes to standard output as it is made; the last line (tokens, tokens per second, seconds) to standard
    error. With --json, one object with everything is printed at the end instead.
    """
    if prompt is None and sys.stdin.isatty():
        raise UsageError("there is no prompt; write it after `petit run`, or - to read standard input")
    text = answer.read_stdin() if prompt is None or prompt == "-" else answer.decode(os.fsencode(prompt), "the prompt")
    if not text.strip():
        raise UsageError("the prompt is empty; write something to answer or to go on from")
    from petitlm.prompts import shape_named

    loaded = load_model(model, bits, threads, context, rope_scaling, prefix_cache, prefix_cache_gib, cache)
    layout = shape_named(shape or loaded.prompt)
    answer.warn_of_turns(layout, text)
    rendered = layout.render(text, system=system)
    options = {**sampling, "stop": (*layout.stops, *stop), "n": n, "logprobs": logprobs,
               "logit_bias": dict(logit_bias), "max_tokens": max_tokens,
               "speculate": guesser(speculate, draft, threads)}
    if as_json:
        result = loaded.generate(rendered, **options)
        print_json(describe(loaded, layout.name, text, rendered, result))
        return
    result = answer.stream_answer(loaded, rendered, sys.stdout, layout.has_turns, **options)
    if logprobs is not None:
        for choice in result.choices:
            print_columns([("logprob", "token", "others"), *(columns(loaded.tokenizer, c) for c in choice.logprobs)])
    note(answer.summary(result, max_tokens))


def describe(model: Model, shape: str, prompt: str, rendered: str, result: Generation) -> dict[str, Any]:
    """Return what --json prints: the answers, with everything that decided them and how long they took."""
    choices = [{"index": i, "text": choice.text, "finish": choice.finish, "ids": choice.ids,
                **({"logprobs": choice.logprobs} if choice.logprobs else {})}
               for i, choice in enumerate(result.choices)]
    return {"model": model.name, "bits": model.bits, "threads": model.threads, "shape": shape, "prompt": prompt,
            "rendered": rendered, "choices": choices, **answer.figures(result)}


def columns(tokenizer: Tokenizer, choice: Choice) -> tuple[str, str, str]:
    """Return a row about one token: its log-probability, its text, and the likeliest others with theirs."""
    others = "  ".join(f"{tokenizer.decode([id])!r} {logprob:.3f}" for id, logprob in choice.top if id != choice.id)
    return f"{choice.logprob:.3f}", repr(tokenizer.decode([choice.id])), others
