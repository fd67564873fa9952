"""The page about a corpus: well formed, self-contained, its numbers those of the corpus, its texts only ever text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from small_corpus import change_rows, make_corpus

from petitlm.cli import invoke
from petitlm.data.balance.effect import Measured
from petitlm.data.balance.grid import Cell
from petitlm.data.corpus.schema import content_id
from petitlm.data.corpus.stage import canonical
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.facts import facts_of
from petitlm.data.provenance.report import report_page

VOID = {"meta", "br", "image", "rect", "path", "circle"}
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Parsed(HTMLParser):
    """Tags and text; fails on tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "small")


def page_of(folder: Path) -> Parsed:
    return Parsed(report_page(facts_of(open_corpus(folder))))


def test_the_page_is_whole_and_fetches_nothing(folder: Path) -> None:
    page = page_of(folder)
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in page.tags}
    assert not [value for _, attrs in page.tags for value in attrs.values() if value and "://" in value]
    for title in ("The grid", "What it is made of", "Sources and licences", "What each stage did", "Variety",
                  "Samples"):
        assert title in page.text
    for absent in ("What it does to a model", "Classifiers", "Balance"):
        assert absent not in page.text
    assert "30 documents · 3,026 tokens" in page.text
    assert "wrong-answer" in page.text
    assert "2 + 2 = 5" in page.text, "an example of what was rejected"


def test_texts_titles_and_reasons_stay_text(folder: Path) -> None:
    change_rows(folder, "documents/part-00000.parquet", lambda rows: rows[0].update(
        text=HOSTILE, content_id=content_id(HOSTILE), source_id=HOSTILE, category=HOSTILE, licence=HOSTILE,
        flags=[HOSTILE]))
    change_rows(folder, "sources.parquet", lambda rows: [row.update(title=HOSTILE) for row in rows])
    change_rows(folder, "rejected/verify/part-00000.parquet", lambda rows: rows[0].update(
        text=HOSTILE, reason=HOSTILE, detail=HOSTILE))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"name": HOSTILE, "description": HOSTILE, "absent_sources": [HOSTILE]}
    manifest["stages"][0]["reasons"] = {HOSTILE: 1}
    (folder / "manifest.json").write_text(canonical(manifest))
    _balance(folder, HOSTILE)
    page = page_of(folder)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) >= 9


def _balance(folder: Path, reason: str = "exhausted") -> None:
    cells = [{"category": "arithmetic", "language": "en", "difficulty": 1, "target": 10, "before": 2, "after": 10},
             {"category": "arithmetic", "language": "fr", "difficulty": 1, "target": 10, "before": 0, "after": 7},
             {"category": "prose", "language": "en", "difficulty": None, "target": 0, "before": 90, "after": 90}]
    even = {"n_cells": 2, "at_target": 0.5, "deficit": 0.15, "smallest": 0.7, "pielou": 0.98, "gini": 0.1,
            "effective_cells": 1.9}
    unfilled = {"category": "arithmetic", "language": "fr", "difficulty": 1, "split": "train", "reason": reason}
    (folder / "balance.json").write_text(json.dumps({
        "cells": cells, "heldout": [], "evenness": {"before": even, "after": even}, "rounds": 3, "drafts": 1234,
        "stopped": "exhausted", "unfilled": [unfilled]}))


def test_a_balanced_corpus_shows_before_and_after(folder: Path) -> None:
    _balance(folder)
    page = page_of(folder)
    shades = [float((attrs["style"] or "").split(":")[1]) for tag, attrs in page.tags
              if tag == "td" and attrs.get("class") == "hp"]
    logs = [0.24, 0.53, 0.0, 0.46, 1.0]  # log(1 + n) over log(91) for 2, 10, 0, 7, 90
    assert {round(shade, 2) for shade in shades} == set(logs)
    assert "Cells that could not be filled" in page.text
    assert "1,234 drafts in 3 rounds; stopped: exhausted." in page.text
    assert re.search(r"share that lacks\s*15.0 %", page.text)


def test_what_was_measured_elsewhere_is_shown(folder: Path) -> None:
    (folder / "reports").mkdir()
    cells = [Measured(Cell("arithmetic", "en", 1), 100, 10, 90), Measured(Cell("arithmetic", "fr", 1), 100, 90, 10),
             Measured(Cell("reading", "fr", 2), 100, 50, 52)]
    effect = {"n_params": 12345, "tokens": 1000, "seed": 0, "losses": [1.5, 1.25],
              "cells": [cell.to_dict() for cell in cells]}
    measured = {"n": 30, "accuracy": 0.9, "interval": [0.74, 0.97], "labels": ["ham", "spam", "never"], "ece": 0.1234,
                "confusion": [[17, 3, 0], [0, 10, 0], [0, 0, 0]],
                "reliability": [[0.5, 25, 0.55, 0.6], [0.7, 25, 0.75, 0.7], [0.9, 25, 0.95, 0.99], [0.1, 2, 0.1, 0.0]]}
    for name, value in (("effect", effect), ("classifiers", {"junk": measured})):
        (folder / "reports" / f"{name}.json").write_text(json.dumps(value))
    page = page_of(folder)
    assert "Two models of 12,345 parameters" in page.text
    assert [page.text.count(said) for said in ("better", "worse", "no difference shown")] == [2, 2, 3]
    assert "50.0 % (44.4 to 55.6)" in page.text, "150 of 300 before"
    assert "50.7 % (45.0 to 56.3)" in page.text, "152 of 300 after"
    assert "90.0 % (82.6 to 94.5)" in page.text  # Wilson's interval of 90 of 100, as tables have it
    assert "30 texts; 90.0 % right (74.0 to 97.0)" in page.text
    assert "never" not in page.text, "a label that no text has and none was given"
    assert "Expected calibration error 0.123" in page.text
    assert "Bins of at least 20 texts." in page.text


def test_a_generator_that_repeats_is_named(folder: Path) -> None:
    """Sixty rows of one text: none differs, all open alike."""
    def repeat(rows: list[dict[str, Any]]) -> None:
        one = next(row for row in rows if row["category"] == "arithmetic" and row["language"] == "en")
        rows[:] = [{**one, "doc_id": i.to_bytes(16, "big")} for i in range(60)]

    change_rows(folder, "documents/part-00000.parquet", repeat)
    page = page_of(folder)
    assert "of its texts differ, less than 50%" in page.text
    assert "what is the difference" in page.text.lower()


def test_the_command_writes_the_page_and_all_cards(folder: Path) -> None:
    assert invoke(["data", "report", str(folder)]) == 0
    assert sorted(path.name for path in (folder / "reports").iterdir()) == ["report.html"]
    assert invoke(["data", "report", str(folder), "--all"]) == 0
    assert sorted(path.name for path in (folder / "reports").iterdir()) == [
        "attribution.md", "card.md", "croissant.json", "eu-summary.md", "report.html"]
    assert invoke(["data", "report", str(folder), "--out", str(folder / "page.html")]) == 0
    assert (folder / "page.html").read_bytes() == (folder / "reports/report.html").read_bytes()
    assert invoke(["data", "verify", str(folder), "--sample", "0"]) == 0


def test_the_same_corpus_gives_the_same_page(folder: Path) -> None:
    facts: Any = facts_of(open_corpus(folder))
    assert report_page(facts) == report_page(facts_of(open_corpus(folder)))
