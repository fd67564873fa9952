"""The second model of the verbs that compare two: which one, in how many bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.look.common import look_model

if TYPE_CHECKING:
    from petitlm.front import Model


def reference_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the reference."""
    options = [
        click.option("--from", "from_path", metavar="PATH",
                     help="The reference: a folder or .gguf file (the same model)."),
        click.option("--from-bits", type=click.Choice(["4", "8", "16", "32"]),
                     help="Bits of the reference (32 for the same model; for another as --bits)."),
        click.option("--from-layers", type=click.Choice(["engine", "torch"]), default="engine",
                     help="Which layers run the reference."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def reference_model(model: Model, path: str | None, bits: str | None, layers: str) -> Model:
    """Load the reference; without a path it is the model itself, in 32 bits if nothing else is said."""
    if path is None:
        path = None if model.name == "petit default" else model.name
        bits = bits or "32"
    return look_model(path, bits, layers, model.threads)
