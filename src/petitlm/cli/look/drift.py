"""`petit look drift`: what quantizing or teaching changed inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.reference import reference_model, reference_options
from petitlm.errors import UsageError


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--texts", "file", type=click.Path(dir_okay=False), metavar="FILE",
              help="Texts to compare over, with an empty line between two.")
@click.option("--n", type=click.IntRange(min=1), default=24, metavar="N",
              help="Texts of the file, or of petit's own if none is given (24).")
@click.option("--seed", type=int, default=0, metavar="N", help="Which texts of petit's own.")
@click.option("--task", nargs=3, metavar="CLEAN CORRUPT ANSWER",
              help="Two texts of equal length and the first one's next token: which heads carry it?")
@click.option("--versus", metavar="TOKEN", help="With --task: the answer that the other text has.")
@click.option("--dictionary", metavar="PATH", help="Folder of a sparse dictionary: do its features survive?")
@reference_options
@look_options
def command(model_of: Callable[[], Any], show: Callable[[Any], None], texts: tuple[str, ...], file: str | None, n: int,
            seed: int, task: tuple[str, str, str] | None, versus: str | None, dictionary: str | None,
            from_path: str | None, from_bits: str | None, from_layers: str) -> None:
    """Compare a model with a reference of the same shape: its own weights in 32 bits, or --from another.

    Over some TEXTs (verified problems of petit's own, if none is given) every part is exchanged between the two, so
    that each one's share in what changed is caused, not guessed.
    """
    from petitlm.cli.look.texts import texts_of
    from petitlm.look.drift import drift

    model = model_of()
    reference = reference_model(model, from_path, from_bits, from_layers)
    if versus is not None and task is None:
        raise UsageError("--versus is for --task; give both, or neither")
    whole = None if task is None else [*task, *([] if versus is None else [versus])]
    show(drift(model, reference, [*texts] or texts_of(file, n, seed), task=whole, dictionary=dictionary))
