"""Longer contexts: what may be asked for, what is refused with which sentence, and what GGUF files say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import petitlm
from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import ConfigError, UsageError
from petitlm.families import config_from_gguf, config_from_hf, config_to_hf
from petitlm.families.rope import gguf_rope_keys
from petitlm.rotary import attention_factor, for_context, yarn_growth

PLAIN = ModelConfig(1, 32, 2, 16, 64, n_vocab=101, n_ctx=64, n_rotary=8, unembed_bias=True)
LEARNED = ModelConfig(1, 32, 2, 16, 64, n_vocab=101, n_ctx=64, positions="learned", parallel_block=False)


def test_a_longer_context_sets_the_factor() -> None:
    config = for_context(PLAIN, 96, "yarn")
    assert (config.n_ctx, config.rope_scaling) == (96, RopeScaling("yarn", 1.5, 64))
    assert for_context(PLAIN, None) is for_context(PLAIN, 64) is for_context(PLAIN, 1) is PLAIN


@pytest.mark.parametrize(("config", "context", "kind", "said"), [
    (PLAIN, 65, None, "context=65 is not possible; this model allows 1 to 64 tokens as it was trained; "
                      "rope_scaling='yarn' stretches"),
    (PLAIN, 0, None, "context=0 is not possible; this model allows 1 to 64 tokens"),
    (PLAIN, 64, "yarn", "rope_scaling='yarn' is for a context beyond the 64 tokens .* context=64 is not"),
    (PLAIN, None, "ntk", "rope_scaling='ntk' is for a context beyond .* context=None is not"),
    (PLAIN, 128, "llama3", "rope_scaling='llama3' is not known; choose one of linear, ntk, dynamic, yarn"),
    (LEARNED, 65, "yarn", "allows 1 to 64 tokens: it learned a vector for each position"),
    (PLAIN.with_(rope_scaling=RopeScaling("yarn", 2.0, 64)), 129, None, "allows 1 to 128 tokens, by the yarn scaling"),
    (PLAIN.with_(rope_scaling=RopeScaling("yarn", 2.0, 64)), 100, "linear", "no other can be put on it"),
])
def test_a_context_that_cannot_be_is_refused(config: ModelConfig, context: int | None, kind: str | None,
                                             said: str) -> None:
    with pytest.raises(UsageError, match=said):
        for_context(config, context, kind)


def test_a_files_own_scaling_reaches_as_far_as_it_says() -> None:
    config = for_context(PLAIN.with_(rope_scaling=RopeScaling("dynamic", 2.0, 64)), 128)
    assert (config.n_ctx, config.rope_scaling) == (128, RopeScaling("dynamic", 2.0, 64))
    with pytest.raises(ConfigError, match="n_ctx=128 cannot be written with dynamic rotary scaling"):
        config_to_hf(config)


@pytest.mark.parametrize(("fields", "said"), [
    ({"kind": "su", "factor": 2.0}, "rope_scaling='su' is not possible here; choose one of linear, ntk"),
    ({"kind": "linear", "factor": 0.5}, "rope_scaling.factor=0.5 is not possible here"),
    ({"kind": "linear", "factor": float("nan")}, "rope_scaling.factor=nan"),
    ({"kind": "yarn", "factor": 2.0}, "rope_scaling.original_ctx=0 is not possible here; yarn needs the context"),
    ({"kind": "yarn", "factor": 2.0, "original_ctx": 9, "beta_slow": 40.0}, "rope_scaling.beta_slow=40.0"),
    ({"kind": "yarn", "factor": 2.0, "original_ctx": 9, "attention_factor": 0.0}, "attention_factor=0.0"),
    ({"kind": "llama3", "factor": 2.0, "original_ctx": 9, "low_freq_factor": 4.0}, "low_freq_factor=4.0"),
])
def test_impossible_scaling_is_refused_with_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RopeScaling(**fields)


def test_scaling_that_the_shape_cannot_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="learned positions have none"):
        LEARNED.with_(rope_scaling=RopeScaling("linear", 2.0))
    with pytest.raises(ConfigError, match="n_rotary=2 is not possible here; a larger base changes nothing"):
        PLAIN.with_(n_rotary=2, rope_scaling=RopeScaling("ntk", 2.0))


def test_the_trained_context_at_the_top_of_config_json_wins() -> None:
    values = {**config_to_hf(PLAIN), "rope_scaling": {"type": "yarn", "factor": None}, "max_position_embeddings": 256,
              "original_max_position_embeddings": 32}
    assert config_from_hf(values).rope_scaling == RopeScaling("yarn", 8.0, 32)


def metadata(architecture: str, n_ctx: int, **rope: Any) -> dict[str, Any]:
    keys = {"context_length": n_ctx, "embedding_length": 32, "feed_forward_length": 64, "block_count": 1,
            "attention.head_count": 2, "attention.layer_norm_epsilon": 1e-5, "rope.dimension_count": 8,
            **{f"rope.{name}": value for name, value in rope.items()}}
    return {"general.architecture": architecture, **{f"{architecture}.{key}": value for key, value in keys.items()}}


SHAPES = {"token_embd.weight": (101, 32), "output.weight": (101, 32)}


@pytest.mark.parametrize(("rope", "expected"), [
    ({}, None),
    ({"scaling.type": "none", "scaling.factor": 4.0}, None),
    ({"scaling.type": "linear", "scaling.factor": 4.0}, RopeScaling("linear", 4.0, 256)),
    ({"scale_linear": 2.0}, RopeScaling("linear", 2.0, 256)),
    ({"scaling.type": "yarn", "scaling.factor": 4.0, "scaling.original_context_length": 64},
     RopeScaling("yarn", 4.0, 64)),
    ({"scaling.type": "yarn", "scaling.factor": 4.0, "scaling.original_context_length": 64,
      "scaling.attn_factor": 0.5, "scaling.yarn_beta_fast": 16.0},
     RopeScaling("yarn", 4.0, 64, beta_fast=16.0, attention_factor=0.5 * yarn_growth(4.0))),
    ({"scaling.type": "yarn", "scaling.factor": 4.0, "scaling.original_context_length": 64,
      "scaling.yarn_log_multiplier": 0.5},
     RopeScaling("yarn", 4.0, 64, attention_factor=yarn_growth(4.0) / (0.05 * np.log(4.0) + 1))),
])
def test_gguf_metadata_says_the_same(rope: dict[str, Any], expected: RopeScaling | None) -> None:
    assert config_from_gguf(metadata("phi2", 256, **rope), SHAPES).rope_scaling == expected


@pytest.mark.parametrize("scaling", [
    None, RopeScaling("linear", 4.0, 256), RopeScaling("yarn", 4.0, 64), RopeScaling("yarn", 4.0, 64, beta_fast=9.0),
    RopeScaling("yarn", 4.0, 64, attention_factor=1.25),
])
def test_gguf_metadata_there_and_back(scaling: RopeScaling | None) -> None:
    config = PLAIN.with_(n_ctx=256, rope_scaling=scaling)
    keys = {f"phi2.{key}": value for key, value in gguf_rope_keys(config).items()}
    back = config_from_gguf({**metadata("phi2", 256), **keys}, SHAPES)
    assert back.with_(rope_scaling=None) == config.with_(rope_scaling=None)
    assert attention_factor(back.rope_scaling) == pytest.approx(attention_factor(scaling))
    assert (back.rope_scaling and back.rope_scaling.factor) == (scaling and scaling.factor)


def test_what_gguf_cannot_say_is_refused() -> None:
    for scaling in (RopeScaling("yarn", 2.0, 64, truncate=False), RopeScaling("dynamic", 2.0, 64)):
        with pytest.raises(ConfigError, match=f"rope_scaling {scaling.kind} .* cannot be written as GGUF"):
            gguf_rope_keys(PLAIN.with_(n_ctx=128, rope_scaling=scaling))
    assert gguf_rope_keys(PLAIN.with_(rope_scaling=RopeScaling("ntk", 2.0)))["rope.freq_base"] == 10000 * 2 ** (8 / 6)


@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_a_model_answers_beyond_its_trained_context(tiny_folder: Any, layers: Any) -> None:
    if layers == "torch":
        pytest.importorskip("torch")
    model = petitlm.load(tiny_folder, context=300, rope_scaling="linear", layers=layers)
    assert (model.context, model.config.n_ctx) == (300, 300)
    assert len(model.generate([1] * 280, max_tokens=10, logit_bias={256: -1e9}).ids) == 10
    assert np.isfinite(model.logits([1] * 300)).all()
