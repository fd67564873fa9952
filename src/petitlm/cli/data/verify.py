"""`petit data verify`: is a corpus what its manifest says?"""

from __future__ import annotations

from pathlib import Path

import click

from petitlm.cli.output import print_json, progress
from petitlm.errors import DamagedError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--sample", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
              help="Documents whose generators, answers and tokens are made again.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(folder: Path, sample: int, as_json: bool) -> int:
    """Verify the corpus in FOLDER: hash every file, ask every rule and count again, make a sample again.

    Ends with 0 where all is well, with 5 where something is damaged.
    """
    from petitlm.data.provenance.corpus import open_corpus
    from petitlm.data.provenance.verify import verify

    with progress("verifying") as report:
        verdict = verify(open_corpus(folder), sample, report)
    if as_json:
        print_json(verdict.to_dict())
    else:
        click.echo(f"{folder}: manifest {verdict.corpus}")
        for name, n in verdict.checks.items():
            click.echo(f"  {n:,} {name}")
        for finding in verdict.findings:
            click.echo(f"  NOT AS IT SHOULD BE: {finding.where} {finding.what}")
        for text in verdict.notes:
            click.echo(f"  {text}")
        click.echo("all as it should be" if verdict.ok else f"{len(verdict.findings)} findings")
    return 0 if verdict.ok else DamagedError.exit_code
