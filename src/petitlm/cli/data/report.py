"""`petit data report`: a corpus on one page."""

from __future__ import annotations

from pathlib import Path

import click

from petitlm.cli.output import note
from petitlm.files import write_file


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where to write the page (FOLDER/reports/report.html).")
@click.option("--all", "cards", is_flag=True, help="Write the cards beside it, too.")
def command(folder: Path, out: Path | None, cards: bool) -> None:
    """Write one page about the corpus in FOLDER: its grid, sources, licences, stages, classifiers and samples."""
    from petitlm.data.provenance.corpus import open_corpus
    from petitlm.data.provenance.facts import facts_of
    from petitlm.data.provenance.report import report_page
    from petitlm.data.provenance.reports import write_reports

    corpus = open_corpus(folder)
    if cards:
        for path in write_reports(corpus, folder / "reports"):
            note(str(path))
    if out or not cards:
        path = out or folder / "reports" / "report.html"
        write_file(path, [report_page(facts_of(corpus)).encode()])
        note(f"{path}: open it in a browser")
