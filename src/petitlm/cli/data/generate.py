"""`petit data generate`: documents written by a teacher, each call on record."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_json, progress
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.data.teachers.make import Made
    from petitlm.data.teachers.own import Said
    from petitlm.data.teachers.protocol import Request, Teacher


@click.command()
@click.argument("seeds", required=False, type=click.Path(path_type=Path))
@click.option("--strategy", required=True, metavar="NAME",
              help="faq, maths, table, tutorial, dialogue, summary, audience-child, audience-expert, translate; with "
                   "--ungrounded article, story; for the teacher procedural the name of a generator.")
@click.option("--teacher", required=True, metavar="WHO",
              help="Base URL of an OpenAI-compatible server, folder of a model (own: petit's), replay:JOURNAL, or "
                   "procedural.")
@click.option("--model", default="", metavar="NAME", help="Which model of the server.")
@click.option("--language", type=click.Choice(["en", "fr"]), required=True, help="Of what is written.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder; one that was stopped goes on.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Calls at most.")
@click.option("--terms", default="", metavar="TEXT",
              help="What may be done with the teacher's outputs, as you state it: words, or an SPDX expression.")
@click.option("--ungrounded", is_flag=True, help="Without seed documents; nothing then holds the facts to a source.")
@click.option("--seed-licence", default="", metavar="SPDX", help="Of the lines of a JSONL file that do not say.")
@click.option("--max-seed-bytes", type=click.IntRange(min=1), default=8000, show_default=True)
@click.option("--max-own-share", type=float, default=0.25, show_default=True,
              help="Largest share of texts by models of petit, beside those in SEEDS.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=512, show_default=True, help="Of a reply.")
@click.option("--temperature", type=click.FloatRange(min=0), default=0.7, show_default=True)
@click.option("--top-p", type=click.FloatRange(min=0, max=1), default=0.95, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--at-once", type=click.IntRange(1, 256), default=4, show_default=True, help="Calls in flight.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=120.0, show_default=True, help="Seconds for a call.")
@click.option("--tries", type=click.IntRange(min=1), default=6, show_default=True, help="Of one call in this run.")
@click.option("--budget-tokens", type=click.IntRange(min=0), default=0, help="Of all runs in --out (no limit).")
@click.option("--budget-money", type=click.FloatRange(min=0), default=0.0, help="Likewise, in the prices' money.")
@click.option("--budget-minutes", type=click.FloatRange(min=0), default=0.0, help="Of this run (no limit).")
@click.option("--price-in", type=click.FloatRange(min=0), default=0.0, help="Of a million tokens of prompts.")
@click.option("--price-out", type=click.FloatRange(min=0), default=0.0, help="Of a million tokens of replies.")
@json_option
def command(seeds: Path | None, strategy: str, teacher: str, model: str, language: str, out: Path, limit: int,
            terms: str, ungrounded: bool, seed_licence: str, max_seed_bytes: int, max_own_share: float,
            max_tokens: int, temperature: float, top_p: float, seed: int, at_once: int, timeout: float, tries: int,
            budget_tokens: int, budget_money: float, budget_minutes: float, price_in: float, price_out: float,
            as_json: bool) -> None:
    """Have a teacher write documents from those in SEEDS: a corpus, a table of documents, or a JSONL file.

    Every call is on disk before it is sent, and every reply before it is read; what was done is never sent again. The
    documents know their seed, their teacher and their prompt, and a recipe takes them in with format = "documents".
    Network is used for a URL alone; its key is read from OPENAI_API_KEY.
    """
    from petitlm.data.teachers.make import Order, make
    from petitlm.data.teachers.run import Budgets, Patience, Run
    from petitlm.data.teachers.strategies import strategy_named

    if budget_money and not (price_in or price_out):
        raise UsageError("--budget-money needs --price-in and --price-out, the prices of a million tokens")
    made_by = teacher == "procedural"
    order = Order(None if made_by else strategy_named(strategy, ungrounded), language, limit, max_tokens, temperature,
                  top_p, seed, max_seed_bytes, seed_licence, max_own_share, strategy if made_by else "")
    chosen = _teacher(teacher, model, terms, timeout)
    budgets = Budgets(budget_tokens, budget_money, budget_minutes, price_in, price_out)
    with progress("generating") as report:
        made = make(seeds, order, lambda journal: Run(
            chosen, journal, budgets, Patience(at_once=at_once, tries=tries), rng=Random(seed), report=report), out)
    _show(made, as_json)
    if isinstance(made.stopped, Exception):
        raise made.stopped


def _teacher(who: str, model: str, terms: str, timeout: float) -> Teacher:
    """The teacher that a command line names."""
    if who == "procedural":
        from petitlm.data.teachers.procedural import Procedural

        return Procedural()
    if who.startswith("replay:"):
        from petitlm.data.teachers.replay import Replay

        return Replay(Path(who.removeprefix("replay:")))
    if who.startswith(("http://", "https://")):
        from petitlm.data.teachers.endpoint import Endpoint

        return Endpoint(who, model, os.environ.get("OPENAI_API_KEY", ""), timeout, output_terms=terms)
    return _own(who, terms)


def _own(folder: str, terms: str) -> Teacher:
    """A model of petit. Texts of the one that comes with petit are ours to give away, as that model is."""
    import hashlib

    from petitlm.cli.models import load_model, own_model
    from petitlm.data.teachers.own import Own
    from petitlm.files import file_sha256

    ours = folder == "own"
    place = own_model() if ours else Path(folder)
    loaded = load_model(str(place), None, None)
    files = sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else [place]
    said = "".join(f"{path.name} {file_sha256(path)}\n" for path in files)
    name = "petit-default" if ours else place.resolve().name
    return Own(name, hashlib.sha256(said.encode()).hexdigest(), _generate(loaded), "MIT" if ours else "",
               terms or ("MIT" if ours else ""), "computed" if ours and not terms else "declared")


def _generate(model: Any) -> Any:
    """The function that answers a request with a loaded model."""
    from petitlm.data.teachers.own import Said
    from petitlm.prompts import shape_named

    layout = shape_named(model.prompt)

    def generate(request: Request) -> Said:
        rendered = layout.render_turns(request.messages)
        made = model.generate(rendered, max_tokens=request.max_tokens, temperature=request.temperature,
                              top_p=request.top_p, seed=request.seed, stop=layout.stops)
        choice = made.choices[0]
        return Said(choice.text, "length" if choice.finish == "length" else "stop", made.n_prompt, made.n_generated)

    return generate


def _show(made: Made, as_json: bool) -> None:
    who = made.identity
    if as_json:
        print_json({"folder": made.folder, "teacher": who, "asked": made.asked, "documents": made.documents,
                    "rejected": dict(sorted(made.rejected.items())), "left": made.left,
                    "skipped": dict(sorted(made.skipped.items())), "prompt_tokens": made.n_prompt,
                    "generated_tokens": made.n_generated, "tokens_counted": made.counted, "money": made.money,
                    "stopped": str(made.stopped)})
        return
    click.echo(f"{who.name} {who.revision}, terms {who.terms_from}: {who.output_terms}")
    click.echo(f"{made.asked:,} calls: {made.documents:,} documents, {made.rejected.total():,} rejected, "
               f"{made.left:,} left")
    for name, counts in (("rejected", made.rejected), ("no seeds", made.skipped)):
        if counts:
            click.echo(f"{name}: " + ", ".join(f"{reason} {n:,}" for reason, n in sorted(counts.items())))
    about = "" if made.counted else " (estimated from bytes)"
    cost = f", money {made.money:.4f}" if made.money else ""
    click.echo(f"{made.n_prompt:,} tokens of prompts, {made.n_generated:,} of replies{about}{cost}")
    if made.stopped and isinstance(made.stopped, str):
        note(f"stopped: {made.stopped}; the same command with a larger one goes on")
    note(f"in {made.folder}; in a recipe: format = \"documents\", path = \"{made.folder}/documents.parquet\"")
