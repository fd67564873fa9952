"""GGUF files that petit writes, read by llama.cpp: same ids, same next token, logits within the format's error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

import petitlm
from petitlm.checkpoint import open_checkpoint, save_hf
from petitlm.config import ModelConfig, RopeScaling
from petitlm.engine.gguf_export import export_gguf
from petitlm.loading import DEFAULT_MODEL
from petitlm.tokenizer import Tokenizer
from tests_peers import llama_logits
from tests_shapes import random_weights

COMMON = dict(n_layers=2, d_model=128, n_heads=4, d_head=32, d_mlp=256, n_vocab=384, n_ctx=64, bos_id=256, eos_id=256)
LLAMA = dict(**COMMON, n_rotary=32, norm="rms", norm_eps=1e-6, parallel_block=False, gated_mlp=True, activation="silu",
             qkv_bias=False, out_bias=False, mlp_bias=False, family="llama")
CONFIGS = {
    "phi2": ModelConfig(**COMMON, n_rotary=16, unembed_bias=True),
    "phi2, kv groups, tied": ModelConfig(**COMMON, n_kv_heads=2, n_rotary=32, unembed_bias=True, tied=True),
    "phi2, ntk": ModelConfig(**COMMON, n_rotary=16, unembed_bias=True, rope_scaling=RopeScaling("ntk", 2.0)),
    "phi2, linear": ModelConfig(**COMMON, n_rotary=16, unembed_bias=True, rope_scaling=RopeScaling("linear", 2.0, 32)),
    "llama": ModelConfig(**LLAMA, n_kv_heads=2),
    "llama, tied": ModelConfig(**LLAMA, tied=True),
    "llama, its own head size, stretched": ModelConfig(
        **{**LLAMA, "d_head": 48, "n_rotary": 48, "rope_theta": 500000.0},
        rope_scaling=RopeScaling("llama3", 8.0, 8192)),
    "gpt2": ModelConfig(**COMMON, positions="learned", parallel_block=False, tied=True, family="gpt"),
    "gpt2, own head": ModelConfig(**COMMON, positions="learned", parallel_block=False, family="gpt"),
}
# Root mean square of the difference, as a share of the logits' spread. llama.cpp rounds activations to 8 bits beside
# quantized weights, and to float16 in its cache and in its table for GELU.
ERRORS = {"f32": 2e-3, "f16": 3e-3, "q8_0": 0.02, "q4_0": 0.02}
TEXT = "What is 12 + 30?  It's\n\n\tété 日本 'LL 1234"


@pytest.fixture
def checkpoint(tmp_path: Path, byte_tokenizer: Tokenizer):
    def write(config: ModelConfig):
        save_hf(tmp_path / "hf", config, random_weights(config).__getitem__, byte_tokenizer, dtype="float32")
        return open_checkpoint(tmp_path / "hf")

    return write


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("name", CONFIGS)
def test_llama_cpp_computes_what_petit_computes(name: str, kind: str, checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    export_gguf(checkpoint(CONFIGS[name]), path, kind)
    ids = np.random.default_rng(3).integers(0, 256, 40).tolist()
    theirs, their_ids = llama_logits(path, ids, TEXT)
    ours = petitlm.load(path, bits=32, threads=1)  # the file's own numbers, in floats
    logits = ours.logits(ids)
    spread = logits.std()
    assert np.sqrt(np.mean((theirs - logits) ** 2)) < ERRORS[kind] * spread
    # A next token may differ only where two are as near to each other as the error is large.
    top = np.sort(logits, axis=1)
    clear = top[:, -1] - top[:, -2] > 8 * ERRORS[kind] * spread
    assert clear.mean() > 0.3
    assert (theirs.argmax(1) == logits.argmax(1))[clear].all()
    assert their_ids == ours.tokenizer.encode(TEXT)


@pytest.mark.parametrize("kind", ERRORS)
def test_llama_cpp_answers_as_the_default_model_does(kind: str, tmp_path: Path) -> None:
    path, source = tmp_path / "m.gguf", open_checkpoint(DEFAULT_MODEL)
    export_gguf(source, path, kind)
    ours = petitlm.load(path, bits=32, threads=1)
    ids = ours.encode("Question: What is 12 + 30?\nAnswer: 12 + 30 = 42.")
    theirs, their_ids = llama_logits(path, ids, TEXT)
    logits = ours.logits(ids)
    assert np.sqrt(np.mean((theirs - logits) ** 2)) < ERRORS[kind] * logits.std()
    assert theirs[-1].argmax() == logits[-1].argmax()
    assert np.mean(theirs.argmax(1) == logits.argmax(1)) > 0.9
    assert their_ids == ours.tokenizer.encode(TEXT) == source.tokenizer().encode(TEXT)


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K"])
@pytest.mark.parametrize("name", ["phi2", "llama", "gpt2"])
def test_petit_reads_what_llama_cpp_quantized(name: str, kind: str, checkpoint, tmp_path: Path) -> None:
    """K formats have blocks of 256 columns, so the model is wider than the others."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs llama-cpp-python; `make test-all` installs it")
    heads = {"n_heads": 4, "d_head": 64, "n_rotary": 64 if name == "llama" else 0 if name == "gpt2" else 32}
    config = CONFIGS[name].with_(d_model=256, d_mlp=512, **heads)
    export_gguf(checkpoint(config), tmp_path / "f32.gguf", "f32")
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype, options.nthread = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}"), 1
    path = tmp_path / "m.gguf"
    assert llama_cpp.llama_model_quantize(str(tmp_path / "f32.gguf").encode(), str(path).encode(), options) == 0
    ids = np.random.default_rng(3).integers(0, 256, 40).tolist()
    theirs, _ = llama_logits(path, ids, TEXT)
    source = open_checkpoint(path)
    assert kind.split("_M")[0] in {source.dtype(weight) for weight in source.names}
    exact = petitlm.load(path, bits=32, threads=1).logits(ids)
    assert np.sqrt(np.mean((theirs - exact) ** 2)) < 0.02 * exact.std()
    taken = petitlm.load(path, threads=1)  # as it is stored; K formats in 8 bits
    assert taken.bits == (4 if kind == "Q4_0" else 8)
    assert np.sqrt(np.mean((taken.logits(ids) - exact) ** 2)) < 0.03 * exact.std()


def llama3_tokenizer() -> Tokenizer:
    from petitlm.gguf.vocabulary import WORDS

    words = tokenizers.Regex(WORDS["llama-bpe"].regex)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: id for id, token in enumerate([*alphabet, "12", "123", "Ġis", "is", "ét", "whole"])}
    merges = [("1", "2"), ("12", "3"), ("i", "s"), ("Ġ", "is")]
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(words, behavior="isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|begin|>", "<|end|>"])
    begin, end = len(vocabulary), len(vocabulary) + 1
    backend.post_processor = processors.TemplateProcessing(single=["<|begin|>", "$A"],
                                                           special_tokens=[("<|begin|>", begin)])
    config = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "chat_template": "{{ messages }}"}
    return Tokenizer(backend, config, end, begin)


def piece_tokenizer() -> Tokenizer:
    letters = list("▁abcdefghijklmnopqrstuvwxyzWI?+'é12340LAnsw")
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    merges = [("▁", "t"), ("h", "e"), ("i", "s"), ("▁t", "he"), ("▁", "the"), ("▁", "is"), ("▁t", "h"), ("t", "h")]
    for token in [*letters, *("".join(merge) for merge in merges)]:
        vocabulary.setdefault(token, len(vocabulary))
    # every way to make a piece, best piece first: as converters from SentencePiece write them
    ranked = list(dict.fromkeys("".join(merge) for merge in merges))
    every = [(piece[:cut], piece[cut:]) for piece in ranked
             for cut in sorted(range(1, len(piece)), key=lambda cut: vocabulary.get(piece[:cut], 0))
             if piece[:cut] in vocabulary and piece[cut:] in vocabulary]
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, every, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                         decoders.Strip(" ", 1, 0)])
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.post_processor = processors.TemplateProcessing(single=["<s>", "$A"], special_tokens=[("<s>", 1)])
    return Tokenizer(backend, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, 2, 1)


@pytest.mark.parametrize("make", [llama3_tokenizer, piece_tokenizer])
def test_llamas_tokenizers_give_the_same_ids(make, tmp_path: Path) -> None:
    tokenizer, config = make(), CONFIGS["llama"]
    save_hf(tmp_path / "hf", config, random_weights(config).__getitem__, tokenizer, dtype="float32")
    source = open_checkpoint(tmp_path / "hf")
    export_gguf(source, tmp_path / "m.gguf", "f16")
    read = open_checkpoint(tmp_path / "m.gguf").tokenizer()
    for text in (TEXT, "the thesis is there", "whole 1234", " 12", "is\n"):
        _, theirs = llama_logits(tmp_path / "m.gguf", [5, 6], text)
        assert theirs == source.tokenizer().encode(text) == read.encode(text)
    assert (read.bos_id, read.eos_id) == (source.tokenizer().bos_id, source.tokenizer().eos_id)
    assert read.chat_template == tokenizer.chat_template
    assert read.other_specials == source.tokenizer().other_specials
