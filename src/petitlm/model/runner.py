"""TorchRunner: the engine's small running interface over torch layers, for research and for tests.

It takes the same flattened batches and hands taps the same shapes in NumPy, so everything built on
the engine (generation, traces, edits) runs on torch layers too. It is made to be compared with, not
to be fast: each sequence's attention is its own multiplication, and a cache is re-joined at each step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from petitlm.checkpoint import Checkpoint
from petitlm.decoder import NO_TAP, Tap
from petitlm.errors import ContextError
from petitlm.model.batch import Cache
from petitlm.model.decoder import Decoder
from petitlm.model.exchange import load_decoder

if TYPE_CHECKING:
    from jaxtyping import Float32, Int


class TorchRunner:
    """One decoder's weights; sessions made from it share them."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.config = decoder, decoder.config

    kind = "torch"
    exact = False  # matrix products of another height may be cut up, and so rounded, differently

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, in hexadecimal."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name, weight in sorted(self.decoder.named_parameters()):
            digest.update(repr((name, tuple(weight.shape), str(weight.dtype))).encode())
            digest.update(np.ascontiguousarray(weight.detach().float().numpy()).data)
        return digest.hexdigest()

    def session(self, slots: int, length: int) -> TorchSession:
        """Return a session; its caches grow as tokens come, so neither number binds it."""
        return TorchSession(self.decoder)

    def readout(self, x: np.ndarray) -> np.ndarray:
        """Return the logits that a residual stream (N, D) gives through the final norm and the head, (N, V)."""
        with torch.no_grad():
            decoder = self.decoder
            normalized = decoder.ln_final(torch.as_tensor(x, dtype=decoder.embed.weight.dtype))
            return decoder.unembed(normalized).float().numpy()

    def weight(self, name: str, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return a weight as float32: (out, in) or some of its rows, or a vector."""
        stored = self.decoder.get_parameter(name).detach()
        return (stored if rows is None else stored[list(rows)]).float().numpy()


def load_runner(checkpoint: Checkpoint, threads: int) -> TorchRunner:
    """Load a checkpoint's weights as float32 torch layers, with torch on `threads` threads."""
    torch.set_num_threads(threads)
    return TorchRunner(load_decoder(checkpoint).eval())


class TorchSession:
    """The sequences of one caller, each in its cache slot; nothing here keeps gradients."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.config = decoder, decoder.config
        self._caches: dict[int, Cache] = {}

    def step(
        self, ids: Int[np.ndarray, "N"], positions: Int[np.ndarray, "N"], slots: Int[np.ndarray, "N"],
        wanted: Int[np.ndarray, "M"] | None = None, tap: Tap = NO_TAP,
    ) -> Float32[np.ndarray, "M V"]:  # fmt: skip
        """Run N tokens and return the logits of those at the indices `wanted`, or of all.

        The tokens of one slot come in order and continue where its cache ends.
        Raises: ContextError if a position is beyond n_ctx or does not continue its slot.
        """
        slots = np.asarray(slots)
        members: list[tuple[Cache, Tensor]] = []
        for slot in dict.fromkeys(slots.tolist()):
            rows = np.flatnonzero(slots == slot)
            members.append((self._past(slot, np.asarray(positions)[rows]), torch.from_numpy(rows)))
        wanted = np.arange(len(slots)) if wanted is None else wanted
        ids_, positions_, wanted_ = (torch.as_tensor(np.asarray(x, dtype=np.int64)) for x in (ids, positions, wanted))
        with torch.no_grad():
            batch = self.decoder.slots(ids_, positions_, members, wanted_)
            return self.decoder(batch, _NumpyTap(tap)).float().numpy()

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot `target` the first `length` positions of slot `source`."""
        # Keys and values are only ever replaced by longer or shorter tensors, never written into.
        blocks = self._caches.get(source, Cache()).blocks
        self._caches[target] = Cache({i: (k[:, :length], v[:, :length]) for i, (k, v) in blocks.items()})

    def reserve(self, length: int) -> None:
        """Caches here grow by themselves: nothing to do."""

    def _past(self, slot: int, positions: np.ndarray) -> Cache:
        """Return the slot's cache up to the first of `positions`: what lay after it is overwritten."""
        start = int(positions[0])
        cache = self._caches.get(slot, Cache())
        if start > cache.length or not np.array_equal(positions, np.arange(start, start + len(positions))):
            raise ContextError(f"slot {slot} holds {cache.length} tokens, but positions {positions.tolist()[:8]} were "
                               f"given; go on at {cache.length} or before, without gaps")
        if start + len(positions) > self.config.n_ctx:
            raise ContextError(f"{start + len(positions)} tokens do not fit in n_ctx={self.config.n_ctx}")
        if start < cache.length:
            self.copy(slot, slot, start)
        return self._caches.setdefault(slot, cache)


class _NumpyTap:
    """Shows torch values to a NumPy tap, and takes over what it returns if that is another array."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self.wants = tap.wants
        self._idle = tap is NO_TAP

    def __call__(self, name: str, value: Tensor, /) -> Tensor:
        if self._idle:
            return value
        seen = value.float().numpy() if value.dtype != torch.float64 else value.numpy()
        result = self._tap(name, seen)
        return value if result is seen else torch.from_numpy(np.ascontiguousarray(result)).to(value.dtype)
