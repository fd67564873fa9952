"""Torch layers = transformers: the same tiny random weights, the same numbers, family by family, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from petitlm.checkpoint import open_checkpoint
from petitlm.decoder import tap_names
from petitlm.families import PRESETS
from petitlm.model import Decoder, export, load_decoder

transformers = pytest.importorskip("transformers", reason="the outside implementation; `make setup` installs it")

# Two float32 implementations that add in different orders, logits of size about 1 to 10.
TOLERANCE = 1e-4

LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 16}  # fmt: skip

PHI_SHAPES = {
    "heads-of-10": dict(hidden_size=30, num_attention_heads=3, intermediate_size=50, vocab_size=97,
                        partial_rotary_factor=0.4),
    "heads-of-20": dict(hidden_size=60, num_attention_heads=3, intermediate_size=77, vocab_size=101,
                        partial_rotary_factor=0.5),
    "kv-groups": dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, intermediate_size=128,
                      vocab_size=131, partial_rotary_factor=0.5),
    "tied": dict(hidden_size=48, num_attention_heads=3, intermediate_size=96, vocab_size=99,
                 partial_rotary_factor=0.5, tie_word_embeddings=True),
    "all-rotary": dict(hidden_size=32, num_attention_heads=2, intermediate_size=64, vocab_size=67,
                       partial_rotary_factor=1.0, rope_theta=777.0),
}
LLAMA_SHAPES = {
    "plain": dict(hidden_size=60, num_attention_heads=3, intermediate_size=88, vocab_size=103),
    "kv-groups": dict(hidden_size=96, num_attention_heads=6, num_key_value_heads=2, intermediate_size=80,
                      vocab_size=89),
    "one-kv-head, tied": dict(hidden_size=40, num_attention_heads=4, num_key_value_heads=1, intermediate_size=56,
                              vocab_size=71, tie_word_embeddings=True, rms_norm_eps=1e-5),
    "own-head-size": dict(hidden_size=48, num_attention_heads=3, head_dim=20, intermediate_size=70, vocab_size=83),
    "llama3-rope": dict(hidden_size=64, num_attention_heads=2, num_key_value_heads=1, intermediate_size=96,
                        vocab_size=79, rope_parameters=LLAMA3_ROPE),
    "biases": dict(hidden_size=40, num_attention_heads=2, intermediate_size=60, vocab_size=73,
                   attention_bias=True, mlp_bias=True),
}
GPT_SHAPES = {
    "plain": dict(n_embd=40, n_head=4, vocab_size=101),
    "heads-of-80": dict(n_embd=160, n_head=2, n_inner=130, vocab_size=77, layer_norm_epsilon=1e-6),
    "gelu": dict(n_embd=36, n_head=3, vocab_size=59, activation_function="gelu"),
}


def make_phi(**shape: object) -> torch.nn.Module:
    return transformers.PhiForCausalLM(transformers.PhiConfig(
        **{"num_hidden_layers": 3, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0, **shape}))


def make_llama(**shape: object) -> torch.nn.Module:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **{"num_hidden_layers": 3, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, **shape}))


def make_gpt(**shape: object) -> torch.nn.Module:
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        **{"n_layer": 3, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 0, **shape}))


CASES = [pytest.param(make, shape, id=f"{make.__name__[5:]}: {name}")
         for make, shapes in ((make_phi, PHI_SHAPES), (make_llama, LLAMA_SHAPES), (make_gpt, GPT_SHAPES))
         for name, shape in shapes.items()]


def randomise(model: torch.nn.Module) -> torch.nn.Module:
    """Give every weight, bias and norm a value that would show if it were dropped or misplaced."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(0, weight.shape[-1] ** -0.5, generator=generator)
            else:
                weight.normal_(0.5, 0.5, generator=generator)
    return model.eval()


def some_ids(n_vocab: int) -> torch.Tensor:
    return torch.randint(n_vocab, (2, 33), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("make", "shape"), CASES)
@torch.no_grad()
def test_logits_equal_those_of_transformers_there_and_back(make, shape, tmp_path: Path) -> None:
    theirs = randomise(make(**shape))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_decoder(open_checkpoint(tmp_path / "theirs"))
    ids = some_ids(ours.config.n_vocab)
    expected, got = theirs(ids).logits, ours.logits(ids)
    assert (got - expected).abs().max() <= TOLERANCE
    assert torch.equal(got.argmax(-1), expected.argmax(-1))

    export(ours, tmp_path / "ours", None, dtype="float32")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    assert torch.equal(back(ids).logits, expected), "writing and reading float32 loses nothing"


@torch.no_grad()
def test_phi_2_in_its_own_width(tmp_path: Path) -> None:
    theirs = randomise(make_phi(hidden_size=2560, num_attention_heads=32, intermediate_size=10240, vocab_size=51200,
                                partial_rotary_factor=0.4, num_hidden_layers=2))
    theirs.save_pretrained(tmp_path)
    ids = some_ids(51200)
    expected, got = theirs(ids).logits, load_decoder(open_checkpoint(tmp_path)).logits(ids)
    assert (got - expected).abs().max() <= TOLERANCE
    assert torch.equal(got.argmax(-1), expected.argmax(-1))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_parameters_carry_the_names_and_shapes_of_the_config(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        names = {name: tuple(weight.shape) for name, weight in Decoder(config).named_parameters()}
    assert names == config.tensor_shapes()


def test_taps_pass_in_the_documented_order_and_attention_is_that_of_transformers(tmp_path: Path) -> None:
    theirs = randomise(make_llama(**LLAMA_SHAPES["kv-groups"], attn_implementation="eager"))
    theirs.save_pretrained(tmp_path)
    ours = load_decoder(open_checkpoint(tmp_path))
    ids = some_ids(ours.config.n_vocab)
    seen: dict[str, torch.Tensor] = {}

    class All:
        def __call__(self, name: str, value: torch.Tensor, /) -> torch.Tensor:
            seen[name] = value
            return value

        def wants(self, name: str, /) -> bool:
            return True

    with torch.no_grad():
        ours.logits(ids, All())
        out = theirs(ids, output_attentions=True, output_hidden_states=True)
    assert list(seen) == tap_names(ours.config)
    for i in range(ours.config.n_layers):
        assert torch.allclose(seen[f"blocks.{i}.attn.hook_pattern"], out.attentions[i], atol=1e-6)
        assert torch.allclose(seen[f"blocks.{i}.hook_resid_pre"], out.hidden_states[i], atol=TOLERANCE)
