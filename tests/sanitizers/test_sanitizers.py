"""The kernels do nothing undefined: their tests again, with the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("tests", [
    ["tests/parity/test_kernels_twins.py"], ["tests/parity/test_golden.py"],
    ["tests/parity/test_data_bpe.py", "tests/parity/test_data_search.py", "tests/parity/test_data_repeats.py",
     "-m", "not slow"],
], ids=["kernels", "golden", "text"])  # fmt: skip
def test_kernels_under_sanitizers(tests: list[str]) -> None:
    # -s, or the report is lost
    command = [HERE / "run.sh", "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *tests]
    result = subprocess.run(command, capture_output=True, text=True,
                            env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable})
    if result.returncode == 77:
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert " passed" in result.stdout
