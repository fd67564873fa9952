"""The kernels of linear classifiers against their slow twins, and training against scikit-learn."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm import _text
from petitlm.data.quality import reference
from petitlm.data.quality.features import Features, buffers, kernels, pieces, symbol_table
from petitlm.data.quality.fitting import Fitting, count, fit, minimise, quantised, solve
from petitlm.data.quality.linear import Linear, softmax
from petitlm.errors import DamagedError

FIRSTS = np.array([0, 0x370, 0x400, 0x590, 0x3040, 0x20000], np.uint32)
SPECS = [(1, 3, 1, 12), (0, 0, 3, 10), (2, 5, 2, 14), (8, 8, 0, 8)]
HARD = ["", " ", "\n\n", "a", "L'été, ÉÀ ß İ!", "3,14 is 3.14...\n\nNext one… yes", "😀 中文 русский ﬁ", "x" * 700,
        "\ufeff\u200b\u00ad", "été " * 300, "a\u0301\u0307\n \nb"]


def same(made: Sequence[np.ndarray], twin: Sequence[np.ndarray]) -> None:
    for a, b in zip(made, twin, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def check_twins(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, specs: list[tuple[int, int, int, int]]) -> None:
    table = symbol_table()
    for spec in specs:
        weights = np.random.default_rng(3).integers(-127, 128, (1 << spec[3], 16)).astype(np.int8)
        same(_text.linear_sums(data, starts, ends, table, *spec, weights),
             reference.linear_sums(data, starts, ends, table, *spec, weights))
        same(_text.linear_counts(data, starts, ends, table, *spec),
             reference.linear_counts(data, starts, ends, table, *spec))
    same([_text.reading_counts(data, starts, ends, table)], [reference.reading_counts(data, starts, ends, table)])
    same([_text.script_counts(data, starts, ends, table, FIRSTS)],
         [reference.script_counts(data, starts, ends, table, FIRSTS)])


@pytest.mark.parametrize("size", [16, 64, 4096])
def test_twins_agree_on_hard_texts(size: int) -> None:
    data, offsets = buffers(HARD)
    same(_text.cut_texts(data, offsets, size), reference.cut_texts(data, offsets, size))
    check_twins(*pieces(HARD, size)[:3], SPECS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet=st.sampled_from("ab Z.!?…\n é’'1٣中я"), max_size=80), min_size=1, max_size=4),
       st.integers(16, 40))
def test_twins_agree_on_any_text(texts: list[str], size: int) -> None:
    data, offsets = buffers(texts)
    same(_text.cut_texts(data, offsets, size), reference.cut_texts(data, offsets, size))
    check_twins(*pieces(texts, size)[:3], SPECS[:2])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120))
def test_twins_agree_on_any_bytes(raw: bytes) -> None:
    data = np.frombuffer(raw, np.uint8)
    check_twins(data, np.array([0], np.int64), np.array([len(raw)], np.int64), SPECS[:1])


def test_pieces_cover_every_text_and_end_at_characters() -> None:
    for by_line in (False, True):
        of = pieces(HARD, 32, by_line)
        for i, text in enumerate(HARD):
            parts = [bytes(of.data[a:b]).decode() for a, b, o in zip(of.starts, of.ends, of.owners, strict=True)
                     if o == i]
            assert "".join(parts) == text
            assert not by_line or not any("\n" in part[:-1] for part in parts)
        np.testing.assert_array_equal(of.summed(of.ends - of.starts), [len(text.encode()) for text in HARD])


def test_features_are_the_ngrams_that_scikit_learn_counts() -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    text = "le chat dort sur le tapis et la souris danse"
    analyse = CountVectorizer(analyzer="char", ngram_range=(1, 4)).build_analyzer()
    table = symbol_table()
    grams = Counter(reference.hash_characters([int(table[ord(c)]) for c in gram], 20) for gram in analyse(f" {text} "))
    begins, rows, counts = _text.linear_counts(*pieces([text])[:3], table, 1, 4, 0, 20)
    assert begins.tolist() == [0, len(grams)]
    assert dict(zip(rows.tolist(), counts.tolist(), strict=True)) == grams


def labelled(n: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(11)
    words = {"a": ["sun", "moon", "star", "sky", "rain"], "b": ["sum", "root", "prime", "angle", "rain"],
             "c": ["buy", "free", "win", "cash", "prize", "rain"]}
    labels = [str(label) for label in rng.choice(list(words), n, p=[0.6, 0.3, 0.1])]
    return [" ".join(rng.choice(words[label if rng.random() < 0.8 else "a"], 4)) for label in labels], labels


def test_training_finds_scikit_learns_optimum() -> None:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    features, l2 = Features(1, 3, 1, 12), 1e-3
    texts, labels = labelled(300)
    x = count(texts, features)
    y = np.searchsorted(["a", "b", "c"], labels)
    ours, bias = solve(x, y, 3, 1 << 12, Fitting(l2=l2, max_steps=500, tolerance=1e-8), np.full(300, 1 / 300))
    matrix = csr_matrix((x.values.astype(float), x.columns, x.begins), (300, 1 << 12))
    theirs = LogisticRegression(C=1 / (l2 * 300), tol=1e-10, max_iter=2000).fit(matrix, y)
    # The optimum is unique but for a constant of the biases; both stop within 1e-8 of it.
    np.testing.assert_allclose(ours, theirs.coef_.T, atol=2e-5)
    np.testing.assert_allclose(softmax(matrix @ ours + bias), theirs.predict_proba(matrix), atol=2e-6)


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    rng = np.random.default_rng(2)
    x = count(labelled(20)[0], Features(1, 2, 0, 8))
    weights, errors = rng.normal(size=(256, 3)), rng.normal(size=(20, 3))
    dense = np.zeros((20, 256))
    for i in range(20):
        dense[i, x.columns[x.begins[i] : x.begins[i + 1]]] = x.values[x.begins[i] : x.begins[i + 1]]
    same([_text.sparse_product(*x.sparse, weights)], [reference.sparse_product(*x.sparse, weights)])
    same([_text.sparse_gradient(*x.sparse, errors, 256)], [reference.sparse_gradient(*x.sparse, errors, 256)])
    np.testing.assert_allclose(_text.sparse_product(*x.sparse, weights), dense @ weights, rtol=1e-12)
    np.testing.assert_allclose(_text.sparse_gradient(*x.sparse, errors, 256), dense.T @ errors, rtol=1e-11, atol=1e-14)


def test_lbfgs_reaches_the_minimum_of_a_quadratic() -> None:
    rng = np.random.default_rng(4)
    root = rng.normal(size=(12, 12))
    a, b = root @ root.T + np.eye(12), rng.normal(size=12)
    found = minimise(lambda x: (float(x @ a @ x / 2 - b @ x), a @ x - b), np.zeros(12), 200, 1e-9)
    np.testing.assert_allclose(found, np.linalg.solve(a, b), atol=1e-7)


def test_eight_bits_change_no_score_by_more_than_half_a_step_per_feature() -> None:
    rng = np.random.default_rng(6)
    features = Features(1, 2, 0, 10)
    weights, bias = rng.normal(size=(1 << 10, 3)), rng.normal(size=3)
    model = quantised(weights, bias, ("a", "b", "c"), features, {})
    texts = labelled(30)[0]
    x = count(texts, features)
    exact = _text.sparse_product(*x.sparse, weights - weights.mean(axis=1, keepdims=True)) + bias
    sums, counts = model.sums(pieces(texts))
    bound = np.sqrt(counts)[:, None] * model.scale / 2  # n features, each wrong by half a step, over sqrt(n)
    assert (np.abs(model.scores(sums, counts) - exact) <= bound + 1e-5).all()


def test_same_texts_same_model_and_a_file_keeps_it(tmp_path: Path) -> None:
    texts, labels = labelled(200)
    made = [fit(texts, labels, Features(1, 3, 1, 10), Fitting(l2=1e-3)) for _ in range(2)]
    for i, model in enumerate(made):
        model.save(tmp_path / f"{i}.safetensors")
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    back = Linear.load(tmp_path / "0.safetensors")
    np.testing.assert_array_equal(back(texts), made[0](texts))
    assert np.mean(np.array(back.best(texts)[0]) == labels) > 0.8
    whole = (tmp_path / "0.safetensors").read_bytes()
    for broken in (whole[: len(whole) // 2], whole.replace(b"petit linear 1", b"petit linear 9"), b"", b"x" * 50):
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(DamagedError):
            Linear.load(tmp_path / "broken")


def test_the_kernels_refuse_what_does_not_fit() -> None:
    data, one, table = np.zeros(4, np.uint8), np.zeros(1, np.int64), symbol_table()
    weights = np.zeros((256, 8), np.int8)
    for starts, ends, spec in [(one, one + 5, (1, 2, 0, 8)), (one - 1, one, (1, 2, 0, 8)), (one + 2, one, (1, 2, 0, 8)),
                               (one, one, (1, 9, 0, 8)), (one, one, (1, 2, 0, 9)), (one, one, (1, 2, 4, 8))]:
        with pytest.raises(ValueError):
            _text.linear_sums(data, starts, ends, table, *spec, weights)
    begins, values = np.array([0, 1], np.int64), np.ones(1, np.float32)
    with pytest.raises(ValueError):
        _text.sparse_product(begins, np.array([7], np.int32), values, np.zeros((7, 2)))


def test_without_the_kernels_the_twin_does_the_same_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = labelled(30)
    features, how = Features(1, 2, 1, 8), Fitting(max_steps=3)
    fast = fit(texts, labels, features, how)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "petitlm._text", None)
        patch.delattr("petitlm._text", raising=False)
        kernels.cache_clear()
        with pytest.warns(RuntimeWarning, match="not compiled") as told:
            slow = fit(texts, labels, features, how)
        np.testing.assert_array_equal(slow.weights, fast.weights)
        np.testing.assert_array_equal(slow(texts), fast(texts))
        assert len(told) == 1
    kernels.cache_clear()
    assert kernels() is _text
