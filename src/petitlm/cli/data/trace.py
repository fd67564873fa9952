"""`petit data trace`: from tokens, steps, texts, sources, licences and makers to documents, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.output import note, print_columns, print_json, progress
from petitlm.errors import DamagedError, NotFoundError, UsageError

if TYPE_CHECKING:
    from petitlm.data.provenance.state import DataState
    from petitlm.data.provenance.trace import Answer, Trace

_SHOWN = 600  # characters of a text


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--tokens", metavar="A-B", help="Which documents are behind these tokens, counted over all shards?")
@click.option("--document", metavar="ID", help="All about one document; the first digits of its id suffice.")
@click.option("--source", metavar="ID", help="What did this source give?")
@click.option("--licence", metavar="SPDX", help="What came under this licence?")
@click.option("--teacher", metavar="NAME", help="What did this teacher write?")
@click.option("--generator", metavar="NAME", help="What did this generator make?")
@click.option("--text", metavar="TEXT", help="Which documents hold this text?")
@click.option("--step", type=int, metavar="N", help="What did this step of --checkpoint read?")
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="DIR",
              help="A checkpoint trained on this corpus (its data.json): steps, and how often something was read.")
@click.option("--again", is_flag=True, help="Make the documents again with their generators, and check the answers.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Documents to show.")
@click.option("--threads", "-t", type=click.IntRange(min=1), default=2, show_default=True, help="Threads to read with.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(folder: Path, checkpoint: Path | None, again: bool, limit: int, threads: int, as_json: bool,
            **asked: Any) -> None:
    """Trace what is in the corpus in FOLDER: give one question, or none for a list of all sources.

    The first question makes an index beside the corpus, once.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"{' and '.join(f'--{name}' for name in given)} are several questions; ask one at a time")
    trace, state = _open(folder, checkpoint, threads)
    question, value = next(iter(given.items()), ("", None))
    answer: dict[str, Any]
    if question == "document":
        answer = _document(trace, str(value), state)
    else:
        answer = _answer(trace, question, value, limit, state)
    if again:
        answer["again"] = _again(trace, answer)
    if as_json:
        print_json(_hex(answer))
    else:
        _print(answer)


def _open(folder: Path, checkpoint: Path | None, threads: int) -> tuple[Trace, DataState | None]:
    from petitlm.data.provenance.corpus import open_corpus
    from petitlm.data.provenance.index import index_folder
    from petitlm.data.provenance.state import load_state
    from petitlm.data.provenance.trace import Trace

    corpus = open_corpus(folder)
    state = load_state(checkpoint) if checkpoint else None
    if index_folder(corpus) is None:
        note(f"{folder / 'index'}: indexing the corpus, once")
    return Trace(corpus, threads), state


def _answer(trace: Trace, question: str, value: Any, limit: int, state: DataState | None) -> dict[str, Any]:
    from petitlm.data.provenance.steps import of_this_corpus, read_by_step

    if question == "step":
        return read_by_step(trace, state, value, limit)
    if question == "tokens":
        answer = trace.tokens(*_range(value), limit)
    elif question == "text":
        answer = trace.text(value, _finder(trace), limit)
    elif question:
        answer = getattr(trace, question)(value, limit)
    else:
        answer = trace.everything(limit)
    found = _plain(answer)
    if state and question not in ("tokens", "text"):
        found["learnt"] = {"tokens": of_this_corpus(state, trace).learnt(trace.spans(answer.groups)),
                           "steps": state.steps}
    elif state:
        found["read"] = [read for row in answer.documents
                         for read in of_this_corpus(state, trace).exposures(row["from"], row["to"])]
    return found


def _finder(trace: Trace) -> Any:
    """What finds `text` in the tokens; None where every text must be read for it."""
    from petitlm.data.tokens.finder import open_finder

    corpus = trace.corpus
    shas = [entry["sha256"] for entry in sorted(corpus.manifest["files"], key=lambda entry: entry["path"])
            if entry["path"].startswith("tokens/shard-") and entry["path"].endswith(".bin")]
    try:
        with progress("sorting suffixes") as report:
            return open_finder(corpus.folder / "tokens", corpus.folder / "suffixes", shas,
                               lambda done, n: report(done, n, ""))
    except (DamagedError, NotFoundError) as error:
        note(f"{error}: reading every text")
        return None


def _document(trace: Trace, prefix: str, state: DataState | None) -> dict[str, Any]:
    from petitlm.data.provenance.steps import of_this_corpus

    found = trace.document(trace.with_prefix(prefix))
    found["ancestors"] = trace.ancestors(found["document"]["doc_id"])
    if state:
        here = of_this_corpus(state, trace)
        found["read"] = [read for start, end in found["positions"] for read in here.exposures(start, end)]
        found["learnt"] = {"tokens": here.learnt(found["positions"]), "steps": state.steps}
    return found


def _plain(answer: Answer) -> dict[str, Any]:
    return {"question": answer.question, "n_documents": answer.n_documents, "n_tokens": answer.n_tokens,
            "groups": answer.groups, "documents": answer.documents, **answer.extra}


def _again(trace: Trace, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Whether each document shown is what its generator gives today."""
    from petitlm.data.provenance.again import made_again

    rows = [answer["document"]] if "document" in answer else [
        trace.document(row["doc_id"])["document"] for row in answer["documents"]]
    return [{"doc_id": row["doc_id"], "why_not": made_again(row), "generator": row["gen"]["name"]}
            for row in rows if row["gen"]]


def _range(text: str) -> tuple[int, int]:
    start, _, end = text.replace(",", "").replace("_", "").partition("-")
    if not (start.isdigit() and (end.isdigit() or not end)):
        raise UsageError(f"--tokens {text!r} is no range; write 1000-1040, the second number one behind the last token")
    return int(start), int(end) if end else int(start) + 1


def _hex(value: Any) -> Any:
    """Ids as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _hex(item) for name, item in value.items()}
    if hasattr(value, "_asdict"):
        return value._asdict()
    return [_hex(item) for item in value] if isinstance(value, list | tuple) else value


def _print(answer: dict[str, Any]) -> None:
    if "document" in answer:
        _print_document(answer)
    else:
        _print_answer(answer)
    for read in answer.get("read", [])[:_SHOWN // 10]:
        click.echo(f"read in step {read.step:,}, sequence {read.sequence}, pass {read.epoch + 1}")
    if learnt := answer.get("learnt"):
        click.echo(f"learnt {learnt['tokens']:,} times a token in {learnt['steps']:,} steps")
    for made in answer.get("again", []):
        said = "NO: " + made["why_not"] if made["why_not"] else "yes, and its second route agrees with the answer"
        click.echo(f"{made['doc_id'].hex()[:12]} is what {made['generator']} gives today: {said}")


def _print_answer(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['question']}: {answer['n_documents']:,} documents, {answer['n_tokens']:,} tokens\n")
    groups = [(g["source_id"], f"{g['documents']:,}", f"{g['tokens']:,}", ", made by ".join(
        part for part in (g["licence"] or "no licence", g["teacher"] or g["generator"]) if part))
              for g in answer["groups"]]
    print_columns([("source", "documents", "tokens", "licence"), *groups])
    rows = [(row["doc_id"].hex()[:12], _place(row), row["category"], row["language"], _level(row),
             row["source_id"]) for row in answer["documents"]]
    if rows:
        click.echo()
        print_columns([("document", "tokens", "category", "language", "level", "source"), *rows])
        left = answer["n_documents"] - len({row[0] for row in rows})
        if left > 0:
            click.echo(f"and {left:,} more documents")


def _level(row: dict[str, Any]) -> str:
    return "none" if row["difficulty"] in (None, -1) else str(row["difficulty"])


def _place(row: dict[str, Any]) -> str:
    start, end = row.get("from", row["start"]), row.get("to", row["end"])
    return "none" if start is None else f"{start:,}-{end:,}"


def _print_document(found: dict[str, Any]) -> None:
    row, source = found["document"], found["source"] or {}
    gen, call, verify = row["gen"], row["call"], row["verify"] or {}
    places = ", ".join(f"{start:,}-{end:,}" for start, end in found["positions"]) or "none: it is not packed"
    facts = {
        "document": row["doc_id"].hex(), "tokens": places, "split": row["split"], "weight": row["weight"],
        "labels": f"{row['category']}, {row['language']}, level {_level(row)} ({row['label_from'] or 'not labelled'})",
        "source": f"{row['source_id']}: {source.get('title') or ''}", "licence": row["licence"],
        "evidence": " ".join(str(v) for v in (row["evidence"] or {}).values() if v),
        "place": _locator(row["locator"]), "publisher": source.get("publisher"), "uri": source.get("uri"),
        "generator": gen and f"{gen['name']}, version {gen['version']}, seed {gen['seed']}, index {gen['index']}, "
                             f"{_params(gen['params'])}",
        "teacher": call and f"{call['teacher']} {call['revision'] or ''}, prompt {call['prompt_id']}, "
                            f"weights {(call['weights_sha'] or 'unknown')[:16]}, call {call['call_id']}",
        "verified": f"{verify.get('status')} {verify.get('checker') or ''}",
        "made from": ", ".join(parent.hex()[:12] for parent in found["ancestors"]),
        "flags": ", ".join(row["flags"] or []),
    }
    for name, value in facts.items():
        if value not in (None, "", [], "not_run "):
            click.echo(f"{name:<10} {value}")
    text = row["text"]
    more = f"… ({len(text):,} characters)" if len(text) > _SHOWN else ""
    click.echo(f"\n{text[:_SHOWN]}{more}\n")


def _locator(place: dict[str, Any] | None) -> str:
    if not place:
        return ""
    where = "/".join(place[name] for name in ("repo", "path") if place[name])
    commit = f" at {place['commit'][:12]}" if place["commit"] else ""
    byte = f", bytes {place['byte_start']:,}-{place['byte_end']:,}" if place["byte_start"] is not None else ""
    return f"{where}{commit}{byte}{', ' + place['key'] if place['key'] else ''}"


def _params(params: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(params).items())
