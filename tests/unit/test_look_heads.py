"""Attention seen in flight, heads that copy, composition: against whole patterns, dense products, known models."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from tests_look import random_model

from petitlm import look
from petitlm.engine.runs import run_text
from petitlm.errors import DoesNotFitError, UsageError
from petitlm.look.composition import compositions
from petitlm.look.findings import load_finding, replay, save_finding
from petitlm.look.heads import copying_mask, plain_tokens
from petitlm.look.zoo.induction import N_TOKENS, exact_induction, induction, repeated_prompt
from tests_shapes import SHAPES

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.mark.parametrize("layers", ["engine", "torch"])
@pytest.mark.parametrize("shape", ["phi", "phi, kv groups, tied", "llama", "gpt"])
def test_sums_in_flight_are_sums_of_whole_patterns(shape: str, layers: str) -> None:
    model, at = random_model(shape, 32, layers), [2, 5, 6]
    result, t = look.patterns(model, IDS, at=at), np.array(at)
    trace = run_text(model.runner, IDS, ["pattern"])
    assert result.checks[0].ok and len(result.heads) == model.config.n_layers * model.config.n_heads
    for seen in result.heads:
        p = trace["pattern", seen.layer][seen.head].astype(np.float64)[at]
        rows, back = np.arange(3), np.maximum(t[:, None] - np.arange(8), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.nansum(p * np.log(p), -1)
        expected = [p[rows, t], p[rows, t - 1], p[:, 0], entropy, (p * back).sum(-1)]
        found = [seen.own, seen.previous, seen.first, seen.entropy, seen.distance]
        assert found == pytest.approx([x.mean() for x in expected], abs=1e-6)
        assert [s for s, _ in seen.top] == np.argsort(-p[-1], kind="stable")[:3].tolist()


def test_the_first_token_has_none_before_it() -> None:
    seen = look.patterns(random_model("phi"), IDS, at=0).heads[0]
    assert (seen.own, seen.first, seen.previous, seen.distance) == (1, 1, 0, 0)
    assert seen.top == [(0, 1.0)]


def test_whole_patterns_of_the_heads_asked_for(tmp_path: Path) -> None:
    model = random_model(SHAPES["phi"].with_(n_ctx=600), 4)
    ids = np.random.default_rng(0).integers(0, 99, 530).tolist()  # three pieces
    whole = run_text(model.runner, ids, ["pattern:1"])["pattern:1"]
    one = look.patterns(model, ids, layer=-1, head=2)
    assert list(one.whole) == ["1.2"] and np.array_equal(one.whole["1.2"], whole[2])
    some = look.patterns(model, ids, layer=1, at=[3, 300, 529])
    assert np.array_equal(np.stack(list(some.whole.values())), whole[:, [3, 300, 529]])
    save_finding(some, tmp_path / "found.json")
    assert replay(load_finding(tmp_path / "found.json"), model).holds
    assert one.html().count("<figure") == 1 and look.patterns(model, IDS).html().count("<figure") == 3


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ({"head": 1}, UsageError, "head 1 is given without its layer"),
    ({"layer": 2}, UsageError, "layer 2 is not in this model; its layers run from 0 to 1"),
    ({"layer": 0, "head": 3}, UsageError, "head 3 is not in this model; each layer has heads 0 to 2"),
    ({"at": 99}, UsageError, "position 99 is not in the text"),
    ({"top": 0}, UsageError, "top=0 keeps nothing"),
])
def test_wrong_questions_get_one_sentence(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        look.patterns(random_model("phi"), IDS, **arguments)


def test_patterns_too_large_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("petitlm.look.patterns"), "TRACE_LIMIT", 100)
    with pytest.raises(DoesNotFitError, match="3 patterns of 8 × 8 tokens would take 768 bytes"):
        look.patterns(random_model("phi"), IDS, layer=0)
    assert look.patterns(random_model("phi"), IDS).heads, "sums take nothing"


@pytest.mark.parametrize(("layers", "bits"), [("engine", 32), ("engine", 16), ("engine", 8), ("engine", 4),
                                              ("torch", 32)])
def test_the_heads_of_induction_by_hand_are_found(layers: str, bits: int) -> None:
    model = exact_induction().load(bits, layers)  # type: ignore[arg-type]
    found = look.heads(model, period=N_TOKENS, start="<s>", seed=1)
    assert found.best("previous")[0][:2] == (0, 0) and found.best("induction")[0][:2] == (1, 0)
    assert found.previous[0, 0] > 1 - 1e-5 and found.induction[1, 0] > 1 - 1e-5
    assert found.duplicate[1, 0] < 1e-11  # exp of minus the gain, 889/16 times (889/1024)^5
    assert found.induction[0, 0] < 1e-5
    k, q, v = ({pair.kind: pair.score for pair in found.pairs}[kind] for kind in "KQV")
    assert k == pytest.approx(len(exact_induction().words) ** -0.5)  # V features, all with one strength
    assert q == v == 0


def test_c1_composes_through_keys_alone() -> None:
    """The dense products, by hand: head 0.0 writes V tokens, head 1.0 reads the same V features with one strength."""
    found = {pair.kind: pair.score for pair in compositions(induction().load().runner, [(0, 0), (1, 0)])}
    v = induction().config.n_vocab
    assert found == pytest.approx({"K": v**-0.5, "Q": 0, "V": 0})


@pytest.mark.parametrize("shape", ["phi, kv groups, tied", "llama", "gpt, gelu"])
def test_composition_is_the_papers_formula_on_dense_matrices(shape: str) -> None:
    model = random_model(shape)
    config, runner = model.config, model.runner

    def folded(name: str, layer: int, head: int) -> np.ndarray:
        w = runner.weight(f"blocks.{layer}.attn.{name}.weight").astype(np.float64)
        w = w[head * config.d_head : (head + 1) * config.d_head] * runner.weight(f"blocks.{layer}.ln1.weight")
        return w - w.mean(-1, keepdims=True) if config.norm == "layer" else w

    def circuits(layer: int, head: int) -> tuple[np.ndarray, np.ndarray]:
        q, (k, v) = folded("q", layer, head), (folded(n, layer, head // config.group) for n in "kv")
        o = runner.weight(f"blocks.{layer}.attn.o.weight").reshape(-1, config.n_heads, config.d_head)[:, head]
        return q.T @ k, o.astype(np.float64) @ v

    size = np.linalg.norm
    heads = [(layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
    pairs = compositions(runner, heads)
    later = sum(a[0] < b[0] for a in heads for b in heads)
    assert len(pairs) == 3 * later and [p.score for p in pairs] == sorted((p.score for p in pairs), reverse=True)
    for pair in pairs:
        (_, ov), (qk, own) = circuits(*pair.sender), circuits(*pair.receiver)
        product = {"Q": qk.T, "K": qk, "V": own}[pair.kind]
        assert pair.score == pytest.approx(size(product @ ov) / (size(product) * size(ov)), rel=1e-9)


def test_random_heads_compose_as_chance_says() -> None:
    model = random_model(SHAPES["gpt, gelu"])
    scores = [pair.score for pair in compositions(model.runner, [(i, h) for i in (0, 1) for h in (0, 1)])]
    assert np.mean(scores) == pytest.approx(model.config.d_model**-0.5, rel=0.1)


def test_every_valid_match_counts() -> None:
    """Three times a period of two after one token: 0 1 2 1 2 1 2."""
    previous, duplicate, induct = (copying_mask(kind, 7, 1, 2) for kind in ("previous", "duplicate", "induction"))
    assert np.array_equal(np.argwhere(previous), [(t, t - 1) for t in range(1, 7)])
    assert np.argwhere(duplicate).tolist() == [[3, 1], [4, 2], [5, 1], [5, 3], [6, 2], [6, 4]]
    assert np.argwhere(induct).tolist() == [[3, 2], [4, 3], [5, 2], [5, 4], [6, 3], [6, 5]]


def test_a_head_that_looks_everywhere_scores_chance() -> None:
    """Queries of nothing: every token is looked at alike, and the scores are exactly what chance is said to be."""
    model = random_model("gpt")
    for i in (0, 1):
        model.runner.weights[f"blocks.{i}.attn.q.weight"].data.view(np.float32)[:] = 0  # type: ignore[attr-defined]
        model.runner.weights[f"blocks.{i}.attn.q.bias"][:] = 0  # type: ignore[attr-defined]
    found = look.heads(model, period=10, repeats=3, n_texts=2)
    for kind in ("previous", "duplicate", "induction"):
        assert getattr(found, kind) == pytest.approx(found.chance[kind], abs=1e-6)


def test_scores_are_of_the_seed_and_come_again(tmp_path: Path) -> None:
    model = random_model("llama", 4)
    a, b = look.heads(model, seed=0, n_texts=1), look.heads(model, seed=1, n_texts=1)
    assert a.period == 32 and np.abs(a.previous - b.previous).max() > 0
    save_finding(a, tmp_path / "heads.json")
    assert replay(load_finding(tmp_path / "heads.json"), model).holds
    assert a.html().count("<figure") == 4 and "by chance" in a.table()
    assert look.heads(model, n_texts=1, compose=False).pairs == []


def test_random_tokens_are_tokens_of_text(tiny_folder: Path) -> None:
    import petitlm

    model = petitlm.load(tiny_folder, threads=1)
    assert plain_tokens(model) == list(range(256)), "no end token, and no row that nothing uses"
    assert look.heads(model, n_texts=1).period == 32
    assert len(repeated_prompt(0)) == 1 + 2 * N_TOKENS


@pytest.mark.parametrize(("arguments", "message"), [
    ({"period": 1}, "period=1 is not possible: .* give 2 to 40"),
    ({"period": 41}, "give 2 to 40"),
    ({"repeats": 1}, "repeats=1"),
    ({"n_texts": 0}, "n_texts=0"),
])
def test_numbers_without_room_get_one_sentence(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        look.heads(random_model("phi"), **arguments)
