"""`petit data balance`: fill the gaps of a corpus, and nothing but the gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_json, progress


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the balanced corpus.")
@click.option("--documents", type=click.IntRange(min=1), required=True, help="Training documents for each cell.")
@click.option("--heldout", type=click.IntRange(min=0), default=0, show_default=True,
              help="Documents for each cell of each held-out split.")
@click.option("--category", "categories", multiple=True, help="Fill only this category; can be given several times.")
@click.option("--level", "levels", type=click.IntRange(0, 5), multiple=True, help="Fill only this difficulty.")
@click.option("--max-drafts", type=click.IntRange(min=0), default=0, help="Budget of drafts (no limit).")
@click.option("--rounds", type=click.IntRange(min=1), default=6, show_default=True, help="Rounds at most.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", "-w", "n", type=int, default=1, show_default=True, help="Processes that work at once.")
@json_option
def command(corpus: Path, out: Path, documents: int, heldout: int, categories: tuple[str, ...],
            levels: tuple[int, ...], max_drafts: int, rounds: int, seed: int, n: int, as_json: bool) -> None:
    """Fill the gaps of CORPUS with generated, verified documents and write the balanced corpus to --out.

    Only cells below --documents get new ones. A cell whose generators have nothing new to give is named with the
    reason; it is never padded with repeats.
    """
    from petitlm.data.balance.loop import by_cell
    from petitlm.data.balance.rebalance import rebalance
    from petitlm.data.balance.shown import grid_lines
    from petitlm.data.corpus.assemble import balance_of
    from petitlm.data.corpus.recipe import BalancePlan
    from petitlm.data.corpus.workers import workers
    from petitlm.data.provenance.corpus import open_corpus
    from petitlm.data.provenance.reports import write_reports

    given: dict[str, Any] = {"levels": levels} if levels else {}
    plan = BalancePlan(seed=seed, documents=documents, heldout=heldout, categories=categories, max_drafts=max_drafts,
                       max_rounds=rounds, **given)
    team = workers(n)
    try:
        with progress("balancing") as report:
            made = rebalance(corpus, out, plan, team, report)
    finally:
        team.close()
    write_reports(open_corpus(made.folder), made.folder / "reports")
    story = balance_of(made.built)
    if as_json:
        print_json({"folder": made.folder, "manifest_sha256": made.identity, **story})
        return
    assert made.built.loop is not None
    wanted = by_cell(made.built.loop.wanted)
    for title, have in (("before", made.built.before), ("after", made.built.after)):
        click.echo(title)
        for line in grid_lines(by_cell(have), wanted):
            click.echo(f"  {line}")
    before, after = story["evenness"]["before"], story["evenness"]["after"]
    click.echo(f"lacking {100 * before['deficit']:.1f} % -> {100 * after['deficit']:.1f} %, evenness "
               f"{before['pielou']:.3f} -> {after['pielou']:.3f}; {story['drafts']:,} drafts in {story['rounds']} "
               f"rounds, stopped: {story['stopped']}")
    for place in story["unfilled"]:
        click.echo(f"not filled: {place['category']} {place['language']} {place['difficulty']} {place['split']}: "
                   f"{place['reason']}")
    note(f"in {made.folder}; next: petit data effect {corpus} {out}")
