"""Steering, probes and signs on every family and both sets of layers: the same as single runs, traces and answers."""

from __future__ import annotations

import numpy as np
import pytest
from tests_look import random_model

from petitlm import look
from petitlm.engine.runs import run_text
from petitlm.engine.sampling import log_softmax
from petitlm.look.directions import contrast, direction_of
from petitlm.look.signs import Answered, lens_blocks, signs, states_again
from tests_shapes import SHAPES

RUNS = [("engine", 4), ("engine", 8), ("engine", 32), ("torch", 32)]
PAIRS = [([1, 5, 9, 3], [1, 6, 9, 2]), ([7, 5, 4], [8, 6, 4]), ([11, 5, 2, 2, 3], [12, 6, 2, 2, 3])]
PROMPTS, NEUTRAL = [[1, 2, 3], [4, 5, 6, 7]], [list(range(1, 20)), [9, 8, 7]]


@pytest.fixture(params=[(shape, *run) for shape in SHAPES for run in RUNS], ids=lambda p: f"{p[0]}; {p[1]} {p[2]}")
def model(request: pytest.FixtureRequest):
    shape, layers, bits = request.param
    return random_model(shape, bits, layers)


def test_steering_is_a_run_with_its_edits(model) -> None:
    result = look.steer(model, PAIRS, PROMPTS, NEUTRAL, answer=5, versus=6, blocks=[0, 1], strengths=[3])
    edits = direction_of(contrast(model, PAIRS, [0, 1])).edits(3.0)
    rows = [run_text(model.runner, ids, [], edits).logits[-1] for ids in PROMPTS]
    assert result.sweep[1].metric == pytest.approx(np.mean([r[5] - r[6] for r in rows]), rel=1e-3, abs=1e-3)
    losses = [-log_softmax(run_text(model.runner, ids, [], edits).logits[:-1])[np.arange(len(ids) - 1), ids[1:]]
              for ids in NEUTRAL]
    assert result.sweep[1].loss == pytest.approx(np.concatenate(losses).mean(), rel=1e-3)
    assert result.checks[0].value == (0 if model.runner.exact else pytest.approx(0, abs=1e-4))
    assert result.checks[0].ok
    assert result.sweep[0].kl == pytest.approx(0, abs=1e-6)
    assert result.sweep[1].kl > 1e-3


def test_a_probe_reads_a_token_where_it_is_embedded(model) -> None:
    texts = [[1, i % 4 + 2, 9] for i in range(40)]
    found = look.probe(model, texts, [text[1] for text in texts], taps=["embed", "z:0"], at=1, shuffles=0, folds=2)
    assert [r.score for r in found.readings] == [1.0, 1.0]


def test_signs_are_of_the_predictions_themselves(model) -> None:
    answered, blocks = Answered((1, 2, 3), (4, 5, 6, 7)), lens_blocks(model.config)
    states, = states_again(model.runner, [answered], blocks)
    found = signs(model.runner, answered.answer, states)
    p = log_softmax(run_text(model.runner, [1, 2, 3, 4, 5, 6, 7]).logits[2:6])
    assert found[0] == pytest.approx(-(np.exp(p) * p).sum(1).mean(), rel=1e-3)
    assert found[2] == pytest.approx(-p[np.arange(4), answered.answer].mean(), rel=1e-3)
