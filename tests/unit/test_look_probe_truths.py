"""Probes and steering on models whose inside is known: what is there is found, where it is, and nowhere before."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm import look
from petitlm.look.directions import contrast, direction_of
from petitlm.look.zoo.induction import exact_induction, repeated_prompt

RUNS = [("engine", 4), ("engine", 8), ("engine", 32), ("torch", 32)]


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: f"{run[0]} {run[1]}")
def model(request: pytest.FixtureRequest):
    layers, bits = request.param
    return exact_induction().load(bits=bits, layers=layers)


def test_the_previous_token_is_read_from_where_the_first_head_writes_it(model) -> None:
    """C1: head 0.0 writes the token before into the stream; the embedding at that place knows only its own."""
    rng, texts = np.random.default_rng(0), []
    for _ in range(240):
        first, last = rng.integers(1, 5), 10 + rng.integers(0, 4)
        texts.append([0, 5, int(first), int(last)])
    labels = [text[2] for text in texts]
    found = look.probe(model, texts, labels, taps=["embed", "attn_out:0", "resid_post:0"], shuffles=3,
                       groups=[f"{text[2]} {text[3]}" for text in texts], folds=4)
    embed, written, after = found.readings
    assert embed.score < 0.5
    assert written.score == after.score == 1.0
    assert after.control < 0.6
    own = look.probe(model, texts, [text[3] for text in texts], taps=["embed", "attn_out:0"], shuffles=0)
    assert own.readings[0].score == 1.0
    assert own.readings[1].score < 0.5


def test_steering_what_came_before_makes_induction_copy_another_token(model) -> None:
    """C1 says what follows the earlier occurrence of its token: the direction from one token's text to another's, added
    to the output, moves exactly the two tokens' logits."""
    a, b = repeated_prompt(1, 16, 4), repeated_prompt(2, 16, 4)
    answer, other = a[5], b[5]
    assert answer != other
    found = contrast(model, [(b, a)], [1])
    result = look.steer(model, [(b, a)], [a], [a], answer=other, versus=answer, blocks=[1], strengths=[1])
    before, after = (s.metric for s in result.sweep)
    assert before < -7
    assert after == pytest.approx(-before, rel=1e-2)
    assert result.sweep[1].share == 1.0
    moved = direction_of(found).values[1]
    v = model.config.n_vocab
    output = moved[-v:]
    assert (int(output.argmax()), int(output.argmin())) == (other, answer)
