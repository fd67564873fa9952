"""How far labels and texts can be trusted: the classifiers' errors and calibration, and how varied the texts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq

from petitlm.data.generators.variety import too_repetitive, variety
from petitlm.data.provenance.facts import Facts
from petitlm.data.provenance.index import quoted
from petitlm.drawings import Digits, Table, heat, html_table, lines, section, shortened
from petitlm.errors import PetitError

_MOST_TEXTS = 300
_FEW = 20  # texts in a bin below which its share right says little


def quality_section(facts: Facts) -> str:
    """Confusion matrix and calibration of every classifier that labelled this corpus."""
    blocks = [f'<div class="flow">{"".join(_classifier(name, measured))}</div>'
              for name, measured in {**_shipped(facts), **facts.extra("classifiers")}.items()]
    return section("Classifiers", '<p class="note">Measured on texts that they did not see. A row of a matrix is what '
                   "texts are, a column what the classifier says.</p>", f'<div class="flow">{"".join(blocks)}</div>') \
        if blocks else ""


def _shipped(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """What petit's own classifiers say of themselves, for those that a stage of this corpus used."""
    from petitlm.data.quality.shipped import MODELS, digest, load

    used = " ".join(text or "" for path in facts.corpus.tables("activities.parquet")
                    for text in pq.read_table(path, columns=["settings"])["settings"].to_pylist())
    found: dict[str, Mapping[str, Any]] = {}
    for name in MODELS:
        try:
            if digest(name) in used:
                found |= {f"{name}, {part}" if part else name: measured
                          for part, measured in _measured(load(name).card)}
        except PetitError:  # this petit has no such model: another made the corpus
            continue
    return found


def _measured(card: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The parts of a model's card that hold a confusion matrix."""
    whole = [("", card)] if "confusion" in card else []
    return whole + [(name, part) for name, part in card.items() if isinstance(part, dict) and "confusion" in part]


def _classifier(name: str, measured: Mapping[str, Any]) -> list[str]:
    table, labels = np.array(measured["confusion"], np.float64), np.array(measured["labels"])
    told, taken = table.any(axis=1), table.any(axis=1) | table.any(axis=0)  # labels that texts have; or were given
    table = table[told][:, taken]
    shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    low, high = measured.get("interval", (float("nan"), float("nan")))
    note = f"{measured['n']:,} texts; {100 * measured['accuracy']:.1f} % right ({100 * low:.1f} to {100 * high:.1f})"
    texts = [[f"{int(n):,}" if n else "·" for n in row] for row in table]
    rows = [f"{label} ({int(n):,})" for label, n in zip(labels[told], table.sum(axis=1), strict=True)]
    name = name.replace("_", " ")
    blocks = [heat(f"{name}: what is taken for what", rows, labels[taken].tolist(), shares, texts=texts, most=100.0,
                   unit="% of the row", note=note)]
    return [*blocks, *_calibration(name, measured)]


def _calibration(name: str, measured: Mapping[str, Any]) -> list[str]:
    """How often it is right against how often it thinks so; bins of a few texts, which scatter, in the table alone."""
    rows = measured.get("reliability") or []
    title, error = f"{name}: is it as often right as it thinks?", f"Expected calibration error {measured['ece']:.3f} " \
        "(Guo et al. 2017)."
    numbers = Table(f"{name}: confidence and share right", ["confidence", "right", "texts"],
                    [[Digits(f"{100 * said:.1f} %"), Digits(f"{100 * was:.1f} %"), Digits(f"{n:,}")]
                     for _, n, said, was in rows], error)
    many = [row for row in rows if row[1] >= _FEW]
    said, was = [row[2] for row in many], [row[3] for row in many]
    drawn = lines(title, said, {"right": was, "as it should be": said}, x_label="confidence", y_label="share right",
                  note=f"Bins of at least {_FEW} texts.") if len(many) > 2 else ""
    return [html_table(numbers), drawn]


def variety_section(facts: Facts) -> str:
    """How much texts of one category and language repeat each other."""
    listed = ", ".join(quoted(path) for path in facts.corpus.tables("documents"))
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        found = db.execute(
            "SELECT category, language, list(CASE WHEN shape IN ('qa', 'chat') "
            "THEN regexp_replace(text, '^\\w+:\\s', '') ELSE text END ORDER BY doc_id), "
            "list(coalesce(hex(problem_key), '') ORDER BY doc_id), bool_and(origin = 'procedural') FROM (SELECT *, "
            "row_number() OVER (PARTITION BY category, language ORDER BY doc_id) AS n "
            f"FROM read_parquet([{listed}])) WHERE n <= {_MOST_TEXTS} GROUP BY ALL ORDER BY ALL").fetchall()
    rows = []
    for category, language, texts, keys, is_generated in found:
        measured = variety(texts, keys)
        said = (too_repetitive(measured) or "") if is_generated else ""
        rows.append([category, language, Digits(f"{measured.n_texts:,}"), _percent(measured.unique),
                     _percent(measured.unique_keys) if any(keys) else Digits("–"), *map(_percent, measured.distinct),
                     _percent(measured.opening), shortened(measured.opening_text, 22), said])
    columns = ["category", "language", "texts", "different", "problems", "1-grams", "2-grams", "3-grams", "4-grams",
               "opening", "which", "repeats too much"]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    note = (f"Of the first {_MOST_TEXTS} documents of each category and language, by their ids: shares of different "
            "texts, of different runs of one to four words (Li et al. 2016) and of different problems, in blocks of "
            "100 texts; and the share of texts that open with the most frequent four words.")
    return section("Variety", f'<p class="note">{note}</p>', html_table(Table("", columns, rows)))


def _percent(share: float) -> Digits:
    return Digits(f"{100 * share:.1f} %")
