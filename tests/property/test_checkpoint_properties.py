"""Any weights come back as they were written, and any config.json is read or refused with one sentence."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm.checkpoint import open_checkpoint, save_hf
from petitlm.config import ModelConfig
from petitlm.errors import PetitError
from petitlm.families import PRESETS, config_from_hf, config_to_hf
from petitlm.rotary import frequencies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
    | st.sampled_from(["phi", "llama", "gpt2", "gelu", "llama3", 1, 2, 4, 24]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["rope_type", "type", "factor", "low_freq_factor", "high_freq_factor", "rope_theta", "prompt",
                         "partial_rotary_factor", "original_max_position_embeddings"]), inner, max_size=5),
    max_leaves=5)


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    """A small model of any family, with awkward sizes."""
    preset = PRESETS[draw(st.sampled_from(["phi-2", "llama-2-7b", "gpt2"]))]
    n_kv_heads, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    if preset.family == "gpt":
        group = 1
    n_heads, d_head = n_kv_heads * group, 2 * draw(st.integers(1, 4))
    bias, rotary = draw(st.booleans()), preset.positions == "rotary"
    shape = {"n_layers": draw(st.integers(1, 2)), "n_heads": n_heads, "n_kv_heads": n_kv_heads, "d_head": d_head,
             "d_model": n_heads * d_head, "d_mlp": draw(st.integers(1, 9)), "n_vocab": draw(st.integers(1, 9)),
             "n_ctx": draw(st.integers(1, 9)), "tied": draw(st.booleans())}
    if preset.family == "llama":
        shape |= {"n_rotary": d_head, "qkv_bias": bias, "out_bias": bias, "mlp_bias": draw(st.booleans())}
    elif rotary:
        shape["n_rotary"] = 2 * draw(st.integers(1, d_head // 2))
    return preset.with_(**shape)


@given(config=configs(), shard_bytes=st.integers(1, 2000), seed=st.integers(0, 100))
@settings(max_examples=40)
def test_weights_and_config_come_back(config: ModelConfig, shard_bytes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.tensor_shapes().items()}
    with tempfile.TemporaryDirectory() as folder:
        save_hf(Path(folder) / "m", config, weights.__getitem__, dtype="float32", shard_bytes=shard_bytes)
        checkpoint = open_checkpoint(Path(folder) / "m")
        assert checkpoint.config == config
        for name, values in weights.items():
            np.testing.assert_array_equal(checkpoint.read(name), values)


@pytest.fixture(scope="module", params=["phi-2", "llama-3.2-1b", "gpt2"])
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**config_to_hf(PRESETS[request.param]), "head_dim": None, "n_inner": None}


@given(st.data())
@settings(max_examples=200)
def test_any_config_is_read_or_refused_with_one_short_sentence(values: dict[str, Any], data: st.DataObject) -> None:
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(values)), JSON, max_size=4))
    try:
        config = config_from_hf(json.loads(json.dumps({**values, **changes})))
    except PetitError as error:
        sentence = str(error)
    else:
        sentence = ""
        if config.positions == "rotary" and config.n_rotary < 1000:
            assert all(np.isfinite(frequencies(config)))
    assert "\n" not in sentence
    assert len(sentence) < 400
