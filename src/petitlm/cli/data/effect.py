"""`petit data effect`: the same small model trained on two corpora for equal tokens, and what each then knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_columns, print_json, progress

if TYPE_CHECKING:
    from petitlm.data.balance.effect import Measured
    from petitlm.tokenizer import Tokenizer

SHAPE = {"n_layers": 4, "d_model": 128, "n_heads": 4, "d_head": 32, "d_mlp": 512, "n_ctx": 256, "n_rotary": 16,
         "tied": True, "unembed_bias": True}
_BATCH = 1024
_PROMPT_WEIGHT = 0.1


@click.command()
@click.argument("before", type=click.Path(path_type=Path, file_okay=False))
@click.argument("after", type=click.Path(path_type=Path, file_okay=False))
@click.option("--tokens", type=click.IntRange(min=1), default=4_000_000, show_default=True,
              help="Tokens that each model is trained on.")
@click.option("--questions", type=click.IntRange(min=1), default=40, show_default=True, help="Asked of each cell.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", "-t", type=click.IntRange(min=1), default=2, show_default=True)
@json_option
def command(before: Path, after: Path, tokens: int, questions: int, seed: int, threads: int, as_json: bool) -> None:
    """Train one small model on BEFORE and one on AFTER, equal in everything but the text, and compare them.

    Both are asked the held-out questions of AFTER. The result goes into AFTER's report (reports/effect.json).
    """
    from petitlm.data.balance.effect import compare, held_out_questions
    from petitlm.errors import UsageError
    from petitlm.files import write_json

    asked = held_out_questions(after, questions)
    if not asked:
        raise UsageError(f"{after} has no held-out questions; build or balance it with --heldout 20")
    # One vocabulary for both: losses and lengths can be compared.
    models = [train_on(folder, after / "tokens", tokens, seed, threads) for folder in (before, after)]
    measured = compare(asked, *(answer for answer, _ in models))
    story = {"model": SHAPE, "tokens": tokens, "seed": seed, "questions": len(asked),
             "n_params": models[0][1]["n_params"], "losses": [about["loss"] for _, about in models],
             "trained_on": [about["seen"] for _, about in models], "cells": [cell.to_dict() for cell in measured]}
    (after / "reports").mkdir(exist_ok=True)
    write_json(after / "reports" / "effect.json", story)
    if as_json:
        print_json(story)
        return
    show(measured, story)


def train_on(folder: Path, vocabulary: Path, tokens: int, seed: int,
             threads: int) -> tuple[Callable[[list[str]], list[str]], dict[str, Any]]:
    """Train on a corpus; returns the function that answers prompts, and what happened."""
    from petitlm.config import ModelConfig
    from petitlm.model import Decoder
    from petitlm.tokenizer import Tokenizer
    from petitlm.train.batches import Batches
    from petitlm.train.loop import train
    from petitlm.train.recipe import TrainConfig

    tokenizer = Tokenizer.load(vocabulary)
    config = ModelConfig(**SHAPE, n_vocab=-(-tokenizer.n_ids // 64) * 64, eos_id=tokenizer.eos_id,
                         bos_id=tokenizer.bos_id)
    decoder = Decoder(config)
    decoder.initialise(seed)
    batches = Batches(rows_of(folder, vocabulary, config.n_ctx), config, _BATCH, seed)
    steps = max(1, tokens // _BATCH)
    plan = TrainConfig(steps=steps, batch_tokens=_BATCH, micro_tokens=_BATCH, threads=threads, precision="float32",
                       compile=False, log_steps=20)
    last: dict[str, Any] = {}
    with progress(f"training on {folder.name}") as report:

        def tell(event: dict[str, Any]) -> None:
            last.update(event)
            if "progress" in event:
                report(int(1000 * event["progress"]), 1000, f"loss {event['loss']:.3f}")

        train(decoder, batches, plan, log=tell, save=lambda _: None)
    n_params = sum(p.numel() for p in decoder.parameters())
    about = {"n_params": n_params, "loss": round(float(last.get("loss", 0.0)), 4), "seen": batches.n_tokens}
    return lambda prompts: answer_all(decoder, tokenizer, prompts, config.n_ctx), about


def rows_of(folder: Path, vocabulary: Path, longest: int) -> Sequence[Any]:
    """Training rows of a corpus in one vocabulary."""
    from petitlm.data.balance.effect import training_rows
    from petitlm.data.tokens.encoder import load_encoder
    from petitlm.train.batches import Row

    encoder = load_encoder(vocabulary)
    return [Row(ids, weights) for ids, weights in training_rows(folder, encoder, _PROMPT_WEIGHT, longest)]


def answer_all(decoder: Any, tokenizer: Tokenizer, prompts: list[str], n_ctx: int) -> list[str]:
    """The likeliest answer to each prompt."""
    from petitlm.cli.train import until_stop
    from petitlm.model.greedy import greedy

    ends = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    ids = [tokenizer.encode(prompt)[-(n_ctx - 64):] for prompt in prompts]
    return [until_stop(tokenizer.decode(answer)) for answer in greedy(decoder, ids, 63, ends)]


def show(measured: Sequence[Measured], story: dict[str, Any]) -> None:
    """Print a line for each category and language, and the sums."""
    from petitlm.data.scoring import wilson_interval

    sums: dict[tuple[str, str], list[int]] = {}
    for cell in measured:
        for key in ((cell.cell.category, cell.cell.language), ("all", "")):
            counts = sums.setdefault(key, [0, 0, 0])
            for i, n in enumerate((cell.n, cell.before, cell.after)):
                counts[i] += n

    def said(right: int, n: int) -> str:
        low, high = wilson_interval(right, n)
        return f"{100 * right / n:.1f} % ({100 * low:.0f}-{100 * high:.0f})"

    order = sorted(sums, key=lambda key: (key[0] == "all", key))
    print_columns([("category", "language", "asked", "before", "after"),
                   *((*key, str(sums[key][0]), said(sums[key][1], sums[key][0]), said(sums[key][2], sums[key][0]))
                     for key in order)])
    note(f"models of {story['n_params']:,} parameters, {story['tokens']:,} tokens each, 95 % intervals; "
         "exact match on held-out questions")
