"""One forward and backward pass of torch layers with values watched, put in, or cut off from the gradient.

Rows of a batch (B, T, ...) are the same text under different changes: steps of a path, taps put in one at a time,
components dropped one at a time. Gradients are of one number a row, the metric after the last token.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from petitlm.look.models import Metric
from petitlm.model import Decoder

Change = Callable[[Tensor], Tensor]


@dataclass
class Watch:
    """A tap of the torch layers that keeps the values it is asked for, with their gradients to come."""

    names: Collection[str]
    """Taps whose values are kept in `seen`, as the pass goes on with them."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """What is done to a value before it is kept."""
    after: Mapping[str, Change] = field(default_factory=dict)
    """What is done to a value after it was kept: cutting it off from the gradient."""
    softmax: Callable[[str, Tensor], Tensor] | None = None
    """Given a pattern's name and its scores, another softmax; None leaves the pattern as it is."""
    seen: dict[str, Tensor] = field(default_factory=dict)
    _scores: Tensor | None = None

    def wants(self, name: str, /) -> bool:
        asked = name in self.names or name in self.changes or name in self.after
        return asked or (self.softmax is not None and name.endswith(("attn_scores", "pattern")))

    def __call__(self, name: str, value: Tensor, /) -> Tensor:
        if name == "hook_embed":  # weights need no gradient: what is watched hangs on the embedding
            value = value.detach().requires_grad_(torch.is_grad_enabled())
        if self.softmax is not None and name.endswith("attn_scores"):
            self._scores = value
        if self.softmax is not None and name.endswith("pattern") and self._scores is not None:
            value = self.softmax(name, self._scores)
        if name in self.changes:
            value = self.changes[name](value)
        if name in self.names:
            self.seen[name] = value
        return self.after[name](value) if name in self.after else value


def metric_of(metric: Metric, logits: Tensor) -> Tensor:
    """Return the metric (B,) of logits (B, V)."""
    if metric.versus is not None:
        return logits[:, metric.answer] - logits[:, metric.versus]
    return logits.log_softmax(-1)[:, metric.answer]


def run_rows(decoder: Decoder, ids: list[int], rows: int, metric: Metric, watch: Watch) -> Tensor:
    """Run `rows` copies of a text and return the metric of each, (rows,)."""
    n = len(ids)
    batch = decoder.rows(torch.tensor([ids] * rows), None, torch.arange(rows) * n + n - 1)
    return metric_of(metric, decoder(batch, watch))


def values(decoder: Decoder, ids: list[int], metric: Metric, names: Collection[str]) -> tuple[dict[str, Tensor], float]:
    """Return what one text has at some taps, (T, ...) or (H, T, S), and the metric."""
    watch = Watch(names)
    with torch.no_grad():
        result = run_rows(decoder, ids, 1, metric, watch)
    return {name: value[0] for name, value in watch.seen.items()}, float(result[0])


def gradients(decoder: Decoder, ids: list[int], rows: int, metric: Metric, watch: Watch) -> dict[str, Tensor]:
    """Return the gradient of each row's metric at the watched taps, (rows, T, ...); zeros where nothing depends."""
    result = run_rows(decoder, ids, rows, metric, watch)
    seen = list(watch.seen.values())
    found = torch.autograd.grad(result.sum(), seen, allow_unused=True)
    return {name: torch.zeros_like(value) if g is None else g
            for name, value, g in zip(watch.seen, seen, found, strict=True)}


def put(rows: Mapping[int, Tensor]) -> Change:
    """Return a change that gives some rows other values, and lets the gradient pass at the rest."""
    def change(x: Tensor) -> Tensor:
        new = x.clone()
        for row, value in rows.items():
            new[row] = value
        return new

    return change


def cut(rows: Collection[int]) -> Change:
    """Return a change that cuts some rows off from the gradient; no value changes."""
    def change(x: Tensor) -> Tensor:
        dropped = torch.zeros(len(x), dtype=torch.bool)
        dropped[list(rows)] = True
        return torch.where(dropped.view(-1, *[1] * (x.ndim - 1)), x.detach(), x)

    return change


def all_rows(value: Tensor) -> Change:
    """Return a change that puts a value (rows, T, ...) in and takes the gradient there."""
    return lambda x: value.to(x.dtype).requires_grad_(torch.is_grad_enabled())
