"""How far two models of one shape are apart: at a tap, in a head, and in what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.kernels import Floats
from petitlm.errors import UsageError
from petitlm.look.models import Model, Text, ids_of

Array = NDArray[np.float64]
_MAY_DIFFER = ("n_ctx", "rope_scaling", "bos_id", "eos_id", "family")


def check_same_shape(model: Model, reference: Model) -> None:
    """Refuse two models whose values cannot be compared one by one.

    Raises: UsageError, naming the first field of the shape that differs.
    """
    for field in dataclasses.fields(ModelConfig):
        mine, theirs = getattr(model.config, field.name), getattr(reference.config, field.name)
        if mine != theirs and field.name not in _MAY_DIFFER:
            raise UsageError(f"{model.name} has {field.name}={mine} and {reference.name} {theirs}; only two models of "
                             "one shape can be compared tap by tap")


def same_ids(model: Model, reference: Model, text: Text) -> list[int]:
    """Return the ids of a text, which must be the same for both models.

    Raises: UsageError if the tokenizers cut it differently; ContextError.
    """
    ids, theirs = ids_of(model, text), ids_of(reference, text)
    if ids != theirs:
        raise UsageError(f"the two models cut {str(text)!r:.60} into other tokens ({len(ids)} and {len(theirs)}); "
                         "compare models with one tokenizer, or give ids")
    return ids


@dataclass
class Distance:
    """How far values at one tap are from the reference's, over any number of tokens."""

    squares: float = 0.0
    """Sum of squares of the difference."""
    size: float = 0.0
    """Sum of squares of the reference."""
    cosines: float = 0.0
    n_tokens: int = 0

    def add(self, value: Floats, reference: Floats) -> None:
        """Count tokens; they are the first axis, all others are one vector."""
        x, y = _flat(value), _flat(reference)
        self.squares += float(((x - y) ** 2).sum())
        self.size += float((y**2).sum())
        self.cosines += float(cosines(x, y).sum())
        self.n_tokens += len(x)

    @property
    def error(self) -> float:
        """Root of the mean squared difference, of the reference's root mean square."""
        return float(np.sqrt(self.squares / self.size)) if self.size else float(self.squares > 0)

    @property
    def cosine(self) -> float:
        """Mean over tokens of the cosine between the two values."""
        return self.cosines / max(1, self.n_tokens)


def _flat(x: Floats) -> Array:
    return np.asarray(x, np.float64).reshape(len(x), -1)


def cosines(x: Array, y: Array) -> Array:
    """Return the cosine of each row (N,); 1 where both are zero."""
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    both = ~x.any(1) & ~y.any(1)
    return np.where(both, 1.0, (x * y).sum(1) / np.where(lengths > 0, lengths, 1.0))


def token_errors(value: Floats, reference: Floats) -> Array:
    """Return each token's distance from the reference, of the reference's length (N,)."""
    x, y = _flat(value), _flat(reference)
    lengths = np.linalg.norm(y, axis=1)
    return np.linalg.norm(x - y, axis=1) / np.where(lengths > 0, lengths, 1.0)


def log_probabilities(logits: Floats) -> Array:
    """Return the natural logarithms of the probabilities (N, V), in float64."""
    x = np.asarray(logits, np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def divergences(logits: Floats, reference: Floats) -> Array:
    """Return KL(reference || model) of what is said after each token, in nats (N,)."""
    said, meant = log_probabilities(logits), log_probabilities(reference)
    return (np.exp(meant) * (meant - said)).sum(-1)


def moved_attention(pattern: Floats, reference: Floats) -> Array:
    """Return the share of attention that each query of each head gives to other tokens, (H, T): total variation."""
    return np.abs(np.asarray(pattern, np.float64) - np.asarray(reference, np.float64)).sum(-1) / 2


@dataclass
class Said:
    """What two models say, over any number of tokens."""

    kl: float = 0.0
    same: int = 0
    n_tokens: int = 0

    def add(self, logits: Floats, reference: Floats) -> None:
        """Count the logits (N, V) of some tokens."""
        self.kl += float(divergences(logits, reference).sum())
        self.same += int((logits.argmax(-1) == reference.argmax(-1)).sum())
        self.n_tokens += len(logits)

    @property
    def mean_kl(self) -> float:
        """KL(reference || model), nats a token."""
        return self.kl / max(1, self.n_tokens)

    @property
    def agreement(self) -> float:
        """Share of tokens after which both would say the same."""
        return self.same / max(1, self.n_tokens)


def text_loss(logits: Floats, ids: Sequence[int]) -> float:
    """Return the loss of a text under its own logits (T, V), summed, in nats; the first token is given."""
    rows = log_probabilities(logits[: len(ids) - 1])
    return float(-rows[np.arange(len(ids) - 1), list(ids[1:])].sum())
