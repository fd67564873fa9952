"""GGUF blocks as panels: every number that of the `gguf` package's dequantization, to the bit, and back again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np
import pytest

import petitlm
from petitlm.checkpoint import open_checkpoint
from petitlm.config import ModelConfig
from petitlm.engine.formats import Packed, packed_bytes
from petitlm.engine.kernels import available_isas, make_kernels
from petitlm.engine.reference import ReferenceKernels, dequantize
from petitlm.engine.repacking import SAME, blocks_of, load_weights, memory_bytes, panels
from petitlm.errors import DoesNotFitError
from petitlm.families import gguf_names

Q = gguf.GGMLQuantizationType
CONFIG = ModelConfig(n_layers=1, d_model=256, n_heads=4, d_head=64, n_kv_heads=2, d_mlp=512, n_vocab=70, n_ctx=32,
                     n_rotary=32, unembed_bias=True, bos_id=0, eos_id=0)
LLAMA = CONFIG.with_(n_rotary=64, norm="rms", parallel_block=False, gated_mlp=True, activation="silu", qkv_bias=False,
                     out_bias=False, mlp_bias=False, unembed_bias=False, family="llama")


def random_blocks(form: gguf.GGMLQuantizationType, rows: int, columns: int) -> np.ndarray:
    """Return rows of blocks with every pattern of values, and scales that are numbers."""
    rng, (width, n_bytes) = np.random.default_rng(rows * columns), gguf.GGML_QUANT_SIZES[form]
    if form in (Q.F16, Q.F32):
        return rng.normal(size=(rows, columns)).astype("<f2" if form == Q.F16 else "<f4").view(np.uint8)
    blocks = rng.integers(0, 256, (rows, columns // width, n_bytes), dtype=np.uint8)
    blocks[..., :2] = rng.normal(size=blocks.shape[:2]).astype("<f2")[..., None].view(np.uint8)
    return blocks.reshape(rows, -1)


@pytest.mark.parametrize("form", [Q.Q4_0, Q.Q8_0, Q.F16, Q.F32])
@pytest.mark.parametrize(("rows", "columns"), [(1, 32), (16, 64), (33, 96), (50, 640), (160, 2560)])
def test_panels_hold_the_files_numbers_and_give_its_bytes_back(form: gguf.GGMLQuantizationType, rows: int,
                                                               columns: int) -> None:
    format, blocks = SAME[form.name], random_blocks(form, rows, columns)
    with ThreadPoolExecutor(2) as pool:
        packed = Packed(format, rows, columns, panels(blocks, format, columns, pool))
    assert packed.data.nbytes == packed_bytes(format, rows, columns)
    theirs = gguf.quants.dequantize(blocks, form)
    np.testing.assert_array_equal(dequantize(packed).view(np.uint32), theirs.view(np.uint32))
    np.testing.assert_array_equal(blocks_of(packed), blocks)


def test_missing_rows_and_columns_are_zeros() -> None:
    """As in what the kernels pack themselves: a file's last half block is no different from ours."""
    values = np.random.default_rng(0).normal(size=(20, 96)).astype(np.float32)
    for form, format in ((Q.Q4_0, "q4_0"), (Q.Q8_0, "q8")):
        ours, _ = ReferenceKernels().pack(values, format)
        with ThreadPoolExecutor(1) as pool:
            again = panels(blocks_of(Packed(format, 20, 96, ours)), format, 96, pool)
        whole = [dequantize(Packed(format, 32, 128, data)) for data in (again, ours)]
        np.testing.assert_array_equal(whole[0], whole[1], err_msg=form.name)


@pytest.mark.parametrize("isa", available_isas() or [pytest.param("", marks=pytest.mark.skip(reason="no compiler"))])
def test_a_stored_minus_128_is_multiplied_exactly(isa: str) -> None:
    """Our own packing never writes it, a file may."""
    blocks = random_blocks(Q.Q8_0, 32, 128).reshape(32, 4, 34)
    blocks[..., 2:] = 0x80
    blocks[::2, :, 5:20] = 0x7F
    with ThreadPoolExecutor(1) as pool:
        packed = Packed("q8", 32, 128, panels(blocks.reshape(32, -1), "q8", 128, pool))
    x = np.random.default_rng(1).choice([-1.0, 1.0, 0.3], size=(5, 128)).astype(np.float32)
    np.testing.assert_allclose(make_kernels(1, isa).matmul(packed, x, None), ReferenceKernels().matmul(packed, x, None),
                               rtol=2e-5, atol=1e-4)


def write_model(path: Path, config: ModelConfig, forms: dict[str, gguf.GGMLQuantizationType]) -> Path:
    """Write a model whose tensors have the given formats (F32 where none is), and no tokenizer but bytes."""
    architecture = {"phi": "phi2", "llama": "llama"}[config.family]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.n_ctx)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_mlp)
    writer.add_block_count(config.n_layers)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_layer_norm_eps(config.norm_eps)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.n_rotary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2" if architecture == "phi2" else "llama-bpe")
    writer.add_token_list(["<|end|>", *(chr(ord("!") + i) for i in range(69))])
    writer.add_token_types([3] + [1] * 69)
    writer.add_token_merges([])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)
    rng = np.random.default_rng(0)
    for name, shape in {source.name: source.shape for source in gguf_names(config).values()}.items():
        form = forms.get(name.split(".")[-2] if len(shape) == 2 else "", Q.F32)
        if form in (Q.Q4_K, Q.Q6_K):
            n_bytes = gguf.GGML_QUANT_SIZES[form][1]
            blocks = rng.integers(0, 256, (*shape[:-1], shape[-1] // 256, n_bytes), dtype=np.uint8)
            halves = [slice(0, 2), slice(2, 4)] if form == Q.Q4_K else [slice(208, 210)]
            for at in halves:
                blocks[..., at] = rng.uniform(0, 1e-3, blocks.shape[:2]).astype("<f2")[..., None].view(np.uint8)
            writer.add_tensor(name, blocks.reshape(shape[0], -1), raw_dtype=form)
        else:
            values = rng.normal(0, 0.1, shape).astype(np.float32)
            writer.add_tensor(name, gguf.quants.quantize(values, form), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


MIXED = {"attn_qkv": Q.Q4_0, "attn_q": Q.Q4_0, "attn_k": Q.Q4_0, "attn_v": Q.Q8_0, "attn_output": Q.Q8_0,
         "ffn_up": Q.F16, "ffn_gate": Q.BF16, "ffn_down": Q.Q4_K, "output": Q.Q6_K, "token_embd": Q.Q4_0}
AS_STORED = {"attn.q": "q4_0", "attn.k": "q4_0", "attn.o": "q8", "mlp.up": "f16", "mlp.down": "q8", "unembed": "q8",
             "embed": "q4_0"}


@pytest.mark.parametrize("config", [CONFIG, LLAMA], ids=["phi2", "llama"])
def test_a_file_is_taken_as_it_is_stored(config: ModelConfig, tmp_path: Path) -> None:
    source = open_checkpoint(write_model(tmp_path / "m.gguf", config, MIXED))
    weights = load_weights(source, None, make_kernels(2))
    assert list(weights) == source.names
    assert memory_bytes(source, None) >= sum(w.data.nbytes for w in weights.values())
    for name, w in weights.items():
        exact = source.read(name)  # tested against the package's dequantization in test_gguf.py
        if not isinstance(w, Packed):
            np.testing.assert_array_equal(w, exact, err_msg=name)
            continue
        wanted = next((form for part, form in AS_STORED.items() if name.removesuffix(".weight").endswith(part)), None)
        assert wanted in (w.format, None), name
        if source.dtype(name) in SAME:
            np.testing.assert_array_equal(dequantize(w).view(np.uint32), exact.view(np.uint32), err_msg=name)
        else:  # a step of 8 bits is 1/127 of a group's largest value
            largest = np.abs(exact).max()
            assert np.abs(dequantize(w) - exact).max() <= largest / (2 * 127) * 1.01 + 1e-7, name


def test_bits_asked_for_are_given_and_nothing_is_rounded_twice(tmp_path: Path) -> None:
    source = open_checkpoint(write_model(tmp_path / "m.gguf", CONFIG, MIXED))
    for bits, formats in ((4, {"attn.q": "q4_0", "attn.o": "q4", "mlp.down": "q4", "embed": "q4_0", "unembed": "q4"}),
                          (8, {"attn.q": "q8", "attn.o": "q8", "mlp.up": "q8", "embed": "q8"}),
                          (16, {"attn.q": "f16", "mlp.up": "f16", "unembed": "f16"}), (32, {"attn.q": "f32"})):
        weights = load_weights(source, bits, make_kernels(1))
        for part, format in formats.items():
            name = f"{part}.weight" if "embed" in part else f"blocks.0.{part}.weight"
            assert weights[name].format == format, (bits, name)
            assert not isinstance(weights[name], np.ndarray)


@pytest.mark.parametrize(("form", "bits"), [(Q.Q4_0, 4), (Q.Q8_0, 8), (Q.F16, 16), (Q.Q4_K, 8)])
def test_a_model_says_in_how_many_bits_it_runs(form: gguf.GGMLQuantizationType, bits: int, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf", CONFIG, dict.fromkeys(MIXED, form))
    model = petitlm.load(path, threads=1)
    assert model.bits == bits
    in_floats = petitlm.load(path, bits=32, threads=1).logits([1, 2, 3])
    assert np.isfinite(in_floats).all()
    assert np.abs(model.logits([1, 2, 3]) - in_floats).max() < 0.05 * np.abs(in_floats).max()


def test_a_file_too_large_is_refused_with_what_would_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "m.gguf", CONFIG, dict.fromkeys(MIXED, Q.F16))
    source = open_checkpoint(path)
    monkeypatch.setattr("petitlm.sizes.available_memory", lambda: memory_bytes(source, 8))
    with pytest.raises(DoesNotFitError, match=r"as it is stored needs .*; what fits: bits=8"):
        petitlm.load(path)
