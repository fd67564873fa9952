"""Checkpoints: round trips through `transformers`, old namings, and every kind of bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import tokenizers
import torch
import transformers

from petitlm.checkpoint import Checkpoint, open_checkpoint, save_hf
from petitlm.checkpoint import folder as folder_module
from petitlm.config import ModelConfig, RopeScaling
from petitlm.errors import DamagedError, NotFoundError, PetitError, RefusedError, ShapeError, UsageError
from petitlm.families import PRESETS
from petitlm.safetensors_file import as_float32
from petitlm.tokenizer import Tokenizer

torch.set_num_threads(1)

TINY = {"n_layers": 2, "d_model": 24, "n_heads": 4, "d_head": 6, "d_mlp": 40, "n_vocab": 101, "n_ctx": 48,
        "bos_id": 1, "eos_id": 2}
CONFIGS: dict[str, ModelConfig] = {
    "phi": PRESETS["phi-2"].with_(**TINY, n_kv_heads=4, n_rotary=4),
    "phi-grouped-tied": PRESETS["phi-2"].with_(**TINY, n_kv_heads=2, n_rotary=2, tied=True),
    "llama-2": PRESETS["llama-2-7b"].with_(**TINY, n_kv_heads=4, n_rotary=6),
    "llama-3-tied": PRESETS["llama-3.2-1b"].with_(
        **TINY, n_kv_heads=2, n_rotary=6, rope_scaling=RopeScaling("llama3", 4.0, 16)),
    "llama-biased-wide-heads": PRESETS["llama-2-7b"].with_(
        **{**TINY, "d_head": 10}, n_kv_heads=1, n_rotary=10, qkv_bias=True, out_bias=True, mlp_bias=True),
    "gpt2": PRESETS["gpt2"].with_(**TINY, n_kv_heads=4),
    "gpt2-untied": PRESETS["gpt2"].with_(**TINY, n_kv_heads=4, tied=False),
}


def weights_of(config: ModelConfig, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.tensor_shapes().items()}


def word_tokenizer(n_ids: int) -> Tokenizer:
    words = {"<end>": 0, **{f"word{i}": i for i in range(1, n_ids)}}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<end>"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return Tokenizer(backend, {"eos_token": "<end>"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small checkpoint in three shards, with tokenizer and card."""
    config = CONFIGS["phi"]
    path = tmp_path / "model"
    save_hf(path, config, weights_of(config).__getitem__, word_tokenizer(50), "float32", "A card.", shard_bytes=22_000)
    assert len(list(path.glob("*.safetensors"))) == 3
    return path


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_transformers_loads_what_we_write_and_we_read_what_it_writes(name: str, dtype: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    weights = weights_of(config)
    save_hf(tmp_path / "ours", config, weights.__getitem__, dtype=dtype, shard_bytes=20_000)
    ours = open_checkpoint(tmp_path / "ours")
    assert ours.config == config

    model, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    assert model.dtype == getattr(torch, dtype)
    model.save_pretrained(tmp_path / "theirs")
    theirs = open_checkpoint(tmp_path / "theirs")
    assert theirs.config == config

    for weight in ours.names:
        expected = torch.from_numpy(weights[weight]).to(getattr(torch, dtype)).float().numpy()
        for checkpoint in (ours, theirs):
            found = checkpoint.read(weight)
            assert found.dtype == np.float32
            assert found.flags.c_contiguous
            np.testing.assert_array_equal(found, expected)
            assert checkpoint.shape(weight) == found.shape
            assert checkpoint.dtype(weight) == {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_folder_written_again_from_what_was_read_has_equal_logits(name: str, tmp_path: Path) -> None:
    """`transformers` computes with its own weights, and with them after a round trip through petit's names."""
    config = CONFIGS[name]
    weights = {weight: values * 0.2 for weight, values in weights_of(config).items()}
    save_hf(tmp_path / "first", config, weights.__getitem__, dtype="float32")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "first")
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = open_checkpoint(tmp_path / "theirs")
    save_hf(tmp_path / "again", checkpoint.config, checkpoint.read, dtype="float32")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    ids = torch.arange(2 * 40).reshape(2, 40) % config.n_vocab
    with torch.no_grad():
        expected, found = theirs(ids).logits, again(ids).logits
    assert torch.isfinite(expected).all()
    assert torch.equal(found, expected)


def rename_to_2023(weights: dict[str, np.ndarray], n_layers: int, *, first: bool) -> dict[str, np.ndarray]:
    """Rename current phi tensors to one of the two namings of 2023, with query, key and value stacked."""
    block = "layers.{}" if first else "transformer.h.{}"
    embed = "layers.0.wte" if first else "transformer.embd.wte"
    head = f"layers.{n_layers + 1}" if first else "lm_head"
    renamed = {f"{embed}.weight": weights["model.embed_tokens.weight"]}
    for kind in ("weight", "bias"):
        renamed[f"{head}.ln.{kind}"] = weights[f"model.final_layernorm.{kind}"]
        renamed[f"{head}.linear.{kind}"] = weights[f"lm_head.{kind}"]
        for i in range(n_layers):
            old, new = f"model.layers.{i}", block.format(i + 1 if first else i)
            renamed[f"{new}.ln.{kind}"] = weights[f"{old}.input_layernorm.{kind}"]
            renamed[f"{new}.mixer.Wqkv.{kind}"] = np.concatenate(
                [weights[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"])
            renamed[f"{new}.mixer.out_proj.{kind}"] = weights[f"{old}.self_attn.dense.{kind}"]
            renamed[f"{new}.mlp.fc1.{kind}"] = weights[f"{old}.mlp.fc1.{kind}"]
            renamed[f"{new}.mlp.fc2.{kind}"] = weights[f"{old}.mlp.fc2.{kind}"]
    return renamed


@pytest.mark.parametrize("first", [True, False])
def test_both_namings_of_2023_are_read(first: bool, tmp_path: Path) -> None:
    config = CONFIGS["phi"]
    save_hf(tmp_path / "now", config, weights_of(config).__getitem__, dtype="float32")
    old = tmp_path / "old"
    old.mkdir()
    stored = rename_to_2023(safetensors.numpy.load_file(tmp_path / "now" / "model.safetensors"), 2, first=first)
    stored["layers.1.mixer.rotary_emb.inv_freq"] = np.ones(2, np.float32)
    safetensors.numpy.save_file(stored, old / "model.safetensors")
    (old / "config.json").write_text(json.dumps({
        "model_type": "mixformer-sequential" if first else "phi-msft", "vocab_size": 101, "n_embd": 24, "n_head": 4,
        "n_layer": 2, "n_positions": 48, "rotary_dim": 4, "n_inner": 40, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5}))
    checkpoint = open_checkpoint(old)
    assert checkpoint.config == config.with_(bos_id=None, eos_id=None)
    for name, values in weights_of(config).items():
        np.testing.assert_array_equal(checkpoint.read(name), values)


def test_gpt2_is_read_without_its_prefix_and_with_its_masks(tmp_path: Path) -> None:
    config, path = CONFIGS["gpt2"], tmp_path / "model"
    save_hf(path, config, weights_of(config).__getitem__, dtype="float32")
    stored = safetensors.numpy.load_file(path / "model.safetensors")
    bare = {name.removeprefix("transformer."): values for name, values in stored.items()}
    bare["h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.uint8)
    safetensors.numpy.save_file(bare, path / "model.safetensors")
    checkpoint = open_checkpoint(path)
    for name, values in weights_of(config).items():
        np.testing.assert_array_equal(checkpoint.read(name), values)


def test_opening_gives_card_tokenizer_and_prompt_shape(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    assert checkpoint.card == "A card."
    assert checkpoint.tokenizer().encode("word3 word7") == [3, 7]
    assert checkpoint.prompt == "qa"
    assert checkpoint.n_params == sum(values.size for values in weights_of(checkpoint.config).values())
    edit_config(folder, petit={"prompt": "chat"})
    assert open_checkpoint(folder).prompt == "chat"


def test_only_the_asked_weight_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening converts nothing, and reading one weight converts that one."""
    converted: list[int] = []

    def convert(part: np.ndarray, dtype: str) -> np.ndarray:
        converted.append(part.size)
        return as_float32(part, dtype)

    monkeypatch.setattr(folder_module, "as_float32", convert)
    checkpoint = open_checkpoint(folder)
    assert converted == []
    checkpoint.read("blocks.1.attn.k.weight")
    assert converted == [24 * 24]


def test_an_unknown_weight_name_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no weight 'blocks.9.attn.q.weight'"):
        open_checkpoint(folder).read("blocks.9.attn.q.weight")


# --- bad input: one clear sentence each -----------------------------------------------------------------------------


def edit_config(folder: Path, **changes: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **changes}))


def edit_tensors(folder: Path, edit: Callable[[dict[str, np.ndarray]], Any], shard: int = 1) -> None:
    path = folder / f"model-{shard:05d}-of-00003.safetensors"
    stored = {name: values.copy() for name, values in safetensors.numpy.load_file(path).items()}
    edit(stored)
    safetensors.numpy.save_file(stored, path)


def edit_index(folder: Path, file: Any) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.embed_tokens.weight"] = file
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def only_pickle(folder: Path) -> None:
    for path in folder.glob("model*"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def truncate(path: Path, n_bytes: int = 100) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-n_bytes])


EMBED = "model.embed_tokens.weight"
BAD: dict[str, tuple[Callable[[Path], Any], type[PetitError], str]] = {
    "missing shard": (lambda f: (f / "model-00002-of-00003.safetensors").unlink(), NotFoundError,
                      r"lacks 1 of its 3 weight files: model-00002-of-00003\.safetensors"),
    "missing index": (lambda f: (f / "model.safetensors.index.json").unlink(), NotFoundError,
                      r"neither model\.safetensors nor model\.safetensors\.index\.json"),
    "no weights": (lambda f: [path.unlink() for path in f.glob("model*")], NotFoundError, "has no weights"),
    "no config": (lambda f: (f / "config.json").unlink(), NotFoundError, "has no config.json"),
    "wrong shape": (lambda f: edit_tensors(f, lambda t: t.update({EMBED: np.zeros((99, 24), np.float32)})),
                    DamagedError, rf"'{EMBED}' in model-00001-of-00003\.safetensors has the shape \[99, 24\] and "
                    r"the config asks for \[101, 24\]"),
    "integer weights": (lambda f: edit_tensors(f, lambda t: t.update({EMBED: np.zeros((101, 24), np.int8)})),
                        DamagedError, "has the dtype I8, which is not supported"),
    "missing tensor": (lambda f: edit_tensors(f, lambda t: t.pop(EMBED)), DamagedError, f"'{EMBED}' is missing"),
    "surplus tensor": (lambda f: edit_tensors(f, lambda t: t.update({"more": np.zeros(3, np.float32)})), DamagedError,
                       "'more' has no place in a model of this config"),
    "tensor twice": (lambda f: edit_tensors(f, lambda t: t.update({EMBED: np.zeros((101, 24), np.float32)}), 2),
                     DamagedError, f"'{EMBED}' is both in model-00001-of-00003.safetensors and model-00002"),
    "truncated": (lambda f: truncate(f / "model-00003-of-00003.safetensors"), DamagedError, "it is truncated"),
    "header too large": (lambda f: (f / "model-00001-of-00003.safetensors").write_bytes(b"\xff" * 7 + b"\x7f"),
                         DamagedError, "the header claims"),
    "pickle": (only_pickle, RefusedError, r"pytorch_model\.bin is a pickle.*save_pretrained"),
    "pickle in index": (lambda f: (edit_index(f, "pytorch_model.bin"), (f / "pytorch_model.bin").touch()), RefusedError,
                        "is a pickle"),
    "path out of the folder": (lambda f: edit_index(f, "../../etc/passwd"), DamagedError,
                               r"names the file '\.\./\.\./etc/passwd'; only plain names"),
    "absolute path": (lambda f: edit_index(f, "/etc/passwd"), DamagedError, "only plain names"),
    "no file name": (lambda f: edit_index(f, ["x"]), DamagedError, "only plain names"),
    "index without map": (lambda f: (f / "model.safetensors.index.json").write_text("{}"), DamagedError,
                          "has no weight_map"),
    "index not json": (lambda f: (f / "model.safetensors.index.json").write_text("<html>"), DamagedError,
                       "not valid JSON"),
    "config not json": (lambda f: (f / "config.json").write_text("{"), DamagedError, "not valid JSON"),
    "config not text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), DamagedError, "not UTF-8"),
    "config huge": (lambda f: (f / "config.json").write_text(" " * (5 << 20)), DamagedError, "more than the 4,194,304"),
    "unknown architecture": (lambda f: edit_config(f, model_type="mamba"), UsageError,
                             "model_type='mamba' is not an architecture that petit knows"),
    "another config": (lambda f: edit_config(f, num_hidden_layers=3), DamagedError,
                       r"'model\.layers\.2\.[a-z0-9_.]+' \(and 13 more\) is missing"),
    "too many tokens": (lambda f: word_tokenizer(102).save(f), DamagedError,
                        "the tokenizer has ids up to 101 and the embedding only 101 rows"),
    "tokenizer not json": (lambda f: (f / "tokenizer.json").write_text("{}"), DamagedError, "no tokenizer that can be"),
    "no prompt shape": (lambda f: edit_config(f, petit={"prompt": [1]}), DamagedError, "is no prompt shape"),
    "unknown prompt shape": (lambda f: edit_config(f, petit={"prompt": "poem"}), DamagedError,
                             "petit.prompt='poem' is no prompt shape"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_one_sentence_before_weights_are_read(case: str, folder: Path) -> None:
    spoil, error, message = BAD[case]
    spoil(folder)
    with pytest.raises(error, match=message) as caught:
        open_checkpoint(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "error", "message"), [
    ("none", NotFoundError, "is not there; give a folder with config.json"),
    ("phi-2", NotFoundError, "it is a preset, which has a shape and no weights"),
    ("model.pt", RefusedError, "is a pickle"),
    ("model.bin", RefusedError, "is a pickle"),
    ("model.safetensors", UsageError, "is one file of a model; give its folder"),
    ("notes.txt", DamagedError, "does not begin as a GGUF file does"),
])
def test_a_path_that_is_no_checkpoint_is_refused(name: str, error: type[PetitError], message: str, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("model.pt", "model.bin", "model.safetensors", "notes.txt"):
        Path(file).write_text("some text")
    with pytest.raises(error, match=message):
        open_checkpoint(name)


def test_a_checkpoint_without_tokenizer_opens_and_says_so_when_asked(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    checkpoint = open_checkpoint(folder)
    with pytest.raises(NotFoundError, match=r"has no tokenizer\.json"):
        checkpoint.tokenizer()


# --- writing: whole or not at all -----------------------------------------------------------------------------------


def test_a_failure_halfway_leaves_the_old_folder_untouched(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    config, weights = CONFIGS["phi"], weights_of(CONFIGS["phi"], seed=1)

    def read(name: str) -> np.ndarray:
        if name == "blocks.1.mlp.up.weight":
            raise KeyboardInterrupt
        return weights[name]

    with pytest.raises(KeyboardInterrupt):
        save_hf(folder, config, read)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_checkpoint_is_replaced_whole(folder: Path) -> None:
    config, weights = CONFIGS["llama-2"], weights_of(CONFIGS["llama-2"])
    save_hf(folder, config, weights.__getitem__, dtype="float32")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert open_checkpoint(folder).config == config
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_folder_with_other_files_is_never_replaced(folder: Path) -> None:
    (folder / "thesis.txt").write_text("three years of work")
    with pytest.raises(UsageError, match=r"holds 'thesis\.txt', which writing here would delete"):
        save_hf(folder, CONFIGS["phi"], weights_of(CONFIGS["phi"]).__getitem__)
    assert (folder / "thesis.txt").read_text() == "three years of work"


def test_values_beyond_float16_are_refused(tmp_path: Path) -> None:
    config, weights = CONFIGS["phi"], weights_of(CONFIGS["phi"])
    weights["ln_final.weight"][3] = 70_000
    with pytest.raises(UsageError, match=r"final_layernorm.weight' has the value 7e\+04, beyond the 65504 of float16"):
        save_hf(tmp_path / "model", config, weights.__getitem__, dtype="float16")
    assert not (tmp_path / "model").exists()
    save_hf(tmp_path / "model", config, weights.__getitem__, dtype="bfloat16")


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"dtype": "int8"}, UsageError, "dtype='int8' cannot be written; choose one of float32"),
    ({"read": lambda _: np.zeros(3)}, ShapeError, r"'embed.weight' has the shape \[3\]; the config asks for \[101, "),
    ({"tokenizer": word_tokenizer(102)}, DamagedError, "ids up to 101 and the embedding only 101 rows"),
])
def test_what_cannot_be_written_is_refused(changes: dict[str, Any], error: type[PetitError], message: str,
                                           tmp_path: Path) -> None:
    config = CONFIGS["phi"]
    with pytest.raises(error, match=message):
        save_hf(**{"folder": tmp_path / "m", "config": config, "read": weights_of(config).__getitem__, **changes})
    assert list(tmp_path.iterdir()) == []


def test_a_moved_folder_reads_the_same(folder: Path, tmp_path: Path) -> None:
    expected = open_checkpoint(folder)
    moved: Checkpoint = open_checkpoint(shutil.move(folder, tmp_path / "elsewhere"))
    for name in expected.names:
        np.testing.assert_array_equal(moved.read(name), weights_of(expected.config)[name])
