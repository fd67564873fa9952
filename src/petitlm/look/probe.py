"""Probes: what can be read off a value by a linear map, against shuffled labels, on groups that it was not fitted on.

A probe says what is there, not that the model uses it: confirm with `patch` or `steer`.
Sources: Alain and Bengio 2016 (linear probes); Hewitt and Liang 2019 (control labels).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import TRACE_LIMIT, run_texts
from petitlm.engine.trace import Keep
from petitlm.errors import DamagedError, DoesNotFitError, NotFoundError, UsageError
from petitlm.look.calibration import auroc, bootstrap
from petitlm.look.linear import Doubles, Linear, fit_logistic, fit_ridge, group_folds
from petitlm.look.models import Model, Text, ids_of
from petitlm.look.results import Check, Result, Table, about
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors
from petitlm.sizes import size_text
from petitlm.taps import TapName, by_head, full_names, short_name, tap_shape

Method = Literal["logistic", "ridge"]
Label = str | int | float | bool
PENALTY = 10.0
"""On squared weights of standardised values, of which there are often about as many as texts."""
_PARTS = ("mean", "scale", "weight", "bias")


@dataclass(frozen=True)
class Reading:
    """How well one tap can be read."""

    tap: str
    score: float
    """Accuracy, or R² for numbers, on groups that the probe was not fitted on."""
    low: float
    high: float
    """95 % interval over groups."""
    control: float | None
    """Mean score of probes fitted and tested on shuffled labels; None without them."""
    control_high: float | None
    """Largest of them."""
    p: float | None
    """Share of shuffles (this one counted in) that were read at least as well."""
    auroc: float | None
    """Of two classes."""


@dataclass(frozen=True)
class Probes(Result):
    """What was read at each tap."""

    method: str
    n: int
    n_groups: int
    classes: tuple[Label, ...]
    """Labels in order; empty for numbers."""
    baseline: float
    """Score of always saying the commonest label, or the mean."""
    readings: tuple[Reading, ...]

    def best(self) -> Reading:
        """Return the tap that is read best, the first of equals."""
        return max(self.readings, key=lambda r: r.score)

    def tables(self) -> list[Table]:
        rows = [(short_name(r.tap), r.score, r.low, r.high, r.control,
                 None if r.control is None else r.score - r.control, r.p, r.auroc) for r in self.readings]
        score = "R²" if self.method == "ridge" else "accuracy"
        note = (f"{self.n} texts in {self.n_groups} groups, none both fitted on and tested; always saying the "
                f"{'mean' if self.method == 'ridge' else 'commonest label'} scores {self.baseline:.3f}")
        return [Table("What a linear map reads off each value",
                      ("tap", score, "low", "high", "shuffled", "difference", "p", "AUROC"), rows, note)]

    def charts(self) -> list[str]:
        from petitlm.look.page import lines

        x = list(range(len(self.readings)))
        series = {"probe": [r.score for r in self.readings], "low": [r.low for r in self.readings],
                  "high": [r.high for r in self.readings], "baseline": [self.baseline] * len(x)}
        controls = [r.control for r in self.readings if r.control is not None]
        series |= {"shuffled labels": controls} if controls else {}
        return [lines("Read at each tap", x, series, x_label="tap, in the order of the table",
                      y_label="R²" if self.method == "ridge" else "accuracy")]


@dataclass(frozen=True)
class Probe:
    """A fitted probe: reads a label off a value."""

    tap: str
    at: int
    linear: Linear
    classes: tuple[Label, ...] = ()

    def read(self, values: Floats) -> list[Label]:
        """Return the label of each value (N, ...): the likeliest class, or a number."""
        x = values.reshape(len(values), -1)
        if not self.classes:
            return [float(z) for z in self.linear.scores(x)[:, 0]]
        return [self.classes[i] for i in self.linear.probabilities(x).argmax(1)]

    def save(self, path: Path | str) -> None:
        """Write it as safetensors; the file appears whole or not at all."""
        parts = {name: getattr(self.linear, name) for name in _PARTS}
        write_safetensors(path, [TensorSpec(name, "F64", part.shape) for name, part in parts.items()],
                          lambda name: parts[name].astype("<f8"),
                          {"petit_probe": "1", "tap": self.tap, "at": str(self.at),
                           "classes": json.dumps(self.classes)})

    @classmethod
    def load(cls, path: Path | str) -> Probe:
        """Read a probe.

        Raises: NotFoundError; DamagedError for a file that is no probe.
        """
        file = SafetensorsFile(path)
        try:
            parts = [np.array(file.view(name), np.float64) for name in _PARTS]
            classes = tuple(json.loads(file.metadata["classes"]))
            probe = cls(file.metadata["tap"], int(file.metadata["at"]), Linear(*parts), classes)
            probe.linear.scores(np.zeros((1, len(parts[0]))))
        except (KeyError, TypeError, ValueError, NotFoundError) as error:
            raise DamagedError(f"{path} is no probe that petit wrote ({error}); fit it again") from None
        return probe


def probe(model: Model, texts: Sequence[Text], labels: Sequence[Label], *, taps: Sequence[TapName] = ("resid_post",),
          at: int = -1, groups: Sequence[Hashable] | None = None, method: Method = "logistic", penalty: float = PENALTY,
          folds: int = 5, shuffles: int = 20, seed: int = 0, limit: int | None = TRACE_LIMIT) -> Probes:
    """Read `labels` off the values that `texts` have at `taps`, at the token `at`, by a linear map.

    Every text is tested by a probe that was not fitted on any text of its group (None: each is its own group).
    `logistic` tells classes apart, `ridge` reads numbers; `penalty` is on the squared weights of standardised values.
    `shuffles` more probes are fitted to the labels in another order: what they reach is what the probe's freedom gives.
    Raises: UsageError; DoesNotFitError over `limit` bytes of values.
    """
    groups = list(range(len(texts))) if groups is None else list(groups)
    target, classes = _targets(texts, labels, groups, method)
    values = _values(model, texts, taps, at, limit)
    parts = group_folds(groups, folds, seed)
    fit, score = _method(method, len(classes), penalty)
    rng = np.random.default_rng(seed)
    shuffled = [target[_shuffle(groups, target, rng)] for _ in range(shuffles)]
    readings = []
    for name, x in values.items():
        z = _cross_fitted(fit, x, target, parts)
        found = score(z, target, slice(None))
        low, high = bootstrap(lambda rows, z=z: score(z, target, rows), groups, seed)
        controls = [score(_cross_fitted(fit, x, other, parts), other, slice(None)) for other in shuffled]
        control = (float(np.mean(controls)), max(controls), (1 + sum(c >= found for c in controls)) / (1 + shuffles)
                   ) if controls else (None, None, None)
        readings.append(Reading(name, found, low, high, *control,
                                auroc(z[:, 1] - z[:, 0], target) if len(classes) == 2 else None))
    baseline = float(np.bincount(target.astype(np.int64)).max() / len(target)) if classes else 0.0
    asked = about(model, "probe", texts=texts, labels=labels, taps=taps, at=at, groups=groups, method=method,
                  penalty=penalty, folds=folds, shuffles=shuffles, seed=seed)
    return Probes(asked, method, len(texts), len(set(groups)), classes, baseline, tuple(readings),
                  checks=_checks(readings, baseline, len(set(groups))))


def _checks(readings: Sequence[Reading], baseline: float, n_groups: int) -> tuple[Check, ...]:
    """Return by how much shuffled labels were read better than by chance; two standard errors and more are too much."""
    controls = [r.control for r in readings if r.control is not None]
    if not controls:
        return ()
    return (Check("shuffled labels above the baseline", max(0.0, max(controls) - baseline), 2 / n_groups**0.5,
                  "a probe must not read what is not there"),)


def fit_probe(model: Model, texts: Sequence[Text], labels: Sequence[Label], tap: TapName, *, at: int = -1,
              method: Method = "logistic", penalty: float = PENALTY, limit: int | None = TRACE_LIMIT) -> Probe:
    """Return a probe fitted on all of the texts at one tap, to be used; `probe` says how good it is.

    Raises: UsageError; DoesNotFitError.
    """
    target, classes = _targets(texts, labels, list(range(len(texts))), method)
    values = _values(model, texts, [tap], at, limit)
    if len(values) != 1:
        raise UsageError(f"{tap!r} means {len(values)} taps; name one, such as {tap}:0")
    (name, x), = values.items()
    linear = fit_ridge(x, target, penalty) if not classes else fit_logistic(x, target, len(classes), penalty)
    return Probe(name, at, linear, classes)


def _targets(texts: Sequence[Text], labels: Sequence[Label], groups: Sequence[Hashable],
             method: Method) -> tuple[NDArray[Any], tuple[Label, ...]]:
    """Return what is to be read as numbers, (N,), and the classes that they count."""
    if method not in get_args(Method):
        raise UsageError(f"method={method!r} is not known; choose {' or '.join(get_args(Method))}")
    if not len(texts) == len(labels) == len(groups):
        raise UsageError(f"{len(texts)} texts have {len(labels)} labels and {len(groups)} groups; give one of each for "
                         "every text")
    if method == "ridge":
        wrong = next((y for y in labels if isinstance(y, str) or not np.isfinite(y)), None)
        if wrong is not None:
            raise UsageError(f"label {wrong!r:.40} is no number, and method='ridge' reads numbers; choose "
                             "method='logistic'")
        return np.asarray(labels, np.float64), ()
    classes = tuple(sorted(set(labels), key=lambda y: (str(type(y)), y)))
    if len(classes) < 2:
        raise UsageError(f"all {len(labels)} labels are {labels[0]!r:.40}; give at least two kinds"
                         if len(labels) else "no texts are given; give some dozens, each with its label")
    if len(classes) > 100:
        raise UsageError(f"there are {len(classes)} different labels; for numbers choose method='ridge', else give at "
                         "most 100")
    return np.array([classes.index(y) for y in labels]), classes


def _values(model: Model, texts: Sequence[Text], taps: Sequence[TapName], at: int,
            limit: int | None) -> dict[str, Doubles]:
    """Return what all texts have at each tap, (N, D), in float64."""
    names = list(dict.fromkeys(name for tap in taps for name in full_names(model.config, tap)))
    _check_size(model.config, names, len(texts), limit)
    rows: dict[str, list[Floats]] = {name: [] for name in names}
    ids = [ids_of(model, text) for text in texts]
    wanted = "last" if {"logits", "ln_final.hook_normalized"} & set(names) else "none"
    for trace in run_texts(model.runner, ids, [Keep(name, at=at) for name in names], wanted=wanted):
        for name in names:
            rows[name].append(trace[name][0].ravel())
    return {name: np.stack(each).astype(np.float64) for name, each in rows.items()}


def _check_size(config: ModelConfig, names: Sequence[str], n: int, limit: int | None) -> None:
    for name in names:
        if by_head(name):
            raise UsageError(f"{short_name(name)} is as wide as its text is long, so texts cannot be compared there; "
                             "choose a tap of fixed width, such as resid_post or z")
    n_bytes = 8 * n * sum(prod(tap_shape(config, name, 1)) for name in names)
    if limit is not None and n_bytes > limit:
        raise DoesNotFitError(f"the values of {n} texts at {len(names)} taps would take {size_text(n_bytes)}, and the "
                              f"limit is {size_text(limit)}; give fewer texts or taps, or raise the limit")


_Fit = Callable[[Doubles, NDArray[Any]], Callable[[Doubles], Doubles]]


def _method(method: Method, n_classes: int, penalty: float) -> tuple[_Fit, Callable[..., float]]:
    """Return what fits (and gives a function of values), and what scores."""
    if method == "ridge":
        def r_squared(z: Doubles, y: NDArray[Any], rows: Any) -> float:
            spread = float(((y[rows] - y[rows].mean()) ** 2).sum())
            return 1 - float(((z[rows, 0] - y[rows]) ** 2).sum()) / spread if spread else 0.0

        return lambda x, y: fit_ridge(x, y, penalty).scores, r_squared

    def accuracy(z: Doubles, y: NDArray[Any], rows: Any) -> float:
        return float(np.mean(z[rows].argmax(1) == y[rows]))

    return lambda x, y: fit_logistic(x, y, n_classes, penalty).probabilities, accuracy


def _cross_fitted(fit: _Fit, x: Doubles, y: NDArray[Any], parts: Sequence[NDArray[np.intp]]) -> Doubles:
    """Return what is read off each value by the probe that was fitted without its fold."""
    out: Doubles | None = None
    for part in parts:
        rest = np.setdiff1d(np.arange(len(x)), part)
        z = fit(x[rest], y[rest])(x[part])
        out = np.empty((len(x), z.shape[1])) if out is None else out
        out[part] = z
    assert out is not None
    return out


def _shuffle(groups: Sequence[Hashable], target: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return an order of the labels: group by group where a group has one label, which the shuffled ones keep so."""
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    lists = list(members.values())
    if any(len(set(target[one].tolist())) > 1 for one in lists):
        return rng.permutation(len(target))
    order, source = rng.permutation(len(lists)), np.empty(len(target), np.intp)
    for own, other in zip(lists, order, strict=True):
        source[own] = lists[other][0]
    return source
