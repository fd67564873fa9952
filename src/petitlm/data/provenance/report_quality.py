"""How far labels and texts can be trusted: the classifiers' errors and calibration, and how varied the texts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from petitlm.data.provenance.facts import Facts
from petitlm.drawings import Digits, Table, heat, html_table, lines, safe, section
from petitlm.errors import PetitError

_FEW = 20  # texts in a bin below which its share right says little


def quality_section(facts: Facts) -> str:
    """Confusion matrix and calibration of every classifier that labelled this corpus."""
    blocks = [block for name, measured in {**_shipped(facts), **facts.extra("classifiers")}.items()
              for block in _classifier(name, measured)]
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
    numbers = Table(title, ["confidence", "right", "texts"],
                    [[Digits(f"{100 * said:.1f} %"), Digits(f"{100 * was:.1f} %"), Digits(f"{n:,}")]
                     for _, n, said, was in rows], error)
    many = [row for row in rows if row[1] >= _FEW]
    said, was = [row[2] for row in many], [row[3] for row in many]
    drawn = lines(title, said, {"right": was, "as it should be": said}, x_label="confidence", y_label="share right",
                  note=f"Bins of at least {_FEW} texts.") if len(many) > 2 else ""
    return [drawn, html_table(numbers)]


def variety_section(facts: Facts) -> str:
    """How much texts of one kind repeat each other, as the generators' measure has it."""
    rows = facts.extra("variety").get("rows") or []
    if not rows:
        return ""
    columns = list(rows[0])
    numbers = Table("", columns, [[row.get(name) for name in columns] for row in rows])
    note = f'<p class="note">{safe(facts.extra("variety").get("note", ""))}</p>'
    return section("Variety", note, html_table(numbers))
