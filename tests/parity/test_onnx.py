"""ONNX graphs that petit writes, run by ONNX Runtime: equal logits, cached or not, batched or not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import petitlm
from petitlm.checkpoint import Checkpoint, open_checkpoint, save_hf
from petitlm.config import ModelConfig, RopeScaling
from petitlm.decoder import tap_names
from petitlm.errors import UsageError
from petitlm.loading import DEFAULT_MODEL
from petitlm.onnx import export_onnx
from petitlm.tokenizer import Tokenizer
from tests_shapes import SHAPES, random_weights

CONFIGS = {
    "phi": SHAPES["phi"],
    "phi, kv groups, tied": SHAPES["phi, kv groups, tied"],
    "phi, stretched": SHAPES["phi"].with_(rope_scaling=RopeScaling("yarn", 4.0, 20)),
    "llama": SHAPES["llama"].with_(family="llama"),
    "gpt": SHAPES["gpt"].with_(family="gpt"),
    "gpt, gelu": SHAPES["gpt, gelu"].with_(family="gpt"),
}
CONFIGS = {name: config.with_(n_vocab=260, bos_id=256, eos_id=256) for name, config in CONFIGS.items()}
IDS = np.random.default_rng(5).integers(0, 256, (2, 21))


class Session:
    """A graph in ONNX Runtime, and the cache that it gave back last."""

    def __init__(self, folder: Path, config: ModelConfig) -> None:
        self.config = config
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.cache: dict[str, np.ndarray] = {}

    def run(self, ids: np.ndarray, mask: np.ndarray | None = None, positions: np.ndarray | None = None) -> np.ndarray:
        """Return the logits of new tokens, (B, T, V), given those of the calls before."""
        n, t = ids.shape
        c, empty = self.config, np.zeros((n, self.config.n_kv_heads, 0, self.config.d_head), np.float32)
        past = self.cache or {f"past_key_values.{i}.{part}": empty for i in range(c.n_layers)
                              for part in ("key", "value")}
        before = past["past_key_values.0.key"].shape[2]
        mask = np.ones((n, before + t), np.int64) if mask is None else mask
        positions = np.tile(np.arange(before, before + t), (n, 1)) if positions is None else positions
        out = self.session.run(None, {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past})
        self.cache = {name.replace("present", "past_key_values"): value
                      for name, value in zip(self.names[1:], out[1:], strict=True)}
        return out[0]


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.abs(ours - theirs).max() <= 1e-4 * np.abs(ours).max())


@pytest.fixture
def checkpoint(tmp_path: Path, byte_tokenizer: Tokenizer):
    def write(config: ModelConfig) -> Checkpoint:
        weights = {name: w.astype(np.float16).astype(np.float32) for name, w in random_weights(config).items()}
        save_hf(tmp_path / "hf", config, weights.__getitem__, byte_tokenizer, dtype="float32")
        return open_checkpoint(tmp_path / "hf")

    return write


@pytest.mark.parametrize("kind", ["f32", "f16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_onnx_runtime_computes_what_petit_computes(name: str, kind: str, checkpoint, tmp_path: Path) -> None:
    """Weights that float16 holds: then 16 bits must cost nothing."""
    config = CONFIGS[name]
    export_onnx(checkpoint(config), tmp_path / "onnx", kind)
    onnx.checker.check_model(str(tmp_path / "onnx" / "model.onnx"), full_check=True)
    ours = petitlm.load(tmp_path / "hf", bits=32, threads=1)
    logits = np.stack([ours.logits(row) for row in IDS.tolist()])
    assert close(logits, Session(tmp_path / "onnx", config).run(IDS))
    stepwise = Session(tmp_path / "onnx", config)
    parts = [stepwise.run(IDS[:, begin:end]) for begin, end in ((0, 9), (9, 10), (10, 11), (11, 21))]
    assert close(logits, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("name", CONFIGS)
def test_padding_in_front_changes_nothing(name: str, checkpoint, tmp_path: Path) -> None:
    config = CONFIGS[name]
    export_onnx(checkpoint(config), tmp_path / "onnx")
    alone = Session(tmp_path / "onnx", config).run(IDS[:1, :15])
    padded, mask, positions = IDS.copy(), np.ones_like(IDS), np.tile(np.arange(21), (2, 1))
    padded[0], mask[0, :6], positions[0] = 256, 0, np.maximum(np.arange(21) - 6, 0)
    padded[0, 6:] = IDS[0, :15]
    session = Session(tmp_path / "onnx", config)
    logits = session.run(padded, mask, positions)
    assert np.isfinite(logits).all()
    assert close(alone[0], logits[0, 6:])
    # ... and neither does a token that follows, alone or in the batch
    single = Session(tmp_path / "onnx", config)
    single.run(IDS[:1, :15])
    mask, positions = np.concatenate([mask, [[1], [1]]], axis=1), np.array([[15], [21]])
    assert close(single.run(IDS[:1, 15:16])[0], session.run(IDS[:, 15:16], mask, positions)[0])


@pytest.mark.parametrize("inline_bytes", [0, 1 << 30], ids=["weights beside", "weights inside"])
def test_the_default_model_gives_the_same_answers(inline_bytes: int, tmp_path: Path) -> None:
    source, model = open_checkpoint(DEFAULT_MODEL), petitlm.load(bits=32, threads=1)
    report = export_onnx(source, tmp_path / "onnx", inline_bytes=inline_bytes)
    assert (tmp_path / "onnx" / "model.onnx_data").exists() == (inline_bytes == 0)
    assert report["bytes"] == sum(file.stat().st_size for file in (tmp_path / "onnx").iterdir())
    tokenizer = Tokenizer.load(tmp_path / "onnx")
    for question in ("What is 12 + 30?", "Combien font 7 + 5 ?", "Who are you?"):
        prompt = f"Question: {question}\nAnswer:"
        ids, answer = tokenizer.encode(prompt), []
        session, new = Session(tmp_path / "onnx", source.config), np.array([ids])
        while len(answer) < 24:
            logits = session.run(new)[0, -1]
            best = int(np.where(model.forbidden, -np.inf, logits).argmax())
            if best == tokenizer.eos_id:
                break
            answer.append(best)
            new = np.array([[best]])
        ours = model.generate(prompt, max_tokens=24)
        assert tokenizer.decode(answer) == ours.text
        assert answer


def test_values_inside_have_the_names_of_the_taps(checkpoint, tmp_path: Path) -> None:
    for name in ("phi", "llama", "gpt"):
        config = CONFIGS[name]
        export_onnx(checkpoint(config), tmp_path / name)
        graph = onnx.load(str(tmp_path / name / "model.onnx")).graph
        named = {output for node in graph.node for output in node.output}
        # one value at two taps has the first name; keys that are kept have the cache's
        missing = set(tap_names(config)) - named
        assert not {tap for tap in missing if not tap.endswith("hook_resid_pre")}, missing


def test_without_the_package_the_error_names_the_extra(checkpoint, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"install petitlm\[onnx\]"):
        export_onnx(checkpoint(CONFIGS["phi"]), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_a_weight_beyond_float16_is_refused_and_nothing_is_left(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    weights = random_weights(CONFIGS["phi"])
    weights["blocks.1.mlp.up.weight"][3, 4] = 1e6
    save_hf(tmp_path / "hf", CONFIGS["phi"], weights.__getitem__, byte_tokenizer, dtype="float32")
    for inline_bytes in (0, 1 << 30):
        with pytest.raises(UsageError, match=r"blocks.1.mlp.up.weight.*1e\+06, beyond the 65504 .* choose type f32"):
            export_onnx(open_checkpoint(tmp_path / "hf"), tmp_path / "onnx", "f16", inline_bytes=inline_bytes)
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]
