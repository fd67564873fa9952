"""The rows that teachers leave: documents, what was rejected, and the teacher itself among the sources."""

from __future__ import annotations

from typing import Any

from petitlm.data.corpus.schema import CATEGORIES, content_id, doc_id
from petitlm.data.corpus.stage import canonical
from petitlm.data.sources.licences import rights_of, spdx
from petitlm.data.teachers.protocol import Identity, Request
from petitlm.data.teachers.replies import Verdict
from petitlm.data.teachers.seeds import Seeds
from petitlm.data.teachers.strategies import Strategy

STAGE = "teacher"
_OPEN_TERMS = "LicenseRef-Output-Terms"
"""Licence of a text without a seed whose teacher's terms are no SPDX expression."""


def call_of(identity: Identity, strategy: Strategy, request: Request, finish: str, attempt: int) -> dict[str, Any]:
    """The column `call` of a document."""
    return {"teacher": identity.name, "revision": identity.revision, "weights_sha": identity.weights_sha,
            "prompt_id": strategy.id, "prompt_sha": strategy.sha, "sampling": canonical(request.sampling),
            "finish": finish, "attempt": attempt, "call_id": request.call_id}


def document(strategy: Strategy, language: str, identity: Identity, verdict: Verdict, seed: dict[str, Any] | None,
              call: dict[str, Any]) -> dict[str, Any]:
    """The row of a reply that was kept."""
    text = f"{seed['text']}\n{verdict.text}" if strategy.translates and seed else verdict.text
    licence = derived_licence(seed["licence"] if seed else None, identity.output_terms)
    content, source = content_id(text), source_of(identity, licence)
    category = strategy.category or (seed["category"] if seed and seed["category"] in CATEGORIES else None)
    origin = "own" if identity.origin == "own" else "rewrite" if seed and seed["origin"] == "human" else "teacher"
    known_sha = identity.weights_sha if len(identity.weights_sha) == 64 else None
    return {
        "doc_id": doc_id(content, source, "", call["call_id"]), "content_id": content, "text": text,
        "n_bytes": len(text.encode()), "origin": origin, "form": strategy.form, "source_id": source,
        "parents": [seed["doc_id"]] if seed else [], "call": call, "shape": "raw", "answers": [],
        "problem_key": seed["problem_key"] if seed else None,
        "verify": {"status": "unverifiable", "checker": "", "version": 0, "evidence": ""}, "category": category,
        "subcategory": strategy.id, "language": language, "label_from": "declared" if category else None,
        "licence": licence, "rights": rights_of(licence) | {"output_terms": identity.output_terms},
        "evidence": {"kind": identity.terms_from, "sha": known_sha}, "split": "train",
        "flags": ["reply.repaired"] if verdict.repaired else [],
    }  # fmt: skip


def derived_licence(seed: str | None, terms: str) -> str:
    """Licence of a text that a teacher made of a seed: the seed's stays on it, and what the teacher's terms ask for
    comes on top, where they are a licence."""
    own = spdx(terms)
    if seed is None:
        return own or _OPEN_TERMS
    free = own is None or own == seed or rights_of(own) == rights_of("CC0-1.0")
    return seed if free else " AND ".join(f"({part})" if " OR " in part else part for part in (seed, str(own)))


def source_of(identity: Identity, licence: str) -> str:
    """Key of a teacher's row among the sources; texts under share-alike licences have one of their own."""
    return f"teacher:{identity.name}" + (":share-alike" if rights_of(licence)["share_alike"] else "")


def source_row(source_id: str, identity: Identity, language: str, seeds: Seeds) -> dict[str, Any]:
    """The row of a teacher, or generator; whoever asks to be named for a seed is named for what was made of it."""
    if source_id.startswith("generator:"):
        return {"source_id": source_id, "kind": "procedural", "group": "procedural", "publisher": "petit",
                "title": f"petit's generator {source_id.partition(':')[2]}", "commit": identity.revision,
                "licence": "MIT", "evidence": "computed", "attribution": "the petit authors", "nc": False,
                "nd": False, "sa": False, "output_terms": identity.output_terms}
    alike = source_id.endswith(":share-alike")
    authors = sorted(f"{row.get('attribution') or row['title']} ({row['source_id']})" for row in seeds.sources)
    return {"source_id": source_id, "kind": identity.origin, "group": "share-alike" if alike else identity.origin,
            "title": identity.name, "publisher": "", "licence": spdx(identity.output_terms),
            "licence_sha": None, "evidence": identity.terms_from,
            "attribution": f"after {', '.join(authors)}" if authors else "", "language": language,
            "nc": False, "nd": False, "sa": alike, "output_terms": identity.output_terms,
            "note": ", ".join(filter(None, (f"revision {identity.revision}", f"weights {identity.weights_sha}",
                                            identity.licence)))}


def rejected(identity: Identity, name: str, verdict: Verdict) -> dict[str, Any]:
    """The row of a reply that makes no document."""
    source = f"teacher:{identity.name}"
    return {"doc_id": doc_id(b"", source, "", name), "source_id": source, "stage": STAGE, "reason": verdict.reason,
            "detail": verdict.detail[:500], "text": verdict.text}
