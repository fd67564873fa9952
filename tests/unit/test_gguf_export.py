"""GGUF files that petit writes: what comes back out of them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from petitlm.checkpoint import Checkpoint, gguf_format, open_checkpoint, save_gguf, save_hf
from petitlm.config import ModelConfig, RopeScaling
from petitlm.engine.gguf_export import export_gguf
from petitlm.engine.kernels import make_kernels
from petitlm.engine.packing import open_packed, quantize
from petitlm.engine.reference import dequantize
from petitlm.engine.repacking import load_weights
from petitlm.errors import ConfigError, ShapeError, UsageError
from petitlm.gguf import GGUFFile, TensorSpec, write_gguf, write_vocabulary
from petitlm.tokenizer import Tokenizer
from tests_shapes import random_weights

PHI = ModelConfig(n_layers=2, d_model=64, n_heads=4, d_head=16, d_mlp=96, n_vocab=264, n_ctx=32, n_rotary=8,
                  unembed_bias=True, bos_id=256, eos_id=256)
LLAMA = PHI.with_(n_kv_heads=2, n_rotary=16, norm="rms", parallel_block=False, gated_mlp=True, activation="silu",
                  qkv_bias=False, out_bias=False, mlp_bias=False, unembed_bias=False, family="llama")
CONFIGS = {
    "phi": PHI, "phi, tied": PHI.with_(tied=True), "phi, yarn": PHI.with_(rope_scaling=RopeScaling("yarn", 2.0, 16)),
    "llama": LLAMA, "llama, biases": LLAMA.with_(qkv_bias=True, out_bias=True, mlp_bias=True),
    "llama 3.1": LLAMA.with_(rope_theta=500000.0, rope_scaling=RopeScaling("llama3", 8.0, 8192)),
    "gpt": PHI.with_(n_rotary=0, positions="learned", parallel_block=False, unembed_bias=False, tied=True,
                     family="gpt"),
}


@pytest.fixture
def checkpoint(tmp_path: Path, byte_tokenizer: Tokenizer):
    def write(config: ModelConfig, **changes: np.ndarray) -> Checkpoint:
        weights = {**random_weights(config), **changes}
        save_hf(tmp_path / "hf", config, weights.__getitem__, byte_tokenizer, dtype="float32",
                extra={"petit": {"prompt": "chat"}})
        return open_checkpoint(tmp_path / "hf")

    return write


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_written_is_read_back(name: str, checkpoint, tmp_path: Path) -> None:
    source, path = checkpoint(CONFIGS[name]), tmp_path / "m.gguf"
    report = export_gguf(source, path, "f32")
    again = open_checkpoint(path)
    assert again.config == source.config
    assert again.prompt == "chat"
    for weight in source.names:
        np.testing.assert_array_equal(again.read(weight), source.read(weight), err_msg=weight)
    tokenizer = again.tokenizer()
    assert tokenizer.encode("été 12 <|endoftext|>\n") == source.tokenizer().encode("été 12 <|endoftext|>\n")
    assert (tokenizer.bos_id, tokenizer.eos_id) == (256, 256)
    assert report["bytes"] == path.stat().st_size


def test_a_head_that_was_rounded_apart_from_the_embedding_is_a_head_of_its_own(checkpoint, tmp_path: Path) -> None:
    source, path = checkpoint(PHI.with_(tied=True)), tmp_path / "m.gguf"
    export_gguf(source, path, "f32")
    file = GGUFFile(path)
    specs = [TensorSpec(name, file.shape(name), "F16" if name == "output.weight" else "F32") for name in file.names]
    write_gguf(tmp_path / "apart.gguf", file.metadata, specs, lambda name: file.read(name, 0, file.shape(name)[0])
               .astype(np.float16 if name == "output.weight" else np.float32))
    apart = open_checkpoint(tmp_path / "apart.gguf")
    assert not apart.config.tied
    embedding = source.read("embed.weight")
    np.testing.assert_array_equal(apart.read("unembed.weight"), embedding.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(apart.read("embed.weight"), embedding)


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0"])
def test_the_gguf_package_reads_the_same_numbers(kind: str, checkpoint, tmp_path: Path) -> None:
    source, path = checkpoint(PHI), tmp_path / "m.gguf"
    export_gguf(source, path, kind)
    reader, again = gguf.GGUFReader(path), open_checkpoint(path)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    assert reader.fields["general.architecture"].contents() == "phi2"
    assert reader.fields["phi2.attention.head_count"].contents() == 4
    for ours, theirs in (("embed", "token_embd"), ("blocks.1.mlp.down", "blk.1.ffn_down"), ("unembed", "output")):
        tensor = stored[f"{theirs}.weight"]
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(again.read(f"{ours}.weight"), numbers)
        exact, step = source.read(f"{ours}.weight"), {"F16": 1e-3, "Q8_0": 0.01, "Q4_0": 0.11}[tensor.tensor_type.name]
        assert np.linalg.norm(numbers - exact) < step * np.linalg.norm(exact)
    if kind == "q4_0":
        formats = {name: stored[f"{name}.weight"].tensor_type.name for name in ("token_embd", "output", "blk.0.ffn_up")}
        assert formats == {"token_embd": "Q8_0", "output": "Q8_0", "blk.0.ffn_up": "Q4_0"}


def test_rows_that_are_no_whole_blocks_take_16_bits() -> None:
    assert gguf_format("blocks.0.mlp.down.weight", (64, 96), "q4_0") == "Q4_0"
    assert gguf_format("blocks.0.mlp.down.weight", (64, 100), "q4_0") == "F16"
    assert gguf_format("pos_embed.weight", (64, 64), "q4_0") == gguf_format("ln_final.bias", (64,), "f16") == "F32"


def test_weights_that_have_the_format_are_not_rounded_again(checkpoint, tmp_path: Path) -> None:
    export_gguf(checkpoint(LLAMA), tmp_path / "first.gguf", "q4_0")
    first = open_checkpoint(tmp_path / "first.gguf")
    export_gguf(first, tmp_path / "second.gguf", "q4_0")
    assert (tmp_path / "first.gguf").read_bytes() == (tmp_path / "second.gguf").read_bytes()
    export_gguf(first, tmp_path / "floats.gguf", "f32")
    floats = open_checkpoint(tmp_path / "floats.gguf")
    assert all(np.array_equal(first.read(name), floats.read(name)) for name in first.names)


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
@pytest.mark.parametrize("name", ["phi", "llama"])
def test_a_packed_folder_is_written_without_loss(name: str, bits: int, checkpoint, tmp_path: Path) -> None:
    quantize(checkpoint(CONFIGS[name]), tmp_path / "packed", bits, 1)
    packed = open_packed(tmp_path / "packed")
    export_gguf(packed, tmp_path / "m.gguf", None)
    again = load_weights(open_checkpoint(tmp_path / "m.gguf"), None, make_kernels(1))
    for weight, w in packed.weights.items():
        numbers = [w if isinstance(w, np.ndarray) else dequantize(w) for w in (w, again[weight])]
        np.testing.assert_array_equal(numbers[0], numbers[1], err_msg=weight)
    other = "q8_0" if bits != 8 and bits != 4 else "f16"
    with pytest.raises(UsageError, match=r"rounded already.* leave the type out"):
        export_gguf(packed, tmp_path / "n.gguf", other)


REFUSED: dict[str, tuple[ModelConfig, str]] = {
    "activation": (PHI.with_(activation="gelu"), "activation='gelu' cannot be written as GGUF, where phi2 computes"),
    "heads": (PHI.with_(d_head=24), "4 heads of 24 cannot be written as GGUF"),
    "partly rotated llama": (LLAMA.with_(n_rotary=8), "n_rotary=8 cannot be written"),
    "scaling": (PHI.with_(rope_scaling=RopeScaling("yarn", 2.0, 16, truncate=False)),
                "rope_scaling yarn with truncate=False cannot be written as GGUF"),
    "factors": (PHI.with_(rope_scaling=RopeScaling("llama3", 2.0, 16)), "rope_scaling llama3 cannot be written"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_shape_that_gguf_cannot_say_is_refused(case: str, byte_tokenizer: Tokenizer, tmp_path: Path) -> None:
    config, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message):
        save_gguf(tmp_path / "m.gguf", config, lambda *_: np.empty(0), byte_tokenizer, {}, file_type=0)
    assert not list(tmp_path.iterdir())


def byte_level(change: Any = None, **options: Any) -> tokenizers.Tokenizer:
    letters = {letter: id for id, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = tokenizers.Tokenizer(models.BPE(letters, [], **options))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.add_special_tokens(["<|end|>"])
    if change:
        change(backend)
    return backend


def set_cut(cut: Any):
    return lambda backend: setattr(backend, "pre_tokenizer", cut)


BAD_TOKENIZERS = {
    "kind": (lambda: tokenizers.Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]")),
             "a WordPiece model"),
    "dropout": (lambda: byte_level(dropout=0.5), "a BPE model with {'dropout': 0.5}"),
    "normalizer": (lambda: byte_level(lambda b: setattr(b, "normalizer", normalizers.Lowercase())),
                   "normalizer Lowercase"),
    "no rule": (lambda: byte_level(set_cut(pre_tokenizers.Whitespace())), "the word rule"),
    "first space": (lambda: byte_level(set_cut(pre_tokenizers.ByteLevel(add_prefix_space=True))), "add_prefix_space"),
    "groups of digits": (lambda: byte_level(set_cut(pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)]))),
                         "Digits"),
    "own pattern": (lambda: byte_level(set_cut(pre_tokenizers.Sequence(
        [pre_tokenizers.Split(tokenizers.Regex(r"\w+"), "isolated"),
         pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))), "Split"),
    "whole words": (lambda: byte_level(ignore_merges=True), "ignore_merges=True with the word rule gpt-2"),
    "stripping": (lambda: byte_level(lambda b: b.add_tokens([tokenizers.AddedToken("<x>", lstrip=True)])),
                  "'<x>' with lstrip"),
    "around": (lambda: byte_level(lambda b: setattr(b, "post_processor", tokenizers.processors.TemplateProcessing(
        single=["<|end|>", "<|end|>", "$A"], special_tokens=[("<|end|>", 256)]))), "other tokens around a text"),
}


@pytest.mark.parametrize("case", BAD_TOKENIZERS)
def test_a_tokenizer_that_gguf_cannot_say_is_refused(case: str) -> None:
    make, message = BAD_TOKENIZERS[case]
    with pytest.raises(UsageError, match=message) as refused:
        write_vocabulary(make(), 300, {"eos": 256})
    assert "for which GGUF has no name" in str(refused.value)


def test_a_tokenizer_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match="names no token that ends a text"):
        write_vocabulary(byte_level(), 300, {})


def test_pieces_whose_merges_no_scores_give_are_refused() -> None:
    vocabulary = {piece: id for id, piece in enumerate(["<unk>", "a", "b", "c", "ab", "bc", "abc"])}
    # "abc" can be made of "a" and "bc" as well, which these merges never do
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, [("a", "b"), ("b", "c"), ("ab", "c")], unk_token="<unk>",
                                              byte_fallback=True))
    with pytest.raises(UsageError, match="merges that no order of whole pieces gives"):
        write_vocabulary(backend, 10, {"eos": 0})


def test_a_value_beyond_float16_is_refused_and_nothing_is_left(checkpoint, tmp_path: Path) -> None:
    source = checkpoint(PHI, **{"blocks.1.mlp.up.weight": np.full((96, 64), 1e6, np.float32)})
    with pytest.raises(UsageError, match=r"'blocks.1.mlp.up.weight' has the value 1e\+06, beyond .* choose type f32"):
        export_gguf(source, tmp_path / "m.gguf", "f16")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]
    export_gguf(source, tmp_path / "m.gguf", "f32")


def test_a_writer_given_too_little_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"tensor 'x' needs 36 bytes for Q4_0 \(2, 32\) and was given 35"):
        write_gguf(tmp_path / "m.gguf", {"a": 1}, [TensorSpec("x", (2, 32), "Q4_0")], lambda _: np.zeros(35, np.uint8))
    assert not list(tmp_path.iterdir())
