"""Two models compared: known changes are found where they were made, nowhere else, on both sets of layers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tests_look import random_model

from petitlm import look
from petitlm.engine.kernels import make_kernels
from petitlm.engine.runner import EngineRunner
from petitlm.engine.runs import run_text
from petitlm.errors import UsageError
from petitlm.look.diff import Diff
from petitlm.look.distances import Distance, Said, divergences, moved_attention, text_loss, token_errors
from petitlm.look.drift import Drift
from petitlm.look.exchange import parts_of
from petitlm.look.gradients.decoders import decoder_of
from petitlm.look.zoo.made import Made, words_tokenizer
from petitlm.model import TorchRunner
from tests_shapes import SHAPES, packed, random_weights

TEXTS = [[5, 9, 2, 44, 9, 2, 17, 30], [7, 7, 50, 3, 1]]
FAMILIES = ["phi", "phi, kv groups, tied", "llama", "gpt"]
PARTS = {"embedding": "embed.weight", "block 1 attention": "blocks.1.attn.o.weight",
         "block 1 MLP": "blocks.1.mlp.down.weight", "head": "unembed.weight"}
"""Parts of a model, and a matrix of each."""


def with_change(shape: str, name: str | None = None, layers: str = "engine", bits: int = 32) -> Made:
    """Return a random model, one of whose tensors is changed by a tenth of its size."""
    config, weights = SHAPES[shape], random_weights(SHAPES[shape])
    if name is not None:
        noise = np.random.default_rng(1).normal(size=weights[name].shape)
        weights[name] = (weights[name] + 0.1 * weights[name].std() * noise).astype(np.float32)
    kernels = make_kernels(1)
    runner = EngineRunner(config, packed(config, weights, bits, kernels), kernels, "f32")
    return dataclasses.replace(random_model(shape, bits), name=name or "same", cache="f32",
                               runner=runner if layers == "engine" else TorchRunner(decoder_of(runner)))


@pytest.mark.parametrize("layers", ["engine", "torch"])
@pytest.mark.parametrize(("shape", "part"), [(shape, part) for shape in FAMILIES for part, name in PARTS.items()
                                             if name in SHAPES[shape].tensor_shapes()])
def test_a_change_is_found_in_its_part_and_in_no_other(shape: str, part: str, layers: str) -> None:
    changed = {part, "head"} if part == "embedding" and SHAPES[shape].tied else {part}
    found = look.drift(with_change(shape, PARTS[part], layers), with_change(shape, layers=layers), TEXTS)
    assert isinstance(found, Drift) and found.kl > 0
    x = found.exchange
    exact = layers == "engine"  # torch adds up in other orders where other edits are made
    for i, here in enumerate(x.parts):
        if here in changed:
            assert x.error[i] > 0.01 and x.alone[i] > 0
            if len(changed) == 1:
                assert x.alone[i] == pytest.approx(found.kl, rel=0 if exact else 1e-3, abs=0 if exact else 1e-9)
                assert x.left[i] == pytest.approx(0, abs=0 if exact else 1e-9)
        else:
            assert x.error[i] <= (0 if exact else 1e-6)
            assert x.alone[i] == pytest.approx(0, abs=0 if exact else 1e-9)
            assert x.left[i] == pytest.approx(found.kl, rel=0 if exact else 1e-3)
    assert x.parts[found.worst] in changed


@pytest.mark.parametrize("shape", FAMILIES)
def test_what_lies_before_a_change_is_the_same_to_the_bit(shape: str) -> None:
    found = look.drift(with_change(shape, "blocks.1.mlp.up.weight"), with_change(shape), TEXTS).inside
    taps = list(found.taps)
    assert not found.errors[0].any() and (found.cosines[0] == pytest.approx(1, abs=1e-12))
    before = [taps.index(tap) for tap in ("q", "k", "v", "pattern", "z", "attn_out")]
    after = [taps.index(tap) for tap in ("mlp_post", "mlp_out", "resid_post")]
    assert not found.errors[1, before].any() and (found.errors[1, after] > 0).all()
    assert not found.attention.any() and not found.heads.any()
    assert found.lens[0] == 1 and found.lens_kl[0] == 0 and found.lens_kl[1] > 0


@pytest.mark.parametrize("bits", [4, 8])
def test_a_model_has_not_drifted_from_itself(bits: int) -> None:
    model = random_model("phi", bits)
    found = look.drift(model, random_model("phi", bits), TEXTS)
    numbers = (found.kl, found.inside.errors, found.inside.attention, found.inside.lens_kl, found.exchange.error,
               found.exchange.alone, found.exchange.changed, found.exchange.left)
    assert not any(np.any(n) for n in numbers)
    assert found.agreement == 1 and found.loss == found.reference_loss and found.n_tokens == sum(map(len, TEXTS))
    assert not look.diff(model, random_model("phi", bits), TEXTS[0]).errors.any()


def test_fewer_bits_are_further_away() -> None:
    reference = random_model("phi", 32)
    found = {bits: look.drift(random_model("phi", bits), reference, TEXTS) for bits in (4, 8, 16)}
    for measure in (lambda d: d.kl, lambda d: d.inside.errors.mean(), lambda d: d.exchange.error[1:-1].mean()):
        assert measure(found[4]) > measure(found[8]) > measure(found[16]) > 0


def test_distances_are_those_of_torch() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(7, 3, 5)).astype(np.float32) for _ in range(2))
    distance = Distance()
    distance.add(x[:4], y[:4])
    distance.add(x[4:], y[4:])
    a, b = (torch.tensor(v.reshape(7, -1)).double() for v in (x, y))
    assert distance.cosine == pytest.approx(torch.cosine_similarity(a, b).mean().item(), rel=1e-12)
    assert distance.error == pytest.approx(((a - b).norm() / b.norm()).item(), rel=1e-12)
    np.testing.assert_allclose(token_errors(x, y), ((a - b).norm(dim=1) / b.norm(dim=1)).numpy(), rtol=1e-12)
    kl = torch.nn.functional.kl_div(a.log_softmax(-1), b.log_softmax(-1), log_target=True, reduction="none").sum(-1)
    np.testing.assert_allclose(divergences(a.numpy(), b.numpy()), kl.numpy(), rtol=1e-9)
    said = Said()
    said.add(a.numpy(), b.numpy())
    assert said.mean_kl == pytest.approx(kl.mean().item(), rel=1e-9)
    assert said.agreement == (a.argmax(-1) == b.argmax(-1)).double().mean().item()
    loss = torch.nn.functional.cross_entropy(a[:-1], torch.tensor([3, 1, 4, 1, 5, 9]), reduction="sum")
    assert text_loss(a.numpy(), [0, 3, 1, 4, 1, 5, 9]) == pytest.approx(loss.item(), rel=1e-12)
    zero = Distance()
    zero.add(np.zeros((2, 3)), np.zeros((2, 3)))
    assert zero.cosine == 1 and zero.error == 0


def test_attention_that_moved_is_the_share_that_went_elsewhere() -> None:
    before, after = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
    before[0], after[0] = [[1, 0], [0.25, 0.75]], [[1, 0], [0.75, 0.25]]
    np.testing.assert_array_equal(moved_attention(after, before), [[0, 0.5]])


def test_diff_says_where_two_models_part() -> None:
    model, reference = with_change("llama", "blocks.1.mlp.down.weight"), with_change("llama")
    found = look.diff(model, reference, TEXTS[0])
    assert isinstance(found, Diff) and found.errors.shape == (len(found.taps), len(TEXTS[0]))
    changed = [tap for tap, row in zip(found.taps, found.errors, strict=True) if row.any()]
    assert changed == ["mlp_out:1", "resid_post:1", "ln_final"]
    mine, theirs = (run_text(m.runner, TEXTS[0], ["resid_post:1"]) for m in (model, reference))
    np.testing.assert_array_equal(found.errors[found.taps.index("resid_post:1")],
                                  token_errors(mine["resid_post:1"], theirs["resid_post:1"]))
    assert found.said == tuple(f"w{i}" for i in mine.logits.argmax(-1)) and (found.kl > 0).all()
    one = look.diff(model, reference, TEXTS[0], taps=["z:0", "pattern"])
    assert one.taps == ("z:0", "pattern:0", "pattern:1")


@pytest.mark.parametrize("result", ["drift", "diff"])
def test_results_have_tables_and_a_page(result: str) -> None:
    model, reference = random_model("gpt", 4), random_model("gpt", 32)
    found = look.drift(model, reference, TEXTS) if result == "drift" else look.diff(model, reference, TEXTS[0])
    text, html = found.table(), found.html()
    assert all(table.title in text for table in found.tables()) and html.count("<figure") == len(found.charts())
    named = found.to_dict()["about"]["arguments"]["reference"]
    assert named["bits"] == 32 and named["digest"] == reference.runner.digest


def test_models_that_cannot_be_compared_are_refused() -> None:
    phi = random_model("phi")
    with pytest.raises(UsageError, match=r"n_layers=2 .* 3"):
        look.drift(phi, random_model("phi, heads of 10, odd sizes"), TEXTS)
    other = dataclasses.replace(phi, tokenizer=words_tokenizer([f"w{i}" for i in range(98, -1, -1)]))
    with pytest.raises(UsageError, match="other tokens"):
        look.diff(phi, other, "w1 w2")
    with pytest.raises(UsageError, match="no text"):
        look.drift(phi, phi, [])
    with pytest.raises(UsageError, match="empty"):
        look.drift(phi, phi, [[]])
    with pytest.raises(UsageError, match="did you mean"):
        look.diff(phi, phi, TEXTS[0], taps=["blocks.0.hook_resid_poss"])


def test_parts_are_those_of_the_forward_pass() -> None:
    names = [part.name for part in parts_of(2)]
    assert names == ["embedding", "block 0 attention", "block 0 MLP", "block 1 attention", "block 1 MLP", "head"]


def test_features_that_survive(tmp_path: Path) -> None:
    from petitlm.look.dictionaries import SparseDictionary
    from petitlm.look.dictionary_files import save_dictionary

    rng, d, f = np.random.default_rng(0), SHAPES["phi"].d_model, 64
    dictionary = SparseDictionary("standard", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post",
                                  rng.normal(size=(d, f)).astype(np.float32), np.zeros(f, np.float32),
                                  rng.normal(size=(f, d)).astype(np.float32), np.zeros(d, np.float32))
    save_dictionary(dictionary, tmp_path / "sae")
    texts = [rng.integers(0, 99, 20).tolist() for _ in range(3)]
    reference, model = random_model("phi", 32), random_model("phi", 4)
    same = look.drift(reference, random_model("phi", 32), texts, dictionary=tmp_path / "sae").survival
    assert same is not None and same.kept == 1 and same.survived == 1 and same.active[0] == same.active[1]
    found = look.drift(model, reference, texts, dictionary=tmp_path / "sae").survival
    assert found is not None and 0.5 < found.kept < 1
    values = [np.concatenate([run_text(m.runner, ids, ["resid_post:0"])["resid_post:0"][1:] for ids in texts])
              for m in (model, reference)]
    mine, theirs = (np.maximum(x @ dictionary.w_enc, 0) for x in values)
    assert found.kept == pytest.approx((mine * theirs > 0).sum() / (theirs > 0).sum(), abs=2e-3)
    seen = [i for i in range(f) if (theirs[:, i] > 0).sum() >= 5]
    correlations = np.sort([np.corrcoef(mine[:, i], theirs[:, i])[0, 1] for i in seen])
    assert found.n_features == len(seen)
    np.testing.assert_allclose(found.correlations, correlations, atol=1e-4)
    with pytest.raises(UsageError, match=r"reads 48 values .* has 60"):
        look.drift(random_model("llama", 4), random_model("llama", 32), TEXTS, dictionary=tmp_path / "sae")


def test_roles_of_heads_that_changed_are_found() -> None:
    """C1 with its induction head's queries put out: the head copies no more and carries the answer no more."""
    from petitlm.look.zoo.induction import induction, lying_pair

    blueprint = induction()
    broken = dataclasses.replace(blueprint, weights={**blueprint.weights, "blocks.1.attn.q.weight": np.zeros_like(
        blueprint.weights["blocks.1.attn.q.weight"])})
    model, reference = broken.load(), blueprint.load()
    task = dataclasses.astuple(lying_pair())
    found = look.drift(model, reference, [task[0]], pairs=[task])
    roles = {role.name: role for role in found.roles}
    assert roles["previous token"].correlation == 1 and roles["previous token"].shared == 1
    assert roles["induction"].reference[1, 0] > 0.95 and roles["induction"].model[1, 0] < 0.1
    assert roles["carries the answer"].reference[1, 0] == pytest.approx(20, rel=1e-3)


def test_a_circuit_that_survives_four_bits_is_the_same_circuit() -> None:
    """C1 held exactly in 4 bits: the same edges, as faithful; and the pairs are judged on texts not chosen on."""
    from petitlm.look.mechanisms import circuits_of
    from petitlm.look.zoo.induction import exact_induction, lying_pair

    pairs = [dataclasses.astuple(lying_pair(seed)) for seed in range(4)]
    found = circuits_of(exact_induction().load(4), exact_induction().load(32), pairs)
    assert found.shared_edges == found.shared_nodes == 1 and not found.lost and not found.gained
    assert found.n_edges[0] == found.n_edges[1] > 1
    assert found.transferred == pytest.approx(found.faithfulness[0]) and found.faithfulness[1] > 0.8
    with pytest.raises(UsageError, match="2 parts"):
        look.drift(exact_induction().load(), exact_induction().load(), [pairs[0][0]], pairs=[pairs[0][:2]])
