"""`petit look attention`: where each head looked."""

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
@click.option("--layer", type=int, metavar="N", help="Heads of this layer alone, with their whole patterns.")
@click.option("--head", type=int, metavar="N", help="This head of the layer alone.")
@click.option("--at", type=int, multiple=True, metavar="N",
              help="Position that looks, -1 is the last; again for more (all).")
@click.option("--top", type=click.IntRange(min=1), default=3, metavar="K", help="Places to name for each head (3).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], text: str, layer: int | None,
            head: int | None, at: tuple[int, ...], top: int) -> None:
    """Say where each head looked while the model read TEXT; --html draws the patterns."""
    from petitlm import look

    show(look.patterns(model_of(), text, layer=layer, head=head, at=at or None, top=top))
