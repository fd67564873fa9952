"""`petit look selftest`: do the tools find what is known to be there?"""

from __future__ import annotations

import click

from petitlm.cli.look.common import show
from petitlm.cli.output import progress


@click.command()
@click.option("--slow", is_flag=True, help="Also models that are trained first: about three minutes on one core.")
@click.option("--only", metavar="NAME", help="Only models whose names begin so: C1, T3.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page.")
def command(slow: bool, only: str | None, as_json: bool, html: str | None) -> int:
    """Look into models of which the inside is known, and say what was found beside what is there.

    The exit code is 1 where an answer does not reach its bar.
    """
    from petitlm.look.selftest import selftest

    with progress("asking") as report:
        result = selftest(slow, only, report)
    show(result, as_json, html, None)
    return 0 if result.ok else 1
