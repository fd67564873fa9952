"""`petit data build`: a recipe becomes a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_columns, print_json, progress

if TYPE_CHECKING:
    from petitlm.data.corpus.build import Corpus


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the corpus (corpora/ and the recipe's name).")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), help="Where the recipe's paths start.")
@click.option("--workers", "-w", "n", type=int, default=1, show_default=True, help="Processes that work at once.")
@click.option("--ray", "on_ray", is_flag=True, help="Work on Ray: this machine, or the cluster at --ray-address.")
@click.option("--ray-address", help="Address of a running Ray cluster; its machines share the folder of --out.")
@click.option("--keep-work", is_flag=True, help="Keep the finished steps: the next build does only what changed.")
@json_option
def command(recipe: Path, out: Path | None, root: Path | None, n: int, on_ray: bool, ray_address: str | None,
            keep_work: bool, as_json: bool) -> None:
    """Build the corpus of RECIPE, a TOML file such as recipes/tiny.toml.

    Sources are read, normalised, labelled, filtered, masked and cleared of repeats and of benchmark items; generators
    fill the gaps of the grid; all is mixed, tokenised and packed. The same recipe and sources give the same bytes with
    any number of workers, and a build that was stopped goes on where it was.
    """
    from petitlm.data.corpus.build import build
    from petitlm.data.corpus.recipe import read_recipe
    from petitlm.data.corpus.workers import workers
    from petitlm.data.provenance.corpus import open_corpus
    from petitlm.data.provenance.reports import write_reports

    out = out or Path("corpora") / read_recipe(recipe, root).name
    team = workers(n, on_ray or ray_address is not None, ray_address)
    try:
        with progress("building") as report:
            made = build(recipe, out, team, report, root, keep_work)
    finally:
        team.close()
    write_reports(open_corpus(made.folder), made.folder / "reports")
    show(made, as_json)


def show(made: Corpus, as_json: bool) -> None:
    """Print what was built."""
    from petitlm.data.provenance.corpus import open_corpus

    manifest = open_corpus(made.folder).manifest
    if as_json:
        keys = ("name", "n_documents", "n_tokens", "n_packed_tokens", "splits", "stages", "sources", "absent_sources")
        print_json({"folder": made.folder, "manifest_sha256": made.identity, **{key: manifest[key] for key in keys}})
        return
    rows = [("stage", "in", "kept", "rejected", "reasons")]
    for stage in manifest["stages"]:
        reasons = ", ".join(f"{name} {count}" for name, count in stage["reasons"].items())
        rows.append((stage["stage"], f"{stage['n_in']:,}", f"{stage['n_kept']:,}", f"{stage['n_rejected']:,}", reasons))
    print_columns(rows)
    click.echo(f"{manifest['n_documents']:,} documents, {manifest['n_tokens']:,} tokens; a pass shows "
               f"{manifest['n_packed_tokens']:,}")
    for name in manifest["absent_sources"]:
        note(f"source {name} is not there and was left out")
    click.echo(f"manifest {made.identity}")
    note(f"report and cards: {made.folder / 'reports'}; next: petit data trace {made.folder} --help")
