"""Words, settings and clusters: each rule on an example small enough to see."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is in the extra `data`; pip install 'petitlm[data]' to run this")

from petitlm.data.corpus.schema import documents  # noqa: E402
from petitlm.data.repeats import minhash, words  # noqa: E402
from petitlm.data.repeats.clusters import REASONS, apply, cluster, sign  # noqa: E402
from petitlm.data.repeats.minhash import (  # noqa: E402
    NO_WORDS,
    Repeats,
    band_keys,
    least_equal,
    signatures,
    similarity,
    sketch,
)
from petitlm.data.repeats.reference import words as cut  # noqa: E402
from petitlm.errors import ConfigError, DamagedError  # noqa: E402

LONG = " ".join(f"the {name} went to the market and bought some {name} bread" for name in
                ("old", "young", "tall", "small", "tired", "happy", "angry", "lonely", "curious", "quiet"))  # fmt: skip


def row(name: int, text: str, **fields: object) -> dict[str, object]:
    """A document of training with the doc_id `name`."""
    content = text.encode().ljust(16, b"\0")[:16] if len(text) < 16 else hash_of(text)
    return {"doc_id": bytes([name]) * 16, "content_id": content, "text": text, "origin": "human", "split": "train",
            "language": "en", **fields}  # fmt: skip


def hash_of(text: str) -> bytes:
    from petitlm.data.corpus.schema import content_id

    return content_id(text)


def sift(*rows: dict[str, object], repeats: Repeats = minhash.FINEWEB) -> tuple[list[int], dict[int, str]]:
    """Names of the documents kept, and the reason for each that is not."""
    table = documents(rows)
    kept, rejected = apply(table, cluster([sign(table, repeats)], repeats))
    assert all(each.reason in REASONS for each in rejected)
    return ([id[0] for id in kept["doc_id"].to_pylist()],
            {table["doc_id"][each.row].as_py()[0]: each.reason for each in rejected})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "plain", "folded"),
    [
        ("L'Été, c'est FINI!", "l ete c est fini", "l ete c est fini"),
        ("E\u0301te\u0301 = été", "ete ete", "ete ete"),
        ("con\u00adtract a\u200bb", "contract ab", "contract ab"),
        ("3.14 and ٣٤ x2y10", "3 14 and 34 x2y10", "0 0 and 0 x0y0"),
        ("漢字かな, ภา", "漢 字 か な ภ า", "漢 字 か な ภ า"),
        ("snake_case-word", "snake case word", "snake case word"),
        ("Œuvre Straße İstanbul", "œuvre straße istanbul", "œuvre straße istanbul"),
        (" \t\n-- ", "", ""),
    ],
)
def test_words(text: str, plain: str, folded: str):
    assert cut(text, fold_numbers=False) == plain.split()
    assert cut(text, fold_numbers=True) == folded.split()


@pytest.mark.skipif(unicodedata.unidata_version != words.UNICODE, reason=f"needs a Python with Unicode {words.UNICODE}")
def test_the_table_of_letters_is_unicodes():
    made, held = words.make_fold(), words.fold()
    assert (made.pages == held.pages).all() and (made.codes == held.codes).all()


def test_the_same_text_has_the_same_signature_for_ever():
    """Signatures of two runs are compared: a change of words or hashes must raise the version in clusters.py."""
    signed = signatures(["Le chat dort. The cat sleeps; il est 12 h 30, n'est-ce pas ?"])
    for values, digest in ((signed, "7dc6c3e78eb6c03ccc8d6df041cc5de7"),
                           (band_keys(signed), "46e6e65d371a63492dd6921bc9930e35")):  # fmt: skip
        assert hashlib.blake2b(values.astype("<u8").tobytes(), digest_size=16).hexdigest() == digest


def test_a_text_without_words_is_like_no_other():
    assert (signatures(["", " !"]) == NO_WORDS).all()
    assert sift(row(1, ""), row(2, " !"), row(3, "?")) == ([1, 2, 3], {})


def test_a_text_shorter_than_a_shingle_is_like_those_with_its_words():
    assert sift(row(1, "Good morning!"), row(2, "good  MORNING"), row(3, "good evening")) == (
        [1, 3], {2: "near-duplicate"})  # fmt: skip


def test_equal_texts_keep_the_best_by_split_then_quality_then_name():
    assert sift(row(1, LONG), row(2, LONG, quality=0.5), row(3, LONG, quality=0.4))[0] == [2]
    assert sift(row(1, LONG, quality=0.9), row(2, LONG, split="valid"), row(3, LONG, split="test"))[0] == [3]
    assert sift(row(3, LONG), row(1, LONG), row(2, LONG)) == ([1], {2: "exact-duplicate", 3: "exact-duplicate"})


def test_a_near_copy_is_dropped_and_its_detail_names_what_it_is_like():
    table = documents([row(1, LONG), row(2, LONG + " today"), row(3, "something else that nobody said before")])
    kept, (rejected,) = apply(table, cluster([sign(table)]))
    assert rejected.reason == "near-duplicate" and "01010101" in rejected.detail and "similarity 0." in rejected.detail
    assert kept["dup"].to_pylist() == [{"cluster": b"\1" * 16, "size": 2}, None]


def test_numbers_are_folded_only_if_asked():
    first, second = (LONG.replace("market", f"market {number}") for number in (17, 2026))
    assert sift(row(1, first), row(2, second))[1] == {2: "near-duplicate"}
    assert sift(row(1, first), row(2, second), repeats=Repeats(fold_numbers=False))[1] == {}


def test_documents_of_generators_are_compared_as_wholes_only():
    made = {"origin": "procedural"}
    assert sift(row(1, LONG, **made), row(2, LONG + " today", **made), row(3, LONG, **made)) == (
        [1, 2], {3: "exact-duplicate"})  # fmt: skip
    near = Repeats(near_origins=("human", "procedural"))
    assert sift(row(1, LONG, **made), row(2, LONG + " today", **made), repeats=near)[1] == {2: "near-duplicate"}


def test_a_problem_of_a_held_out_split_leaves_training():
    problem = {"origin": "procedural", "problem_key": b"p" * 16}
    assert sift(row(1, "2 + 3", **problem), row(2, "3 + 2", **problem, split="heldout-values")) == (
        [2], {1: "same-problem"})  # fmt: skip


def test_no_more_documents_of_a_problem_than_asked_for_in_each_language():
    def told(name: int, language: str) -> dict[str, object]:
        return row(name, f"wording {name}", origin="procedural", problem_key=b"p" * 16, language=language)

    rows = [told(1, "en"), told(2, "en"), told(3, "en"), told(4, "fr")]
    assert sift(*rows)[0] == [1, 2, 3, 4]
    assert sift(*rows, repeats=Repeats(max_per_problem=2)) == ([1, 2, 4], {3: "same-problem"})


def chain(shift: int) -> str:
    """90 words of a row of different ones: two that begin 12 words apart share 74 of 98 shingles."""
    return " ".join(f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(shift, shift + 90))


def test_of_a_chain_the_ends_stay_if_they_come_first():
    """A~B~C, not A~C: whoever is kept is like no other that is kept; joining all that is connected would drop C."""
    a, b, c = chain(0), chain(12), chain(24)
    repeats = Repeats(min_similarity=0.65, rows=2, bands=56)  # pairs meet for certain: the similarity decides
    assert sift(row(1, a), row(2, b), row(3, c), repeats=repeats) == ([1, 3], {2: "near-duplicate"})
    assert sift(row(2, a), row(1, b), row(3, c), repeats=repeats) == (
        [1], {2: "near-duplicate", 3: "near-duplicate"})  # fmt: skip


def test_a_copy_of_what_joined_another_joins_that_too():
    table = documents([row(1, LONG), row(2, LONG + " today"), row(3, LONG + " today")])
    found = {each["doc_id"][0]: each for each in cluster([sign(table)]).to_pylist()}
    assert [found[name]["cluster"][0] for name in (1, 2, 3)] == [1, 1, 1]
    assert [found[name]["reason"] for name in (1, 2, 3)] == [None, "near-duplicate", "exact-duplicate"]
    assert {each["size"] for each in found.values()} == {3}


def test_a_giant_cluster_is_one_cluster():
    table = documents([row(i % 250, LONG + f" {i}") | {"doc_id": i.to_bytes(16, "big")} for i in range(3000)])
    repeats = Repeats(most_kept=10)
    found = cluster([sign(table, repeats)], repeats)
    assert len(found) == 3000 and found["kept"].to_pylist().count(True) == 1


def test_nothing_in_nothing_out():
    assert len(cluster([])) == 0
    assert len(cluster([sign(documents([]))])) == 0
    assert len(apply(documents([]), cluster([])).kept) == 0


def test_a_document_given_twice_is_refused():
    signed = sign(documents([row(7, "a text")]))
    with pytest.raises(DamagedError, match=r"document 0707.* is given twice"):
        cluster([signed, signed])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bands": 0}, "bands=0 .* should be 1 or more"),
        ({"bands": 26, "rows": 10}, "bands=26 x rows=10 .* exceed 255"),
        ({"min_similarity": 1.5}, "min_similarity=1.5 .* give 0 to 1"),
        ({"max_per_problem": -1}, "max_per_problem=-1 .* or more"),
        ({"near_origins": ("human", "robot")}, "names \\['robot'\\]; choose among human"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        Repeats(**fields)


def test_the_least_number_of_equal_bytes_is_that_of_the_similarity():
    for wanted in (0.0, 0.3, 0.7, 0.85, 1.0):
        repeats = Repeats(min_similarity=wanted)
        least = least_equal(repeats)
        assert similarity(least, 112) >= wanted - 1e-9
        assert least == 0 or similarity(least - 1, 112) < wanted


def test_signed_documents_are_small():
    """What docs/data.md says of memory: 14 keys of 8 bytes, 112 bytes of sketch, names, and little else."""
    table = documents([row(1, LONG)] * 1000)
    assert sign(table).nbytes / 1000 < 300
    assert sketch(signatures([LONG])).nbytes == 112


def test_without_the_kernels_the_twin_does_the_same_and_says_so(monkeypatch: pytest.MonkeyPatch):
    table = documents([row(1, LONG), row(2, LONG + " today"), row(3, "another text")])
    expected = cluster([sign(table)])
    monkeypatch.setattr(minhash, "native", None)
    minhash.warn_slow.cache_clear()
    with pytest.warns(RuntimeWarning, match="petitlm._text was not built"):
        assert cluster([sign(table)]).equals(expected)
    minhash.warn_slow.cache_clear()


def test_the_binding_refuses_arrays_that_do_not_fit():
    text = pytest.importorskip("petitlm._text", reason="the kernels were not built; install a C++ compiler")
    factors, out = np.ones(4, np.uint64), np.empty((1, 4), np.uint64)
    data = np.zeros(3, np.uint8)
    for starts in ([0, 4], [2, 1], [-1, 3]):
        with pytest.raises(ValueError, match="starts"):
            text.minhash_signatures(data, np.array(starts), *words.fold(), True, 5, factors, factors, out)
    with pytest.raises(ValueError, match="wrong shape"):
        text.minhash_signatures(data, np.array([0, 1, 3]), *words.fold(), True, 5, factors, factors, out)
    with pytest.raises(ValueError, match="page"):
        text.run_keys(data, words.fold().pages, words.fold().codes[:256], 5)
    with pytest.raises(ValueError, match="must rise"):
        text.known_runs(data, np.array([0, 3]), *words.fold(), np.array([2, 1], np.uint64), np.ones(2, np.uint8))
    with pytest.raises(ValueError, match="bucket"):
        text.lead(np.array([[5]], np.int32), data[:1, None], 1, 1, 1, np.zeros(1, np.int64), np.zeros(1, np.int32))


def test_signed_documents_survive_a_file(tmp_path: Path):
    """As the pipeline keeps them: tables of documents of generators alone have no signature at all."""
    pq = pytest.importorskip("pyarrow.parquet")
    shards = [documents([row(i, LONG, origin="procedural") for i in (1, 2)]),
              documents([row(i, f"{LONG} {'and so on ' * i}") for i in (3, 4)])]  # fmt: skip
    expected = cluster([sign(rows) for rows in shards])
    for i, rows in enumerate(shards):
        pq.write_table(sign(rows), tmp_path / f"{i}.parquet")
    found = cluster([pq.read_table(tmp_path / f"{i}.parquet") for i in (1, 0)])
    assert found.equals(expected) and len(found) == 4
