"""Steering: directions against closed forms, effect and cost against runs of their own, edits while answering."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm import look
from petitlm.engine.edits import Edit
from petitlm.engine.sampling import log_softmax
from petitlm.errors import UsageError
from petitlm.look.directions import Contrast, agreement, contrast, direction_of, save_direction
from petitlm.look.findings import load_finding, replay, save_finding

PAIRS = [("a cat", "a dog"), ("the cat sat", "the dog sat"), ("cats!", "dogs?"), ("my cats", "my dogs")]
A, E = ord("a") - 33, ord("e") - 33  # of the byte tokenizer, whose ids start at "!"
PROMPTS, NEUTRAL = ["one ", "two and ", "so"], ["some text of no kind", "more of it " * 12]


@pytest.fixture(scope="module", params=["engine 4", "engine 8", "engine 16", "engine 32", "torch 32"])
def model(request: pytest.FixtureRequest, tiny_folder: Path) -> petitlm.Model:
    layers, bits = request.param.split()
    return petitlm.load(tiny_folder, layers=layers, bits=None if layers == "torch" else int(bits), threads=1)


def test_a_direction_is_the_mean_difference(model: petitlm.Model) -> None:
    found = contrast(model, PAIRS, at=-1)
    direction = direction_of(found, digest=model.runner.digest)
    for block in range(2):
        ends = [[model.trace(text, [("resid_post", block)])["resid_post", block][-1].astype(np.float64)
                 for text in pair] for pair in PAIRS]
        mean = np.mean([with_ - without for with_, without in ends], 0)
        np.testing.assert_allclose(direction.values[block], mean, atol=2e-5)  # of texts run together or alone
        assert found.sizes[block] == pytest.approx(np.mean([np.linalg.norm(x) for pair in ends for x in pair]), 1e-5)


def test_a_principal_component_is_scikit_learns() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition", reason="needs scikit-learn; `make setup` installs it")
    rng = np.random.default_rng(3)
    differences = (rng.normal(0, 1, (20, 9)) + 2 * rng.normal(0, 1, 9)).astype(np.float32)
    found = direction_of(Contrast({1: differences}, {1: 1.0}), "pca").values[1]
    ends = np.concatenate([differences / 2, -differences / 2]).astype(np.float64)
    first = decomposition.PCA(1, svd_solver="full").fit(ends).components_[0]
    first *= np.sign(first @ differences.mean(0))
    np.testing.assert_allclose(found / np.linalg.norm(found), first, atol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(differences.astype(np.float64).mean(0) @ first, rel=1e-5)


def test_pairs_agree_as_often_as_they_point_one_way() -> None:
    assert agreement(np.array([[1.0, 0], [1, 1], [2, -1], [-1, 0]], np.float32)) == 0.75
    assert agreement(np.ones((1, 3), np.float32)) is None


def test_effect_and_cost_are_those_of_edited_runs(model: petitlm.Model) -> None:
    result = look.steer(model, PAIRS, PROMPTS, NEUTRAL, answer="e", versus="a", blocks=[0, 1], strengths=[-2, 3])
    direction = result.direction()
    assert [s.strength for s in result.sweep] == [-2, 0, 3]
    assert result.checks[0].value == (0 if model.runner.exact else pytest.approx(0, abs=1e-4))
    for row in result.sweep:
        edits = [Edit(("resid_post", b), "add", np.float32(row.strength) * v) for b, v in direction.values.items()]
        ends = np.array([model.trace(text, edits=edits).logits[-1] for text in PROMPTS], np.float64)
        near = dict(abs=2e-4, rel=1e-4)  # logits are some tens, in float32, run together or alone
        assert row.metric == pytest.approx((ends[:, E] - ends[:, A]).mean(), **near)
        assert row.share == np.mean(ends.argmax(1) == E)
        loss, kl, n = 0.0, 0.0, 0
        for text in NEUTRAL:
            before, after = (log_softmax(model.trace(text, edits=e).logits[:-1]) for e in ([], edits))
            ids = model.encode(text)
            loss -= after[np.arange(len(ids) - 1), ids[1:]].sum()
            kl += (np.exp(before) * (before - after)).sum()
            n += len(ids) - 1
        assert (row.loss, row.kl) == (pytest.approx(loss / n, **near), pytest.approx(kl / n, **near))
        assert result.n_neutral == n


def test_without_versus_the_metric_is_a_log_probability(model: petitlm.Model) -> None:
    result = look.steer(model, PAIRS, PROMPTS[:1], NEUTRAL, answer="e", blocks=1, strengths=[1])
    edits = result.direction().edits(1.0)
    ours = log_softmax(model.trace(PROMPTS[0], edits=edits).logits[-1:])[0, E]
    assert result.sweep[1].metric == pytest.approx(ours, abs=1e-4)
    assert result.metric == {"answer": "e"}


def test_the_block_is_chosen_by_the_pairs_and_is_not_the_last(model: petitlm.Model) -> None:
    result = look.steer(model, PAIRS, PROMPTS, NEUTRAL, answer="e", versus="a", strengths=[1])
    assert result.chosen == (0,)
    for seen in result.blocks:
        edits = direction_of(contrast(model, PAIRS)).at([seen.block]).edits()
        rows = [model.trace(without, edits=edits).logits[-1] for _, without in PAIRS]
        assert seen.metric == pytest.approx(np.mean([r[E] - r[A] for r in rows]), abs=2e-4, rel=1e-4)
        assert seen.relative == pytest.approx(seen.norm / contrast(model, PAIRS).sizes[seen.block])


def test_answers_are_those_of_whole_runs_token_by_token(model: petitlm.Model) -> None:
    """What is steered with a cache is what is steered without one."""
    result = look.steer(model, PAIRS, PROMPTS[:1], NEUTRAL, answer="e", blocks=0, strengths=[4], max_tokens=6)
    assert [said.strength for said in result.said] == [0, 4]
    edits, ids = result.direction().edits(4.0), model.encode(PROMPTS[0])
    for _ in range(6):
        row = model.trace(ids, edits=edits).logits[-1].copy()
        row[model.forbidden] = -np.inf
        ids.append(int(row.argmax()))
        if ids[-1] == model.tokenizer.eos_id:
            break
    assert result.said[1].text == model.tokenizer.decode([i for i in ids[len(PROMPTS[0]) :] if i < 256])
    assert result.said[0].text == model.generate(PROMPTS[0], max_tokens=6).text


def test_a_control_vector_steers_as_the_pairs_that_it_came_from(model: petitlm.Model, tmp_path: Path) -> None:
    made = look.steer(model, PAIRS, PROMPTS, NEUTRAL, answer="e", versus="a", blocks=1)
    save_direction(tmp_path / "v.gguf", made.direction(), model.config)
    read = look.steer(model, (), PROMPTS, NEUTRAL, answer="e", versus="a", vector=tmp_path / "v.gguf")
    assert read.sweep == made.sweep
    assert (read.chosen, read.method) == ((1,), "mean")


def test_a_finding_holds_and_its_result_is_plain(model: petitlm.Model, tmp_path: Path) -> None:
    result = look.steer(model, PAIRS, PROMPTS, NEUTRAL, answer="e", blocks=0, strengths=[1])
    save_finding(result, tmp_path / "f.json")
    assert replay(load_finding(tmp_path / "f.json"), model).holds
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert "strength 0 changes nothing" in result.table()
    assert "<html" in result.html()


@pytest.mark.parametrize(("change", "message"), [
    (dict(pairs=[]), "no pairs of texts are given"),
    (dict(pairs=["two texts"]), "is not a pair"),
    (dict(pairs=[("same", "same")]), "the pairs do not differ after block 1"),
    (dict(prompts=[]), "no prompts are given"),
    (dict(neutral=()), "no neutral texts are given"),
    (dict(neutral=["x"]), "has one token"),
    (dict(answer="two tokens"), "is not one token"),
    (dict(blocks=2), "block 2 is not in this model; it has blocks 0 to 1"),
    (dict(method="svd"), "method='svd' is not known"),
    (dict(at=-30), "position -30"),
])
def test_what_cannot_be_steered_is_said_in_a_sentence(tiny_folder: Path, change: dict, message: str) -> None:
    asked = dict(pairs=PAIRS, prompts=PROMPTS, neutral=NEUTRAL, answer="e", blocks=1) | change
    with pytest.raises(UsageError, match=message):
        look.steer(petitlm.load(tiny_folder, threads=1), **asked)


def test_a_direction_has_only_its_own_blocks() -> None:
    direction = direction_of(Contrast({1: np.ones((2, 4), np.float32)}, {1: 1.0}))
    with pytest.raises(UsageError, match="no vector for block 0; it has blocks 1"):
        direction.at([0])
