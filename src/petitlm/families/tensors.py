"""Which tensor of a file holds which of petit's weights, family by family.

petit's names are the ones of `ModelConfig.tensor_shapes()`. Files name the same weights otherwise, stack
query, key and value into one tensor, store a matrix as (in, out), or reorder the rows of each head.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from petitlm.config import ModelConfig
from petitlm.errors import DamagedError, UsageError


@dataclass(frozen=True)
class Source:
    """The part of a stored tensor that is one of petit's weights."""

    name: str
    """Name in the file."""
    shape: tuple[int, ...]
    """Shape that the whole stored tensor must have."""
    start: int
    """First output row of this weight in the stored tensor; more than 0 in stacked ones."""
    transposed: bool = False
    """Stored as (in, out)."""
    interleaved_heads: int = 0
    """Heads whose rotary pairs are stored as neighbours (2i, 2i + 1) and not as halves (i, i + K/2); 0: none."""


@dataclass(frozen=True)
class Naming:
    """One way to name a model's tensors: petit's module name to the file's."""

    embed: str
    unembed: str
    ln_final: str
    block: str
    """Prefix of block `{i}`, or of its number plus one as `{i1}`."""
    modules: Mapping[str, str]
    """Modules of a block. A value may be shared by q, k and v: they are stacked there in this order."""
    pos_embed: str = ""
    transposed: bool = False
    """Matrices of blocks are stored as (in, out)."""
    interleaved: bool = False
    """Query and key rows have their rotary pairs as neighbours."""
    extra: str = r"(?!)"
    """Pattern of further tensors that such files hold and no forward pass needs (masks, wavelengths)."""


_STACKED_MIXER = {"ln1": "ln", "attn.q": "mixer.Wqkv", "attn.k": "mixer.Wqkv", "attn.v": "mixer.Wqkv",
                  "attn.o": "mixer.out_proj", "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
_WAVELENGTHS = r".*\.rotary_emb\.(inv_freq|cos_cached|sin_cached|scale)"

_PHI = (
    Naming("model.embed_tokens", "lm_head", "model.final_layernorm", "model.layers.{i}.", {
        "ln1": "input_layernorm", "attn.q": "self_attn.q_proj", "attn.k": "self_attn.k_proj",
        "attn.v": "self_attn.v_proj", "attn.o": "self_attn.dense", "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2",
    }, extra=_WAVELENGTHS),
    # The two namings of 2023, before `transformers` knew the architecture.
    Naming("transformer.embd.wte", "lm_head.linear", "lm_head.ln", "transformer.h.{i}.", _STACKED_MIXER,
           extra=_WAVELENGTHS),
    Naming("layers.0.wte", "layers.{last}.linear", "layers.{last}.ln", "layers.{i1}.", _STACKED_MIXER,
           extra=_WAVELENGTHS),
)

_LLAMA = (
    Naming("model.embed_tokens", "lm_head", "model.norm", "model.layers.{i}.", {
        "ln1": "input_layernorm", "ln2": "post_attention_layernorm", "attn.q": "self_attn.q_proj",
        "attn.k": "self_attn.k_proj", "attn.v": "self_attn.v_proj", "attn.o": "self_attn.o_proj",
        "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj", "mlp.down": "mlp.down_proj",
    }, extra=_WAVELENGTHS),
)


def _gpt(prefix: str) -> Naming:
    return Naming(f"{prefix}wte", "lm_head", f"{prefix}ln_f", prefix + "h.{i}.", {
        "ln1": "ln_1", "ln2": "ln_2", "attn.q": "attn.c_attn", "attn.k": "attn.c_attn", "attn.v": "attn.c_attn",
        "attn.o": "attn.c_proj", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj",
    }, pos_embed=f"{prefix}wpe", transposed=True, extra=r".*\.attn\.(bias|masked_bias)")


_HF: dict[str, tuple[Naming, ...]] = {"phi": _PHI, "llama": _LLAMA, "gpt": (_gpt("transformer."), _gpt(""))}


def _gguf(*, fused: bool, interleaved: bool = False, ln2: bool = True) -> Naming:
    qkv = {"attn.q": "attn_qkv", "attn.k": "attn_qkv", "attn.v": "attn_qkv"} if fused else {
        "attn.q": "attn_q", "attn.k": "attn_k", "attn.v": "attn_v"}
    return Naming("token_embd", "output", "output_norm", "blk.{i}.", {
        "ln1": "attn_norm", **({"ln2": "ffn_norm"} if ln2 else {}), **qkv, "attn.o": "attn_output",
        "mlp.gate": "ffn_gate", "mlp.up": "ffn_up", "mlp.down": "ffn_down",
    }, pos_embed="position_embd", interleaved=interleaved, extra=r"rope_freqs\.weight|blk\.\d+\.attn_rot_embd")


# GGUF writers put the matrices of every family as (out, in), so GPT-2's need no transposing there.
_GGUF: dict[str, tuple[Naming, ...]] = {
    "phi": (_gguf(fused=True, ln2=False), _gguf(fused=False, ln2=False)),
    "llama": (_gguf(fused=False, interleaved=True),),
    "gpt": (_gguf(fused=True), _gguf(fused=False)),
}


def hf_names(config: ModelConfig, stored: Collection[str] | None = None) -> dict[str, Source]:
    """Return where each of petit's weights lies in a Hugging Face checkpoint, by petit's name.

    Without `stored` this is the naming of today, which petit writes; with the names that a checkpoint has it is the
    one of the family's namings that they follow.
    Raises: DamagedError if they follow none, if one is missing, or if there is one that is not understood.
    """
    return _table(_HF, config, stored)


def gguf_names(config: ModelConfig, stored: Collection[str] | None = None) -> dict[str, Source]:
    """Return where each of petit's weights lies in a GGUF file, by petit's name; see `hf_names`."""
    return _table(_GGUF, config, stored)


def _table(families: Mapping[str, tuple[Naming, ...]], config: ModelConfig,
           stored: Collection[str] | None) -> dict[str, Source]:
    if config.family not in families:
        raise UsageError(f"family={config.family!r} is not known; choose one of {', '.join(families)}")
    namings = families[config.family]
    if stored is None:
        return _sources(namings[0], config)
    stored = frozenset(stored)
    # The naming with the most of its names present is meant; what it misses is then an error with a name.
    best = max(namings, key=lambda naming: len({s.name for s in _sources(naming, config).values()} & stored))
    table = _sources(best, config)
    _check_names(table, best, config, stored)
    return table


def _check_names(table: dict[str, Source], naming: Naming, config: ModelConfig, stored: Collection[str]) -> None:
    needed = {source.name for source in table.values()}
    missing = sorted(needed - set(stored))
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DamagedError(f"tensor {missing[0]!r:.100}{more} is missing from the checkpoint; fetch it again, or check "
                           "that the config belongs to these weights")
    allowed = naming.extra + (rf"|{re.escape(naming.unembed)}\.weight" if config.tied else "")
    surplus = sorted(name for name in set(stored) - needed if not re.fullmatch(allowed, name))
    if surplus:
        more = f" (and {len(surplus) - 1} more)" if len(surplus) > 1 else ""
        raise DamagedError(f"tensor {surplus[0]!r:.100}{more} has no place in a model of this config; check that the "
                           "config belongs to these weights")


def _sources(naming: Naming, config: ModelConfig) -> dict[str, Source]:
    shapes = config.tensor_shapes()
    stored_names = {name: _stored_name(naming, config, name) for name in shapes}
    rows: dict[str, int] = {}  # of each stored tensor, as its parts are stacked
    starts: dict[str, int] = {}
    for name, stored in stored_names.items():
        starts[name] = rows.get(stored, 0)
        rows[stored] = starts[name] + shapes[name][0]
    table: dict[str, Source] = {}
    for name, stored in stored_names.items():
        transposed = naming.transposed and name.startswith("blocks.") and len(shapes[name]) == 2
        whole = (rows[stored], *shapes[name][1:])
        table[name] = Source(stored, whole[::-1] if transposed else whole, starts[name], transposed,
                             _interleaved_heads(naming, config, name))
    return table


def _stored_name(naming: Naming, config: ModelConfig, name: str) -> str:
    module, kind = name.rsplit(".", 1)
    if module.startswith("blocks."):
        _, i, inner = module.split(".", 2)
        return naming.block.format(i=i, i1=int(i) + 1) + naming.modules[inner] + "." + kind
    stored = {"embed": naming.embed, "unembed": naming.unembed, "ln_final": naming.ln_final,
              "pos_embed": naming.pos_embed}[module]
    return stored.format(last=config.n_layers + 1) + "." + kind


def _interleaved_heads(naming: Naming, config: ModelConfig, name: str) -> int:
    if not naming.interleaved or not re.search(r"\.attn\.[qk]\.", name):
        return 0
    return config.n_heads if ".attn.q." in name else config.n_kv_heads
