"""Estimates of what patching each part would change, from gradients: many parts for a few passes.

`atp` takes the gradient in the base run: (source - base) . gradient. `atp*` does so with the softmax recomputed (see
`softmax`), and for queries and keys from their own patterns. `ig` averages the gradient along the straight line from
the base's value to the source's, tap by tap, in as many steps as its completeness asks for.

Sources: Nanda 2023, Attribution Patching; Kramár et al. 2024, AtP* (arXiv 2403.00745); Sundararajan et al. 2017,
Axiomatic Attribution for Deep Networks, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petitlm.config import ModelConfig
from petitlm.decoder import tap_names
from petitlm.engine.runs import Runner
from petitlm.look.gradients.decoders import decoder_of
from petitlm.look.gradients.softmax import secant_softmax
from petitlm.look.gradients.watching import Watch, all_rows, cut, gradients, put, run_rows, values
from petitlm.look.models import Metric
from petitlm.model import Decoder
from petitlm.model.batch import causal_scores
from petitlm.sizes import weight_bytes
from petitlm.taps import by_head, full_names

STEPS = (5, 15, 45, 135, 405)
"""Of a path; three times as many use the ones before: midpoints stay midpoints."""
_WIDE = 1 << 30  # models of up to so many bytes in float64 are computed in it
TOKENS = 1024
"""In one pass with gradients."""


@dataclass
class Estimates:
    """What a gradient says of some taps. Arrays have tokens first: (T,) stream, (T, H) heads, (T, F) neurons."""

    parts: dict[str, NDArray[np.float64]]
    """Estimated change of the metric for each element of each tap."""
    sizes: dict[str, NDArray[np.float64]]
    """Euclidean length of what changes in each element."""
    exact: dict[str, float]
    """What replacing a tap's whole value changes, by running these same layers."""
    total: float
    """What replacing everything changes."""
    drops: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Size of the estimate with one attention or MLP after the other cut off from the gradient, averaged (GradDrop)."""
    steps: dict[str, int] = field(default_factory=dict)

    def gap(self, tap: str) -> float:
        """Return the sum of a tap's estimates minus what replacing all of it does."""
        return float(self.parts[tap].sum()) - self.exact[tap]

    @property
    def scale(self) -> float:
        """The largest change that replacing one tap or everything makes: what a gap is measured against."""
        return max(abs(self.total), *map(abs, self.exact.values()))


def layers_of(runner: Runner) -> Decoder:
    """Return the torch layers to take gradients of: in float64 where they are small."""
    return decoder_of(runner, torch.float64 if weight_bytes(runner.config, 32) * 2 <= _WIDE else torch.float32)


class Question:
    """Two runs of the same torch layers, and what they have at some taps."""

    def __init__(self, decoder: Decoder, base: list[int], source: list[int], metric: Metric) -> None:
        self.decoder, self.config = decoder, decoder.config
        self.base, self.source, self.metric = base, source, metric
        self._values: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        self.results = tuple(values(self.decoder, ids, metric, [])[1] for ids in (base, source))

    def at(self, names: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return what the base and the source run have at some taps."""
        missing = [name for name in names if name not in self._values[0]]
        if missing:
            for ids, kept in zip((self.base, self.source), self._values, strict=True):
                kept.update(values(self.decoder, ids, self.metric, missing)[0])
        return self._values

    def change(self, name: str) -> Tensor:
        """Return source - base at a tap; scores that no one sees differ by nothing."""
        base, source = self.at([name])
        return (source[name] - base[name]).nan_to_num(0.0, 0.0, 0.0)

    def replaced(self, taps: Sequence[str]) -> dict[str, float]:
        """Return what replacing each tap's whole value changes in the metric; one row each."""
        _, source = self.at(taps)
        found: dict[str, float] = {}
        for group in chunks(taps, max(1, TOKENS // len(self.base))):
            watch = Watch([], {tap: put({row: source[tap]}) for row, tap in enumerate(group)})
            with torch.no_grad():
                result = run_rows(self.decoder, self.base, len(group), self.metric, watch)
            found.update({tap: float(r) - self.results[0] for tap, r in zip(group, result, strict=True)})
        return found


def estimate(runner: Runner, base: list[int], source: list[int], metric: Metric, taps: Sequence[str], method: str, *,
             drops: bool = False, tolerance: float = 0.02) -> Estimates:
    """Return what patching parts of some taps would change, by `method` atp, atp* or ig.

    `ig` takes three times the steps until what it adds up to is within `tolerance` of what replacing the tap does, or
    ends at the last of STEPS.
    """
    question = Question(layers_of(runner), base, source, metric)
    found = Estimates({}, {tap: _reduced(tap, question.change(tap) ** 2) ** 0.5 for tap in taps},
                      question.replaced(taps), question.results[1] - question.results[0])
    if method == "ig":
        for tap in taps:
            found.parts[tap], found.steps[tap] = _integrated(question, tap, found.exact[tap], tolerance, found.scale)
        return found
    secant = _secant(question) if method == "atp*" else None
    own = [tap for tap in taps if method == "atp*" and tap.endswith(("_q", "_k"))]
    watch = Watch([tap for tap in taps if tap not in own], softmax=secant)
    g = gradients(question.decoder, base, 1, metric, watch) if watch.names else {}
    for tap in taps:
        found.parts[tap] = (_recomputed(question, tap, secant) if tap in own
                            else _reduced(tap, question.change(tap) * g[tap][0]))
    if drops:
        found.drops = _dropped(question, taps, secant)
    return found


def _reduced(tap: str, x: Tensor) -> NDArray[np.float64]:
    """Sum what belongs to one part: a position's features, a head's features or keys; neurons stay apart."""
    if by_head(tap):
        x = x.transpose(0, 1)
    return (x if ".mlp." in tap else x.sum(-1)).double().numpy()


def _secant(question: Question) -> Callable[[str, Tensor], Tensor]:
    return secant_softmax(*question.at(full_names(question.config, "attn_scores")))


def _integrated(question: Question, tap: str, exact: float, tolerance: float,
                scale: float) -> tuple[NDArray[np.float64], int]:
    """Return the integrated gradients of one tap, and in how many steps."""
    base, _ = question.at([tap])
    change, done = question.change(tap), torch.zeros((), dtype=torch.float64)
    bound, old = tolerance * max(abs(exact), 0.1 * scale), 0
    start = torch.where(torch.isfinite(base[tap]), base[tap], torch.zeros_like(base[tap]))
    masked = torch.where(torch.isfinite(base[tap]), torch.zeros_like(start), base[tap])  # scores that no one sees
    parts = np.zeros(())
    for steps in STEPS:
        for alphas in chunks(new_points(steps, old), max(1, TOKENS // len(question.base))):
            alpha = torch.tensor(alphas, dtype=change.dtype).view(-1, *[1] * change.ndim)
            watch = Watch([tap], {tap: all_rows(start + alpha * change + masked)})
            found = gradients(question.decoder, question.base, len(alphas), question.metric, watch)[tap]
            done = done + found.sum(0).double()
        parts, old = _reduced(tap, change * done / steps), steps
        if steps > STEPS[0] and abs(float(parts.sum()) - exact) <= bound:
            break
    return parts, old


def new_points(steps: int, old: int) -> list[float]:
    """Return the midpoints of `steps` intervals that were not midpoints of `old`."""
    return [(i + 0.5) / steps for i in range(steps) if not old or i % 3 != 1]


def chunks(items: Sequence[Any], size: int) -> list[Any]:
    """Cut a sequence into pieces of at most `size`."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def _recomputed(question: Question, tap: str, secant: Callable[[str, Tensor], Tensor] | None) -> NDArray[np.float64]:
    """Return the estimates (T, H) of one block's queries or keys: each is put in, its pattern recomputed, and the
    change of the pattern taken times the pattern's gradient."""
    at = tap.rsplit(".", 1)[0] + "."
    rotary = question.config.positions == "rotary"
    names = [at + ("hook_rot_" if rotary else "hook_") + which for which in "qk"]
    pattern = at + "hook_pattern"
    base, source = question.at([*names, pattern])
    g = gradients(question.decoder, question.base, 1, question.metric, Watch([pattern], softmax=secant))[pattern][0]
    q, k = (base[name].transpose(0, 1) for name in names)  # heads first
    is_query = tap.endswith("_q")  # rotated or not: a rotation is linear
    new = source[names[0 if is_query else 1]].transpose(0, 1)
    parts = []
    for t in range(len(question.base)):
        moved = (q if is_query else k).clone()
        moved[:, t] = new[:, t]
        recomputed = causal_scores(moved if is_query else q, k if is_query else moved).softmax(-1)
        by_query_head = ((recomputed - base[pattern]) * g).sum((-2, -1))
        parts.append(by_query_head if is_query else by_query_head.view(len(k), -1).sum(-1))
    return torch.stack(parts).double().numpy()


def _dropped(question: Question, taps: Sequence[str],
             secant: Callable[[str, Tensor], Tensor] | None) -> dict[str, NDArray[np.float64]]:
    """Return the mean size of the estimates with each later component cut off in turn.

    Source: Kramár et al. 2024, section 3.2; there whole blocks are cut off, here attention and MLP one by one.
    """
    found: dict[str, NDArray[np.float64]] = {}
    components = [name for kind in ("attn_out", "mlp_out") for name in full_names(question.config, kind)]
    counts = dict.fromkeys(taps, 0)
    for group in chunks(components, max(1, TOKENS // len(question.base))):
        watch = Watch(taps, after={name: cut([row]) for row, name in enumerate(group)}, softmax=secant)
        g = gradients(question.decoder, question.base, len(group), question.metric, watch)
        for tap in taps:
            for row, name in enumerate(group):
                if comes_after(question.config, name, tap):
                    counts[tap] += 1
                    found[tap] = found.get(tap, 0.0) + np.abs(_reduced(tap, question.change(tap) * g[tap][row]))
    return {tap: found[tap] / counts[tap] for tap in taps if counts[tap]}


def comes_after(config: ModelConfig, component: str, tap: str) -> bool:
    """Whether an attn_out or mlp_out comes later in the pass than a tap and is not what the tap is a part of."""
    order, block = tap_names(config), tap.rpartition(".")[0]
    own = {"attn": "hook_attn_out", "mlp": "hook_mlp_out"}.get(block.rsplit(".", 1)[-1])
    is_own = own is not None and component == f"{block.rsplit('.', 1)[0]}.{own}"
    return not is_own and order.index(component) > order.index(tap)
