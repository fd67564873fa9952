"""`petit run`: one prompt, one answer, streamed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli import answer
from petitlm.cli.options import json_option, model_options, prompt_options, sampling_options
from petitlm.cli.output import print_json

if TYPE_CHECKING:
    from petitlm.front import Generation, Model


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
@prompt_options
@sampling_options
@click.option("--logit-bias", type=LogitBias(), multiple=True, help="Added to a token's logit; may be given again.")
@click.option("--n", type=click.IntRange(1, 64), default=1, show_default=True, help="How many answers to make.")
@click.option("--logprobs", type=click.IntRange(0, 20), metavar="K",
              help="Also give the log-probability of each token and of the K likeliest.")
@json_option
def command(prompt: str | None, model: str | None, bits: int | None, threads: int | None, shape: str | None,
            system: str | None, stop: tuple[str, ...], logit_bias: tuple[tuple[int, float], ...], n: int,
            logprobs: int | None, as_json: bool, max_tokens: int | None, **sampling: Any) -> None:
    """Answer PROMPT; with - as PROMPT, or in a pipe, the prompt is read from standard input.

    The answer goes to standard output as it is made; the last line (tokens, tokens per second, seconds) to standard
    error. With --json, one object with everything is printed at the end instead.
    """
    if prompt is None and sys.stdin.isatty():
        raise click.UsageError("there is no prompt; write it after `petit run`, or - to read standard input")
    text = answer.read_stdin() if prompt in (None, "-") else prompt
    from petitlm.prompts import shape_named

    loaded = answer.load_model(model, bits, threads)
    layout = shape_named(shape or loaded.prompt)
    answer.warn_of_turns(layout, text)
    rendered = layout.render(text, system=system)
    n_prompt = len(loaded.tokenizer.encode(rendered))
    options = {**sampling, "stop": (*layout.stops, *stop), "n": n, "logprobs": logprobs,
               "logit_bias": dict(logit_bias) or None,
               "max_tokens": answer.longest_answer(loaded, n_prompt, max_tokens)}
    if as_json:
        result = loaded.generate(rendered, **options)
        print_json(describe(loaded, layout.name, text, rendered, result))
        return
    result = answer.stream_answer(loaded, rendered, sys.stdout, layout.has_turns, **options)
    if logprobs is not None:
        _print_logprobs(loaded, result)
    answer.say_summary(result, max_tokens)


def describe(model: Model, shape: str, prompt: str, rendered: str, result: Generation) -> dict[str, Any]:
    """Return what --json prints: the answers, with everything that decided them and how long they took."""
    choices = [{"index": i, "text": choice.text, "finish": choice.finish, "ids": choice.ids,
                **({} if choice.logprobs is None else {"logprobs": choice.logprobs})}
               for i, choice in enumerate(result.choices)]
    return {"model": model.name, "bits": model.bits, "threads": model.threads, "shape": shape, "prompt": prompt,
            "rendered": rendered, "choices": choices, "prompt_tokens": result.n_prompt,
            "tokens": answer.n_tokens(result), "tokens_per_s": answer.rate(result), "prefill_s": result.prefill_s,
            "decode_s": result.decode_s, "seconds": answer.seconds(result)}


def _print_logprobs(model: Model, result: Generation) -> None:
    pass
