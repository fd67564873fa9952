"""The order of training: a permutation at every size, the same one as its slow twin's, and its inverse."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.provenance.order import Blocks, permute, unpermute
from petitlm.errors import UsageError

_64 = (1 << 64) - 1


def twin(place: int, n: int, seed: int, epoch: int) -> int:
    """The same permutation, one place at a time and in Python's own integers."""
    digest = hashlib.blake2b(b"petit blocks 1" + seed.to_bytes(8, "little") + epoch.to_bytes(8, "little")).digest()
    bits = 1
    while 4**bits < n:
        bits += 1
    while True:
        left, right = place >> bits, place % (1 << bits)
        for r in range(6):
            x = (right + int.from_bytes(digest[8 * r : 8 * r + 8], "little")) & _64
            x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & _64
            x = ((x ^ x >> 27) * 0x94D049BB133111EB) & _64
            left, right = right, left ^ (x ^ x >> 31) % (1 << bits)
        place = left << bits | right
        if place < n:
            return place


@given(st.integers(1, 300), st.integers(0, _64), st.integers(0, 1000))
def test_it_is_a_permutation_and_its_inverse_undoes_it(n: int, seed: int, epoch: int) -> None:
    images = permute(np.arange(n), n, seed, epoch)
    assert sorted(images.tolist()) == list(range(n))
    assert unpermute(images, n, seed, epoch).tolist() == list(range(n))


@given(st.integers(1, 10**12), st.integers(0, _64), st.integers(0, 50), st.data())
def test_it_is_its_twin_at_any_size(n: int, seed: int, epoch: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, n - 1))
    assert permute(np.array([place]), n, seed, epoch).tolist() == [twin(place, n, seed, epoch)]


def test_the_order_of_a_seed_stays_what_it_is() -> None:
    assert permute(np.arange(10), 10, 0, 0).tolist() == [5, 4, 2, 1, 3, 6, 0, 7, 8, 9]


def test_every_place_is_as_likely_as_another() -> None:
    """Where block 0 goes, over 8,000 seeds and ten places: chi-squared with 9 degrees of freedom below its 0.999
    quantile, 27.9."""
    n, seeds = 10, 8_000
    counts = Counter(int(permute(np.array([0]), n, seed, 0)[0]) for seed in range(seeds))
    assert sum((counts[i] - seeds / n) ** 2 / (seeds / n) for i in range(n)) < 27.9


@given(st.integers(2, 400), st.integers(1, 40), st.integers(0, 99))
def test_each_pass_reads_every_block_once(n_tokens: int, length: int, seed: int) -> None:
    if n_tokens <= length:
        with pytest.raises(UsageError, match="shorter length"):
            Blocks(n_tokens, length, seed)
        return
    order = Blocks(n_tokens, length, seed)
    read = order.at(0, 3 * order.n_blocks).tolist()
    for epoch in range(3):
        assert sorted(read[epoch * order.n_blocks :][: order.n_blocks]) == list(range(order.n_blocks))
    for block in range(order.n_blocks):
        assert order.when(block, len(read)) == [i for i, one in enumerate(read) if one == block]
    assert order.n_blocks * length + 1 <= n_tokens < (order.n_blocks + 1) * length + 1
