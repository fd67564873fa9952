"""Training a classifier on labelled records: the real spam set, and input that cannot teach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from petitlm.data.quality.linear import Linear
from petitlm.data.quality.training import read_labelled, trained
from petitlm.errors import UsageError


def test_spam_is_told_from_messages_among_friends(shared: Path, tmp_path: Path) -> None:
    given = read_labelled(shared / "data" / "filter" / "sms_spam.jsonl.gz")
    given.labels[:] = ["spam" if label == "spam" else "ham" for label in given.labels]
    model, measured = trained(given)
    assert measured["n"] + measured["n_train"] + measured["n_calibration"] == len(given.texts)
    assert measured["accuracy"] > 0.96  # 87 % are ham: saying ham always gives 0.87
    assert measured["recall"][measured["labels"].index("spam")] > 0.85
    assert measured["ece"] < 0.05
    model.save(tmp_path / "spam.safetensors")
    best, confidence = Linear.load(tmp_path / "spam.safetensors").best(
        ["WINNER!! You have been selected to receive a 900 prize. Call 09061701461 now to claim.", "see you at seven?"])
    assert best == ["spam", "ham"]
    assert confidence.min() > 0.5


def test_records_that_cannot_teach_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join([json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(4)]
                              + ["broken", '{"text": "no label"}']))
    given = read_labelled(path)
    assert given.refused == {"not-json": 1, "no-label": 1}
    with pytest.raises(UsageError, match="label more of them"):
        trained(given)
    path.write_text('{"text": "x", "label": "a"}')
    with pytest.raises(UsageError, match="at least two"):
        trained(read_labelled(path))
    with pytest.raises(UsageError, match="'wrong'"):
        read_labelled(path, label_field="wrong")
