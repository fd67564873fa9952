"""The forward pass of a decoder, written once.

It imports neither torch nor numpy. It calls *layers* (objects that do one thing each) and adds
arrays, and it hands every intermediate value to a *tap*, which may look at it, copy it or return
another in its place. Two sets of layers run under it: `petitlm.model` (torch: training, gradients)
and `petitlm.engine` (packed 4- and 8-bit weights over C++ kernels). So a tap means the same number
on both, by construction.

Shapes, with `...` standing for (B, T) on torch layers and for the N tokens of a flattened batch on
engine layers: B batch, T positions, S cached positions, D d_model, H heads, G kv heads, K head
features, F d_mlp, V vocab.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

from petitlm.config import ModelConfig
from petitlm.errors import UsageError

Array = Any  # a torch tensor or a NumPy array: this module only adds and multiplies them
Batch = Any  # which tokens, at which positions: only the layers look inside


class Tap(Protocol):
    """What every intermediate value passes through, under its name."""

    def __call__(self, name: str, value: Array, /) -> Array:
        """Return the value to go on with: the same object, or another of the same shape."""
        ...

    def wants(self, name: str, /) -> bool:
        """Whether a value that is costly to make (scores, pattern) has to be made."""
        ...


class NoTap:
    """The tap of a run that nobody looks into."""

    def __call__(self, name: str, value: Array, /) -> Array:
        return value

    def wants(self, name: str, /) -> bool:
        return False


NO_TAP = NoTap()


class AttentionLayers(Protocol):
    """One block's attention: projections, rotation, and the mix over what each token may see."""

    def q(self, x: Array, /) -> Array: ...  # (..., D) -> (..., H, K)
    def k(self, x: Array, /) -> Array: ...  # (..., D) -> (..., G, K)
    def v(self, x: Array, /) -> Array: ...  # (..., D) -> (..., G, K)
    def o(self, z: Array, /) -> Array: ...  # (..., H, K) -> (..., D)
    def rotate(self, x: Array, batch: Batch, /) -> Array: ...  # q or k, turned by position; rotary models only

    def attend(self, q: Array, k: Array, v: Array, batch: Batch, tap: Tap, at: str, /) -> Array:
        """Store k and v, return each query's mix of the values it may see: (..., H, K)."""
        ...


class MLPLayers(Protocol):
    """One block's feed-forward part."""

    def up(self, x: Array, /) -> Array: ...  # (..., D) -> (..., F)
    def gate(self, x: Array, /) -> Array: ...  # (..., D) -> (..., F); gated MLPs only
    def activate(self, x: Array, /) -> Array: ...
    def down(self, x: Array, /) -> Array: ...  # (..., F) -> (..., D)


class BlockLayers(Protocol):
    """One block."""

    @property
    def attn(self) -> AttentionLayers: ...
    @property
    def mlp(self) -> MLPLayers: ...
    def ln1(self, x: Array, /) -> Array: ...
    def ln2(self, x: Array, /) -> Array: ...  # sequential blocks only


class Layers(Protocol):
    """One set of layers: what the forward pass needs from torch, or from the engine."""

    @property
    def blocks(self) -> Iterable[BlockLayers]: ...
    def embed(self, batch: Batch, /) -> Array: ...  # -> (..., D)
    def pos_embed(self, batch: Batch, /) -> Array: ...  # -> (..., D); learned positions only
    def select(self, x: Array, batch: Batch, /) -> Array: ...  # keep the rows whose logits are asked for
    def ln_final(self, x: Array, /) -> Array: ...
    def unembed(self, x: Array, /) -> Array: ...  # (..., D) -> (..., V)


def forward(config: ModelConfig, layers: Layers, batch: Batch, tap: Tap = NO_TAP) -> Array:
    """Return the logits of the tokens in `batch`, (..., V)."""
    x = tap("hook_embed", layers.embed(batch))
    if config.positions == "learned":
        x = x + tap("hook_pos_embed", layers.pos_embed(batch))
    for i, block in enumerate(layers.blocks):
        x = _block(config, block, x, batch, tap, f"blocks.{i}.")
    x = layers.select(x, batch)
    return tap("logits", layers.unembed(tap("ln_final.hook_normalized", layers.ln_final(x))))


def _block(config: ModelConfig, block: BlockLayers, x: Array, batch: Batch, tap: Tap, at: str) -> Array:
    x = tap(at + "hook_resid_pre", x)
    h = tap(at + "ln1.hook_normalized", block.ln1(x))
    attn_out = tap(at + "hook_attn_out", _attention(config, block.attn, h, batch, tap, at + "attn."))
    if config.parallel_block:  # x + attention(norm(x)) + mlp(norm(x)): GPT-J, then phi
        x = x + attn_out
    else:
        x = tap(at + "hook_resid_mid", x + attn_out)
        h = tap(at + "ln2.hook_normalized", block.ln2(x))
    x = x + tap(at + "hook_mlp_out", _mlp(config, block.mlp, h, tap, at + "mlp."))
    return tap(at + "hook_resid_post", x)


def _attention(config: ModelConfig, attn: AttentionLayers, h: Array, batch: Batch, tap: Tap, at: str) -> Array:
    q = tap(at + "hook_q", attn.q(h))
    k = tap(at + "hook_k", attn.k(h))
    v = tap(at + "hook_v", attn.v(h))
    if config.positions == "rotary":
        q = tap(at + "hook_rot_q", attn.rotate(q, batch))
        k = tap(at + "hook_rot_k", attn.rotate(k, batch))
    z = attn.attend(q, k, v, batch, tap, at)  # taps hook_attn_scores and hook_pattern on its way
    return attn.o(tap(at + "hook_z", z))


def _mlp(config: ModelConfig, mlp: MLPLayers, h: Array, tap: Tap, at: str) -> Array:
    if config.gated_mlp:
        pre = tap(at + "hook_pre", mlp.gate(h))
        up = tap(at + "hook_pre_linear", mlp.up(h))
        post = mlp.activate(pre) * up
    else:
        post = mlp.activate(tap(at + "hook_pre", mlp.up(h)))
    return mlp.down(tap(at + "hook_post", post))


def tap_names(config: ModelConfig) -> list[str]:
    """Return every tap that a model of this shape has, in the order of the forward pass."""
    return list(_tap_names(config))


@lru_cache(maxsize=16)
def _tap_names(config: ModelConfig) -> dict[str, None]:  # in order, and quick to look up
    rotary, gated = config.positions == "rotary", config.gated_mlp
    block = ["hook_resid_pre", "ln1.hook_normalized", "attn.hook_q", "attn.hook_k", "attn.hook_v"]
    block += ["attn.hook_rot_q", "attn.hook_rot_k"] if rotary else []
    block += ["attn.hook_attn_scores", "attn.hook_pattern", "attn.hook_z", "hook_attn_out"]
    block += [] if config.parallel_block else ["hook_resid_mid", "ln2.hook_normalized"]
    block += ["mlp.hook_pre", *(["mlp.hook_pre_linear"] if gated else []), "mlp.hook_post"]
    block += ["hook_mlp_out", "hook_resid_post"]
    names = ["hook_embed", *(["hook_pos_embed"] if not rotary else [])]
    names += [f"blocks.{i}.{name}" for i in range(config.n_layers) for name in block]
    return dict.fromkeys([*names, "ln_final.hook_normalized", "logits"])


def check_tap(config: ModelConfig, name: str) -> str:
    """Return `name` if this model has such a tap.

    Raises: UsageError, saying why it cannot exist here or which name is nearest.
    """
    names = _tap_names(config)
    if name in names:
        return name
    last = name.rsplit(".", 1)[-1]
    if name.startswith("blocks.") and name.split(".")[1].isdigit() and int(name.split(".")[1]) >= config.n_layers:
        raise UsageError(f"tap {name!r} is beyond the last block; this model has blocks 0 to {config.n_layers - 1}")
    if config.parallel_block and (last == "hook_resid_mid" or ".ln2." in name):
        raise UsageError(f"tap {name!r} cannot exist: attention and MLP run in parallel from one norm in this model, "
                         "so there is no residual stream between them; use hook_resid_pre or hook_resid_post")
    if config.positions == "learned" and last in ("hook_rot_q", "hook_rot_k"):
        raise UsageError(f"tap {name!r} cannot exist: this model has learned positions and rotates nothing; "
                         "use hook_q or hook_k")
    if not config.gated_mlp and last == "hook_pre_linear":
        raise UsageError(f"tap {name!r} cannot exist: this model's MLP is not gated, so there is one value before its "
                         "activation; use hook_pre")
    near = difflib.get_close_matches(name, names, 3, 0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else "; `petitlm.decoder.tap_names(config)` lists them"
    raise UsageError(f"tap {name!r} is not known{hint}")
