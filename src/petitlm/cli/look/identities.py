"""`petit look identities`: does what must hold inside any model hold inside this one?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


@click.command()
@click.argument("text", required=False)
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], text: str | None) -> int:
    """Hold what must be true inside any model against this one, on TEXT or on tokens from all over its vocabulary.

    The exit code is 1 where something does not hold.
    """
    from petitlm.look.identities import identities

    found = identities(model_of(), text)
    show(found)
    return 0 if found.ok else 1
