"""Rotary settings in the words of Hugging Face's config.json and of GGUF metadata, both ways.

Neither format has a word for `ntk`, and neither needs one: it is another base, and is written as that. Only
config.json knows `dynamic`. What the files call YaRN's `mscale` and `yarn_log_multiplier` are two ways to give the
attention factor, and are read into it.
"""

from __future__ import annotations

import math
from typing import Any

from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import ConfigError
from petitlm.families.keys import Keys
from petitlm.rotary import attention_factor, rotary_base, yarn_growth


def read_rope(keys: Keys, default_share: float = 1.0) -> Keys:
    """Return the rotary settings in one place, wherever this age of file keeps them.

    `rope_scaling` and then `rope_parameters` (2026) win over the keys at the top level, as in `transformers`; only
    the trained context wins from the top.
    """
    top = {"rope_theta": keys.number("rope_theta", 10000.0),
           "partial_rotary_factor": keys.number("partial_rotary_factor", default_share)}
    inner = keys.group("rope_scaling") or keys.group("rope_parameters")
    values = {**top, **{key: value for key, value in inner.items() if value is not None}}
    if keys.values.get("original_max_position_embeddings") is not None:
        values["original_max_position_embeddings"] = keys.integer("original_max_position_embeddings")
    return Keys(values, keys.where)


def rotated(rope: Keys, d_head: int) -> int:
    """Return the rotated features of a head.

    Raises: ConfigError for a share that is none.
    """
    share = rope.number("partial_rotary_factor")
    if not 0 < share <= 1:
        raise ConfigError(f"{rope.where}: partial_rotary_factor={share} is not possible; it is a share of each head, "
                          "above 0 and at most 1")
    return int(d_head * share)


def read_scaling(rope: Keys, n_ctx: int) -> RopeScaling | None:
    """Return the stretching that config.json describes; `n_ctx` is its `max_position_embeddings`.

    Raises: ConfigError for a kind that petit does not compute, or for impossible numbers.
    """
    kind = rope.text("rope_type", rope.text("type", "default"))
    if kind == "default":
        return None
    if kind == "linear" or kind == "dynamic":  # both stretch beyond max_position_embeddings, which stays as trained
        return RopeScaling(kind, rope.number("factor"), n_ctx)
    trained = rope.integer("original_max_position_embeddings", n_ctx)
    if kind == "llama3":
        return RopeScaling("llama3", rope.number("factor"), trained, rope.number("low_freq_factor"),
                           rope.number("high_freq_factor"))
    if kind == "yarn":
        return _read_yarn(rope, trained, n_ctx)
    raise ConfigError(f"{rope.where}: the rotary scaling {kind!r:.40} is not supported; petit knows linear, dynamic, "
                      "yarn and llama3")


def _read_yarn(rope: Keys, trained: int, n_ctx: int) -> RopeScaling:
    factor = rope.number("factor", n_ctx / max(trained, 1))
    growth = rope.number("attention_factor") if "attention_factor" in rope.values else None
    weights = rope.number("mscale", 0.0), rope.number("mscale_all_dim", 0.0)
    if growth is None and all(weights):
        growth = yarn_growth(factor, weights[0]) / yarn_growth(factor, weights[1])
    return RopeScaling("yarn", factor, trained, beta_fast=rope.number("beta_fast", 0.0) or 32.0,
                       beta_slow=rope.number("beta_slow", 0.0) or 1.0, truncate=rope.flag("truncate", True),
                       attention_factor=growth)


def trained_ctx(config: ModelConfig) -> int:
    """Return what a file gives as `max_position_embeddings`.

    Raises: ConfigError for a `dynamic` model that was loaded with a longer context than its file's.
    """
    scaling = config.rope_scaling
    if scaling is not None and scaling.kind == "dynamic" and config.n_ctx != scaling.original_ctx:
        raise ConfigError(f"n_ctx={config.n_ctx} cannot be written with dynamic rotary scaling, where it is the "
                          f"trained context of {scaling.original_ctx}; set it to that")
    return config.n_ctx


def rope_keys(config: ModelConfig) -> dict[str, Any]:
    """Return the rotary settings twice: for `transformers` 5, and for what was written before it."""
    share = config.n_rotary / config.d_head
    if int(config.d_head * share) < config.n_rotary:  # readers truncate; rounding must not cost a pair
        share = math.nextafter(share, 1.0)
    scaling = _scaling_keys(config.rope_scaling)
    theta = config.rope_theta if scaling else rotary_base(config)
    common = {"rope_theta": theta, "partial_rotary_factor": share}
    return {**common, "rope_scaling": scaling, "rope_parameters": {"rope_type": "default", **common, **(scaling or {})}}


def _scaling_keys(scaling: RopeScaling | None) -> dict[str, Any] | None:
    if scaling is None or scaling.kind == "ntk":
        return None
    keys: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind in ("yarn", "llama3"):
        keys["original_max_position_embeddings"] = scaling.original_ctx
    if scaling.kind == "llama3":
        keys |= {"low_freq_factor": scaling.low_freq_factor, "high_freq_factor": scaling.high_freq_factor}
    if scaling.kind == "yarn":
        keys |= {"beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow, "truncate": scaling.truncate}
        if scaling.attention_factor is not None:
            keys["attention_factor"] = scaling.attention_factor
    return keys


def gguf_scaling(keys: Keys, n_ctx: int) -> RopeScaling | None:
    """Return the stretching that GGUF metadata describes; keys without the architecture's name before them.

    Raises: ConfigError for a kind that petit does not compute, or for impossible numbers.
    """
    kind = keys.text("rope.scaling.type", "none")
    # Before there were kinds, files gave a factor for linear scaling alone.
    factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 0.0)) or 1.0  # 0: not scaled
    if kind == "none" and ("rope.scaling.type" in keys.values or factor == 1):
        return None
    trained = keys.integer("rope.scaling.original_context_length", n_ctx)
    if kind in ("none", "linear"):
        return RopeScaling("linear", factor, trained)
    if kind != "yarn":
        raise ConfigError(f"{keys.where}: rope.scaling.type={kind!r:.40} is not supported; petit knows none, linear "
                          "and yarn")
    growth = yarn_growth(factor) * keys.number("rope.scaling.attn_factor", 1.0)
    if weight := keys.number("rope.scaling.yarn_log_multiplier", 0.0):
        growth /= yarn_growth(factor, weight)
    own = math.isclose(growth, yarn_growth(factor), rel_tol=1e-6)  # float32 in the file
    return RopeScaling("yarn", factor, trained, beta_fast=keys.number("rope.scaling.yarn_beta_fast", 32.0),
                       beta_slow=keys.number("rope.scaling.yarn_beta_slow", 1.0),
                       attention_factor=None if own else growth)


def gguf_rope_keys(config: ModelConfig) -> dict[str, float | int | str]:
    """Return the metadata of rotary positions for a GGUF file, without the architecture's name before each key.

    llama3 has no keys: its factors are the tensor `rope_freqs.weight`, by how much each wavelength is stretched.
    Raises: ConfigError for `dynamic` beyond the trained context and for yarn without `truncate`, which GGUF cannot say.
    """
    scaling = config.rope_scaling
    keys: dict[str, float | int | str] = {"rope.dimension_count": config.n_rotary,
                                          "rope.freq_base": rotary_base(config)}
    if scaling is None or scaling.kind in ("ntk", "llama3"):
        return keys
    if scaling.kind == "dynamic" and config.n_ctx <= scaling.original_ctx:
        return keys
    if scaling.kind == "dynamic" or not scaling.truncate:
        raise ConfigError(f"rope_scaling {scaling.kind} with truncate={scaling.truncate} cannot be written as GGUF; "
                          "choose linear, ntk or yarn")
    keys |= {"rope.scaling.type": scaling.kind, "rope.scaling.factor": scaling.factor}
    if scaling.original_ctx:
        keys["rope.scaling.original_context_length"] = scaling.original_ctx
    if scaling.kind == "yarn":
        keys |= {"rope.scaling.yarn_beta_fast": scaling.beta_fast, "rope.scaling.yarn_beta_slow": scaling.beta_slow}
        if scaling.attention_factor is not None:  # readers multiply the paper's factor by this one
            keys["rope.scaling.attn_factor"] = attention_factor(scaling) / yarn_growth(scaling.factor)
    return keys
