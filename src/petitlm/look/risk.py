"""Risk: how likely an answer is wrong, said with the answer, and measured on answers that were verified."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import petitlm
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner
from petitlm.errors import NotFoundError, UsageError
from petitlm.look.calibration import Bin, auroc, bootstrap, brier, calibration_error, reliability
from petitlm.look.judge import FILE, Judge, Risk, load_judge, summary
from petitlm.look.linear import Doubles
from petitlm.look.models import Text, ids_of
from petitlm.look.results import Check, Result, Table, about
from petitlm.look.signs import SIGNS, Answered, signs, states_again
from petitlm.look.steer import Answering

WARN = 0.5
"""A risk from here on warns, unless another is asked for."""
_MISSED = 5  # wrong answers with the lowest risk that a table shows


@dataclass(frozen=True)
class Judged:
    """One answer and what is thought of it."""

    prompt: str
    answer: str
    risk: float
    probe: float
    signs: Mapping[str, float]
    right: bool | None = None
    """Whether it is what was expected, if anything was."""


@dataclass(frozen=True)
class Measured:
    """How good risks were, on answers that were verified."""

    part: str
    """Which answers; "all", or the name of a part."""
    n: int
    n_wrong: int
    auroc: float | None
    """How often a wrong answer has a higher risk than a right one."""
    auroc_low: float | None
    auroc_high: float | None
    """95 % interval; groups of like questions are drawn whole."""
    brier: float
    brier_constant: float
    """Of always saying the share that is wrong: a Brier score above it is worth nothing."""
    calibration_error: float
    caught: float | None
    """Share of the wrong answers that are warned of."""
    false_alarms: float | None
    """Share of the right answers that are warned of."""
    bins: tuple[Bin, ...]
    alone: Mapping[str, float | None]
    """AUROC of each sign by itself."""


@dataclass(frozen=True)
class Risks(Result):
    """Answers with the risk that each is wrong; measured, where the right ones were given."""

    answers: tuple[Judged, ...]
    warn: float
    judge: dict[str, Any]
    """How the judge was fitted and measured."""
    measured: tuple[Measured, ...] = ()

    def tables(self) -> list[Table]:
        if not self.measured:
            rows = [(a.answer.strip(), a.risk, "warn" if a.risk >= self.warn else "", a.probe, a.signs["entropy_max"],
                     a.signs["surprise_max"], a.signs["lens_late"]) for a in self.answers]
            return [Table("Risk that the answer is wrong",
                          ("answer", "risk", "", "probe", "entropy", "surprise", "late"), rows,
                          "probe: what the probe alone says; entropy and surprise: the largest of a token, nats; late: "
                          "share of the blocks after which the lens still changed")]
        rows = [(m.part, m.n, m.n_wrong, m.auroc, m.auroc_low, m.auroc_high, m.brier, m.brier_constant,
                 m.calibration_error, m.caught, m.false_alarms) for m in self.measured]
        tables = [Table("How good the risks are", (
            "answers", "n", "wrong", "AUROC", "low", "high", "Brier", "constant", "off by", "caught", "false alarms"),
            rows, f"caught and false alarms: shares of the wrong and of the right answers with a risk of {self.warn:g} "
            "or more")]
        last = self.measured[-1]
        tables.append(Table(f"Reliability: {last.part}", ("predicted", "wrong", "low", "high", "answers"),
                            [(b.predicted, b.observed, b.low, b.high, b.n) for b in last.bins]))
        tables.append(Table(f"Each sign alone: {last.part}", ("sign", "AUROC", "what it is"),
                            [(name, value, SIGNS.get(name, "probability that the probe says"))
                             for name, value in last.alone.items()]))
        missed = sorted((a for a in self.answers if a.right is False), key=lambda a: a.risk)[:_MISSED]
        if missed:
            tables.append(Table("Wrong answers with the lowest risk", ("prompt", "answer", "risk"),
                                [(_tail(a.prompt), a.answer.strip(), a.risk) for a in missed]))
        return tables

    def charts(self) -> list[str]:
        from petitlm.look.page import bars, lines

        if not self.measured:
            return [bars("Risk that the answer is wrong", [a.answer.strip()[:40] for a in self.answers],
                         [a.risk for a in self.answers])]
        drawn = []
        for m in self.measured:
            predicted = [b.predicted for b in m.bins]
            drawn.append(lines(f"Reliability: {m.part}", predicted, {
                "observed": [b.observed for b in m.bins], "low": [b.low for b in m.bins],
                "high": [b.high for b in m.bins], "as predicted": predicted}, x_label="predicted risk",
                y_label="share that was wrong"))
        last = self.measured[-1]
        return [*drawn, bars(f"Each sign alone, above chance: {last.part}", list(last.alone),
                             [0.0 if v is None else v - 0.5 for v in last.alone.values()], unit="AUROC − 0.5")]


def risk(model: Answering, texts: Sequence[Text], *, expected: Sequence[str] | None = None,
         groups: Sequence[Hashable] | None = None, parts: Sequence[str] | None = None, judge: str | Path | None = None,
         max_tokens: int = 96, stop: Sequence[str] = (), warn: float = WARN, seed: int = 0) -> Risks:
    """Answer texts and say for each answer how likely it is wrong.

    `expected` are the right answers: then the risks are measured, on all and by `parts`, with intervals over `groups`
    of like questions. `judge` is a file that `petit look risk --fit` wrote; None is the one that lies beside the model.
    Raises: UsageError; NotFoundError if there is no judge for this model.
    """
    if isinstance(texts, str) or not len(texts):
        raise UsageError("no texts are given; give a list of at least one prompt")
    named = {"expected": expected, "groups": groups, "parts": parts}
    for name, given in named.items():
        if given is not None and len(given) != len(texts):
            raise UsageError(f"{len(texts)} texts have {len(given)} {name}; give one for each")
    found = load_judge(judge) if judge is not None else judge_of(model)
    found.check(model.runner)
    done = answers_of(model, texts, max_tokens, stop)
    risks = [found.risk(*pair) for pair in _read(model.runner, found, [one for one, _ in done])]
    judged = judged_of(model, done, risks, expected)
    asked = about(model, "risk", texts=texts, **named, judge=None if judge is None else str(judge),
                  max_tokens=max_tokens, stop=stop, warn=warn, seed=seed)
    if expected is None:
        return Risks(asked, judged, warn, dict(found.facts))
    wrong = np.array([not one.right for one in judged])
    measured = measure(judged, wrong, groups, parts, warn, seed)
    return Risks(asked, judged, warn, dict(found.facts), measured, checks=(better_than_constant(measured[0]),))


def judge_of(model: Answering) -> Judge:
    """Return the judge that lies beside a model.

    Raises: NotFoundError if there is none.
    """
    own = Path(petitlm.__file__).parent / "models" / "default"
    folder = own if model.name == "petit default" else Path(model.name)
    path = (folder if folder.is_dir() else folder.parent) / FILE
    if not path.is_file():
        raise NotFoundError(f"no judge lies beside {model.name} ({path}); fit one with `petit look risk --fit FILE` on "
                            "questions whose answers are known, and name it")
    return load_judge(path)


def answers_of(model: Answering, texts: Sequence[Text], max_tokens: int, stop: Sequence[str]
               ) -> list[tuple[Answered, str]]:
    """Answer texts greedily; return each with its tokens and text."""
    done = []
    for text in texts:
        ids = ids_of(model, text)
        given = model.generate(ids, max_tokens=min(max_tokens, model.context - len(ids)), stop=tuple(stop))
        done.append((Answered(tuple(ids), given.ids), given.text))
    return done


def measure(judged: Sequence[Judged], wrong: NDArray[np.bool_], groups: Sequence[Hashable] | None,
            parts: Sequence[str] | None, warn: float, seed: int, order: Doubles | None = None) -> tuple[Measured, ...]:
    """Return how good the risks of verified answers are, on all, then part by part.

    `order` ranks the answers for AUROC where the risks (None) come from several fits, which are not quite in line.
    """
    order = np.array([one.risk for one in judged]) if order is None else order
    every = range(len(judged))
    chosen = {"all": list(every)}
    if parts is not None and len(set(parts)) > 1:
        chosen |= {name: [i for i in every if parts[i] == name] for name in dict.fromkeys(parts)}
    labels = list(every) if groups is None else list(groups)
    return tuple(_measured(name, [judged[i] for i in rows], wrong[rows], order[rows], [labels[i] for i in rows], warn,
                           seed) for name, rows in chosen.items())


def _measured(name: str, judged: Sequence[Judged], wrong: NDArray[np.bool_], order: Doubles,
              groups: Sequence[Hashable], warn: float, seed: int) -> Measured:
    p = np.array([one.risk for one in judged])
    low, high = bootstrap(lambda rows: auroc(order[rows], wrong[rows]), groups, seed)
    bins, warned, share = reliability(p, wrong), p >= warn, float(wrong.mean())
    alone = {"probe": auroc([one.probe for one in judged], wrong),
             **{sign: auroc([one.signs[sign] for one in judged], wrong) for sign in SIGNS}}
    return Measured(name, len(p), int(wrong.sum()), auroc(order, wrong), low, high, brier(p, wrong),
                    share * (1 - share), calibration_error(bins), float(warned[wrong].mean()) if wrong.any() else None,
                    float(warned[~wrong].mean()) if not wrong.all() else None, tuple(bins), alone)


def _read(runner: Runner, judge: Judge, answers: Sequence[Answered]) -> list[tuple[Doubles, Floats]]:
    found, states = signs_and_states(runner, answers, judge.blocks, judge.probe_block)
    return list(zip(found, states, strict=True))


def signs_and_states(runner: Runner, answers: Sequence[Answered], blocks: Sequence[int],
                     probe_block: int) -> tuple[Doubles, Floats]:
    """Return (N, S) signs and (N, 3 D) summaries of the states that the probe reads."""
    pairs = [(signs(runner, one.answer, {b: states[b] for b in blocks}), summary(states[probe_block]))
             for one, states in zip(answers, states_again(runner, answers, sorted({*blocks, probe_block})),
                                    strict=True)]
    return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])


def judged_of(model: Answering, done: Sequence[tuple[Answered, str]], risks: Sequence[Risk],
              expected: Sequence[str] | None) -> tuple[Judged, ...]:
    """Return answers with their risks, and whether they are what was expected."""
    rights = [None] * len(done) if expected is None else [
        text.strip() == wanted.strip() for (_, text), wanted in zip(done, expected, strict=True)]
    return tuple(Judged(model.tokenizer.decode(list(one.prompt)), text, r.risk, r.probe, r.signs, right)
                 for (one, text), r, right in zip(done, risks, rights, strict=True))


def better_than_constant(m: Measured) -> Check:
    """Return whether the risks are worth more than their mean."""
    return Check("Brier score over that of a constant", m.brier / m.brier_constant if m.brier_constant else 1.0, 1.0,
                 f"on {m.part}; above 1 the risks are worth nothing")


def _tail(prompt: str) -> str:
    """Return the end of a prompt, where its question is, in one line."""
    line = " ".join(prompt.split())
    return line if len(line) <= 36 else "…" + line[-35:]
