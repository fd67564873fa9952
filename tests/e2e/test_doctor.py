"""The real `petit doctor`: figures that agree with each other, and with what is known of the models."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.command import Petit


def test_the_report_is_consistent(petit: Petit, tiny_folder: Path) -> None:
    done = petit("doctor", tiny_folder, "phi-2", "gpt3-175b", "--bits", "4", "--bits", "8", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["system"]["cores_usable"] >= 1
    assert report["kernels"]["used"] in (None, *report["kernels"]["available"])
    models = {(row["model"], row["bits"]): row for row in report["models"]}
    assert set(models) == {(name, bits) for name in (tiny_folder.name, "phi-2", "gpt3-175b") for bits in (4, 8)}
    for row in models.values():
        needed, available = row["weight_bytes"] + row["cache_bytes"], report["system"]["memory_available_bytes"]
        assert row["fits"] is (None if available is None else needed <= available)
        assert not row["fits"] or row["context_that_fits"] == row["n_ctx"]
        assert bool(row["speeds"]) == (report["kernels"]["used"] is not None and row["context_that_fits"] != 0)
        for speed in row["speeds"]:
            assert 1 <= speed["context"] <= row["n_ctx"]
            assert min(speed["prefill_tokens_per_s"], speed["decode_tokens_per_s"]) > 0
    assert models["phi-2", 4]["weight_bytes"] < models["phi-2", 8]["weight_bytes"]
    if report["kernels"]["used"]:
        assert min(report["read_bytes_per_s"].values()) > 1e8
        assert {row["format"] for row in report["matmul"]} == {"q4", "q8", "f16", "f32"}
        tiny, large = models[tiny_folder.name, 4]["speeds"][0], models["phi-2", 4]["speeds"]
        assert not large or tiny["decode_tokens_per_s"] > large[0]["decode_tokens_per_s"]


def test_without_models_it_lists_the_published_shapes_and_says_what_is_wrong(petit: Petit) -> None:
    done = petit("doctor", "--threads", "1", "--context", "100")
    assert done.returncode == 0, done.stderr
    for said in ("processor ", "memory ", "petit's own model ", "phi-2 ", "llama-3-8b ", "gpt3-175b ", "decode"):
        assert said in done.stdout


def test_a_model_that_is_not_there_and_wrong_options_are_said(petit: Petit) -> None:
    done = petit("doctor", "phi-3")
    assert (done.returncode, done.stdout) == (3, "")
    assert "phi-3 is neither a file or folder nor a published shape; did you mean phi-2" in done.stderr
    assert petit("doctor", "--bits", "5").returncode == 2
