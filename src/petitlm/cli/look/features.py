"""`petit look features`: sparse features of a tap: train them, and see what they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.output import note, progress
from petitlm.errors import UsageError


@click.group()
def command() -> None:
    """Sparse features of the value at a tap: train a dictionary of them, and see what they are about.

    A dictionary is a folder as SAELens keeps it (cfg.json, sae_weights.safetensors). Its features are a tap like any
    other for Python: read them, and edit them.
    """


@command.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--at", "tap", metavar="TAP", required=True, help="Tap that is read, such as resid_post:3.")
@click.option("--to", metavar="TAP", help="Tap that is written: makes a transcoder, such as from ln1:3 to mlp_out:3.")
@click.option("--kind", type=click.Choice(["batchtopk", "jumprelu"]), default="batchtopk", show_default=True,
              help="How features are made few.")
@click.option("--width", type=click.IntRange(min=2), metavar="N", help="Features (8 times the tap's width).")
@click.option("--k", type=click.FloatRange(min=0, min_open=True), default=16, show_default=True,
              help="Features active at a token, on average.")
@click.option("--steps", type=click.IntRange(min=1), default=2000, show_default=True, help="Steps of training.")
@click.option("--batch", type=click.IntRange(min=1), default=1024, show_default=True, help="Tokens in a step.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), default=2e-3, show_default=True,
              help="Rate of learning.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the start and the draws.")
@click.option("--texts", "file", type=click.Path(dir_okay=False), metavar="FILE",
              help="Texts with an empty line between them (what petit generates).")
@click.option("--n-texts", type=click.IntRange(min=2), default=4000, show_default=True, help="Texts, at most.")
@look_options
def train(model_of: Callable[[], Any], show: Callable[[Any], None], folder: str, tap: str, to: str | None,
          file: str | None, n_texts: int, seed: int, **options: Any) -> None:
    """Train a dictionary on what the model computes, as it runs, and write it to FOLDER.

    A tenth of the texts is held out; how well the dictionary fits those is printed and kept with it.
    """
    from petitlm.cli.look.texts import texts_of
    from petitlm.look.dictionary_files import save_dictionary
    from petitlm.look.gradients.features import Plan, one_tap, train_dictionary
    from petitlm.taps import tap_shape

    model = model_of()
    shape = tap_shape(model.config, one_tap(model, tap), 1)[1:]
    width = options.pop("width") or 8 * int(shape[0] * (shape[1] if len(shape) > 1 else 1))
    plan = Plan(width=width, seed=seed, **options)
    with progress("training") as report:
        training = train_dictionary(model, texts_of(file, n_texts), tap, to=to, plan=plan, progress=report)
    save_dictionary(training.dictionary, folder)
    show(training)
    note(f"{folder}: the dictionary, for `petit look features show {folder}`")


@command.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.argument("text", required=False)
@click.option("--feature", "-f", "chosen", type=click.IntRange(min=0), multiple=True, metavar="N",
              help="A feature to describe; may be given again (those with most of what is reconstructed).")
@click.option("--top", "-n", type=click.IntRange(min=1), default=12, show_default=True, help="Features shown.")
@click.option("--examples", type=click.IntRange(min=1), default=4, show_default=True,
              help="Places shown for each feature.")
@click.option("--texts", "file", type=click.Path(dir_okay=False), metavar="FILE",
              help="Texts to look through, with an empty line between them (what petit generates).")
@click.option("--n-texts", type=click.IntRange(min=1), default=400, show_default=True, help="Texts, at most.")
@look_options
def show(model_of: Callable[[], Any], show: Callable[[Any], None], folder: str, text: str | None,
         chosen: tuple[int, ...], top: int, examples: int, file: str | None, n_texts: int) -> None:
    """Show what the features in FOLDER are about; with a TEXT, which of them it has.

    Without a text: for each feature where it is strongest, how often it is active, the tokens that it raises, and what
    the next token loses when it is taken out.
    """
    from petitlm.cli.look.texts import texts_of
    from petitlm.look.dashboards import dashboard
    from petitlm.look.features import features

    if text is not None:
        if chosen or file:
            raise UsageError("--feature and --texts describe features over many texts; leave them out, or the TEXT")
        show(features(model_of(), folder, text, top=top))
        return
    show(dashboard(model_of(), folder, texts_of(file, n_texts, seed=1), chosen=list(chosen) or None, n=top,
                   examples=examples))
