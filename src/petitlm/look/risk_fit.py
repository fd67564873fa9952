"""Fitting a judge of a model's answers, on questions whose right answers are known, and measuring it on others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.kernels import Floats
from petitlm.errors import UsageError
from petitlm.look.judge import Judge, Risk, cross_fitted, evidence, fit_parts
from petitlm.look.linear import Doubles, Linear, fit_logistic
from petitlm.look.models import Text
from petitlm.look.results import about
from petitlm.look.risk import (
    WARN,
    Measured,
    Risks,
    answers_of,
    better_than_constant,
    judged_of,
    measure,
    signs_and_states,
)
from petitlm.look.signs import SIGNS, lens_blocks
from petitlm.look.steer import Answering

_FREE = 1e-3  # penalty on the two numbers of the last step: hardly any


@dataclass(frozen=True)
class Questions:
    """Prompts whose right answers are known."""

    name: str
    """What kind they are: a word for tables."""
    texts: Sequence[Text]
    expected: Sequence[str]
    groups: Sequence[Hashable]
    """Questions of one group are alike: none of it is both fitted on and measured."""

    def __post_init__(self) -> None:
        if not len(self.texts) == len(self.expected) == len(self.groups):
            raise UsageError(f"{len(self.texts)} questions ({self.name}) have {len(self.expected)} answers and "
                             f"{len(self.groups)} groups; give one of each")


def fit_judge(model: Answering, taught: Questions, new: Questions, *, max_tokens: int = 96, stop: Sequence[str] = (),
              seed: int = 0, warn: float = WARN) -> tuple[Judge, Risks]:
    """Fit a judge to a model's answers to questions of the kinds that it was taught and of new kinds; measure it.

    Probe and weights are fitted on the taught kinds alone; the last step, two numbers, on both, so that the risks hold
    for as many of each. Every answer is measured by what was fitted without its group, and AUROC before the last step.
    Raises: UsageError, also if fewer than 10 answers of either are wrong, or right.
    """
    both = (taught, new)
    done = [one for q in both for one in answers_of(model, q.texts, max_tokens, stop)]
    expected = [answer for q in both for answer in q.expected]
    groups, parts = [g for q in both for g in q.groups], [q.name for q in both for _ in q.texts]
    wrong = np.array([text.strip() != answer.strip() for (_, text), answer in zip(done, expected, strict=True)])
    _check_enough(wrong, parts)
    blocks = lens_blocks(model.config)
    probe_block = blocks[max(len(blocks) - 2, 0)]
    found, states = signs_and_states(model.runner, [one for one, _ in done], blocks, probe_block)
    probe, weigh, scores, odds = _odds(found, states, wrong, groups[: len(taught.texts)], seed)

    def calibrated(rows: NDArray[np.intp]) -> Linear:
        return fit_logistic(odds[rows], wrong[rows].astype(np.int64), 2, _FREE)

    p = _logistic(cross_fitted(calibrated, odds, groups, seed))
    risks = [Risk(float(a), float(b), dict(zip(SIGNS, map(float, row), strict=True)))
             for a, b, row in zip(p, _logistic(scores), found, strict=True)]
    judged = judged_of(model, done, risks, expected)
    measured = measure(judged, wrong, groups, parts, warn, seed, odds[:, 0])
    facts = {"model": model.name, "bits": model.bits, "seed": seed, "measured": [_brief(m) for m in measured]}
    judge = Judge(blocks, probe_block, probe, weigh, calibrated(np.arange(len(wrong))), model.runner.digest, facts)
    asked = about(model, "fit_judge", texts=[t for q in both for t in q.texts], expected=expected, groups=groups,
                  parts=parts, max_tokens=max_tokens, stop=stop, warn=warn, seed=seed)
    return judge, Risks(asked, judged, warn, dict(facts), measured, checks=(better_than_constant(measured[0]),))


def _odds(found: Doubles, states: Floats, wrong: NDArray[np.bool_], groups: Sequence[Hashable],
          seed: int) -> tuple[Linear, Linear, Doubles, Doubles]:
    """Fit on the first len(groups) answers; return probe, weights, and both's scores (N, 1) of all answers.

    Those of the answers that were fitted on come from fits without their group.
    """
    n = len(groups)
    probe, weigh, own = fit_parts(found[:n], states[:n], wrong[:n], groups, seed)
    scores = np.concatenate([own, probe.scores(states[n:])])
    seen, target = evidence(found, scores), wrong.astype(np.int64)
    own = cross_fitted(lambda rows: fit_logistic(seen[rows], target[rows], 2), seen[:n], groups, seed + 1)
    return probe, weigh, scores, np.concatenate([own, weigh.scores(seen[n:])])


def _check_enough(wrong: NDArray[np.bool_], parts: Sequence[str]) -> None:
    for part in dict.fromkeys(parts):
        mine = wrong[[p == part for p in parts]]
        if min(mine.sum(), (~mine).sum()) < 10:
            raise UsageError(f"{int(mine.sum())} of {len(mine)} answers ({part}) are wrong; a judge needs at least 10 "
                             "wrong and 10 right ones, so give more questions, or others")


def _brief(m: Measured) -> dict[str, Any]:
    return {name: getattr(m, name) for name in ("part", "n", "n_wrong", "auroc", "auroc_low", "auroc_high", "brier",
                                                "brier_constant", "calibration_error")}


def _logistic(z: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-z[:, 0]))
