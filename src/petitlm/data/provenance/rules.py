"""What holds of every corpus: each rule as a query for the rows that break it."""

from __future__ import annotations

from typing import NamedTuple

from petitlm.data.corpus.schema import CATEGORIES, EVIDENCE, FORMS, LABELLED, ORIGINS, SPLITS, VERIFIED


class Rule(NamedTuple):
    """Something that no row may break."""

    broken: str
    """What is said of the rows that do."""
    query: str
    """Gives one text for each of them: its name."""


def _listed(values: tuple[str, ...] | dict[str, str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _documents(broken: str, where: str) -> Rule:
    return Rule(broken, f"SELECT lower(hex(doc_id)) FROM documents WHERE {where}")


_CLOSED = {"origin": ORIGINS, "form": FORMS, "split": SPLITS, "category": CATEGORIES, "label_from": LABELLED,
           "verify.status": VERIFIED, "evidence.kind": EVIDENCE}
_OF_TRAIN = "SELECT {0} FROM documents WHERE split = 'train' AND {0} IS NOT NULL"

RULES = (
    Rule("have an id that another document has too",
         "SELECT lower(hex(doc_id)) FROM documents GROUP BY doc_id HAVING count(*) > 1"),
    _documents("have no text", "text IS NULL OR text = ''"),
    _documents("have a text that is not in Unicode's form NFC", "nfc_normalize(text) <> text"),
    _documents("hold a NUL character", "contains(text, chr(0))"),
    _documents("have another number of bytes than their row says", "strlen(text) IS DISTINCT FROM n_bytes"),
    _documents("failed their verifier and were kept", "verify.status = 'failed'"),
    _documents("have a difficulty that is not from 0 to 5", "difficulty NOT BETWEEN 0 AND 5"),
    _documents("have a weight, quality or confidence that is out of range",
               "weight < 0 OR NOT isfinite(weight) OR quality NOT BETWEEN 0 AND 1 OR label_conf NOT BETWEEN 0 AND 1 "
               "OR lang_conf NOT BETWEEN 0 AND 1"),
    _documents("have no licence that a policy could judge", "licence IS NULL"),
    _documents("say that a generator made them and not which call", "origin = 'procedural' AND gen IS NULL"),
    _documents("say that a teacher wrote them and not in which call",
               "origin IN ('teacher', 'own', 'rewrite') AND call IS NULL"),
    _documents("say that they are rewritten and not from what",
               "origin = 'rewrite' AND len(coalesce(parents, [])) = 0"),
    *(_documents(f"have a value of {name} that is not on the list", f"{name} NOT IN ({_listed(values)})")
      for name, values in _CLOSED.items()),
    _documents("come from a source that is not in sources.parquet",
               "source_id IS NULL OR source_id NOT IN (SELECT source_id FROM sources WHERE source_id IS NOT NULL)"),
    _documents("came in by a run that is not in activities.parquet",
               "activity_id IS NOT NULL "
               "AND activity_id NOT IN (SELECT activity_id FROM activities WHERE activity_id IS NOT NULL)"),
    _documents("have an answer that does not lie inside their text, after the one before",
               "len(list_filter(answers, lambda a, i: a.start > a.\"end\" OR a.\"end\" > n_bytes "
               "OR a.start < coalesce(answers[i - 1].\"end\", 0))) > 0"),
    Rule("were made from a document that is neither kept nor rejected",
         "SELECT lower(hex(doc_id)) FROM (SELECT doc_id, unnest(parents) AS parent FROM documents) "
         "WHERE parent NOT IN (SELECT doc_id FROM documents) "
         "AND parent NOT IN (SELECT doc_id FROM rejected WHERE doc_id IS NOT NULL)"),
    Rule("are their own ancestors",
         "WITH RECURSIVE edges AS (SELECT doc_id, unnest(parents) AS parent FROM documents), "
         "up AS (SELECT doc_id AS child, parent FROM edges UNION SELECT up.child, edges.parent FROM up JOIN edges "
         "ON edges.doc_id = up.parent) SELECT lower(hex(child)) FROM up WHERE child = parent"),
    Rule("are kept and rejected at once",
         "SELECT lower(hex(doc_id)) FROM rejected WHERE doc_id IN (SELECT doc_id FROM documents)"),
    _documents("are held out, and training holds their problem",
               f"split LIKE 'heldout%' AND problem_key IN ({_OF_TRAIN.format('problem_key')})"),
    _documents("are kept for validation or test, and training holds their text",
               f"split <> 'train' AND content_id IN ({_OF_TRAIN.format('content_id')})"),
    Rule("have a span of another length than their row says",
         'SELECT lower(hex(doc_id)) FROM spans JOIN documents USING (doc_id) WHERE "end" - start <> n_tokens'),
    Rule("have a span of tokens and are not among the documents",
         "SELECT lower(hex(doc_id)) FROM spans WHERE doc_id NOT IN (SELECT doc_id FROM documents)"),
    Rule("have a span that does not begin where the one before ends",
         'SELECT lower(hex(doc_id)) FROM (SELECT *, lag("end", 1, 0) OVER (PARTITION BY shard ORDER BY start) '
         "AS before FROM spans) WHERE start <> before"),
)
