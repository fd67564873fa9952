"""Training dictionaries: gradients by their formulas, units undone, values streamed, known directions found again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.errors import UsageError
from petitlm.look.activations import Activations
from petitlm.look.dictionaries import SparseDictionary

torch = pytest.importorskip("torch", reason="training needs torch; install petitlm[train]")

from petitlm.look.gradients import dictionaries  # noqa: E402
from petitlm.look.gradients.dictionaries import KINDS, Plan, Trainer, fit  # noqa: E402
from petitlm.look.gradients.features import train_dictionary  # noqa: E402
from petitlm.look.gradients.zoo import sae  # noqa: E402
from petitlm.look.zoo.dictionary import dictionary_model, known_dictionary  # noqa: E402

POST = "blocks.1.hook_resid_post"
WORDS = ["small", "models", "answer", "questions", "about", "apples,", "boxes,", "numbers", "and", "three", "robots"]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, threads=1)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(2)
    return [" ".join(rng.choice(WORDS, 7)) for _ in range(40)]


def pairs(n: int = 512, d: int = 12, e: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Values far from zero, of another size than one, and what depends on them."""
    rng = np.random.default_rng(8)
    x = (rng.normal(size=(n, d)) * 30 + 50 * np.sin(np.arange(d))).astype(np.float32)
    return x, np.maximum(x @ rng.normal(size=(d, e)), 0).astype(np.float32)


def test_the_slope_of_a_step_is_that_of_a_window_around_it() -> None:
    window = dictionaries._WINDOW
    z = torch.tensor([[0.1, 0.9, 1.1, 3.0], [1.2, 1.0, 2.0, 0.8]], requires_grad=True)
    threshold = torch.full((4,), 1.0, requires_grad=True)
    outer = torch.tensor([[2.0, 3.0, 5.0, 7.0], [11.0, 13.0, 17.0, 19.0]])
    (dictionaries._Jump.apply(z, threshold) * outer).sum().backward()
    near = (z.detach() - 1).abs() < window / 2
    assert near.any() and not near.all()
    assert torch.equal(z.grad, outer * (z.detach() > 1))
    torch.testing.assert_close(threshold.grad, -(outer * near).sum(0) / window)
    threshold.grad = None
    (dictionaries._Count.apply(z, threshold) * outer).sum().backward()
    torch.testing.assert_close(threshold.grad, -(outer * near).sum(0) / window)


def test_the_slope_of_a_window_is_the_expected_one() -> None:
    """Over many draws, it is the derivative of the expected count: minus the density at the threshold."""
    z = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    threshold = torch.full((1,), 0.7, dtype=torch.float64, requires_grad=True)
    (dictionaries._Count.apply(z, threshold).sum() / len(z)).backward()
    density = np.exp(-(0.7**2) / 2) / np.sqrt(2 * np.pi)
    assert float(threshold.grad) == pytest.approx(-density, rel=0.03)  # the window is wide, and draws are finite


def test_a_batch_keeps_k_features_for_each_token_on_average() -> None:
    x, _ = pairs()
    trainer = Trainer(Plan(width=40, k=3, steps=10, batch=len(x)), x, x, True)
    f = trainer._active(trainer._pre(trainer._scaled(x, x)[0]))
    assert int((f > 0).sum()) == 3 * len(x)
    per_token = (f > 0).sum(1)
    assert per_token.min() < 3 < per_token.max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False], ids=["autoencoder", "transcoder"])
def test_weights_are_returned_in_the_unit_of_the_values(kind: str, tied: bool) -> None:
    x, y = pairs()
    y = x if tied else y
    trainer = Trainer(Plan(kind=kind, width=40, k=4, steps=30, batch=len(x)), x, y, tied)
    for _ in range(30):
        trainer.step(x, y)
    trainer.calibrate(iter(lambda: (x, y), None))
    given, _ = trainer._scaled(x, y)
    with torch.no_grad():
        pre = trainer._pre(given)
        f = pre * (pre > trainer.threshold)
        inside = (f @ trainer.w_dec + trainer.b_dec) / trainer.y_scale + trainer.y_mean
    one = SparseDictionary("jumprelu" if tied else "jumprelu_transcoder", "in", "in" if tied else "out",
                           centred=tied, **trainer.weights()._asdict())
    np.testing.assert_allclose(np.linalg.norm(one.w_dec, axis=1), 1, atol=1e-5)
    near = np.abs(pre.numpy() - trainer.threshold.detach().numpy()).min(1) < 1e-4  # rounding may tip these
    np.testing.assert_allclose(one.encode(x)[~near], (f / trainer.y_scale).numpy()[~near], atol=2e-2)
    np.testing.assert_allclose(one.reconstruct(x)[~near], inside.numpy()[~near], atol=5e-2)
    assert near.mean() < 0.1


def test_a_start_at_given_weights_is_at_those_weights() -> None:
    x, _ = pairs()
    plan = Plan(kind="jumprelu", width=40, k=4, steps=30, batch=len(x))
    trainer = Trainer(plan, x, x, True)
    for _ in range(10):
        trainer.step(x, x)
    weights = trainer.weights()
    again = Trainer(plan, x, x, True, weights).weights()
    for ours, theirs in zip(again, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_silent_features_learn_what_the_others_miss() -> None:
    x, _ = pairs()
    base = Plan(width=60, k=2, steps=150, batch=len(x), patience=10, rate=1e-2)
    last = {}
    for revive in (0.0, 1.0):
        last[revive] = fit(iter(lambda: (x, x), None), replace(base, revive=revive), tied=True).history[-1]
    assert last[1.0].silent < last[0.0].silent
    assert last[1.0].unexplained < last[0.0].unexplained


@pytest.mark.parametrize(("options", "words"), [
    ({"kind": "gated"}, "kind='gated'"), ({"width": 0}, "width=0"), ({"k": 0}, "k=0"),
    ({"k": 20, "width": 20}, "k=20"), ({"steps": 0}, "steps=0"), ({"rate": -1.0}, "rate=-1"),
])
def test_a_plan_that_cannot_be_is_refused(options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Plan(**options)


def test_values_are_drawn_once_in_a_round_whether_they_fit_or_not(model: petitlm.Model, texts: list[str]) -> None:
    ids = [model.encode(text) for text in texts]
    values = Activations(model, ids, POST, POST, seed=3)
    whole = np.concatenate([x for x, _ in values.once()])
    assert len(whole) == values.n_tokens == sum(len(one) - 1 for one in ids)
    assert np.array_equal(whole[: len(ids[0]) - 1], model.trace(texts[0], [POST])[POST][1:])
    size = 64

    def drawn(stream: Activations, n: int) -> np.ndarray:
        batches = stream.batches(size)
        return np.concatenate([next(batches)[0] for _ in range(n)])

    def counts(rows: np.ndarray) -> Counter[bytes]:  # texts that begin alike have the same values
        return Counter(row.tobytes() for row in rows)

    rounds = values.n_tokens // size
    first = drawn(values, rounds)
    assert counts(first) <= counts(whole)  # none twice in a round
    assert np.array_equal(first, drawn(values, rounds))
    assert not np.array_equal(first, drawn(Activations(model, ids, POST, POST, seed=4), rounds))
    small = Activations(model, ids, POST, POST, seed=3, pool_bytes=8 * 64 * 4 * size)
    refilled = counts(drawn(small, 2 * rounds))
    thrice = counts(np.concatenate([whole] * 3))  # a third round begins while some of the first still waits
    assert refilled <= thrice
    assert len(refilled) > 0.9 * len(counts(whole))
    with pytest.raises(UsageError, match="a batch of 9999999 tokens"):
        values.batches(9_999_999)
    with pytest.raises(UsageError, match="no text has more than 1"):
        Activations(model, [[5]], POST, POST, seed=0)


@pytest.mark.parametrize("to", [None, "blocks.1.hook_mlp_out"], ids=["autoencoder", "transcoder"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_dictionary_is_trained_measured_and_marked(kind: str, to: str | None, model: petitlm.Model,
                                                     texts: list[str]) -> None:
    plan, tap = Plan(kind=kind, width=96, k=8, steps=200, batch=256, rate=5e-3), POST if to is None else ("ln1", 1)
    training = train_dictionary(model, texts, tap, to=to, plan=plan)
    one, made = training.dictionary, training.dictionary.metadata["petit"]
    assert made["digest"] == model.runner.digest and made["bits"] == 4 and made["plan"]["kind"] == kind
    assert made["held_out"]["explained"] > (0.6 if to is None else 0.3)
    cost = {name: abs(made["held_out"][f"loss_{name}"] - made["held_out"]["loss"]) for name in ("spliced", "without")}
    assert cost["spliced"] < cost["without"]
    assert training.history[-1].unexplained < training.history[0].unexplained
    again = train_dictionary(model, **training.about.arguments)  # as a finding would
    assert np.array_equal(again.dictionary.w_enc, one.w_enc) and again.to_dict() == training.to_dict()
    other = train_dictionary(model, texts, tap, to=to, plan=replace(plan, seed=1, steps=5)).dictionary
    assert not np.array_equal(other.w_enc, one.w_enc)
    assert "w_enc" not in str(training.to_dict().keys())


def test_what_cannot_be_trained_is_refused(model: petitlm.Model, texts: list[str]) -> None:
    with pytest.raises(UsageError, match="stands for 2 taps"):
        train_dictionary(model, texts, "resid_post")
    with pytest.raises(UsageError, match="1 texts are too few"):
        train_dictionary(model, texts[:1], POST)
    with pytest.raises(UsageError, match="a batch of 1024 tokens is more"):
        train_dictionary(model, texts[:3], POST)


def test_a_known_dictionary_is_found_again_through_a_model_that_runs() -> None:
    """T4, streamed: the directions are a model's embeddings, and the autoencoder sees what its taps give."""
    truth = known_dictionary()
    blueprint, _ = dictionary_model(truth)
    model = blueprint.load()
    rng = np.random.default_rng(0)
    texts = [rng.permutation(4096)[at : at + 128].tolist() for at in range(0, 4096, 128)]
    one = train_dictionary(model, texts, ("resid_post", 0), plan=replace(sae.PLAN, steps=800)).dictionary
    found = sae.recovery(one.w_dec, truth.directions)
    assert found.mmcs >= sae.MEDIAN_MMCS
    assert one.metadata["petit"]["held_out"]["explained"] > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_training_that_starts_at_the_truth_stays_there(kind: str) -> None:
    assert sae.kept(0, kind).mmcs >= sae.KEPT_MMCS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_known_dictionary_is_found_again(kind: str) -> None:
    found = [sae.found_again(seed, kind) for seed in range(3)]
    best = max(found)
    assert best.mmcs >= sae.BEST_MMCS and best.share >= sae.BEST_SHARE
    assert sorted(one.mmcs for one in found)[1] >= sae.MEDIAN_MMCS
    for seed in range(3):
        baseline = sae.untrained(seed)
        assert baseline.mmcs < 0.7 and baseline.share < 0.1, "an untrained one must fail"
