"""`petit look replay`: does a finding still hold?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.look.common import look_model
from petitlm.cli.output import plain, print_json

if TYPE_CHECKING:
    from petitlm.front import Model


@click.command()
@click.argument("finding", type=click.Path(dir_okay=False))
@click.option("--model", "-m", "path", metavar="PATH", help="Folder or .gguf file (what the finding names).")
@click.option("--reference", metavar="PATH", help="The other model, where two were compared (what the finding names).")
@click.option("--threads", "-t", type=click.IntRange(min=1), metavar="N", help="Threads to compute with (all cores).")
@click.option("--other-model", is_flag=True, help="Ask although the weights are others.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(finding: str, path: str | None, reference: str | None, threads: int | None, other_model: bool,
            as_json: bool) -> int:
    """Ask the question of FINDING again and compare every number; the exit code is 1 where it does not hold."""
    from petitlm.look.findings import load_finding, reference_of, replay

    content = load_finding(finding)
    model = _model_of(content["about"]["model"], path, threads)
    named = reference_of(content)
    other = None if named is None else _model_of(named, reference, threads)
    found = replay(content, model, other, other_model=other_model)
    if as_json:
        print_json({**plain(found), "holds": found.holds})
        return 0 if found.holds else 1
    if found.holds:
        click.echo(f"The finding holds: {found.verb}, {found.n_numbers:,} values, largest difference {found.worst:.2g} "
                   f"(at most {found.tolerance:.2g}).")
        return 0
    click.echo(f"The finding does not hold: {found.verb}, {found.n_numbers:,} values, at most "
               f"{found.tolerance:.2g} apart were expected.")
    for line in found.differences:
        click.echo(f"  {line}")
    return 1


def _model_of(facts: dict[str, Any], path: str | None, threads: int | None) -> Model:
    """Load the model that a finding names, or the one given in its place, in the same format."""
    name = path or (None if facts["name"] == "petit default" else facts["name"])
    bits = str(facts["bits"]) if facts["layers"] == "engine" and facts["bits"] in (4, 8, 16, 32) else None
    return look_model(name, bits, facts["layers"], threads)
