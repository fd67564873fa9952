"""Values at a tap, streamed from many texts in random order: what dictionaries and lenses are trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_texts
from petitlm.errors import UsageError
from petitlm.look.models import Model

POOL_BYTES = 256 << 20
"""What the values that wait to be drawn may take."""

Pair = tuple[Floats, Floats]


class Activations:
    """The values that tokens have at one tap, and at a second one, run when they are needed and drawn at random.

    What fits into the pool is run once; beyond that, half of the pool is run anew each time half was drawn. The first
    token of a text is left out: it sees nothing but itself, and in many models its value is an outlier (Xiao et al.
    2024, attention sinks).
    Deterministic: the same model, texts and seed give the same draws.
    """

    def __init__(self, model: Model, texts: Sequence[Sequence[int]], reads: str, writes: str, *, seed: int,
                 pool_bytes: int = POOL_BYTES, skip: int = 1) -> None:
        self.model, self.reads, self.writes, self.seed, self.skip = model, reads, writes, seed, skip
        self.texts = [ids for ids in texts if len(ids) > skip]
        self.n_tokens = sum(len(ids) - skip for ids in self.texts)
        """Tokens that can be drawn, each once in a round."""
        if not self.n_tokens:
            raise UsageError(f"no text has more than {skip} tokens; give longer texts")
        self._pool_bytes = pool_bytes

    def once(self, order: Sequence[int] | None = None) -> Iterator[Pair]:
        """Yield (values read (T, D), values written (T, E)) text by text, flat in the last axis."""
        texts = self.texts if order is None else [self.texts[i] for i in order]
        taps = list(dict.fromkeys((self.reads, self.writes)))
        for trace in run_texts(self.model.runner, texts, taps, wanted="none"):
            flat = {tap: trace[tap][self.skip :].reshape(len(trace.ids) - self.skip, -1) for tap in taps}
            yield flat[self.reads], flat[self.writes]

    def batches(self, size: int) -> Iterator[Pair]:
        """Yield batches of `size` tokens without end.

        Raises: UsageError if the texts have fewer tokens.
        """
        if size > self.n_tokens:
            raise UsageError(f"a batch of {size} tokens is more than the texts' {self.n_tokens}; give more texts, or "
                             "smaller batches")
        rng = np.random.default_rng(self.seed)
        first = next(self.once([0]))
        room = max(2 * size, self._pool_bytes // (4 * (first[0].shape[1] + first[1].shape[1])))
        return self._kept(rng, size) if self.n_tokens <= room else self._refilled(rng, size, room)

    def _kept(self, rng: np.random.Generator, size: int) -> Iterator[Pair]:
        x, y = _joined(list(self.once()))
        while True:
            order = rng.permutation(len(x))
            for at in range(0, len(x) - size + 1, size):
                rows = order[at : at + size]
                yield x[rows], y[rows]

    def _refilled(self, rng: np.random.Generator, size: int, room: int) -> Iterator[Pair]:
        parts: list[Pair] = []
        waiting = 0
        while True:
            for pair in self.once(rng.permutation(len(self.texts)).tolist()):
                parts.append(pair)
                waiting += len(pair[0])
                if waiting < room:
                    continue
                x, y = _joined(parts)
                order = rng.permutation(len(x))
                given = max(size, len(x) // 2 // size * size)
                for at in range(0, given, size):
                    rows = order[at : at + size]
                    yield x[rows], y[rows]
                parts, waiting = [(x[order[given:]], y[order[given:]])], len(x) - given


def _joined(parts: Sequence[Pair]) -> Pair:
    x = np.concatenate([x for x, _ in parts])
    return x, (x if all(a is b for a, b in parts) else np.concatenate([y for _, y in parts]))
