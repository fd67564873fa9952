"""Rounding that heeds what weights are multiplied with: losses fall, grids hold, calibration sees what runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.checkpoint import open_checkpoint
from petitlm.decoder import tap_names
from petitlm.engine import q4
from petitlm.engine.calibration import Calibration
from petitlm.engine.formats import Packed, formats_for
from petitlm.engine.kernels import make_kernels
from petitlm.engine.packing import PACKED, quantize
from petitlm.engine.reference import dequantize
from petitlm.engine.rounding import ROUNDINGS, Rounder, damped, gptq, memory
from petitlm.errors import DoesNotFitError, UsageError
from petitlm.safetensors_file import SafetensorsFile

TEXTS = ["The quick brown fox jumps over the lazy dog.", "Le renard brun saute par-dessus le chien paresseux."]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def correlated(columns: int, n: int = 2000) -> np.ndarray:
    """Activations (n, columns) that are alike in groups and of very different sizes."""
    mix = rng().normal(size=(columns // 4 + 1, columns)) * rng().lognormal(0, 1, columns)
    noise = rng().normal(size=(n, columns))
    return (rng().normal(size=(n, len(mix))) @ mix + 0.3 * noise).astype(np.float32)


def stored(w: np.ndarray, data: np.ndarray) -> np.ndarray:
    return dequantize(Packed("q4", *w.shape, data))


def ids_of(folder: Path) -> list[list[int]]:
    tokenizer = open_checkpoint(folder).tokenizer()
    return [tokenizer.encode(text) for text in TEXTS]


@pytest.mark.parametrize("columns", [33, 128, 200, 512])
def test_each_rounding_lowers_what_it_promises_to(columns: int) -> None:
    kernels, w, x = make_kernels(1), rng().normal(0, 0.02, (24, columns)).astype(np.float32), correlated(columns)
    h = x.T @ x / len(x)

    def lost(data: np.ndarray) -> float:
        return float((((w - stored(w, data)) @ x.T) ** 2).sum())

    nearest = lost(kernels.pack(w, "q4")[0])
    importance = lost(kernels.pack(w, "q4", damped(np.diagonal(h)))[0])
    data, error = gptq(w, h, kernels)
    assert importance < 0.95 * nearest
    assert lost(data) < 0.5 * importance
    assert error == pytest.approx(np.linalg.norm(w - stored(w, data)) / np.linalg.norm(w), rel=1e-4)


def test_gptq_with_unrelated_inputs_of_one_size_rounds_to_nearest() -> None:
    """Where H is the identity no column can make good for another, so nothing is to be gained."""
    kernels, w = make_kernels(1), rng().normal(size=(20, 300)).astype(np.float32)
    data, error = gptq(w, np.eye(300, dtype=np.float32), kernels)
    nearest, nearest_error = kernels.pack(w, "q4")
    np.testing.assert_array_equal(data, nearest)
    assert error == pytest.approx(nearest_error, rel=1e-4)


def test_rows_are_rounded_alone_or_together_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, w, x = make_kernels(1), rng().normal(size=(50, 96)).astype(np.float32), correlated(96)
    h = x.T @ x / len(x)
    data, error = gptq(w, h, kernels)
    monkeypatch.setattr("petitlm.engine.rounding._ROWS", 16)
    parts, parts_error = gptq(w, h, kernels)
    assert parts_error == pytest.approx(error, rel=1e-3)
    # products of other sizes are summed in another order: a weight on the edge may fall the other way
    assert np.mean(stored(w, data) != stored(w, parts)) < 0.02


def test_large_moments_are_factored_block_by_block() -> None:
    from petitlm.engine.rounding import _feedback

    h = np.cov(rng().normal(size=(1100, 2200)) * 3, bias=True).astype(np.float32)
    order = rng().permutation(1100)
    a = np.triu(_feedback(h, order), 1).astype(np.float64) + np.eye(1100)
    damped_h = (h + 0.01 * np.diagonal(h).mean() * np.eye(1100, dtype=np.float32))[np.ix_(order, order)]
    middle = np.linalg.solve(a, np.linalg.solve(a, damped_h).T)  # (I + A)^-1 H (I + A)^-T is diagonal
    assert np.abs(middle - np.diag(np.diagonal(middle))).max() < 1e-4 * np.diagonal(middle).min()


def test_gptq_is_the_plain_recursion() -> None:
    """Column by column with the inverse of H, as Frantar et al. write it: the same codes, from another formula."""
    kernels, w, x = make_kernels(1), rng().normal(size=(16, 48)).astype(np.float32), correlated(48)
    h = (x.T @ x / len(x)).astype(np.float32)
    data, _ = gptq(w, h, kernels)
    d, subscales, _ = q4.take_apart(Packed("q4", 16, 48, kernels.pack(w, "q4", damped(np.diagonal(h)))[0]))
    steps = np.repeat(d[:, :1].astype(np.float64) * q4.SIGNED_SUBSCALES[subscales], 16, axis=1)
    order = np.argsort(-np.diagonal(h), kind="stable")
    damp = h.astype(np.float64) + 0.01 * np.diagonal(h).mean() * np.eye(48)
    inverse, left = np.linalg.inv(damp[np.ix_(order, order)]), w[:, order].astype(np.float64)
    expected = np.empty((16, 48))
    for k in range(48):
        step = steps[:, order[k]]
        expected[:, order[k]] = step * np.clip(np.rint(left[:, k] / step), -8, 7)
        error = (left[:, k] - expected[:, order[k]]) / inverse[0, 0]
        left[:, k:] -= np.outer(error, inverse[0])
        inverse = (inverse - np.outer(inverse[:, 0], inverse[0]) / inverse[0, 0])[1:, 1:]
    # float32 against float64: a weight on the edge may fall the other way, and its followers with it
    assert np.mean(stored(w, data) != expected.astype(np.float32)) < 0.02


@pytest.mark.parametrize("h", [np.zeros((40, 40)), np.ones((40, 40)), np.diag([1.0] + 39 * [0.0])],
                         ids=["nothing seen", "all inputs alike", "one input"])
def test_poor_calibration_is_no_trouble(h: np.ndarray) -> None:
    kernels, w = make_kernels(1), rng().normal(size=(16, 40)).astype(np.float32)
    data, error = gptq(w, h.astype(np.float32), kernels)
    assert np.isfinite(stored(w, data)).all()
    assert error < 0.7


@pytest.mark.parametrize("whole", [False, True])
def test_calibration_sees_what_the_model_computes(tiny_folder: Path, whole: bool) -> None:
    """Moments of every matrix's input, against those of the whole model's taps in float32."""
    source, sequences = open_checkpoint(tiny_folder), ids_of(tiny_folder)
    model, config = petitlm.load(tiny_folder, bits=32, threads=1), source.config
    traces = [model.trace(ids, taps=[name for name in tap_names(config) if name.endswith(
        ("hook_normalized", "hook_z", "hook_post"))]) for ids in sequences]
    calibration = Calibration(source, sequences, make_kernels(1), whole)
    inputs = {"attn.q": "ln1.hook_normalized", "attn.o": "attn.hook_z", "mlp.up": "ln1.hook_normalized",
              "mlp.down": "mlp.hook_post"}
    names = [f"blocks.{i}.{part}" for i in range(config.n_layers) for part in inputs] + ["unembed"]
    for name in names:
        _, index, part = name.split(".", 2) if "." in name else ("", "", name)
        tap = "ln_final.hook_normalized" if name == "unembed" else f"blocks.{index}.{inputs[part]}"
        x = np.concatenate([trace[tap].reshape(len(trace.ids), -1) for trace in traces]).astype(np.float64)
        expected = x.T @ x / len(x) if whole else (x * x).mean(0)
        moments = calibration.of(f"{name}.weight")
        assert moments is not None
        # blocks are run with 8-bit weights and activations
        assert np.abs(moments - expected).max() < 0.03 * np.abs(expected).max()
    assert calibration.of("embed.weight") is None


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_packed_folder_says_how_it_was_rounded(tiny_folder: Path, tmp_path: Path, rounding: str) -> None:
    source, sequences = open_checkpoint(tiny_folder), ids_of(tiny_folder)
    report = quantize(source, tmp_path / "q4", 4, 1, rounding=rounding, sequences=sequences)  # type: ignore[arg-type]
    file = SafetensorsFile(tmp_path / "q4" / PACKED)
    assert file.metadata["petit.rounding"] == rounding
    assert set(report["errors"]) == {name for name in source.names if formats_for(4, name)}
    rounder = Rounder(source, rounding, sequences, make_kernels(1))  # type: ignore[arg-type]
    for name in report["errors"]:
        data, error = rounder.pack(name, source.read(name), formats_for(4, name))  # type: ignore[arg-type]
        np.testing.assert_array_equal(file.view(name), data)
        assert report["errors"][name] == error
    model = petitlm.load(tmp_path / "q4", threads=1)
    assert model.generate("The", max_tokens=3).n_generated == 3


def test_rounding_that_cannot_be_is_refused(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_checkpoint(tiny_folder)
    with pytest.raises(UsageError, match="bits=8"):
        quantize(source, tmp_path / "a", 8, 1, rounding="gptq", sequences=[[1, 2]])
    for nothing in ([], [[]]):
        with pytest.raises(UsageError, match="no text to calibrate with"):
            quantize(source, tmp_path / "a", 4, 1, rounding="gptq", sequences=nothing)
    monkeypatch.setattr("petitlm.sizes.available_memory", lambda: memory(source.config, "importance", 2))
    with pytest.raises(DoesNotFitError, match=r"rounding='gptq'.*rounding='importance'"):
        quantize(source, tmp_path / "a", 4, 1, rounding="gptq", sequences=[[1, 2]])
    assert not list(tmp_path.iterdir())


def test_the_command_rounds_by_a_file_of_text(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from click.testing import CliRunner

    from petitlm.cli.quantize import command

    text = tmp_path / "text.txt"
    text.write_text(" ".join(TEXTS * 20))
    done = CliRunner().invoke(command, [str(tiny_folder), str(tmp_path / "out"), "--calibration", str(text), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rounding"] == "gptq"
    text.write_text("")
    for options, match in ((["--calibration", str(text)], "holds no text"),
                           (["--calibration", str(text), "--rounding", "nearest"], "need no text"),
                           (["--rounding", "gptq", "--bits", "8"], "bits=8")):
        done = CliRunner().invoke(command, [str(tiny_folder), str(tmp_path / "no"), *options])
        assert isinstance(done.exception, UsageError) and match in str(done.exception)
    assert not (tmp_path / "no").exists()
