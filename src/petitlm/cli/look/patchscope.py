"""`petit look patchscope`: what a state says when it is put into another prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


@click.command()
@click.argument("text")
@click.argument("target")
@click.option("--at", type=int, default=-1, metavar="N", help="Position of TEXT whose state is taken (-1, the last).")
@click.option("--into", type=int, default=-1, metavar="N", help="Position of TARGET where it is put (-1, the last).")
@click.option("--layer", type=int, multiple=True, metavar="N", help="Layer it is taken from; again for more (all).")
@click.option("--into-layer", type=int, metavar="N", help="Layer after which it is put (the one it is taken from).")
@click.option("--top", type=click.IntRange(min=1), default=5, metavar="K", help="Tokens to keep (5).")
@click.option("--max-tokens", type=click.IntRange(min=0), default=0, metavar="N", help="Also go on for so many tokens.")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], text: str, target: str, at: int, into: int,
            layer: tuple[int, ...], into_layer: int | None, top: int, max_tokens: int) -> None:
    """Put the states of TEXT at one position into TARGET, layer by layer, and read what TARGET then says."""
    from petitlm import look

    show(look.patchscope(model_of(), text, target, at=at, into=into, layers=layer or None, into_layer=into_layer,
                         top=top, max_tokens=max_tokens))
