"""Exchanging parts between two models of one shape: what one part of one does in the other.

A part (the embedding, a block's attention or MLP, the head) is taken over with its rounding alone: each part of the
one model is run on the very inputs that the other has, so that no error of an earlier part is counted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner, run_text, run_variants
from petitlm.look.distances import Array, Distance, Said
from petitlm.taps import TapName


@dataclass(frozen=True)
class Part:
    """What is exchanged: the sum that a tap has is the whole output of the part."""

    name: str
    tap: TapName
    """Where its output goes through; the head has none, since nothing comes after it."""


def parts_of(n_layers: int) -> list[Part]:
    """Return the parts of a model, in the order of the forward pass."""
    inside = [Part(f"block {i} {word}", (tap, i))
              for i in range(n_layers) for word, tap in (("attention", "attn_out"), ("MLP", "mlp_out"))]
    return [Part("embedding", ("resid_pre", 0)), *inside, Part("head", "logits")]


class Stream:
    """What the residual stream of a run has: the inputs of all parts, and the outputs."""

    def __init__(self, runner: Runner, ids: Sequence[int]) -> None:
        config = runner.config
        self.reads: list[TapName] = ["resid_pre", *([] if config.parallel_block else ["resid_mid"])]
        self.writes: list[TapName] = ["attn_out", "mlp_out"]
        self._last: TapName = ("resid_post", config.n_layers - 1)
        self.runner, self.ids = runner, ids
        self.trace = run_text(runner, ids, [*self.reads, *self.writes, self._last])

    @property
    def logits(self) -> Floats:
        """(T, V)."""
        return self.trace.logits

    def output(self, part: Part) -> Floats:
        """Return what a part of this run gave, (T, D); for the head the logits."""
        return self.logits if part.tap == "logits" else self.trace[part.tap]

    def foreign(self, other: Runner, parts: Sequence[Part]) -> list[Floats]:
        """Return what each part of another model gives for this run's own inputs."""
        config = self.runner.config
        inputs = [Edit((str(tap), i), "replace", self.trace[str(tap), i], range(len(self.ids)))
                  for tap in self.reads for i in range(config.n_layers)]
        first = run_text(other, self.ids, [("resid_pre", 0)], wanted="none")
        forced = next(run_variants(other, self.ids, [inputs], self.writes, wanted="none"))
        head = other.readout(self.trace[self._last])
        return [first["resid_pre", 0] if part.name == "embedding" else head if part.tap == "logits"
                else forced[part.tap] for part in parts]

    def exchanged(self, parts: Sequence[Part], outputs: Sequence[Floats]) -> Iterator[Floats]:
        """Yield the logits (T, V) of this run with one part's output replaced, for each part."""
        everywhere = range(len(self.ids))
        inner = [[Edit(part.tap, "replace", out, everywhere)] for part, out in zip(parts, outputs, strict=True)
                 if part.tap != "logits"]
        runs = run_variants(self.runner, self.ids, inner, wanted="all")
        for part, out in zip(parts, outputs, strict=True):
            yield out if part.tap == "logits" else next(runs).logits


@dataclass(frozen=True)
class Exchange:
    """What each part (P,) changes, over all texts."""

    parts: tuple[str, ...]
    error: Array
    """Distance of the part's output from the reference's for the same input, of the output's size."""
    alone: Array
    """KL to the reference in nats a token if this part alone is the model's, and all others the reference's."""
    changed: Array
    """Share of tokens whose most likely next token that changes."""
    left: Array
    """KL to the reference if this part alone is the reference's, and all others the model's."""


class Exchanges:
    """Adds up what exchanging parts changes, text by text."""

    def __init__(self, model: Runner, reference: Runner) -> None:
        self.model, self.reference, self.parts = model, reference, parts_of(model.config.n_layers)
        self._errors = [Distance() for _ in self.parts]
        self._alone, self._left = [Said() for _ in self.parts], [Said() for _ in self.parts]

    def add(self, ids: Sequence[int]) -> None:
        """Run a text with each part exchanged in either direction."""
        mine, theirs = Stream(self.model, ids), Stream(self.reference, ids)
        taken = theirs.foreign(self.model, self.parts)
        for part, distance, output in zip(self.parts, self._errors, taken, strict=True):
            distance.add(output, theirs.output(part))
        for said, logits in zip(self._alone, theirs.exchanged(self.parts, taken), strict=True):
            said.add(logits, theirs.logits)
        restored = mine.exchanged(self.parts, mine.foreign(self.reference, self.parts))
        for said, logits in zip(self._left, restored, strict=True):
            said.add(logits, theirs.logits)

    def result(self) -> Exchange:
        """Return the means over all tokens."""
        return Exchange(tuple(part.name for part in self.parts), np.array([d.error for d in self._errors]),
                        np.array([s.mean_kl for s in self._alone]), np.array([1 - s.agreement for s in self._alone]),
                        np.array([s.mean_kl for s in self._left]))
