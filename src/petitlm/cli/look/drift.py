"""`petit look drift`: what quantizing or teaching changed inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.pairs import MAX_PAIRS, TASKS, pairs_of
from petitlm.cli.look.reference import reference_model, reference_options


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--texts", "file", type=click.Path(dir_okay=False), metavar="FILE",
              help="Texts to compare over, with an empty line between two.")
@click.option("--n", type=click.IntRange(min=1), default=24, metavar="N",
              help="Texts of the file, or of petit's own if none is given (24).")
@click.option("--seed", type=int, default=0, metavar="N", help="Which texts of petit's own.")
@click.option("--pairs", type=click.Path(dir_okay=False), metavar="FILE",
              help="Pairs as for `petit look circuit`: which heads carry the answers, and is the circuit the same?")
@click.option("--task", type=click.Choice(list(TASKS)), help="The same with petit's own prompts.")
@click.option("--n-pairs", type=click.IntRange(1, MAX_PAIRS), default=10, metavar="N", help="Pairs of a task (10).")
@click.option("--dictionary", metavar="PATH", help="Folder of a sparse dictionary: do its features survive?")
@reference_options
@look_options
def command(model_of: Callable[[], Any], show: Callable[[Any], None], texts: tuple[str, ...], file: str | None, n: int,
            seed: int, pairs: str | None, task: str | None, n_pairs: int, dictionary: str | None,
            from_path: str | None, from_bits: str | None, from_layers: str) -> None:
    """Compare a model with a reference of the same shape: its own weights in 32 bits, or --from another.

    Over some TEXTs (verified problems of petit's own, if none is given) every part is exchanged between the two, so
    that each one's share in what changed is caused, not guessed.
    """
    from petitlm.cli.look.texts import texts_of
    from petitlm.look.drift import drift

    model = model_of()
    reference = reference_model(model, from_path, from_bits, from_layers)
    asked = pairs_of(pairs, task, n_pairs, seed) if pairs or task else []
    show(drift(model, reference, [*texts] or texts_of(file, n, seed), pairs=asked, dictionary=dictionary))
