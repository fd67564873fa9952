"""Known models as shapes. Their published figures are in `published.json`, each with its source.

Shapes come from the papers and configuration files named there. Two rows of the GPT-3 paper's
Table 2.1 contradict themselves: XL prints 24 heads of 128 for a width of 2048 (16 heads of 128 give the
1.3 billion parameters that it also prints, and stand here), and 13B prints a width of 5140 for
40 heads of 128 (5120): kept, as it too gives the printed 13 billion. GPT-3 alternates dense and banded
attention; parameters and cache are counted here as for dense attention.
"""

from __future__ import annotations

from petitlm.config import ModelConfig, RopeScaling


def _phi(n_layers: int, d_model: int, n_rotary: int, end_id: int | None) -> ModelConfig:
    return ModelConfig(n_layers, d_model, 32, d_model // 32, 4 * d_model, n_vocab=51200, n_ctx=2048, n_rotary=n_rotary,
                       unembed_bias=True, bos_id=end_id, eos_id=end_id, family="phi")


def _llama(n_layers: int, d_model: int, n_heads: int, d_mlp: int, n_ctx: int, *, n_kv_heads: int = 0, eps: float = 1e-5,
           n_vocab: int = 32000, theta: float = 10000.0, scaling: RopeScaling | None = None,
           tied: bool = False) -> ModelConfig:
    d_head = d_model // n_heads
    bos_id, eos_id = (1, 2) if n_vocab == 32000 else (128000, 128001)
    return ModelConfig(n_layers, d_model, n_heads, d_head, d_mlp, n_vocab, n_ctx, n_kv_heads, "rms", eps,
                       parallel_block=False, gated_mlp=True, activation="silu", n_rotary=d_head, rope_theta=theta,
                       rope_scaling=scaling, qkv_bias=False, out_bias=False, mlp_bias=False, tied=tied, bos_id=bos_id,
                       eos_id=eos_id, family="llama")


def _gpt(n_layers: int, d_model: int, n_heads: int, n_ctx: int, d_head: int = 0) -> ModelConfig:
    d_head = d_head or d_model // n_heads
    return ModelConfig(n_layers, d_model, n_heads, d_head, 4 * d_model, 50257, n_ctx, parallel_block=False,
                       positions="learned", tied=True, bos_id=50256, eos_id=50256, family="gpt")


def _llama3(n_layers: int, d_model: int, n_heads: int, d_mlp: int, stretch: float, *,
            tied: bool = False) -> ModelConfig:
    scaling = RopeScaling("llama3", stretch, 8192) if stretch > 1 else None
    return _llama(n_layers, d_model, n_heads, d_mlp, 131072 if scaling else 8192, n_kv_heads=8, n_vocab=128256,
                  theta=500000.0, scaling=scaling, tied=tied)


PRESETS: dict[str, ModelConfig] = {
    "phi-1": _phi(24, 2048, 32, None),
    "phi-1.5": _phi(24, 2048, 32, None),
    "phi-2": _phi(32, 2560, 32, 50256),
    "llama-7b": _llama(32, 4096, 32, 11008, 2048, eps=1e-6),
    "llama-2-7b": _llama(32, 4096, 32, 11008, 4096),
    "llama-2-13b": _llama(40, 5120, 40, 13824, 4096),
    "llama-2-70b": _llama(80, 8192, 64, 28672, 4096, n_kv_heads=8),
    "llama-3-8b": _llama3(32, 4096, 32, 14336, 1),
    "llama-3.1-8b": _llama3(32, 4096, 32, 14336, 8),
    "llama-3.2-1b": _llama3(16, 2048, 32, 8192, 32, tied=True),
    "llama-3.2-3b": _llama3(28, 3072, 24, 8192, 32, tied=True),
    "distilgpt2": _gpt(6, 768, 12, 1024),
    "gpt2": _gpt(12, 768, 12, 1024),
    "gpt2-medium": _gpt(24, 1024, 16, 1024),
    "gpt2-large": _gpt(36, 1280, 20, 1024),
    "gpt2-xl": _gpt(48, 1600, 25, 1024),
    "gpt3-small": _gpt(12, 768, 12, 2048),
    "gpt3-medium": _gpt(24, 1024, 16, 2048),
    "gpt3-large": _gpt(24, 1536, 16, 2048),
    "gpt3-xl": _gpt(24, 2048, 16, 2048),
    "gpt3-2.7b": _gpt(32, 2560, 32, 2048),
    "gpt3-6.7b": _gpt(32, 4096, 32, 2048),
    "gpt3-13b": _gpt(40, 5140, 40, 2048, d_head=128),
    "gpt3-175b": _gpt(96, 12288, 96, 2048),
}
