"""Dictionaries: what they compute, as files that SAELens reads, as taps, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import petitlm
from petitlm import Edit
from petitlm.engine.runs import run_variants
from petitlm.errors import DamagedError, NotFoundError, ShapeError, UsageError
from petitlm.look.dictionaries import ARCHITECTURES, SparseDictionary
from petitlm.look.dictionary_files import CONFIG, WEIGHTS, load_dictionary, save_dictionary

TEXT = "look inside, twice"
POST = "blocks.0.hook_resid_post"


def made(architecture: str = "jumprelu", reads: str = POST, writes: str = POST, d: int = 64, width: int = 100,
         e: int = 64, **options) -> SparseDictionary:
    """Random weights, under which about a sixth of the features are active."""
    rng = np.random.default_rng(5)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    transcodes = architecture.endswith("transcoder")
    extra = {"threshold": np.abs(draw(width)) * 4 + 4} if "jumprelu" in architecture else {}
    extra |= {"w_skip": draw(e, d)} if "skip" in architecture else {}
    extra |= {"k": 7} if architecture == "topk" else {}
    return SparseDictionary(architecture, reads, blocks_out(writes) if transcodes else writes, w_enc=draw(d, width),
                            b_enc=draw(width), w_dec=draw(width, e), b_dec=draw(e), centred=not transcodes,
                            **{**extra, **options})


def blocks_out(writes: str) -> str:
    return writes.replace("hook_resid_post", "hook_mlp_out")


def values(n: int = 21, d: int = 64) -> np.ndarray:
    return np.random.default_rng(6).normal(size=(n, d)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, bits=32, threads=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_dictionary_is_its_formula_in_double_precision(architecture: str) -> None:
    one, x = made(architecture), values()
    wide = {name: None if (v := getattr(one, name)) is None else v.astype(np.float64)
            for name in ("w_enc", "b_enc", "w_dec", "b_dec", "threshold", "w_skip")}
    pre = (x.astype(np.float64) - (wide["b_dec"] if one.centred else 0)) @ wide["w_enc"] + wide["b_enc"]
    f = np.maximum(pre, 0)
    if wide["threshold"] is not None:
        f *= pre > wide["threshold"]
    if one.k is not None:
        f *= pre >= np.sort(pre, axis=1)[:, -one.k][:, None]
    y = f @ wide["w_dec"] + wide["b_dec"]
    np.testing.assert_allclose(one.encode(x), f, atol=1e-4)  # sums of 64 products of about 1, in float32
    np.testing.assert_allclose(one.decode(one.encode(x)), y, atol=2e-3)  # of about 50 features of about 10
    if wide["w_skip"] is not None:
        y += x @ wide["w_skip"].T
    np.testing.assert_allclose(one.reconstruct(x), y, atol=2e-3)
    assert 0 < (f > 0).mean() < 0.6


@pytest.mark.parametrize("architecture", ["jumprelu", "topk", "skip_transcoder"])
def test_the_features_of_a_token_have_the_same_bits_in_any_company(architecture: str) -> None:
    one, x = made(architecture), values(37)
    f, y = one.encode(x), one.reconstruct(x)
    for i in (0, 5, 17, 36):
        assert np.array_equal(one.encode(x[i : i + 1])[0], f[i])
        assert np.array_equal(one.reconstruct(x[i : i + 1])[0], y[i])
    assert np.array_equal(one.encode(x[11:30]), f[11:30])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_written_is_read_again_and_what_safetensors_reads(architecture: str, tmp_path: Path) -> None:
    one = made(architecture, metadata={"model_name": "tiny", "petit": {"digest": "00"}})
    save_dictionary(one, tmp_path / "d")
    again = load_dictionary(tmp_path / "d")
    for name in ("architecture", "reads", "writes", "k", "centred"):
        assert getattr(again, name) == getattr(one, name)
    assert again.metadata["model_name"] == "tiny"
    assert again.metadata["petit"] == {"digest": "00"}
    assert np.array_equal(again.reconstruct(values()), one.reconstruct(values()))
    tensors = load_file(tmp_path / "d" / WEIGHTS)
    assert np.array_equal(tensors["W_enc"], one.w_enc)
    assert tensors["W_dec"].shape == (100, 64)
    config = json.loads((tmp_path / "d" / CONFIG).read_text())
    assert (config["architecture"], config["d_in"], config["d_sae"]) == (architecture, 64, 100)
    assert config["apply_b_dec_to_input"] is not one.is_transcoder
    assert config["metadata"]["hook_name"] == POST


def saelens_folder(folder: Path, config: dict, **tensors: np.ndarray) -> Path:
    """A folder as SAELens writes it; the config has the keys of published ones."""
    folder.mkdir()
    one = made("standard")
    save_file({"W_enc": one.w_enc, "b_enc": one.b_enc, "W_dec": one.w_dec, "b_dec": one.b_dec, **tensors},
              folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


PUBLISHED = {"d_in": 64, "d_sae": 100, "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": False,
             "normalize_activations": "none", "reshape_activations": "none", "architecture": "standard",
             "metadata": {"sae_lens_version": "6.21.0", "hook_name": POST, "model_name": "tiny",
                          "hook_head_index": None, "context_size": 128, "prepend_bos": False}}
OLD = {"model_name": "tiny", "hook_point": POST, "hook_point_layer": 0, "hook_point_head_index": None, "d_in": 64,
       "d_sae": 100, "dtype": "torch.float32", "device": "cpu", "context_size": 128, "normalize_activations": False,
       "activation_fn_str": "relu"}


def test_folders_of_saelens_are_read_new_and_old(tmp_path: Path) -> None:
    new = load_dictionary(saelens_folder(tmp_path / "new", PUBLISHED))
    assert (new.architecture, new.reads, new.centred, new.width) == ("standard", POST, False, 100)
    old = load_dictionary(saelens_folder(tmp_path / "old", OLD))
    assert (old.architecture, old.reads, old.centred) == ("standard", POST, True)
    assert old.metadata["model_name"] == "tiny"
    half = load_dictionary(saelens_folder(tmp_path / "half", PUBLISHED, W_enc=made().w_enc.astype(np.float16)))
    assert np.array_equal(half.w_enc, made().w_enc.astype(np.float16).astype(np.float32))


def test_a_topk_whose_features_count_by_their_length_is_folded(tmp_path: Path) -> None:
    config = {**PUBLISHED, "architecture": "topk", "k": 7, "rescale_acts_by_decoder_norm": True}
    one, plain, x = load_dictionary(saelens_folder(tmp_path / "d", config)), made("standard"), values()
    norms = np.linalg.norm(plain.w_dec, axis=1)
    pre = (x @ plain.w_enc + plain.b_enc) * norms  # as SAELens computes it
    f = np.where(pre >= np.sort(pre, axis=1)[:, -7:-6], np.maximum(pre, 0), 0)
    np.testing.assert_allclose(one.encode(x), f, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(one.reconstruct(x), (f / norms) @ plain.w_dec + plain.b_dec, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("change", "error", "words"), [
    ({"architecture": "gated"}, UsageError, "architecture 'gated'"),
    ({"normalize_activations": "layer_norm"}, UsageError, "normalize_activations='layer_norm'"),
    ({"d_in": 63}, DamagedError, "d_in=63"),
    ({"d_sae": 7}, DamagedError, "d_sae=7"),
    ({"architecture": "jumprelu"}, DamagedError, "no threshold"),
    ({"architecture": "topk", "k": 1000}, UsageError, "k=1000"),
    ({"metadata": {}}, UsageError, "hook_name"),
    ({"metadata": [1]}, DamagedError, "metadata"),
    ({"architecture": "transcoder"}, UsageError, "hook_name_out"),
    ({"metadata": {"hook_name": POST, "hook_head_index": 3}}, UsageError, "hook_head_index=3"),
])
def test_what_cannot_be_computed_is_refused_with_the_reason(change: dict, error: type, words: str,
                                                            tmp_path: Path) -> None:
    folder = saelens_folder(tmp_path / "d", {**PUBLISHED, **change})
    with pytest.raises(error, match=words):
        load_dictionary(folder)


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        load_dictionary(tmp_path / "nowhere")
    nan = np.full((64, 100), np.nan, np.float32)
    with pytest.raises(DamagedError, match="not finite"):
        load_dictionary(saelens_folder(tmp_path / "nan", PUBLISHED, W_enc=nan))
    with pytest.raises(DamagedError, match="W_dec has shape"):
        load_dictionary(saelens_folder(tmp_path / "flat", PUBLISHED, W_dec=np.zeros(6400, np.float32)))
    with pytest.raises(ShapeError, match="b_enc"):
        load_dictionary(saelens_folder(tmp_path / "short", PUBLISHED, b_enc=np.zeros(99, np.float32)))
    (tmp_path / "short" / WEIGHTS).write_bytes(b"short")
    with pytest.raises(DamagedError, match="too few"):
        load_dictionary(tmp_path / "short")
    with pytest.raises(UsageError, match=r"holds 'mine\.txt'"):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "mine.txt").touch()
        save_dictionary(made(), tmp_path / "mine")


@pytest.mark.parametrize(("one", "words"), [
    (made(d=768, e=768), "reads 768 values at 'blocks.0.hook_resid_post', and this model has 64"),
    (made(reads="blocks.7.hook_resid_post", writes="blocks.7.hook_resid_post"), "beyond the last block"),
    (made(reads="blocks.0.hook_resid_mid", writes="blocks.0.hook_resid_mid"), "in parallel"),
    (made(reads="blocks.0.attn.hook_pattern", writes="blocks.0.attn.hook_pattern"), "table for each head"),
    (made("transcoder", reads="blocks.0.ln1.hook_normalized", e=32), "writes 32 values at 'blocks.0.hook_mlp_out'"),
    (made(metadata={"petit": {"shape": {"n_layers": 32}}}), "n_layers=32"),
])
def test_a_dictionary_of_another_model_is_refused(one: SparseDictionary, words: str, model: petitlm.Model) -> None:
    with pytest.raises(UsageError, match=words):
        one.fitted(model.config)


def test_features_are_read_as_a_tap_and_observing_them_changes_nothing(model: petitlm.Model) -> None:
    one = made().fitted(model.config)
    plain = model.trace(TEXT, [POST])
    seen = model.trace(TEXT, [one.name, POST], dictionaries=[one])
    assert np.array_equal(seen.logits, plain.logits)
    assert np.array_equal(seen[one.name], one.encode(plain[POST]))
    same = model.trace(TEXT, edits=[Edit(one.name, "scale", 1.0)], dictionaries=[one])
    assert np.array_equal(same.logits, plain.logits)


@pytest.mark.parametrize("architecture", ["jumprelu", "standard", "topk"])
def test_an_edit_of_features_changes_their_part_alone(architecture: str, model: petitlm.Model) -> None:
    one = made(architecture).fitted(model.config)
    x = model.trace(TEXT, [POST])[POST]
    f = one.encode(x)
    place, feature = np.argwhere(f[1:] > 0)[0] + (1, 0)
    edit = Edit(one.name, "scale", 3.0, positions=int(place), neuron=int(feature))
    changed = model.trace(TEXT, [POST, one.name], edits=[edit], dictionaries=[one])
    expected = x.copy()
    expected[place] += 2 * f[place, feature] * one.w_dec[feature]
    np.testing.assert_allclose(changed[POST], expected, atol=1e-3)
    others = np.arange(len(x)) != place
    assert np.array_equal(changed[POST][others], x[others])
    assert changed[one.name][place, feature] == 3 * f[place, feature]
    by_hand = model.trace(TEXT, edits=[Edit(POST, "replace", changed[POST])])
    np.testing.assert_array_equal(changed.logits, by_hand.logits)


def test_an_edit_of_a_transcoder_changes_what_its_mlp_gives(model: petitlm.Model) -> None:
    one = made("jumprelu_transcoder", reads="blocks.1.ln1.hook_normalized", writes="blocks.1.hook_mlp_out",
               threshold=np.full(100, 2, np.float32)).fitted(model.config)
    clean = model.trace(TEXT, [one.reads, one.writes])
    f = one.encode(clean[one.reads])
    changed = model.trace(TEXT, [one.writes], edits=[Edit(one.name, "zero")], dictionaries=[one])
    np.testing.assert_allclose(changed[one.writes], clean[one.writes] - f @ one.w_dec, atol=1e-3)
    assert (f > 0).any()


def test_a_dictionary_of_a_tap_with_heads_flattens_them(model: petitlm.Model) -> None:
    z = "blocks.0.attn.hook_z"
    one = made(reads=z, writes=z, threshold=np.zeros(100, np.float32)).fitted(model.config)
    x = model.trace(TEXT, [z])[z]
    assert x.ndim == 3
    changed = model.trace(TEXT, [z], edits=[Edit(one.name, "zero", positions=-1)], dictionaries=[one])
    f = one.encode(x)
    expected = x[-1] - (f[-1] @ one.w_dec).reshape(x[-1].shape)
    np.testing.assert_allclose(changed[z][-1], expected, atol=1e-3)


def test_features_agree_on_both_sets_of_layers(model: petitlm.Model, tiny_folder: Path) -> None:
    torch_model = petitlm.load(tiny_folder, layers="torch", threads=1)
    one = made("standard").fitted(model.config)
    ours, theirs = (m.trace(TEXT, [one.name], edits=[Edit(one.name, "scale", 0.5)], dictionaries=[one])
                    for m in (model, torch_model))
    np.testing.assert_allclose(ours[one.name], theirs[one.name], atol=2e-3)
    np.testing.assert_allclose(ours.logits, theirs.logits, atol=5e-3)


def test_many_edits_of_features_at_once_are_each_its_own_run_to_the_bit(model: petitlm.Model) -> None:
    one, ids = made().fitted(model.config), model.encode(TEXT)
    variants = [[], *([Edit(one.name, "scale", 2.0, positions=p, neuron=f)] for p in (-1, -3) for f in (3, 50, 80))]
    together = run_variants(model.runner, ids, variants, [one.name], dictionaries=[one])
    for variant, trace in zip(variants, together, strict=True):
        alone = model.trace(ids, [one.name], edits=variant, dictionaries=[one])
        assert np.array_equal(trace.logits[-1], alone.logits[-1])
        assert np.array_equal(trace[one.name], alone[one.name][-len(trace[one.name]) :])


def test_features_are_edited_and_kept_while_answering(model: petitlm.Model) -> None:
    one = made(threshold=np.zeros(100, np.float32)).fitted(model.config)
    edit = Edit(one.name, "scale", 4.0, neuron=[3, 4, 5])
    answer = model.generate(TEXT, max_tokens=6, edits=[edit], taps=[one.name], dictionaries=[one])
    whole = model.trace(answer.trace.ids, [one.name], edits=[edit], dictionaries=[one])
    assert np.array_equal(answer.trace[one.name], whole[one.name][: len(answer.trace[one.name])])
    assert not np.array_equal(whole.logits, model.trace(answer.trace.ids).logits)
