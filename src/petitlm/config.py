"""ModelConfig: the shape of a decoder, said in fields and never by a family's name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from petitlm.errors import ConfigError

Norm = Literal["layer", "rms"]
Activation = Literal["gelu_tanh", "gelu", "silu", "relu"]
Positions = Literal["rotary", "learned"]
RopeScalingKind = Literal["linear", "ntk", "dynamic", "yarn", "llama3"]
MAX_STRETCH = 65536
"""Far beyond any published factor; a damaged file must not lead to infinite wavelengths."""


@dataclass(frozen=True)
class RopeScaling:
    """How the rotary wavelengths are stretched so that a model reads longer texts than it was trained on.

    petitlm/rotary.py computes it and docs/context.md says what it costs.
    Raises: ConfigError, on construction, naming the field and its value.
    """

    kind: RopeScalingKind
    """`linear` stretches all wavelengths, `ntk` the long ones by a larger base, `dynamic` likewise as far as `n_ctx`
    asks for it, `yarn` those that do not turn often within `original_ctx`, `llama3` likewise with other bounds."""
    factor: float
    """How many times the longest wavelengths are stretched; for `dynamic`, how fast the base grows."""
    original_ctx: int = 0
    """Context in tokens that the model was trained with; 0 where unknown (`linear` and `ntk` do not need it)."""
    low_freq_factor: float = 1.0
    """llama3: wavelengths above `original_ctx / low_freq_factor` are stretched fully."""
    high_freq_factor: float = 4.0
    """llama3: wavelengths below `original_ctx / high_freq_factor` are left alone."""
    beta_fast: float = 32.0
    """yarn: features that turn more often than this within `original_ctx` are left alone."""
    beta_slow: float = 1.0
    """yarn: features that turn less often than this are stretched fully."""
    truncate: bool = True
    """yarn: the two bounds are widened to whole features."""
    attention_factor: float | None = None
    """yarn: what queries and keys are multiplied by; None is the paper's 0.1 ln(factor) + 1."""

    def __post_init__(self) -> None:
        _check(self.kind in get_args(RopeScalingKind), "rope_scaling", self.kind,
               f"choose one of {', '.join(get_args(RopeScalingKind))}")
        _check(1 <= self.factor <= MAX_STRETCH, "rope_scaling.factor", self.factor,
               f"give a number from 1 to {MAX_STRETCH}")
        _check(self.original_ctx >= (self.kind in ("dynamic", "yarn", "llama3")), "rope_scaling.original_ctx",
               self.original_ctx, f"{self.kind} needs the context that the model was trained with")
        _check(0 < self.low_freq_factor < self.high_freq_factor, "rope_scaling.low_freq_factor", self.low_freq_factor,
               f"give a number above 0 and below high_freq_factor={self.high_freq_factor}")
        _check(0 < self.beta_slow <= self.beta_fast, "rope_scaling.beta_slow", self.beta_slow,
               f"give a number above 0 and at most beta_fast={self.beta_fast}")
        _check(self.attention_factor is None or self.attention_factor > 0, "rope_scaling.attention_factor",
               self.attention_factor, "give a number above 0")


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides which numbers a forward pass computes.

    Raises: ConfigError, on construction, naming the field and its value.
    """

    n_layers: int
    """Number of blocks, L."""
    d_model: int
    """Width of the residual stream, D."""
    n_heads: int
    """Query heads, H."""
    d_head: int
    """Features of one head, K."""
    d_mlp: int
    """Hidden features of the MLP, F."""
    n_vocab: int
    """Rows of the embedding, V; a tokenizer may use fewer."""
    n_ctx: int
    """Longest sequence in tokens."""
    n_kv_heads: int = 0
    """Key and value heads, G; 0 means as many as query heads."""
    norm: Norm = "layer"
    """LayerNorm (mean and variance, weight and bias) or RMSNorm (weight only)."""
    norm_eps: float = 1e-5
    """Added to the variance or mean square before the root."""
    parallel_block: bool = True
    """Attention and MLP read one norm and are added together (phi), or follow each other."""
    gated_mlp: bool = False
    """The MLP multiplies its activation by a second projection (Llama)."""
    activation: Activation = "gelu_tanh"
    """The MLP's non-linearity; `gelu_tanh` is what GPT-2 and phi call `gelu_new`."""
    positions: Positions = "rotary"
    """Rotary features in each head, or one learned vector for each position."""
    n_rotary: int = 0
    """Features of each head that are rotated, 2P; the rest pass unchanged."""
    rope_theta: float = 10000.0
    """Base of the rotary wavelengths."""
    rope_scaling: RopeScaling | None = None
    """Stretching of the rotary wavelengths, if any."""
    qkv_bias: bool = True
    """The query, key and value projections have biases."""
    out_bias: bool = True
    """The attention's output projection has a bias."""
    mlp_bias: bool = True
    """The MLP's projections have biases."""
    unembed_bias: bool = False
    """The output head has a bias (phi)."""
    tied: bool = False
    """The output head is the embedding matrix."""
    bos_id: int | None = None
    """Token put before a text where the family wants one."""
    eos_id: int | None = None
    """Token that ends a text."""
    family: str = "phi"
    """Which weight-name table to read and write with; read by `families` alone."""

    def __post_init__(self) -> None:
        if self.n_kv_heads == 0:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        for name in ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_mlp", "n_vocab", "n_ctx"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "give a whole number of at least 1")
        _check(self.n_heads % self.n_kv_heads == 0, "n_kv_heads", self.n_kv_heads,
               f"choose a divisor of n_heads={self.n_heads}")
        _check(self.norm in ("layer", "rms"), "norm", self.norm, "choose layer or rms")
        _check(self.activation in ("gelu_tanh", "gelu", "silu", "relu"), "activation", self.activation,
               "choose gelu_tanh, gelu, silu or relu")
        _check(self.positions in ("rotary", "learned"), "positions", self.positions, "choose rotary or learned")
        _check(self.norm_eps > 0, "norm_eps", self.norm_eps, "give a small positive number such as 1e-5")
        _check(self.rope_theta > 0, "rope_theta", self.rope_theta, "give a positive number such as 10000")
        if self.positions == "rotary":
            _check(0 < self.n_rotary <= self.d_head and self.n_rotary % 2 == 0, "n_rotary", self.n_rotary,
                   f"choose an even number from 2 to d_head={self.d_head}")
        else:
            _check(self.n_rotary == 0, "n_rotary", self.n_rotary, "learned positions rotate nothing: leave it 0")
            _check(self.rope_scaling is None, "rope_scaling", self.rope_scaling, "learned positions have none")
        if self.rope_scaling is not None and self.rope_scaling.kind in ("ntk", "dynamic"):
            _check(self.n_rotary > 2, "n_rotary", self.n_rotary, "a larger base changes nothing for one rotary pair")
        if self.rope_scaling is not None and self.rope_scaling.kind == "yarn":
            _check(self.rope_theta > 1, "rope_theta", self.rope_theta, "yarn needs wavelengths that differ: above 1")
        _check(not (self.gated_mlp and self.parallel_block), "gated_mlp", self.gated_mlp,
               "a gated MLP goes with parallel_block=False")

    @property
    def group(self) -> int:
        """Query heads that share one key and value head."""
        return self.n_heads // self.n_kv_heads

    def with_(self, **changes: Any) -> ModelConfig:
        """Return a copy with some fields changed, checked again."""
        return replace(self, **changes)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return every weight's name and shape, matrices as (out, in), in file order.

        These names are petit's own and the same on torch layers, in packed files and in traces.
        """
        d, shapes = self.d_model, {"embed.weight": (self.n_vocab, self.d_model)}
        if self.positions == "learned":
            shapes["pos_embed.weight"] = (self.n_ctx, d)
        for i in range(self.n_layers):
            shapes |= {f"blocks.{i}.{name}": shape for name, shape in self._block_shapes().items()}
        shapes |= self._norm_shapes("ln_final")
        if not self.tied:
            shapes["unembed.weight"] = (self.n_vocab, d)
        if self.unembed_bias:
            shapes["unembed.bias"] = (self.n_vocab,)
        return shapes

    def _block_shapes(self) -> dict[str, tuple[int, ...]]:
        d, f = self.d_model, self.d_mlp
        q, kv = self.n_heads * self.d_head, self.n_kv_heads * self.d_head
        shapes = self._norm_shapes("ln1")
        if not self.parallel_block:
            shapes |= self._norm_shapes("ln2")
        linears = [("attn.q", q, d, self.qkv_bias), ("attn.k", kv, d, self.qkv_bias),
                   ("attn.v", kv, d, self.qkv_bias), ("attn.o", d, q, self.out_bias),
                   ("mlp.up", f, d, self.mlp_bias), ("mlp.down", d, f, self.mlp_bias)]
        if self.gated_mlp:
            linears.insert(4, ("mlp.gate", f, d, self.mlp_bias))
        for name, rows, columns, bias in linears:
            shapes[f"{name}.weight"] = (rows, columns)
            if bias:
                shapes[f"{name}.bias"] = (rows,)
        return shapes

    def _norm_shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (self.d_model,)}
        if self.norm == "layer":
            shapes[f"{name}.bias"] = (self.d_model,)
        return shapes


def _check(ok: bool, name: str, value: object, advice: str) -> None:
    if not ok:
        raise ConfigError(f"{name}={value!r} is not possible here; {advice}")
