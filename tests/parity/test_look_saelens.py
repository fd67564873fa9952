"""Dictionaries as SAELens 6.54 keeps and computes them (tests/oracles/saelens_golden.py recorded it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from petitlm.look.dictionaries import ARCHITECTURES
from petitlm.look.dictionary_files import CONFIG, WEIGHTS, load_dictionary, save_dictionary

GOLDEN = json.loads((Path(__file__).parent / "saelens.json").read_text())
X = np.array(GOLDEN["x"], np.float32)


def folder_of(golden: dict[str, Any], folder: Path) -> Path:
    folder.mkdir()
    save_file({name: np.array(value, np.float32) for name, value in golden["tensors"].items()}, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(golden["config"]))
    return folder


def test_every_kind_that_is_read_was_recorded() -> None:
    assert {golden["config"]["architecture"] for golden in GOLDEN["kinds"].values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("kind", GOLDEN["kinds"])
def test_features_and_output_are_theirs(kind: str, tmp_path: Path) -> None:
    golden = GOLDEN["kinds"][kind]
    one = load_dictionary(folder_of(golden, tmp_path / "theirs"))
    features = np.array(golden["features"])
    assert 0 < (features > 0).mean() < 0.9
    assert np.array_equal(one.encode(X) > 0, features > 0)
    np.testing.assert_allclose(one.encode(X), features, rtol=1e-5, atol=1e-5)  # sums of six products, two orders
    np.testing.assert_allclose(one.reconstruct(X), golden["output"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", GOLDEN["kinds"])
def test_what_petit_writes_has_the_keys_and_tensors_that_they_write(kind: str, tmp_path: Path) -> None:
    golden = GOLDEN["kinds"][kind]
    save_dictionary(load_dictionary(folder_of(golden, tmp_path / "theirs")), tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / CONFIG).read_text())
    assert config.keys() == golden["config"].keys()
    folded = {"rescale_acts_by_decoder_norm": False}
    rest = {key: value for key, value in golden["config"].items() if key != "metadata"}
    assert {key: value for key, value in config.items() if key != "metadata"} == {
        **rest, **(folded if "rescale_acts_by_decoder_norm" in rest else {})}
    assert golden["config"]["metadata"].items() <= config["metadata"].items()
    tensors = load_file(tmp_path / "ours" / WEIGHTS)
    assert {name: value.shape for name, value in tensors.items()} == {
        name: np.shape(value) for name, value in golden["tensors"].items()}
