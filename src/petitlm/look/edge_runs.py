"""Running a model edge by edge: every reader gets its own sum of what the senders before it add.

An edge that is on carries what its sender computes in this run; an edge that is off carries what the sender had in
another run (or zero, or a mean). Readers with the same edges share their work. All that is computed is computed by the
model's own layers, packed or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.decoder import NO_TAP, Layers
from petitlm.engine.kernels import Floats
from petitlm.engine.layers import Batch
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.engine.runs import Runner
from petitlm.errors import DoesNotFitError, UsageError
from petitlm.look.graph import Graph
from petitlm.look.swaps import Ablation
from petitlm.sizes import size_text

_LIMIT = 1 << 30  # bytes of what all senders add, for the texts run together


class Parts(Protocol):
    """A model's layers over NumPy arrays, and batches for them."""

    @property
    def layers(self) -> Layers: ...
    def batch(self, texts: Sequence[Sequence[int]]) -> Any: ...  # logits after each text's last token


class EngineParts:
    """The engine's layers."""

    def __init__(self, runner: EngineRunner) -> None:
        self.runner, self.layers = runner, runner.layers

    def batch(self, texts: Sequence[Sequence[int]]) -> Batch:
        session = self.runner.session(len(texts), max(map(len, texts)))
        lengths = [len(ids) for ids in texts]
        return Batch(as_ints([id for ids in texts for id in ids]), as_ints([p for n in lengths for p in range(n)]),
                     as_ints(np.repeat(np.arange(len(texts)), lengths)), as_ints(np.cumsum(lengths) - 1), session.cache)


def parts_of(runner: Runner) -> Parts:
    """Return the layers of a runner."""
    if isinstance(runner, EngineRunner):
        return EngineParts(runner)
    from petitlm.look.gradients.parts import TorchParts

    return TorchParts(runner)  # type: ignore[arg-type]


@dataclass
class Senders:
    """What every sender adds in one run: (U, N, D), and the logits after each text (B, V)."""

    outputs: Floats
    logits: Floats


class EdgeRunner:
    """Some texts, ready to be run with any edges on or off."""

    def __init__(self, runner: Runner, texts: Sequence[Sequence[int]]) -> None:
        self.config, self.graph = runner.config, Graph(runner.config)
        self._parts, self.texts = parts_of(runner), [list(ids) for ids in texts]
        n = sum(map(len, self.texts))
        n_bytes = 4 * len(self.graph.senders) * n * self.config.d_model
        if n_bytes > _LIMIT:
            raise DoesNotFitError(f"what {len(self.graph.senders)} senders add in {n} tokens takes "
                                  f"{size_text(n_bytes)}, and the limit is {size_text(_LIMIT)}; give fewer or shorter "
                                  "texts")
        self._constant: list[Floats] = [self._attention_bias(i) for i in range(self.config.n_layers)]

    def own(self) -> Senders:
        """Run the texts with all edges on."""
        return self.run(self.graph.exists, None)

    def run(self, mask: NDArray[np.bool_], off: Floats | None, *, before: Senders | None = None,
            start: int = 0) -> Senders:
        """Run with the edges of a mask (R, U) on; `off` (U, N, D) is what the others carry, None where all are on.

        `before` gives what senders of the blocks before `start` have in this run, if that is known.
        """
        graph, layers = self.graph, self._parts.layers
        batch = self._parts.batch(self.texts)
        n = sum(map(len, self.texts))
        outputs = np.zeros((len(graph.senders), n, self.config.d_model), np.float32)
        if before is not None:
            outputs[: graph.first_sender(start)] = before.outputs[: graph.first_sender(start)]
        else:
            start = 0
            outputs[0] = layers.embed(batch)
            if self.config.positions == "learned":
                outputs[1] = layers.pos_embed(batch)
        alive: NDArray[np.bool_] = np.any(graph.live(mask), axis=0)
        for i, block in enumerate(layers.blocks):
            if i >= start:
                self._run_block(i, block, batch, mask, off, outputs, alive)
        end = self._input(mask[-1], off, outputs, self.config.n_layers)
        last = layers.select(end, batch)
        return Senders(outputs, layers.unembed(layers.ln_final(last)))

    def _run_block(self, i: int, block: Any, batch: Any, mask: NDArray[np.bool_], off: Floats | None, outputs: Floats,
                   alive: NDArray[np.bool_]) -> None:
        config, graph = self.config, self.graph
        first, reader = graph.first_sender(i), graph.first_reader(i)
        h, g = config.n_heads, config.n_kv_heads
        heads = np.arange(h) if off is None else np.flatnonzero(alive[first : first + h])
        if len(heads):
            z = self._heads(i, block, batch, mask, off, outputs, heads)
            outputs[first + heads] = self._written(i, block, z, heads)
        if off is None or alive[first + h]:
            x = self._input(mask[reader + h + 2 * g], off, outputs, i, after_heads=not config.parallel_block)
            norm = block.ln1 if config.parallel_block else block.ln2
            outputs[first + h] = _mlp(config.gated_mlp, block.mlp, norm(x))

    def _heads(self, i: int, block: Any, batch: Any, mask: NDArray[np.bool_], off: Floats | None, outputs: Floats,
               heads: NDArray[np.intp]) -> Floats:
        """Return what the heads have read, (N, H, K); those not asked for are left as they come."""
        config, reader = self.config, self.graph.first_reader(i)
        h, g = config.n_heads, config.n_kv_heads
        groups = np.unique(heads // config.group)
        at = {"q": (block.attn.q, reader + heads, heads, h), "k": (block.attn.k, reader + h + groups, groups, g),
              "v": (block.attn.v, reader + h + g + groups, groups, g)}
        n = outputs.shape[1]
        values = {kind: np.zeros((n, width, config.d_head), np.float32) for kind, (_, _, _, width) in at.items()}
        rows = np.concatenate([r for _, r, _, _ in at.values()])
        seen, same = np.unique(mask[rows, : self.graph.first_sender(i)], axis=0, return_inverse=True)
        for j, row in enumerate(seen):
            normalized = block.ln1(self._input(np.pad(row, (0, mask.shape[1] - len(row))), off, outputs, i))
            begin = 0
            for kind, (project, own, places, _) in at.items():
                mine = places[same.ravel()[begin : begin + len(own)] == j]
                begin += len(own)
                if len(mine):
                    values[kind][:, mine] = project(normalized)[:, mine]
        q, k = values["q"], values["k"]
        if config.positions == "rotary":
            q, k = block.attn.rotate(q, batch), block.attn.rotate(k, batch)
        return block.attn.attend(q, k, values["v"], batch, NO_TAP, f"blocks.{i}.attn.")

    def _written(self, i: int, block: Any, z: Floats, heads: NDArray[np.intp]) -> Floats:
        """Return what each head adds to the stream, (n, N, D): the projection of its own part, without the bias."""
        alone = np.zeros((len(heads), *z.shape), np.float32)
        for j, head in enumerate(heads):
            alone[j, :, head] = z[:, head]
        out = block.attn.o(alone.reshape(-1, *z.shape[1:])).reshape(len(heads), len(z), -1)
        return out - self._constant[i]

    def _attention_bias(self, i: int) -> Floats:
        """Return what a block's attention adds whatever its heads read, (D,)."""
        block = next(b for j, b in enumerate(self._parts.layers.blocks) if j == i)
        return block.attn.o(np.zeros((1, self.config.n_heads, self.config.d_head), np.float32))[0]

    def _input(self, row: NDArray[np.bool_], off: Floats | None, outputs: Floats, block: int,
               after_heads: bool = False) -> Floats:
        """Return the stream that a reader with these edges sees before a block, (N, D)."""
        n = self.graph.first_sender(block) + (self.config.n_heads if after_heads else 0)
        on = row[:n]
        total = np.zeros(outputs.shape[1:], np.float32)
        for value in outputs[:n][on]:  # in the order of the forward pass, so that equal circuits have equal bits
            total += value
        for value in () if off is None else off[:n][~on]:
            total += value
        for bias in self._constant[: block + after_heads]:
            total += bias
        return total


def _mlp(gated: bool, mlp: Any, x: Floats) -> Floats:
    if gated:
        return mlp.down(mlp.activate(mlp.gate(x)) * mlp.up(x))
    return mlp.down(mlp.activate(mlp.up(x)))


def ablated(ablation: Ablation, own: Senders, other: Senders | None) -> Floats:
    """Return what edges that are off carry, (U, N, D): the other texts' values, zeros, or means over all tokens.

    Raises: UsageError where there are no other texts to take values from.
    """
    if ablation == "zero":
        return np.zeros_like(own.outputs)
    if ablation == "mean":
        source = own.outputs if other is None else other.outputs
        return np.broadcast_to(source.mean(1, keepdims=True), source.shape)
    if other is None:
        raise UsageError("ablation='resample' needs corrupt texts; give them, or choose zero or mean")
    return other.outputs
