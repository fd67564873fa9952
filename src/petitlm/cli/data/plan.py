"""`petit data plan`: how full the grid of a corpus is, and what lacks."""

from __future__ import annotations

from pathlib import Path

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_json


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path, file_okay=False))
@click.option("--documents", type=click.IntRange(min=1), help="Training documents that each cell should have.")
@click.option("--category", "categories", multiple=True, help="Only this category counts; can be given several times.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the heat map as a page, too.")
@json_option
def command(corpus: Path, documents: int | None, categories: tuple[str, ...], html: Path | None,
            as_json: bool) -> None:
    """Show the grid of CORPUS: documents by category, language and difficulty, and what lacks.

    With --documents the cells that generators can fill have a target, and what lacks is what `petit data balance` would
    make. Cells outside of them are shown and never counted as gaps.
    """
    from petitlm.data.balance.grid import deficits, evenness
    from petitlm.data.balance.loop import by_cell, targets
    from petitlm.data.balance.rebalance import grid_of
    from petitlm.data.balance.shown import grid_lines, grid_page, grid_plain
    from petitlm.data.corpus.recipe import BalancePlan

    have = by_cell(grid_of(corpus))
    wanted = by_cell(targets(BalancePlan(documents=documents or 0, categories=categories)))
    if html:
        html.write_text(grid_page(corpus.name, have, wanted), encoding="utf-8")
        note(f"heat map in {html}")
    if as_json:
        print_json(grid_plain(have, wanted))
        return
    for line in grid_lines(have, wanted):
        click.echo(line)
    if wanted:
        even = evenness(have, wanted)
        lacking = deficits(have, wanted)
        click.echo(f"{len(wanted) - len(lacking)} of {len(wanted)} cells have their {documents:,} documents; "
                   f"{sum(lacking.values()):,} lack ({100 * even.deficit:.1f} %)")
        click.echo(f"evenness {even.pielou:.3f} (Pielou, 1 is even), Gini {even.gini:.3f}, as varied as "
                   f"{even.effective_cells:.1f} equal cells")
