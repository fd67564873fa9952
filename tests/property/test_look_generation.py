"""Edits and taps while answering: what is kept is what a run of the whole text has, and edits mean the same in both."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.decoder import tap_names
from petitlm.engine import generation, speculation
from petitlm.engine.edits import Edit
from petitlm.engine.trace import Keep, Top, Trace
from petitlm.errors import DoesNotFitError, UsageError

TEXT = "The quick brown fox jumps over the quick brown"
EVERY = pytest.mark.parametrize("layers", [4, 8, 16, 32, "torch"])
Load = Callable[[int | str], petitlm.Model]


@pytest.fixture(scope="module")
def load(tiny_folder: Path) -> Load:
    @cache
    def loaded(layers: int | str) -> petitlm.Model:
        if layers != "torch":
            return petitlm.load(tiny_folder, bits=int(layers), threads=1)
        pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
        return petitlm.load(tiny_folder, layers="torch", threads=1)

    return loaded


def direction(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=64)


def edits(n_prompt: int) -> list[Edit]:
    """Return edits that are made at all tokens, at some of the prompt, at some that are still to come, at some keys."""
    return [Edit(("resid_post", 0), "add", direction() / 5), Edit(("z", 1), "scale", -1.0, head=(1, 3)),
            Edit(("mlp_post", 0), "zero", neuron=range(40), positions=(2, n_prompt - 1, n_prompt + 3)),
            Edit(("pattern", 1), "scale", 0.1, neuron=(0, n_prompt + 1)), Edit(("scores", 0), "add", -2.0, neuron=1),
            Edit(("attn_out", 1), "project_out", direction(1)), Edit(("mlp_out", 1), "mean", direction(2) / 9),
            Edit(("k", 1), "replace", np.ones((2, 1, 16)), positions=(4, 3), head=2)]


def assert_same(ours: Trace, expected: Trace, near: float) -> None:
    assert ours.ids == expected.ids and sorted(ours) == sorted(expected)
    for name in expected:
        a, b = ours[name], expected[name]
        if isinstance(b, Top):
            np.testing.assert_array_equal(a.indices, b.indices, err_msg=name)
            a, b = a.values, b.values
        np.testing.assert_allclose(a, b, rtol=near, atol=near, err_msg=name)


@EVERY
@pytest.mark.parametrize("edited", [False, True])
def test_what_is_kept_while_answering_is_what_a_run_of_the_whole_text_has(load: Load, layers, edited: bool) -> None:
    """I9; the engine's numbers are the same bits."""
    model = load(layers)
    made = edits(len(TEXT)) if edited else []
    for keeps in ([tap for tap in tap_names(model.config) if tap not in ("logits", "ln_final.hook_normalized")],
                  [Keep(("pattern", 1), top=50), Keep(("scores", 0), head=2), Keep(("resid_post", 1), at=(0, 50)),
                   Keep("z", norm=True), Keep(("mlp_out", 0), project=direction()), Keep(("mlp_post", 1), top=3)]):
        answer = model.generate(TEXT, max_tokens=12, temperature=0.9, seed=3, taps=keeps, edits=made)
        assert answer.trace is not None and answer.trace.ids == [*model.encode(TEXT), *answer.ids[:-1]]
        again = model.trace(answer.trace.ids, keeps, made)
        assert_same(answer.trace, again, 1e-5 if layers == "torch" else 0)
        np.testing.assert_allclose(answer.trace.logits, again.logits[-1:], atol=1e-5 if layers == "torch" else 0)
        assert answer.ids == model.generate(TEXT, max_tokens=12, temperature=0.9, seed=3, edits=made).ids


@EVERY
def test_the_logits_of_an_answer_are_those_that_chose_its_tokens(load: Load, layers) -> None:
    model = load(layers)
    answer = model.generate(TEXT, max_tokens=10, taps=[Keep("logits"), Keep("ln_final", norm=True)])
    assert answer.trace is not None
    rows = np.where(model.forbidden, -np.inf, answer.trace["logits"])
    assert rows.argmax(-1).tolist() == list(answer.ids)
    whole = model.trace(answer.trace.ids).logits[len(TEXT) - 1 :]
    np.testing.assert_allclose(answer.trace["logits"], whole, atol=1e-5 if layers == "torch" else 0)


@EVERY
def test_edits_with_a_cache_are_edits_of_the_whole_text(load: Load, layers) -> None:
    """I9: token by token over a growing text, each time from its beginning."""
    model = load(layers)
    made, ids = edits(len(TEXT)), model.encode(TEXT)
    answer = model.generate(TEXT, max_tokens=12, edits=made, logprobs=0)
    for choice in answer.logprobs:
        row = np.where(model.forbidden, -np.inf, model.trace(ids, edits=_there(made, len(ids))).logits[-1])
        assert choice.id == row.argmax()
        logprob = row[choice.id] - np.logaddexp.reduce(row[np.isfinite(row)].astype(np.float64))
        assert choice.logprob == pytest.approx(logprob, abs=1e-5)
        ids.append(choice.id)
    assert answer.ids != model.generate(TEXT, max_tokens=12).ids


def _there(made: list[Edit], n: int) -> list[Edit]:
    """Return the edits with those positions and keys alone that a text of n tokens has."""
    def cut(which):
        return None if which is None else [i for i in which if i < n]

    keys = ("hook_pattern", "pattern", "scores")
    return [Edit(e.tap, e.op, e.value, cut(e.positions), e.head, cut(e.neuron) if e.tap[0] in keys else e.neuron)
            for e in made]


class Eager(speculation.Speculator):
    """Guesses whenever it can, whatever it costs."""

    def _length(self) -> int:
        return 5

    def ran(self) -> None:
        super().ran()
        self.rest = 0


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_guessing_changes_no_token_of_an_edited_answer(load: Load, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "Speculator", Eager)
    model, options = load(bits), dict(max_tokens=40, edits=edits(len(TEXT)), logprobs=3)
    plain = model.generate(TEXT * 2, speculate=None, **options)
    guessed = model.generate(TEXT * 2, speculate="lookup", **options)
    assert guessed.n_guessed > 0
    assert guessed.choices == plain.choices
    several = model.generate(TEXT, n=3, temperature=1.0, seed=5, speculate="lookup", **options)
    assert several.choices[0] == model.generate(TEXT, temperature=1.0, seed=5, speculate=None, **options).choices[0]


@EVERY
def test_an_edited_answer_leaves_nothing_behind(load: Load, layers) -> None:
    model = load(layers)
    before = model.generate(TEXT, max_tokens=8).ids
    edited = model.generate(TEXT, max_tokens=8, edits=[Edit("resid_post", "add", 3 * direction())])
    assert edited.n_reused == 0
    assert edited.ids != before == model.generate(TEXT, max_tokens=8).ids


class Features:
    """A sparse autoencoder with random weights."""

    reads = writes = "blocks.0.hook_resid_post"
    name = "blocks.0.hook_resid_post.sae"

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self._in, self._out = (rng.normal(size=s).astype(np.float32) / 8 for s in ((64, 100), (100, 64)))

    def encode(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x @ self._in - 0.5, 0)

    def decode(self, f: np.ndarray) -> np.ndarray:
        return f @ self._out


@EVERY
def test_features_are_kept_and_edited_while_answering(load: Load, layers) -> None:
    model, sae = load(layers), Features()
    made, keeps = [Edit(sae.name, "add", 4.0, neuron=(3, 50))], [Keep(sae.name, top=5), ("resid_post", 1)]
    answer = model.generate(TEXT, max_tokens=12, taps=keeps, edits=made, dictionaries=[sae])
    assert answer.trace is not None
    # A dictionary is a matrix product of its own, whose sums may round otherwise for other numbers of tokens.
    assert_same(answer.trace, model.trace(answer.trace.ids, keeps, made, dictionaries=[sae]), 1e-3)
    assert answer.ids == model.generate(TEXT, max_tokens=12, edits=made, dictionaries=[sae]).ids
    assert answer.ids != model.generate(TEXT, max_tokens=12).ids


def test_the_numpy_twins_are_looked_into_as_the_kernels_are(tiny_folder: Path, load: Load) -> None:
    twin, made = petitlm.load(tiny_folder, bits=32, isa="numpy"), edits(len(TEXT))
    made = _there(made, len(TEXT))
    keeps = [tap for tap in tap_names(twin.config) if not tap.endswith("scores")]
    assert_same(twin.trace(TEXT, keeps, made), load(32).trace(TEXT, keeps, made), 1e-4)
    assert not twin.hooks().exact and load(32).hooks().exact
    answer = twin.generate(TEXT, max_tokens=4, taps=keeps[:-2], edits=made)
    assert answer.trace is not None
    assert_same(answer.trace, twin.trace(answer.trace.ids, keeps[:-2], made), 1e-4)


def test_a_prompt_of_many_chunks_is_kept_whole(long_folder: Path) -> None:
    model = petitlm.load(long_folder, threads=1)
    ids = np.random.default_rng(0).integers(0, 256, 600).tolist()
    rows = np.random.default_rng(1).normal(size=(3, 64))
    made = [Edit(("mlp_out", 0), "add", rows, positions=(599, 3, 300)), Edit(("scores", 1), "add", 1.0, neuron=500)]
    keeps = [("pattern", 1), Keep("resid_post", at=(0, 255, 256, 599, 603)), Keep(("scores", 0), top=4)]
    answer = model.generate(ids, max_tokens=6, taps=keeps, edits=made)
    assert answer.trace is not None
    assert_same(answer.trace, model.trace(answer.trace.ids, keeps, made), 0)


@pytest.mark.parametrize(("options", "error", "message"), [
    (dict(taps=["z"], n=2), UsageError, "taps are kept of one answer, and n=2"),
    (dict(edits=[Edit("z", "mean")]), UsageError, "needs a value in an answer that still grows"),
    (dict(edits=[Edit("z", "zero", positions=-1)]), UsageError, "position -1 counts from the end of a text that still"),
    (dict(edits=[Edit("mlp_out", "add", np.ones((46, 64)))]), UsageError, "the text still grows; say which"),
    (dict(edits=[Edit("zz", "zero")]), UsageError, "'zz' is not known"),
    (dict(taps=[Keep("z", at=-1)]), UsageError, "position -1 counts from the end of a text that still grows"),
    (dict(taps=[Keep("z", at=60)]), UsageError, "position 60 is not there"),
    (dict(taps=["z"], speculate="lookup"), UsageError, "leave speculate out, or the taps"),
    (dict(taps=["resid_post"], limit=1000), DoesNotFitError, "56 tokens would take"),
])  # fmt: skip
def test_what_an_answer_cannot_keep_or_edit_is_refused(load: Load, options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        load(4).generate(TEXT, max_tokens=10, **options)


def test_what_is_not_kept_takes_no_memory(long_folder: Path) -> None:
    """Of a long text's values those asked for are held once, and the rest only while they are used."""
    model = petitlm.load(long_folder, threads=1)
    ids = np.random.default_rng(0).integers(0, 256, 3000).tolist()
    model.trace(ids[:10], ["resid_post"])
    for keeps, logits in ((["resid_post", "mlp_post"], "last"), ([Keep(("pattern", 1), at=-1)], "none"),
                          ([Keep("mlp_post", norm=True)], "last")):
        tracemalloc.start()
        trace = model.trace(ids, keeps, logits=logits)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        cache_and_one_chunk = 2 * 2 * 4 * 3008 * 16 * 2 + 256 * 4 * (3000 * 4 * 2 if "attn" in str([*trace]) else 2000)
        assert peak <= trace.n_bytes + cache_and_one_chunk + 2_000_000
