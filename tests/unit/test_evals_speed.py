"""Speed reports: what is timed, what is divided by what, and what is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from petitlm import sizes
from petitlm.config import ModelConfig
from petitlm.errors import UsageError
from petitlm.evals import conditions, speed

CONFIG = ModelConfig(2, 64, 4, 16, 256, n_vocab=512, n_ctx=128, n_rotary=8, eos_id=511)


@dataclass
class Result:
    ids: list[int]
    prefill_s: float
    decode_s: float


class Steady:
    """A model that takes 1 ms for each prompt token and 0.5 s to decode anything."""

    config, bits, threads = CONFIG, 4, 1

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], int, dict[int, float]]] = []

    def generate(self, prompt: list[int], /, *, max_tokens: int, logit_bias: dict[int, float], speculate: None) -> Any:
        self.asked.append((prompt, max_tokens, logit_bias))
        time.sleep(0.001 * len(prompt))
        return Result([1] * max_tokens, 0.001 * len(prompt), 0.5)


def test_a_report_divides_tokens_by_their_own_time() -> None:
    model = Steady()
    report = speed.measure(model, prefill=50, contexts=(10, 20), n_tokens=25, repetitions=3, bandwidth=lambda: 1e6,
                           conditions={"threads": 1})
    assert 20 < report.prefill_tokens_per_s.median < 1000.0, "50 tokens in a little over 50 ms"
    assert [row.context for row in report.decode] == [10, 20]
    assert report.decode[0].tokens_per_s == speed.Spread(50.0, 50.0, 50.0, 3), "25 tokens in 0.5 s"
    ceiling = 1e6 / report.weight_bytes_per_token
    assert report.decode[0].ceiling_tokens_per_s == pytest.approx(ceiling)
    assert report.decode[0].share == pytest.approx(50 / ceiling)
    prompts = [tuple(prompt) for prompt, _, _ in model.asked]
    assert len(set(prompts)) == len(prompts), "no prompt is repeated: an engine may keep prefixes"
    assert all(bias == {511: speed.NEVER} for _, _, bias in model.asked), "the end token cannot shorten a repetition"


def test_without_a_bandwidth_there_is_no_share() -> None:
    report = speed.measure(Steady(), prefill=5, contexts=(5,), n_tokens=5, repetitions=1, bandwidth=None, conditions={})
    assert report.bandwidth_bytes_per_s is report.decode[0].share is None


@pytest.mark.parametrize(("prefill", "contexts", "n_tokens", "said"), [
    (128, (1,), 1, "prefill needs 129 tokens and the context has 128"),
    (1, (1, 100), 28, "ctx \\+ gen needs 129 tokens"),
])
def test_lengths_beyond_the_context_are_refused(prefill: int, contexts: tuple[int, ...], n_tokens: int,
                                                said: str) -> None:
    with pytest.raises(UsageError, match=said):
        speed.measure(Steady(), prefill=prefill, contexts=contexts, n_tokens=n_tokens, repetitions=1, bandwidth=None,
                      conditions={})


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_decoding_reads_every_weight_but_the_looked_up_embeddings(bits: int) -> None:
    embedding = sizes.tensor_bytes("embed.weight", (CONFIG.n_vocab, CONFIG.d_model), bits)
    assert speed.decode_bytes(CONFIG, bits) == sizes.weight_bytes(CONFIG, bits) - embedding
    tied = CONFIG.with_(tied=True)
    assert speed.decode_bytes(tied, bits) == sizes.weight_bytes(tied, bits), "a tied head reads the embedding"


def test_spread() -> None:
    assert speed.Spread.of([3.0, 1.0, 2.0, 10.0]) == speed.Spread(2.5, 1.0, 10.0, 4)
    assert str(speed.Spread.of([1234.6, 1200, 2000])) == "1,235 (1,200..2,000)"
    assert str(speed.Spread.of([0.25])) == "0.2500 (0.2500..0.2500)"


def test_random_ids_repeat_with_their_seed_and_avoid_special_tokens() -> None:
    ids = speed.random_ids(CONFIG, 100, seed=1)
    assert ids == speed.random_ids(CONFIG, 100, seed=1) != speed.random_ids(CONFIG, 100, seed=2)
    assert min(ids) >= 32
    assert max(ids) < 480


def test_conditions_describe_this_machine() -> None:
    facts = conditions.machine()
    assert facts["cores"] >= 1
    assert facts["memory_bytes"] > 1 << 28
    assert facts["processor"]
    assert conditions.peak_memory() > 1 << 20
    age = conditions.seconds_since_process_start()
    assert age is None or 0 < age < 86400


def test_own_work_is_not_counted_as_others() -> None:
    other = conditions.OtherWork()
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    cores = other.cores()
    assert cores is None or cores >= 0
