"""A judge of answers: the probability that one is wrong, from its signs and from a probe of the residual stream.

The probe and the weights of the signs are fitted on answers that were verified, right or wrong. Signs are surer among
questions of the kinds that a model was taught than among others, so a last step of two numbers is fitted on both.
Sources: Kadavath et al. 2022 (models know what they know); Burns et al. 2022 and Orgad et al. 2024 (probes of truth).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.generation import Generation
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner
from petitlm.engine.trace import Keep
from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.look.linear import Doubles, Linear, fit_logistic, group_folds
from petitlm.look.signs import SIGNS, keeps_for, signs, states_of
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors

FILE = "risk.safetensors"
"""Name of the judge's file beside a model."""
_PARTS = ("mean", "scale", "weight", "bias")
_FOLDS = 5
_PENALTY = 300.0  # on the probe's weights: it has three times as many as the residual stream is wide


@dataclass(frozen=True)
class Risk:
    """What a judge says of one answer."""

    risk: float
    """Probability that the answer is wrong."""
    probe: float
    """What the probe alone says, a probability."""
    signs: Mapping[str, float]
    """As `petitlm.look.signs.SIGNS` explains them."""


@dataclass(frozen=True)
class Judge:
    """What turns the signs and states of an answer into a risk, for one model in one format."""

    blocks: tuple[int, ...]
    """Blocks whose streams are read; the last is the model's last."""
    probe_block: int
    probe: Linear
    weigh: Linear
    """Of the signs and the probe's score: log-odds as they are among questions like those that it was fitted on."""
    calibrate: Linear
    """Of those log-odds: what came true of them among all questions, of kinds that had no part in the fit, too."""
    digest: str
    """Of the weights that it was fitted for."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """How it was fitted and measured, in JSON's own types."""

    def taps(self) -> list[Keep]:
        """Return what `Model.generate(taps=...)` has to keep for `of`."""
        return keeps_for(sorted({*self.blocks, self.probe_block}))

    def of(self, runner: Runner, generation: Generation) -> Risk:
        """Return the risk of an answer that was generated with `taps=judge.taps()`: while serving, too.

        Raises: UsageError for an answer without them, or a model with other weights.
        """
        self.check(runner)
        done, states = states_of(generation, sorted({*self.blocks, self.probe_block}))
        return self.risk(signs(runner, done.answer, {b: states[b] for b in self.blocks}),
                         summary(states[self.probe_block]))

    def risk(self, found: Doubles, state: Floats) -> Risk:
        """Return the risk of an answer with these signs, and this summary of its states."""
        odds = self.weigh.scores(evidence(found[None], self.probe.scores(state[None])))
        return Risk(float(self.calibrate.probabilities(odds)[0, 1]),
                    float(self.probe.probabilities(state[None])[0, 1]),
                    dict(zip(SIGNS, map(float, found), strict=True)))

    def check(self, runner: Runner) -> None:
        """Refuse a model that this judge does not know.

        Raises: UsageError.
        """
        if runner.digest != self.digest:
            raise UsageError(f"this judge was fitted for other weights ({self.digest[:12]}) than the model's "
                             f"({runner.digest[:12]}), another format counting as another model; fit one for these "
                             "with `petit look risk --fit FILE`")

    def save(self, path: Path | str) -> None:
        """Write it as safetensors; the file appears whole or not at all."""
        linears = {"probe": self.probe, "weigh": self.weigh, "calibrate": self.calibrate}
        parts = {f"{which}.{name}": getattr(linear, name) for which, linear in linears.items() for name in _PARTS}
        said = {"blocks": self.blocks, "probe_block": self.probe_block, "signs": list(SIGNS), "digest": self.digest,
                "facts": self.facts}
        write_safetensors(path, [TensorSpec(name, "F64", part.shape) for name, part in parts.items()],
                          lambda name: parts[name].astype("<f8"), {"petit_risk": json.dumps(said)})


def load_judge(path: Path | str) -> Judge:
    """Read a judge.

    Raises: NotFoundError; DamagedError for a file that is none, or one with other signs.
    """
    file = SafetensorsFile(path)
    try:
        said = json.loads(file.metadata["petit_risk"])
        if said["signs"] != list(SIGNS):
            raise ValueError("it weighs other signs than this version of petit reads")
        probe, weigh, calibrate = (Linear(*(np.array(file.view(f"{which}.{name}"), np.float64) for name in _PARTS))
                                   for which in ("probe", "weigh", "calibrate"))
        calibrate.scores(weigh.scores(evidence(np.ones((1, len(SIGNS))), probe.scores(np.ones((1, len(probe.mean)))))))
        return Judge(tuple(map(int, said["blocks"])), int(said["probe_block"]), probe, weigh, calibrate,
                     str(said["digest"]), said["facts"])
    except (KeyError, TypeError, ValueError, NotFoundError) as error:
        raise DamagedError(f"{path} is no judge that this petit can use ({error}); fit one with "
                           "`petit look risk --fit FILE`") from None


def summary(states: Floats) -> Floats:
    """Return what the probe reads of an answer's states (M, D): the first, the mean and the last, (3 D,)."""
    return np.concatenate([states[0], states.mean(0), states[-1]])


def fit_parts(found: Doubles, states: Floats, wrong: NDArray[np.bool_], groups: Sequence[Hashable], seed: int
              ) -> tuple[Linear, Linear, Doubles]:
    """Fit the probe on states (N, 3 D) and the weights of signs (N, S) and the probe's scores; return these, too.

    The scores that the weights are fitted on come from probes that had not seen their group: a probe knows the
    answers that it was fitted on too well.
    """
    target = wrong.astype(np.int64)
    scores = cross_fitted(lambda rows: fit_logistic(states[rows], target[rows], 2, _PENALTY), states, groups, seed)
    return fit_logistic(states, target, 2, _PENALTY), fit_logistic(evidence(found, scores), target, 2), scores


def cross_fitted(fit: Callable[[NDArray[np.intp]], Linear], x: NDArray[Any], groups: Sequence[Hashable],
                 seed: int) -> Doubles:
    """Return the scores (N, 1) that each row has from what was fitted without its group; `fit` is given rows."""
    scores, every = np.empty((len(x), 1)), np.arange(len(x))
    for part in group_folds(groups, min(_FOLDS, len(set(groups))), seed):
        scores[part] = fit(np.setdiff1d(every, part)).scores(x[part])
    return scores


def evidence(found: Doubles, scores: Doubles) -> Doubles:
    """Return what is weighed: signs (N, S) with their long tails drawn in, and the probe's scores (N, 1)."""
    return np.concatenate([np.log(1e-4 + found), scores], 1)
