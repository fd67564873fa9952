"""What all verbs of `petit look` share: the model, and what becomes of a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.models import load_model
from petitlm.cli.output import note, print_json
from petitlm.errors import UsageError
from petitlm.files import write_file

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


def look_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every verb has; the function gets `model_of` (a call that loads it) and `show`."""
    options = [
        click.option("--model", "-m", "path", metavar="PATH", help="Folder or .gguf file (petit's own model)."),
        click.option("--bits", type=click.Choice(["4", "8", "16", "32"]),
                     help="Bits of a weight (4, or what a packed folder holds)."),
        click.option("--layers", type=click.Choice(["engine", "torch"]), default="engine",
                     help="Which layers run: the engine's, or torch's in float32."),
        click.option("--threads", "-t", type=click.IntRange(min=1), metavar="N",
                     help="Threads to compute with (all cores)."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page with drawings."),
        click.option("--save", type=click.Path(dir_okay=False), metavar="FILE",
                     help="Keep the finding, for `petit look replay`."),
    ]

    def wrapped(path: str | None, bits: str | None, layers: str, threads: int | None, as_json: bool, html: str | None,
                save: str | None, **rest: Any) -> Any:  # an exit code, or None
        return function(lambda: look_model(path, bits, layers, threads),
                        lambda result: show(result, as_json, html, save), **rest)

    wrapped.__doc__, wrapped.__name__ = function.__doc__, function.__name__
    wrapped.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def look_model(path: str | None, bits: str | None, layers: str, threads: int | None) -> Model:
    """Load the model that the options name."""
    if layers == "engine":
        return load_model(path, int(bits) if bits else None, threads)
    import petitlm
    from petitlm.cli.models import own_model

    if bits not in (None, "32"):
        raise UsageError(f"--layers torch runs in 32 bits and --bits {bits} was asked for; leave one out")
    return petitlm.load(path or own_model(), layers="torch", threads=threads)


def show(result: Result, as_json: bool, html: str | None, save: str | None) -> None:
    """Print a result and write what is asked for."""
    if as_json:
        print_json(result.to_dict())
    else:
        click.echo(result.table())
    if html:
        write_file(html, [result.html().encode()])
        note(f"{html}: a page with the drawings")
    if save:
        from petitlm.look.findings import save_finding

        save_finding(result, save)
        note(f"{save}: the finding, for `petit look replay {save}`")
