"""What a model's layers can do, told truly; and functions as taps, on torch tensors with their gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.decoder import tap_names
from petitlm.engine import hooks as hooks_module
from petitlm.engine.hooks import hooks_of
from petitlm.engine.runs import run_text
from petitlm.errors import ShapeError, UsageError
from petitlm.taps import SHORT, full_names
from tests_runners import engine, ids_of, torch_layers
from tests_shapes import SHAPES

torch = pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
TEXT = "The quick brown fox"


@pytest.fixture(scope="module")
def on_torch(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, layers="torch", threads=1)


@pytest.fixture(scope="module")
def on_engine(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, threads=1)


@pytest.mark.parametrize("name", SHAPES)
def test_taps_and_weights_are_those_that_there_are(name: str) -> None:
    config = SHAPES[name]
    for runner in (engine(name, 4), torch_layers(name)):
        hooks = hooks_of(runner)
        assert list(hooks.taps) == tap_names(config)
        trace = run_text(runner, ids_of(name), list(hooks.taps))
        sizes = {"T": 19, "S": 19, "D": config.d_model, "H": config.n_heads, "G": config.n_kv_heads, "K": config.d_head,
                 "F": config.d_mlp, "V": config.n_vocab}
        for tap, letters in hooks.taps.items():
            assert trace[tap].shape == tuple(sizes[letter] for letter in letters.strip("()").split(", ")), tap
        for weight in hooks.weights:
            assert runner.weight(weight).shape == config.tensor_shapes()[weight]
            assert runner.weight(weight).dtype == np.float32
        for short in SHORT:
            if short in hooks.absent:
                with pytest.raises(UsageError, match="cannot exist"):
                    full_names(config, short)
            else:
                assert full_names(config, short)
        assert all(len(why) > 20 for why in hooks.absent.values())


def test_the_report_says_what_each_set_of_layers_can_do(on_engine, on_torch, monkeypatch: pytest.MonkeyPatch) -> None:
    packed, floats = on_engine.hooks(), on_torch.hooks()
    assert (packed.layers, packed.functions, packed.gradients) == ("engine", False, "decoded")
    assert (floats.layers, floats.functions, floats.gradients, floats.exact) == ("torch", True, "own", False)
    assert packed.edits == floats.edits and packed.taps == floats.taps
    assert "pattern      (H, T, S)" in str(packed) and "no resid_mid: attention and MLP run in parallel" in str(packed)
    floats.need("functions"), floats.need("gradients"), packed.need("gradients")
    with pytest.raises(UsageError, match=r"layers='torch'.*petitlm\.Edit"):
        packed.need("functions")
    with pytest.raises(UsageError, match="compiled kernels"):
        floats.need("exact")
    monkeypatch.setattr(hooks_module, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"install petitlm\[train\], or patch"):
        on_engine.hooks().need("gradients")


def test_a_function_sees_and_changes_what_an_edit_does(on_torch) -> None:
    from petitlm.look import gradients

    seen: dict[str, tuple[int, ...]] = {}

    def halve(name: str, value):
        seen[name] = tuple(value.shape)
        return value / 2 if name == "blocks.0.hook_mlp_out" else None

    logits = gradients.run(on_torch, TEXT, halve)
    edited = on_torch.trace(TEXT, edits=[petitlm.Edit(("mlp_out", 0), "scale", 0.5)]).logits
    np.testing.assert_allclose(logits.detach().numpy(), edited, atol=1e-5)
    trace = on_torch.trace(TEXT, tap_names(on_torch.config))
    assert seen == {name: trace[name].shape for name in trace}
    seen.clear()
    gradients.run(on_torch, TEXT, halve, taps=[("pattern", 1), "resid_post"])
    assert list(seen) == ["blocks.0.hook_resid_post", "blocks.1.attn.hook_pattern", "blocks.1.hook_resid_post"]


def test_gradients_go_through_a_function(on_torch) -> None:
    from petitlm.look import gradients

    held = {}

    def keep(name: str, value) -> None:
        held[name] = value
        value.retain_grad()

    logits = gradients.run(on_torch, TEXT, keep, taps=[("z", 0), ("pattern", 1)])
    (logits[-1, 3] - logits[-1, 5]).backward()
    step = np.zeros(held["blocks.0.attn.hook_z"].shape, np.float32)
    step[4, 2, 7] = 1e-2
    rows = [on_torch.trace(TEXT, edits=[petitlm.Edit(("z", 0), "add", sign * step)]).logits[-1] for sign in (1, -1)]
    slope = ((rows[0][3] - rows[0][5]) - (rows[1][3] - rows[1][5])) / 2e-2
    assert held["blocks.0.attn.hook_z"].grad[4, 2, 7].item() == pytest.approx(slope, rel=1e-2, abs=1e-4)
    assert held["blocks.1.attn.hook_pattern"].grad.abs().max() > 0
    on_torch.runner.decoder.zero_grad()


def test_a_function_that_cannot_work_is_refused(on_engine, on_torch) -> None:
    from petitlm.look import gradients

    with pytest.raises(UsageError, match="runs on the engine; load it with layers='torch'"):
        gradients.run(on_engine, TEXT, lambda name, value: None)
    with pytest.raises(ShapeError, match=r"at 'hook_embed' returned \(19, 1\), and the value there is \(19, 64\)"):
        gradients.run(on_torch, TEXT, lambda name, value: value[:, :1])
    with pytest.raises(ShapeError, match="returned float"):
        gradients.run(on_torch, TEXT, lambda name, value: 1.0)
    with pytest.raises(UsageError, match="beyond the last block"):
        gradients.run(on_torch, TEXT, lambda name, value: None, taps=[("z", 2)])
    with pytest.raises(UsageError, match="the text is empty"):
        gradients.run(on_torch, [], lambda name, value: None)
