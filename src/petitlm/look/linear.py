"""Linear models on values that were read inside a model: ridge and logistic regression, fitted in float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from petitlm.errors import UsageError

Doubles = NDArray[np.float64]
_MEMORY = 12  # pairs of steps and gradient changes that L-BFGS remembers
_STEPS = 500
_TINY = 1e-12


@dataclass(frozen=True)
class Linear:
    """Scores z = ((x - mean) / scale) @ weight + bias."""

    mean: Doubles
    """(D,)"""
    scale: Doubles
    """(D,)"""
    weight: Doubles
    """(D, K)"""
    bias: Doubles
    """(K,)"""

    def scores(self, x: ArrayLike) -> Doubles:
        """Return the scores (N, K) of values (N, D)."""
        return ((np.asarray(x, np.float64) - self.mean) / self.scale) @ self.weight + self.bias

    def probabilities(self, x: ArrayLike) -> Doubles:
        """Return the classes' probabilities, (N, C); one column of scores is the second class of two."""
        return _softmax(_with_reference(self.scores(x)))

    def direction(self) -> Doubles:
        """Return where the scores grow in the space of x itself, (D, K)."""
        return self.weight / self.scale[:, None]


def standard(x: Doubles) -> tuple[Doubles, Doubles]:
    """Return the mean and the standard deviation of each column, (D,); 1 where a column does not vary."""
    mean, scale = x.mean(0), x.std(0)
    return mean, np.where(scale > _TINY * np.maximum(1.0, np.abs(mean)), scale, 1.0)


def fit_ridge(x: ArrayLike, y: ArrayLike, penalty: float = 1.0) -> Linear:
    """Fit numbers y (N,) by least squares: the weights minimise |y - z|² + penalty |w|², x standardised, bias free.

    Raises: UsageError for a penalty that is not positive.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64).reshape(-1)
    _check_penalty(penalty)
    mean, scale = standard(x)
    u, s, vt = np.linalg.svd((x - mean) / scale, full_matrices=False)
    weight = vt.T @ ((s / (s**2 + penalty)) * (u.T @ (y - y.mean())))
    return Linear(mean, scale, weight[:, None], np.array([y.mean()]))


def fit_logistic(x: ArrayLike, classes: ArrayLike, n_classes: int, penalty: float = 1.0,
                 tolerance: float = 1e-5) -> Linear:
    """Fit classes (N,) counted from 0: the weights minimise -Σ log p + penalty/2 |w|², x standardised, bias free.

    Two classes have one column of scores, that of the second against the first; more have one each. The fit ends where
    the gradient is `tolerance` of the first one.
    Raises: UsageError for a penalty that is not positive, or a class without examples.
    """
    x, classes = np.asarray(x, np.float64), np.asarray(classes, np.int64)
    _check_penalty(penalty)
    if len(np.unique(classes)) < n_classes:
        raise UsageError(f"only {len(np.unique(classes))} of {n_classes} labels occur among {len(classes)} examples "
                         "that a probe is fitted on; give more examples of each, or fewer folds")
    mean, scale = standard(x)
    inside = (x - mean) / scale
    columns = 1 if n_classes == 2 else n_classes
    wanted = np.eye(n_classes)[classes][:, -columns:]

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        weight, bias = flat[: -columns].reshape(-1, columns), flat[-columns:]
        z = _with_reference(inside @ weight + bias)
        top = z.max(1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(z - top).sum(1))
        value = float((log_sum - z[np.arange(len(z)), classes]).sum() + penalty / 2 * (weight**2).sum())
        error = np.exp(z - log_sum[:, None])[:, -columns:] - wanted
        return value, np.concatenate([(inside.T @ error + penalty * weight).ravel(), error.sum(0)])

    flat = minimise(loss, np.zeros((x.shape[1] + 1) * columns), tolerance)
    return Linear(mean, scale, flat[:-columns].reshape(-1, columns), flat[-columns:])


def minimise(loss: Callable[[Doubles], tuple[float, Doubles]], start: Doubles, tolerance: float) -> Doubles:
    """Return where a smooth convex function is smallest; it gives its value and gradient. L-BFGS with backtracking.

    Ends where the gradient is `tolerance` of the first one. Source: Nocedal and Wright 2006, algorithm 7.4.
    """
    x, (value, slope) = start, loss(start)
    enough = tolerance * max(1.0, float(np.abs(slope).max(initial=0.0)))
    moves: list[tuple[Doubles, Doubles, float]] = []
    for _ in range(_STEPS):
        if np.abs(slope).max(initial=0.0) <= enough:
            break
        way = -_scaled_by_memory(slope, moves)
        downhill, length = float(slope @ way), 1.0 if moves else min(1.0, 1.0 / float(np.abs(slope).sum()))
        while True:
            new = x + length * way
            new_value, new_slope = loss(new)
            if new_value <= value + 1e-4 * length * downhill:
                break
            length /= 2
            if length < _TINY:  # as low as float64 can tell
                return x
        step, change = new - x, new_slope - slope
        if float(step @ change) > _TINY * float(change @ change):
            moves = [*moves[1 - _MEMORY :], (step, change, 1.0 / float(step @ change))]
        x, value, slope = new, new_value, new_slope
    return x


def _scaled_by_memory(slope: Doubles, moves: list[tuple[Doubles, Doubles, float]]) -> Doubles:
    """Return the gradient times the inverse curvature that the last steps showed."""
    q, shares = slope.copy(), []
    for step, change, inverse in reversed(moves):
        shares.append(inverse * float(step @ q))
        q -= shares[-1] * change
    if moves:
        step, change, _ = moves[-1]
        q *= float(step @ change) / float(change @ change)
    for (step, change, inverse), share in zip(moves, reversed(shares), strict=True):
        q += (share - inverse * float(change @ q)) * step
    return q


def group_folds(groups: Sequence[Hashable], n_folds: int, seed: int) -> list[NDArray[np.intp]]:
    """Return the examples of each fold; those of one group are all in one, and folds are about equally large.

    Raises: UsageError if there are fewer groups than folds.
    """
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    if not 2 <= n_folds <= len(members):
        raise UsageError(f"{n_folds} folds of {len(members)} groups are not possible; choose from 2 to as many folds "
                         "as there are groups")
    order = np.random.default_rng(seed).permutation(len(members))
    lists = [list(members.values())[i] for i in order]
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    for one in sorted(lists, key=len, reverse=True):
        min(folds, key=len).extend(one)
    return [np.sort(np.asarray(fold, np.intp)) for fold in folds]


def _with_reference(z: Doubles) -> Doubles:
    return z if z.shape[1] > 1 else np.concatenate([np.zeros_like(z), z], 1)


def _softmax(z: Doubles) -> Doubles:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _check_penalty(penalty: float) -> None:
    if not (penalty > 0 and np.isfinite(penalty)):
        raise UsageError(f"penalty={penalty!r} is not possible; give a positive number such as 1")
