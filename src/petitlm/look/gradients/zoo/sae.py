"""T4: a sparse autoencoder finds the known dictionary C6 again, and one that is not trained does not.

With as many features as there are directions some are always missed, so twice as many are learned; which are found
depends on the seed, so the bars are about several runs: the best one's mean cosine and share, and the median's mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from petitlm.engine.kernels import Floats
from petitlm.look.gradients.dictionaries import Kind, Plan, Trainer, Weights, fit
from petitlm.look.zoo.dictionary import KnownDictionary, best_cosines, known_dictionary

BEST_MMCS, BEST_SHARE, MEDIAN_MMCS, KEPT_MMCS = 0.95, 0.9, 0.92, 0.99
"""What the best of three seeds must reach, the median, and training that starts at the truth."""
PLAN = Plan(width=64, k=2, steps=1000, batch=1024, rate=1e-2)


class Recovery(NamedTuple):
    """How well learned directions match the true ones."""

    mmcs: float
    """Mean over the true directions of the largest cosine with a learned one (Sharkey et al. 2022)."""
    share: float
    """Share of the true directions with a learned one of cosine above 0.95."""


def recovery(learned: Floats, truth: Floats) -> Recovery:
    """Compare learned directions (F, D) with true ones (n, D)."""
    best = best_cosines(learned, truth).astype(np.float64)
    return Recovery(float(best.mean()), float((best > 0.95).mean()))


def draws(dictionary: KnownDictionary, size: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield batches of a known dictionary's sums without end."""
    rng = np.random.default_rng([seed, 1])
    while True:
        x = dictionary.sample(size, rng)[0]
        yield x, x


def found_again(seed: int, kind: Kind = "batchtopk") -> Recovery:
    """Train on the dictionary of a seed and say what was found; 2 to 3 seconds."""
    truth = known_dictionary(seed=seed)
    trained = fit(draws(truth, PLAN.batch, seed), replace(PLAN, kind=kind, seed=seed), tied=True)
    return recovery(trained.weights.w_dec, truth.directions)


def untrained(seed: int) -> Recovery:
    """Return what an autoencoder has before it is trained: the baseline that must fail."""
    truth = known_dictionary(seed=seed)
    x, y = next(draws(truth, PLAN.batch, seed))
    return recovery(Trainer(replace(PLAN, seed=seed), x, y, True).weights().w_dec, truth.directions)


def kept(seed: int, kind: Kind = "batchtopk", steps: int = 500) -> Recovery:
    """Start at the truth, train, and say what is left of it: a test of the loss, whatever the search is like."""
    truth = known_dictionary(seed=seed)
    n, d = truth.directions.shape
    zeros = np.zeros(n, np.float32)
    start = Weights(truth.directions.T.copy(), zeros, truth.directions, np.zeros(d, np.float32), zeros + 0.25)
    plan = replace(PLAN, kind=kind, width=n, k=n * truth.probability, steps=steps, rate=3e-3, seed=seed)
    return recovery(fit(draws(truth, plan.batch, seed), plan, tied=True, start=start).weights.w_dec, truth.directions)
