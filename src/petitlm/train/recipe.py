"""How a run spends its time: one table of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from petitlm.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig:
    """How a run spends its time and how fast it learns.

    Raises: ConfigError, on construction, naming the field and its value.
    """

    minutes: float = 45.0
    """Wall-clock budget; the schedule stretches over it. Not used when `steps` is given."""
    steps: int = 0
    """Budget in steps, for runs that repeat bit by bit; 0: use `minutes`."""
    batch_tokens: int = 8192
    """Tokens of one step, padding included."""
    micro_tokens: int = 2048
    """Tokens of one forward and backward pass; a step adds up several, of different lengths."""
    rate: float = 3e-3
    """AdamW's rate, for embeddings, norms and biases."""
    muon_rate: float = 6e-3
    """Muon's rate, for the hidden matrices, scaled to match AdamW's step sizes."""
    weight_decay: float = 0.1
    """Share of a hidden matrix taken away per step, times the rate."""
    clip: float = 1.0
    """Longest gradient, as the norm over all parameters."""
    warmup: float = 0.02
    """Share of the budget in which the rate rises from 0."""
    decay: float = 0.3
    """Share of the budget, at its end, in which the rate falls to 0."""
    compile: bool = True
    """Compile the decoder with torch.compile: about a minute's start for a fifth more speed."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Of matrix products; weights and sums stay float32. auto: whichever this processor multiplies faster,
    so that a run on another processor has other bits."""
    threads: int = 2
    """Processor threads."""
    log_steps: int = 20
    """Steps between two lines of the log."""
    save_minutes: float = 5.0
    """Minutes between two checkpoints."""
    eval_minutes: float = 5.0
    """Minutes between two evaluations."""

    def __post_init__(self) -> None:
        for name in ("minutes", "rate", "muon_rate", "clip", "save_minutes", "eval_minutes"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"train.{name}={getattr(self, name)} must be above 0")
        for name in ("batch_tokens", "micro_tokens", "threads", "log_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"train.{name}={getattr(self, name)} must be at least 1")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise ConfigError(f"train.precision={self.precision!r} is not known; choose auto, float32 or bfloat16")
        if self.micro_tokens > self.batch_tokens:
            raise ConfigError(f"train.micro_tokens={self.micro_tokens} is more than "
                              f"train.batch_tokens={self.batch_tokens}; choose a divisor of it")
        if self.steps < 0 or self.weight_decay < 0:
            raise ConfigError("train.steps and train.weight_decay must not be negative")
        if min(self.warmup, self.decay) < 0 or self.warmup + self.decay > 1:
            raise ConfigError(f"train.warmup={self.warmup} and train.decay={self.decay} are shares of one run; "
                              "their sum may be at most 1")
