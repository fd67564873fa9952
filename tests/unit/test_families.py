"""Configs and weight names of the families, against `transformers` and the published files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from petitlm import sizes
from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import ConfigError, DamagedError, NotFoundError, UsageError
from petitlm.families import (
    PRESETS,
    config_from_hf,
    config_to_hf,
    gguf_names,
    hf_names,
    preset,
    prompt_shape,
    published,
)

# Exact counts: of published weight indices where there is one, else by hand from the published shapes.
PARAMETERS = {
    "phi-1": 1_418_270_720, "phi-1.5": 1_418_270_720, "phi-2": 2_779_683_840,
    "llama-7b": 6_738_415_616, "llama-2-7b": 6_738_415_616, "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192, "llama-3-8b": 8_030_261_248, "llama-3.2-1b": 1_235_814_400,
    "gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
}


@pytest.mark.parametrize(("name", "n"), PARAMETERS.items())
def test_presets_have_the_parameters_of_the_published_weights(name: str, n: int) -> None:
    assert sizes.n_params(preset(name)) == n


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("gpt3-")])
def test_gpt3_presets_agree_with_the_printed_size(name: str) -> None:
    printed = published(name)["parameters"]["value"]
    assert sizes.n_params(preset(name)) == pytest.approx(printed, rel=0.025)  # printed with two or three digits


def test_all_eight_gpt3_sizes_are_there() -> None:
    assert [name for name in PRESETS if name.startswith("gpt3-")] == [
        f"gpt3-{size}" for size in ("small", "medium", "large", "xl", "2.7b", "6.7b", "13b", "175b")]


FIELDS = {"n_layers": "n_layers", "hidden_size": "d_model", "n_heads": "n_heads", "head_dim": "d_head",
          "ffn_size": "d_mlp", "context": "n_ctx", "vocab": "n_vocab", "rotary_dim": "n_rotary"}


@pytest.mark.parametrize("name", [name for name in PRESETS if "architecture" in published(name)])
def test_presets_have_the_published_shape(name: str) -> None:
    architecture = published(name)["architecture"]
    differing = {key for key, field in FIELDS.items()
                 if key in architecture and architecture[key]["value"] != getattr(preset(name), field)}
    # The paper prints 24 heads of 128 for a width of 2048; presets.py says what was chosen and why.
    assert differing == ({"n_heads"} if name == "gpt3-xl" else set())


@pytest.mark.parametrize(("name", "file"), [("phi-1", "phi-1.config.json"), ("phi-1.5", "phi-1_5.config.json"),
                                            ("phi-2", "phi-2.config.json")])
def test_the_published_config_files_give_the_presets(shared: Path, name: str, file: str) -> None:
    values = json.loads((shared / "data/facts" / file).read_text())
    assert config_from_hf(values) == preset(name)


def test_phi_2_has_the_published_tensor_names_and_shapes(shared: Path) -> None:
    tensors = json.loads((shared / "data/facts/phi-2.tensors.json").read_text())["tensors"]
    ours = {source.name: list(source.shape) for source in hf_names(preset("phi-2")).values()}
    assert ours == tensors


def test_published_figures_name_their_source_and_whether_it_was_read() -> None:
    figure = published("phi-2")["parameters"]
    assert figure["value"] == 2_779_683_840
    assert figure["checked"] is True
    assert published("llama-7b")["training"]["tokens"]["source"].startswith("arXiv 2302.13971")
    assert published("llama-3-8b") == {}


def test_an_unknown_preset_is_not_found_and_near_ones_are_named() -> None:
    with pytest.raises(NotFoundError, match=r"'phi-3' is not known; did you mean phi-"):
        preset("phi-3")


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "gpt3-13b"])
def test_a_config_written_and_read_again_is_the_same(name: str) -> None:
    assert config_from_hf(json.loads(json.dumps(config_to_hf(preset(name))))) == preset(name)


@pytest.mark.parametrize("n_rotary", range(2, 102, 2))
def test_the_rotary_share_survives_its_rounding(n_rotary: int) -> None:
    config = preset("phi-2").with_(d_model=3200, d_head=100, n_rotary=n_rotary)
    assert config_from_hf(config_to_hf(config)).n_rotary == n_rotary


def test_a_shape_that_a_format_cannot_say_is_refused_with_the_field() -> None:
    with pytest.raises(ConfigError, match=r"d_head=128 cannot be written as a gpt checkpoint, where it is 128.5"):
        config_to_hf(preset("gpt3-13b"))
    with pytest.raises(ConfigError, match="parallel_block=False cannot be written as a phi checkpoint"):
        config_to_hf(preset("phi-2").with_(parallel_block=False))
    with pytest.raises(ConfigError, match="family='bert' is not known"):
        config_to_hf(preset("phi-2").with_(family="bert"))


PHI = {"model_type": "phi", "vocab_size": 101, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
       "num_attention_heads": 4, "max_position_embeddings": 64}
LLAMA = {**PHI, "model_type": "llama"}
GPT = {"model_type": "gpt2", "vocab_size": 101, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}


def test_rotary_settings_are_read_wherever_a_file_keeps_them() -> None:
    top = config_from_hf({**PHI, "rope_theta": 5000.0, "partial_rotary_factor": 0.25})
    inner = config_from_hf({**PHI, "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0,
                                                       "partial_rotary_factor": 0.25}})
    both = config_from_hf({**PHI, "rope_theta": 1.0, "rope_parameters": {"rope_theta": 5000.0},
                           "partial_rotary_factor": 0.25})
    assert top == inner == both
    assert (top.rope_theta, top.n_rotary) == (5000.0, 2)


@pytest.mark.parametrize("where", ["rope_scaling", "rope_parameters"])
def test_llama_3_scaling_is_read_from_both_places(where: str) -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 32}
    config = config_from_hf({**LLAMA, where: scaling})
    assert config.rope_scaling == RopeScaling("llama3", 8.0, 32)


@pytest.mark.parametrize("kind", ["longrope", "su"])
def test_other_rotary_scalings_are_refused_by_name(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"the rotary scaling '{kind}' is not supported"):
        config_from_hf({**LLAMA, "rope_scaling": {"type": kind, "factor": 2.0}})


@pytest.mark.parametrize(("values", "message"), [
    ({**PHI, "qk_layernorm": True}, "qk_layernorm=True is not supported"),
    ({**PHI, "hidden_act": "mish"}, "hidden_act='mish' is not supported"),
    ({**PHI, "num_attention_heads": 5}, "5 heads do not divide the width 32"),
    ({**PHI, "num_key_value_heads": 3}, "n_kv_heads=3 is not possible here"),
    ({**PHI, "partial_rotary_factor": 1.5}, "partial_rotary_factor=1.5 is not possible; it is a share"),
    ({**PHI, "rope_scaling": {"rope_type": "llama3", "factor": 0.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}},
     "rope_scaling.factor=0.0 is not possible here; give a number from 1"),
    ({**GPT, "scale_attn_weights": False}, "scale_attn_weights=False is not supported"),
    ({**GPT, "scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True is not supported"),
    ({**GPT, "add_cross_attention": True}, "add_cross_attention=True is not supported"),
    ({"model_type": "bert"}, "model_type='bert' is not an architecture that petit knows; it knows phi"),
])
def test_what_petit_does_not_compute_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_hf(values)


@pytest.mark.parametrize(("values", "message"), [
    ({}, "the key 'model_type' is missing"),
    ({key: value for key, value in PHI.items() if key != "hidden_size"}, "the key 'hidden_size' is missing"),
    ({**PHI, "hidden_size": "32"}, "hidden_size='32' is not a whole number"),
    ({**PHI, "hidden_size": True}, "hidden_size=True is not a whole number"),
    ({**PHI, "vocab_size": -1}, "vocab_size=-1 is not a whole number"),
    ({**PHI, "num_hidden_layers": 10**9}, "num_hidden_layers=1000000000 is not a whole number up to 1,000"),
    ({**PHI, "layer_norm_eps": float("nan")}, "layer_norm_eps=nan is not a number"),
    ({**PHI, "rope_parameters": 3}, "rope_parameters=3 is not an object"),
    ({**PHI, "eos_token_id": "end"}, "eos_token_id='end' is not a token id"),
    ({**PHI, "tie_word_embeddings": 1}, "tie_word_embeddings=1 is not true or false"),
    ({**PHI, "hidden_act": 1}, "hidden_act=1 is not a text"),
])
def test_a_damaged_config_is_refused_with_the_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        config_from_hf(values)


def test_of_several_end_tokens_the_first_is_taken() -> None:
    assert config_from_hf({**LLAMA, "eos_token_id": [7, 8]}).eos_id == 7


def test_the_first_phi_configs_are_read() -> None:
    old = {"model_type": "mixformer-sequential", "vocab_size": 51200, "n_embd": 2560, "n_head": 32, "n_layer": 32,
           "n_positions": 2048, "rotary_dim": 32, "n_inner": None, "activation_function": "gelu_new",
           "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.0, "tie_word_embeddings": False,
           "architecture": {"block_cls": "parallel"}}
    assert config_from_hf(old) == preset("phi-2").with_(bos_id=None, eos_id=None)
    assert config_from_hf({**old, "model_type": "phi-msft"}) == config_from_hf(old)


@pytest.mark.parametrize(("values", "theirs"), [
    (PHI, transformers.PhiConfig), (LLAMA, transformers.LlamaConfig), (GPT, transformers.GPT2Config)])
def test_defaults_are_those_of_transformers(values: dict[str, Any], theirs: Any) -> None:
    """A sparse config must mean what `transformers` takes it for: its own full dump of it reads the same."""
    dumped = theirs(**{key: value for key, value in values.items() if key != "model_type"}).to_dict()
    ids = {"bos_id": dumped["bos_token_id"], "eos_id": dumped["eos_token_id"]}
    assert config_from_hf(dumped) == config_from_hf(values).with_(**ids)


def test_names_follow_the_naming_that_a_file_has() -> None:
    config = preset("gpt2")
    bare = [source.name.removeprefix("transformer.") for source in hf_names(config).values()]
    assert hf_names(config, bare)["embed.weight"].name == "wte.weight"
    assert hf_names(config, [*bare, "h.0.attn.bias", "lm_head.weight"]) == hf_names(config, bare)


def test_a_missing_and_a_surplus_tensor_are_named() -> None:
    config = preset("phi-2").with_(n_layers=1)
    names = [source.name for source in hf_names(config).values()]
    with pytest.raises(DamagedError, match=r"'model.layers.0.mlp.fc1.weight' is missing from the checkpoint"):
        hf_names(config, [name for name in names if not name.endswith("fc1.weight")])
    with pytest.raises(DamagedError, match=r"'model.layers.0.self_attn.q_norm.weight' has no place"):
        hf_names(config, [*names, "model.layers.0.self_attn.q_norm.weight"])
    assert hf_names(config, [*names, "model.layers.0.self_attn.rotary_emb.inv_freq"]) == hf_names(config)
    with pytest.raises(UsageError, match="family='bert' is not known"):
        hf_names(config.with_(family="bert"))


def every_source(config: ModelConfig) -> list[tuple[dict[str, Any], dict[str, tuple[int, ...]]]]:
    return [(table(config), config.tensor_shapes()) for table in (hf_names, gguf_names)]


@pytest.mark.parametrize("name", ["phi-2", "llama-3.2-1b", "llama-2-70b", "gpt2"])
def test_sources_tile_the_stored_tensors_exactly(name: str) -> None:
    for table, shapes in every_source(preset(name).with_(n_layers=2)):
        assert table.keys() == shapes.keys()
        parts: dict[str, list[tuple[int, int]]] = {}
        for petit_name, source in table.items():
            stored = source.shape[::-1] if source.transposed else source.shape
            assert stored[1:] == shapes[petit_name][1:]
            parts.setdefault(source.name, []).append((source.start, source.start + shapes[petit_name][0]))
        for stored_name, ranges in parts.items():
            source = next(source for source in table.values() if source.name == stored_name)
            rows = source.shape[-1 if source.transposed else 0]
            assert [begin for begin, _ in ranges] + [rows] == [0] + [end for _, end in ranges]


def test_the_default_prompt_shape_is_the_familys() -> None:
    assert prompt_shape(preset("phi-2")) == "qa"
    assert prompt_shape(preset("llama-7b")) == prompt_shape(preset("gpt2")) == "raw"
