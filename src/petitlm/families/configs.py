"""Hugging Face's config.json, read into a ModelConfig and written back, family by family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from petitlm.config import ModelConfig
from petitlm.errors import ConfigError, DamagedError
from petitlm.families.keys import Keys
from petitlm.families.rope import read_rope, read_scaling, rope_keys, rotated, trained_ctx

MAX_LAYERS = 1000  # ten times the deepest published; a damaged file must not make us list billions of weights
_HF_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "silu": "silu", "relu": "relu"}


def config_from_hf(values: Mapping[str, Any]) -> ModelConfig:
    """Return the shape that a parsed config.json describes.

    Raises: ConfigError for an architecture or feature that petit does not compute; DamagedError for a missing key or
    a value of the wrong type.
    """
    keys = Keys(values)
    model_type = keys.text("model_type", "")
    if not model_type:
        raise DamagedError("config.json: the key 'model_type' is missing, so the architecture is not known")
    if model_type not in _READERS:
        raise ConfigError(f"config.json: model_type={model_type!r:.40} is not an architecture that petit knows; "
                          f"it knows {', '.join(_READERS)}")
    return _READERS[model_type](keys)


def config_to_hf(config: ModelConfig) -> dict[str, Any]:
    """Return the config.json of today for this shape, as `transformers` reads it.

    Raises: ConfigError if the family's format cannot say this shape.
    """
    if config.family not in _WRITERS:
        raise ConfigError(f"family={config.family!r} is not known; choose one of {', '.join(_WRITERS)}")
    values, shape = _WRITERS[config.family](config)
    for name, wanted in shape.items():
        if getattr(config, name) != wanted:
            raise ConfigError(f"{name}={getattr(config, name)!r} cannot be written as a {config.family} checkpoint, "
                              f"where it is {wanted!r}; choose another family")
    return {**values, "vocab_size": config.n_vocab, "tie_word_embeddings": config.tied,
            "bos_token_id": config.bos_id, "eos_token_id": config.eos_id, "use_cache": True}


def _phi(keys: Keys) -> ModelConfig:
    keys.refuse("qk_layernorm", False, "it normalises queries and keys in each head")
    n_heads, d_model = keys.integer("num_attention_heads"), keys.integer("hidden_size")
    d_head = _head_size(keys, d_model, n_heads)
    rope = read_rope(keys, default_share=0.5)  # the share is 0.5 where the file does not say
    return ModelConfig(
        n_layers=keys.integer("num_hidden_layers", most=MAX_LAYERS), d_model=d_model, n_heads=n_heads, d_head=d_head,
        n_kv_heads=keys.integer("num_key_value_heads", n_heads), d_mlp=keys.integer("intermediate_size"),
        n_vocab=keys.integer("vocab_size"), n_ctx=keys.integer("max_position_embeddings"),
        norm_eps=keys.number("layer_norm_eps", 1e-5), activation=keys.activation("hidden_act", "gelu_new"),
        n_rotary=rotated(rope, d_head), rope_theta=rope.number("rope_theta"),
        rope_scaling=read_scaling(rope, keys.integer("max_position_embeddings")),
        unembed_bias=True, tied=keys.flag("tie_word_embeddings", False),
        bos_id=keys.token_id("bos_token_id"), eos_id=keys.token_id("eos_token_id"), family="phi")


def _phi_2023(keys: Keys) -> ModelConfig:
    """The keys of the first phi checkpoints (`mixformer-sequential`, then `phi-msft`)."""
    n_heads, d_model = keys.integer("n_head"), keys.integer("n_embd")
    return ModelConfig(
        n_layers=keys.integer("n_layer", most=MAX_LAYERS), d_model=d_model, n_heads=n_heads,
        d_head=_head_size(keys, d_model, n_heads),
        n_kv_heads=keys.integer("n_head_kv", n_heads), d_mlp=keys.integer("n_inner", 4 * d_model),
        n_vocab=keys.integer("vocab_size"), n_ctx=keys.integer("n_positions"),
        norm_eps=keys.number("layer_norm_epsilon", 1e-5), activation=keys.activation("activation_function", "gelu_new"),
        n_rotary=keys.integer("rotary_dim", 32), unembed_bias=True, tied=keys.flag("tie_word_embeddings", False),
        bos_id=keys.token_id("bos_token_id"), eos_id=keys.token_id("eos_token_id"), family="phi")


def _llama(keys: Keys) -> ModelConfig:
    n_heads, d_model = keys.integer("num_attention_heads"), keys.integer("hidden_size")
    d_head = _head_size(keys, d_model, n_heads)
    rope, n_ctx = read_rope(keys), keys.integer("max_position_embeddings", 2048)
    attention_bias, mlp_bias = keys.flag("attention_bias", False), keys.flag("mlp_bias", False)
    return ModelConfig(
        n_layers=keys.integer("num_hidden_layers", most=MAX_LAYERS), d_model=d_model, n_heads=n_heads, d_head=d_head,
        n_kv_heads=keys.integer("num_key_value_heads", n_heads), d_mlp=keys.integer("intermediate_size"),
        n_vocab=keys.integer("vocab_size"), n_ctx=n_ctx, norm="rms", norm_eps=keys.number("rms_norm_eps", 1e-6),
        parallel_block=False, gated_mlp=True, activation=keys.activation("hidden_act", "silu"),
        n_rotary=rotated(rope, d_head), rope_theta=rope.number("rope_theta"),
        rope_scaling=read_scaling(rope, n_ctx), qkv_bias=attention_bias, out_bias=attention_bias, mlp_bias=mlp_bias,
        tied=keys.flag("tie_word_embeddings", False),
        bos_id=keys.token_id("bos_token_id"), eos_id=keys.token_id("eos_token_id"), family="llama")


def _gpt(keys: Keys) -> ModelConfig:
    keys.refuse("scale_attn_weights", True, "attention scores would not be divided by the root of the head size")
    keys.refuse("scale_attn_by_inverse_layer_idx", False, "it scales attention scores by layer")
    keys.refuse("add_cross_attention", False, "it attends to an encoder")
    n_heads, d_model = keys.integer("n_head"), keys.integer("n_embd")
    return ModelConfig(
        n_layers=keys.integer("n_layer", most=MAX_LAYERS), d_model=d_model, n_heads=n_heads,
        d_head=_head_size(keys, d_model, n_heads),
        d_mlp=keys.integer("n_inner", 4 * d_model), n_vocab=keys.integer("vocab_size"),
        n_ctx=keys.integer("n_positions", keys.integer("n_ctx", 1024)),
        norm_eps=keys.number("layer_norm_epsilon", 1e-5),
        parallel_block=False, activation=keys.activation("activation_function", "gelu_new"), positions="learned",
        tied=keys.flag("tie_word_embeddings", True),
        bos_id=keys.token_id("bos_token_id"), eos_id=keys.token_id("eos_token_id"), family="gpt")


_READERS: dict[str, Callable[[Keys], ModelConfig]] = {
    "phi": _phi, "phi-msft": _phi_2023, "mixformer-sequential": _phi_2023, "llama": _llama, "gpt2": _gpt}


def _head_size(keys: Keys, d_model: int, n_heads: int) -> int:
    if keys.values.get("head_dim") is not None:
        return keys.integer("head_dim")
    if n_heads == 0 or d_model % n_heads:
        raise ConfigError(f"{keys.where}: {n_heads} heads do not divide the width {d_model}; "
                          "the head size must be a whole number")
    return d_model // n_heads


def _write_phi(config: ModelConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    values = {
        "architectures": ["PhiForCausalLM"], "model_type": "phi", **_common_keys(config),
        "layer_norm_eps": config.norm_eps, **rope_keys(config), "qk_layernorm": False,
        "attention_dropout": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    if config.d_head * config.n_heads != config.d_model:
        values["head_dim"] = config.d_head  # no published phi has it, but readers of the format honour it
    return values, {"norm": "layer", "parallel_block": True, "gated_mlp": False, "positions": "rotary",
                    "qkv_bias": True, "out_bias": True, "mlp_bias": True, "unembed_bias": True}


def _write_llama(config: ModelConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    values = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", **_common_keys(config),
        "head_dim": config.d_head, "rms_norm_eps": config.norm_eps, **rope_keys(config),
        "attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias, "attention_dropout": 0.0}
    return values, {"norm": "rms", "parallel_block": False, "gated_mlp": True, "positions": "rotary",
                    "n_rotary": config.d_head, "out_bias": config.qkv_bias, "unembed_bias": False}


def _write_gpt(config: ModelConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    values = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": config.n_layers,
        "n_embd": config.d_model, "n_head": config.n_heads, "n_inner": config.d_mlp, "n_positions": config.n_ctx,
        "activation_function": _HF_ACTIVATIONS[config.activation], "layer_norm_epsilon": config.norm_eps,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    return values, {"norm": "layer", "parallel_block": False, "gated_mlp": False, "positions": "learned",
                    "d_head": config.d_model / config.n_heads, "n_kv_heads": config.n_heads, "qkv_bias": True,
                    "out_bias": True, "mlp_bias": True, "unembed_bias": False}


_WRITERS: dict[str, Callable[[ModelConfig], tuple[dict[str, Any], dict[str, Any]]]] = {
    "phi": _write_phi, "llama": _write_llama, "gpt": _write_gpt}


def _common_keys(config: ModelConfig) -> dict[str, Any]:
    return {"hidden_size": config.d_model, "intermediate_size": config.d_mlp, "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads, "num_key_value_heads": config.n_kv_heads,
            "max_position_embeddings": trained_ctx(config), "hidden_act": _HF_ACTIVATIONS[config.activation]}
