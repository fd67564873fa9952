"""The report of a corpus: one self-contained page, in light and dark, with the numbers behind every drawing.

What only other commands measure is shown where they left it, as JSON in `reports/` of the corpus:

    classifiers.json  {NAME: what `petitlm.data.quality.measures.measure` gives, ...}
    effect.json       what `petit data effect` leaves: answers of models trained on the corpus before and after
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import duckdb

from petitlm.data.provenance.cards import ORIGINS, language_name, share
from petitlm.data.provenance.facts import Facts
from petitlm.data.provenance.index import quoted, rows_of
from petitlm.data.provenance.report_grid import balance_section, effect_section, grid_section
from petitlm.data.provenance.report_quality import quality_section, variety_section
from petitlm.drawings import Digits, Table, bars, document, html_table, safe, section, shortened

_LONGEST = 700  # characters of a sample
_SAMPLES = 2  # of each category and language


def report_page(facts: Facts) -> str:
    """The page about a corpus."""
    total, corpus = facts.total, facts.corpus
    line = " · ".join([f"{total.documents:,} documents", f"{total.tokens:,} tokens", f"{total.bytes / 1e6:,.1f} MB",
                       f"manifest {corpus.identity[:16]}", f"petit {corpus.manifest.get('code_version', '')}"])
    about = str(corpus.manifest.get("description") or "")
    return document(
        corpus.name, f'<p class="facts">{safe(line)}</p>', f"<p>{safe(about)}</p>" if about else "",
        grid_section(facts), balance_section(facts), effect_section(facts), _origins(facts), _sources(facts),
        _stages(facts), quality_section(facts), variety_section(facts), _samples(facts), maker="petit data")


def _origins(facts: Facts) -> str:
    """Who made the text, under which licences, for which split."""
    whole = facts.total.tokens
    tables = []
    for title, name in (("Who wrote it", "origin"), ("Languages", "language"), ("Licences", "licence"),
                        ("Splits", "split")):
        words: Callable[[str], str] = {"origin": lambda value: ORIGINS.get(value, value), "language": language_name,
                                       "licence": _licence}.get(name, str)
        rows = [[words(value) or "none", _n(n.documents), _n(n.tokens), Digits(share(n.tokens, whole))]
                for value, n in facts.by[name].items()]
        tables.append(Table(title, [name, "documents", "tokens", "share"], rows))
    if weights := facts.corpus.manifest.get("weights"):
        tables.append(Table("How often a pass shows a document", ["group", "times"],
                            [[group, float(times)] for group, times in weights.items()]))
    return section("What it is made of", f'<div class="flow">{"".join(html_table(t) for t in tables)}</div>')


def _sources(facts: Facts) -> str:
    there = [source for source in facts.sources if source.amount.documents]
    drawn = bars("Tokens of each source", [source.id for source in there],
                 [float(source.amount.tokens) for source in there], unit="tokens",
                 texts=[_n(source.amount.tokens) for source in there])
    rows = [[source.id if source.facts.get("kind") == "procedural" else shortened(source.title, 34),
             _n(source.amount.documents), _n(source.amount.tokens), _n(source.packed), ", ".join(source.languages),
             source.facts.get("evidence") or "declared", ", ".join(map(_licence, source.licences))]
            for source in there]
    columns = ["source", "documents", "tokens", "packed", "language", "licence is", "licence"]
    absent = facts.corpus.manifest.get("absent_sources")
    note = f"Not there when this was built: {', '.join(absent)}." if absent else ""
    note = f"Packed: tokens in the token files, where a document stands as often as its weight says. {note}"
    table = html_table(Table("", columns, rows, note))
    return section("Sources and licences", f'<div class="flow">{drawn}{table}</div>')


def _stages(facts: Facts) -> str:
    """What each stage kept and why it rejected the rest."""
    stages = facts.corpus.manifest["stages"]
    names = [stage["stage"] for stage in stages]
    funnel = bars("Documents that each stage kept", names, [float(stage["n_kept"]) for stage in stages],
                  unit="documents", texts=[_n(stage["n_kept"]) for stage in stages],
                  note="Generators draw more than they keep: most drafts of a held-out split are problems of another."
                  if "generate" in names else "")
    rows = [[stage["stage"], _n(stage["n_in"]), _n(stage["n_kept"]), _n(stage["n_rejected"]),
             Digits(share(stage["n_rejected"], stage["n_in"]))] for stage in stages]
    table = html_table(Table("", ["stage", "in", "kept", "rejected", "share"], rows))
    reasons = [[stage["stage"], reason, _n(n)] for stage in stages
               for reason, n in sorted(stage["reasons"].items(), key=lambda item: -item[1]) if n]
    why = html_table(Table("Why documents were rejected", ["stage", "reason", "documents"], reasons)) if reasons else ""
    flags = html_table(Table("Marks on documents that were kept", ["mark", "documents"],
                             [[flag, _n(n)] for flag, n in facts.flags.items()])) if facts.flags else ""
    shown = _rejected(facts)
    return section("What each stage did", f'<div class="flow">{funnel}{table}{why}{flags}</div>', shown)


def _rejected(facts: Facts) -> str:
    """An example of each reason, the same on every run."""
    examples = []
    with duckdb.connect() as db:
        for path in facts.corpus.tables("rejected"):
            examples += rows_of(db.execute(
                "SELECT stage, reason, first(detail ORDER BY doc_id) AS detail, first(text ORDER BY doc_id) AS text "
                f"FROM read_parquet({quoted(path)}) WHERE text <> '' GROUP BY stage, reason"))
    examples.sort(key=lambda row: (row["stage"], row["reason"]))
    blocks = []
    for (stage, reason), rows in groupby(examples, lambda row: (row["stage"], row["reason"])):
        row = next(rows)
        detail = f": {row['detail']}" if row["detail"] else ""
        blocks.append(_text_block(f"{stage}, {reason}{detail}", row["text"]))
    return f"<details><summary>An example of each reason</summary>{''.join(blocks)}</details>" if blocks else ""


def _samples(facts: Facts) -> str:
    """A few documents of each category and language: those with the smallest ids, which nobody chose."""
    listed = ", ".join(quoted(path) for path in facts.corpus.tables("documents"))
    with duckdb.connect() as db:
        rows = rows_of(db.execute(
            "SELECT category, language, doc_id, source_id, licence, difficulty, text FROM (SELECT *, row_number() OVER "
            f"(PARTITION BY category, language ORDER BY doc_id) AS n FROM read_parquet([{listed}])) "
            f"WHERE n <= {_SAMPLES} ORDER BY category, language, doc_id"))
    parts = []
    for category, some in groupby(rows, lambda row: row["category"]):
        blocks = [_text_block(_caption(row), row["text"]) for row in some]
        parts.append(f"<h3>{safe(category or 'no category')}</h3>{''.join(blocks)}")
    return section("Samples", '<p class="note">The first documents of each category and language by their ids, which '
                   "are hashes: nobody chose them.</p>", *parts)


def _licence(expression: str) -> str:
    """An SPDX expression as a reader reads it."""
    return expression.replace("LicenseRef-Public-Domain", "public domain")


def _n(n: int) -> Digits:
    return Digits(f"{n:,}")


def _caption(row: dict[str, Any]) -> str:
    level = "" if row["difficulty"] is None else f", level {row['difficulty']}"
    licence = _licence(row["licence"] or "no licence")
    return f"{language_name(row['language'])}{level} · {row['source_id']} · {licence} · {row['doc_id'].hex()[:12]}"


def _text_block(caption: str, text: str) -> str:
    more = f"\n… ({len(text):,} characters)" if len(text) > _LONGEST else ""
    return (f'<figure class="sample"><p class="note">{safe(caption)}</p><pre class="text">'
            f"{safe(text[:_LONGEST] + more)}</pre></figure>")
