"""Figures of a shape, against published and hand-computed ones, and the memory check."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from petitlm import sizes
from petitlm.engine.formats import formats_for, packed_bytes
from petitlm.errors import DoesNotFitError, UsageError
from petitlm.families import PRESETS

PHI = PRESETS["phi-2"]
GIB = 1 << 30


def test_phi_2_has_the_published_figures() -> None:
    assert sizes.n_params(PHI) == 2_779_683_840
    assert sizes.weight_bytes(PHI, 16) == 5_559_367_680  # total_size of the published float16 files
    assert sizes.weight_bytes(PHI, 32) == 11_118_735_360
    assert sizes.kv_bytes_per_token(PHI) == 320 * 1024
    assert sizes.kv_bytes_per_token(PHI, 1) == 160 * 1024


def test_packed_bytes_are_those_of_the_format() -> None:
    """34 bytes for 32 columns in 8 bits, 138 for 256 in 4; embeddings stay in 8; norms and biases are float32."""
    shapes = PHI.tensor_shapes()
    vectors = sum(4 * shape[0] for shape in shapes.values() if len(shape) == 1)
    matrices = sum(math.prod(shape) for shape in shapes.values() if len(shape) == 2)
    embedding = 51200 * 2560
    assert sizes.weight_bytes(PHI, 8) == matrices // 32 * 34 + vectors
    assert sizes.weight_bytes(PHI, 4) == (matrices - embedding) // 256 * 138 + embedding // 32 * 34 + vectors
    packed = sum(packed_bytes(formats_for(4, name) or "f32", *size) for name, size in shapes.items() if len(size) == 2)
    assert sizes.weight_bytes(PHI, 4) == packed + vectors


def test_a_row_is_padded_to_whole_blocks() -> None:
    tiny = PHI.with_(n_layers=1, d_model=40, n_heads=2, n_kv_heads=2, d_head=20, d_mlp=40, n_vocab=10, n_rotary=4)
    per_row = 3 * 8 + 4 + 2  # 40 columns are three groups of one superblock
    rows = 4 * 40 + 2 * 40 + 10
    vectors = 4 * sum(shape[0] for shape in tiny.tensor_shapes().values() if len(shape) == 1)
    assert sizes.weight_bytes(tiny, 4) == rows * per_row + 10 * 2 * 34 + vectors


def test_learned_positions_stay_in_float32() -> None:
    gpt2, rows = PRESETS["gpt2"], 100
    longer = gpt2.with_(n_ctx=gpt2.n_ctx + rows)
    assert sizes.weight_bytes(longer, 4) - sizes.weight_bytes(gpt2, 4) == rows * 768 * 4


def test_other_bits_are_refused() -> None:
    with pytest.raises(UsageError, match="bits=3 is not a weight format; choose one of 4, 8, 16, 32"):
        sizes.weight_bytes(PHI, 3)


def test_grouped_heads_shrink_the_cache() -> None:
    assert sizes.kv_bytes_per_token(PRESETS["llama-3-8b"]) == 2 * 32 * 8 * 128 * 2


@pytest.mark.parametrize("name", ["phi-2", "llama-3.2-1b", "gpt2"])
def test_operations_are_two_for_each_weight_that_is_multiplied(name: str) -> None:
    config = PRESETS[name]
    matrices = sum(math.prod(shape) for weight, shape in config.tensor_shapes().items()
                   if len(shape) == 2 and weight not in ("embed.weight", "pos_embed.weight", "unembed.weight"))
    head = config.n_vocab * config.d_model
    per_position = 4 * config.n_layers * config.n_heads * config.d_head
    assert sizes.flop_per_token(config, 0) == 2 * (matrices + head)
    assert sizes.flop_per_token(config, 100) - sizes.flop_per_token(config, 0) == 100 * per_position
    # The usual rule of thumb, two operations a parameter, holds to a few percent where embeddings are a small part.
    if name == "phi-2":
        assert sizes.flop_per_token(config, 0) == pytest.approx(2 * sizes.n_params(config), rel=0.06)


def test_this_machine_has_memory() -> None:
    assert 1 << 20 < sizes.available_memory() < 1 << 60


def write_group(folder: Path, limit: str, used: int, cached: int) -> Path:
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 0\n")
    return folder


def test_a_containers_limit_counts_and_its_cache_does_not(tmp_path: Path) -> None:
    assert sizes._container_left(tmp_path) is None
    assert sizes._container_left(write_group(tmp_path, "max", 5, 0)) is None
    assert sizes._container_left(write_group(tmp_path, str(4 * GIB), 3 * GIB, GIB)) == 2 * GIB
    assert sizes._container_left(write_group(tmp_path, str(GIB), 3 * GIB, 0)) == 0


def test_the_first_version_of_containers_is_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    for name, text in (("memory.limit_in_bytes", str(2 * GIB)), ("memory.usage_in_bytes", str(GIB)),
                       ("memory.stat", "cache 1")):
        (folder / name).write_text(text)
    assert sizes._container_left(tmp_path) == GIB
    (folder / "memory.limit_in_bytes").write_text(str((1 << 63) - 4096))  # how version 1 writes "no limit"
    assert sizes._container_left(tmp_path) is None


def test_the_systems_estimate_is_read(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   64 kB\n")
    assert sizes._mem_available(tmp_path / "meminfo") == 64 * 1024
    assert sizes._mem_available(tmp_path / "none") is None


def test_what_fits_passes_and_what_does_not_says_what_would() -> None:
    sizes.check_fits(GIB, "phi-2 in 4 bits", available=GIB)
    alternatives = [("8 bits", 3 * GIB), ("4 bits", GIB + GIB // 2)]
    with pytest.raises(DoesNotFitError) as caught:
        sizes.check_fits(5 * GIB, "phi-2 in 16 bits", alternatives, available=2 * GIB)
    assert str(caught.value) == ("phi-2 in 16 bits needs 5 GiB of memory and 2 GiB are available; "
                                 "what fits: 4 bits (1.5 GiB)")
    with pytest.raises(DoesNotFitError, match=r"the smallest way, 4 bits, needs 1\.5 GiB"):
        sizes.check_fits(5 * GIB, "phi-2", alternatives, available=GIB)
    with pytest.raises(DoesNotFitError, match="close other programs"):
        sizes.check_fits(5 * GIB, "phi-2", available=GIB)


@pytest.mark.parametrize(("n", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1536, "1.5 KiB"), (320 * 1024, "320 KiB"),
                                         (1 << 30, "1 GiB"), (5 << 40, "5 TiB"), (3000 << 40, "3000 TiB")])
def test_sizes_are_written_for_people(n: int, text: str) -> None:
    assert sizes.size_text(n) == text
