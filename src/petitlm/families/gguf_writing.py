"""A ModelConfig as the metadata of a GGUF file: the other way round from `petitlm.families.gguf_configs`."""

from __future__ import annotations

from typing import Any

from petitlm.config import ModelConfig
from petitlm.errors import ConfigError
from petitlm.families.configs import config_to_hf
from petitlm.families.rope import gguf_rope_keys
from petitlm.rotary import frequencies

_ARCHITECTURES = {"phi": "phi2", "llama": "llama", "gpt": "gpt2"}
# Readers of GGUF compute one activation for each architecture, whatever the file says.
_ACTIVATIONS = {"phi": "gelu_tanh", "llama": "silu", "gpt": "gelu_tanh"}


def config_to_gguf(config: ModelConfig) -> dict[str, Any]:
    """Return the metadata of this shape, as llama.cpp reads it.

    Raises: ConfigError if the architecture cannot say this shape.
    """
    config_to_hf(config)  # the same shapes can be said, with the following exceptions
    family = config.family
    architecture = _ARCHITECTURES[family]
    if config.activation != _ACTIVATIONS[family]:
        raise ConfigError(f"activation={config.activation!r} cannot be written as GGUF, where {architecture} computes "
                          f"{_ACTIVATIONS[family]}")
    if family == "phi" and config.n_heads * config.d_head != config.d_model:
        raise ConfigError(f"{config.n_heads} heads of {config.d_head} cannot be written as GGUF, where {architecture} "
                          f"has heads that make up d_model={config.d_model}")
    eps = "attention.layer_norm_rms_epsilon" if config.norm == "rms" else "attention.layer_norm_epsilon"
    keys: dict[str, Any] = {
        "context_length": config.n_ctx, "embedding_length": config.d_model, "feed_forward_length": config.d_mlp,
        "block_count": config.n_layers, "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads, eps: config.norm_eps, "vocab_size": config.n_vocab}
    if config.positions == "rotary":
        keys |= gguf_rope_keys(config)
        scaling = config.rope_scaling
        if scaling is not None and scaling.kind == "llama3" and family != "llama":
            raise ConfigError(f"rope_scaling llama3 cannot be written as GGUF, where {architecture} has no factors")
    if config.n_heads * config.d_head != config.d_model:
        keys |= {"attention.key_length": config.d_head, "attention.value_length": config.d_head}
    if repeats_embedding(config):
        keys["tie_word_embeddings"] = True  # petit's own key, so that reading the file gives the tied model again
    return {"general.architecture": architecture, **{f"{architecture}.{key}": value for key, value in keys.items()}}


def repeats_embedding(config: ModelConfig) -> bool:
    """Whether the file needs the embedding a second time as its output head: phi2 has no tied heads."""
    return config.tied and config.family == "phi"


def rope_factors(config: ModelConfig) -> list[float] | None:
    """Return by how much each wavelength is stretched, for `rope_freqs.weight`; None where metadata says it all."""
    if config.rope_scaling is None or config.rope_scaling.kind != "llama3":
        return None
    plain = frequencies(config.with_(rope_scaling=None))
    return [a / b for a, b in zip(plain, frequencies(config), strict=True)]
