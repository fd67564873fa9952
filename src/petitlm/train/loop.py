"""The training loop: batches in, better weights out, a log of how it went."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from petitlm.errors import PetitError
from petitlm.model.decoder import Decoder
from petitlm.train.batches import Batch, Batches
from petitlm.train.optimisers import make_optimisers, schedule
from petitlm.train.recipe import TrainConfig

Event = dict[str, Any]
MAX_SKIPPED = 20  # steps in a row without a finite gradient: the run has diverged


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    reason: str
    """Why it ended: `done`, or `interrupted` by the caller."""
    steps: int
    tokens: int
    """Positions run, padding included."""
    epochs: float
    """Passes over the rows."""
    seconds: float
    loss: float
    """Mean training loss, nats per unit of weight, over the last logged steps."""
    skipped: int
    """Steps left out because their gradient was not finite."""


def train(
    decoder: Decoder,
    batches: Batches,
    config: TrainConfig,
    *,
    log: Callable[[Event], None],
    save: Callable[[Decoder], None],
    evaluate: Callable[[Decoder], Event] | None = None,
    stop: Callable[[], bool] = lambda: False,
    now: Callable[[], float] = time.monotonic,
) -> Summary:
    """Train `decoder` in place until the budget is used or `stop` says so, and save it.

    Same weights, rows, config and threads give the same bits if the budget is in steps and the precision is
    named; a budget in minutes and the precision `auto` follow the clock. `save` is called every
    `save_minutes` and at the end.

    Raises: PetitError if MAX_SKIPPED steps in a row have no finite gradient.
    """
    torch.set_num_threads(config.threads)
    dtype = product_type(config.precision)
    run = torch.compile(decoder, dynamic=True) if config.compile else decoder
    optimisers = make_optimisers(decoder, config, dtype)
    passes, per_step = batches.forever(), max(1, config.batch_tokens // config.micro_tokens)
    start = now()
    meter, reason = _Meter(start), "done"
    save_is_due, eval_is_due = _Timer(60 * config.save_minutes, now), _Timer(60 * config.eval_minutes, now)
    log({"event": "start", "rows_tokens": batches.n_tokens, **asdict(config), "precision": str(dtype)[6:]})
    while (progress := _progress(config, meter.steps, now() - start)) < 1:
        if stop():
            reason = "interrupted"
            break
        epochs, parts = zip(*islice(passes, per_step), strict=True)
        loss = accumulate(decoder, run, parts, dtype)
        norm = float(torch.nn.utils.clip_grad_norm_(decoder.parameters(), config.clip))
        if math.isfinite(norm):
            optimisers.step(schedule(progress, config.warmup, config.decay))
        else:
            optimisers.clear()
        meter.count(loss, norm, sum(batch.ids.size for batch in parts), epochs[-1])
        if meter.steps % config.log_steps == 0:
            log({"event": "step", **meter.line(now()), "progress": round(progress, 4)})
        if save_is_due():
            save(decoder)
            log({"event": "save", "step": meter.steps})
        if evaluate and eval_is_due():
            log({"event": "eval", "step": meter.steps, **evaluate(decoder)})
    save(decoder)
    summary = meter.summary(reason, now() - start, batches.n_tokens)
    log({"event": "end", **asdict(summary)})
    return summary


def product_type(precision: str) -> torch.dtype:
    """Return the type of a run's matrix products; `auto` times both on a product of a small model's size.

    Processors with bfloat16 instructions differ: some multiply twice to eight times faster in it, some at half
    the speed (docs/log.md), so that their list of features does not answer the question.
    """
    if precision != "auto":
        return getattr(torch, precision)
    x, w = torch.randn(2048, 256), torch.randn(256, 1024)

    def seconds(dtype: torch.dtype) -> float:
        a, b, times = x.to(dtype), w.to(dtype), []
        for _ in range(10):
            start = time.perf_counter()
            torch.mm(a, b)
            times.append(time.perf_counter() - start)
        return min(times)

    return min((torch.float32, torch.bfloat16), key=seconds)


def accumulate(decoder: Decoder, run: Callable[..., Tensor], batches: Sequence[Batch],
               dtype: torch.dtype = torch.float32) -> float:
    """Add up the gradients of one step's batches and return their loss.

    The loss is the weighted mean over all their predictions, so it does not matter how they are cut:
    each batch counts by its weight, not as one. `run` is the decoder itself, or a compiled form of it.
    """
    total = sum(float(batch.weights.sum()) for batch in batches)
    loss = 0.0
    for batch in batches:
        ids, wanted, targets, weights = map(torch.from_numpy, (batch.ids, batch.wanted, batch.targets, batch.weights))
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = run(decoder.rows(ids, wanted=wanted))  # M V
        part = (F.cross_entropy(logits.float(), targets, reduction="none") * weights).sum() / total
        part.backward()
        loss += part.item()
    return loss


def _progress(config: TrainConfig, steps: int, seconds: float) -> float:
    return steps / config.steps if config.steps else seconds / (60 * config.minutes)


class _Timer:
    """Says once every so many seconds that they have passed."""

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds, self._now, self._last = seconds, now, now()

    def __call__(self) -> bool:
        if self._now() - self._last < self._seconds:
            return False
        self._last = self._now()
        return True


class _Meter:
    """Counts what happened, in all and since the last line of the log."""

    def __init__(self, now: float) -> None:
        self.steps = self.tokens = self.epoch = self.skipped = self._skipped_in_row = 0
        self._since = (now, 0)
        self._losses: list[float] = []
        self._norm = self.loss = math.nan

    def count(self, loss: float, norm: float, tokens: int, epoch: int) -> None:
        """Count a step.

        Raises: PetitError if MAX_SKIPPED steps in a row had no finite gradient.
        """
        self.steps, self.tokens, self.epoch, self._norm = self.steps + 1, self.tokens + tokens, epoch, norm
        self._losses.append(loss)
        if math.isfinite(norm):
            self._skipped_in_row = 0
            return
        self.skipped += 1
        self._skipped_in_row += 1
        if self._skipped_in_row == MAX_SKIPPED:
            raise PetitError(f"{MAX_SKIPPED} steps in a row had no finite gradient, the last at step {self.steps}; "
                             "start again with lower rates")

    def line(self, now: float) -> Event:
        """Return the figures since the last line."""
        self.loss, self._losses = sum(self._losses) / len(self._losses), []
        then, tokens = self._since
        self._since = (now, self.tokens)
        return {"step": self.steps, "loss": round(self.loss, 4), "grad_norm": round(self._norm, 4),
                "tokens": self.tokens, "epoch": self.epoch, "skipped": self.skipped,
                "tokens_per_s": round((self.tokens - tokens) / max(now - then, 1e-9))}

    def summary(self, reason: str, seconds: float, n_tokens: int) -> Summary:
        """Return the figures of the whole run."""
        loss = sum(self._losses) / len(self._losses) if self._losses else self.loss
        return Summary(reason, self.steps, self.tokens, self.tokens / n_tokens, seconds, loss, self.skipped)
