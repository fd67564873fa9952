"""The order in which training reads a corpus: a pure function of a seed, so that any step can be asked what it read.

The tokens of a corpus, shard after shard, are cut into blocks of `length` tokens, and each pass reads the blocks in an
order of its own. Block b gives one sequence: its inputs are tokens b*length to (b+1)*length, its targets the same one
further on. What is left at the end, less than a block and the one target behind it, is not read.

The order of a pass is a permutation with a key: a Feistel network over the smallest power of four that holds all
blocks, walked until it lands on a block (Black and Rogaway 2002, Ciphers with arbitrary finite domains, section 4).
It needs no memory, and can be inverted: which steps saw this token is as quick to say as which tokens this step saw.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.data.splitmix import mixed
from petitlm.errors import UsageError

SAMPLER = "blocks"
VERSION = 1
"""Raised by any change that alters the order."""

_ROUNDS = 6  # four make a Feistel network a pseudo-random permutation (Luby and Rackoff 1988); two to spare

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """The order of a corpus of `n_tokens`, for one seed."""

    n_tokens: int
    length: int
    """Tokens of a sequence."""
    seed: int

    def __post_init__(self) -> None:
        if self.length < 1 or self.n_tokens <= self.length or not 0 <= self.seed < 1 << 64:
            raise UsageError(f"a corpus of {self.n_tokens:,} tokens gives no block of {self.length} tokens and one "
                             f"target with the seed {self.seed}; choose a shorter length and a seed of 0 or more")

    @property
    def n_blocks(self) -> int:
        """Sequences of one pass."""
        return (self.n_tokens - 1) // self.length

    def at(self, first: int, n: int) -> Indices:
        """Block numbers of `n` sequences (n,) from the `first` on, over as many passes as that takes."""
        sequences = np.arange(first, first + n, dtype=np.int64)
        passes = sequences // self.n_blocks
        return np.concatenate([np.zeros(0, np.int64), *(
            permute(sequences[passes == p] % self.n_blocks, self.n_blocks, self.seed, int(p))
            for p in np.unique(passes))])

    def when(self, block: int, end: int) -> list[int]:
        """The sequences, all before `end`, that read a block: one of each pass."""
        n = self.n_blocks
        found = (p * n + int(unpermute(np.array([block]), n, self.seed, p)[0]) for p in range(-(-end // n)))
        return [sequence for sequence in found if sequence < end]


def permute(places: Indices, n: int, seed: int, epoch: int) -> Indices:
    """Where the permutation of pass `epoch` sends each of `places` (M,), all below `n`."""
    return _walk(places, n, _keys(seed, epoch))


def unpermute(images: Indices, n: int, seed: int, epoch: int) -> Indices:
    """The places that `permute` sends to `images` (M,)."""
    return _walk(images, n, _keys(seed, epoch), back=True)


def _keys(seed: int, epoch: int) -> list[int]:
    digest = hashlib.blake2b(b"petit blocks 1" + seed.to_bytes(8, "little") + epoch.to_bytes(8, "little")).digest()
    return [int.from_bytes(digest[8 * r : 8 * r + 8], "little") for r in range(_ROUNDS)]


def _walk(places: Indices, n: int, keys: list[int], back: bool = False) -> Indices:
    half = max(1, ((n - 1).bit_length() + 1) // 2)  # bits of each half of the network
    values = _network(places.astype(np.uint64), half, keys, back)
    outside = values >= n
    while outside.any():  # the domain is at most four times n: three more walks on average, in the worst case
        values[outside] = _network(values[outside], half, keys, back)
        outside = values >= n
    return values.astype(np.int64)


def _network(values: NDArray[np.uint64], half: int, keys: list[int], back: bool) -> NDArray[np.uint64]:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in reversed(keys) if back else keys:
        if back:
            left, right = right ^ (mixed(left + np.uint64(key)) & mask), left
        else:
            left, right = right, left ^ (mixed(right + np.uint64(key)) & mask)
    return left << bits | right
