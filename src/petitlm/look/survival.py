"""Which features of a sparse dictionary survive: active in the reference, and still active in the model.

A dictionary is trained on one model; whether what it names is still there after quantizing or teaching is a question
of its own, which the loss does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_text
from petitlm.look.dictionaries import SparseDictionary
from petitlm.look.dictionary_files import load_dictionary
from petitlm.look.distances import Array
from petitlm.look.models import Model
from petitlm.look.page import bars
from petitlm.look.results import Table

_SURVIVES = 0.9  # of the correlation between a feature's two activations
_SEEN = 5  # tokens at which a feature must be active for its correlation to count


@dataclass(frozen=True)
class Survival:
    """What became of a dictionary's features."""

    tap: str
    kept: float
    """Share of a token's active features in the reference that are active in the model, over all tokens."""
    survived: float
    """Share of features whose activations in the two models correlate by 0.9 or more."""
    n_features: int
    """Features that were active at five tokens or more in the reference."""
    correlations: Array
    """Of those features, ascending."""
    active: tuple[float, float]
    """Features active at a token: model, reference."""
    explained: tuple[float, float]
    """Share of the values' variance that the dictionary reconstructs: model, reference."""

    def table(self) -> Table:
        """Return the shares."""
        rows = [["active features of a token that stay active", self.kept, None],
                [f"features that correlate by {_SURVIVES} or more (of {self.n_features:,})", self.survived, None],
                ["features active at a token: model, reference", *self.active],
                ["variance explained: model, reference", *self.explained]]
        return Table(f"Features of {self.tap}", ["", "model", "reference"], rows)

    def charts(self) -> list[str]:
        """Draw how many features correlate by how much."""
        edges = np.array([-1.0, 0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0 + 1e-9])
        counts = np.histogram(self.correlations, edges)[0]
        names = [f"{a:g} to {min(b, 1):g}" for a, b in zip(edges[:-1], edges[1:], strict=True)]
        return [bars("Features by the correlation of their activations in the two models", names, counts,
                     unit="features")]


class Survivals:
    """Collects the features of both models, text by text."""

    def __init__(self, model: Model, folder: Path | str) -> None:
        self.model = model
        self.dictionary: SparseDictionary = load_dictionary(folder).fitted(model.config)
        self._values: list[list[Floats]] = [[], []]

    def add(self, reference: Model, ids: Sequence[int]) -> None:
        """Count a text; its first token aside, whose value is an outlier that dictionaries do not learn."""
        tap = self.dictionary.reads
        for m, values in zip((self.model, reference), self._values, strict=True):
            values.append(run_text(m.runner, ids, [tap], wanted="none")[tap][1:])

    def result(self) -> Survival:
        """Return what became of the features."""
        raw = [np.concatenate(values).astype(np.float32) for values in self._values]
        mine, theirs = (self.dictionary.encode(x) for x in raw)
        on_mine, on_theirs = mine > 0, theirs > 0
        counted = np.flatnonzero(on_theirs.sum(0) >= _SEEN)
        correlations = np.sort([_correlation(mine[:, f], theirs[:, f]) for f in counted])
        fits = [_explained(x, self.dictionary.reconstruct(x)) for x in raw]
        return Survival(self.dictionary.reads, float((on_mine & on_theirs).sum() / max(1, on_theirs.sum())),
                        float((correlations >= _SURVIVES).mean()) if len(counted) else 0.0, len(counted),
                        np.asarray(correlations, np.float64), (_per_token(on_mine), _per_token(on_theirs)),
                        (fits[0], fits[1]))


def _explained(x: Floats, guess: Floats) -> float:
    spread = float(((x - x.mean(0, dtype=np.float64)) ** 2).sum())
    return 1 - float((np.subtract(x, guess, dtype=np.float64) ** 2).sum()) / spread if spread else 0.0


def _per_token(active: NDArray[np.bool_]) -> float:
    return float(active.sum(1).mean())


def _correlation(first: Floats, second: Floats) -> float:
    x, y = (values - values.mean(dtype=np.float64) for values in (first, second))
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / size if size else 0.0
