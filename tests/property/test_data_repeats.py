"""What clustering keeps to, whatever the documents, their order and how they are cut."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow", reason="pyarrow is in the extra `data`; pip install 'petitlm[data]' to run this")

from petitlm.data.corpus.schema import content_id, doc_id, documents, problem_id  # noqa: E402
from petitlm.data.repeats.clusters import apply, cluster, sign  # noqa: E402
from petitlm.data.repeats.minhash import Repeats, hash_functions  # noqa: E402
from petitlm.data.repeats.words import fold  # noqa: E402

SPLITS = ("train", "valid", "test", "heldout-values")


def a_corpus(rng: Random, n: int) -> pa.Table:
    """Documents of which some are equal, some nearly so, some share a problem, some are alike in a chain."""
    base = [" ".join(rng.choice("abcdefghij") + str(rng.random()) for _ in range(60)) for _ in range(4)]
    rows = []
    for i in range(n):
        words = rng.choice(base).split()
        for _ in range(rng.choice((0, 0, 1, 2, 4, 8))):
            words[rng.randrange(len(words))] = rng.choice("xyz")
        text = rng.choice((" ".join(words), " ".join(words).upper(), "short text", "", "2 + 2"))
        rows.append({
            "doc_id": doc_id(content_id(text), "s", str(i)), "content_id": content_id(text), "text": text,
            "origin": rng.choice(("human", "human", "procedural")), "split": rng.choice(SPLITS),
            "quality": rng.choice((None, 0.2, 0.9)), "language": rng.choice(("en", "fr", None)),
            "problem_key": problem_id(rng.choice(("", "p", "q"))),
        })  # fmt: skip
    return documents(rows)


def cut(rows: pa.Table, rng: Random) -> list[pa.Table]:
    """`rows` in another order, in tables of any size."""
    order = list(range(len(rows)))
    rng.shuffle(order)
    rows, tables = rows.take(pa.array(order, pa.int64())), []
    while len(rows):
        size = rng.randint(0, len(rows))
        tables.append(rows.slice(0, size))
        rows = rows.slice(size)
    return tables


@given(st.integers(0, 40), st.integers(0, 10_000), st.sampled_from((0, 1, 2)))
def test_clusters_depend_on_the_set_of_documents_alone(n: int, seed: int, per_problem: int):
    rng = Random(seed)
    rows = a_corpus(rng, n)
    repeats = Repeats(max_per_problem=per_problem)
    expected = cluster([sign(rows, repeats)], repeats)
    assert cluster([sign(table, repeats) for table in cut(rows, rng)], repeats).equals(expected)


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_every_cluster_keeps_one_and_every_repeat_names_it(n: int, seed: int):
    rows = a_corpus(Random(seed), n)
    clusters = cluster([sign(rows)])
    kept, rejected = apply(rows, clusters)
    assert len(kept) + len(rejected) == len(rows)
    texts = kept["content_id"].to_pylist()
    assert len(set(texts)) == len(texts)
    ids = set(kept["doc_id"].to_pylist())
    for row in clusters.to_pylist():
        assert row["kept"] == (row["doc_id"] in ids) == (row["reason"] is None) == (row["doc_id"] == row["cluster"])
        assert row["cluster"] in ids
    for row in kept.to_pylist():
        members = [each for each in clusters.to_pylist() if each["cluster"] == row["doc_id"]]
        assert len(members) == (row["dup"]["size"] if row["dup"] else 0) != 1


@given(st.integers(2, 40), st.integers(0, 10_000))
def test_no_training_document_stays_beside_its_like_in_a_held_out_split(n: int, seed: int):
    rows = a_corpus(Random(seed), n)
    kept = apply(rows, cluster([sign(rows)])).kept.to_pylist()
    held_out = {row["problem_key"] for row in kept if row["split"] != "train"} - {None}
    assert not [row for row in kept if row["split"] == "train" and row["problem_key"] in held_out]


def test_of_equal_texts_the_held_out_one_stays():
    rows = [{"doc_id": bytes([i]) * 16, "content_id": b"c" * 16, "text": "the same words here", "split": split,
             "origin": origin, "quality": 1 - i / 10} for i, (split, origin) in enumerate(
                 (split, origin) for split in SPLITS for origin in ("human", "procedural"))]  # fmt: skip
    for seed in range(20):
        chosen = Random(seed).sample(rows, 5)
        kept = apply(documents(chosen), cluster([sign(documents(chosen))])).kept.to_pylist()
        order = ("test", "heldout-values", "valid", "train")
        best = min(chosen, key=lambda row: (order.index(row["split"]), -row["quality"]))
        assert [row["doc_id"] for row in kept] == [best["doc_id"]]


@given(st.binary(max_size=400))
def test_no_bytes_break_the_kernels(data: bytes):
    _text = pytest.importorskip("petitlm._text", reason="the kernels were not built; install a C++ compiler")
    raw, starts = np.frombuffer(data, np.uint8), np.array([0, len(data) // 2, len(data)], np.int64)
    out = np.empty((2, 4), np.uint64)
    _text.minhash_signatures(raw, starts, *fold(), True, 5, *hash_functions(4), out)
    found = _text.known_runs(raw, starts, *fold(), np.array([1], np.uint64), np.array([0, 1], np.uint8))
    n, keys = _text.run_keys(raw, *fold(), 3)
    assert found.shape == (0, 3) and len(keys) == (max(1, n - 2) if n else 0)
