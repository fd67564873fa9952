"""The folder of a corpus: what a build left, under plain names, vouched for by one manifest, in place in one step."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import petitlm
from petitlm.data.balance.grid import evenness
from petitlm.data.balance.loop import Place, by_cell
from petitlm.data.corpus.ending import DOCS, VARIETY
from petitlm.data.corpus.pipeline import Built
from petitlm.data.corpus.recipe import STAGES
from petitlm.data.corpus.schema import ACTIVITIES, SOURCES
from petitlm.data.corpus.shards import write_table
from petitlm.data.corpus.stage import canonical
from petitlm.data.generators import GENERATORS
from petitlm.data.tokens.pack import SPANS_FILE, copy_tokenizer, shard_name
from petitlm.files import file_sha256, new_folder, write_file

SCHEMA = 1
MANIFEST, BALANCE, RECIPE = "manifest.json", "balance.json", "recipe.toml"
STAGE_ORDER = ("ingest", "generate", "verify", *STAGES)
OWN = {MANIFEST, BALANCE, RECIPE, "documents", "rejected", "tokens", "sources.parquet", "activities.parquet", "reports",
       "index", "suffixes", "log.jsonl"}
"""Names that a corpus folder may have; another one keeps it from being replaced."""


def assemble(built: Built, recipe_text: str, out: Path) -> str:
    """Write the corpus into `out`; returns the sha256 of its manifest, which is its identity.

    Raises: UsageError where `out` holds something that is not a corpus.
    """
    with new_folder(out, OWN.__contains__) as folder:
        _place_tables(built, folder)
        _place_tokens(built, folder)
        sources = {row["source_id"]: row for row in [*built.sources, *_generator_rows(built)]}
        write_table(folder / "sources.parquet", pa.Table.from_pylist(
            [sources[name] for name in sorted(sources)], schema=SOURCES))
        write_table(folder / "activities.parquet", pa.Table.from_pylist(_activities(built), schema=ACTIVITIES))
        if built.variety is not None:
            _place(built.variety.path(VARIETY), folder / "reports" / VARIETY)
        write_file(folder / RECIPE, [recipe_text.encode()])
        write_file(folder / BALANCE, [canonical(balance_of(built)).encode() + b"\n"])
        manifest = canonical(_manifest(built, recipe_text, folder)).encode() + b"\n"
        write_file(folder / MANIFEST, [manifest])
    return hashlib.sha256(manifest).hexdigest()


def _place_tables(built: Built, folder: Path) -> None:
    for number, done in enumerate(built.documents):
        _place(done.path(DOCS), folder / "documents" / f"part-{number:05d}.parquet")
    for number, done in enumerate(built.rejected):
        for name in done.files:
            _place(done.path(name), folder / "rejected" / Path(name).stem / f"part-{number:05d}.parquet")


def _place_tokens(built: Built, folder: Path) -> None:
    assert built.spans is not None
    tokens = folder / "tokens"
    tokens.mkdir()
    for number, done in enumerate(built.shards):
        for suffix in ("bin", "idx"):
            name = f"{shard_name(number)}.{suffix}"
            _place(done.path(name), tokens / name)
    _place(built.spans.path(SPANS_FILE), tokens / SPANS_FILE)
    copy_tokenizer(built.tokenizer, tokens)


def _place(source: Path, target: Path) -> None:
    """A second name for a finished file, or a copy where the file system has no second names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _generator_rows(built: Built) -> Iterable[dict[str, Any]]:
    """The generators that were called, as sources."""
    called = {call.family for task, *_ in built.steps if task.stage == "generate" for call in task.payload[0]}
    for name in sorted(called):
        yield {
            "source_id": f"generator:{name}", "kind": "procedural", "group": "procedural",
            "title": f"petit's generator of {GENERATORS[name].category} ({name})", "publisher": "petit",
            "uri": f"petitlm.data.generators.{name.replace('-', '_')}", "commit": str(GENERATORS[name].version),
            "licence": "MIT", "evidence": "computed", "attribution": "the petit authors", "form": GENERATORS[name].form,
            "nc": False, "nd": False, "sa": False, "note": "every answer proven by a second route from the text",
        }  # fmt: skip


def _activities(built: Built) -> list[dict[str, Any]]:
    rows, seen = [], set()
    for task, done, inputs, settings in built.steps:
        if task.key in seen:
            continue
        seen.add(task.key)
        counts = done.counts.get("stages", ())
        rows.append({
            "activity_id": bytes.fromhex(task.key), "stage": task.stage, "version": task.version,
            "code_version": petitlm.__version__, "settings": canonical(settings), "agent": "petit",
            "inputs": list(inputs), "outputs": [f"{name}:{sha}" for name, sha in sorted(done.files.items())],
            "n_in": counts[0]["n_in"] if counts else None, "n_kept": counts[-1]["n_kept"] if counts else None,
            "n_rejected": sum(count["n_rejected"] for count in counts) if counts else None,
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["stage"], row["activity_id"]))


def balance_of(built: Built) -> dict[str, Any]:
    """The grid before and after, what lacks and why, in plain values."""
    loop = built.loop
    assert loop is not None
    wanted = by_cell(loop.wanted)
    before, after = by_cell(built.before), by_cell(built.after)
    cells = sorted({*wanted, *before, *after}, key=lambda cell: tuple(map(str, cell)))
    return {
        "cells": [{"category": c.category, "language": c.language, "difficulty": c.difficulty,
                   "target": wanted.get(c, 0), "before": before.get(c, 0), "after": after.get(c, 0)} for c in cells],
        "heldout": [_named(place) | {"target": n, "documents": built.after.get(place, 0)}
                    for place, n in sorted(loop.wanted.items(), key=str) if place[1] != "train"],
        "unfilled": [_named(place) | {"reason": why}
                     for place, why in sorted(loop.unfilled(built.after).items(), key=str)],
        "evenness": {"before": vars_of(evenness(before, wanted)), "after": vars_of(evenness(after, wanted))},
        "rounds": loop.n_rounds, "drafts": loop.n_drafts, "stopped": loop.stopped,
    }  # fmt: skip


def _named(place: Place) -> dict[str, Any]:
    cell, split = place
    return {**cell._asdict(), "split": split}


def vars_of(value: Any) -> dict[str, Any]:
    """Fields of a frozen dataclass, numbers rounded to what is worth printing."""
    return {name: round(number, 6) if isinstance(number, float) else number for name, number in asdict(value).items()}


def _manifest(built: Built, recipe_text: str, folder: Path) -> dict[str, Any]:
    cells: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    splits: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    sources: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0, ""])
    for done in built.documents:
        for *cell, split, documents, tokens in done.counts["cells"]:
            _add(cells[(*cell, split)], documents, tokens)
        for split, counts in done.counts["splits"].items():
            _add(splits[split], *counts)
        for source, (documents, tokens, n_bytes, licence) in done.counts["sources"].items():
            _add(sources[source], documents, tokens, n_bytes)
            sources[source][3] = licence if sources[source][3] in ("", licence) else "several"
    grid = [dict(zip(("category", "language", "difficulty", "split", "documents", "tokens"), (*cell, *n), strict=True))
            for cell, n in sorted(cells.items(), key=lambda item: tuple(map(str, item[0])))]
    return {
        "schema": SCHEMA, "name": built.recipe.name, "description": built.recipe.description,
        "recipe_sha256": hashlib.sha256(recipe_text.encode()).hexdigest(), "code_version": petitlm.__version__,
        "files": [_described(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()],
        "stages": [{**built.stages[name], "reasons": dict(sorted(built.stages[name]["reasons"].items()))}
                   for name in sorted(built.stages, key=STAGE_ORDER.index)],
        "cells": grid,
        "sources": {source: {"documents": n[0], "tokens": n[1], "bytes": n[2], "licence": n[3]}
                    for source, n in sorted(sources.items())},
        "absent_sources": sorted(built.absent),
        "splits": {split: {"documents": n[0], "tokens": n[1]} for split, n in sorted(splits.items())},
        "weights": dict(sorted(built.weights.items())),
        "tokenizer": {"sha256": file_sha256(built.tokenizer / "tokenizer.json"), "n_vocab": built.n_ids},
        "n_documents": sum(n[0] for n in splits.values()), "n_tokens": sum(n[1] for n in splits.values()),
        "n_packed_tokens": sum(done.counts["tokens"] for done in built.shards),
    }  # fmt: skip


def _add(counts: list[Any], *more: int) -> None:
    for i, n in enumerate(more):
        counts[i] += n


def _described(path: Path, folder: Path) -> Mapping[str, Any]:
    rows = pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None
    return {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "rows": rows,
            "sha256": file_sha256(path)}
