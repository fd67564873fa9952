"""How good a classifier is on texts that it did not see: accuracy, confusion matrix, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from petitlm.data.quality.linear import Linear, Texts
from petitlm.data.scoring import wilson_interval
from petitlm.errors import UsageError

BINS = 10
"""Equal parts of the range of confidence, 0 to 1."""


def measure(model: Linear, texts: Texts, labels: Sequence[str]) -> dict[str, Any]:
    """Plain values: `n`, `accuracy` with its 95 % `interval` (Wilson), `labels`, `confusion` (rows: the true label,
    columns: the model's), `recall` and `precision` of each label, and what `calibration` gives.

    Raises: UsageError for no texts, or a label that the model does not know.
    """
    unknown = set(labels) - set(model.labels)
    if not len(labels) or len(texts) != len(labels) or unknown:
        raise UsageError(f"{len(texts)} texts, {len(labels)} labels"
                         + (f", of which the model does not know {', '.join(sorted(unknown))}" if unknown else "")
                         + "; give each text one label of the model's")
    p = model(texts)
    y, guess = np.array([model.labels.index(label) for label in labels]), p.argmax(axis=1)
    table = confusion(y, guess, len(model.labels))
    right, n = int((y == guess).sum()), len(y)
    return {
        "n": n, "accuracy": round(right / n, 4), "interval": [round(x, 4) for x in wilson_interval(right, n)],
        "labels": list(model.labels), "confusion": table.tolist(),
        "recall": _shares(np.diag(table), table.sum(axis=1)), "precision": _shares(np.diag(table), table.sum(axis=0)),
        **calibration(p.max(axis=1), y == guess),
    }


def confusion(true: np.ndarray, guess: np.ndarray, n_labels: int) -> np.ndarray:
    """How often each true label (row) was taken for each label (column)."""
    table = np.zeros((n_labels, n_labels), np.int64)
    np.add.at(table, (true, guess), 1)
    return table


def calibration(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """`ece`, the mean distance between confidence and accuracy over `BINS` bins weighted by their texts, and
    `reliability`, a row for each bin with texts: its lower end, number of texts, mean confidence, accuracy.

    Source: Guo et al. 2017, On calibration of modern neural networks, equations 2 and 3.
    """
    at = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = [(b / BINS, int((at == b).sum()), float(confidence[at == b].mean()), float(right[at == b].mean()))
            for b in range(BINS) if (at == b).any()]
    ece = sum(n * abs(said - was) for _, n, said, was in rows) / len(confidence)
    return {"ece": round(ece, 4), "reliability": [[b, n, round(said, 4), round(was, 4)] for b, n, said, was in rows]}


def _shares(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    return [round(float(a / b), 4) if b else None for a, b in zip(part, whole, strict=True)]
