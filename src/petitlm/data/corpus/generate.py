"""Generated documents: calls of the verified generators, one row for each draft kept or rejected.

A draft is a function of (family and version, language, level, split, seed, index) and of the share of conversations;
`remake_row` repeats the call behind any row.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import petitlm
from petitlm.data.build import remake
from petitlm.data.corpus.schema import content_id, doc_id, problem_id
from petitlm.data.corpus.stage import canonical
from petitlm.data.generators import generator
from petitlm.data.record import TRAIN, Origin, Record, Rejected
from petitlm.data.rendering import pieces
from petitlm.errors import UsageError

VERSION = 1
REASONS = {"other-split": "the problem belongs to another split"}
VERIFY_REASONS = {"wrong-answer": "the second route reads another answer from the text, or cannot read it"}
_RIGHTS = {"commercial": True, "derivatives": True, "share_alike": False, "attribution": True, "output_terms": ""}


@dataclass(frozen=True)
class Call:
    """A run of drafts of one cell."""

    family: str
    language: str
    level: int
    split: str
    seed: int
    start: int
    """Index of the first draft."""
    count: int
    chat_share: float

    def key(self) -> dict[str, Any]:
        """All that decides what comes out."""
        return {**asdict(self), "version": generator(self.family).version, "grammar": grammar_sha(self.family)}


@cache
def grammar_sha(family: str) -> str:
    """sha256 of the source text of the generators, so that a row says which code made it."""
    folder = Path(petitlm.__file__).parent / "data" / "generators"
    digest = hashlib.sha256(family.encode())
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def draft(call: Call, activity: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Counter[str]]:
    """Make the drafts of `call`: rows of documents, rows of rejections (those that failed the second route), and how
    many drafts fell to each reason; drafts of another split are counted and can be drawn again from their index."""
    made_by = generator(call.family)
    kept: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    for index in range(call.start, call.start + call.count):
        origin = Origin(call.family, made_by.version, call.language, call.seed, call.split, index)
        drafted = remake(origin, call.chat_share, call.level)
        if isinstance(drafted, Record):
            kept.append(row_of(drafted, call.level, call.chat_share, activity))
        else:
            reasons[drafted.reason] += 1
            rejected.append(_rejected_row(drafted, call))
    return kept, rejected, reasons


def row_of(record: Record, level: int, chat_share: float, activity: bytes) -> dict[str, Any]:
    """The document of a record."""
    made_by = generator(record.family)
    text, answers = "", []
    for piece in pieces(record.turns, record.shape):
        if piece.is_answer and record.shape != "raw":
            start = len(text.encode())
            answers.append({"start": start, "end": start + len(piece.text.encode())})
        text += piece.text
    source = f"generator:{record.family}"
    gen = _gen(record.origin, level, chat_share)
    content = content_id(text)
    return {
        "doc_id": doc_id(content, source, _place(gen)), "content_id": content, "text": text,
        "n_bytes": len(text.encode()), "origin": "procedural", "form": made_by.form, "source_id": source,
        "activity_id": activity, "gen": gen, "shape": record.shape, "answers": answers, "answer": record.answer,
        "foil": record.foil, "structure": record.structure, "problem_key": problem_id(record.problem_key),
        "verify": {"status": "passed", "checker": f"{record.family}_check", "version": made_by.version,
                   "evidence": ""},
        "category": made_by.category, "subcategory": record.family, "language": record.language,
        "difficulty": record.level, "label_from": "declared", "label_conf": 1.0, "lang_conf": 1.0, "script": "Latn",
        "licence": record.licence, "rights": _RIGHTS, "evidence": {"kind": "computed", "sha": gen["grammar_sha"]},
        "flags": [], "split": record.split, "weight": 1.0,
    }  # fmt: skip


def remake_row(gen: Mapping[str, Any]) -> dict[str, Any] | None:
    """Repeat the generator call of a row's `gen`; None where it now gives no record.

    Raises: UsageError if the generator has changed its version since.
    """
    params = json.loads(gen["params"])
    origin = Origin(gen["name"], gen["version"], params["language"], gen["seed"], params["split"], gen["index"])
    made = remake(origin, params["chat_share"], params["level"])
    return row_of(made, params["level"], params["chat_share"], b"") if isinstance(made, Record) else None


def check_languages(family: str, language: str, level: int, split: str) -> None:
    """Refuse a cell that the family cannot fill.

    Raises: UsageError.
    """
    if level not in generator(family).levels:
        raise UsageError(f"{family} has no level {level}; it has {', '.join(map(str, generator(family).levels))}")
    if split == TRAIN and language not in ("en", "fr"):
        raise UsageError(f"{family} is not generated in {language!r}")


def _gen(origin: Origin, level: int, chat_share: float) -> dict[str, Any]:
    return {"name": origin.generator, "version": origin.version,
            "params": _params(origin.language, origin.split, level, chat_share), "seed": origin.seed,
            "index": origin.index, "grammar_sha": grammar_sha(origin.generator)}


@cache
def _params(language: str, split: str, level: int, chat_share: float) -> str:
    """What is the same for all drafts of a cell."""
    return canonical({"language": language, "split": split, "level": level, "chat_share": chat_share})


def _place(gen: Mapping[str, Any]) -> str:
    """The call alone: a document keeps its name when code that does not concern it changes."""
    return canonical({name: value for name, value in gen.items() if name != "grammar_sha"})


def _rejected_row(drafted: Rejected, call: Call) -> dict[str, Any]:
    gen = _gen(drafted.origin, call.level, call.chat_share)
    source = f"generator:{call.family}"
    return {"doc_id": doc_id(b"", source, _place(gen)), "source_id": source,
            "stage": "verify" if drafted.reason in VERIFY_REASONS else "generate", "reason": drafted.reason,
            "detail": drafted.detail, "gen": gen, "text": ""}

