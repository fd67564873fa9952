"""Our regressions and scores of predictions against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.errors import UsageError
from petitlm.look.calibration import auroc, bootstrap, brier, calibration_error, reliability, wilson
from petitlm.look.linear import fit_logistic, fit_ridge, group_folds, minimise

linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn; `make setup` installs it")
metrics = pytest.importorskip("sklearn.metrics")
StandardScaler = pytest.importorskip("sklearn.preprocessing").StandardScaler


def blobs(n: int, d: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values of overlapping classes, columns of very different sizes, one of them constant."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, n_classes, n)
    x = rng.normal(0, 1, (n, d)) + 0.7 * rng.normal(0, 1, (n_classes, d))[classes]
    x = x * 10.0 ** rng.uniform(-2, 2, d) + rng.normal(0, 5, d)
    x[:, 0] = 3.25
    return x, classes


@pytest.mark.parametrize(("n", "d"), [(200, 12), (40, 90)])
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_logistic_regression_is_scikit_learns(n: int, d: int, n_classes: int, penalty: float) -> None:
    x, classes = blobs(n, d, n_classes, seed=d + n_classes)
    ours = fit_logistic(x, classes, n_classes, penalty, tolerance=1e-8)
    inside = StandardScaler().fit_transform(x)
    theirs = linear_model.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000).fit(inside, classes)
    # Both stop short of the optimum by their tolerance; with all weights penalised it is unique.
    np.testing.assert_allclose(ours.weight.T, theirs.coef_, atol=2e-5)
    np.testing.assert_allclose(ours.probabilities(x), theirs.predict_proba(inside), atol=2e-5)


@pytest.mark.parametrize(("n", "d"), [(200, 12), (40, 90)])
@pytest.mark.parametrize("penalty", [1e-3, 1.0, 100.0])
def test_ridge_regression_is_scikit_learns(n: int, d: int, penalty: float) -> None:
    x, classes = blobs(n, d, 7, seed=d)
    y = classes * 2.5 - 3
    theirs = linear_model.Ridge(alpha=penalty, solver="svd").fit(StandardScaler().fit_transform(x), y)
    ours = fit_ridge(x, y, penalty)
    np.testing.assert_allclose(ours.scores(x)[:, 0], theirs.predict(StandardScaler().fit_transform(x)), atol=1e-9)
    np.testing.assert_allclose(ours.weight[:, 0], theirs.coef_, atol=1e-9)


def test_a_direction_is_the_gradient_of_the_scores() -> None:
    x, classes = blobs(60, 5, 3, seed=1)
    fitted, step = fit_logistic(x, classes, 3), np.random.default_rng(0).normal(size=5)
    moved = fitted.scores(x + 1e-3 * step) - fitted.scores(x)
    np.testing.assert_allclose(moved, np.tile(1e-3 * step @ fitted.direction(), (60, 1)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_and_brier_are_scikit_learns(ties: bool) -> None:
    rng = np.random.default_rng(4)
    truth = rng.random(300) < 0.3
    p = np.clip(rng.normal(0.3 + 0.2 * truth, 0.2), 0, 1)
    p = np.round(p, 1) if ties else p
    assert auroc(p, truth) == pytest.approx(metrics.roc_auc_score(truth, p), abs=1e-12)
    assert brier(p, truth) == pytest.approx(metrics.brier_score_loss(truth, p), abs=1e-12)
    bins = reliability(p, truth)
    assert sum(b.n for b in bins) == 300
    assert sum(b.n * b.observed for b in bins) == pytest.approx(truth.sum())
    assert calibration_error(bins) == pytest.approx(sum(b.n * abs(b.observed - b.predicted) for b in bins) / 300)
    for b in bins:
        assert b.low - 1e-12 <= b.observed <= b.high + 1e-12
        assert (b.low, b.high) == wilson(round(b.n * b.observed), b.n)


def test_wilsons_interval_is_the_closed_form() -> None:
    """Bounds are the shares at which the observed one is 1.96 standard errors away."""
    for k, n in ((0, 10), (3, 10), (50, 60)):
        for bound in wilson(k, n):
            if 0 < bound < 1:
                assert abs(k / n - bound) == pytest.approx(1.959964 * np.sqrt(bound * (1 - bound) / n), rel=1e-9)


def test_an_interval_over_groups_is_wider_where_groups_agree() -> None:
    """Twenty copies of 30 answers know no more than the 30."""
    rng = np.random.default_rng(2)
    truth, p = rng.random(30) < 0.4, rng.random(30)
    many_p, many_truth, groups = np.tile(p, 20), np.tile(truth, 20), list(range(30)) * 20
    single = bootstrap(lambda rows: auroc(p[rows], truth[rows]), range(30), 0)
    grouped = bootstrap(lambda rows: auroc(many_p[rows], many_truth[rows]), groups, 0)
    alone = bootstrap(lambda rows: auroc(many_p[rows], many_truth[rows]), range(600), 0)
    assert grouped == pytest.approx(single, abs=1e-12)
    assert alone[1] - alone[0] < 0.5 * (grouped[1] - grouped[0])
    assert single[0] < metrics.roc_auc_score(truth, p) < single[1]


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """95 % of intervals hold the true AUROC of two normals one standard deviation apart, Φ(1/√2) = 0.7602."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(100):
        truth = np.arange(80) < 40
        p = rng.normal(truth * 1.0, 1.0)
        low, high = bootstrap(lambda rows, p=p, truth=truth: auroc(p[rows], truth[rows]), range(80), 0, n=200)
        held += low <= 0.7602 <= high
    assert 88 <= held <= 100


def test_minimising_finds_the_bottom_of_a_narrow_valley() -> None:
    scales = 10.0 ** np.arange(-2, 3)
    middle = np.array([1.0, -2.0, 3.0, -4.0, 5.0])
    valley = lambda x: (float((scales * (x - middle) ** 2).sum()), 2 * scales * (x - middle))  # noqa: E731
    found = minimise(valley, np.zeros(5), 1e-7)
    np.testing.assert_allclose(found, middle, atol=1e-4)


def test_folds_keep_groups_whole_and_are_about_equal() -> None:
    groups = [f"g{i % 13}" for i in range(130)]
    folds = group_folds(groups, 4, seed=3)
    assert sorted(np.concatenate(folds)) == list(range(130))
    for i, fold in enumerate(folds):
        others = {groups[j] for k, other in enumerate(folds) if k != i for j in other}
        assert not others & {groups[j] for j in fold}
    assert max(map(len, folds)) - min(map(len, folds)) <= 10
    assert [f.tolist() for f in folds] == [f.tolist() for f in group_folds(groups, 4, seed=3)]
    assert [f.tolist() for f in folds] != [f.tolist() for f in group_folds(groups, 4, seed=4)]


def test_what_cannot_be_fitted_is_refused() -> None:
    x = np.zeros((4, 2))
    with pytest.raises(UsageError, match="positive number"):
        fit_ridge(x, [1, 2, 3, 4], penalty=0)
    with pytest.raises(UsageError, match="1 of 2 labels occur"):
        fit_logistic(x, [1, 1, 1, 1], 2)
    with pytest.raises(UsageError, match="5 folds of 2 groups"):
        group_folds(["a", "b", "a"], 5, 0)
    assert auroc([0.1, 0.9], [True, True]) is None
