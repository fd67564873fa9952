"""Rows become batches: every row once, nothing cut, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.config import ModelConfig
from petitlm.errors import ContextError, ShapeError, UsageError
from petitlm.train.batches import Batches, Row, collate

CONFIG = ModelConfig(n_layers=1, d_model=8, n_heads=1, d_head=8, d_mlp=16, n_vocab=50, n_ctx=20, n_rotary=4)


def row(*ids: int, weights: list[float] | None = None) -> Row:
    return Row(np.array(ids), np.array(weights or [1.0] * len(ids)))


def test_a_batch_lists_what_comes_after_each_position() -> None:
    batch = collate([row(5, 6, 7, weights=[0.5, 0, 1]), row(8, 9, weights=[1, 0.25])])
    assert batch.ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.wanted.tolist() == [1, 3]  # after 6 comes 7; after 8 comes 9; 5 to 6 weighs nothing
    assert batch.targets.tolist() == [7, 9]
    assert batch.weights.tolist() == [1, 0.25]


LENGTHS = st.lists(st.integers(2, 20), min_size=1, max_size=60)


@given(lengths=LENGTHS, tokens=st.integers(1, 100), seed=st.integers(0, 9))
def test_a_pass_holds_every_row_once(lengths: list[int], tokens: int, seed: int) -> None:
    rows = [row(*([i % 49 + 1] * n)) for i, n in enumerate(lengths)]
    batches = Batches(rows, CONFIG, tokens, seed)
    given_back = sorted(tuple(ids[ids > 0]) for batch in batches.once(0) for ids in batch.ids)
    assert given_back == sorted(tuple(r.ids) for r in rows)


@given(lengths=LENGTHS, tokens=st.integers(20, 100))
def test_batches_stay_within_their_tokens(lengths: list[int], tokens: int) -> None:
    rows = [row(*range(n)) for n in lengths]
    assert all(batch.ids.size <= tokens for batch in Batches(rows, CONFIG, tokens, 0).once(0))


def test_rows_of_like_length_go_together() -> None:
    rows = [row(*range(1, n + 1)) for n in range(2, 20) for _ in range(40)]
    padding = sum(int((batch.ids == 0).sum()) for batch in Batches(rows, CONFIG, 200, 0).once(0))
    assert padding < 0.05 * sum(len(r.ids) for r in rows)


def test_order_follows_seed_and_pass_alone() -> None:
    rows = [row(i % 49, (7 * i) % 49) for i in range(100)]

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.ids.tolist() for batch in Batches(rows, CONFIG, 20, seed).once(epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    passes = Batches(rows, CONFIG, 20, 1).forever()
    assert [next(passes)[1].ids.tolist() for _ in range(len(order(1, 0)))] == order(1, 0)
    assert next(passes)[0] == 1


@pytest.mark.parametrize(("rows", "error", "message"), [
    ([], UsageError, "no row"),
    ([row(*range(21))], ContextError, "row 0 has 21 tokens, more than n_ctx=20"),
    ([row(1, 2), row(1, 50)], ShapeError, "row 1 has ids from 1 to 50, outside 0 to n_vocab - 1 = 49"),
    ([row(-1, 2)], ShapeError, "ids from -1 to 2"),
    ([row(1)], UsageError, "no token to learn"),
    ([row(1, 2, weights=[1, 0])], UsageError, "no token to learn"),
    ([row(1, 2, weights=[1, -1])], UsageError, "weights of at least 0"),
    ([Row(np.array([1, 2]), np.array([1.0]))], ShapeError, "2 ids and 1 weights"),
])
def test_rows_that_cannot_be_learnt_from_are_refused(rows: list[Row], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Batches(rows, CONFIG, 100, 0)
