"""Patching: every effect against the same change made by hand, one run at a time, and against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests_look import random_model

from petitlm import look
from petitlm.engine.edits import Edit
from petitlm.engine.runs import run_text
from petitlm.errors import UsageError
from petitlm.look.units import parse_unit
from petitlm.look.zoo.made import Made
from petitlm.taps import TapName

CLEAN, CORRUPT = [5, 17, 40, 3, 22, 31, 9], [5, 17, 41, 3, 22, 8, 9]
ANSWER, VERSUS = 12, 33
KINDS = ["resid_pre", "resid_post", "attn_out", "mlp_out", "heads", "q", "k", "v", "pattern", "embed"]


@pytest.fixture(scope="module")
def models() -> dict[str, Made]:
    """Three families with random weights, on the torch layers, and in 4 bits on the engine."""
    shapes = {"phi": "phi, kv groups, tied", "llama": "llama", "gpt": "gpt"}
    return {**{name: random_model(shape, layers="torch") for name, shape in shapes.items()},
            **{f"{name} q4": random_model(shape, 4) for name, shape in shapes.items()}}


NAMES = ["phi", "llama", "gpt", "phi q4", "llama q4", "gpt q4"]


def whole(tap: TapName, value: np.ndarray, head: int | None = None) -> Edit:
    """Return the edit that replaces a value at every position."""
    return Edit(tap, "replace", value, positions=range(len(CLEAN)), head=head)


def metric(logits: np.ndarray) -> float:
    return float(logits[-1].astype(np.float64)[ANSWER] - logits[-1].astype(np.float64)[VERSUS])


def by_hand(model: Made, base: list[int], source: list[int], name: str) -> float:
    """Return the effect of one unit: whole runs, the source's whole value with the rest taken from the base."""
    unit = parse_unit(model.config, name)
    tap, where = unit.tap, unit.positions
    values = [run_text(model.runner, ids, [tap])[tap] for ids in (base, source)]
    if tap.endswith(("scores", "pattern")):
        values = [x.swapaxes(0, 1) for x in values]
    mixed = values[0].copy()
    rows = slice(None) if where is None else list(where)
    if unit.head is not None:
        mixed[rows, unit.head] = values[1][rows, unit.head]
    elif unit.neuron is not None:
        mixed[rows, unit.neuron] = values[1][rows, unit.neuron]
    else:
        mixed[rows] = values[1][rows]
    return metric(run_text(model.runner, base, edits=[whole(tap, mixed)]).logits) - metric(
        run_text(model.runner, base).logits)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("over", KINDS)
def test_every_effect_is_that_of_the_change_made_by_hand(models: dict[str, Made], name: str, over: str) -> None:
    model = models[name]
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over=over)
    assert np.abs(found.effects).max() > 1e-3
    for row, names in enumerate(found.names):
        for column, unit in enumerate(names):
            expected = by_hand(model, CORRUPT, CLEAN, unit)
            exact = 0.0 if "q4" in name else 2e-5  # torch's products of other heights differ in the last bits
            assert found.effects[row, column] == pytest.approx(expected, abs=exact), unit
    assert found.checks[0].ok


@pytest.mark.parametrize("name", ["phi q4", "llama q4"])
def test_moving_everything_gives_the_other_run_to_the_bit(models: dict[str, Made], name: str) -> None:
    found = look.patch(models[name], CLEAN, CORRUPT, ANSWER, VERSUS, over="resid_pre", each=False)
    assert (found.effects == found.total).all()
    assert (found.share() == 1.0).all()
    assert found.checks[0].value == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_neurons_positions_and_the_other_direction(models: dict[str, Made], name: str) -> None:
    model = models[name]
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="neurons", into="clean", most=12, blocks=[1],
                       positions=[-1, 2], each=True)
    assert found.effects.shape == (12, 2)
    assert found.base - found.source == pytest.approx(-found.total)
    for names, effects in zip(found.names, found.effects, strict=True):
        for unit, effect in zip(names, effects, strict=True):
            assert parse_unit(model.config, unit).block == 1
            assert effect == pytest.approx(by_hand(model, CLEAN, CORRUPT, unit), abs=2e-5)


def test_the_neurons_run_are_those_that_write_most(models: dict[str, Made]) -> None:
    model = models["phi"]
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="neurons", most=10_000)
    assert len(found.rows) == model.config.n_layers * model.config.d_mlp  # all of them, most written first
    few = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="neurons", most=7)
    assert few.rows == found.rows[:7]


@pytest.mark.parametrize(("ablation", "mean"), [("zero", False), ("mean", True)])
def test_ablations_need_no_second_text(models: dict[str, Made], ablation: str, mean: bool) -> None:
    model = models["llama"]
    found = look.patch(model, CLEAN, None, ANSWER, VERSUS, ablation=ablation)
    tap = "blocks.1.attn.hook_z"
    x = run_text(model.runner, CLEAN, [tap])[tap].copy()
    x[:, 3] = x[:, 3].mean(0) if mean else 0.0
    expected = metric(run_text(model.runner, CLEAN, edits=[whole(tap, x)]).logits) - found.base
    assert found.effects[1, 3] == pytest.approx(expected, abs=2e-5)
    assert found.into == "clean"
    assert np.isnan(found.total)
    assert found.checks == ()


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_neurons_can_be_ablated(models: dict[str, Made], ablation: str) -> None:
    model, tap = models["gpt q4"], "blocks.1.mlp.hook_post"
    found = look.patch(model, CLEAN, None, ANSWER, VERSUS, over="neurons", ablation=ablation, most=5, blocks=[1])
    x = run_text(model.runner, CLEAN, [tap])[tap]
    for (name,), (effect,) in zip(found.names, found.effects, strict=True):
        changed = x.copy()
        neuron = parse_unit(model.config, name).neuron
        changed[:, neuron] = 0.0 if ablation == "zero" else x[:, neuron].mean()
        after = metric(run_text(model.runner, CLEAN, edits=[whole(tap, changed)]).logits)
        assert effect == pytest.approx(after - found.base, abs=2e-5)


def test_given_parts_are_changed_in_every_run(models: dict[str, Made]) -> None:
    model = models["phi q4"]
    with_it = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, given=["z:0.1"])
    alone = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS)
    both = [whole(("z", block), run_text(model.runner, CLEAN, [("z", block)])[("z", block)][:, [head]], head)
            for block, head in ((0, 1), (1, 2))]
    together = metric(run_text(model.runner, CORRUPT, edits=both).logits) - alone.base
    assert with_it.effects[1, 2] + alone.effects[0, 1] == pytest.approx(together, abs=1e-12)
    assert with_it.effects[0, 1] == 0.0


@pytest.mark.parametrize("name", ["phi", "llama", "gpt"])
def test_a_path_to_the_logits_is_what_the_sender_adds_to_the_stream(models: dict[str, Made], name: str) -> None:
    model = models[name]
    config, last = model.config, f"blocks.{model.config.n_layers - 1}.hook_resid_post"
    end = run_text(model.runner, CORRUPT, [last])[last][-1:].astype(np.float64)
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="heads", to="logits")
    for block in range(config.n_layers):
        a, b = (run_text(model.runner, ids, [("z", block)])[("z", block)][-1] for ids in (CLEAN, CORRUPT))
        columns = np.split(model.runner.weight(f"blocks.{block}.attn.o.weight"), config.n_heads, axis=1)
        for head in range(config.n_heads):
            moved = end + (a - b)[head] @ columns[head].T
            effect = metric(model.runner.readout(moved.astype(np.float32))) - found.base
            assert found.effects[block, head] == pytest.approx(effect, abs=5e-5)
    whole = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="heads", direct=True)
    assert np.array_equal(whole.direct, found.effects)
    assert whole.effects[-1] == pytest.approx(whole.direct[-1], abs=5e-5) or not config.parallel_block


def test_paths_to_all_readers_of_the_last_block_add_to_the_whole_effect(models: dict[str, Made]) -> None:
    """In a parallel block of the last layer, what a sender before it does is read by q, k, v, the MLP or the logits."""
    model = models["phi"]
    base = run_text(model.runner, CORRUPT, [("z", 1), ("mlp_out", 1), ("attn_out", 1)])
    through = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="mlp_out", each=False, blocks=[0],
                         to=["attn_out:1", "mlp_out:1"])
    # By hand: block 0's MLP is changed, its effect on block 1's parts recorded, and these put in an untouched run.
    source = run_text(model.runner, CLEAN, [("mlp_out", 0)])[("mlp_out", 0)]
    changed = run_text(model.runner, CORRUPT, [("attn_out", 1), ("mlp_out", 1)],
                       [whole(("mlp_out", 0), source)])
    edits = [whole(name, changed[name]) for name in (("attn_out", 1), ("mlp_out", 1))]
    expected = metric(run_text(model.runner, CORRUPT, edits=edits).logits) - metric(base.logits)
    assert through.effects[0, 0] == pytest.approx(expected, abs=2e-5)


def test_a_path_to_a_key_changes_that_key_alone(models: dict[str, Made]) -> None:
    model = models["llama"]
    sender = whole(("z", 0), run_text(model.runner, CLEAN, [("z", 0)])[("z", 0)][:, [4]], 4)
    frozen = [whole(("mlp_out", 0), run_text(model.runner, CORRUPT, [("mlp_out", 0)])[("mlp_out", 0)])]
    key = run_text(model.runner, CORRUPT, [("k", 1)], [sender, *frozen])[("k", 1)]
    changed = run_text(model.runner, CORRUPT, edits=[whole(("k", 1), key[:, [1]], 1)]).logits
    expected = metric(changed) - metric(run_text(model.runner, CORRUPT).logits)
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, to="k:1.1")
    assert found.effects[0, 4] == pytest.approx(expected, abs=2e-5)
    assert np.abs(found.effects[1]).max() < 1e-5  # nothing of block 1 comes before its keys


def test_a_finding_repeats(models: dict[str, Made], tmp_path: Path) -> None:
    found = look.patch(models["phi q4"], CLEAN, CORRUPT, ANSWER, VERSUS, positions=[-1])
    look.save_finding(found, tmp_path / "finding.json")
    again = look.replay(look.load_finding(tmp_path / "finding.json"), models["phi q4"])
    assert again.holds
    assert again.worst == 0.0


@pytest.mark.parametrize(("wrong", "message"), [
    (dict(over="head"), "over='head' is not known"),
    (dict(over="resid_mid"), "attention and MLP run in parallel"),
    (dict(blocks=[7]), "beyond the last block"),
    (dict(positions=[7]), "position 7 is not in a text of 7 tokens"),
    (dict(into="noise"), "into='noise' is not known"),
    (dict(ablation="half"), "ablation='half' is not known"),
    (dict(to="resid_post:1"), "a path cannot end at 'resid_post:1'"),
    (dict(to=["logits", "q:1.0"]), "the logits are read by themselves"),
    (dict(to="q:0.9"), "there is no head 9"),
    (dict(over="resid_post", to="logits"), "adds nothing to the residual stream by itself"),
    (dict(given=["z5"]), "is not known|names no part"),
    (dict(given=["z"]), "says no block"),
    (dict(given=["z:0.1"], to="logits"), "do not go together"),
    (dict(over="neurons", most=0), "ask for at least one neuron"),
    (dict(corrupt=None), "there is no corrupt text"),
    (dict(corrupt=CLEAN[:-1]), "the clean text has 7 tokens and the corrupt one 6"),
    (dict(corrupt=CLEAN), "have the same tokens"),
    (dict(answer="w1 w2"), "is not one token"),
])  # fmt: skip
def test_what_cannot_be_asked_is_said(models: dict[str, Made], wrong: dict, message: str) -> None:
    asked = dict(clean=CLEAN, corrupt=CORRUPT, answer=ANSWER, versus=VERSUS) | wrong
    with pytest.raises(UsageError, match=message):
        look.patch(models["phi"], **asked)


def test_names_of_units_come_back(models: dict[str, Made]) -> None:
    config = models["phi"].config
    for name in ("z:1.3", "k:0.1", "mlp_post:1.69", "resid_post:0@3", "mlp_out:1@0,5", "embed@2", "ln_final"):
        assert parse_unit(config, name).name == name
