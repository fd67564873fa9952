"""Models made for looking into: weights given as arrays, run by the same forward pass and kernels as any other.

A constructed model has no use for a norm, and every family has one. So it takes an RMSNorm with an epsilon of 2^60
and weights of 2^30: whatever comes in, it is divided by 2^30 and multiplied by 2^30, and in float32 not a bit changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.cache import CacheKind, cache_for
from petitlm.engine.formats import formats_for
from petitlm.engine.kernels import Floats, make_kernels
from petitlm.engine.packing import pack_matrix
from petitlm.engine.runner import EngineRunner
from petitlm.engine.runs import Runner
from petitlm.errors import UsageError
from petitlm.look.models import Text
from petitlm.tokenizer import Tokenizer

Arrays = Mapping[str, NDArray[np.floating[Any]]]
NO_NORM_EPS, NO_NORM_WEIGHT = 2.0**60, 2.0**30
BOS = "<s>"


@dataclass
class Made:
    """A model of the zoo, ready to be looked into: what `petitlm.look.models.Model` asks for."""

    name: str
    runner: Runner
    tokenizer: Tokenizer
    bits: int
    cache: CacheKind
    context: int
    """Longest text, in tokens."""

    @property
    def config(self) -> ModelConfig:
        """The shape of the model."""
        return self.runner.config

    def encode(self, text: Text) -> list[int]:
        """Return the ids of words with spaces between them, or checked ids as they are.

        Raises: UsageError.
        """
        if isinstance(text, str):
            return self.tokenizer.encode(text)
        ids = [int(id) for id in text]
        for id in ids:
            if not 0 <= id < self.config.n_vocab:
                raise UsageError(f"token id {id} is not in this model; ids run from 0 to {self.config.n_vocab - 1}")
        return ids


@dataclass(frozen=True)
class Blueprint:
    """A model's shape, weights and words: what is known to be in it is its maker's to say."""

    name: str
    config: ModelConfig
    weights: Arrays
    """Every tensor of `config.tensor_shapes()`."""
    words: tuple[str, ...]
    """The vocabulary: one word a token."""

    def load(self, bits: int = 32, layers: Literal["engine", "torch"] = "engine", threads: int = 1) -> Made:
        """Return the model on the engine, packed in 4, 8, 16 or 32 bits, or on torch layers in float32.

        Raises: UsageError where torch is asked for and not there.
        """
        if layers == "torch" and bits != 32:
            raise UsageError(f"layers='torch' runs in 32 bits and bits={bits} was asked for; leave it out")
        kernels, weights = make_kernels(threads), {}
        for name in self.config.tensor_shapes():
            values, format = np.ascontiguousarray(self.weights[name], np.float32), formats_for(bits, name)
            weights[name] = values if format is None else pack_matrix(kernels, format, values)
        runner = EngineRunner(self.config, weights, kernels, cache_for(bits))
        return Made(self.name, runner if layers == "engine" else _on_torch(runner), words_tokenizer(self.words), bits,
                    cache_for(bits), self.config.n_ctx)

    def ids(self, text: str) -> list[int]:
        """Return the ids of words with spaces between them.

        Raises: UsageError for a word that is none.
        """
        return words_tokenizer(self.words).encode(text)


class _Words(Tokenizer):
    """One token for each word; a word that is none is the caller's mistake and not an unknown token."""

    def encode(self, text: str, *, add_special: bool = True) -> list[int]:
        vocabulary = self.backend.get_vocab()
        for word in text.split():
            if word not in vocabulary:
                raise UsageError(f"{word!r} is no word of this model; it knows {' '.join(list(vocabulary)[:40])}")
        return [vocabulary[word] for word in text.split()]


def words_tokenizer(words: Sequence[str]) -> Tokenizer:
    """Return a tokenizer of whole words, ids in the order given."""
    import tokenizers
    from tokenizers import models, pre_tokenizers

    backend = tokenizers.Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token=words[0]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    return _Words(backend)


def no_norms(config: ModelConfig) -> dict[str, Floats]:
    """Return norm weights that change nothing; the config must have `norm="rms", norm_eps=NO_NORM_EPS`."""
    return {name: np.full(shape, NO_NORM_WEIGHT, np.float32) for name, shape in config.tensor_shapes().items()
            if name.split(".")[-2].startswith("ln")}


def zeros(config: ModelConfig) -> dict[str, NDArray[np.float64]]:
    """Return weights of nothing, to be filled in; norms change nothing."""
    empty = {name: np.zeros(shape) for name, shape in config.tensor_shapes().items()}
    return {**empty, **{name: weight.astype(np.float64) for name, weight in no_norms(config).items()}}


def layout(**widths: int) -> dict[str, slice]:
    """Return the slice of the residual stream that each named part takes, in order; "all" is the whole."""
    parts, at = dict[str, slice](), 0
    for name, width in widths.items():
        parts[name] = slice(at, at + width)
        at += width
    return {**parts, "all": slice(0, at)}


def _on_torch(runner: Runner) -> Runner:
    try:
        from petitlm.look.gradients.zoo.runners import torch_runner
    except ImportError:
        raise UsageError("layers='torch' needs torch; install petitlm[train], or run the engine") from None
    return torch_runner(runner)
