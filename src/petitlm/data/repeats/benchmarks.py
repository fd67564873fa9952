"""Benchmark files as passages to look for: what of an item is enough to know it by.

A file holds one JSON object a line; `.gz` is read too. Every text in an item has a part to play, by the name of its
field (`PRINCIPAL`, `IGNORED`; any other name is a `PART`):

- A principal text (a question, a context, a program) of at least 4 words is enough to know the item by. A question
  about a context of the same item needs 8: "What did Carson do?" alone could be about anybody.
- Any other text (a choice, an answer, a test) is enough if it has 13 words.
- What is too short for that counts together: the principal text and all others near each other, in any order, or so
  many of them that they make 8 words. An item of one word and nothing else cannot be known, and is named as such.

The numbers were chosen on real text that holds none of them, 15,398 documents: a principal text of 4 to 12 words is
found in 8 of them, a run of 13 words in 9 (what both quote, mostly), but choices of 4 to 7 words 579 times.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petitlm.errors import DamagedError, NotFoundError

PRINCIPAL = ("question", "input", "goal", "sentence", "ctx", "context", "passage", "text", "prompt", "code", "problem",
             "instruction", "premise", "hypothesis", "story", "query")  # fmt: skip
CONTEXTS = ("context", "passage", "story", "premise")
ABOUT = ("question", "query", "hypothesis")
"""Principal only alone or with at least 8 words where the item has a context."""
IGNORED = ("id", "task_id", "task", "label", "labels", "subject", "title", "type", "category", "source", "source_id",
           "url", "entry_point", "target_groups", "split", "language", "lang", "licence", "license")  # fmt: skip

ALONE_WORDS, ABOUT_WORDS, PART_WORDS = 4, 8, 13
"""Words that a principal text, a question about a context, and any other text need to be enough alone."""
BLANK = "_"
PARTS = ("dev", "test", "train", "valid", "validation", "fewshot", "cot_prompts")
"""Names of files that say which part of a benchmark they hold: the folder says which benchmark."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of an item."""

    text: str
    alone_words: int
    """It is enough to know the item by if it has so many words."""
    field: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a benchmark."""

    task: str
    id: str
    passages: tuple[Passage, ...]
    """Principal ones first."""
    n_principal: int


def benchmark_files(paths: list[Path]) -> list[tuple[str, Path]]:
    """(task, file) of the benchmarks in files and folders; a file in a folder of its own is named after that.

    Raises: NotFoundError where a path is not there or holds no benchmark.
    """
    found: list[tuple[str, Path]] = []
    for path in paths:
        if not path.exists():
            raise NotFoundError(f"no benchmark at {path}; name a .jsonl or .jsonl.gz file, or a folder of such")
        files = sorted([*path.rglob("*.jsonl"), *path.rglob("*.jsonl.gz")]) if path.is_dir() else [path]
        if not files:
            raise NotFoundError(f"{path} holds no .jsonl or .jsonl.gz file; name a folder of benchmarks")
        for file in files:
            name = file.name.split(".")[0]
            own = (path.is_dir() and file.parent != path) or name in PARTS
            found.append((file.parent.name if own else name, file))
    return found


def read_items(task: str, path: Path) -> Iterator[Item]:
    """The items of one file.

    Raises: DamagedError, naming the line.
    """
    at = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for at, line in enumerate(file, 1):
                if line.strip():
                    yield item_of(task, json.loads(line), str(at))
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"{path} cannot be read after line {at} ({error}); fetch the benchmark again") from None
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path}, line {at}, is no JSON object ({error}); fetch the benchmark again") from None


def item_of(task: str, fields: Any, place: str) -> Item:
    """An item from its fields; one without an id is named by its place.

    Raises: ValueError where it is not an object.
    """
    if not isinstance(fields, dict):
        raise ValueError(f"a {type(fields).__name__} where an object belongs")
    texts = {name: _strings(value) for name, value in fields.items() if name not in IGNORED}
    has_context = any(texts.get(name) for name in CONTEXTS)
    principal: list[Passage] = []
    parts: list[Passage] = []
    for name, found in texts.items():
        for text in found:
            if name not in PRINCIPAL:
                parts.append(Passage(text, PART_WORDS, name))
            else:
                words = ABOUT_WORDS if has_context and name in ABOUT else ALONE_WORDS
                principal += [Passage(form, words, name) for form in _filled(text, fields)]
    if not principal and parts:  # nothing with a name that we know: the longest text stands for the item
        longest = max(parts, key=lambda part: len(part.text))
        parts.remove(longest)
        principal = [Passage(longest.text, ALONE_WORDS, longest.field)]
    name = next((str(fields[key]) for key in ("id", "task_id") if key in fields), place)
    return Item(task, name, (*principal, *parts), len(principal))


def _filled(text: str, fields: dict[str, Any]) -> list[str]:
    """A text with a blank, as it is and with each option in its place."""
    options = [str(fields[name]) for name in ("option1", "option2") if name in fields]
    return [text, *(text.replace(BLANK, option) for option in options)] if BLANK in text else [text]


def _strings(value: Any) -> list[str]:
    """All texts in a value, whatever it is nested in."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key not in IGNORED for text in _strings(inner)]
    return [text for inner in value for text in _strings(inner)] if isinstance(value, list) else []
