"""When to guess, decided from costs and luck; the draft model; what is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import petitlm
from petitlm.engine import speculation
from petitlm.engine.drafters import Lookup
from petitlm.engine.kernels import available_isas
from petitlm.engine.speculation import Costs, Odds, Speculator
from petitlm.errors import UsageError

TEXT = "to be or not to be, that is to be"
exact = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: the twins promise no bits")


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Guesser:
    """Right with a chance; looking takes `look_s` and guessing a token `guess_s`."""

    odds = (0.5,)
    learn_s = 0.0

    def __init__(self, clock: Clock, chance: float, look_s: float = 0.0, guess_s: float = 0.0) -> None:
        self.clock, self.chance, self.look_s, self.guess_s = clock, chance, look_s, guess_s

    def look(self, ids: list[int]) -> int:
        self.clock.now += self.look_s
        return 0

    def guess(self, ids: list[int], n: int) -> list[int]:
        self.clock.now += n * self.guess_s
        return [1] * n

    def close(self) -> None:
        pass


def seconds(monkeypatch: pytest.MonkeyPatch, cost, chance: float, n_tokens: int = 256, **times: float) -> float:
    """Return the time of an answer in plain passes, where a pass with k tokens more costs `cost(k)`."""
    clock, rng, made = Clock(), random.Random(3), 1
    monkeypatch.setattr(speculation, "time", clock)
    speculator = Speculator([Guesser(clock, chance, **times)], {}, 100)
    while made < n_tokens:
        start, guess, rest = clock.now, list[int](), speculator.rest > 0
        if rest:
            speculator.rest -= 1
        else:
            [guess] = speculator.guesses([(0, [0] * made, n_tokens - made - 1)])
        clock.now += cost(len(guess))
        if not rest:
            speculator.ran()
        elif not speculator.rest:
            speculator.rested(1, clock.now - start)
        right = next((i for i in range(len(guess)) if rng.random() >= chance), len(guess))
        if guess:
            speculator.learn(0, right)
        made += right + 1
    return clock.now / n_tokens


COSTS = {"large model": lambda k: 1 + 0.03 * k, "tiles of 4": lambda k: 1 + 0.8 * (k // 4) + 0.15 * (k % 4),
         "small model": lambda k: 1 + 0.2 * k, "no gain possible": lambda k: 1.0 + k}


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS.keys())
@pytest.mark.parametrize("chance", [0.0, 0.05, 0.3])
def test_wrong_guesses_cost_little(monkeypatch: pytest.MonkeyPatch, cost, chance: float) -> None:
    assert seconds(monkeypatch, cost, chance) < 1.015
    assert seconds(monkeypatch, cost, chance, look_s=0.05) < 1.03
    assert seconds(monkeypatch, cost, chance, guess_s=0.3) < 1.015


@pytest.mark.parametrize(("name", "chance", "at_most"), [
    ("large model", 0.97, 0.15), ("large model", 0.8, 0.4), ("tiles of 4", 0.97, 0.45), ("small model", 0.97, 0.45),
    ("no gain possible", 0.97, 1.015),
])
def test_right_guesses_gain(monkeypatch: pytest.MonkeyPatch, name: str, chance: float, at_most: float) -> None:
    assert seconds(monkeypatch, COSTS[name], chance) < at_most


def test_a_costly_draft_model_is_used_where_it_pays_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seconds(monkeypatch, COSTS["large model"], 0.8, guess_s=0.1) < 0.6
    assert seconds(monkeypatch, COSTS["large model"], 0.8, guess_s=1.0) < 1.015


def test_costs_between_measurements_are_read_off_a_line() -> None:
    costs = Costs()
    costs.record_plain(2.0)
    assert costs.of(4) == 1.4, "nothing known: a tenth of a pass a token"
    costs.prompt_token_s = 0.1
    assert costs.of(4) == pytest.approx(1.2)
    costs.record(4, 0.4, 3.0)
    assert costs.of(4) == 1.5 and costs.guess == pytest.approx(0.05)
    assert costs.of(2) == pytest.approx(1.25) and costs.of(8) == pytest.approx(2.0)
    costs.record(8, 0.0, 1000.0)
    costs.record(8, 0.0, 4.0)
    assert costs.of(8) < 500, "what something else disturbed wears off"


def test_odds_follow_what_happened() -> None:
    odds = Odds([0.5, 0.5])
    assert odds.expected(0, 1) == 0.5 and odds.expected(0, 2) == 0.75
    for _ in range(20):
        odds.learn(0, 4, 4)
        odds.learn(1, 0, 4)
    assert odds.expected(0, 8) > 7 and odds.expected(1, 8) < 0.1


def test_a_circle_and_a_followed_copy() -> None:
    lookup = Lookup()
    assert lookup.look([1, 2, 3]) is None
    assert lookup.look([1, 2, 3, 1]) == 0
    assert lookup.guess([1, 2, 3, 1], 7) == [2, 3, 1, 2, 3, 1, 2]
    # 8 tokens agreed with the first place: it is followed although the ending occurred again, later.
    text = [*range(10, 30), 0, *range(22, 28), 99, *range(10, 24)]
    lookup = Lookup()
    for n in range(1, len(text) + 1):
        lookup.look(text[:n])
    assert lookup.guess(text, 5) == [24, 25, 26, 27, 28]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, threads=1)


@exact
@pytest.mark.parametrize("options", [{}, dict(temperature=1.0, seed=4), dict(temperature=0.7, n=2, logprobs=2),
                                     dict(logit_bias={5: 8.0}, repetition_penalty=1.3)])
def test_a_draft_model_changes_nothing_and_is_right_where_it_agrees(model: petitlm.Model, tiny_folder: Path, options,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speculator, "_length", lambda self: 4)
    plain = model.generate(TEXT, max_tokens=40, speculate=None, **options)
    twin = petitlm.load(tiny_folder, threads=1)
    ours = model.generate(TEXT, max_tokens=40, speculate=twin, **options)
    assert ours.choices == plain.choices
    assert ours.acceptance == 1, "it draws with the same numbers from the same logits"
    assert ours.tokens_per_step > 3
    other = petitlm.load(tiny_folder, threads=1, bits=32)
    assert model.generate(TEXT, max_tokens=40, speculate=other, **options).choices == plain.choices
    assert plain.acceptance is None and plain.n_guessed == 0 and plain.tokens_per_step == 1 * options.get("n", 1)


@exact
def test_a_draft_model_keeps_what_it_ran(model: petitlm.Model, tiny_folder: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speculator, "_length", lambda self: 4)
    draft = petitlm.load(tiny_folder, threads=1)
    answer = model.generate(TEXT, max_tokens=12, speculate=draft)
    text = [*model.encode(TEXT), *answer.ids]
    assert draft.generate([*text, 5], max_tokens=1).n_reused >= len(TEXT)
    fresh = petitlm.load(tiny_folder, threads=1)
    assert draft.generate([*text, 5], max_tokens=9, logprobs=1).choices == \
        fresh.generate([*text, 5], max_tokens=9, logprobs=1).choices


@exact
def test_a_draft_with_less_context_stops_guessing_there(model: petitlm.Model, tiny_folder: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speculator, "_length", lambda self: 4)
    draft = petitlm.load(tiny_folder, threads=1, context=len(TEXT) + 10)
    ours = model.generate(TEXT, max_tokens=60, speculate=draft)
    assert ours.choices == model.generate(TEXT, max_tokens=60, speculate=None).choices
    assert 0 < ours.n_guessed <= 12


@exact
def test_guesses_are_the_default_and_change_nothing(model: petitlm.Model) -> None:
    plain = model.generate(TEXT, max_tokens=100, speculate=None, logprobs=1)
    for speculate in ("auto", "lookup"):
        assert model.generate(TEXT, max_tokens=100, speculate=speculate, logprobs=1).choices == plain.choices


def test_what_cannot_be_exact_is_refused(model: petitlm.Model, tiny_folder: Path) -> None:
    twin = petitlm.load(tiny_folder, isa="numpy")
    with pytest.raises(UsageError, match="exact on the engine's compiled kernels only"):
        twin.generate(TEXT, max_tokens=2, speculate="lookup")
    assert twin.generate(TEXT, max_tokens=3).n_guessed == 0, "by default nothing is guessed there"


@exact
def test_a_draft_model_with_other_tokens_is_refused(model: petitlm.Model) -> None:
    with pytest.raises(UsageError, match=r"draft model petit default has another vocabulary than .*: token .* is"):
        model.generate(TEXT, max_tokens=2, speculate=petitlm.load(threads=1))
    with pytest.raises(UsageError, match="speculate='magic' is not known"):
        model.generate(TEXT, max_tokens=2, speculate="magic")  # type: ignore[arg-type]
