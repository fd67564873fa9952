"""How good predictions of yes or no are: AUROC, Brier score, reliability, each with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Z = 1.959964  # normal quantile of a two-sided 95 % interval
RESAMPLES = 1000


@dataclass(frozen=True)
class Bin:
    """Predictions of about the same probability."""

    predicted: float
    """Their mean."""
    observed: float
    """Share of them that came true."""
    low: float
    high: float
    """95 % interval of that share."""
    n: int


def auroc(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """Return how often a true one has a higher score than a false one, ties counting half; None without both kinds.

    It is the area under the ROC curve. Source: Hanley and McNeil 1982.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
    n_true, n_false = int(truth.sum()), int((~truth).sum())
    if not n_true or not n_false:
        return None
    ordered = np.sort(scores)
    ranks = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right") + 1) / 2
    return float((ranks[truth].sum() - n_true * (n_true + 1) / 2) / (n_true * n_false))


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean squared distance of probabilities from what came true. Source: Brier 1950."""
    return float(np.mean((np.asarray(probabilities, np.float64) - np.asarray(truth, np.float64)) ** 2))


def reliability(probabilities: ArrayLike, truth: ArrayLike, n_bins: int = 10) -> list[Bin]:
    """Return what came true of predictions in bins of equal width from 0 to 1; empty bins are left out."""
    p, truth = np.asarray(probabilities, np.float64), np.asarray(truth, bool)
    places = np.clip((p * n_bins).astype(np.int64), 0, n_bins - 1)
    bins = []
    for place in np.unique(places):
        mine = places == place
        n, n_true = int(mine.sum()), int(truth[mine].sum())
        bins.append(Bin(float(p[mine].mean()), n_true / n, *wilson(n_true, n), n))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean distance of what was observed from what was predicted, each bin by its size (ECE)."""
    n = sum(one.n for one in bins)
    return sum(one.n * abs(one.observed - one.predicted) for one in bins) / max(n, 1)


def wilson(n_true: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share. Source: Wilson 1927."""
    if n == 0:
        return 0.0, 1.0
    share, scale = n_true / n, 1 + _Z**2 / n
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    middle = share + _Z**2 / (2 * n)
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def bootstrap(statistic: Callable[[NDArray[np.intp]], float | None], groups: Sequence[Hashable], seed: int,
              n: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of examples, given by their indices; groups are drawn whole.

    Examples of one group are alike, so drawing them one by one would promise too much.
    Source: Davison and Hinkley 1997, section 3.8 (percentiles of a cluster bootstrap).
    """
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    lists = [np.asarray(one, np.intp) for one in members.values()]
    rng, values = np.random.default_rng(seed), []
    for _ in range(n):
        value = statistic(np.concatenate([lists[i] for i in rng.integers(0, len(lists), len(lists))]))
        if value is not None:
            values.append(value)
    if not values:
        return math.nan, math.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
