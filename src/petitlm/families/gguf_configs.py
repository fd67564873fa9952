"""The metadata of a GGUF file, read into a ModelConfig."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import ConfigError, DamagedError
from petitlm.families.configs import MAX_LAYERS
from petitlm.families.keys import Keys
from petitlm.families.rope import gguf_scaling
from petitlm.rotary import frequencies


class _Metadata(Keys):
    """The keys of one architecture: `key("block_count")` is `phi2.block_count`."""

    def __init__(self, values: Mapping[str, Any], architecture: str) -> None:
        prefix = f"{architecture}."
        own = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
        special = {name: values.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")}
        super().__init__({**own, **special}, f"GGUF metadata of {architecture}")


def config_from_gguf(metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]],
                     rope_factors: Sequence[float] | None = None) -> ModelConfig:
    """Return the shape that a GGUF file describes by its metadata and the shapes of its tensors.

    `rope_factors` is the tensor `rope_freqs.weight`, if the file has it: by how much each wavelength is stretched.
    Raises: ConfigError for an architecture or feature that petit does not compute; DamagedError for a missing key.
    """
    architecture = metadata.get("general.architecture")
    if architecture not in _READERS:
        raise ConfigError(f"general.architecture={architecture!r:.40} is not one that petit knows; "
                          f"it knows {', '.join(_READERS)}")
    if len(shapes.get("token_embd.weight", ())) != 2:
        raise DamagedError("tensor 'token_embd.weight' is missing from the GGUF file; fetch it again")
    keys = _Metadata(metadata, architecture)
    config = _READERS[architecture](keys, shapes)
    if rope_factors is not None and config.positions == "rotary":
        return config.with_(rope_scaling=_llama3_scaling(config, rope_factors))
    return config


def _phi(keys: _Metadata, shapes: Mapping[str, tuple[int, ...]]) -> ModelConfig:
    return ModelConfig(**_common(keys, shapes), **_rotary(keys),
                       norm_eps=keys.number("attention.layer_norm_epsilon"), unembed_bias=True, family="phi")


def _llama(keys: _Metadata, shapes: Mapping[str, tuple[int, ...]]) -> ModelConfig:
    keys.refuse("expert_count", 0, "it is a mixture of experts")
    config = ModelConfig(**_common(keys, shapes), **_rotary(keys), norm="rms",
                         norm_eps=keys.number("attention.layer_norm_rms_epsilon"), parallel_block=False, gated_mlp=True,
                         activation="silu", qkv_bias="blk.0.attn_q.bias" in shapes,
                         out_bias="blk.0.attn_output.bias" in shapes, mlp_bias="blk.0.ffn_up.bias" in shapes,
                         family="llama")
    # Query and key rows are stored reordered over the whole head; with a part of it rotated, the order is ambiguous.
    if config.n_rotary != config.d_head:
        raise ConfigError(f"{keys.where}: rope.dimension_count={config.n_rotary} of {config.d_head} is not supported; "
                          "petit reads such models with fully rotated heads only")
    return config


def _gpt(keys: _Metadata, shapes: Mapping[str, tuple[int, ...]]) -> ModelConfig:
    return ModelConfig(**_common(keys, shapes), norm_eps=keys.number("attention.layer_norm_epsilon"),
                       parallel_block=False, positions="learned", family="gpt")


_READERS: dict[str, Callable[[_Metadata, Mapping[str, tuple[int, ...]]], ModelConfig]] = {
    "phi2": _phi, "llama": _llama, "gpt2": _gpt}


def _common(keys: _Metadata, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    n_heads, d_model = keys.integer("attention.head_count"), keys.integer("embedding_length")
    if n_heads == 0 or (d_model % n_heads and "attention.key_length" not in keys.values):
        raise ConfigError(f"{keys.where}: {n_heads} heads do not divide the width {d_model}; "
                          "the head size must be a whole number")
    return {"n_layers": keys.integer("block_count", most=MAX_LAYERS), "d_model": d_model, "n_heads": n_heads,
            "n_kv_heads": keys.integer("attention.head_count_kv", n_heads),
            "d_head": keys.integer("attention.key_length", d_model // n_heads),
            "d_mlp": keys.integer("feed_forward_length"), "n_vocab": shapes["token_embd.weight"][0],
            "n_ctx": keys.integer("context_length"),
            "tied": "output.weight" not in shapes or keys.flag("tie_word_embeddings", False),
            "bos_id": keys.token_id("bos"), "eos_id": keys.token_id("eos")}


def _rotary(keys: _Metadata) -> dict[str, Any]:
    return {"n_rotary": keys.integer("rope.dimension_count", keys.integer("embedding_length")
                                     // max(1, keys.integer("attention.head_count"))),
            "rope_theta": keys.number("rope.freq_base", 10000.0),
            "rope_scaling": gguf_scaling(keys, keys.integer("context_length"))}


def _llama3_scaling(config: ModelConfig, factors: Sequence[float]) -> RopeScaling | None:
    """Return the scaling that gives these factors: files carry the factors and not what they came from.

    Every published Llama 3 uses the same two bounds and first context; only the factor differs.
    """
    scaling = RopeScaling("llama3", max(1.0, *factors), 8192)
    plain, stretched = frequencies(config), frequencies(config.with_(rope_scaling=scaling))
    wanted = [a / b for a, b in zip(plain, stretched, strict=True)]
    if len(factors) != len(wanted) or any(not math.isclose(a, b, rel_tol=1e-4)
                                          for a, b in zip(factors, wanted, strict=True)):
        raise ConfigError("the rotary factors in 'rope_freqs.weight' are not those of Llama 3.1 to 3.3, and no others "
                          "are supported; take the model's Hugging Face folder instead")
    return scaling if scaling.factor > 1 else None
