"""The constructed models C1 to C7 do what they are made to do, exactly, on both layer sets and in every format."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.engine.edits import Edit
from petitlm.engine.runs import run_text, run_texts, run_variants
from petitlm.errors import UsageError
from petitlm.look.zoo.backup import MARGIN, backup, backup_pair
from petitlm.look.zoo.cancellation import DIRECT, REMAINDER, cancellation, cancelling_pair
from petitlm.look.zoo.compiler import NUMBER, TOP
from petitlm.look.zoo.dictionary import best_cosines, dictionary_model, known_dictionary
from petitlm.look.zoo.induction import (
    N_TOKENS,
    Pair,
    exact_induction,
    held_margin,
    induction,
    lying_pair,
    repeated_prompt,
)
from petitlm.look.zoo.made import BOS, Made
from petitlm.look.zoo.modular import all_sums, modular, units
from petitlm.look.zoo.programs import PROGRAMS, make_program

HALF = slice(1 + N_TOKENS, 2 * N_TOKENS)  # positions whose next token was seen before


def metric(model: Made, pair: Pair, ids: list[int], *edits: Edit) -> float:
    last = run_text(model.runner, ids, [], edits).logits[-1]
    return float(last[pair.answer] - last[pair.versus])


def margins(model: Made, ids: list[int], *edits: Edit) -> np.ndarray:
    """How far the next token's logit is above the best other one, in the second half."""
    logits = run_text(model.runner, ids, [], edits).logits[HALF].astype(np.float64)
    rows, right = np.arange(len(logits)), np.array(ids[HALF.start + 1 : HALF.stop + 1])
    own = logits[rows, right]
    logits[rows, right] = -np.inf
    return own - logits.max(1)


@pytest.mark.parametrize("layers", ["engine", "torch"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_induction_by_hand_is_exact(seed: int, layers: str) -> None:
    model, ids = induction().load(layers=layers), repeated_prompt(seed)  # type: ignore[arg-type]
    trace = run_text(model.runner, ids, ["pattern"])
    back, match = trace[("pattern", 0)][0], trace[("pattern", 1)][0]
    t = np.arange(1, len(ids))
    assert np.abs(back[t, t - 1] - 1).max() < 1e-6
    second = np.arange(HALF.start, len(ids))
    assert np.abs(match[second, second - N_TOKENS + 1] - 1).max() < 1e-6
    assert match[second, second - N_TOKENS].max() < 1e-15  # the token itself, the duplicate
    assert np.abs(margins(model, ids) - 10).max() < 1e-5
    for block in (0, 1):
        assert margins(model, ids, Edit(("z", block), "zero")).max() <= 0, "neither head alone predicts anything"


@pytest.mark.parametrize("bits", [32, 16, 8, 4])
def test_induction_is_held_exactly_in_every_format(bits: int) -> None:
    blueprint = exact_induction()
    model, ids = blueprint.load(bits), repeated_prompt(3)
    for name in blueprint.config.tensor_shapes():
        stored, meant = model.runner.weight(name), np.asarray(blueprint.weights[name], np.float32)
        assert np.array_equal(stored, meant), name
    trace = run_text(model.runner, ids, ["pattern"])
    second = np.arange(HALF.start, len(ids))
    assert trace[("pattern", 1)][0][second, second - N_TOKENS + 1].min() > 1 - 1e-6
    # What is left is the rounding of what flows: values in half precision, and in 8 bits within a group of 256.
    bound = {32: 1e-6, 16: 5e-4, 8: 5e-4, 4: 5e-3}[bits]
    assert np.abs(margins(model, ids) / held_margin() - 1).max() < bound
    for block in (0, 1):
        assert margins(model, ids, Edit(("z", block), "zero")).max() <= 0


@pytest.mark.parametrize(("gain", "effect"), [(40, 10.0), (8, 9.9), (3, None), (1, None)])
def test_moving_the_previous_token_head_takes_the_corrupt_answer(gain: float, effect: float | None) -> None:
    model, pair = induction(gain).load(), lying_pair()
    z = run_text(model.runner, pair.clean, ["z:0"])["z:0"]
    everywhere = range(len(pair.corrupt))
    moved = metric(model, pair, pair.corrupt, Edit("z:0", "replace", z, positions=everywhere))
    found = moved - metric(model, pair, pair.corrupt)
    assert found == pytest.approx(effect, abs=0.1) if effect else found > 0
    if gain == 40:
        assert metric(model, pair, pair.clean) == pytest.approx(10, abs=1e-5)
        assert found == pytest.approx(10, abs=1e-5)


@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_two_paths_cancel(layers: str) -> None:
    model, pair = cancellation().load(layers=layers), cancelling_pair()  # type: ignore[arg-type]
    assert metric(model, pair, pair.corrupt) == 0
    assert metric(model, pair, pair.clean) == pytest.approx(REMAINDER, rel=1e-4)
    assert metric(model, pair, pair.clean, Edit("mlp_out:0", "zero")) == DIRECT
    assert metric(model, pair, pair.clean, Edit("z:0", "zero")) == 0


@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_a_backup_head_does_the_work_of_one_that_is_gone(layers: str) -> None:
    model, pair = backup().load(layers=layers), backup_pair()  # type: ignore[arg-type]
    a, b = Edit("z:0", "zero"), Edit("z:1", "zero")
    assert metric(model, pair, pair.clean) == pytest.approx(MARGIN, abs=1e-5)
    assert metric(model, pair, pair.corrupt) == pytest.approx(-MARGIN, abs=1e-5)
    for edits in ((a,), (b,)):
        assert metric(model, pair, pair.clean, *edits) == pytest.approx(MARGIN, abs=1e-5)
    assert metric(model, pair, pair.clean, a, b) == 0
    attention = run_text(model.runner, pair.clean, ["pattern:1"], [a])["pattern:1"][0, -1]
    assert attention[1] > 1 - 1e-6


@pytest.mark.parametrize("p", [11, 59])
def test_modular_addition_in_closed_form(p: int) -> None:
    model, texts = modular(p).load(), all_sums(p)
    traces = list(run_texts(model.runner, texts, ["mlp_pre"] if p < 20 else []))
    logits = np.stack([trace.logits[-1, :p] for trace in traces])
    right = np.array([(a + b) % p for a, b, _ in texts])
    assert np.array_equal(logits.argmax(1), right)
    ordered = np.sort(logits, 1)
    assert ((ordered[:, -1] - ordered[:, -2]) / ordered[:, -1]) == pytest.approx(1 + 1 / (p - 1), rel=1e-5)
    if p < 20:  # each unit is a wave of its own frequency in a, and in b
        pre = np.stack([trace["mlp_pre:0"][-1] for trace in traces]).reshape(p, p, -1)
        power = np.abs(np.fft.rfft(pre.mean(1), axis=0)) ** 2
        own = np.array([frequency for frequency, *_ in units(p)])
        assert (power[own, np.arange(len(own))] / power[1:].sum(0)).min() > 1 - 1e-6


def test_the_known_dictionary_is_what_it_says() -> None:
    known = known_dictionary()
    x, strengths = known.sample(20_000, np.random.default_rng(0))
    assert np.abs(np.linalg.norm(known.directions, axis=1) - 1).max() < 1e-6
    assert (strengths > 0).mean() == pytest.approx(known.probability, rel=0.05)
    assert np.allclose(x, strengths @ known.directions, atol=1e-6)
    assert strengths[strengths > 0].min() >= 0.5
    assert strengths.max() <= 1
    assert best_cosines(known.directions[::-1] * 3, known.directions) == pytest.approx(1, abs=1e-5)
    untrained = np.random.default_rng(1).normal(size=(64, 20))
    assert best_cosines(untrained, known.directions).mean() < 0.8


def test_the_known_dictionary_flows_through_a_model() -> None:
    known = known_dictionary()
    blueprint, strengths = dictionary_model(known, 300)
    ids = list(range(200))
    trace = run_text(blueprint.load().runner, ids, ["resid_post", "ln_final"])
    for tap in (("resid_post", 0), "ln_final"):
        assert np.allclose(trace[tap], strengths[:200] @ known.directions, atol=1e-6)


@pytest.mark.parametrize("name", list(PROGRAMS))
@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_a_compiled_program_says_what_it_should(name: str, layers: str) -> None:
    program, rng = make_program(name), np.random.default_rng(0)
    blueprint = program.compiled.blueprint
    model, n_checked = blueprint.load(layers=layers), 0  # type: ignore[arg-type]
    for _ in range(20):
        text = program.sample(rng)
        logits = run_text(model.runner, blueprint.ids(" ".join([BOS, *text]))).logits[1:]
        for row, said in zip(logits, program.truth(text), strict=True):
            if isinstance(said, float):
                assert row[blueprint.words.index(NUMBER)] == pytest.approx(TOP * said, abs=1e-4)
            elif said is not None:
                assert blueprint.words[int(row.argmax())] == said
                assert np.sort(row)[-2] < 1e-3
            n_checked += said is not None
    assert n_checked >= 50


def test_the_share_of_x_in_hello() -> None:
    """Tracr's own example: 0, 0, 1/3, 1/2, 2/5."""
    blueprint = make_program("fraction").compiled.blueprint
    logits = run_text(blueprint.load().runner, blueprint.ids(f"{BOS} a b x x c")).logits[1:]
    assert logits[:, blueprint.words.index(NUMBER)] / TOP == pytest.approx([0, 0, 1 / 3, 1 / 2, 2 / 5], abs=1e-6)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_what_a_program_does_not_use_has_no_effect(name: str) -> None:
    program = make_program(name)
    compiled, rng = program.compiled, np.random.default_rng(1)
    model = compiled.blueprint.load()
    used = {edge.source for edge in compiled.edges}
    heads = [(i, h) for i in range(model.config.n_layers) for h in range(model.config.n_heads)]
    largest = dict.fromkeys(heads, 0.0)
    for _ in range(8):
        ids = compiled.blueprint.ids(" ".join([BOS, *program.sample(rng)]))
        edits = [[Edit(("z", i), "zero", head=h)] for i, h in heads]
        base = run_text(model.runner, ids).logits
        for (i, h), trace in zip(heads, run_variants(model.runner, ids, edits, wanted="all"), strict=True):
            largest[i, h] = max(largest[i, h], float(np.abs(trace.logits - base[-len(trace.logits) :]).max()))
    for (i, h), change in largest.items():
        assert (change > 0.1) if f"z:{i}.{h}" in used else change < 1e-6, (i, h)


def test_mistakes_are_one_sentence() -> None:
    model = induction().load()
    with pytest.raises(UsageError, match="'zebra' is no word of this model"):
        model.encode("<s> zebra")
    with pytest.raises(UsageError, match="token id 99 is not in this model"):
        model.encode([99])
    with pytest.raises(UsageError, match="bits=4 was asked for"):
        induction().load(4, "torch")
    with pytest.raises(UsageError, match="p=60 is not possible here"):
        modular(60)
    with pytest.raises(UsageError, match="no program 'quicksort'; there are previous, fraction"):
        make_program("quicksort")
    with pytest.raises(UsageError, match="'zebra' is no word"):
        induction().ids("a zebra")
