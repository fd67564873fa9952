"""The stage `decontaminate`: documents that hold a benchmark's item do not go on.

It catches an item that is copied whole or in part, in other letters, spaces, accents or punctuation, inside other
text; a program whose names were changed; a worked calculation whose steps were kept; and a problem of our own
generators that belongs to a held-out split, in whatever words or language. It cannot catch a translation or a
paraphrase of anything else: no run of 13 words survives those.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from petitlm.data.corpus.schema import put
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.repeats import minhash, reference
from petitlm.data.repeats.index import CODE, MATHS, PART, Index
from petitlm.data.repeats.minhash import text_buffers, warn_slow
from petitlm.data.repeats.structure import code_keys, maths_keys
from petitlm.data.repeats.words import UNICODE, fold
from petitlm.errors import ConfigError, NotFoundError
from petitlm.files import file_sha256

pc: Any = compute  # its functions are made when it is imported: no type checker knows them

GROUP_WORDS = 8
"""Words of an item's short passages that are enough together, where not all of them are there."""


class Hit(NamedTuple):
    """What a document holds of one item."""

    share: float
    """Of the keys of the passage that was found, or of the words of a group; 0 to 1."""
    n_found: int
    n_all: int
    kind: int
    """As in petitlm.data.repeats.index."""
    item: int


@dataclass(frozen=True)
class Decontaminate:
    """Reject what holds an item of the benchmarks in an index."""

    index: str
    """File that `petitlm.data.repeats.index.Index.save` wrote."""
    min_share: float = 0.0
    """Least share of an item's passage that a document must hold to be rejected, 0 to 1. 0: any 13 words in a row.
    What is kept although something was found says so in its column `contam`."""

    name = "decontaminate"
    version = 1
    reasons = {
        "benchmark-text": "it holds a passage of a benchmark's item",
        "benchmark-code": "it holds a program of a benchmark, perhaps under other names",
        "benchmark-maths": "it holds the calculations of a benchmark's solution",
        "held-out-problem": "its problem belongs to a held-out or evaluation set",
    }

    def __post_init__(self) -> None:
        if not 0 <= self.min_share <= 1:
            raise ConfigError(f"min_share={self.min_share} of [decontaminate] is not a share; give 0 to 1")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The index by its hash, and the threshold."""
        return {"index_sha256": _loaded(self.index)[1], "min_share": self.min_share, "unicode": UNICODE}

    def __call__(self, rows: pa.Table) -> Sifted:
        index, _ = _loaded(self.index)
        hits = find(index, rows["text"])
        held_out = _held_out(index, rows)
        rejected: list[Rejection] = []
        contam: list[dict[str, Any] | None] = [None] * len(rows)
        for row in sorted({*hits, *held_out}):
            if row in held_out:
                rejected.append(Rejection(row, "held-out-problem", f"problem {held_out[row].hex()}"))
                continue
            best = hits[row][0]
            task = index.tasks[index.arrays["item_task"][best.item]]
            contam[row] = {"task": task, "hits": best.n_found, "share": best.share}
            if best.share >= self.min_share:
                rejected.append(Rejection(row, _reason(best.kind), _detail(index, task, best)))
        return keep(put(rows, "contam", contam), rejected)


def find(index: Index, texts: pa.Array | pa.ChunkedArray) -> dict[int, list[Hit]]:
    """For each text that holds something of an item, what; the largest share first."""
    found = _expanded(index, _runs(index, texts))
    kinds = index.arrays["needle_kind"]
    is_part = kinds[found[:, 1]] == PART
    alone = np.concatenate([found[~is_part][:, [0, 1, 3]], _structures(index, texts)])
    n_needles, n_keys = len(kinds), len(index.arrays["keys"])
    # One number for text, needle and key: 2^63 is enough for tables of ten million texts and the keys of benchmarks.
    held = np.sort((alone[:, 0] * n_needles + alone[:, 1]) * n_keys + alone[:, 2])
    held = held[np.diff(held, prepend=-1) > 0] // max(n_keys, 1)
    starts = np.flatnonzero(np.diff(held, prepend=-1))
    pairs, counts = held[starts], np.diff(starts, append=len(held))
    hits: dict[int, list[Hit]] = {}
    for pair, n_found in zip(pairs.tolist(), counts.tolist(), strict=True):
        hits.setdefault(pair // n_needles, []).append(_hit(index, pair % n_needles, n_found))
    places: dict[int, dict[int, list[int]]] = {}  # text -> part of a group -> where
    for text, needle, word, _ in found[is_part].tolist():
        places.setdefault(text, {}).setdefault(needle, []).append(word)
    for text, mine in places.items():
        if together := list(_together(index, mine)):
            hits.setdefault(text, []).extend(together)
    return {text: sorted(mine, key=lambda hit: (-hit.share, hit.kind, hit.item)) for text, mine in hits.items()}


def _runs(index: Index, texts: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """(text, word, key) of known runs, in the texts that hold one that is worth a look."""
    keys, lengths, strong = index.arrays["keys"], index.lengths, index.arrays["strong"].astype(bool)
    if minhash.native is None:
        warn_slow()
        found = [np.array(reference.known_runs(texts.to_pylist(), keys, lengths), np.int64).reshape(-1, 3)]
    else:
        found, before = [np.zeros((0, 3), np.int64)], 0
        for data, starts in text_buffers(texts):
            found.append(minhash.native.known_runs(data, starts, *fold(), keys, lengths) + [before, 0, 0])
            before += len(starts) - 1
    runs = np.concatenate(found)
    return runs[np.isin(runs[:, 0], runs[strong[runs[:, 2]], 0])]


def _expanded(index: Index, runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(text, word, key) -> (text, needle, word, key) for every needle that has the key."""
    first = index.arrays["first"]
    begin, n = first[runs[:, 2]], np.diff(first)[runs[:, 2]]
    rows = np.repeat(runs, n, axis=0)
    at = np.arange(len(rows)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(begin, n)
    return np.stack([rows[:, 0], index.arrays["owners"][at], rows[:, 1], rows[:, 2]], axis=1).astype(np.int64)


def _structures(index: Index, texts: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """(text, needle, key) of known programs and calculations."""
    place, found = _structural_keys(index), []
    looked = pc.match_substring_regex(texts, "def |=") if place else pa.array([], pa.bool_())
    for i in pc.indices_nonzero(pc.fill_null(looked, False)).to_pylist():
        said = texts[i].as_py()
        keys = (place.get(int.from_bytes(key, "little")) for key in (*code_keys(said), *maths_keys(said)))
        found += [(i, 0, key) for key in keys if key is not None]
    return _expanded(index, np.array(found, np.int64).reshape(-1, 3))[:, [0, 1, 3]]


@functools.lru_cache(2)
def _structural_keys(index: Index) -> dict[int, int]:
    kinds = index.arrays["needle_kind"][index.arrays["owners"][index.arrays["first"][:-1]]]
    return {int(index.arrays["keys"][at]): int(at) for at in np.flatnonzero((kinds == CODE) | (kinds == MATHS))}


def _hit(index: Index, needle: int, n_found: int) -> Hit:
    of = {name: int(index.arrays[f"needle_{name}"][needle]) for name in ("item", "kind", "keys")}
    return Hit(n_found / of["keys"], n_found, of["keys"], of["kind"], of["item"])


def _together(index: Index, places: Mapping[int, list[int]]) -> Iterator[Hit]:
    """The groups of which enough is found near their principal passage."""
    arrays = index.arrays
    groups: dict[int, list[int]] = {}
    for needle in places:
        groups.setdefault(int(arrays["needle_group"][needle]), []).append(needle)
    for group, mine in groups.items():
        n_all, words_all = int(arrays["group_parts"][group]), int(arrays["group_words"][group])
        reach = 2 * words_all + 8 * n_all + 16  # room for labels, and for a sentence between the passages
        best = 0
        for at in places.get(int(arrays["group_principal"][group]), ()):
            near = [needle for needle in mine if any(abs(place - at) <= reach for place in places[needle])]
            words = sum(int(arrays["needle_words"][needle]) for needle in near)
            if len(near) > 1 and (len(near) == n_all or words >= GROUP_WORDS):
                best = max(best, words)
        if best:
            yield Hit(best / words_all, best, words_all, PART, int(arrays["needle_item"][mine[0]]))


def _held_out(index: Index, rows: pa.Table) -> dict[int, bytes]:
    """Rows of training whose problem is one of the index, and the problem."""
    known = {key.tobytes() for key in index.arrays["problems"]}
    columns = (rows["problem_key"].to_pylist(), rows["split"].to_pylist()) if known else ((), ())
    return {i: key for i, (key, split) in enumerate(zip(*columns, strict=True))
            if key in known and split in (None, "train")}  # fmt: skip


def _reason(kind: int) -> str:
    return {CODE: "benchmark-code", MATHS: "benchmark-maths"}.get(kind, "benchmark-text")


def _detail(index: Index, task: str, hit: Hit) -> str:
    what = {CODE: "its program", MATHS: f"{hit.n_found} of {hit.n_all} runs of its calculations",
            PART: f"{hit.n_found} of its {hit.n_all} words"}  # fmt: skip
    return f"{task} {index.items[hit.item]}: {what.get(hit.kind, f'{hit.n_found} of {hit.n_all} runs of its words')}"


def _loaded(path: str) -> tuple[Index, str]:
    """The index at `path` and its sha256, read once while the file stays as it is."""
    try:
        facts = Path(path).stat()
    except FileNotFoundError:
        raise NotFoundError(f"no index of benchmarks at {path}; build it first") from None
    return _read(path, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(2)
def _read(path: str, size: int, modified_ns: int) -> tuple[Index, str]:
    return Index.load(path), file_sha256(path)
