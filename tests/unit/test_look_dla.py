"""Direct logit attribution: complete everywhere, equal to float64 by another route, right where the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests_look import random_model

from petitlm import look
from petitlm.engine.runs import run_text
from petitlm.errors import UsageError
from petitlm.look.dla import Dla
from petitlm.look.findings import load_finding, replay, save_finding
from petitlm.look.zoo.induction import exact_induction, held_margin, induction, repeated_prompt
from petitlm.look.zoo.made import Made
from tests_shapes import SHAPES

IDS = [3, 1, 4, 1, 5, 9, 2, 6]
EVERY = [(name, layers, bits) for name in SHAPES for layers, bits in
         [("engine", 32), ("engine", 4), ("engine", 8), ("engine", 16), ("torch", 32)]]


def values(result: Dla, kind: str) -> np.ndarray:
    return np.array([term.value for term in result.terms if term.kind == kind])


@pytest.mark.parametrize(("shape", "layers", "bits"), EVERY)
def test_the_terms_add_up_to_the_logit(shape: str, layers: str, bits: int) -> None:
    model = random_model(shape, bits, layers)
    logits = model_logits(model, IDS)
    for versus in (None, "w11"):
        for basis in ("raw", "folded"):
            wanted = logits[7] - (logits[11] if versus else logits.mean() if basis == "folded" else 0)
            for unit in ("layer", "head", "neuron"):
                result = look.dla(model, IDS, 7, versus, unit=unit, basis=basis)
                assert result.logit == pytest.approx(wanted, abs=1e-5)
                complete, rounded = result.checks
                assert abs(complete.value) <= complete.bound == 1e-5, str(complete)
                assert sum(t.value for t in result.terms) == pytest.approx(result.total, abs=1e-9)
                # What enters a packed matrix is rounded to 8 bits: the gap is told, and has no bound.
                assert (rounded.bound is None) == (bits in (4, 8))
                assert rounded.ok and abs(rounded.value) < 0.05


def model_logits(model: Made, ids: list[int]) -> np.ndarray:
    return run_text(model.runner, ids).logits[-1].astype(np.float64)


@pytest.mark.parametrize("shape", ["phi, kv groups, tied", "llama", "gpt"])
def test_each_term_is_what_the_logit_loses_without_it(shape: str) -> None:
    """The closed form: with the norm's scale frozen, leaving a part out of the stream lowers the logit by its term."""
    model, config = random_model(shape), SHAPES[shape]
    taps = ["embed", "attn_out", "mlp_out", "resid_post", "z", "mlp_post"]
    trace = run_text(model.runner, IDS, [*taps, *(["pos_embed"] if config.positions == "learned" else [])])
    stream = trace["resid_post", config.n_layers - 1][-1].astype(np.float64)
    centred = stream - (stream.mean() if config.norm == "layer" else 0)
    scale = np.sqrt((centred**2).mean() + config.norm_eps)
    head = model.runner.weight("embed.weight" if config.tied else "unembed.weight").astype(np.float64)

    def logit(x: np.ndarray) -> float:
        x = x - (x.mean() if config.norm == "layer" else 0)
        normal = x / scale * model.runner.weight("ln_final.weight")
        normal = normal + (model.runner.weight("ln_final.bias") if config.norm == "layer" else 0)
        said = head @ normal + (model.runner.weight("unembed.bias") if config.unembed_bias else 0)
        return float(said[7] - said[11])

    lost = {f"attn {i}": trace["attn_out", i][-1] for i in range(config.n_layers)}
    lost |= {f"mlp {i}": trace["mlp_out", i][-1] for i in range(config.n_layers)} | {"embed": trace["embed"][-1]}
    for i in range(config.n_layers):
        o = model.runner.weight(f"blocks.{i}.attn.o.weight").astype(np.float64)
        down = model.runner.weight(f"blocks.{i}.mlp.down.weight").astype(np.float64)
        lost |= {f"head {i}.{h}": o.reshape(-1, config.n_heads, config.d_head)[:, h] @ trace["z", i][-1, h]
                 for h in range(config.n_heads)}
        lost |= {f"neuron {i}.{n}": down[:, n] * trace["mlp_post", i][-1, n] for n in range(config.d_mlp)}
    whole = logit(stream)
    for unit in ("layer", "head", "neuron"):
        for term in look.dla(model, IDS, 7, 11, unit=unit, top=10_000).terms:
            if term.name in lost:
                assert term.value == pytest.approx(whole - logit(stream - lost[term.name]), abs=1e-6), term.name
            elif term.kind == "rest":
                assert abs(term.value) < 1e-5, "in 32 bits nothing is left of a layer"


def test_folding_moves_value_biases_and_nothing_else() -> None:
    model = random_model("phi, kv groups, tied")
    raw, folded = (look.dla(model, IDS, 7, 11, unit="head", basis=basis) for basis in ("raw", "folded"))
    assert folded.total == pytest.approx(raw.total)
    config, a, b = model.config, values(raw, "head"), values(folded, "head")
    assert np.abs(a - b).max() > 1e-3
    by_layer = (config.n_layers, config.n_heads)
    moved = (a - b).reshape(by_layer).sum(1)
    assert values(folded, "bias")[:-1] - values(raw, "bias")[:-1] == pytest.approx(moved, abs=1e-9)
    no_bias = random_model("llama")
    raw, folded = (look.dla(no_bias, IDS, 7, 11, unit="head", basis=basis) for basis in ("raw", "folded"))
    assert values(raw, "head") == pytest.approx(values(folded, "head"))


@pytest.mark.parametrize(("layers", "bits"), [("engine", 32), ("engine", 8), ("engine", 4), ("torch", 32)])
def test_the_induction_head_wrote_the_whole_logit(layers: str, bits: int) -> None:
    model, ids = exact_induction().load(bits, layers), repeated_prompt(0, n_again=8)  # type: ignore[arg-type]
    result = look.dla(model, ids, ids[9], ids[3], unit="head")
    heads = {t.name: t.value for t in result.terms}
    assert heads.pop("head 1.0") == pytest.approx(held_margin(), rel={32: 1e-6, 8: 1e-3, 4: 5e-3}[bits])
    assert max(abs(v) for v in heads.values()) < (1e-6 if bits == 32 else 0.05)
    assert result.total == pytest.approx(result.logit, rel=1e-2)


def test_c1_has_a_margin_of_ten() -> None:
    ids = repeated_prompt(1, n_again=8)
    result = look.dla(induction().load(), ids, ids[9], ids[3])
    assert result.total == pytest.approx(10, abs=1e-5)
    assert {t.name: t.value for t in result.terms}["attn 1"] == pytest.approx(10, abs=1e-5)


def test_the_largest_neurons_and_what_the_others_add_up_to() -> None:
    model = random_model("gpt")
    every, few = (look.dla(model, IDS, 7, unit="neuron", top=n) for n in (10_000, 3))
    ranked = sorted((t for t in every.terms if t.kind == "neuron"), key=lambda t: -abs(t.value))
    assert len(ranked) == 2 * 77
    assert {t.name for t in few.terms if t.kind == "neuron"} == {t.name for t in ranked[:3]}
    for layer in (0, 1):
        others = sum(t.value for t in ranked[3:] if t.layer == layer)
        assert next(t.value for t in few.terms if t.name == f"other neurons {layer}") == pytest.approx(others)
    assert few.total == pytest.approx(every.total)


def test_another_position_and_a_finding(tmp_path: Path) -> None:
    model = random_model("phi", 4)
    result = look.dla(model, IDS, "w7", at=2, unit="head")
    assert result.token == "w4" and result.answer == "w7"
    assert result.total == pytest.approx(look.dla(model, IDS[:3], 7, unit="head").total)
    save_finding(result, tmp_path / "found.json")
    assert replay(load_finding(tmp_path / "found.json"), model).holds
    assert "4-bit weights" in result.table() and "logit of 'w7'" in result.table()
    assert result.html().count("<figure") == 2
    assert look.dla(model, IDS, "w7", unit="neuron").html().count("<figure") == 1


@pytest.mark.parametrize(("arguments", "message"), [
    ({"unit": "block"}, "unit='block' is not known; choose one of layer, head, neuron"),
    ({"basis": "raw "}, "basis='raw ' is not known"),
    ({"at": 8}, "position 8 is not in the text"),
    ({"top": 0}, "top=0 keeps nothing"),
    ({"versus": "w1 w2"}, "is not one token"),
])
def test_wrong_questions_get_one_sentence(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        look.dla(random_model("phi"), IDS, 7, **arguments)
