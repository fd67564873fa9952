"""`petit look diff`: one text in two models, tap by tap and token by token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.reference import reference_model, reference_options


@click.command()
@click.argument("text")
@click.option("--tap", "taps", multiple=True, metavar="NAME",
              help="Compare here, such as resid_post or z:3; again for more.")
@reference_options
@look_options
def command(model_of: Callable[[], Any], show: Callable[[Any], None], text: str, taps: tuple[str, ...],
            from_path: str | None, from_bits: str | None, from_layers: str) -> None:
    """Compare what two models have inside for one TEXT: the model, and its own weights in 32 bits, or --from another.

    Distances are of the reference's length, at each tap and token; KL is of what is said next, in nats.
    """
    from petitlm.look.diff import diff

    model = model_of()
    reference = reference_model(model, from_path, from_bits, from_layers)
    show(diff(model, reference, text, taps=[*taps] or None))
