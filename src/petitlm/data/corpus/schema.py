"""The tables of a corpus: their columns, the closed lists of words in them, and how a document is named.

Rows hold no clock and no machine: the same inputs give the same bytes. Times are in `log.jsonl`, beside the tables.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

import pyarrow as pa

ORIGINS = ("human", "procedural", "teacher", "own", "rewrite")
FORMS = ("book", "reference", "exercise", "story", "dialogue", "command", "code", "pair", "table", "speech", "message")
SPLITS = ("train", "valid", "test", "heldout-values", "heldout-structures")
"""`valid` and `test` are cut from real text; the two held-out splits are the generators' own."""
VERIFIED = ("passed", "failed", "unverifiable", "not_run")
LABELLED = ("declared", "classified", "human")
EVIDENCE = ("declared", "computed", "corroborated")
"""How a fact of provenance is known: somebody says so; petit computed it; a file at a pinned place was hashed."""

CATEGORIES = {
    # What generators make.
    "arithmetic": "sums, comparisons, rounding, division with remainder",
    "word-problems": "short stories whose question is a sum",
    "measures": "time, calendar, money and units",
    "number-words": "numbers in words and digits, across two languages",
    "reading": "questions about a short text, some without an answer in it",
    "logic": "orders, truth-tellers, small grids",
    "instructions": "lists and strings handled as told",
    "code": "programs and questions about them",
    "robot": "commands to a robot, and its plans",
    "translation": "a sentence and its translation",
    "stories": "short stories",
    "grammar": "agreement, negation and other rules of a language",
    "dialogue": "conversations with a purpose",
    "small-talk": "greetings and honest refusals",
    # What real text is about.
    "prose": "novels and tales",
    "drama": "plays and verse",
    "science": "natural sciences and mathematics",
    "society": "psychology, philosophy, politics",
    "history": "history and speeches",
    "technical": "documentation and standards",
    "web": "blogs, reviews, messages, news",
    "other": "nothing of the above, or not sure",
}

LOCATOR = pa.struct([
    ("repo", pa.string()), ("commit", pa.string()), ("path", pa.string()),
    ("byte_start", pa.int64()), ("byte_end", pa.int64()), ("key", pa.string()),
])  # fmt: skip
GEN = pa.struct([
    ("name", pa.string()), ("version", pa.int32()), ("params", pa.string()), ("seed", pa.uint64()),
    ("index", pa.uint64()), ("grammar_sha", pa.string()),
])  # fmt: skip
CALL = pa.struct([
    ("teacher", pa.string()), ("revision", pa.string()), ("weights_sha", pa.string()), ("prompt_id", pa.string()),
    ("prompt_sha", pa.string()), ("sampling", pa.string()), ("finish", pa.string()), ("attempt", pa.int32()),
    ("call_id", pa.string()),
])  # fmt: skip
RIGHTS = pa.struct([
    ("commercial", pa.bool_()), ("derivatives", pa.bool_()), ("share_alike", pa.bool_()), ("attribution", pa.bool_()),
    ("output_terms", pa.string()),
])  # fmt: skip

DOCUMENTS = pa.schema([
    ("doc_id", pa.binary(16)),        # of content, source, place and call: unique even for equal texts
    ("content_id", pa.binary(16)),    # of the text alone: equal texts share it
    ("text", pa.large_string()),      # UTF-8, NFC, no NUL
    ("n_bytes", pa.int32()),
    ("n_tokens", pa.int32()),         # by the corpus' tokenizer; null before it is known
    ("origin", pa.string()),
    ("form", pa.string()),
    ("source_id", pa.string()),       # key into `sources`; of generators "generator:NAME", of teachers "teacher:NAME"
    ("locator", LOCATOR),
    ("parents", pa.list_(pa.binary(16))),
    ("activity_id", pa.binary(16)),   # key into `activities`: the stage run that brought it in
    ("gen", GEN),                     # null unless a generator made it
    ("call", CALL),                   # null unless a teacher made it
    ("shape", pa.string()),           # prompt shape of `text` (petitlm.prompts): "raw", "qa", "chat"
    ("answers", pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32())]))),
    # ^ byte ranges of `text` that are answers; empty: the whole text is to be learnt alike
    ("answer", pa.string()),          # the reference, where there is one to check against
    ("foil", pa.string()),            # the wrong half of a minimal pair
    ("structure", pa.string()),       # shape of the problem without its numbers and names
    ("problem_key", pa.binary(16)),   # canonical problem: the key that splits and finds leaks
    ("verify", pa.struct([("status", pa.string()), ("checker", pa.string()), ("version", pa.int32()),
                          ("evidence", pa.string())])),
    ("category", pa.string()),
    ("subcategory", pa.string()),
    ("language", pa.string()),        # BCP-47; "und" where it is not sure
    ("difficulty", pa.int8()),        # 0 to 5
    ("label_from", pa.string()),
    ("label_conf", pa.float32()),
    ("lang_conf", pa.float32()),
    ("quality", pa.float32()),        # 0 to 1, the classifier's
    ("script", pa.string()),          # ISO 15924
    ("licence", pa.string()),         # SPDX expression
    ("rights", RIGHTS),
    ("evidence", pa.struct([("kind", pa.string()), ("sha", pa.string())])),
    ("dup", pa.struct([("cluster", pa.binary(16)), ("size", pa.int32())])),
    ("contam", pa.struct([("task", pa.string()), ("hits", pa.int32()), ("share", pa.float32())])),
    ("flags", pa.list_(pa.string())),
    ("split", pa.string()),
    ("weight", pa.float32()),         # how often a pass over the corpus shows it
])  # fmt: skip

REJECTED = pa.schema([
    ("doc_id", pa.binary(16)), ("source_id", pa.string()), ("stage", pa.string()), ("reason", pa.string()),
    ("detail", pa.string()), ("locator", LOCATOR), ("gen", GEN), ("text", pa.large_string()),
])  # fmt: skip

SOURCES = pa.schema([
    ("source_id", pa.string()), ("kind", pa.string()), ("group", pa.string()), ("title", pa.string()),
    ("publisher", pa.string()), ("uri", pa.string()), ("commit", pa.string()), ("licence", pa.string()),
    ("licence_path", pa.string()), ("licence_sha", pa.string()), ("evidence", pa.string()),
    ("attribution", pa.string()), ("language", pa.string()), ("form", pa.string()),
    ("nc", pa.bool_()), ("nd", pa.bool_()), ("sa", pa.bool_()), ("output_terms", pa.string()), ("note", pa.string()),
])  # fmt: skip

ACTIVITIES = pa.schema([
    ("activity_id", pa.binary(16)), ("stage", pa.string()), ("version", pa.int32()), ("code_version", pa.string()),
    ("settings", pa.string()), ("agent", pa.string()), ("inputs", pa.list_(pa.string())),
    ("outputs", pa.list_(pa.string())), ("n_in", pa.int64()), ("n_kept", pa.int64()), ("n_rejected", pa.int64()),
])  # fmt: skip

SPANS = pa.schema([
    ("shard", pa.int32()), ("start", pa.uint64()), ("end", pa.uint64()), ("doc_id", pa.binary(16)),
    ("loss_from", pa.int32()),  # first token, counted from `start`, that is an answer; 0: all are
    ("answers", pa.list_(pa.int32())),  # token ranges of answers, from `start`: begin, end, begin, end, ...
])  # fmt: skip


def content_id(text: str) -> bytes:
    """Key of a text: equal texts (after NFC) share it."""
    return hashlib.blake2b(unicodedata.normalize("NFC", text).encode(), digest_size=16).digest()


def doc_id(content: bytes, source_id: str, place: str, call_id: str = "") -> bytes:
    """Name of a document: what it says, where it comes from and which call made it."""
    name = b"\0".join([content, source_id.encode(), place.encode(), call_id.encode()])
    return hashlib.blake2b(name, digest_size=16).digest()


def problem_id(key: str) -> bytes | None:
    """The `problem_key` column from a generator's key; None for a problem without one."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest() if key else None


def documents(rows: Sequence[dict[str, object]]) -> pa.Table:
    """A table of documents from rows of plain values; what a row leaves out is null."""
    return pa.Table.from_pylist(list(rows), schema=DOCUMENTS)


def put(rows: pa.Table, name: str, values: Sequence[object] | pa.Array | pa.ChunkedArray) -> pa.Table:
    """`rows` with the column `name` replaced."""
    field = rows.schema.field(name)
    made = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, field.type)
    return rows.set_column(rows.schema.get_field_index(name), field, made)


def put_texts(rows: pa.Table, texts: Sequence[str]) -> pa.Table:
    """`rows` with new texts, and with the content ids and byte counts that follow from them; doc ids stay."""
    rows = put(rows, "text", texts)
    rows = put(rows, "content_id", [content_id(text) for text in texts])
    return put(rows, "n_bytes", [len(text.encode()) for text in texts])
