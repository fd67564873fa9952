"""`petit info`, `quantize`, `convert` and `bench` on a tiny checkpoint."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from e2e.command import Petit

from petitlm.checkpoint import open_checkpoint
from petitlm.config import ModelConfig
from petitlm.families import PRESETS


def test_info_of_phi_2_needs_no_weights(petit: Petit) -> None:
    text = petit("info", "phi-2").stdout
    assert "2,779,683,840" in text
    assert "320 KiB a token in fp16" in text
    value = json.loads(petit("info", "phi-2", "--json").stdout)
    assert value["parameters"] == 2_779_683_840
    assert value["kv_bytes_per_token"] == 320 * 1024
    sizes = {row["bits"]: row["weight_bytes"] for row in value["formats"]}
    assert sizes[16] == 2 * 2_779_683_840
    assert 4.5 < 8 * sizes[4] / 2_779_683_840 < 4.8
    assert all(row["fits"] == (row["with_full_context_bytes"] <= value["available_bytes"]) for row in value["formats"])


@pytest.mark.parametrize("name", ["phi-1", "phi-1.5", "llama-7b", "llama-2-7b", "gpt2", "gpt3-small", "gpt3-175b"])
def test_info_knows_the_published_shapes(petit: Petit, name: str) -> None:
    value = json.loads(petit("info", name, "--json").stdout)
    assert value["config"]["d_model"] == PRESETS[name].d_model
    assert value["path"] is None


def test_info_of_a_folder_reads_its_card(petit: Petit, tiny_folder: Path) -> None:
    done = petit("info", tiny_folder)
    assert "Random weights, for tests." in done.stdout
    assert "264 rows, 257 with text" in done.stdout
    assert petit("info", tiny_folder, "--card").stdout == "# Tiny\n\nRandom weights, for tests.\n\n"


def test_info_can_do_without_a_tokenizer(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.json").unlink()
    done = petit("info", "bare")
    assert "264 rows" in done.stdout
    assert petit("run", "-m", "bare", "hi").returncode == 3


def test_a_packed_folder_answers_as_its_source_does(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    for bits in (4, 8):
        packed = tmp_path / f"q{bits}"
        done = petit("quantize", tiny_folder, packed, "--bits", bits, "--rounding", "nearest", "--json")
        assert done.returncode == 0
        result = json.loads(done.stdout)
        assert result["bytes"] == (packed / "packed.safetensors").stat().st_size
        assert "packing: " in done.stderr, "plain lines where there is no terminal"
        ask = ("Hello", "--max-tokens", 24, "--json")
        direct = json.loads(petit("run", "-m", tiny_folder, "--bits", bits, *ask).stdout)
        value = json.loads(petit("run", "-m", packed, *ask).stdout)
        assert value["bits"] == bits
        assert value["choices"] == direct["choices"]
        assert json.loads(petit("info", packed, "--json").stdout)["packed_bits"] == bits


def test_other_bits_than_the_packed_ones_are_refused(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    petit("quantize", tiny_folder, tmp_path / "q4")
    done = petit("run", "-m", tmp_path / "q4", "--bits", 8, "Hello")
    assert done.returncode == 2
    assert "packed in 4 bits" in done.stderr


@pytest.mark.parametrize("verb", [("quantize",), ("convert", "--to", "hf")])
def test_a_folder_with_other_files_is_never_overwritten(petit: Petit, tiny_folder: Path, tmp_path: Path,
                                                        verb: tuple[str, ...]) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    done = petit(*verb, tiny_folder, "precious")
    assert done.returncode == 2
    assert "thesis.txt" in done.stderr
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("verb", [("quantize",), ("convert", "--to", "hf")])
def test_packed_weights_are_no_source(petit: Petit, tiny_folder: Path, tmp_path: Path, verb: tuple[str, ...]) -> None:
    petit("quantize", tiny_folder, tmp_path / "q4")
    done = petit(*verb, tmp_path / "q4", "again")
    assert done.returncode == 2
    assert "packed" in done.stderr


def test_convert_writes_what_it_read(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    assert petit("convert", tiny_folder, "copy", "--to", "hf", "--dtype", "float32").returncode == 0
    before, after = open_checkpoint(tiny_folder), open_checkpoint(tmp_path / "copy")
    assert after.config == before.config
    assert all(np.array_equal(before.read(name), after.read(name)) for name in before.names)
    assert (after.card, after.prompt) == (before.card, before.prompt)
    assert after.tokenizer().encode("été") == before.tokenizer().encode("été")


def test_convert_reads_gguf(petit: Petit, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    config = PRESETS["gpt2"].with_(n_layers=1, d_model=32, n_heads=2, n_kv_heads=2, d_head=16, d_mlp=64, n_vocab=96,
                                   n_ctx=32)
    _write_gpt2(gguf, tmp_path / "tiny.gguf", config)
    done = petit("convert", "tiny.gguf", "out", "--to", "hf")
    assert done.returncode == 0, done.stderr
    written = open_checkpoint(tmp_path / "out")
    assert written.config.d_model == 32
    assert petit("info", "tiny.gguf").returncode == 0
    assert petit("run", "-m", "tiny.gguf", "ab", "--max-tokens", 2).returncode == 0


def test_convert_writes_gguf_and_runs_it(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    done = petit("convert", tiny_folder, "tiny.gguf", "--type", "q8_0", "--json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert (value["layout"], value["type"]) == ("gguf", "q8_0")
    assert value["bytes"] == (tmp_path / "tiny.gguf").stat().st_size
    assert "converting: " in done.stderr, "plain lines where there is no terminal"
    ask = ("Hello", "--max-tokens", 16, "--json")
    answer = json.loads(petit("run", "-m", "tiny.gguf", *ask).stdout)
    assert answer["bits"] == 8
    assert answer["choices"] == json.loads(petit("run", "-m", tiny_folder, "--bits", 8, *ask).stdout)["choices"]


def test_convert_writes_a_packed_folder_as_gguf(petit: Petit, tiny_folder: Path, tmp_path: Path) -> None:
    petit("quantize", tiny_folder, tmp_path / "q8", "--bits", 8)
    assert petit("convert", "q8", "q8.gguf").returncode == 0
    ask = ("Hello", "--max-tokens", 16, "--json")
    values = [json.loads(petit("run", "-m", model, *ask).stdout) for model in ("q8", "q8.gguf")]
    assert values[0]["choices"] == values[1]["choices"]
    done = petit("convert", "q8", "q4.gguf", "--type", "q4_0")
    assert done.returncode == 2
    assert "these go into GGUF without loss as q8_0" in done.stderr
    assert not (tmp_path / "q4.gguf").exists()


def test_convert_writes_onnx(petit: Petit, tmp_path: Path) -> None:
    done = petit("convert", "default", "petit-onnx", "--to", "onnx", "--dtype", "float16")
    assert done.returncode == 0, done.stderr
    assert re.match(r"petit-onnx: \d+ tensors in f16, 5\.\d MiB", done.stdout)
    names = {path.name for path in (tmp_path / "petit-onnx").iterdir()}
    assert names == {"model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"}


@pytest.mark.parametrize(("args", "message"), [
    (("default", "somewhere"), "add --to hf, gguf or onnx"),
    (("default", "m.gguf", "--type", "bf16"), "--type bf16 is no type of the layout gguf; choose one of f16, f32"),
    (("default", "m", "--to", "hf", "--type", "q4_0"), "--type q4_0 is no type of the layout hf"),
    (("default", ".", "--to", "gguf"), "is a folder, and GGUF is one file"),
])
def test_convert_says_what_it_cannot_write(petit: Petit, tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    done = petit("convert", *args)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def _write_gpt2(gguf, path: Path, config: ModelConfig) -> None:
    from tokenizers import pre_tokenizers

    from petitlm.families import gguf_names

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())[: config.n_vocab - 2]
    writer = gguf.GGUFWriter(str(path), "gpt2")
    writer.add_block_count(config.n_layers)
    writer.add_context_length(config.n_ctx)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_mlp)
    writer.add_head_count(config.n_heads)
    writer.add_layer_norm_eps(config.norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*letters, "ab", "<|endoftext|>"])
    writer.add_token_types([1] * (config.n_vocab - 1) + [3])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(config.n_vocab - 1)
    rng, written = np.random.default_rng(0), set()
    for name, source in gguf_names(config).items():
        if source.name not in written:
            written.add(source.name)
            writer.add_tensor(source.name, rng.normal(0, 0.1, source.shape).astype(np.float32))
        assert name
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_bench_reports_figures_with_their_conditions(petit: Petit, tiny_folder: Path) -> None:
    args = ("bench", "-m", tiny_folder, "--reps", 2, "--prefill", 16, "--ctx", "8,16", "--gen", 8, "--threads", 1)
    value = json.loads(petit(*args, "--json").stdout)
    assert (value["conditions"]["threads"], value["conditions"]["bits"]) == (1, 4)
    assert [row["context"] for row in value["decode"]] == [8, 16]
    for row in value["decode"]:
        assert 0 < row["tokens_per_s"]["low"] <= row["tokens_per_s"]["median"] <= row["tokens_per_s"]["high"]
        assert row["tokens_per_s"]["n"] == 2
    assert value["peak_memory_bytes"] > 1 << 20
    assert value["start_s"] > 0
    text = petit(*args).stdout
    assert all(word in text for word in ("prefill of 16", "decode after 8", "peak memory", "tokens/s", "1 threads"))
