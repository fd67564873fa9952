"""Text to tokens, to files, and found again: petit beside tokenizers, tiktoken, datatrove and pydivsufsort.

    python bench/data_tokens.py [--peers PYTHON] [--megabytes 16] [--reps 3] [--tokenizer DIR ...]

PYTHON is an interpreter that has datatrove, tiktoken and pydivsufsort; without it their rows are left out. Everything
runs in turn on one core; rates are of the process' CPU time, the best of `reps`. Text: ../shared/data/text, English and
French, cut to passages of 1,500 characters. `encode`: texts in memory to ids. `to files`: the same documents from
memory to files of ids; petit's with the span of each document, its order drawn by a seed. Encoders are given the same
vocabulary and merges, and must give the same ids; datatrove is asked not to shuffle.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pyarrow as pa

from petitlm.data.corpus.schema import content_id, doc_id, documents
from petitlm.data.tokens.encoder import Encoder, LibraryEncoder, load_encoder
from petitlm.data.tokens.finder import MOST, letters_of
from petitlm.data.tokens.pack import pack
from petitlm.data.tokens.reader import TokenFiles
from petitlm.data.tokens.search import Search, write_suffixes
from petitlm.loading import DEFAULT_MODEL
from petitlm.tokenizer import Tokenizer

HERE = Path(__file__).resolve().parent
TEXT = HERE.parent.parent / "shared" / "data" / "text"
PASSAGE = 1500
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    task: str
    tool: str
    rate: float
    unit: str
    note: str = ""


def passages(megabytes: float) -> list[str]:
    """Passages of all sets in equal measure, as many as that."""
    sets: list[list[str]] = []
    for path in sorted(TEXT.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            whole = [str(row["text"]) for row in map(json.loads, file) if row.get("text")]
        sets.append([text[i : i + PASSAGE] for text in whole for i in range(0, len(text), PASSAGE)])
    left, found = megabytes * 1e6, []
    for i, some in enumerate(sorted(sets, key=len)):
        share = left / (len(sets) - i)
        taken = 0
        for text in some:
            if taken >= share:
                break
            taken += len(text.encode())
            found.append(text)
        left -= taken
    return found


def seconds_of(call: Callable[[], T], reps: int) -> tuple[float, T]:
    """CPU seconds of this process, all threads; the best of `reps`."""
    times, result = [], None
    for _ in range(reps):
        begin = time.process_time()
        result = call()
        times.append(time.process_time() - begin)
    assert result is not None
    return min(times), result


def peer(python: str, task: str, folder: Path, texts: Sequence[str], reps: int) -> dict[str, Any]:
    """What the worker measured."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        command = [python, str(HERE / "peers" / "tokens_worker.py"), task, str(folder), file.name, str(reps)]
        said = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    lines = [line[3:] for line in said.stdout.splitlines() if line.startswith("@@ ")]
    if not lines:
        raise SystemExit(f"{task} failed:\n{said.stderr[-2000:]}")
    return json.loads(lines[0])


def encoding(folder: Path, texts: Sequence[str], python: str | None, reps: int) -> list[Row]:
    """Texts in memory to ids."""
    raw = [text.encode() for text in texts]
    data, bounds = np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)])
    rows = []
    for name, encoder in (("petit", load_encoder(folder)), ("tokenizers", LibraryEncoder(folder))):
        seconds, (ids, places) = seconds_of(lambda encoder=encoder: encoder.encode(data, bounds), reps)
        found = [ids[a:b].tolist() for a, b in zip(places, places[1:], strict=False)]
        digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
        rows.append((name, len(ids) / seconds, digest))
    if python:
        theirs = peer(python, "tiktoken", folder, texts, reps)
        rows.append(("tiktoken", theirs["tokens"] / theirs["seconds"], theirs["ids"]))
    return [Row(f"encode, {folder.name}", name, rate, "tokens/s",
                "" if digest == rows[0][2] else "other ids: without phi-2's added runs of spaces")
            for name, rate, digest in rows]


def to_files(folder: Path, texts: Sequence[str], python: str | None, reps: int) -> list[Row]:
    """Documents in memory to files of ids."""
    table, encoder = _table(texts), load_encoder(folder)

    def packed() -> int:
        with tempfile.TemporaryDirectory() as out:
            return pack([table], folder, encoder, Path(out))["tokens"]

    seconds, n = seconds_of(packed, reps)
    rows = [Row(f"to files, {folder.name}", "petit, with spans", n / seconds, "tokens/s")]
    if python:
        theirs = peer(python, "datatrove", folder, texts, 1)
        rows.append(Row(f"to files, {folder.name}", "datatrove", theirs["tokens"] / theirs["seconds"], "tokens/s",
                        "" if theirs["tokens"] == n else f"{theirs['tokens']} tokens and not {n}"))
    return rows


def _table(texts: Sequence[str]) -> pa.Table:
    ids = [content_id(text) for text in texts]
    return documents([{"doc_id": doc_id(id, "bench", str(i)), "content_id": id, "text": text}
                      for i, (id, text) in enumerate(zip(ids, texts, strict=True))])


def searching(folder: Path, texts: Sequence[str], python: str | None, reps: int) -> list[Row]:
    """Suffixes sorted, and texts found again."""
    encoder: Encoder = load_encoder(folder)
    with tempfile.TemporaryDirectory() as out:
        pack([_table(texts)], folder, encoder, Path(out))
        files = TokenFiles(out)
        times = []
        for rep in range(reps):
            begin = time.process_time()
            write_suffixes(files, Path(out, str(rep)))
            times.append(time.process_time() - begin)
        rows = [Row("suffix array", "petit, of tokens", files.n_tokens / min(times), "tokens/s",
                    f"{sum(len(text.encode()) for text in texts) / min(times) / 1e6:.1f} MB/s of text")]
        if python:
            theirs = peer(python, "divsufsort", folder, texts, reps)
            rows.append(Row("suffix array", "divsufsort, of bytes", theirs["bytes"] / theirs["seconds"], "bytes/s"))
        rows += _questions(Search(files, Path(out, "0")), texts, encoder)
    return rows


def _questions(search: Search, texts: Sequence[str], encoder: Encoder) -> list[Row]:
    letters = letters_of(Tokenizer.load(search.files.folder))
    rows = []
    for size, most in ((60, 300), (8, 30)):
        asked = [text[200 : 200 + size] for text in texts[:: len(texts) // most] if len(text) > 200 + size]
        begin = time.perf_counter()
        found = [search.find_text(text, encoder, letters, MOST) for text in asked]
        seconds = (time.perf_counter() - begin) / len(asked)
        assert all(places.ranges for places in found), "each of them was cut from a document"
        note = f"in {search.files.n_tokens:,} tokens, warm"
        rows.append(Row(f"find a text of {size} characters", "petit", seconds * 1e3, "ms", note))
    return rows


def measure(python: str | None, megabytes: float, reps: int, folders: Sequence[Path]) -> list[Row]:
    """All rows of this bench."""
    texts = passages(megabytes)
    rows = []
    for folder in folders:
        rows += encoding(folder, texts, python, reps) + to_files(folder, texts, python, reps)
    return rows + searching(folders[0], texts, python, reps)


def show(rows: Sequence[Row]) -> None:
    """Print a table; the ratio is petit's rate over another tool's at the same task."""
    ours: dict[str, float] = {}
    for row in rows:
        first = ours.setdefault(row.task, row.rate)
        times = f"{first / row.rate:6.1f} x" if row.rate != first and row.unit == "tokens/s" else ""
        value = f"{row.rate / 1e6:10.2f} M" if row.rate > 1e5 else f"{row.rate:10.2f}  "
        print(f"{row.task:32}{row.tool:22}{value}{row.unit:10}{times:>9}  {row.note}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--megabytes", type=float, default=16)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--tokenizer", type=Path, nargs="*",
                        default=[DEFAULT_MODEL, TEXT.parent / "phi2-tokenizer"])
    arguments = parser.parse_args()
    show(measure(arguments.peers, arguments.megabytes, arguments.reps, [p for p in arguments.tokenizer if p.exists()]))


if __name__ == "__main__":
    main()
