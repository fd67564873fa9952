"""TorchRunner: the engine's small running interface over torch layers, for research and for tests.

It takes the same flattened batches and hands taps the same shapes in NumPy, so everything built on
the engine (generation, traces, edits) runs on torch layers too. It is made to be compared with, not
to be fast: each sequence's attention is its own multiplication, and a cache is re-joined at each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from petitlm.decoder import NO_TAP, Tap
from petitlm.errors import ContextError
from petitlm.model.batch import Cache
from petitlm.model.decoder import Decoder

if TYPE_CHECKING:
    from jaxtyping import Float32, Int


class TorchRunner:
    """One decoder's weights; sessions made from it share them."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.config = decoder, decoder.config

    def session(self, slots: int, length: int) -> TorchSession:
        """Return a session; its caches grow as tokens come, so neither number binds it."""
        return TorchSession(self.decoder)


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
            cache = self._caches.setdefault(slot, Cache())
            self._check(slot, np.asarray(positions)[rows], cache.length)
            members.append((cache, torch.from_numpy(rows)))
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

    def keep(self, slot: int, length: int) -> None:
        """Forget what lies after the first `length` tokens of a slot."""
        blocks = self._caches.pop(slot, Cache()).blocks
        if length:
            self._caches[slot] = Cache({i: (k[:, :length], v[:, :length]) for i, (k, v) in blocks.items()})

    def _check(self, slot: int, positions: np.ndarray, start: int) -> None:
        expected = np.arange(start, start + len(positions))
        if not np.array_equal(positions, expected):
            raise ContextError(f"slot {slot} holds {start} tokens, but positions {positions.tolist()[:8]} were given; "
                               f"go on at {start}, or call keep({slot}, {int(positions[0])}) first")
        if len(expected) and expected[-1] >= self.config.n_ctx:
            raise ContextError(f"{expected[-1] + 1} tokens do not fit in n_ctx={self.config.n_ctx}")


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
