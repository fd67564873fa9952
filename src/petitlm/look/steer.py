"""Steering: a direction from contrasting texts, how far it moves answers, and what it costs on other text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from petitlm.engine.generation import Generation
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_variants
from petitlm.engine.sampling import log_softmax
from petitlm.errors import UsageError
from petitlm.look.directions import (
    Direction,
    Method,
    Pair,
    agreement,
    check_blocks,
    contrast,
    direction_of,
    load_direction,
)
from petitlm.look.linear import Doubles
from petitlm.look.models import Metric, Model, Text, ids_of, make_metric
from petitlm.look.results import Check, Evidence, Result, Table, about

STRENGTHS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0)
_ROUNDING = 1e-3  # logits of torch layers, where texts that run together differ in the last bits
_ROWS = 64  # predictions compared together: 64 rows of 51,200 float64 are 26 MB


class Answering(Model, Protocol):
    """A model that answers, too."""

    def generate(self, prompt: Text, **options: Any) -> Generation: ...


@dataclass(frozen=True)
class Strength:
    """What one strength did."""

    strength: float
    metric: float
    """Mean over the prompts, in logits or nats."""
    share: float
    """Share of the prompts after which `answer` is the likeliest token."""
    loss: float
    """Of the neutral texts, nats a token."""
    kl: float
    """How far the neutral texts' predictions moved, KL(before || after), nats a token."""


@dataclass(frozen=True)
class BlockSeen:
    """A direction as one block has it."""

    block: int
    norm: float
    """Euclidean length of what strength 1 adds."""
    relative: float | None
    """The same as a share of the residual stream's mean length there."""
    agreement: float | None
    """Share of the pairs that point the way that all others do on average."""
    metric: float | None
    """What strength 1 gives on the pairs' second texts, if the block was to be chosen."""


@dataclass(frozen=True)
class Said:
    """An answer under some strength."""

    strength: float
    prompt: str
    text: str


@dataclass(frozen=True)
class Steering(Result):
    """A direction, its effect on prompts and its cost on neutral text, strength by strength."""

    evidence: ClassVar[Evidence] = "intervention"
    method: str
    metric: dict[str, Any]
    n_prompts: int
    n_neutral: int
    """Predictions in the neutral texts."""
    chosen: tuple[int, ...]
    """Blocks after which the direction is added."""
    blocks: tuple[BlockSeen, ...]
    sweep: tuple[Strength, ...]
    said: tuple[Said, ...] = ()
    directions: Mapping[str, Any] | None = None
    """The vectors themselves, (D,), by block."""

    def direction(self) -> Direction:
        """Return the direction, to make edits of or to save."""
        values = {int(block): np.asarray(v, np.float32) for block, v in (self.directions or {}).items()}
        return Direction(values, self.method, str(self.about.model["digest"]))

    def tables(self) -> list[Table]:
        before = next(s for s in self.sweep if s.strength == 0)
        name = " − ".join([self.metric["answer"], *([self.metric["versus"]] if "versus" in self.metric else [])])
        rows = [(s.strength, s.metric, s.share, s.loss, s.loss - before.loss, s.kl) for s in self.sweep]
        blocks = [(b.block, b.norm, b.relative, b.agreement, b.metric, b.block in self.chosen) for b in self.blocks]
        tables = [Table(f"Effect after {self.n_prompts} prompt(s), cost on {self.n_neutral:,} tokens of neutral text",
                        ("strength", name, "likeliest", "loss", "added loss", "KL"), rows,
                        f"added after block {', '.join(map(str, self.chosen))}; loss and KL in nats a token"),
                  Table("The direction, block by block",
                        ("block", "length", "of the stream's", "pairs agree", "metric at 1", "used"), blocks)]
        if self.said:
            tables.append(Table("What it answers", ("strength", "prompt", "answer"),
                                [(s.strength, s.prompt, s.text) for s in self.said]))
        return tables

    def charts(self) -> list[str]:
        from petitlm.look.page import lines

        x, before = [s.strength for s in self.sweep], next(s for s in self.sweep if s.strength == 0)
        return [lines("Effect", x, {"metric": [s.metric for s in self.sweep]}, x_label="strength",
                      y_label="logits" if "versus" in self.metric else "nats"),
                lines("Cost on neutral text", x,
                      {"added loss": [s.loss - before.loss for s in self.sweep], "KL": [s.kl for s in self.sweep]},
                      x_label="strength", y_label="nats a token")]


def steer(model: Answering, pairs: Sequence[Pair] = (), prompts: Sequence[Text] = (), neutral: Sequence[Text] = (), *,
          answer: str | int, versus: str | int | None = None, blocks: Sequence[int] | int | None = None,
          method: Method = "mean", at: int = -1, strengths: Sequence[float] = STRENGTHS,
          vector: str | Path | None = None, max_tokens: int = 0) -> Steering:
    """Find a direction in `pairs` of texts, add it in all strengths, and say what that does to `prompts` and `neutral`.

    Each pair is a text with and a text without what is to be steered; they are compared at the token `at`. Effect: the
    logit of `answer` minus that of `versus` after each prompt (its log-probability without `versus`). Cost: loss and KL
    on the neutral texts. `blocks` None takes the block where strength 1 does most to the pairs' second texts, so that
    the prompts have no part in the choice; never the last block, after which a vector only moves the logits. `vector`
    reads a control vector instead of `pairs`. `max_tokens` above 0 answers the first prompts in every strength, too.
    Raises: UsageError.
    """
    for what, texts in (("prompts", prompts), ("neutral texts", neutral)):
        if isinstance(texts, str) or not len(texts):
            raise UsageError(f"no {what} are given; steering is measured by its effect on prompts and its cost on "
                             "neutral text, so give a list of at least one of each")
    strengths = sorted({0.0, *map(float, strengths)})
    metric = make_metric(model, answer, versus)
    wanted = [blocks] if isinstance(blocks, int) else blocks
    direction, seen = (_loaded(model, vector, wanted) if vector is not None
                       else _found(model, pairs, wanted, method, at, metric))
    variants = [[], *(direction.edits(s) for s in strengths)]
    effects = np.array([_effect(model, text, variants, metric) for text in prompts])  # (N, 1 + S, 2)
    costs, n_neutral = _cost(model, neutral, variants)
    sweep = tuple(Strength(s, float(effects[:, i, 0].mean()), float(effects[:, i, 1].mean()), *map(float, costs[i]))
                  for i, s in enumerate(strengths, 1))
    zero = 1 + strengths.index(0.0)
    moved = float(np.abs(effects[:, zero] - effects[:, 0]).max()) + float(np.abs(costs[zero] - costs[0]).max())
    asked = about(model, "steer", pairs=pairs, prompts=prompts, neutral=neutral, answer=answer, versus=versus,
                  blocks=blocks, method=method, at=at, strengths=strengths,
                  vector=None if vector is None else str(vector), max_tokens=max_tokens)
    said = tuple(_said(model, prompts, direction, strengths, max_tokens)) if max_tokens else ()
    return Steering(asked, direction.method or "loaded", metric.to_dict(model), len(prompts), n_neutral,
                    tuple(direction.values), seen, sweep, said, {str(b): v for b, v in direction.values.items()},
                    checks=(Check("strength 0 changes nothing", moved, 0.0 if model.runner.exact else _ROUNDING),))


def _found(model: Model, pairs: Sequence[Pair], blocks: Sequence[int] | None, method: Method, at: int,
           metric: Metric) -> tuple[Direction, tuple[BlockSeen, ...]]:
    """Return the direction in the pairs at the wanted blocks, or at the one where it does most."""
    found = contrast(model, pairs, blocks, at)
    direction = direction_of(found, method, model.runner.digest)
    tried: dict[int, float] = {}
    if blocks is None:
        variants = [direction.at([block]).edits() for block in direction.values]
        effects = np.array([_effect(model, without, variants, metric)[:, 0] for _, without in pairs]).mean(0)
        tried = dict(zip(direction.values, map(float, effects), strict=True))
    seen = tuple(BlockSeen(block, float(np.linalg.norm(value)), float(np.linalg.norm(value)) / found.sizes[block],
                           agreement(found.differences[block]), tried.get(block))
                 for block, value in direction.values.items())
    last = model.config.n_layers - 1
    return direction.at([max(tried, key=lambda b: (b != last, tried[b]))]) if tried else direction, seen


def _loaded(model: Model, path: str | Path, blocks: Sequence[int] | None) -> tuple[Direction, tuple[BlockSeen, ...]]:
    direction = load_direction(path, model.config)
    if blocks is not None:
        direction = direction.at(check_blocks(model.config, blocks))
    return direction, tuple(BlockSeen(block, float(np.linalg.norm(value)), None, None, None)
                            for block, value in direction.values.items())


def _effect(model: Model, text: Text, variants: Sequence[Any], metric: Metric) -> Doubles:
    """Return (metric, whether the answer is the likeliest) of each variant, (n, 2)."""
    rows = [trace.logits[-1] for trace in run_variants(model.runner, ids_of(model, text), variants)]
    return np.array([(metric(row), float(row.argmax() == metric.answer)) for row in rows])


def _cost(model: Model, texts: Sequence[Text], variants: Sequence[Any]) -> tuple[Doubles, int]:
    """Return (loss, KL from the first variant) of each variant, (n, 2), nats a token, and how many predictions."""
    sums, n = np.zeros((len(variants), 2)), 0
    for text in texts:
        ids = ids_of(model, text)
        if len(ids) < 2:
            raise UsageError(f"the neutral text {str(text)!r:.40} has one token, and predicting takes two; give longer "
                             "ones")
        before: Floats | None = None
        for i, trace in enumerate(run_variants(model.runner, ids, variants, wanted="all")):
            after = trace.logits[-len(ids) : -1]
            before = after if before is None else before
            sums[i] += _loss_and_kl(before, after, ids[1:])
        n += len(ids) - 1
    return sums / n, n


def _loss_and_kl(before: Floats, after: Floats, nexts: Sequence[int]) -> Doubles:
    """Return (sum of -log p of the next tokens, sum of KL(before || after)) of logits (T, V)."""
    sums = np.zeros(2)
    for start in range(0, len(nexts), _ROWS):
        rows = slice(start, start + _ROWS)
        p, q = log_softmax(before[rows]), log_softmax(after[rows])
        sums += -q[np.arange(len(q)), nexts[rows]].sum(), (np.exp(p) * (p - q)).sum()
    return sums


def _said(model: Answering, prompts: Sequence[Text], direction: Direction, strengths: Sequence[float],
          max_tokens: int) -> Iterator[Said]:
    for prompt in prompts[:3]:
        shown = prompt if isinstance(prompt, str) else model.tokenizer.decode(list(prompt))
        for strength in strengths:
            edits = direction.edits(strength) if strength else []
            given = model.generate(prompt, max_tokens=max_tokens, edits=edits, speculate=None)
            yield Said(strength, shown, given.text)
