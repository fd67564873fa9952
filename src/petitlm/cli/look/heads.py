"""`petit look heads`: heads that copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.look.common import look_options

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


@click.command()
@click.option("--period", type=int, metavar="N",
              help="Random tokens before they repeat (32, or what there is room for).")
@click.option("--repeats", type=int, default=2, metavar="N", help="Times they come (2).")
@click.option("--n-texts", type=int, default=4, metavar="N", help="Texts of random tokens (4).")
@click.option("--seed", type=int, default=0, help="Of the random tokens (0).")
@click.option("--top", type=int, default=10, metavar="K", help="Heads and pairs to name (10).")
@click.option("--start", metavar="TEXT", help="What texts begin with (the model's begin token, if any).")
@click.option("--compose/--no-compose", default=True, help="Also read off the weights which heads read which (yes).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], **options: Any) -> None:
    """Score every head on random tokens that repeat: previous token, duplicate, induction; and compose pairs."""
    from petitlm import look

    show(look.heads(model_of(), **options))
