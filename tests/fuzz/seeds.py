"""Writes the first inputs of each target into tests/fuzz/corpus: small whole files of every kind.

    python tests/fuzz/seeds.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from fuzz.targets import WORDS, letters
from petitlm.checkpoint import open_checkpoint, save_hf
from petitlm.config import ModelConfig, RopeScaling
from petitlm.engine.packing import PACKED, quantize
from petitlm.families import PRESETS, gguf_names
from petitlm.safetensors_file import DTYPES, TensorSpec, write_safetensors

CORPUS = Path(__file__).parent / "corpus"
TINY: dict[str, Any] = {"n_layers": 1, "d_model": 8, "n_heads": 2, "d_head": 4, "n_kv_heads": 2, "d_mlp": 8,
                        "n_vocab": 5, "n_ctx": 8, "bos_id": 0, "eos_id": 0}
CONFIGS = {
    "phi": PRESETS["phi-2"].with_(**TINY, n_rotary=4),
    "llama": PRESETS["llama-2-7b"].with_(**{**TINY, "n_kv_heads": 1}, n_rotary=4,
                                         rope_scaling=RopeScaling("llama3", 2.0, 4)),
    "gpt": PRESETS["gpt2"].with_(**TINY),
}
PIECES = ["<unk>", "\N{LOWER ONE EIGHTH BLOCK}", "a", "b", "ab"]


def write_seeds() -> None:
    """Write every seed."""
    for name in ("safetensors", "gguf", "packed"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    every = [TensorSpec(f"t{i}", dtype, (i % 3, 2)[: i % 3]) for i, dtype in enumerate(DTYPES)]
    write_safetensors(CORPUS / "safetensors" / "every_type", every, lambda name: bytes(_size(every, name)), {"a": "b"})
    one = [TensorSpec("w", "F32", (2, 3))]
    write_safetensors(CORPUS / "safetensors" / "one_tensor", one, lambda _: np.ones((2, 3), np.float32))
    write_safetensors(CORPUS / "safetensors" / "none", [], lambda _: b"")
    for name, config in CONFIGS.items():
        for bits in (4, 8, 32):
            (CORPUS / "packed" / f"{name}_{bits}").write_bytes(_packed(config, bits))
    endless = (CORPUS / "packed" / "phi_32").read_bytes()
    endless = endless.replace(b'"max_position_embeddings": 8', b'"max_position_embeddings": 2147483647')
    (CORPUS / "packed" / "refused-context_of_two_billion").write_bytes(endless)
    Q = gguf.GGMLQuantizationType
    for name, architecture, form in (("phi", "phi2", Q.Q4_0), ("llama", "llama", Q.F32), ("gpt", "gpt2", Q.F16)):
        wide = CONFIGS[name].with_(d_model=32, d_head=16, d_mlp=32) if form == Q.Q4_0 else CONFIGS[name]
        _gguf(CORPUS / "gguf" / f"{name}_{form.name.lower()}", architecture, wide.with_(rope_scaling=None), form)


def _size(specs: list[TensorSpec], name: str) -> int:
    return next(spec.n_bytes for spec in specs if spec.name == name)


def _weights(config: ModelConfig) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.tensor_shapes().items()}


def _packed(config: ModelConfig, bits: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save_hf(Path(folder) / "hf", config, _weights(config).__getitem__, letters(), dtype="float32")
        quantize(open_checkpoint(Path(folder) / "hf"), Path(folder) / "packed", bits, threads=1)
        values = json.loads((Path(folder) / "packed" / "config.json").read_text())
        return json.dumps(values).encode() + b"\0" + (Path(folder) / "packed" / PACKED).read_bytes()


def _gguf(path: Path, architecture: str, config: ModelConfig, form: gguf.GGMLQuantizationType) -> None:
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
    if architecture == "llama":
        writer.add_tokenizer_model("llama")
        writer.add_token_list(PIECES)
        writer.add_token_scores([0.0, -1.0, -2.0, -3.0, -4.0])
        writer.add_token_types([2, 1, 1, 1, 1])
        writer.add_add_bos_token(True)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(list(WORDS))
        writer.add_token_types([3, 1, 1, 1, 1])
        writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    rng = np.random.default_rng(0)
    for name, shape in {source.name: source.shape for source in gguf_names(config).values()}.items():
        values = rng.standard_normal(shape).astype(np.float32)
        kind = form if len(shape) == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write_seeds()
