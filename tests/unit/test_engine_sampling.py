"""Choosing tokens: each option does what its definition says, and nothing unused is ever chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from petitlm.engine.sampling import Sampler, Sampling, likeliest, log_softmax
from petitlm.errors import UsageError

V = 50
NONE = np.zeros(V, bool)


def logits(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, V).astype(np.float32)


def drawn(sampling: Sampling, n: int = 2000, forbidden: np.ndarray = NONE) -> set[int]:
    sampler = Sampler(sampling, forbidden, [])
    return {sampler.choose(logits()).id for _ in range(n)}


def test_greedy_takes_the_likeliest_and_the_lower_id_of_equals() -> None:
    row = np.zeros(V, np.float32)
    row[[7, 30]] = 5
    assert Sampler(Sampling(), NONE, []).choose(row).id == 7


def test_draws_follow_the_probabilities() -> None:
    sampler = Sampler(Sampling(temperature=0.7, seed=3), NONE, [])
    counts = np.bincount([sampler.choose(logits()).id for _ in range(20000)], minlength=V) / 20000
    expected = np.exp(log_softmax(logits() / np.float32(0.7)))
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected.max() / 20000)


def test_top_k_keeps_k() -> None:
    assert drawn(Sampling(temperature=5, top_k=4)) == set(np.argsort(-logits())[:4].tolist())


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9])
def test_top_p_keeps_the_fewest_that_reach_the_share(top_p: float) -> None:
    order = np.argsort(-logits())
    reached = np.exp(log_softmax(logits()))[order].cumsum()
    expected = order[: int((reached < top_p).sum()) + 1]
    assert drawn(Sampling(temperature=1, top_p=top_p), 20000) == set(expected.tolist())


def test_top_p_over_a_large_flat_vocabulary() -> None:
    sampler = Sampler(Sampling(temperature=1, top_p=0.5), np.zeros(3000, bool), [])
    assert {sampler.choose(np.zeros(3000, np.float32)).id for _ in range(5000)} <= set(range(1501))


def test_min_p_is_a_share_of_the_likeliest() -> None:
    p = np.exp(log_softmax(logits()))
    assert drawn(Sampling(temperature=1, min_p=0.3), 20000) == set(np.flatnonzero(p >= 0.3 * p.max()).tolist())


def test_repetition_penalty_lowers_seen_tokens_of_either_sign() -> None:
    row = np.full(V, -5, np.float32)
    row[[1, 2]] = [3.0, 2.0]
    assert Sampler(Sampling(repetition_penalty=2), NONE, [1]).choose(row.copy()).id == 2
    row[[1, 2]] = [-1.0, -1.5]
    assert Sampler(Sampling(repetition_penalty=2), NONE, [1]).choose(row.copy()).id == 2
    sampler = Sampler(Sampling(repetition_penalty=1.6), NONE, [])
    row[[1, 2]] = [3.0, 2.0]
    assert [sampler.choose(row.copy()).id for _ in range(2)] == [1, 2]  # what was chosen counts too


def test_logit_bias_moves_tokens() -> None:
    assert Sampler(Sampling({13: 100.0}), NONE, []).choose(logits()).id == 13
    best = int(logits().argmax())
    assert best not in drawn(Sampling({best: -100.0}, temperature=1))


def test_rows_without_text_are_never_chosen_and_have_no_share() -> None:
    forbidden = NONE.copy()
    forbidden[np.argsort(-logits())[:5]] = True
    assert not drawn(Sampling(temperature=3), forbidden=forbidden) & set(np.flatnonzero(forbidden).tolist())
    choice = Sampler(Sampling(), forbidden, [], n_top=V).choose(logits())
    assert not forbidden[choice.id]
    assert len(choice.top) == V - 5
    assert sum(np.exp(p) for _, p in choice.top) == pytest.approx(1)


def test_logprobs_are_the_models_own() -> None:
    """Temperature, bias and penalty change what is chosen, not what is reported."""
    options = Sampling({3: 5.0}, repetition_penalty=1.5, temperature=2.0, seed=1)
    choice = Sampler(options, NONE, [3, 4], n_top=3).choose(logits())
    expected = log_softmax(logits())
    assert choice.logprob == pytest.approx(expected[choice.id])
    assert [i for i, _ in choice.top] == np.argsort(-expected)[:3].tolist()


def test_seed_and_index_decide_the_draws() -> None:
    def ids(seed: int, index: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1, seed=seed), NONE, [], index)
        return [sampler.choose(logits(i)).id for i in range(30)]

    assert ids(1, 0) == ids(1, 0)
    assert len({tuple(ids(seed, index)) for seed in (1, 2) for index in (0, 1)}) == 4


FEW_VALUES = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])  # many equals


@given(arrays(np.float32, st.integers(1, 40), elements=FEW_VALUES), st.integers(0, 45))
def test_likeliest_is_a_stable_sort(scores: np.ndarray, k: int) -> None:
    order = [i for i in np.argsort(-scores, kind="stable") if np.isfinite(scores[i])]
    assert likeliest(scores, k).tolist() == order[:k]


@pytest.mark.parametrize(("options", "name"), [
    (dict(temperature=-1.0), "temperature=-1.0"), (dict(top_k=-1), "top_k=-1"), (dict(top_p=0.0), "top_p=0.0"),
    (dict(top_p=1.5), "top_p=1.5"), (dict(min_p=2.0), "min_p=2.0"), (dict(seed=-1), "seed=-1"),
    (dict(repetition_penalty=0.0), "repetition_penalty=0.0"), (dict(logit_bias={1: float("nan")}), "logit_bias"),
    (dict(temperature=float("nan")), "temperature=nan"),
])  # fmt: skip
def test_impossible_options_are_refused_by_name(options: dict, name: str) -> None:
    with pytest.raises(UsageError, match=name.replace("[", r"\[")):
        Sampling(**options)


def test_impossible_ids_are_refused() -> None:
    with pytest.raises(UsageError, match="logit_bias=50 is not possible; token ids run from 0 to 49"):
        Sampler(Sampling({50: 1.0}), NONE, [])
    with pytest.raises(UsageError, match="logprobs=101"):
        Sampler(Sampling(), NONE, [], n_top=101)
