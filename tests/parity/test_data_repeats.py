"""Signatures, bands and clusters against their twins, against exact Jaccard similarity and against datasketch."""

from __future__ import annotations

import gzip
import json
import math
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow", reason="pyarrow is in the extra `data`; pip install 'petitlm[data]' to run this")
_text = pytest.importorskip("petitlm._text", reason="the kernels were not built; install a C++ compiler to run this")

from petitlm.data.repeats import minhash, reference  # noqa: E402
from petitlm.data.repeats.minhash import (  # noqa: E402
    FINEWEB,
    Repeats,
    band_keys,
    hash_functions,
    meeting_probability,
    signatures,
    similarity,
    sketch,
)
from petitlm.data.repeats.words import fold  # noqa: E402

# Letters of several scripts, marks, digits, characters without a shape, spaces of all kinds, ideographs.
LETTERS = st.sampled_from("aAéÉe\u0301ßœŒİıſ漢字ひカไทย한글0129٣½² \t\n\u00a0\u200b\u00ad'’-_.,!<>=+𝔘😀\ufffd")


def passages(shared: Path, names: tuple[str, ...], n: int, size: int = 1500) -> list[str]:
    """The first `n` passages of `size` characters of real texts."""
    found: list[str] = []
    for name in names:
        with gzip.open(shared / "data" / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                text = json.loads(line)["text"]
                found += [text[i : i + size] for i in range(0, len(text) - size, size)]
                if len(found) >= n:
                    return found[:n]
    return found


@given(st.lists(st.text(LETTERS, max_size=60), max_size=6), st.integers(1, 6), st.booleans())
@example(["", " ", "un deux", "x" * 5000, "12,345.6"], 5, True)
def test_signatures_equal_the_twin_bit_for_bit(texts: list[str], size: int, fold_numbers: bool):
    repeats = Repeats(shingle_words=size, fold_numbers=fold_numbers, bands=3, rows=4)
    ours = signatures(texts, repeats)
    assert ours.shape == (len(texts), 12)
    for text, row in zip(texts, ours, strict=True):
        assert (row == reference.signature(text, size, fold_numbers, *hash_functions(12))).all()


@given(st.text(max_size=200))
def test_any_unicode_text_has_the_signature_of_the_twin(text: str):
    text = text.encode("utf-8", "replace").decode()
    assert (signatures([text])[0] == reference.signature(text, 5, True, *hash_functions(112))).all()


def test_real_passages_have_the_signatures_of_the_twin(shared: Path):
    texts = passages(shared, ("novels_fr", "python_peps"), 30)
    for text, row in zip(texts, signatures(texts), strict=True):
        assert (row == reference.signature(text, 5, True, *hash_functions(112))).all()


def test_signatures_do_not_depend_on_how_arrow_holds_the_texts():
    texts = ["one two three four five six", "", "sept huit neuf dix onze", "α β γ δ ε ζ"]
    whole = signatures(texts)
    large = pa.array([*texts, "after"], pa.large_string())
    assert (signatures(large.slice(1, 3)) == whole[1:]).all()
    assert (signatures(pa.chunked_array([large.slice(0, 1), large.slice(1, 0), large.slice(1, 3)])) == whole).all()
    assert (signatures(pa.array(texts, pa.string())) == whole).all()
    assert (signatures(pa.array([None, texts[0]], pa.large_string())) == whole[[1, 0]]).all()


@given(st.lists(st.text(LETTERS, max_size=40), max_size=5), st.lists(st.text(LETTERS, min_size=1, max_size=12)))
def test_known_runs_equal_the_twin(texts: list[str], known: list[str]):
    runs = {key: n for text in known for n, keys in [reference.run_keys(text, 4)] for key in keys if n}
    keys = np.array(sorted(runs), np.uint64)
    lengths = np.zeros(5, np.uint8)
    lengths[[min(n, 4) for n in runs.values()]] = 1
    found: list[tuple[int, ...]] = []
    before = 0
    for data, starts in minhash.text_buffers(texts):
        hits = _text.known_runs(data, starts, *fold(), keys, lengths) + [before, 0, 0]
        found += [tuple(hit) for hit in hits.tolist()]
        before += len(starts) - 1
    assert found == reference.known_runs(texts, keys, lengths)
    for text in texts:
        data = np.frombuffer(text.encode(), np.uint8)
        assert _text.run_keys(data, *fold(), 4) == reference.run_keys(text, 4)


def lead(buckets: np.ndarray, sketches: np.ndarray, likeness: int, most_kept: int) -> tuple[np.ndarray, np.ndarray]:
    leaders, equal = np.empty(len(buckets), np.int64), np.empty(len(buckets), np.int32)
    _text.lead(buckets, sketches, int(buckets.max(initial=-1)) + 1, likeness, most_kept, leaders, equal)
    return leaders, equal


@given(st.integers(0, 40), st.integers(1, 4), st.integers(0, 6), st.sampled_from([1, 2, 1000]), st.integers(0, 99))
def test_leaders_equal_the_twin(n: int, bands: int, likeness: int, most_kept: int, seed: int):
    rng = np.random.default_rng(seed)
    buckets = rng.integers(-1, 6, (n, bands)).astype(np.int32)
    sketches = rng.integers(0, 3, (n, 6)).astype(np.uint8)
    ours, twin = lead(buckets, sketches, likeness, most_kept), reference.lead(buckets, sketches, likeness, most_kept)
    assert (ours[0] == twin[0]).all() and (ours[1] == twin[1]).all()


def changed(text: str, share: float, rng: Random) -> str:
    """`text` with a share of its words replaced."""
    return " ".join(f"w{rng.random()}" if rng.random() < share else word for word in text.split())


def exact_jaccard(a: str, b: str) -> float:
    first, second = (set(reference.run_keys(text, 5, fold_numbers=False)[1]) for text in (a, b))
    return len(first & second) / len(first | second)


def test_estimates_and_meetings_follow_the_exact_similarity_of_real_text(shared: Path):
    """The estimate is without bias and has the standard error of the binomial; bands meet as the formula says."""
    rng = Random(5)
    repeats = Repeats(fold_numbers=False)
    pairs = [(text, changed(text, rng.choice((0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1)), rng))
             for text in passages(shared, ("novels_en", "novels_fr"), 500)]  # fmt: skip
    exact = np.array([exact_jaccard(a, b) for a, b in pairs])
    first, second = (signatures([pair[i] for pair in pairs], repeats) for i in (0, 1))
    estimate = similarity((sketch(first) == sketch(second)).sum(1), 112)
    z = (estimate - exact) / np.sqrt(np.maximum(exact * (1 - exact), 1e-3) / 112)
    assert abs(z.mean()) < 4 / math.sqrt(len(z))  # 4 standard errors of the mean
    assert 0.85 < z.std() < 1.15
    met = (band_keys(first, repeats) == band_keys(second, repeats)).any(1)
    theory = np.array([meeting_probability(float(j)) for j in exact])
    for low, high in ((0.3, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)):
        inside = (exact >= low) & (exact < high)
        p = theory[inside]
        assert inside.sum() >= 30
        assert abs(met[inside].sum() - p.sum()) <= 4 * math.sqrt((p * (1 - p)).sum()) + 1


def test_the_setting_is_finewebs():
    """Penedo et al. 2024, section 3.4: 56, 77, 92 and 98.8 % at these similarities."""
    found = [round(100 * meeting_probability(j), 1) for j in (0.70, 0.75, 0.80, 0.85)]
    assert found == [56.5, 77.2, 92.4, 98.8]


def test_datasketch_estimates_the_same_similarities(shared: Path):
    datasketch = pytest.importorskip("datasketch", reason="an outside judge; pip install datasketch to run this")
    rng = Random(6)
    texts = passages(shared, ("novels_en",), 40)
    for text in texts:
        other = changed(text, 0.04, rng)
        theirs = [datasketch.MinHash(112, seed=1) for _ in range(2)]
        for sketched, said in zip(theirs, (text, other), strict=True):
            sketched.update_batch([key.to_bytes(8, "little") for key in reference.run_keys(said, 5, True)[1]])
        ours = signatures([text, other])
        mine = (ours[0] == ours[1]).mean()
        assert abs(mine - theirs[0].jaccard(theirs[1])) < 5 * math.sqrt(2 * 0.25 / 112)  # two estimates, 5 sigma


def test_datasketch_finds_the_same_candidates(shared: Path):
    """Given our signatures, the LSH of datasketch with 14 bands of 8 meets the pairs that our bands meet."""
    datasketch = pytest.importorskip("datasketch", reason="an outside judge; pip install datasketch to run this")
    rng = Random(7)
    texts = passages(shared, ("novels_en", "novels_fr"), 120)
    texts += [changed(text, rng.choice((0.02, 0.04, 0.06)), rng) for text in texts]
    signed = signatures(texts)
    lsh = datasketch.MinHashLSH(num_perm=112, params=(14, 8))
    sketched = [datasketch.MinHash(112, hashvalues=row, scheme="affine64") for row in signed]
    for i, each in enumerate(sketched):
        lsh.insert(i, each)
    theirs = {(i, j) for i, each in enumerate(sketched) for j in lsh.query(each) if i < j}
    shared_keys: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, keys in enumerate(band_keys(signed).tolist()):
        for band, key in enumerate(keys):
            shared_keys[band, key].append(i)
    ours = {pair for members in shared_keys.values() for pair in combinations(members, 2)}
    assert ours == theirs and len(ours) > 50


def test_equal_bands_of_different_places_have_different_keys():
    signed = np.tile(signatures(["one two three four five six"])[:, :8], (1, 14))
    keys = band_keys(signed, FINEWEB)
    assert len(set(keys[0].tolist())) == 14
