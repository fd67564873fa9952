"""Training a linear classifier: multinomial logistic regression by L-BFGS, then int8 weights and a temperature.

Nothing is drawn at random: the same texts in the same order give the same model on one machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from petitlm.data.quality.features import Features, kernels, pieces, symbol_table
from petitlm.data.quality.linear import Linear, Texts, padded, softmax
from petitlm.errors import UsageError

_MAX_TEXT_BYTES = 1 << 20
"""Training reads at most this much of one text."""


class Counted(NamedTuple):
    """Texts as sparse rows: each feature's count over the square root of the number of features."""

    begins: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    """float32."""

    @property
    def sparse(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.begins, self.columns, self.values


def count(texts: Texts, features: Features) -> Counted:
    """The features of texts (the first MiB of each)."""
    of = pieces(texts, _MAX_TEXT_BYTES)
    first = np.unique(of.owners, return_index=True)[1]
    begins, columns, counts = kernels().linear_counts(of.data, of.starts[first], of.ends[first], symbol_table(),
                                                      *features.spec)
    sizes = np.add.reduceat(np.append(counts, 0), begins[:-1]) if len(first) else np.zeros(0)
    sizes = np.where(np.diff(begins) > 0, sizes, 1)
    values = counts / np.repeat(np.sqrt(sizes), np.diff(begins))
    return Counted(begins, columns, values.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Fitting:
    """How to train."""

    l2: float = 1e-4
    """Strength of the penalty l2 / 2 * sum of squared weights, beside the mean cross-entropy."""
    max_steps: int = 60
    tolerance: float = 1e-5
    """Stop where no element of the gradient is larger."""
    balanced: bool = True
    """Give every label the same weight in all, however many texts it has."""
    label_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each text of a label besides, where that is not 1."""


def fit(texts: Texts, labels: Sequence[str], features: Features, how: Fitting | None = None,
        card: dict[str, Any] | None = None) -> Linear:
    """Train on labelled texts; the temperature is 1 until `calibrated` sets it.

    Raises: UsageError for fewer than two labels, or texts and labels that do not pair.
    """
    how = how or Fitting()
    names = tuple(sorted(set(labels)))
    if len(names) < 2 or len(texts) != len(labels):
        raise UsageError(f"{len(texts)} texts and {len(labels)} labels of {len(names)} kinds; give each text "
                         "one label, of at least two kinds")
    y = np.searchsorted(names, labels)
    each = np.ones(len(y)) if not how.balanced else 1 / np.bincount(y)[y]
    each *= np.array([how.label_weights.get(name, 1.0) for name in names])[y]
    weights, bias = solve(count(texts, features), y, len(names), 1 << features.bits, how, each / each.sum())
    return quantised(weights, bias, names, features, card or {})


def solve(x: Counted, y: np.ndarray, n_labels: int, n_rows: int, how: Fitting,
          each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (rows, labels) and bias that minimise `sum of each * cross-entropy + l2/2 |weights|^2`; `each` sums to 1.

    The same function as scikit-learn's LogisticRegression minimises with C = 1 / (l2 * n) and sample weights each * n.
    """
    one = np.eye(n_labels)[y]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[n_labels:].reshape(n_rows, n_labels), flat[:n_labels]
        p = softmax(kernels().sparse_product(*x.sparse, weights) + bias)
        error = (p - one) * each[:, None]
        gradient = kernels().sparse_gradient(*x.sparse, error, n_rows) + how.l2 * weights
        value = -(each * np.log(np.maximum(p[np.arange(len(y)), y], 1e-300))).sum() + how.l2 / 2 * (weights**2).sum()
        return float(value), np.concatenate([error.sum(axis=0), gradient.ravel()])

    flat = minimise(loss, np.zeros(n_labels * (n_rows + 1)), how.max_steps, how.tolerance)
    return flat[n_labels:].reshape(n_rows, n_labels), flat[:n_labels]


def minimise(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], at: np.ndarray, max_steps: int,
             tolerance: float, memory: int = 8) -> np.ndarray:
    """The argument of a smooth convex function's minimum, by L-BFGS with a backtracking line search.

    Source: Nocedal and Wright 2006, Numerical optimization, algorithms 7.4 and 7.5.
    """
    value, gradient = loss(at)
    pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=memory)
    for _ in range(max_steps):
        if np.abs(gradient).max() <= tolerance:
            break
        direction = -_times_inverse_hessian(gradient, pairs)
        slope = float(gradient @ direction)
        step = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        while True:
            moved = at + step * direction
            new_value, new_gradient = loss(moved)
            if new_value <= value + 1e-4 * step * slope:
                break
            step /= 2
            if step < 1e-12:
                return at  # as low as rounding lets it go
        s, y = moved - at, new_gradient - gradient
        if (product := float(s @ y)) > 1e-12 * float(y @ y):
            pairs.append((s, y, 1 / product))
        at, value, gradient = moved, new_value, new_gradient
    return at


def _times_inverse_hessian(gradient: np.ndarray, pairs: deque[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    q, alphas = gradient.copy(), []
    for s, y, rho in reversed(pairs):
        alphas.append(rho * float(s @ q))
        q -= alphas[-1] * y
    if pairs:
        _, y, rho = pairs[-1]
        q /= rho * float(y @ y)
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - rho * float(y @ q)) * s
    return q


def quantised(weights: np.ndarray, bias: np.ndarray, labels: tuple[str, ...], features: Features,
              card: dict[str, Any]) -> Linear:
    """The model with each label's weights rounded to 255 steps; what all labels share is taken out first."""
    weights = weights - weights.mean(axis=1, keepdims=True)
    scale = np.maximum(np.abs(weights).max(axis=0) / 127, 1e-12).astype(np.float32)
    steps = np.rint(weights / scale).astype(np.int8)
    return Linear(labels, features, padded(steps), scale, bias.astype(np.float32), 1.0, card)


def calibrated(model: Linear, texts: Texts, labels: Sequence[str]) -> Linear:
    """The model with the temperature that minimises the cross-entropy of texts that training did not see."""
    scores = model.scores(*model.sums(pieces(texts)))
    y = np.array([model.labels.index(label) for label in labels])

    def loss(log_temperature: float) -> float:
        p = softmax(scores / np.exp(log_temperature))
        return float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-300)).mean())

    low, high = np.log(0.05), np.log(20.0)  # golden section: the loss is convex in 1 / temperature, so of one valley
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return Linear(model.labels, model.features, model.weights, model.scale, model.bias,
                  float(np.float32(np.exp((low + high) / 2))), model.card)
