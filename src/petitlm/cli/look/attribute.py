"""`petit look attribute`: what patching would find, estimated by gradients, the largest confirmed."""

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
@click.argument("corrupt")
@click.option("--answer", required=True, metavar="TOKEN", help="The token whose logit is measured after the last one.")
@click.option("--versus", metavar="TOKEN", help="Minus this one's (its own log-probability is measured instead).")
@click.option("--over", type=click.Choice([*OVER, "edges"]), default="heads", metavar="KIND",
              help="Which parts: as for patch, or edges between them (heads).")
@click.option("--method", type=click.Choice(["atp", "atp*", "ig", "eap", "eap-ig", "exact"]),
              help="atp, atp* (softmax recomputed) or ig; for edges eap, eap-ig or exact (ig, eap-ig).")
@click.option("--into", type=click.Choice(["corrupt", "clean"]), default="corrupt",
              help="The text that would be changed (corrupt).")
@click.option("--at", type=int, multiple=True, metavar="N", help="Position, -1 is the last; again for more (all).")
@click.option("--each/--together", default=None,
              help="Positions one by one, or all at once (one by one for values of the stream).")
@click.option("--block", type=int, multiple=True, metavar="N", help="Block; again for more (all).")
@click.option("--graddrop", is_flag=True, help="Also a score that paths which cancel do not hide.")
@click.option("--confirm", type=click.IntRange(min=0), default=10, metavar="N", help="Parts to patch exactly (10).")
@click.option("--most", type=click.IntRange(min=1), default=200, metavar="N", help="Neurons to show (200).")
@click.option("--tolerance", type=click.FloatRange(min=0, min_open=True), default=0.02, metavar="X",
              help="Largest gap, as a share; ig and eap-ig take as many steps as it needs (0.02).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], clean: str, corrupt: str, answer: str,
            versus: str | None, over: str, method: str | None, into: str, at: tuple[int, ...], each: bool | None,
            block: tuple[int, ...], graddrop: bool, confirm: int, most: int, tolerance: float) -> None:
    """Estimate what moving each part's value from CLEAN into CORRUPT would change, and patch the largest.

    Estimates need torch: they are gradients of torch layers with the model's weights. What they add up to is held
    against what really happens, and a gap is said.
    """
    from petitlm import look

    show(look.attribute(model_of(), clean, corrupt, answer, versus, over=over, method=method, into=into,
                        positions=at or None, each=each, blocks=block or None, graddrop=graddrop, confirm=confirm,
                        most=most, tolerance=tolerance))
