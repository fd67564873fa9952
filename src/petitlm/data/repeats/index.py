"""The index of benchmarks: everything that betrays one of their items, as sorted 64-bit keys in one file.

A *needle* is a passage that is enough to know an item by; its keys are those of all its runs of 13 words, or of the
whole where it is shorter. A passage with punctuation inside of words is a second needle without that. Needles of a
*group* are the passages of an item that only count together. Structural needles have the keys of
petitlm.data.repeats.structure. Two needles with equal keys are one needle, of the first item.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.data.repeats import minhash, reference
from petitlm.data.repeats.benchmarks import Item, benchmark_files, read_items
from petitlm.data.repeats.structure import code_keys, maths_keys
from petitlm.data.repeats.words import UNICODE, fold
from petitlm.errors import DamagedError, UsageError
from petitlm.files import file_sha256
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors

FORMAT = 1
RUN = 13
"""Words in a row that betray an item: Brown et al. 2020 (GPT-3, appendix C) remove what shares 13 with a benchmark."""
TEXT, CODE, MATHS, PART = range(4)
"""Kinds of needles; a PART counts only with others of its group."""
STRONG_WORDS = 3
"""Parts of fewer words are looked at only in documents that hold something longer of a benchmark."""

_INSIDE = tuple(re.compile(rf"(?<=[^\W_]){signs}(?=[^\W_])") for signs in (
    r"(?:[^\w\s]|_)+", r"(?:(?=[!-~])[^\w\s]|_)+", "['’ʼ`]"))  # fmt: skip
"""Punctuation inside of words: all of it, ASCII's, apostrophes."""

_ARRAYS = {
    "keys": np.uint64, "first": np.int64, "owners": np.int32,  # needles of key i: owners[first[i] : first[i + 1]]
    "strong": np.uint8,  # whether a key is worth a look alone
    "needle_item": np.int32, "needle_kind": np.uint8, "needle_keys": np.int32, "needle_words": np.int32,
    "needle_group": np.int32,  # -1: enough alone
    "group_principal": np.int32, "group_parts": np.int32, "group_words": np.int32,
    "item_task": np.int32, "problems": np.uint8,
    "run_words": np.uint8,  # how many words the runs behind keys have
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Keys of benchmarks, and whose they are."""

    arrays: dict[str, NDArray[Any]]
    tasks: tuple[str, ...]
    items: tuple[str, ...]
    """Id of each item."""
    unknowable: tuple[str, ...]
    """`task/id` of the items that have too few words to be known by."""
    sources: tuple[dict[str, Any], ...]
    """File, sha256 and number of items of each benchmark."""

    @property
    def lengths(self) -> NDArray[np.uint8]:
        """(14,): whether any key is of so many words."""
        flags = np.zeros(RUN + 1, np.uint8)
        flags[self.arrays["run_words"]] = 1
        return flags

    def save(self, path: Path | str) -> str:
        """Write the index to one safetensors file; its sha256, which names it."""
        meta = {"format": FORMAT, "run": RUN, "unicode": UNICODE, "tasks": self.tasks, "items": self.items,
                "unknowable": self.unknowable, "sources": self.sources}  # fmt: skip
        text = np.frombuffer(json.dumps(meta, sort_keys=True, ensure_ascii=False).encode(), np.uint8)
        arrays: dict[str, NDArray[Any]] = {**self.arrays, "meta": text}
        kinds = {"uint64": "U64", "int64": "I64", "int32": "I32", "uint8": "U8"}
        ordered = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
        specs = [TensorSpec(name, kinds[arrays[name].dtype.name], arrays[name].shape) for name in ordered]
        write_safetensors(path, specs, lambda name: np.ascontiguousarray(arrays[name]))
        return file_sha256(path)

    @classmethod
    def load(cls, path: Path | str) -> Index:
        """Read what `save` wrote.

        Raises: NotFoundError; DamagedError where it is not an index, or is of another version.
        """
        file = SafetensorsFile(path)
        if missing := [name for name in ("meta", *_ARRAYS) if name not in file]:
            raise DamagedError(f"{path} is no index of benchmarks: it lacks {missing[0]!r}; build it again")
        try:
            meta = json.loads(file.view("meta").tobytes())
            made = (meta["format"], meta["run"], meta["unicode"])
            arrays = {name: np.array(file.view(name), dtype) for name, dtype in _ARRAYS.items()}
            index = cls(arrays, tuple(meta["tasks"]), tuple(meta["items"]), tuple(meta["unknowable"]),
                        tuple(meta["sources"]))  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{path} is no index of benchmarks ({error!r:.100}); build it again") from None
        if made != (FORMAT, RUN, UNICODE):
            raise DamagedError(f"{path} is an index of another version ({made}); build it again")
        _check(arrays, index, path)
        return index


def _check(arrays: dict[str, NDArray[Any]], index: Index, path: Path | str) -> None:
    n_keys, n_needles, n_items = len(arrays["keys"]), len(arrays["needle_item"]), len(index.items)
    keys, first = arrays["keys"], arrays["first"]
    bounds = [("owners", n_needles, 0), ("needle_item", n_items, 0), ("item_task", len(index.tasks), 0),
              ("needle_group", len(arrays["group_parts"]), -1), ("group_principal", n_needles, 0)]  # fmt: skip
    sound = (
        (keys[1:] > keys[:-1]).all() and len(first) == n_keys + 1 and len(arrays["strong"]) == n_keys
        and first[0] == 0 and first[-1] == len(arrays["owners"]) and (np.diff(first) > 0).all()
        and all(((least <= arrays[name]) & (arrays[name] < n)).all() for name, n, least in bounds)
        and all(len(arrays[f"needle_{name}"]) == n_needles for name in ("kind", "keys", "words", "group"))
        and (arrays["run_words"] <= RUN).all() and arrays["problems"].shape[1:] == (16,)
        and len(arrays["item_task"]) == n_items
    )  # fmt: skip
    if not sound:
        raise DamagedError(f"{path} is an index whose tables do not fit together; build it again")


@dataclass
class _Builder:
    """Needles as they are found."""

    keys: list[int] = field(default_factory=list)
    n_keys: list[int] = field(default_factory=list)  # of each needle, in the order of `needles`
    strong: list[bool] = field(default_factory=list)  # likewise
    needles: list[tuple[int, int, int, int, int]] = field(default_factory=list)  # item, kind, keys, words, group
    groups: list[tuple[int, int, int]] = field(default_factory=list)  # principal needle, parts, words of all
    seen: set[tuple[int, ...]] = field(default_factory=set)
    run_words: set[int] = field(default_factory=set)
    unknowable: list[str] = field(default_factory=list)

    def add(self, item: int, kind: int, keys: list[int], words: int, group: int = -1, strong: bool = True) -> None:
        """A needle of these keys; of two needles that are enough alone, the second one with equal keys is none."""
        keys = list(dict.fromkeys(keys))
        if group < 0:
            if (alone := tuple(keys)) in self.seen:
                return
            self.seen.add(alone)
        self.needles.append((item, kind, len(keys), words, group))
        self.keys += keys
        self.n_keys.append(len(keys))
        self.strong.append(strong)

    def runs(self, text: str) -> tuple[int, list[int]]:
        """Words of a text, and the keys of its runs of 13 words; of all words, where there are fewer."""
        words, keys = run_keys(text)
        self.run_words |= {min(RUN, words)} if words else set()
        return words, keys

    def add_item(self, number: int, item: Item) -> None:
        found = [[self.runs(form) for form in forms(passage.text)] for passage in item.passages]
        known = False
        for at, (passage, mine) in enumerate(zip(item.passages, found, strict=True)):
            if mine[0][0] >= passage.alone_words:
                for words, keys in mine:
                    self.add(number, TEXT, keys, words)
                known = known or at < item.n_principal
        for kind, key in _structural(item):
            self.add(number, kind, [key], 0)
        if not known:
            self.add_group(number, item, found)

    def add_group(self, number: int, item: Item, found: list[list[tuple[int, list[int]]]]) -> None:
        """The passages of an item whose principal text is too short."""
        parts = list({tuple(forms[0][1]): forms for forms in found if forms[0][0]}.values())
        if len(parts) < 2 or not found[0][0][0]:
            self.unknowable.append(f"{item.task}/{item.id}")
            return
        sizes = [forms[0][0] for forms in parts]
        group = len(self.groups)
        self.groups.append((len(self.needles), len(parts), sum(sizes)))
        for forms, size in zip(parts, sizes, strict=True):
            strong = size >= min(STRONG_WORDS, max(sizes))
            self.add(number, PART, [key for _, keys in forms for key in keys], size, group, strong)

    def arrays(self, item_task: list[int], problems: Iterable[bytes]) -> dict[str, NDArray[Any]]:
        keys, owners = np.array(self.keys, np.uint64), np.repeat(np.arange(len(self.needles)), self.n_keys)
        by_key = np.argsort(keys, kind="stable")  # owners of a key in the order of their items
        keys, first = np.unique(keys[by_key], return_index=True)
        strong = np.repeat(np.array(self.strong, bool), self.n_keys)[by_key]
        needles = np.array(self.needles, np.int64).reshape(-1, 5)
        groups = np.array(self.groups, np.int64).reshape(-1, 3)
        made = {
            "keys": keys, "first": np.append(first, len(owners)), "owners": owners[by_key],
            "strong": np.logical_or.reduceat(strong, first) if len(keys) else strong,
            **dict(zip(("needle_item", "needle_kind", "needle_keys", "needle_words", "needle_group"), needles.T,
                       strict=True)),
            **dict(zip(("group_principal", "group_parts", "group_words"), groups.T, strict=True)),
            "item_task": np.array(item_task), "run_words": np.array(sorted(self.run_words)),
            "problems": np.frombuffer(b"".join(sorted(set(problems))), np.uint8).reshape(-1, 16),
        }  # fmt: skip
        return {name: np.asarray(made[name]).astype(dtype) for name, dtype in _ARRAYS.items()}


def build_index(paths: Iterable[Path | str], problems: Iterable[bytes] = ()) -> Index:
    """The index of benchmark files or folders, and of problems that training must not hold.

    `problems`: keys as in the column `problem_key`, of held-out and evaluation sets of our own generators.
    Raises: NotFoundError, DamagedError; UsageError for a key that is not 16 bytes.
    """
    problems = list(problems)
    if bad := [key for key in problems if len(key) != 16]:
        raise UsageError(f"problem key {bad[0]!r:.60} has {len(bad[0])} bytes; give the 16 of the column problem_key")
    builder = _Builder()
    tasks: dict[str, int] = {}
    names: list[str] = []
    item_task: list[int] = []
    sources: list[dict[str, Any]] = []
    for task, path in benchmark_files([Path(path) for path in paths]):
        before = len(names)
        for item in read_items(task, path):
            builder.add_item(len(names), item)
            names.append(item.id)
            item_task.append(tasks.setdefault(task, len(tasks)))
        sha = file_sha256(path)
        sources.append({"task": task, "file": path.name, "sha256": sha, "items": len(names) - before})
    return Index(builder.arrays(item_task, problems), tuple(tasks), tuple(names), tuple(builder.unknowable),
                 tuple(sources))  # fmt: skip


def forms(text: str) -> list[str]:
    """A text as it is, and without some or all of the punctuation inside of words.

    `world's 1-year-old` may come as `world s 1 year old`, and, from tools that delete signs, as `worlds 1yearold`.
    """
    return list(dict.fromkeys([text, *(signs.sub("", text) for signs in _INSIDE)]))


def run_keys(text: str) -> tuple[int, list[int]]:
    """Number of words of a text, and the keys of its runs of 13 words; of all words, where there are fewer."""
    if minhash.native is None:
        return reference.run_keys(text, RUN)
    return minhash.native.run_keys(np.frombuffer(text.encode("utf-8", "replace"), np.uint8), *fold(), RUN)


def _structural(item: Item) -> list[tuple[int, int]]:
    """Kinds and keys of the programs and calculations in an item; a program may be cut into prompt and solution."""
    texts = [passage.text for passage in item.passages]
    prompts, solutions = ([passage.text for passage in item.passages if passage.field == name]
                          for name in ("prompt", "canonical_solution"))  # fmt: skip
    texts += [prompt + solution for prompt in prompts for solution in solutions]
    found = [(CODE, key) for text in texts for key in code_keys(text)]
    found += [(MATHS, key) for text in texts for key in maths_keys(text)]
    return [(kind, int.from_bytes(key, "little")) for kind, key in dict.fromkeys(found)]
