"""Guessing changes nothing but the time: any drafter, even a hostile one, leaves every answer as it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import petitlm
from petitlm.engine import generation, speculation
from petitlm.engine.drafters import Lookup
from petitlm.engine.generation import Generation, Piece, Request, Speculation, Stream
from petitlm.engine.kernels import available_isas
from petitlm.engine.sampling import Sampling

pytestmark = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: the twins promise no bits")

KNOWN = ([5, 3, 5, 3, 5], [70, 101, 32] * 20, list(b"to be or not to be, that is to be"))


class Drafter:
    """Guesses right, wrong, nothing, too much, or what no model has a row for, as `rng` says."""

    odds = (0.5, 0.1)
    learn_s = 0.0

    def __init__(self, answer: Sequence[int], n_prompt: int, rng: random.Random) -> None:
        self.answer, self.n_prompt, self.rng = answer, n_prompt, rng
        self.closed = False

    def look(self, ids: list[int]) -> int | None:
        return self.rng.choice([0, 0, 1, None])

    def guess(self, ids: list[int], n: int) -> list[int]:
        made = len(ids) - self.n_prompt
        guess = list(self.answer[made : made + n])
        for _ in range(self.rng.choice([0, 0, 1, 3])):
            guess.insert(self.rng.randint(0, len(guess)), self.rng.choice([-1, 0, 3, 256, 263, 264, 10**12]))
        return guess[: self.rng.choice([1, n, n, n + 5])]

    def close(self) -> None:
        self.closed = True


class Eager(speculation.Speculator):
    """Guesses as often and as much as `rng` says, whatever it costs."""

    rng = random.Random(0)

    def _length(self) -> int:
        return self.rng.choice([0, 1, 2, 5, 31])

    def ran(self) -> None:
        super().ran()
        self.rest = self.rng.choice([0, 0, 0, 2])


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, threads=1)


def run(model: petitlm.Model, request: Request, make=None, seed: int = 0) -> tuple[list[list[Piece]], Generation]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "Speculator", Eager)
        Eager.rng = random.Random(seed)
        session = model.runner.session(request.n, len(request.prompt) + request.max_tokens)
        stream = Stream(session, request, model.tokenizer, model.forbidden,
                        speculation=Speculation(make, {}) if make else None)
        pieces = list(stream)
    return [[p for p in pieces if p.choice == i] for i in range(request.n)], stream.result


def assert_same(ours: tuple[list[list[Piece]], Generation], plain: tuple[list[list[Piece]], Generation]) -> None:
    assert ours[1].choices == plain[1].choices  # texts, ids, reasons to end, log-probabilities to the last bit
    assert ours[0] == plain[0]
    assert [[p.ids for p in one] for one in ours[0]] == [[p.ids for p in one] for one in plain[0]]


requests = st.builds(
    Request, prompt=st.sampled_from(KNOWN), max_tokens=st.integers(1, 40), n=st.sampled_from([1, 1, 3]),
    stops=st.sampled_from([(), ("e",), ("\n", "to be")]), logprobs=st.sampled_from([None, 0, 3]),
    sampling=st.builds(Sampling, temperature=st.sampled_from([0.0, 0.3, 1.0]), top_k=st.sampled_from([0, 5]),
                       top_p=st.sampled_from([1.0, 0.6]), min_p=st.sampled_from([0.0, 0.05]), seed=st.integers(0, 3),
                       repetition_penalty=st.sampled_from([1.0, 1.5]),
                       logit_bias=st.sampled_from([{}, {256: 2.0}, {10: -100.0, 11: 9.0}])))


@given(request=requests, seed=st.integers(0, 1000))
def test_a_hostile_drafter_changes_nothing(model: petitlm.Model, request: Request, seed: int) -> None:
    plain, rng, drafters = run(model, request), random.Random(seed), []

    def make(_: object) -> Drafter:
        answer = plain[1].choices[len(drafters)].ids
        drafters.append(Drafter(answer, len(request.prompt), rng))
        return drafters[-1]

    ours = run(model, request, make, seed)
    assert_same(ours, plain)
    assert all(drafter.closed for drafter in drafters)
    assert ours[1].n_right <= ours[1].n_guessed
    made = ours[1].n_generated - request.n
    assert ours[1].n_steps <= made, "a pass gives at least one token"
    if request.n == 1 and ours[1].finish == "length":  # elsewhere right guesses beyond the end are left over
        assert ours[1].n_steps == made - ours[1].n_right


@given(request=requests, seed=st.integers(0, 1000))
@example(Request([5, 3] * 30, Sampling(), 100), 1)
def test_lookup_changes_nothing(model: petitlm.Model, request: Request, seed: int) -> None:
    assert_same(run(model, request, lambda _: Lookup(), seed), run(model, request))


@given(stop_at=st.integers(0, 30), seed=st.integers(0, 1000))
def test_what_an_abandoned_answer_holds_is_what_it_says(model: petitlm.Model, stop_at: int, seed: int) -> None:
    """The tokens that a stream says its slot holds are in the cache: going on from there gives the same bits."""
    request = Request(KNOWN[1], Sampling(temperature=1.0, seed=2), 40)
    answer, held = run(model, request)[1].ids, list[list[int]]()
    session = model.runner.session(1, 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "Speculator", Eager)
        Eager.rng = rng = random.Random(seed)
        stream = Stream(session, request, model.tokenizer, model.forbidden, done=held.append,
                        speculation=Speculation(lambda _: Drafter(answer, len(request.prompt), rng), {}))
        for _, _piece in zip(range(stop_at), stream, strict=False):
            pass
        stream.close()
    if not stop_at:
        return  # nothing was run, and nobody was told
    assert held[0] == [*request.prompt, *answer][: len(held[0])]
    longer = Request([*held[0], 7], Sampling(), 5, logprobs=3)
    again = Stream(session, longer, model.tokenizer, model.forbidden, len(held[0]))
    list(again)
    assert again.result.choices == run(model, longer)[1].choices


@given(ids=st.lists(st.integers(0, 3), min_size=1, max_size=60), cuts=st.lists(st.integers(1, 5), max_size=30))
def test_lookup_guesses_what_came_after_the_longest_known_ending(ids: list[int], cuts: list[int]) -> None:
    lookup, text, at = Lookup(), list[int](), 0
    for cut in [*cuts, len(ids)]:
        text += ids[at : at + cut]
        at += cut
        kind = lookup.look(text)
        known = [n for n in Lookup.GRAMS if any(text[i : i + n] == text[-n:] for i in range(len(text) - n))]
        if kind is None:
            assert not known
            continue
        n, guess = Lookup.GRAMS[kind], lookup.guess(text, 9)
        assert n == max(known)
        assert len(guess) == 9
        places = [i + n for i in range(len(text) - n) if text[i : i + n] == text[-n:]]
        # A copy may run into the guess itself: then it goes on in a circle.
        assert any(guess == [*text, *guess][place : place + 9] for place in places)
