"""What the matrices of a model are multiplied with, measured on text, with one block in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from petitlm.checkpoint import Checkpoint
from petitlm.engine.formats import Packed, formats_for
from petitlm.engine.kernels import Floats, Kernels
from petitlm.engine.layers import Weights
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.errors import UsageError

BITS = 8
"""Weights of a block that is run: their rounding is a hundredth of what is measured with it."""
TOKENS = 2048
"""Tokens of one run through a block."""
_STRIPE = 2048  # columns of a product of activations: narrower ones take two to three times as long


class Calibration:
    """Second moments of what goes into each matrix, E[x x^T] (C, C), or their diagonal E[x^2] (C,).

    Each block runs as a model of one block: what earlier ones made of the text is put in at its tap
    `hook_resid_pre`. In memory are the residual stream of all tokens, one block's weights, and the moments
    of one block.
    """

    def __init__(self, source: Checkpoint, sequences: Sequence[Sequence[int]], kernels: Kernels, whole: bool) -> None:
        config = source.config
        self._sequences = [list(ids[: config.n_ctx]) for ids in sequences if len(ids)]
        if not self._sequences:
            raise UsageError("there is no text to calibrate with; give some, a few thousand words if you can")
        self._source, self._kernels, self._whole, self._block = source, kernels, whole, -1
        self.n_tokens = sum(map(len, self._sequences))
        self.moments: dict[str, Floats] = {}
        """Of the block run last, by tap."""
        self._x = self._embedded()

    def of(self, name: str) -> Floats | None:
        """Return the moments of what matrix `name` is multiplied with; None for an embedding, which is looked up.

        Ask block after block: the moments of earlier ones are gone.
        """
        last = self._source.config.n_layers - 1
        if name == "unembed.weight":
            self._run_to(last)
            return self.moments["ln_final.hook_normalized"]
        if not name.startswith("blocks."):
            return None
        _, index, part = name.split(".", 2)
        self._run_to(int(index))
        return self.moments[f"blocks.0.{self._input_of(part)}"]

    def _input_of(self, part: str) -> str:
        if part == "attn.o.weight":
            return "attn.hook_z"
        if part == "mlp.down.weight":
            return "mlp.hook_post"
        after = part.startswith("mlp.") and not self._source.config.parallel_block
        return "ln2.hook_normalized" if after else "ln1.hook_normalized"

    def _embedded(self) -> Floats:
        x = self._source.read("embed.weight")[np.concatenate(self._sequences)]
        if self._source.config.positions == "learned":
            learned = self._source.read("pos_embed.weight")
            x += np.concatenate([learned[: len(ids)] for ids in self._sequences])
        self._source.release()
        return x

    def _run_to(self, index: int) -> None:
        assert index >= self._block, "blocks are asked for in order"
        while self._block < index:
            self._block += 1
            self._run_block(self._block)

    def _run_block(self, index: int) -> None:
        # One row of vocabulary: its logits are not looked at.
        config = self._source.config.with_(n_layers=1, n_vocab=1, tied=False, bos_id=None, eos_id=None)
        runner = EngineRunner(config, self._weights(index, config.tensor_shapes()), self._kernels, cache="f32")
        inputs = {f"blocks.0.{self._input_of(part)}" for part in ("attn.q.weight", "attn.o.weight", "mlp.up.weight",
                                                                  "mlp.down.weight")}  # fmt: skip
        if index == self._source.config.n_layers - 1:
            inputs.add("ln_final.hook_normalized")
        self.moments, begin = {}, 0
        for batch in self._batches():
            lengths = [len(ids) for ids in batch]
            end = begin + sum(lengths)
            tap = _BlockTap(self._x[begin:end], inputs, self.moments, self._whole)
            positions = as_ints(np.concatenate([np.arange(n) for n in lengths]))
            slots = as_ints(np.repeat(np.arange(len(lengths)), lengths))
            runner.session(len(batch), max(lengths)).step(np.zeros_like(positions), positions, slots, None, tap)
            self._x[begin:end] = tap.out
            begin = end
        for total in self.moments.values():
            total /= self.n_tokens
            if self._whole:
                for left, right in _stripes(len(total)):
                    total[left:right, :left] = total[:left, left:right].T

    def _weights(self, index: int, shapes: dict[str, tuple[int, ...]]) -> Weights:
        weights: dict[str, Packed | Floats] = {}
        for name, shape in shapes.items():
            of_block = name.startswith(("blocks.", "ln_final."))
            values = (self._source.read(name.replace("blocks.0.", f"blocks.{index}.")) if of_block
                      else np.zeros(shape, np.float32))
            format = formats_for(BITS, name)
            weights[name] = values if format is None else Packed(format, shape[0], shape[1],
                                                                 self._kernels.pack(values, format)[0])
            self._source.release()
        return weights

    def _batches(self) -> list[list[list[int]]]:
        batches: list[list[list[int]]] = []
        room = 0
        for ids in self._sequences:
            if len(ids) > room:
                batches.append([])
                room = TOKENS
            batches[-1].append(ids)
            room -= len(ids)
        return batches


class _BlockTap:
    """Puts the residual stream in, takes it out again, and adds up the moments of what is between."""

    def __init__(self, x: Floats, inputs: set[str], moments: dict[str, Floats], whole: bool) -> None:
        self._x, self._inputs, self._moments, self._whole = x, inputs, moments, whole
        self.out = x

    def wants(self, name: str, /) -> bool:
        return name in self._inputs or name.endswith(("hook_resid_pre", "hook_resid_post"))

    def __call__(self, name: str, value: Floats, /) -> Floats:
        if name == "blocks.0.hook_resid_pre":
            return self._x.copy()
        if name == "blocks.0.hook_resid_post":
            self.out = value.copy()
        if name in self._inputs:
            x = value.reshape(len(value), -1)
            if name not in self._moments:
                self._moments[name] = np.zeros(x.shape[1:] * (2 if self._whole else 1), np.float32)
            if self._whole:
                for left, right in _stripes(x.shape[1]):  # H is symmetric: what is above its diagonal is enough
                    self._moments[name][:right, left:right] += x[:, :right].T @ x[:, left:right]
            else:
                self._moments[name] += (x * x).sum(0)
        return value


def _stripes(columns: int) -> Iterator[tuple[int, int]]:
    return ((left, min(left + _STRIPE, columns)) for left in range(0, columns, _STRIPE))
