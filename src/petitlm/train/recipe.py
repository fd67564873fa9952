"""Recipes: TOML files read into frozen dataclasses, with nothing ignored."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from petitlm.errors import ConfigError, NotFoundError

T = TypeVar("T")


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


def read_toml(path: Path) -> dict[str, Any]:
    """Return a recipe's tables.

    Raises: NotFoundError; ConfigError where the file is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"no recipe at {path}; recipes/ holds those that come with petit") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from one table of a recipe.

    Raises: ConfigError for an unknown key (with the nearest known one), a missing key, or a value of
    another type than the field's.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    needed = [name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING]
    check_keys(table, known, where, needed)
    return kind(**{name: _convert(value, str(known[name].type), f"{where}.{name}") for name, value in table.items()})


def check_keys(table: Mapping[str, Any], known: Collection[str], where: str, needed: Collection[str] = ()) -> None:
    """Refuse keys that nobody reads, naming the nearest one that somebody does, and ask for those that lack.

    Raises: ConfigError.
    """
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"[{where}] has an unknown key {key!r}; {hint}")
    if missing := [key for key in needed if key not in table]:
        raise ConfigError(f"[{where}] lacks {', '.join(missing)}; add it to the recipe")


_SCALARS = {"int": int, "float": float, "str": str, "bool": bool}  # annotations are text: see the __future__ import


def _convert(value: Any, annotation: str, name: str) -> Any:
    wanted = _SCALARS.get(annotation)
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is not None and type(value) is not wanted:
        raise ConfigError(f"{name}={value!r} should be of type {annotation}")
    return tuple(value) if isinstance(value, list) else value
