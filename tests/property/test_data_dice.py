"""Fast dice fall as `random.Random` does: same choices, and the same state after them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.dice import Dice

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("choice"), st.integers(1, 300), st.just(0)),
        st.tuples(st.just("randint"), st.integers(-1000, 1000), st.integers(0, 10**12)),
        st.tuples(st.just("sample"), st.integers(0, 60), st.integers(0, 60)),
        st.tuples(st.just("shuffle"), st.integers(0, 20), st.just(0)),
        st.tuples(st.just("random"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


def play(rng: Random, acts: list[tuple[str, int, int]]) -> list[object]:
    said: list[object] = []
    for act, n, m in acts:
        if act == "choice":
            said.append(rng.choice(range(n)))
        elif act == "randint":
            said.append(rng.randint(n, n + m))
        elif act == "sample":
            said.append(rng.sample(range(n), min(n, m)))
        elif act == "shuffle":
            cards = list(range(n))
            rng.shuffle(cards)
            said.append(cards)
        else:
            said.append(rng.random())
    return [*said, rng.getstate()]


@given(st.integers(0, 2**64), ACTS)
def test_dice_give_what_random_gives(seed: int, acts: list[tuple[str, int, int]]) -> None:
    assert play(Dice(seed), acts) == play(Random(seed), acts)


@pytest.mark.parametrize("n", [*range(1, 30), 63, 64, 65])
@pytest.mark.parametrize("k", range(6))
def test_small_samples_of_every_size(n: int, k: int) -> None:
    for seed in range(20):
        taken = Dice(seed).sample(range(n), min(n, k))
        assert taken == Random(seed).sample(range(n), min(n, k))
        assert len(set(taken)) == min(n, k)


def test_dice_refuse_what_random_refuses() -> None:
    for rng in (Dice(0), Random(0)):
        with pytest.raises(IndexError):
            rng.choice([])
        with pytest.raises(ValueError):
            rng.randint(2, 1)
        with pytest.raises(ValueError):
            rng.sample(range(3), 4)
    assert Dice(3).sample(["a", "b"], 3, counts=[2, 2]) == Random(3).sample(["a", "b"], 3, counts=[2, 2])
