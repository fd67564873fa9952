"""`petit data generate`: seeds become calls, calls replies, and replies documents that know who wrote them from what.

The folder has `documents.parquet` and `sources.parquet`, which a recipe reads with format = "documents",
`seeds.parquet` (the parents, for the same recipe), `rejected.parquet` and `journal.sqlite`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from petitlm.data.corpus.schema import DOCUMENTS, REJECTED, SOURCES
from petitlm.data.corpus.shards import write_table
from petitlm.data.corpus.store import held
from petitlm.data.teachers import procedural
from petitlm.data.teachers.journal import Journal
from petitlm.data.teachers.own import most_own
from petitlm.data.teachers.protocol import Identity, Reply, Request, TeacherError, call_id, read_reply
from petitlm.data.teachers.replies import Asked, Verdict, judge_all, tag_of
from petitlm.data.teachers.rows import call_of, document, rejected, source_row
from petitlm.data.teachers.run import Run
from petitlm.data.teachers.seeds import Seeds, Wanted, count_origins, read_seeds
from petitlm.data.teachers.strategies import Strategy
from petitlm.errors import RefusedError, UsageError
from petitlm.files import write_file

JOURNAL, DOCS, OUT, SOURCE_TABLE, SEED_TABLE = ("journal.sqlite", "documents.parquet", "rejected.parquet",
                                                "sources.parquet", "seeds.parquet")


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    strategy: Strategy | None
    """None: the calls of the procedural teacher, of `family`."""
    language: str
    limit: int
    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0
    max_seed_bytes: int = 8000
    seed_licence: str = ""
    max_own_share: float = 0.25
    family: str = ""


@dataclass
class Made:
    """What a run left."""

    folder: Path
    identity: Identity
    asked: int
    documents: int
    rejected: Counter[str]
    left: int
    """Calls that are not done: a later run with the same order makes them."""
    skipped: Counter[str]
    """Documents that could not be seeds."""
    n_prompt: int
    n_generated: int
    counted: bool
    """Whether the teacher counted the tokens; otherwise they are estimated from bytes."""
    money: float
    stopped: TeacherError | str


@dataclass(frozen=True)
class _Plan:
    """The calls of an order, and what each is about."""

    requests: list[Request]
    asked: list[Asked]
    seeds: Seeds
    parents: dict[str, dict[str, Any]]
    """Seed row by call_id."""


def check_terms(identity: Identity) -> None:
    """Refuse a teacher whose outputs may not be known to be free for training.

    Raises: RefusedError.
    """
    if not identity.output_terms.strip():
        raise RefusedError(f"nothing says whether what {identity.name} writes may be used for training; read its "
                           "terms, and state them with --terms (words, or an SPDX expression): they are recorded "
                           "as declared by you")


def make(place: Path | None, order: Order, run_for: Any, out: Path) -> Made:
    """Make the documents of `order` from the seeds in `place`, in the folder `out`. `run_for(journal)` gives the `Run`.

    A folder that has a journal of the same teacher is gone on with.
    Raises: RefusedError for unknown terms; UsageError; TeacherError where the teacher does not say who it is.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / JOURNAL).is_file())):
        raise UsageError(f"{out} holds something else; choose a new folder, or one that a run stopped in")
    with held(out):
        journal = Journal(out / JOURNAL)
        try:
            run: Run = run_for(journal)
            identity = run.identify()
            check_terms(identity)
            _same_teacher(journal, identity, out)
            plan = _plan(place, order, identity)
            stopped = run.go(plan.requests)
            made = _write(out, order, plan, identity, journal)
            cost = run.budgets.cost(made.n_prompt, made.n_generated)
            return dataclasses.replace(made, stopped=stopped, money=cost)
        finally:
            journal.close()


def _same_teacher(journal: Journal, identity: Identity, out: Path) -> None:
    """Write who answers into the journal, or see that it is who answered before.

    Raises: UsageError.
    """
    known = journal.meta("identity")
    if known and Identity(**known).key != identity.key:
        raise UsageError(f"{out} has replies of {known['name']} {known['revision']}, and now {identity.name} "
                         f"{identity.revision} answers; give another --out, so that each document has one teacher")
    journal.set_meta("identity", dataclasses.asdict(identity))


def _plan(place: Path | None, order: Order, identity: Identity) -> _Plan:
    """The calls of an order."""
    strategy = order.strategy
    if strategy is None:
        calls = [_named(r, identity, "") for r in procedural.requests(order.family, order.language, order.seed,
                                                                      order.limit)]
        return _Plan(calls, [], Seeds([], []), {})
    own = identity.origin == "own"
    if not strategy.grounded:
        tag = tag_of(strategy.id, "")
        limit = min(order.limit, _most_own(place, order)) if own else order.limit
        calls = [_named(_request(order, strategy.prompt(order.language, "", tag), order.seed + i), identity, "")
                 for i in range(limit)]
        return _Plan(calls, [Asked(c.call_id, strategy, order.language, "") for c in calls],
                     Seeds([], []), {})
    if place is None:
        raise UsageError(f"the strategy {strategy.id!r} needs seed documents; give a corpus, a documents.parquet or a "
                         "JSONL file")
    seeds = read_seeds(place, Wanted(strategy, order.language, order.limit, order.max_seed_bytes, order.seed_licence,
                                     own))
    if own and seeds.rows:
        seeds.rows = seeds.rows[:_most_own(place, order)]
    calls, asked, parents = [], [], {}
    for row in seeds.rows:
        prompt = strategy.prompt(order.language, row["text"], tag_of(strategy.id, row["text"]))
        call = _named(_request(order, prompt, order.seed), identity, row["doc_id"].hex())
        calls.append(call)
        asked.append(Asked(call.call_id, strategy, order.language, row["text"]))
        parents[call.call_id] = row
    return _Plan(calls, asked, seeds, parents)


def _most_own(place: Path | None, order: Order) -> int:
    """How many documents of our own model may join those in `place`.

    Raises: RefusedError where none may.
    """
    origins = count_origins(place) if place else Counter[str]()
    most = most_own(origins.total() - origins["own"], origins["own"], order.max_own_share)
    if not most:
        raise RefusedError(f"of {origins.total()} documents in {place or 'no SEEDS'} {origins['own']} are by models of "
                           f"petit; with --max-own-share {order.max_own_share} none may join them")
    return most


def _request(order: Order, messages: tuple[tuple[str, str], ...], seed: int) -> Request:
    return Request(messages, order.max_tokens, order.temperature, order.top_p, seed)


def _named(request: Request, identity: Identity, seed_doc: str) -> Request:
    return dataclasses.replace(request, call_id=call_id(identity, request, seed_doc))


def _write(out: Path, order: Order, plan: _Plan, identity: Identity, journal: Journal) -> Made:
    """Write the tables from the journal: the same journal gives the same bytes."""
    entries = {entry.call_id: entry for entry in journal.entries()}
    calls = {r.call_id: r for r in plan.requests}
    replies: dict[str, Reply] = {}
    kept: list[dict[str, Any]] = []
    out_rows: list[dict[str, Any]] = []
    for name in calls:
        entry = entries[name]
        if entry.state == "done" and entry.reply is not None:
            replies[name] = read_reply(entry.reply)
        elif entry.state == "permanent":
            reason, _, detail = entry.error.partition(": ")
            text = entry.reply.decode(errors="replace") if entry.reply else ""
            out_rows.append(rejected(identity, name, Verdict(text, reason, detail)))
    for name, verdict in judge_all(plan.asked, replies).items():
        if verdict.reason:
            out_rows.append(rejected(identity, name, verdict))
            continue
        assert order.strategy is not None
        call = call_of(identity, order.strategy, calls[name], replies[name].finish, entries[name].attempts)
        kept.append(document(order.strategy, order.language, identity, verdict, plan.parents.get(name), call))
    if order.strategy is None:
        kept = [procedural.row_of_reply(reply.text) for reply in replies.values()]
    _tables(out, kept, out_rows, plan.seeds, identity, order)
    n_prompt, n_generated, counted = journal.spent()
    return Made(out, identity, len(calls), len(kept), Counter(row["reason"] for row in out_rows),
                len(calls) - len(kept) - len(out_rows), plan.seeds.skipped, n_prompt, n_generated, counted, 0.0, "")


def _tables(out: Path, kept: Sequence[dict[str, Any]], refused: Sequence[dict[str, Any]], seeds: Seeds,
            identity: Identity, order: Order) -> None:
    sources = {row["source_id"]: row for row in seeds.sources}
    for row in kept:
        sources.setdefault(row["source_id"], source_row(row["source_id"], identity, order.language, seeds))
    for name, rows, schema, key in ((DOCS, kept, DOCUMENTS, "doc_id"), (OUT, refused, REJECTED, "doc_id"),
                                    (SOURCE_TABLE, list(sources.values()), SOURCES, "source_id"),
                                    (SEED_TABLE, seeds.rows, DOCUMENTS, "doc_id")):
        table = pa.Table.from_pylist(sorted(rows, key=lambda row: row[key]), schema=schema)
        beside = out / f".{name}.part"
        write_table(beside, table)
        write_file(out / name, [beside.read_bytes()])
        beside.unlink()
