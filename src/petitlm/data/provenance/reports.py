"""The page and all cards of a corpus, written beside its tables."""

from __future__ import annotations

import json
from pathlib import Path

from petitlm.data.provenance.cards import attribution_list, data_card
from petitlm.data.provenance.corpus import Corpus
from petitlm.data.provenance.croissant import croissant
from petitlm.data.provenance.eu import eu_summary
from petitlm.data.provenance.facts import facts_of
from petitlm.data.provenance.report import report_page
from petitlm.files import write_file


def write_reports(corpus: Corpus, folder: Path) -> list[Path]:
    """Write report.html, card.md, croissant.json, eu-summary.md and attribution.md into `folder`; returns their paths.

    They follow from the tables and the manifest, so the manifest does not list them.
    """
    facts = facts_of(corpus)
    made = {
        "report.html": report_page(facts), "card.md": data_card(facts), "attribution.md": attribution_list(facts),
        "croissant.json": json.dumps(croissant(facts), indent=2, ensure_ascii=False) + "\n",
        "eu-summary.md": eu_summary(facts),
    }
    for name, text in made.items():
        write_file(folder / name, [text.encode()])
    return [folder / name for name in made]
