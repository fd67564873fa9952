"""Names of taps: the full ones, short ones for people, and the shapes of the values.

A tap is asked for by its full name (`blocks.5.attn.hook_pattern`), by a short one with a block (`("pattern", 5)`, or
`pattern:5` where only text can be given), or by a short one alone, which means every block.
"""

from __future__ import annotations

from operator import index

from petitlm.config import ModelConfig
from petitlm.decoder import check_tap
from petitlm.errors import UsageError

TapName = str | tuple[str, int]
SHORT = {
    "resid_pre": "hook_resid_pre", "resid_mid": "hook_resid_mid", "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out", "ln1": "ln1.hook_normalized", "ln2": "ln2.hook_normalized",
    "q": "attn.hook_q", "k": "attn.hook_k", "v": "attn.hook_v", "rot_q": "attn.hook_rot_q", "rot_k": "attn.hook_rot_k",
    "attn_scores": "attn.hook_attn_scores", "scores": "attn.hook_attn_scores", "pattern": "attn.hook_pattern",
    "z": "attn.hook_z", "mlp_pre": "mlp.hook_pre", "pre": "mlp.hook_pre", "mlp_post": "mlp.hook_post",
    "post": "mlp.hook_post", "pre_linear": "mlp.hook_pre_linear",
}
"""Short names of what every block has."""
ONCE = {"embed": "hook_embed", "pos_embed": "hook_pos_embed", "ln_final": "ln_final.hook_normalized"}
"""Short names of what a model has once."""


def full_names(config: ModelConfig, tap: TapName) -> list[str]:
    """Return the full names that a tap's name stands for, checked.

    Raises: UsageError, saying why it cannot exist here or which name is nearest.
    """
    name, block = _parts(tap)
    if block is None:
        if name in SHORT:
            return [check_tap(config, f"blocks.{i}.{SHORT[name]}") for i in range(config.n_layers)]
        return [check_tap(config, ONCE.get(name, name))]
    if name not in SHORT:
        raise UsageError(f"tap {tap!r} is not known: {name!r} is no short name; with a block, give one of "
                         f"{', '.join(SHORT)}")
    if not -config.n_layers <= block < config.n_layers:
        raise UsageError(f"tap {tap!r} is beyond the last block; this model has blocks 0 to {config.n_layers - 1}")
    return [check_tap(config, f"blocks.{block % config.n_layers}.{SHORT[name]}")]


def _parts(tap: TapName) -> tuple[str, int | None]:
    if not isinstance(tap, str):
        given: object = tap  # a caller may have given anything
        pair = isinstance(given, tuple | list) and len(tap) == 2
        if pair and isinstance(tap[0], str) and hasattr(tap[1], "__index__"):
            return tap[0], index(tap[1])
        raise UsageError(f"tap {tap!r} is not a name; give a text, or a short name with a block: ('pattern', 5)")
    name, colon, block = tap.partition(":")
    if colon and block.lstrip("-").isdigit():
        return name, int(block)
    return tap, None


def short_name(name: str) -> str:
    """Return the short form of a full name: `pattern:5`; the name itself if it has none."""
    for short, full in SHORT.items():
        if name.startswith("blocks.") and name.split(".", 2)[2] == full:
            return f"{short}:{name.split('.')[1]}"
    return next((short for short, full in ONCE.items() if full == name), name)


def block_of(name: str) -> int | None:
    """Return the block of a tap; None for what a model has once."""
    return int(name.split(".")[1]) if name.startswith("blocks.") else None


def by_head(name: str) -> bool:
    """Whether the tokens are the second axis of the value at a tap, after the heads: scores and patterns."""
    return name.endswith(("hook_attn_scores", "hook_pattern"))


def heads_at(config: ModelConfig, name: str) -> int | None:
    """Return how many heads the value at a tap has; None where it has none."""
    last = name.rsplit(".", 1)[-1]
    if by_head(name) or last in ("hook_q", "hook_rot_q", "hook_z"):
        return config.n_heads
    return config.n_kv_heads if last in ("hook_k", "hook_v", "hook_rot_k") else None


def tap_shape(config: ModelConfig, name: str, n_tokens: int, n_seen: int | None = None) -> tuple[int, ...]:
    """Return the shape of the value at a tap for a run of `n_tokens` that see up to `n_seen` positions."""
    heads = heads_at(config, name)
    if by_head(name):
        return config.n_heads, n_tokens, n_seen or n_tokens
    if heads is not None:
        return n_tokens, heads, config.d_head
    if ".mlp." in name:
        return n_tokens, config.d_mlp
    return n_tokens, config.n_vocab if name == "logits" else config.d_model
