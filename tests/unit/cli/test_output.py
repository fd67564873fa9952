"""What commands print, in JSON's own types and in columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.cli.output import plain, print_columns, print_json, progress, si_text


@dataclass
class Pair:
    name: str
    values: tuple[float, ...]


def test_values_become_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"pair": Pair("é", (1.5, float("nan"))), 3: Path("a/b"), "array": np.arange(3, dtype=np.int32),
                "scalar": np.float32(0.5), "none": None, "set": {"x": [True]}})
    assert json.loads(capsys.readouterr().out) == {
        "pair": {"name": "é", "values": [1.5, None]}, "3": "a/b", "array": [0, 1, 2], "scalar": 0.5, "none": None,
        "set": {"x": [True]}}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_everything_plain_is_valid_json(value: object) -> None:
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize(("n", "text"), [
    (0, "0 "), (999, "999 "), (1000, "1.00 k"), (2_779_683_840, "2.78 G"), (45_200, "45.2 k"), (1.4e12, "1.40 T"),
])
def test_counts_have_decimal_prefixes(n: float, text: str) -> None:
    assert si_text(n) == text


def test_columns_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns([("a", "1", "x"), ("long", "1000", "")])
    assert capsys.readouterr().out == "a        1  x\nlong  1000\n"


def test_progress_without_a_terminal_is_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("packing") as report:
        for i in range(101):
            report(i, 100, f"weight {i}")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("packing: 0 of 100")
    assert lines[-1].startswith("packing: 100 of 100")
