"""What cards and reports say of a corpus, counted once: documents, tokens and bytes, exact, by all that is labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb

from petitlm.data.provenance.corpus import Corpus
from petitlm.data.provenance.index import quoted, rows_of
from petitlm.errors import NotFoundError, PetitError
from petitlm.files import read_json_object

MADE = ("procedural", "teacher", "own", "rewrite")
"""Origins of text that people did not write."""


class Amount(NamedTuple):
    """How much of something."""

    documents: int
    tokens: int
    """By the corpus' tokenizer; each document once."""
    bytes: int
    """Of UTF-8 text."""

    def __str__(self) -> str:
        return ", ".join(f"{n:,} {name[:-1] if n == 1 else name}" for name, n in self._asdict().items())


@dataclass(frozen=True)
class Source:
    """A source and what came of it."""

    id: str
    facts: Mapping[str, Any]
    """Its row of sources.parquet."""
    amount: Amount
    licences: Mapping[str, Amount]
    """Of its documents, which may differ from the source's own."""
    languages: tuple[str, ...]
    packed: int
    """Tokens in the token files, where a document may stand several times or not at all."""

    @property
    def title(self) -> str:
        """What people call it."""
        return " ".join(str(self.facts.get("title") or self.id).split())

    @property
    def where(self) -> str:
        """Its address and revision."""
        commit = str(self.facts.get("commit") or "")
        at = f" at {commit[:12]}" if commit and self.facts.get("kind") != "procedural" else ""
        return f"{self.facts.get('uri') or ''}{at}".strip()


@dataclass(frozen=True)
class Facts:
    """Everything that is counted of a corpus."""

    corpus: Corpus
    total: Amount
    sources: tuple[Source, ...]
    by: Mapping[str, Mapping[str, Amount]]
    """Column -> value -> how much: origin, language, category, form, licence, split, difficulty, script, shape."""
    content: Mapping[tuple[str, str], Amount]
    """By category and origin."""
    teachers: tuple[Mapping[str, Any], ...]
    """teacher, revision, weights_sha, output_terms, prompts, documents, tokens, bytes."""
    generators: tuple[Mapping[str, Any], ...]
    """name, version, documents, tokens, bytes, passed (documents whose second route agreed)."""
    flags: Mapping[str, int]
    """Documents with each flag."""
    evidence: Mapping[str, Amount]
    """How licences are known."""
    n_packed: int

    @property
    def made(self) -> Amount:
        """Text that generators and models made."""
        return add(amount for origin, amount in self.by["origin"].items() if origin in MADE)

    @property
    def balance(self) -> Mapping[str, Any]:
        """The grid before and after, of a corpus that was balanced; empty for another."""
        try:
            return read_json_object(self.corpus.folder / "balance.json")
        except NotFoundError:
            return {}

    def ran(self, stage: str) -> bool:
        """Whether a stage of this name took part in making the corpus."""
        return any(one["stage"] == stage for one in self.corpus.manifest["stages"])

    def extra(self, name: str) -> Mapping[str, Any]:
        """A result kept in reports/, such as the classifier's or a model's; empty where there is none."""
        try:
            return read_json_object(self.corpus.folder / "reports" / f"{name}.json")
        except PetitError:
            return {}


_BY = ("origin", "language", "category", "form", "licence", "split", "difficulty", "script", "shape")
_AMOUNT = "count(*), coalesce(sum(n_tokens), 0)::BIGINT, coalesce(sum(n_bytes), 0)::BIGINT"


def facts_of(corpus: Corpus) -> Facts:
    """Count a corpus."""
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        listed = ", ".join(quoted(path) for path in corpus.tables("documents"))
        db.execute(f"CREATE VIEW documents AS FROM read_parquet([{listed}])")
        sources = {row["source_id"]: row for path in corpus.tables("sources.parquet")
                   for row in rows_of(db.execute(f"FROM read_parquet({quoted(path)}) ORDER BY source_id"))}
        packed = _packed(db, corpus)
        return Facts(
            corpus=corpus,
            total=_one(db, f"SELECT {_AMOUNT} FROM documents"),
            sources=tuple(_sources(db, sources, packed)),
            by={name: _amounts(db, name) for name in _BY},
            content={(category, origin): Amount(*amount) for category, origin, *amount in db.execute(
                f"SELECT coalesce(category, ''), coalesce(origin, ''), {_AMOUNT} FROM documents GROUP BY 1, 2 "
                "ORDER BY 1, 2").fetchall()},
            teachers=tuple(_teachers(db, sources)),
            generators=tuple(rows_of(db.execute(
                "SELECT gen.name AS name, gen.version AS version, count(*) AS documents, "
                "coalesce(sum(n_tokens), 0)::BIGINT AS tokens, sum(n_bytes)::BIGINT AS bytes, "
                "count(*) FILTER (verify.status = 'passed') AS passed FROM documents "
                "WHERE gen IS NOT NULL GROUP BY ALL ORDER BY name, version"))),
            flags=dict(db.execute("SELECT flag, count(*) FROM (SELECT unnest(flags) AS flag FROM documents) "
                                  "GROUP BY flag ORDER BY flag").fetchall()),
            evidence=_amounts(db, "evidence.kind"),
            n_packed=sum(packed.values()),
        )


def add(amounts: Any) -> Amount:
    """Amounts together."""
    total = Counter[str]()
    for amount in amounts:
        total.update(amount._asdict())
    return Amount(total["documents"], total["tokens"], total["bytes"])


def _one(db: duckdb.DuckDBPyConnection, query: str) -> Amount:
    return Amount(*(db.execute(query).fetchone() or (0, 0, 0)))


def _amounts(db: duckdb.DuckDBPyConnection, column: str) -> dict[str, Amount]:
    rows = db.execute(f"SELECT coalesce({column}::VARCHAR, ''), {_AMOUNT} FROM documents GROUP BY 1 "
                      "ORDER BY 3 DESC, 1").fetchall()
    return {row[0]: Amount(*row[1:]) for row in rows}


def _packed(db: duckdb.DuckDBPyConnection, corpus: Corpus) -> dict[str, int]:
    """Tokens in the token files by source."""
    spans = corpus.tables("tokens/spans.parquet")
    if not spans:
        return {}
    return dict(db.execute(
        f'SELECT source_id, sum("end" - start)::BIGINT FROM read_parquet({quoted(spans[0])}) JOIN documents '
        "USING (doc_id) GROUP BY 1").fetchall())


def _sources(db: duckdb.DuckDBPyConnection, sources: Mapping[str, Any], packed: Mapping[str, int]) -> list[Source]:
    rows = db.execute(f"SELECT source_id, coalesce(licence, ''), {_AMOUNT} FROM documents GROUP BY 1, 2 "
                      "ORDER BY 1, 2").fetchall()
    spoken = dict(db.execute("SELECT source_id, list_sort(list(DISTINCT language)) FROM documents "
                             "GROUP BY 1").fetchall())
    licences: dict[str, dict[str, Amount]] = {name: {} for name in sources}
    for source, licence, *amount in rows:
        licences.setdefault(source, {})[licence] = Amount(*amount)
    made = [Source(name, sources.get(name, {}), add(of.values()), of, tuple(spoken.get(name, ())), packed.get(name, 0))
            for name, of in licences.items()]
    return sorted(made, key=lambda source: (-source.amount.tokens, source.id))


def _teachers(db: duckdb.DuckDBPyConnection, sources: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = rows_of(db.execute(
        "SELECT call.teacher AS teacher, call.revision AS revision, call.weights_sha AS weights_sha, "
        "any_value(source_id ORDER BY source_id) AS source_id, list_sort(list(DISTINCT call.prompt_id)) AS prompts, "
        "count(*) AS documents, sum(n_tokens)::BIGINT AS tokens, sum(n_bytes)::BIGINT AS bytes FROM documents "
        "WHERE call IS NOT NULL GROUP BY ALL ORDER BY ALL"))
    return [{**row, "output_terms": (sources.get(row["source_id"]) or {}).get("output_terms") or ""} for row in rows]
