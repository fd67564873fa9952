"""The logit lens, the tuned lens and patchscopes: against float64, against closed forms, and against each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests_look import random_model

from petitlm import look
from petitlm.engine.runs import run_text
from petitlm.errors import ContextError, DamagedError, NotFoundError, UsageError
from petitlm.look.findings import load_finding, replay, save_finding
from petitlm.look.gradients.tuned_lens import Head, divergence, fit_lens
from petitlm.look.lens import largest
from petitlm.look.patchscope import greedy
from petitlm.look.tuned import TunedLens
from petitlm.look.zoo.induction import exact_induction, repeated_prompt
from petitlm.look.zoo.made import Made
from tests_shapes import SHAPES

IDS = [3, 1, 4, 1, 5, 9, 2, 6]
EVERY = [(name, layers, bits) for name in SHAPES for layers, bits in
         [("engine", 32), ("engine", 4), ("engine", 8), ("torch", 32)]]


def streams(model: Made, ids: list[int]) -> np.ndarray:
    trace = run_text(model.runner, ids, [("resid_pre", 0), "resid_post"])
    return np.stack([trace["resid_pre", 0], *(trace["resid_post", i] for i in range(model.config.n_layers))])


def twin(model: Made, x: np.ndarray) -> np.ndarray:
    """The final norm and head in float64, with the weights that the model computes with."""
    config, runner, x = model.config, model.runner, x.astype(np.float64)
    if config.norm == "layer":
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + config.norm_eps) * runner.weight("ln_final.weight")
    if config.norm == "layer":
        x = x + runner.weight("ln_final.bias")
    logits = x @ runner.weight("embed.weight" if config.tied else "unembed.weight").T.astype(np.float64)
    return logits + runner.weight("unembed.bias") if config.unembed_bias else logits


@pytest.mark.parametrize(("shape", "layers", "bits"), EVERY)
def test_every_layer_is_read_as_float64_reads_it(shape: str, layers: str, bits: int) -> None:
    model = random_model(shape, bits, layers)
    result = look.lens(model, IDS, top=4, follow=["w7", 11])
    assert result.checks[0].value == 0, "the last layer is the model's own logits, to the bit"
    x = streams(model, IDS)
    # What goes into a packed head is rounded to 8 bits: there the head's own logits are measured in float64.
    logits = twin(model, x) if bits == 32 else np.stack([model.runner.readout(h).astype(np.float64) for h in x])
    top = logits.max(-1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    p, own, read = np.exp(log_p), log_p[-1], result.reading
    assert read.entropy == pytest.approx(-(p * log_p).sum(-1), abs=2e-5)
    assert read.kl == pytest.approx((np.exp(own) * (own - log_p)).sum(-1), abs=5e-5)
    assert read.followed == pytest.approx(log_p[..., [7, 11]], abs=5e-5)
    assert np.array_equal(read.top_ids, np.argsort(-logits, -1)[..., :4])
    assert read.top_p == pytest.approx(-np.sort(-p, -1)[..., :4], abs=1e-5)
    target = logits[-1].argmax(-1)
    assert np.array_equal(read.rank, (logits > logits[:, range(len(IDS)), target][..., None]).sum(-1))
    assert read.rank[-1].max() == 0 and read.kl[-1].max() < 1e-5


def test_the_last_position_is_read_as_all_are(tmp_path: Path) -> None:
    model = random_model("phi", 4)
    whole, last = look.lens(model, IDS), look.lens(model, IDS, at=-1)
    assert last.positions == [7] and last.tokens == ["w6"]
    for name in ("top_ids", "top_p", "entropy", "kl", "rank"):
        a, b = getattr(whole.reading, name)[:, -1:], getattr(last.reading, name)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    assert whole.settled[-1] == last.settled[0]
    save_finding(whole, tmp_path / "lens.json")
    assert replay(load_finding(tmp_path / "lens.json"), model).holds


@pytest.mark.parametrize("bits", [4, 32])
def test_the_twins_in_numpy_read_the_same(tiny_folder: Path, bits: int) -> None:
    import petitlm

    results = [look.lens(petitlm.load(tiny_folder, bits=bits, threads=1, isa=isa), "A quick fox") for isa in
               ("auto", "numpy")]
    assert [result.checks[0].value for result in results] == [0, 0]
    assert results[0].reading.entropy == pytest.approx(results[1].reading.entropy, abs=1e-3)


def test_a_long_text_is_read_in_pieces() -> None:
    model = random_model(SHAPES["phi"].with_(n_ctx=700), 4)
    ids = np.random.default_rng(0).integers(0, 99, 600).tolist()
    result = look.lens(model, ids, at=[0, 255, 256, 599], top=1)
    logits = run_text(model.runner, ids).logits
    assert result.reading.top_ids[-1, :, 0].tolist() == logits[[0, 255, 256, 599]].argmax(-1).tolist()
    assert result.checks[0].value == 0


def test_settled_names_the_layer_from_which_nothing_changes() -> None:
    model = random_model("phi, heads of 10, odd sizes")
    result = look.lens(model, IDS, top=1)
    tops = result.reading.top_ids[..., 0]
    for i, name in enumerate(result.settled):
        at = result.layers.index(name)
        assert (tops[at:, i] == tops[-1, i]).all()
        assert at == 0 or tops[at - 1, i] != tops[-1, i]


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_induction_by_hand_is_said_by_the_last_layer_alone(bits: int) -> None:
    model, ids = exact_induction().load(bits), repeated_prompt(0, n_again=8)
    result = look.lens(model, ids, at=-1, follow=[ids[9]])
    p = np.exp(result.reading.followed[:, 0, 0])
    assert result.reading.rank[:, 0].tolist()[-1] == 0 and result.settled == ["1"]
    assert result.top_tokens[-1][0][0] == model.tokenizer.decode([ids[9]])
    assert p[0] == pytest.approx(1 / len(exact_induction().words)), "before it, nothing is in the part that is read"
    assert p[1] == pytest.approx(p[0])
    assert p[2] > 0.9


def test_the_largest_are_found_among_groups() -> None:
    rng = np.random.default_rng(0)
    for v, k in [(7, 3), (64, 5), (1000, 5), (5000, 1), (5001, 10)]:
        x = rng.normal(size=(6, v)).astype(np.float32)
        assert np.array_equal(largest(x, k), np.argsort(-x, -1, kind="stable")[:, :k])


def test_a_tuned_lens_learns_an_affine_map_that_is_there() -> None:
    """Blocks that add a constant alone: with it, and only with it, every layer says what the last one says."""
    model = random_model("phi, heads of 10, odd sizes")
    weights = model.runner.weights  # type: ignore[attr-defined]
    for i in range(model.config.n_layers):
        for name in (f"blocks.{i}.attn.o.weight", f"blocks.{i}.mlp.down.weight"):
            weights[name].data.view(np.float32)[:] = 0
        weights[f"blocks.{i}.mlp.down.bias"][:] = np.random.default_rng(i).normal(0, 1, model.config.d_model)
    texts = [np.random.default_rng(i).integers(0, 97, 20).tolist() for i in range(20)]
    lens = fit_lens(model, texts, steps=150, tokens=60, rate=2e-2)
    before, after = lens.made["kl_logit"], lens.made["kl_tuned"]
    assert min(before) > 0.1
    assert max(np.divide(after, before)) < 0.05
    again = fit_lens(model, texts, steps=150, tokens=60, rate=2e-2)
    assert again.made["kl_tuned"] == after, "the same texts and numbers give the same lens"


@pytest.mark.parametrize("shape", ["phi", "llama", "gpt"])
def test_the_learned_head_is_the_models(shape: str) -> None:
    import torch

    model, x = random_model(shape, 32), np.random.default_rng(0).normal(size=(5, SHAPES[shape].d_model))
    x = x.astype(np.float32)
    said = Head(model.runner)(torch.from_numpy(x))
    np.testing.assert_allclose(said.numpy(), twin(model, x), atol=1e-4)
    p, q = (np.exp(y - np.log(np.exp(y).sum(-1, keepdims=True))) for y in (twin(model, x), twin(model, x[::-1])))
    found = divergence(torch.from_numpy(twin(model, x[::-1])), torch.from_numpy(twin(model, x)))
    assert float(found) == pytest.approx((p * np.log(p / q)).sum(-1).mean(), rel=1e-6)


def test_a_tuned_lens_is_kept_and_used(tmp_path: Path) -> None:
    model, rng = random_model("gpt"), np.random.default_rng(0)
    d, n = model.config.d_model, model.config.n_layers
    weights = [rng.normal(0, 0.1, (d, d)).astype(np.float32) for _ in range(n)]
    biases = [rng.normal(0, 0.1, d).astype(np.float32) for _ in range(n)]
    path = tmp_path / "lens.safetensors"
    TunedLens(weights, biases, {"digest": model.runner.digest, "model": "random", "bits": 32}).save(path)
    result = look.lens(model, IDS, tuned=path, top=2)
    x = streams(model, IDS).astype(np.float64)
    x[:-1] = np.stack([h + h @ w.T + b for h, w, b in zip(x, weights, biases, strict=False)])
    assert np.array_equal(result.reading.top_ids, np.argsort(-twin(model, x), -1)[..., :2])
    assert result.lens == "tuned" and result.checks[0].value == 0 and len(result.checks) == 1
    other = look.lens(random_model("gpt", seed=1), IDS, tuned=path)
    assert "made for other weights: 1; random in 32 bits" in other.table()
    save_finding(result, tmp_path / "found.json")
    assert replay(load_finding(tmp_path / "found.json"), model).holds
    with pytest.raises(UsageError, match="has 2 blocks of width 36 and random has 2 of width 48"):
        look.lens(random_model("phi"), IDS, tuned=path)


def test_a_damaged_lens_is_refused(tmp_path: Path) -> None:
    model = random_model("gpt")
    with pytest.raises(NotFoundError):
        look.lens(model, IDS, tuned=tmp_path / "nothing")
    (tmp_path / "short").write_bytes(b"1234")
    with pytest.raises(DamagedError):
        look.lens(model, IDS, tuned=tmp_path / "short")
    uneven = TunedLens([np.zeros((4, 4), np.float32)] * 2, [np.zeros(4, np.float32), np.zeros(5, np.float32)], {})
    uneven.save(tmp_path / "uneven")
    with pytest.raises(DamagedError, match="width 4"):
        TunedLens.load(tmp_path / "uneven")


@pytest.mark.parametrize(("arguments", "message"), [
    ({"at": 8}, "position 8 is not in the text, which has 8 tokens"),
    ({"at": []}, "no position is given"),
    ({"top": 0}, "top=0 keeps nothing"),
    ({"follow": ["w1 w2"]}, "is not one token"),
])
def test_wrong_questions_get_one_sentence(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        look.lens(random_model("phi"), IDS, **arguments)


def test_texts_too_few_to_learn_from() -> None:
    with pytest.raises(UsageError, match="1 texts are too few"):
        fit_lens(random_model("phi"), [IDS])
    with pytest.raises(UsageError, match="learn nothing"):
        fit_lens(random_model("phi"), [IDS, IDS], steps=0)


@pytest.mark.parametrize(("shape", "layers", "bits"), EVERY)
def test_a_patchscope_after_the_last_block_is_the_lens(shape: str, layers: str, bits: int) -> None:
    model = random_model(shape, bits, layers)
    seen = look.lens(model, IDS, at=3, top=3)
    said = look.patchscope(model, IDS, [2, 7, 1], at=3, into_layer=-1, top=3)
    for i, one in enumerate(said.said):
        assert one.top == seen.top_tokens[i + 1][0]
        assert one.p == pytest.approx(seen.reading.top_p[i + 1, 0], abs=1e-6)


def test_a_state_put_back_where_it_was_changes_nothing(tmp_path: Path) -> None:
    model = random_model("llama", 4)
    result = look.patchscope(model, IDS, IDS, at=-1, into=-1, max_tokens=3)
    assert [one.layer for one in result.said] == [0, 1] and result.unpatched.layer == -1
    for one in result.said:
        assert (one.top, one.p, one.text) == (result.unpatched.top, result.unpatched.p, result.unpatched.text)
    save_finding(result, tmp_path / "found.json")
    assert replay(load_finding(tmp_path / "found.json"), model).holds


def test_a_state_moves_what_comes_next() -> None:
    """C1: the state of the token that is asked, after the first head, put into another text, asks there the same."""
    model, ids = exact_induction().load(8), repeated_prompt(0, n_again=5)
    other = [*ids[:-1], ids[12]]  # the same text, asking for another token
    result = look.patchscope(model, ids, other, layers=[0], max_tokens=1)
    says = [model.tokenizer.decode([id]) for id in (ids[6], ids[13])]
    assert result.said[0].top[0] == says[0] == result.said[0].text
    assert result.unpatched.top[0] == says[1]


def test_going_on_greedily_is_running_each_text_whole() -> None:
    model = random_model("phi", 8)
    text = list(IDS)
    for id in greedy(model.runner, IDS, [], 4):
        assert id == int(run_text(model.runner, text).logits[-1].argmax())
        text.append(id)
    with pytest.raises(ContextError, match="do not fit in the context of 80"):
        look.patchscope(model, IDS, IDS, max_tokens=80)
    with pytest.raises(UsageError, match="layer 2 is not in this model; its layers run from 0 to 1"):
        look.patchscope(model, IDS, IDS, layers=[2])


def test_pages_and_tables_are_made() -> None:
    model = random_model("phi")
    for result in (look.lens(model, IDS, follow=["w3"]), look.patchscope(model, IDS, IDS, max_tokens=2)):
        assert "w6" in result.table()
        assert result.html().count("<figure") >= 1


def test_a_verb_is_the_verb_whichever_module_was_imported_first() -> None:
    assert callable(look.lens) and callable(look.patchscope)
