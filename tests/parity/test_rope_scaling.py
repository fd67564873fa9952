"""Stretched rotary positions = transformers: tables near and far, logits beyond the trained context, there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petitlm.checkpoint import Checkpoint, open_checkpoint
from petitlm.config import ModelConfig, RopeScaling
from petitlm.engine.kernels import make_kernels
from petitlm.engine.packing import pack_weights
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.rotary import attention_factor, for_context, frequencies, rotary_tables

torch = pytest.importorskip("torch", reason="the outside implementation runs on it; `make setup` installs it")
transformers = pytest.importorskip("transformers", reason="the outside implementation; `make setup` installs it")

from petitlm.model import export, load_decoder  # noqa: E402

TRAINED, LONG = 48, 192  # context that the tiny models were made for, and four times as much

KINDS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "linear, as before 2024": {"type": "linear", "factor": 2.5},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED},
    "yarn, own bounds": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED,
                         "beta_fast": 8.0, "beta_slow": 0.5, "attention_factor": 1.3, "truncate": False},
    "yarn, mscale": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED, "mscale": 0.7,
                     "mscale_all_dim": 0.4},
    "llama3": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": TRAINED},
}


def make_model(family: str, scaling: dict[str, Any], n_ctx: int) -> Any:
    """Return a random tiny model of transformers with this scaling."""
    rope = {"rope_theta": 700.0, **scaling}
    shape = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 80, "vocab_size": 89,
             "num_hidden_layers": 2, "max_position_embeddings": n_ctx, "rope_parameters": rope}
    if family == "phi":
        rope["partial_rotary_factor"] = 0.5
        model = transformers.PhiForCausalLM(transformers.PhiConfig(**shape))
    else:
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape, num_key_value_heads=1))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.5 if weight.ndim == 1 else 0, weight.shape[-1] ** -0.5, generator=generator)
    return model.eval()


def n_ctx_in_file(scaling: dict[str, Any]) -> int:
    """What config.json calls max_position_embeddings: the long context only where the trained one is given, too."""
    return LONG if "original_max_position_embeddings" in scaling else TRAINED


def loaded(folder: Path, context: int) -> Checkpoint:
    source = open_checkpoint(folder)
    source.config = for_context(source.config, context)
    return source


def engine_logits(source: Checkpoint, ids: np.ndarray, chunk: int) -> np.ndarray:
    """Run `ids` through the engine in float32, in pieces of `chunk` tokens."""
    kernels = make_kernels(1)
    session = EngineRunner(source.config, pack_weights(source, 32, kernels), kernels, cache="f32").session(1, len(ids))
    return np.concatenate([session.step(as_ints(ids[at : at + chunk]), as_ints(range(at, min(at + chunk, len(ids)))),
                                        np.zeros(len(ids[at : at + chunk]), np.int32))
                           for at in range(0, len(ids), chunk)])


@pytest.mark.parametrize("family", ["phi", "llama"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_logits_within_and_beyond_the_trained_context(kind: str, family: str, tmp_path: Path) -> None:
    theirs = make_model(family, KINDS[kind], n_ctx_in_file(KINDS[kind]))
    theirs.save_pretrained(tmp_path)
    for length in (20, TRAINED, 110):
        ids = np.random.default_rng(length).integers(0, 89, length)
        expected = theirs(torch.from_numpy(ids)[None]).logits[0].numpy()
        source = loaded(tmp_path, length)
        ours = load_decoder(source).logits(torch.from_numpy(ids)[None])[0].numpy()
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(engine_logits(source, ids, 33), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["phi", "llama"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_writing_and_reading_loses_nothing(kind: str, family: str, tmp_path: Path) -> None:
    theirs = make_model(family, KINDS[kind], n_ctx_in_file(KINDS[kind]))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_decoder(open_checkpoint(tmp_path / "theirs"))
    export(ours, tmp_path / "ours", None, dtype="float32")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    ids = torch.arange(TRAINED)[None]
    assert torch.equal(back(ids).logits, theirs(ids).logits)
    assert open_checkpoint(tmp_path / "ours").config == ours.config


@pytest.mark.parametrize("kind", KINDS)
def test_tables_far_away_are_theirs_and_those_of_a_float64_twin(kind: str, tmp_path: Path) -> None:
    n_ctx, scaling = 8192, dict(KINDS[kind])
    if "original_max_position_embeddings" in scaling:
        scaling["original_max_position_embeddings"] = 2048
    theirs = make_model("llama", scaling, n_ctx if "original_max_position_embeddings" in scaling else 2048)
    theirs.save_pretrained(tmp_path)
    config = loaded(tmp_path, n_ctx if "factor" not in scaling or scaling["factor"] >= 4 else 5000).config
    positions = torch.arange(config.n_ctx)[None]
    cos, sin = theirs.model.rotary_emb(torch.zeros(1), positions)
    half, growth = config.n_rotary // 2, attention_factor(config.rope_scaling)
    angles = np.outer(np.arange(config.n_ctx, dtype=np.float64), frequencies(config))
    ours = rotary_tables(config)
    for got, from_theirs, twin in zip(ours, (cos, sin), (np.cos(angles), np.sin(angles)), strict=True):
        assert got.dtype == np.float32
        bound = (1e-6 + 2.0**-23 * angles) * growth  # a float32 angle, from a float32 frequency
        assert (np.abs(got - growth * twin) <= bound).all()
        # their frequencies are computed in float32 as well: a power, a division, a product
        assert (np.abs(got - from_theirs[0, :, :half].numpy()) <= 8 * bound).all()


def test_fixed_ntk_is_a_larger_base_and_written_as_one(tmp_path: Path) -> None:
    theirs = make_model("llama", {"rope_type": "default"}, TRAINED)
    theirs.save_pretrained(tmp_path / "theirs")
    source = open_checkpoint(tmp_path / "theirs")
    source.config = for_context(source.config, LONG, "ntk")
    assert source.config.rope_scaling == RopeScaling("ntk", 4.0, TRAINED)
    first, *_, last = (a / b for a, b in zip(frequencies(source.config.with_(rope_scaling=None)),
                                             frequencies(source.config), strict=True))
    assert (first, last) == (1.0, pytest.approx(4.0)), "the fastest pair keeps its speed, the slowest gets the factor"
    ours = load_decoder(source)
    export(ours, tmp_path / "ours", None, dtype="float32")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    ids = torch.arange(80)[None]
    with torch.no_grad():
        assert (back(ids).logits - ours.logits(ids)).abs().max() < 1e-4


def test_dynamic_gives_the_same_bits_however_the_text_is_cut(tmp_path: Path) -> None:
    """transformers would turn each piece by another base, and keep the keys of the pieces before."""
    make_model("phi", KINDS["dynamic"], TRAINED).save_pretrained(tmp_path)
    ids = np.random.default_rng(0).integers(0, 89, 110)
    source = loaded(tmp_path, LONG)
    whole = engine_logits(source, ids, len(ids))
    assert np.array_equal(engine_logits(source, ids, 1), whole)
    assert np.array_equal(engine_logits(source, ids, 37), whole)


def test_every_kind_changes_something_far_away_and_yarn_grows() -> None:
    plain = ModelConfig(1, 64, 2, 32, 64, n_vocab=9, n_ctx=64, n_rotary=32)
    tables = {kind: rotary_tables(for_context(plain, 256, kind)) for kind in ("linear", "ntk", "dynamic", "yarn")}
    cosines = [cos.tobytes() for cos, _ in tables.values()]
    assert len(set(cosines)) == 4
    cos, sin = tables["yarn"]
    np.testing.assert_allclose(cos**2 + sin**2, (0.1 * np.log(4) + 1) ** 2, rtol=1e-6)
