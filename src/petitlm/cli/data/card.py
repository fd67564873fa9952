"""`petit data card`: a corpus described for people, for machines, and for the law."""

from __future__ import annotations

import json
from pathlib import Path

import click

from petitlm.cli.output import note
from petitlm.files import write_file


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "-f", "kind", type=click.Choice(["md", "croissant", "eu", "attribution"]), default="md",
              show_default=True, help="Data card; Croissant 1.1 with PROV-O; summary of training content for the EU; "
              "whom to name.")
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it there in place of printing it.")
@click.option("--url", default="", help="Croissant: where the corpus is published.")
@click.option("--published", default="", metavar="DATE", help="Croissant: the day it was, as 2026-11-24.")
@click.option("--provider", help="EU: name of the model's provider.")
@click.option("--contact", help="EU: the provider's contact details.")
@click.option("--representative", help="EU: authorised representative in the Union.")
@click.option("--model", help="EU: versioned name of the model.")
@click.option("--placed", metavar="DATE", help="EU: when it was placed on the Union market.")
@click.option("--collected", metavar="DATE", help="EU: latest date of data collection.")
def command(folder: Path, kind: str, out: Path | None, url: str, published: str, **stated: str | None) -> None:
    """Describe the corpus in FOLDER; every number is counted from its tables.

    What only the provider of a model can say is left open in the EU summary, unless an option says it.
    """
    from petitlm.data.provenance.cards import attribution_list, data_card
    from petitlm.data.provenance.corpus import open_corpus
    from petitlm.data.provenance.croissant import croissant
    from petitlm.data.provenance.eu import eu_summary
    from petitlm.data.provenance.facts import facts_of

    facts = facts_of(open_corpus(folder))
    made = {
        "md": lambda: data_card(facts),
        "attribution": lambda: attribution_list(facts),
        "eu": lambda: eu_summary(facts, {name: value for name, value in stated.items() if value}),
        "croissant": lambda: json.dumps(croissant(facts, url, published), indent=2, ensure_ascii=False) + "\n",
    }[kind]()
    if out:
        write_file(out, [made.encode()])
        note(f"{out}: {len(made.encode()):,} bytes")
    else:
        click.echo(made, nl=False)
