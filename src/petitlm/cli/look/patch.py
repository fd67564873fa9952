"""`petit look patch`: what matters, by moving values from one text's run into another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options
from petitlm.look.units import OVER

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


@click.command()
@click.argument("clean")
@click.argument("corrupt", required=False)
@click.option("--answer", required=True, metavar="TOKEN", help="The token whose logit is measured after the last one.")
@click.option("--versus", metavar="TOKEN", help="Minus this one's (its own log-probability is measured instead).")
@click.option("--over", type=click.Choice(OVER), default="heads", metavar="KIND",
              help=f"Which parts: {', '.join(OVER)} (heads).")
@click.option("--into", type=click.Choice(["corrupt", "clean"]), default="corrupt",
              help="The text that is changed: what restores the answer, or what breaks it (corrupt).")
@click.option("--ablation", type=click.Choice(["resample", "zero", "mean"]), default="resample",
              help="What is put in place: the other text's value, zero, or a mean; the last two need no CORRUPT.")
@click.option("--at", type=int, multiple=True, metavar="N", help="Position, -1 is the last; again for more (all).")
@click.option("--each/--together", default=None,
              help="Positions one by one, or all at once (one by one for values of the stream).")
@click.option("--block", type=int, multiple=True, metavar="N", help="Block; again for more (all).")
@click.option("--to", multiple=True, metavar="READER",
              help="Path patching: changed only as logits, z:5.3, q:5.3 or mlp_out:4 read it; again for more.")
@click.option("--given", multiple=True, metavar="PART", help="Changed in every run, too: z:0.1; again for more.")
@click.option("--direct", is_flag=True, help="Beside each effect, the part that goes straight to the logits.")
@click.option("--most", type=click.IntRange(min=1), default=200, metavar="N", help="Neurons to run (200).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], clean: str, corrupt: str | None,
            answer: str, versus: str | None, over: str, into: str, ablation: str, at: tuple[int, ...],
            each: bool | None, block: tuple[int, ...], to: tuple[str, ...], given: tuple[str, ...], direct: bool,
            most: int) -> None:
    """Move each part's value from the run of CLEAN into the run of CORRUPT, and measure what that restores.

    Both texts have as many tokens. Every effect is a run of the model as it is; the beginning that the texts share is
    run once.
    """
    from petitlm import look

    show(look.patch(model_of(), clean, corrupt, answer, versus, over=over, into=into, ablation=ablation,
                    positions=at or None, each=each, blocks=block or None, to=to or None, given=given, direct=direct,
                    most=most))
