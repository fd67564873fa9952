"""Training sparse autoencoders and transcoders on values streamed from a model, on the CPU in minutes.

Both kinds reconstruct what is written from few features, and both are told how many, k on average:

- `batchtopk` keeps the k x batch largest features of a whole batch (Bussmann et al. 2024, section 3); once trained, one
  threshold does the same for a token alone, so it is saved as a JumpReLU.
- `jumprelu` learns a threshold for each feature; the step in it has no slope, so its gradient is that of a window of
  some width around it (Rajamanoharan et al. 2024, section 4). The number of active features is drawn to k by the loss
  (L0 / k - 1)^2 (their section on other loss functions).

Features that have long been silent are revived by making them say what the others miss (Gao et al. 2024, section A.2).
Values are centred and scaled to length sqrt(D) for training; the weights that are returned undo it, with directions of
length one. So a feature's strength has the unit of the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from petitlm.engine.kernels import Floats
from petitlm.errors import UsageError

Kind = Literal["batchtopk", "jumprelu"]
KINDS: tuple[Kind, ...] = ("batchtopk", "jumprelu")
Progress = Callable[[int, int, str], None]
_WINDOW = 0.5  # width of the window around a threshold, in standard deviations of what a random feature sees
_THRESHOLD_SPEED = 4.0  # times the rate: with 1, thresholds do not get far enough and more than k stay active
_CALIBRATION = 16  # batches that the last threshold is the mean of
_EVERY = 50  # steps from one entry of the history to the next


@dataclass(frozen=True)
class Plan:
    """How a dictionary is trained.

    Raises: UsageError, on construction, naming the field and its value.
    """

    kind: Kind = "batchtopk"
    width: int = 1536
    """Features, F."""
    k: float = 16
    """Features that are active at a token, on average."""
    steps: int = 2000
    batch: int = 1024
    """Tokens in a step."""
    rate: float = 2e-3
    """Of Adam; it rises over the first twentieth and falls to zero over the last half."""
    revive: float = 1 / 32
    """Weight of the loss that revives silent features."""
    patience: int = 100
    """Steps after which a feature that was never active counts as silent."""
    sparsity: float = 1.0
    """Weight of the loss on the number of active features, for jumprelu; it rises over the first third."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"kind={self.kind!r:.40} is not known; choose {' or '.join(KINDS)}")
        for name in ("width", "steps", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0 < self.k < self.width:
            raise UsageError(f"k={self.k} features of width={self.width} cannot be active on average; give a k above 0 "
                             "and below the width")
        if not self.rate > 0:
            raise UsageError(f"rate={self.rate} must be above 0; 0.002 is usual")


class Weights(NamedTuple):
    """A trained dictionary's numbers; shapes as in `SparseDictionary`."""

    w_enc: Floats
    b_enc: Floats
    w_dec: Floats
    b_dec: Floats
    threshold: Floats


@dataclass(frozen=True)
class Step:
    """How training stood after some steps."""

    step: int
    unexplained: float
    """Share of the batch's variance that is not reconstructed."""
    active: float
    """Features active at a token, on average."""
    silent: float
    """Share of the features that have been silent for `patience` steps."""


@dataclass(frozen=True)
class Trained:
    """What training gave."""

    weights: Weights
    history: list[Step] = field(default_factory=list)


class _Jump(torch.autograd.Function):
    """z where z > threshold, else 0."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(z, threshold)
        return z * (z > threshold)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        z, threshold = ctx.saved_tensors
        return slope * (z > threshold), -(threshold / _WINDOW * _near(z, threshold) * slope).sum(0)


class _Count(torch.autograd.Function):
    """1 where z > threshold, else 0."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(z, threshold)
        return (z > threshold).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        z, threshold = ctx.saved_tensors
        return None, -(_near(z, threshold) / _WINDOW * slope).sum(0)


def _near(z: Tensor, threshold: Tensor) -> Tensor:
    return ((z - threshold).abs() < _WINDOW / 2).to(z.dtype)


class Trainer:
    """The weights while they are trained, on centred values of length sqrt(D), with decoder rows of length one."""

    def __init__(self, plan: Plan, x: Floats, y: Floats, tied: bool, start: Weights | None = None) -> None:
        """`x` and `y` are a first batch, which sets centre and scale; `tied`: they are the same values (an SAE)."""
        self.plan, self.tied = plan, tied
        self.x_mean, self.y_mean = (torch.from_numpy(v.mean(0)) for v in (x, y))
        self.x_scale, self.y_scale = _scale(x), _scale(y)
        generator = torch.Generator().manual_seed(plan.seed)
        w_dec = torch.randn(plan.width, y.shape[1], generator=generator)
        w_dec /= w_dec.norm(dim=1, keepdim=True)
        w_enc = w_dec.T.clone() if tied else torch.randn(x.shape[1], plan.width, generator=generator)
        w_enc /= w_enc.norm(dim=0, keepdim=True)
        self.w_enc, self.w_dec = w_enc, w_dec
        self.b_enc, self.b_dec = torch.zeros(plan.width), torch.zeros(y.shape[1])
        self.threshold = torch.zeros(plan.width)
        if start is not None:
            self._start_at(start)
        elif plan.kind == "jumprelu":  # where k features are active: from far below, it would take most of the training
            self.threshold += self._cut(self._pre(self._scaled(x, y)[0]).relu())
        self._learned = [self.w_enc, self.b_enc, self.w_dec, self.b_dec]
        self._learned += [self.threshold] if plan.kind == "jumprelu" else []
        for weight in self._learned:
            weight.requires_grad_(True)
        groups = [{"params": self._learned[:4], "speed": 1.0}, {"params": self._learned[4:], "speed": _THRESHOLD_SPEED}]
        self._adam = torch.optim.Adam([group for group in groups if group["params"]], lr=plan.rate)
        self._silence = torch.zeros(plan.width)
        self._done = 0

    def _start_at(self, start: Weights) -> None:
        """Take weights in the values' own unit: the inverse of `weights`, for an SAE."""
        ratio = self.y_scale / self.x_scale
        self.w_dec = torch.from_numpy(start.w_dec / np.linalg.norm(start.w_dec, axis=1, keepdims=True))
        self.w_enc = torch.from_numpy(start.w_enc) * ratio
        self.b_dec = (torch.from_numpy(start.b_dec) - self.y_mean) * self.y_scale
        self.b_enc, self.threshold = (torch.from_numpy(v) * self.y_scale for v in (start.b_enc, start.threshold))

    def step(self, x: Floats, y: Floats) -> Step:
        """Learn from a batch."""
        plan, share = self.plan, self._done / self.plan.steps
        for group in self._adam.param_groups:
            factor = min(1.0, (self._done + 1) / (0.05 * plan.steps), 2 * (1 - share))
            group["lr"] = plan.rate * group["speed"] * factor
        given, wanted = self._scaled(x, y)
        pre = self._pre(given)
        f = self._active(pre)
        missed = wanted - (f @ self.w_dec + self.b_dec)
        spread = wanted.square().sum()  # they are centred
        loss = unexplained = missed.square().sum() / spread
        if plan.kind == "jumprelu":
            count = _Count.apply(pre, self.threshold).sum() / len(x)  # type: ignore[attr-defined]
            loss = loss + plan.sparsity * min(1.0, 3 * share) * (count / plan.k - 1).square()
        silent = self._silence >= plan.patience
        if plan.revive and bool(silent.any()):
            loss = loss + plan.revive * self._revival(pre, missed.detach(), silent)
        self._adam.zero_grad()
        loss.backward()
        self._move()
        active = f.detach() > 0
        self._silence = torch.where(active.any(0), 0.0, self._silence + 1)
        self._done += 1
        return Step(self._done, float(unexplained.detach()), float(active.sum() / len(x)), float(silent.float().mean()))

    def _scaled(self, x: Floats, y: Floats) -> tuple[Tensor, Tensor]:
        wanted = (torch.from_numpy(y) - self.y_mean) * self.y_scale
        return (wanted if self.tied else (torch.from_numpy(x) - self.x_mean) * self.x_scale), wanted

    def _pre(self, given: Tensor) -> Tensor:
        return (given - self.b_dec if self.tied else given) @ self.w_enc + self.b_enc

    def _active(self, pre: Tensor) -> Tensor:
        if self.plan.kind == "jumprelu":
            return _Jump.apply(pre, self.threshold)  # type: ignore[attr-defined, no-any-return]
        f = pre.relu()
        return f * (f >= self._cut(f.detach()))

    def _cut(self, f: Tensor) -> Tensor:
        """Return the smallest of the k largest features for each token of a batch."""
        n = max(1, min(f.numel(), round(self.plan.k * len(f))))
        return f.flatten().kthvalue(f.numel() - n + 1).values.clamp(min=torch.finfo(f.dtype).tiny)

    def _revival(self, pre: Tensor, missed: Tensor, silent: Tensor) -> Tensor:
        """Return how badly the silent features, the largest of them at each token, say what the others miss."""
        which = silent.nonzero()[:, 0]
        best = pre[:, which].topk(min(len(which), max(1, missed.shape[1] // 2)), dim=1)
        f = torch.zeros(len(pre), len(which)).scatter(1, best.indices, best.values.relu())
        return (missed - f @ self.w_dec[which]).square().sum() / missed.square().sum().clamp(min=1e-12)

    def _move(self) -> None:
        """Step the weights; decoder rows turn and stay of length one, thresholds stay positive."""
        with torch.no_grad():
            slope = self.w_dec.grad
            assert slope is not None
            slope -= (slope * self.w_dec).sum(1, keepdim=True) * self.w_dec
            torch.nn.utils.clip_grad_norm_(self._learned, 1.0)
            self._adam.step()
            self.w_dec /= self.w_dec.norm(dim=1, keepdim=True)
            self.threshold.clamp_(min=1e-3 if self.plan.kind == "jumprelu" else 0.0)

    @torch.no_grad()
    def calibrate(self, batches: Iterator[tuple[Floats, Floats]]) -> None:
        """Set the one threshold of a batchtopk dictionary: the smallest active feature of a batch, on average."""
        if self.plan.kind == "batchtopk":
            cuts = [self._cut(self._pre(self._scaled(*next(batches))[0]).relu()) for _ in range(_CALIBRATION)]
            self.threshold = torch.full_like(self.threshold, float(torch.stack(cuts).mean()))

    @torch.no_grad()
    def weights(self) -> Weights:
        """Return the weights in the values' own unit and place."""
        ratio = self.x_scale / self.y_scale
        w_enc, b_dec = self.w_enc * ratio, self.b_dec / self.y_scale + self.y_mean
        b_enc = self.b_enc / self.y_scale
        if not self.tied:
            b_enc = b_enc - self.x_mean @ w_enc
        values = (w_enc, b_enc, self.w_dec, b_dec, self.threshold / self.y_scale)
        return Weights(*(np.ascontiguousarray(value.numpy(), np.float32).copy() for value in values))


def _scale(values: Floats) -> float:
    """Return what makes centred values of length sqrt(D), in root mean square."""
    spread = float(np.sqrt(((values - values.mean(0)) ** 2).sum(1).mean()))
    if not spread > 0:
        raise UsageError("all values at the tap are the same, so there is nothing to learn; give other texts or taps")
    return values.shape[1] ** 0.5 / spread


def fit(batches: Iterator[tuple[Floats, Floats]], plan: Plan, *, tied: bool, start: Weights | None = None,
        progress: Progress | None = None) -> Trained:
    """Train on batches of (values read (N, D), values written (N, E)); `tied`: an SAE, which writes what it reads.

    Deterministic on one machine: the same batches and plan give the same weights.
    """
    x, y = next(batches)
    trainer, history = Trainer(plan, x, y, tied, start), []
    for i in range(plan.steps):
        step = trainer.step(*next(batches))
        if (i + 1) % _EVERY == 0 or i + 1 == plan.steps:
            history.append(step)
            if progress is not None:
                progress(i + 1, plan.steps, f"unexplained {step.unexplained:.3f}, {step.active:.1f} active, "
                                            f"{step.silent:.0%} silent")
    trainer.calibrate(batches)
    return Trained(trainer.weights(), history)
