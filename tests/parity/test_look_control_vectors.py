"""Control vectors in GGUF: read by others, read from others, and added where llama.cpp adds them."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

import petitlm
from petitlm.checkpoint import open_checkpoint, save_hf
from petitlm.config import ModelConfig
from petitlm.engine.gguf_export import export_gguf
from petitlm.errors import ConfigError, DamagedError, NotFoundError, UsageError
from petitlm.look.directions import Direction, load_direction, save_direction
from petitlm.tokenizer import Tokenizer
from tests_peers import llama_control_vector, llama_logits, llama_steered_logits
from tests_shapes import random_weights

COMMON = dict(n_layers=4, d_model=128, n_heads=4, d_head=32, d_mlp=256, n_vocab=384, n_ctx=64, bos_id=256, eos_id=256)
CONFIGS = {
    "phi2": ModelConfig(**COMMON, n_rotary=16, unembed_bias=True),
    "llama": ModelConfig(**COMMON, n_rotary=32, norm="rms", norm_eps=1e-6, parallel_block=False, gated_mlp=True,
                         activation="silu", qkv_bias=False, out_bias=False, mlp_bias=False, family="llama"),
    "gpt2": ModelConfig(**COMMON, positions="learned", parallel_block=False, tied=True, family="gpt"),
}


def direction(blocks: tuple[int, ...] = (1, 3), d_model: int = 128) -> Direction:
    rng = np.random.default_rng(8)
    return Direction({block: rng.normal(0, 2, d_model).astype(np.float32) for block in blocks}, "mean", "abc")


@pytest.mark.parametrize("name", CONFIGS)
def test_llama_cpp_adds_it_where_petit_does(name: str, byte_tokenizer: Tokenizer, tmp_path: Path) -> None:
    config, found = CONFIGS[name], direction()
    save_hf(tmp_path / "hf", config, random_weights(config).__getitem__, byte_tokenizer, dtype="float32")
    export_gguf(open_checkpoint(tmp_path / "hf"), tmp_path / "m.gguf", "f32")
    save_direction(tmp_path / "v.gguf", found, config)
    theirs = llama_control_vector(tmp_path / "v.gguf", 1.5)
    assert theirs.shape == (3, 128)
    np.testing.assert_array_equal(theirs, np.stack([1.5 * found.values[1], np.zeros(128), 1.5 * found.values[3]]))
    ids = np.random.default_rng(3).integers(0, 256, 30).tolist()
    steered = llama_steered_logits(tmp_path / "m.gguf", ids, theirs, 1, 3)
    model = petitlm.load(tmp_path / "m.gguf", bits=32, threads=1)
    ours = model.trace(ids, edits=found.edits(1.5)).logits
    # The bar of unsteered logits in float32; steering itself moves them by some thousand times as much.
    assert np.sqrt(np.mean((steered - ours) ** 2)) < 3e-3 * ours.std()
    plain, _ = llama_logits(tmp_path / "m.gguf", ids, "x")
    assert np.sqrt(np.mean((plain - ours) ** 2)) > 0.1 * ours.std()


def test_the_gguf_library_reads_what_is_written(tmp_path: Path) -> None:
    found = direction((1, 2))
    save_direction(tmp_path / "v.gguf", found, CONFIGS["phi2"])
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.model_hint"].contents() == "phi2"
    assert reader.fields["controlvector.layer_count"].contents() == 2
    assert [t.name for t in reader.tensors] == ["direction.1", "direction.2"]
    for tensor, value in zip(reader.tensors, found.values.values(), strict=True):
        np.testing.assert_array_equal(tensor.data, value)
    again = load_direction(tmp_path / "v.gguf", CONFIGS["phi2"])
    assert (again.method, again.digest) == ("mean", "abc")
    np.testing.assert_array_equal(again.values[2], found.values[2])


def test_what_others_write_is_read(tmp_path: Path) -> None:
    """Written by the gguf library in the way of the tools that train such vectors."""
    values = direction((1, 2, 3)).values
    writer = gguf.GGUFWriter(tmp_path / "v.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "phi")
    writer.add_uint32("controlvector.layer_count", 3)
    for block, value in values.items():
        writer.add_tensor(f"direction.{block}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = load_direction(tmp_path / "v.gguf", CONFIGS["phi2"])
    assert list(read.values) == [1, 2, 3]
    assert read.digest == ""
    for block, value in values.items():
        np.testing.assert_array_equal(read.values[block], value)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    config, path = CONFIGS["phi2"], tmp_path / "v.gguf"
    with pytest.raises(UsageError, match="starts at block 1"):
        save_direction(path, direction((0, 1)), config)
    assert not path.exists()
    with pytest.raises(ConfigError, match="cannot be written as GGUF"):
        save_direction(path, direction(), config.with_(activation="relu"))
    save_direction(path, direction(), config)
    with pytest.raises(UsageError, match=r"shape \(128,\) and this model's residual stream 256 numbers"):
        load_direction(path, config.with_(d_model=256, d_head=64))
    with pytest.raises(UsageError, match=r"direction\.3 is for a block that this model does not have \(0 to 2\)"):
        load_direction(path, config.with_(n_layers=3))
    with pytest.raises(NotFoundError, match="is not there"):
        load_direction(tmp_path / "none.gguf", config)
    damaged = Direction({1: np.full(128, np.nan, np.float32)})
    save_direction(path, damaged, config)
    with pytest.raises(DamagedError, match="not finite"):
        load_direction(path, config)
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "controlvector")
    writer.add_tensor("direction.one", np.zeros(128, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(DamagedError, match=r"'direction\.one' is none of a control vector"):
        load_direction(tmp_path / "w.gguf", config)


def test_a_model_is_no_control_vector(byte_tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = CONFIGS["phi2"]
    save_hf(tmp_path / "hf", config, random_weights(config).__getitem__, byte_tokenizer, dtype="float32")
    export_gguf(open_checkpoint(tmp_path / "hf"), tmp_path / "m.gguf", "f32")
    with pytest.raises(UsageError, match="holds 'phi2', not a control vector"):
        load_direction(tmp_path / "m.gguf", config)
