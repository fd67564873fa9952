"""`petit look dla`: which parts voted for the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.look.common import look_options

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


@click.command()
@click.argument("text")
@click.option("--answer", required=True, metavar="TOKEN", help="Token whose logit is split; one token of the model.")
@click.option("--versus", metavar="TOKEN", help="Split the lead over this token instead.")
@click.option("--unit", type=click.Choice(["layer", "head", "neuron"]), default="layer",
              help="Parts to tell apart (layer).")
@click.option("--basis", type=click.Choice(["raw", "folded"]), default="raw",
              help="Weights as they are, or with value biases folded and logits centred (raw).")
@click.option("--at", type=int, default=-1, metavar="N", help="Position after which the answer comes (-1, the last).")
@click.option("--top", type=click.IntRange(min=1), default=20, metavar="K", help="Neurons to keep (20).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], text: str, **options: Any) -> None:
    """Split a logit after TEXT among the parts that wrote into it; the sum is checked."""
    from petitlm import look

    show(look.dla(model_of(), text, **options))
