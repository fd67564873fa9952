"""Cards: every number is that of the tables, Croissant passes its own validator, nothing is said that is not known."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_corpus import change_rows, make_corpus

from petitlm.cli import invoke
from petitlm.data.provenance.cards import attribution_list, data_card, share
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.croissant import croissant
from petitlm.data.provenance.eu import TO_FILL, eu_summary
from petitlm.data.provenance.facts import Amount, Facts, facts_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="module")
def facts(made: Path) -> Facts:
    return facts_of(open_corpus(made))


@pytest.fixture(scope="module")
def rows(made: Path) -> list[dict[str, Any]]:
    return [row for path in open_corpus(made).tables("documents") for row in pq.read_table(path).to_pylist()]


def amount(rows: list[dict[str, Any]]) -> Amount:
    return Amount(len(rows), sum(row["n_tokens"] for row in rows), sum(row["n_bytes"] for row in rows))


def test_facts_are_what_counting_the_rows_gives(facts: Facts, rows: list[dict[str, Any]]) -> None:
    assert facts.total == amount(rows)
    assert facts.made == amount([row for row in rows if row["origin"] != "human"])
    assert facts.n_packed == facts.total.tokens
    for column, amounts in facts.by.items():
        values = {str(row[column]) for row in rows}
        assert amounts == {value: amount([row for row in rows if str(row[column]) == value]) for value in values}
    for source in facts.sources:
        of = [row for row in rows if row["source_id"] == source.id]
        assert source.amount == amount(of)
        assert source.packed == source.amount.tokens
        assert source.languages == tuple(sorted({row["language"] for row in of}))
    assert [(g["name"], g["documents"], g["passed"]) for g in facts.generators] == [("arithmetic", 12, 12),
                                                                                    ("passages", 12, 12)]
    assert [(t["teacher"], t["prompts"], t["documents"]) for t in facts.teachers] == [("recorded", ["faq"], 1)]


def _tables(text: str) -> list[list[dict[str, str]]]:
    """The Markdown tables of a text, row by row."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.strip().splitlines()]
        found.append([dict(zip(map(str.strip, lines[0]), line, strict=True)) for line in lines[2:]])
    return found


def _sum(table: list[dict[str, str]], column: str) -> int:
    return sum(int(row[column].replace(",", "")) for row in table)


def test_every_table_of_the_card_adds_up(facts: Facts) -> None:
    card = data_card(facts)
    categories, levels, origins, sources, generators, models, stages, splits = _tables(card)
    for table in (categories, levels, origins, sources, splits):
        assert _sum(table, "documents") == 30
    for table in (levels, origins, sources, splits):
        assert _sum(table, "tokens") == facts.total.tokens
    assert _sum(categories, "tokens, French") + _sum(categories, "tokens, English") == facts.total.tokens
    assert (_sum(generators, "agree"), models[0]["model"]) == (24, "recorded")
    assert stages == [{"stage": "verify", "in": "31", "kept": "30", "rejected": "1", "why": "wrong-answer 1"}]
    assert facts.corpus.identity in card


def test_the_card_claims_no_stage_that_did_not_run(facts: Facts) -> None:
    card, summary, named = data_card(facts), eu_summary(facts), attribution_list(facts)
    assert "Personal data were not looked for" in card
    assert "Personal data were not looked for" in summary
    assert "Evaluation items were not looked for" in card
    assert "Changed" not in named
    ran = [{"stage": name, "n_in": 1, "n_kept": 1, "n_rejected": 0, "reasons": {}}
           for name in ("mask", "decontaminate", "filter")]
    manifest = {**facts.corpus.manifest, "stages": ran}
    other = Facts(**{**vars(facts), "flags": {"pii.email": 3},
                     "corpus": type(facts.corpus)(facts.corpus.folder, manifest, facts.corpus.identity)})
    assert "email in 3 documents" in data_card(other)
    assert "email 3" in eu_summary(other)
    assert "Evaluation items were looked for" in data_card(other)
    assert "Changed: filtered, personal data masked." in attribution_list(other)


def test_everybody_is_named(facts: Facts) -> None:
    named = attribution_list(facts)
    for source in facts.sources:
        assert f"`{source.id}`" in named
        assert all(licence in named for licence in source.licences)
    assert "novel, by hand. CC0-1.0. at c0ffee." in named
    assert "Share alike" not in named


def test_share_alike_is_said(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "small")
    change_rows(folder, "sources.parquet", lambda rows: [row.update(sa=row["source_id"] == "novel") for row in rows])
    assert "Share alike: `novel`" in attribution_list(facts_of(open_corpus(folder)))


def test_the_summary_has_the_template_s_sections_and_exact_numbers(facts: Facts) -> None:
    summary = eu_summary(facts)
    numbers = re.findall(r"^#+ ([\d.]+)\.? ", summary, re.MULTILINE)
    assert numbers == ["1.", "1.1.", "1.2.", "1.3.", "2.", "2.1.", "2.2.", "2.2.1.", "2.2.2.", "2.3.", "2.4.", "2.5.",
                       "2.6.", "3.", "3.1.", "3.2.", "3.3."]
    assert f"less than 1 billion tokens; exactly {facts.total.tokens:,} tokens" in summary
    content, languages, public, synthetic, models, licences, removed = _tables(summary)
    assert _sum(content, "tokens") == _sum(languages, "tokens") == _sum(licences, "tokens") == facts.total.tokens
    assert _sum(public, "tokens") + _sum(synthetic, "tokens") == facts.total.tokens
    assert _sum(synthetic, "tokens") == facts.made.tokens
    assert _sum([row for row in content if "synthetic" in row["type of content"]], "tokens") == facts.made.tokens
    assert (len(models), _sum(removed, "removed")) == (1, 1)


def test_what_only_the_provider_knows_is_left_to_the_provider(facts: Facts) -> None:
    assert eu_summary(facts).count(TO_FILL) == 9
    said = eu_summary(facts, {"provider": "A. Maker", "model": "small-1", "contact": "a@example.org"})
    assert said.count(TO_FILL) == 6
    assert "- Provider name: A. Maker" in said
    assert said.startswith("# Summary of training content: small-1\n")


def test_croissant_passes_its_validator(facts: Facts, made: Path, caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries beneath mlcroissant
        mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant judges the file; dev installs it")
        made_of = croissant(facts, url="https://example.org/small", published="2026-11-24")
        data = mlcroissant.Dataset(json.loads(json.dumps(made_of)))
    issues = data.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert data.metadata.ctx.is_v1_1()
    columns = pq.read_schema(open_corpus(made).tables("documents")[0]).names
    sets = {record_set.name: record_set for record_set in data.metadata.record_sets}
    assert [field.name for field in sets["documents"].fields] == [f"documents/{name}" for name in columns]
    assert set(sets) == {"documents", "sources", "activities", "spans"}
    hashes = {file.id: file.sha256 for file in data.metadata.distribution if hasattr(file, "sha256") and file.sha256}
    assert hashes == {entry["path"]: entry["sha256"] for entry in facts.corpus.manifest["files"]}


def test_croissant_says_where_all_came_from(facts: Facts) -> None:
    made_of = croissant(facts)
    assert {entity["@id"] for entity in made_of["prov:wasDerivedFrom"]} == {
        f"urn:petit:source:{source.id}" for source in facts.sources}
    activity = made_of["prov:wasGeneratedBy"]
    assert len(activity["prov:used"]) == len(facts.sources)
    assert [agent["prov:label"] for agent in activity["prov:wasAssociatedWith"]] == [
        "petit 0.1", f"recorded, weights {'ab' * 32}"]
    assert "https://spdx.org/licenses/MIT.html" in made_of["license"]
    assert "PSF-2.0 AND CC0-1.0" in made_of["license"]


@pytest.mark.parametrize("kind", ["md", "croissant", "eu", "attribution"])
def test_the_command_writes_each(made: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "card", str(made), "--format", kind]) == 0
    out = capsys.readouterr().out
    assert "small" in out
    assert invoke(["data", "card", str(made), "--format", kind, "--out", str(tmp_path / "card")]) == 0
    assert (tmp_path / "card").read_text() == out


def test_shares_are_short_and_never_zero_for_something() -> None:
    assert [share(1, 3), share(0, 5), share(1, 10_000), share(5, 5), share(0, 0)] == [
        "33.3 %", "0.0 %", "0.01 %", "100.0 %", "0.0 %"]
