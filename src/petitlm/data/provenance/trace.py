"""Where did this come from? From tokens, steps, texts, sources, licences and makers to documents and back.

Every question reads a few row groups of the corpus' index (`petitlm.data.provenance.index`) and, for the text of a
document, one row group of the one file that it lies in; none but a text without a finder reads all rows.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from petitlm.data.provenance.corpus import Corpus
from petitlm.data.provenance.index import index_folder, page_firsts, quoted, rows_of, write_index
from petitlm.errors import NotFoundError, UsageError

Finder = Callable[[str], Sequence[tuple[int, int]]]
"""A text -> the places (first token, one behind the last, over all shards) that hold it."""
Row = dict[str, Any]

_GROUP = ("source_id", "licence", "teacher", "generator")
_FACTS = ("origin", *_GROUP, "category", "language", "difficulty", "split")


@dataclass(frozen=True)
class Answer:
    """What lies behind something."""

    question: str
    n_documents: int
    n_tokens: int
    """Of the tokens asked about, those in these documents; of a source, licence or maker all its tokens."""
    groups: list[Row]
    """By source, licence, teacher and generator: how many documents and tokens."""
    documents: list[Row]
    """The first of them: doc_id, part, start, end, where it comes from, labels. Without tokens `start` is None."""
    extra: Row = field(default_factory=dict)


class Trace:
    """Questions to one corpus."""

    def __init__(self, corpus: Corpus, threads: int = 2) -> None:
        """Open the index, and make it first where there is none yet (about a minute for ten million documents)."""
        self.corpus = corpus
        folder = index_folder(corpus) or self._make_index()
        self._parts = corpus.tables("documents")
        self._db = duckdb.connect()
        self._db.execute("SET threads = ?", [threads])
        self._db.execute("SET enable_progress_bar = false")
        self._db.execute("SET parquet_metadata_cache = true")  # footers are read once, not once a question
        self._positions, self._documents, self._origins, kinds = (
            f"read_parquet({quoted(folder / (name + '.parquet'))})"
            for name in ("positions", "documents", "origins", "kinds"))
        self._kinds = {row["kind"]: row for row in rows_of(self._db.execute(f"FROM {kinds}"))}
        self._pages = page_firsts(folder)

    def _make_index(self) -> Path:
        """Write the index beside the corpus; where nothing can be written, for the life of this object."""
        try:
            return write_index(self.corpus)
        except OSError:
            held = tempfile.mkdtemp(prefix="petit-index-")
            weakref.finalize(self, shutil.rmtree, held, True)
            return write_index(self.corpus, Path(held) / "index")

    @property
    def n_positions(self) -> int:
        """Tokens in all shards."""
        row = self._db.execute(f'SELECT coalesce(max("end"), 0) FROM {self._positions}').fetchone()
        return int(row[0]) if row else 0

    def tokens(self, start: int, end: int, limit: int = 20) -> Answer:
        """The documents behind the tokens `start` to `end`, counted over all shards.

        Raises: UsageError for a range that the corpus does not have.
        """
        return self.ranges([(start, end)], f"tokens {start:,} to {end:,}", limit)

    def ranges(self, ranges: Sequence[tuple[int, int]], question: str, limit: int = 20) -> Answer:
        """The documents behind several ranges of tokens; a token in two of them counts twice."""
        for start, end in ranges:
            if not 0 <= start < end:
                raise UsageError(f"tokens {start} to {end} are no range; give two numbers, the first the smaller")
        found = [{**row, **self._facts(row)} for row in self._within(ranges)]
        if not found:
            raise UsageError(f"the corpus has no {question}; it has {self.n_positions:,} tokens")
        groups: dict[tuple[str, ...], Row] = {}
        for row in found:
            key = tuple(row[name] for name in _GROUP)
            group = groups.setdefault(key, {**dict(zip(_GROUP, key, strict=True)), "documents": set(), "tokens": 0})
            group["documents"].add(row["doc_id"])
            group["tokens"] += row["to"] - row["from"]
        counted = [{**group, "documents": len(group["documents"])}
                   for group in sorted(groups.values(), key=lambda group: -group["tokens"])]
        n_documents = len({row["doc_id"] for row in found})
        return Answer(question, n_documents, sum(group["tokens"] for group in counted), counted, found[:limit])

    def document(self, doc_id: bytes) -> Row:
        """Everything about one document: its row, its source's, the stage run that brought it in, its places.

        Raises: NotFoundError, with the reason where a stage rejected it.
        """
        places = self._places(doc_id)
        if not places:
            raise NotFoundError(f"the corpus has no document {doc_id.hex()}{self._rejected(doc_id)}")
        part = quoted(self._parts[places[0]["part"]])
        row = rows_of(self._db.execute(f"FROM read_parquet({part}) WHERE doc_id = ?", [doc_id]))[0]
        return {
            "document": row,
            "source": self._row("sources.parquet", "source_id", row["source_id"]),
            "activity": self._row("activities.parquet", "activity_id", row["activity_id"]),
            "positions": [(place["start"], place["end"]) for place in places if place["start"] is not None],
        }

    def ancestors(self, doc_id: bytes) -> list[bytes]:
        """The documents of the corpus that one was made from, and those that they were made from, nearest first."""
        seen: dict[bytes, None] = {}
        ask = [doc_id]
        while ask:
            parents = [parent for one in ask for parent in self.document(one)["document"]["parents"] or []]
            ask = [p for p in dict.fromkeys(parents) if p not in seen and p != doc_id and self._places(p)]
            seen.update(dict.fromkeys(ask))
        return list(seen)

    def with_prefix(self, prefix: str) -> bytes:
        """The one document whose id begins with these hexadecimal digits.

        Raises: UsageError for other characters, or where several begin so; NotFoundError.
        """
        digits = prefix.lower()
        if not 4 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
            raise UsageError(f"{prefix!r} is no document's id; give 4 to 32 hexadecimal digits")
        low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
        query = f"SELECT DISTINCT doc_id FROM {self._documents} WHERE doc_id BETWEEN ? AND ? ORDER BY 1 LIMIT 2"
        found = [row[0] for row in self._db.execute(query, [low, high]).fetchall()]
        if not found:
            raise NotFoundError(f"the corpus has no document {prefix}{self._rejected(low) if low == high else ''}")
        if len(found) > 1:
            raise UsageError(f"several documents begin with {prefix}, such as {found[0].hex()} and {found[1].hex()}")
        return found[0]

    def source(self, source_id: str, limit: int = 20) -> Answer:
        """What a source gave. Raises: NotFoundError, with the sources there are; so do the three below."""
        return self._by("source", "source_id", source_id, lambda known: known == source_id, limit)

    def licence(self, licence: str, limit: int = 20) -> Answer:
        """What came under a licence, alone or as part of an expression ("CC0-1.0" is in "PSF-2.0 AND CC0-1.0")."""
        return self._by("licence", "licence", licence,
                        lambda known: licence == known or licence in _identifiers(known), limit)

    def teacher(self, name: str, limit: int = 20) -> Answer:
        """What a teacher wrote: by its name, of all revisions, or as NAME@REVISION."""
        return self._by("teacher", "teacher", name, lambda known: name in (known, known.split("@")[0]), limit)

    def generator(self, name: str, limit: int = 20) -> Answer:
        """What a generator made: by its name, of all versions, or as NAME@VERSION."""
        return self._by("generator", "generator", name, lambda known: name in (known, known.split("@")[0]), limit)

    def everything(self, limit: int = 20) -> Answer:
        """All that is in the corpus."""
        return self._by("corpus", "source_id", self.corpus.name, lambda known: True, limit)

    def text(self, text: str, find: Finder | None = None, limit: int = 20) -> Answer:
        """The documents that hold a text: at the places that `find` gives, else by reading every text.

        Raises: NotFoundError where there is none.
        """
        question = f"the text {text!r:.80}"
        if find is not None:
            places = list(find(text))
            answer = self.ranges(places, question, limit) if places else None
        else:
            query = f"SELECT doc_id FROM read_parquet([{', '.join(map(quoted, self._parts))}]) WHERE contains(text, ?)"
            ids = [row[0] for row in self._db.execute(query, [text]).fetchall()]
            places = [place for one in ids for place in self._places(one)]
            answer = self._of_places(places, question, limit) if places else None
        if answer is None:
            raise NotFoundError(f"no document holds {text!r:.80}")
        return Answer(**{**vars(answer), "extra": {"places": len(places)}})

    def spans(self, answer_groups: Sequence[Row]) -> list[tuple[int, int]]:
        """Every token range of the documents in these groups."""
        wanted = {tuple(group[name] for name in _GROUP) for group in answer_groups}
        kinds = [kind for kind, row in self._kinds.items() if tuple(row[name] for name in _GROUP) in wanted]
        query = f'SELECT start, "end" FROM {self._origins} WHERE kind IN ({_listed(kinds)}) AND start IS NOT NULL'
        return self._db.execute(query).fetchall()

    def _within(self, ranges: Sequence[tuple[int, int]]) -> list[Row]:
        """The spans that share tokens with a range, range by range, from the pages where they can be."""
        pages = {page for start, end in ranges
                 for page in range(max(0, int(np.searchsorted(self._pages, start, "right")) - 1),
                                   int(np.searchsorted(self._pages, end, "left")))}
        query = f"""
            SELECT greatest(p.start, r.a) AS "from", least(p."end", r.b) AS "to", p.* EXCLUDE page
            FROM {self._positions} p JOIN (SELECT unnest(?::BIGINT[]) AS a, unnest(?::BIGINT[]) AS b,
                                          unnest(range(len(?::BIGINT[]))) AS i) r
            ON p."end" > r.a AND p.start < r.b
            WHERE page IN ({_listed(pages)}) ORDER BY r.i, p.start"""
        starts = [start for start, _ in ranges]
        return rows_of(self._db.execute(query, [starts, [end for _, end in ranges], starts]))

    def _by(self, what: str, column: str, asked: str, fits: Callable[[str], bool], limit: int) -> Answer:
        """Totals and first documents of the rows whose `column` fits."""
        kinds = [kind for kind, row in self._kinds.items() if row[column] and fits(row[column])]
        if not kinds:
            known = sorted({row[column] for row in self._kinds.values() if row[column]})
            listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
            raise NotFoundError(f"the corpus has nothing of the {what} {asked!r}; it has {listed or 'none'}")
        groups: dict[tuple[str, ...], Row] = {}
        for kind in kinds:
            key = tuple(self._kinds[kind][name] for name in _GROUP)
            group = groups.setdefault(key, {**dict(zip(_GROUP, key, strict=True)), "documents": 0, "tokens": 0})
            group["documents"] += self._kinds[kind]["documents"]
            group["tokens"] += self._kinds[kind]["tokens"]
        ordered = sorted(groups.values(), key=lambda group: -group["tokens"])
        first = f"FROM {self._origins} WHERE kind IN ({_listed(kinds)}) LIMIT ?"
        documents = [{**row, **self._facts(row)} for row in rows_of(self._db.execute(first, [limit]))]
        return Answer(f"{what} {asked}", sum(g["documents"] for g in ordered), sum(g["tokens"] for g in ordered),
                      ordered, documents)

    def _of_places(self, places: Sequence[Row], question: str, limit: int) -> Answer:
        """An answer about documents found by their rows."""
        ranges = [(place["start"], place["end"]) for place in places if place["start"] is not None]
        if ranges:
            return self.ranges(ranges, question, limit)
        rows = [{**place, **self._facts(place)} for place in places]
        return Answer(question, len({row["doc_id"] for row in rows}), 0, [], rows[:limit])

    def _facts(self, row: Row) -> Row:
        kind = self._kinds[row["kind"]]
        return {name: kind[name] for name in _FACTS}

    def _places(self, doc_id: bytes) -> list[Row]:
        return rows_of(self._db.execute(f"FROM {self._documents} WHERE doc_id = ?", [doc_id]))

    def _row(self, file: str, column: str, value: Any) -> Row | None:
        """The one row of a small table with this value."""
        found = [row for path in self.corpus.tables(file) for row in rows_of(
            self._db.execute(f"FROM read_parquet({quoted(path)}) WHERE {column} = ?", [value]))]
        return found[0] if found else None

    def _rejected(self, doc_id: bytes) -> str:
        """Why the corpus has no document, where it was rejected."""
        for path in self.corpus.tables("rejected"):
            query = f"SELECT stage, reason, detail FROM read_parquet({quoted(path)}) WHERE doc_id = ? LIMIT 1"
            if row := self._db.execute(query, [doc_id]).fetchone():
                return f"; stage {row[0]} rejected it: {row[1]}" + (f" ({row[2]})" if row[2] else "")
        return ""


def _listed(numbers: Sequence[int] | set[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "NULL"


def _identifiers(expression: str) -> set[str]:
    """The licences that an SPDX expression names."""
    return set(expression.replace("(", " ").replace(")", " ").split()) - {"AND", "OR", "WITH"}
