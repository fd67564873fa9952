"""The GGUF reader: files written by the `gguf` package, formats against its dequantizer, and damaged files."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tokenizers

from petitlm.checkpoint import open_checkpoint, save_hf
from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import ConfigError, DamagedError, NotFoundError, PetitError, UsageError
from petitlm.families import PRESETS, gguf_names
from petitlm.gguf import GGUFFile
from petitlm.gguf.blocks import FORMATS
from petitlm.rotary import frequencies

Q = gguf.GGMLQuantizationType
TINY = {"n_layers": 2, "d_model": 32, "n_heads": 4, "d_head": 8, "d_mlp": 64, "n_vocab": 101, "n_ctx": 48,
        "bos_id": 1, "eos_id": 2}
CONFIGS = {
    "phi2": PRESETS["phi-2"].with_(**TINY, n_kv_heads=4, n_rotary=4),
    "llama": PRESETS["llama-2-7b"].with_(**TINY, n_kv_heads=2, n_rotary=8),
    "gpt2": PRESETS["gpt2"].with_(**TINY, n_kv_heads=4),
}


def weights_of(config: ModelConfig) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.tensor_shapes().items()}


def as_neighbours(values: np.ndarray, n_heads: int) -> np.ndarray:
    """Reorder rotary rows as llama.cpp's converter does: row i of a half becomes row 2i of the head."""
    out = np.empty_like(values)
    k = values.shape[0] // n_heads
    for h in range(n_heads):
        for i in range(k // 2):
            out[h * k + 2 * i], out[h * k + 2 * i + 1] = values[h * k + i], values[h * k + k // 2 + i]
    return out


def stored_tensors(config: ModelConfig, *, fused: bool) -> dict[str, np.ndarray]:
    """Return the tensors as a converter names and lays them out, written by hand and not from petit's table."""
    w, stored = weights_of(config), {}
    for kind in ("weight", "bias"):
        for ours, theirs in (("embed", "token_embd"), ("pos_embed", "position_embd"), ("ln_final", "output_norm"),
                             ("unembed", "output")):
            stored[f"{theirs}.{kind}"] = w.get(f"{ours}.{kind}")
        for i in range(config.n_layers):
            part = {name: w.get(f"blocks.{i}.{name}.{kind}") for name in (
                "ln1", "ln2", "attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down")}
            if config.family == "llama" and part["attn.q"] is not None:
                part["attn.q"] = as_neighbours(part["attn.q"], config.n_heads)
                part["attn.k"] = as_neighbours(part["attn.k"], config.n_kv_heads)
            for ours, theirs in (("ln1", "attn_norm"), ("ln2", "ffn_norm"), ("attn.o", "attn_output"),
                                 ("mlp.gate", "ffn_gate"), ("mlp.up", "ffn_up"), ("mlp.down", "ffn_down")):
                stored[f"blk.{i}.{theirs}.{kind}"] = part[ours]
            if fused:
                stored[f"blk.{i}.attn_qkv.{kind}"] = np.concatenate([part[f"attn.{x}"] for x in "qkv"])
            else:
                stored |= {f"blk.{i}.attn_{x}.{kind}": part[f"attn.{x}"] for x in "qkv"}
    return {name: values for name, values in stored.items() if values is not None}


def write_gguf(path: Path, architecture: str, config: ModelConfig, tensors: dict[str, np.ndarray],
               form: gguf.GGMLQuantizationType = Q.F32,
               more: Callable[[gguf.GGUFWriter], Any] = lambda writer: None) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.n_ctx)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_mlp)
    writer.add_block_count(config.n_layers)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    (writer.add_layer_norm_rms_eps if config.norm == "rms" else writer.add_layer_norm_eps)(config.norm_eps)
    if config.positions == "rotary":
        writer.add_rope_dimension_count(config.n_rotary)
        writer.add_rope_freq_base(config.rope_theta)
    writer.add_bos_token_id(config.bos_id or 0)
    writer.add_eos_token_id(config.eos_id or 0)
    more(writer)
    for name, values in tensors.items():
        if values.ndim == 1 or form == Q.F32:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, form), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def phi_file(tmp_path: Path) -> Path:
    config = CONFIGS["phi2"]
    return write_gguf(tmp_path / "phi.gguf", "phi2", config, stored_tensors(config, fused=True))


@pytest.mark.parametrize(("architecture", "fused"), [("phi2", True), ("phi2", False), ("gpt2", True), ("llama", False)])
def test_every_architecture_gives_its_config_and_its_weights(architecture: str, fused: bool, tmp_path: Path) -> None:
    config = CONFIGS[architecture]
    path = write_gguf(tmp_path / "m.gguf", architecture, config, stored_tensors(config, fused=fused))
    checkpoint = open_checkpoint(path)
    assert checkpoint.config == config
    for name, values in weights_of(config).items():
        np.testing.assert_array_equal(checkpoint.read(name), values, err_msg=name)


def test_a_gguf_file_becomes_a_folder_with_equal_weights(phi_file: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(phi_file)
    save_hf(tmp_path / "hf", checkpoint.config, checkpoint.read, dtype="float32")
    again = open_checkpoint(tmp_path / "hf")
    assert again.config == checkpoint.config
    for name in checkpoint.names:
        np.testing.assert_array_equal(again.read(name), checkpoint.read(name))


@pytest.mark.parametrize("form", [Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1])
@pytest.mark.parametrize(("architecture", "fused"), [("phi2", True), ("llama", False)])
def test_weights_in_every_format_are_the_dequantized_ones(form: gguf.GGMLQuantizationType, architecture: str,
                                                          fused: bool, tmp_path: Path) -> None:
    config = CONFIGS[architecture]
    tensors = stored_tensors(config, fused=fused)
    path = write_gguf(tmp_path / "m.gguf", architecture, config, tensors, form)
    checkpoint, table = open_checkpoint(path), gguf_names(config, list(tensors))
    assert checkpoint.dtype("blocks.0.attn.q.weight") == form.name
    exact = write_gguf(tmp_path / "exact.gguf", architecture, config, {
        name: values if values.ndim == 1 else gguf.quants.dequantize(gguf.quants.quantize(values, form), form)
        for name, values in tensors.items()})
    for name in table:
        np.testing.assert_array_equal(checkpoint.read(name), open_checkpoint(exact).read(name), err_msg=name)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_blocks_decode_as_the_gguf_package_decodes_them(kind: int) -> None:
    """Random bytes are every pattern of scales and numbers; only the halves that are scales must be finite."""
    form, rng = FORMATS[kind], np.random.default_rng(kind)
    assert (form.columns, form.n_bytes) == gguf.GGML_QUANT_SIZES[Q(kind)]
    blocks = rng.integers(0, 256, (300, form.n_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        ours, theirs = form.decode(blocks), gguf.quants.dequantize(blocks, Q(kind))
    assert ours.shape == (300, form.columns)
    finite = np.isfinite(theirs)
    assert finite.mean() > 0.5
    # Equal up to the last bit: the K formats multiply scale and number in another order.
    np.testing.assert_allclose(ours[finite], theirs.reshape(ours.shape)[finite], rtol=1e-6, atol=1e-6)


def test_a_part_of_a_tensor_is_decoded_alone(phi_file: Path) -> None:
    file, whole = GGUFFile(phi_file), stored_tensors(CONFIGS["phi2"], fused=True)
    np.testing.assert_array_equal(file.read("blk.1.attn_qkv.weight", 32, 64), whole["blk.1.attn_qkv.weight"][32:64])
    np.testing.assert_array_equal(file.read("blk.1.attn_qkv.bias", 32, 64), whole["blk.1.attn_qkv.bias"][32:64])


def test_decoding_in_steps_changes_nothing(phi_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = GGUFFile(phi_file).read("token_embd.weight", 0, 101)
    monkeypatch.setattr("petitlm.gguf.file._DECODE_BYTES", 1000)
    np.testing.assert_array_equal(GGUFFile(phi_file).read("token_embd.weight", 0, 101), expected)


def test_llama_3_scaling_is_recovered_from_its_factors(tmp_path: Path) -> None:
    plain = CONFIGS["llama"].with_(rope_theta=500000.0)
    scaled = plain.with_(rope_scaling=RopeScaling("llama3", 32.0, 8192))
    factors = np.array(frequencies(plain)) / np.array(frequencies(scaled))
    assert factors[-1] == pytest.approx(32)
    tensors = stored_tensors(plain, fused=False)
    path = write_gguf(tmp_path / "m.gguf", "llama", plain, {**tensors, "rope_freqs.weight": factors.astype(np.float32)})
    assert open_checkpoint(path).config == scaled
    factors[1] *= 1.1
    path = write_gguf(tmp_path / "n.gguf", "llama", plain, {**tensors, "rope_freqs.weight": factors.astype(np.float32)})
    with pytest.raises(ConfigError, match=r"are not those of Llama 3\.1"):
        open_checkpoint(path)


def add_phi_tokenizer(shared: Path, rows: int) -> Callable[[gguf.GGUFWriter], None]:
    model = json.loads((shared / "data/phi2-tokenizer/tokenizer.json").read_text())
    tokens, types = [f"[PAD{i}]" for i in range(rows)], [5] * rows
    for token, id in model["model"]["vocab"].items():
        tokens[id], types[id] = token, 1
    for added in model["added_tokens"]:
        tokens[added["id"]], types[added["id"]] = added["content"], 3 if added["special"] else 4

    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("phi-2")
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_token_merges(model["model"]["merges"])

    return add


def test_phi_2s_tokenizer_comes_out_of_the_metadata(shared: Path, tmp_path: Path) -> None:
    config = CONFIGS["phi2"].with_(n_vocab=51200, d_model=32, bos_id=50256, eos_id=50256)
    path = write_gguf(tmp_path / "m.gguf", "phi2", config, stored_tensors(config, fused=True), Q.F16,
                      add_phi_tokenizer(shared, 51200))
    tokenizer = open_checkpoint(path).tokenizer()
    assert (tokenizer.n_ids, tokenizer.eos_id, tokenizer.bos_id) == (50295, 50256, 50256)
    assert np.flatnonzero(tokenizer.without_text(51200)).tolist() == list(range(50295, 51200))
    for line in (shared / "data/phi2-tokenizer/examples.jsonl").read_text().splitlines():
        example = json.loads(line)
        assert tokenizer.encode(example["text"]) == example["ids"]
        assert tokenizer.decode(example["ids"]) == example["text"]


@pytest.mark.slow
def test_the_file_of_another_writer_reads_as_its_source(shared: Path, tmp_path: Path) -> None:
    """A phi-2 of one layer, as `transformers` saves it and a separate script converts it."""
    hf, out = tmp_path / "hf", tmp_path / "out.gguf"
    for script, *args in (("make_phi2_random.py", hf, "--layers", "1"), ("phi2_to_gguf.py", hf, out, "--fuse-qkv")):
        subprocess.run([sys.executable, shared / "bench" / script, *args], check=True, capture_output=True)
    ours, theirs = open_checkpoint(out), open_checkpoint(hf)
    assert ours.config == theirs.config
    for name in theirs.names:
        np.testing.assert_array_equal(ours.read(name), theirs.read(name))
    assert ours.tokenizer().encode("hello") == theirs.tokenizer().encode("hello")


def greedy_pieces(text: str, scores: dict[str, float]) -> list[str]:
    """SentencePiece BPE by its definition: join the neighbours whose join scores best, leftmost first."""
    pieces = list("▁" + text.replace(" ", "▁"))
    while True:
        joins = [(-scores[a + b], i) for i, (a, b) in enumerate(itertools.pairwise(pieces)) if a + b in scores]
        if not joins:
            return pieces
        _, i = min(joins)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]


def add_piece_tokenizer(writer: gguf.GGUFWriter) -> list[str]:
    pieces = ["▁t", "he", "▁the", "in", "▁a", "er", "▁in", "the", "at", "▁th", "re", "en", "ing"]
    letters = list("▁abcdefghijklmnopqrstuvwxyzé")
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *letters]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * (len(pieces) + len(letters))])
    writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(pieces) + len(letters))])
    return tokens


def test_sentence_pieces_are_joined_by_score_and_bytes_stand_in(tmp_path: Path) -> None:
    tokens: list[str] = []
    config = CONFIGS["llama"].with_(n_vocab=320)
    path = write_gguf(tmp_path / "m.gguf", "llama", config, stored_tensors(config, fused=False),
                      more=lambda writer: tokens.extend(add_piece_tokenizer(writer)))
    tokenizer = open_checkpoint(path).tokenizer()
    scores = {token: -float(i) for i, token in enumerate(tokens[259:])}
    for text in ("the rain in a garden", "there", "hen ing er  the", "attheend", "thé  ", ""):
        ids = tokenizer.encode(text)
        assert ids[0] == tokenizer.bos_id == 1
        if text:
            assert [tokens[id] for id in ids[1:]] == greedy_pieces(text, scores)
        assert tokenizer.decode(ids[1:]) == text
    assert [tokens[id] for id in tokenizer.encode("a日")[1:]] == ["▁a", "<0xE6>", "<0x97>", "<0xA5>"]
    assert tokenizer.decode(tokenizer.encode("a日")[1:]) == "a日"
    assert tokenizer.encode("</s>")[1:] == [2]


def test_llama_3_cuts_words_by_its_own_rule_and_begins_with_its_token(tmp_path: Path) -> None:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, "12", "123", "1234", "<|begin|>"]
    config = CONFIGS["llama"].with_(n_vocab=len(tokens), bos_id=len(tokens) - 1)

    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_list(tokens)
        writer.add_token_types([1] * (len(tokens) - 1) + [3])
        writer.add_token_merges(["1 2", "12 3", "123 4"])

    path = write_gguf(tmp_path / "m.gguf", "llama", config, stored_tensors(config, fused=False), more=add)
    ids = open_checkpoint(path).tokenizer().encode("1234")
    assert [tokens[id] for id in ids] == ["<|begin|>", "123", "4"]  # at most three digits belong together


# --- bad input ------------------------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def head(n_tensors: int = 0, n_values: int = 0, version: int = 3, magic: bytes = b"GGUF") -> bytes:
    return magic + struct.pack("<IQQ", version, n_tensors, n_values)


def tensor(name: str, dims: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def padded(header: bytes, data: bytes) -> bytes:
    return header + b"\0" * (-len(header) % 32) + data


BAD: dict[str, tuple[bytes, type[PetitError], str]] = {
    "magic": (head(magic=b"GGML"), DamagedError, "does not begin as a GGUF file does"),
    "empty": (b"", DamagedError, "does not begin as a GGUF file does"),
    "version 1": (head(version=1), UsageError, "is of version 1; petit reads .* versions 2 and 3"),
    "big endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), UsageError, "big-endian"),
    "counts": (head(n_tensors=1 << 60), DamagedError, "it claims 1,152,921,504,606,846,976 tensors"),
    "text": (head(n_values=1) + struct.pack("<Q", 1 << 62) + b"x" * 20, DamagedError, "bytes are announced at byte"),
    "not utf-8": (head(n_values=1) + struct.pack("<Q", 1) + b"\xff" + b"x" * 20, DamagedError, "is not UTF-8"),
    "value type": (head(n_values=1) + text("a") + struct.pack("<I", 99) + b"x" * 8, DamagedError, "unknown type 99"),
    "array": (head(n_values=1) + text("a") + struct.pack("<IIQ", 9, 4, 1 << 60), DamagedError, "are announced"),
    "array of texts": (head(n_values=1) + text("a") + struct.pack("<IIQ", 9, 8, 1 << 60), DamagedError,
                       "texts are announced"),
    "array of arrays": (head(n_values=1) + text("a") + struct.pack("<IIQ", 9, 9, 1), DamagedError, "array of arrays"),
    "key twice": (head(n_values=2) + 2 * (text("a") + struct.pack("<II", 4, 1)), DamagedError, "'a' is given twice"),
    "no dimensions": (head(1) + tensor("t", ()), DamagedError, "has 0 dimensions"),
    "five dimensions": (head(1) + tensor("t", (1,) * 5), DamagedError, "has 5 dimensions"),
    "format unknown": (head(1) + tensor("t", (32,), 77), DamagedError, "'t' has the unknown format 77"),
    "format not read": (head(1) + tensor("t", (256,), 10), UsageError, "the format Q2_K, which petit does not read"),
    "half a block": (head(1) + tensor("t", (33,), 2), DamagedError, "33 columns, no multiple of the 32 of a"),
    "truncated": (padded(head(1) + tensor("t", (8,)), b"\0" * 31), DamagedError, "it is truncated"),
    "huge": (padded(head(1) + tensor("t", (1 << 62, 1 << 62)), b""), DamagedError, "it is truncated"),
    "unaligned": (padded(head(1) + tensor("t", (8,), offset=4), b"\0" * 64), DamagedError,
                  "no multiple of the alignment"),
    "overlap": (padded(head(2) + tensor("a", (16,)) + tensor("b", (8,), offset=32), b"\0" * 64), DamagedError,
                "'b' overlaps 'a'"),
    "tensor twice": (padded(head(2) + tensor("a", (8,)) + tensor("a", (8,), offset=32), b"\0" * 64), DamagedError,
                     "the tensor 'a' is given twice"),
    "alignment": (head(0, 1) + text("general.alignment") + struct.pack("<II", 4, 48), DamagedError, "no power of two"),
    "parts": (head(0, 1) + text("split.count") + struct.pack("<II", 4, 3), UsageError, "is one part of 3"),
    "no architecture": (head(), ConfigError, "general.architecture=None is not one that petit knows"),
    "other architecture": (head(0, 1) + text("general.architecture") + struct.pack("<I", 8) + text("falcon"),
                           ConfigError, "'falcon' is not one that petit knows; it knows phi2, llama, gpt2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_one_sentence(case: str, tmp_path: Path) -> None:
    content, error, message = BAD[case]
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        open_checkpoint(tmp_path / "bad.gguf")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not there"):
        GGUFFile(tmp_path / "none.gguf")


def without(tensors: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: values for name, values in tensors.items() if name not in names}


def test_tensors_that_do_not_fit_the_config_are_named(tmp_path: Path) -> None:
    config, tensors = CONFIGS["phi2"], stored_tensors(CONFIGS["phi2"], fused=True)
    wrong = {**tensors, "blk.1.ffn_up.weight": np.zeros((63, 32), np.float32)}
    with pytest.raises(DamagedError, match=r"'blk.1.ffn_up.weight' in m.gguf has the shape \[63, 32\] and .* \[64, "):
        open_checkpoint(write_gguf(tmp_path / "m.gguf", "phi2", config, wrong))
    with pytest.raises(DamagedError, match=r"'blk.0.ffn_up.weight' is missing"):
        open_checkpoint(write_gguf(tmp_path / "n.gguf", "phi2", config, without(tensors, "blk.0.ffn_up.weight")))
    with pytest.raises(DamagedError, match=r"'token_embd.weight' is missing"):
        open_checkpoint(write_gguf(tmp_path / "o.gguf", "phi2", config, without(tensors, "token_embd.weight")))


def test_features_that_would_change_the_numbers_are_refused(tmp_path: Path) -> None:
    config, tensors = CONFIGS["llama"], stored_tensors(CONFIGS["llama"], fused=False)
    for name, add, message in (
            ("a", lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE), "rope.scaling.type='longrope'"),
            ("b", lambda w: w.add_expert_count(8), "expert_count=8 is not supported"),
            ("c", lambda w: w.add_key_length(16), "rope.dimension_count=8 of 16 is not supported")):
        with pytest.raises(ConfigError, match=message):
            open_checkpoint(write_gguf(tmp_path / f"{name}.gguf", "llama", config, tensors, more=add))


TOKENS = ["a", "b", "ab"]
BAD_TOKENIZERS: dict[str, tuple[Callable[[gguf.GGUFWriter], Any], type[PetitError], str]] = {
    "kind": (lambda w: w.add_tokenizer_model("bert"), UsageError, "the tokenizer kind 'bert' is not supported"),
    "word rule": (lambda w: (w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("viking")), UsageError,
                  "tokenizer.ggml.pre='viking' is not known"),
    "merge": (lambda w: (w.add_tokenizer_model("gpt2"), w.add_token_merges(["ab"])), DamagedError,
              "the merge 'ab' does not name two tokens"),
    "types": (lambda w: (w.add_tokenizer_model("gpt2"), w.add_token_types([1])), DamagedError, "3 tokens have 1 types"),
    "scores": (lambda w: w.add_tokenizer_model("llama"), DamagedError, "3 tokens have 0 scores"),
}


@pytest.mark.parametrize("case", BAD_TOKENIZERS)
def test_a_bad_tokenizer_is_refused(case: str, tmp_path: Path) -> None:
    add, error, message = BAD_TOKENIZERS[case]
    config = CONFIGS["phi2"]

    def more(writer: gguf.GGUFWriter) -> None:
        writer.add_token_list(TOKENS)
        add(writer)

    path = write_gguf(tmp_path / "m.gguf", "phi2", config, stored_tensors(config, fused=True), more=more)
    with pytest.raises(error, match=message):
        open_checkpoint(path)
