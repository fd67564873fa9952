"""The kernels on emulated ARM processors: the same tests, and the golden transcript of an x86."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PI_4, PI_5 = "cortex-a72", "cortex-a76"  # without and with dot product
pytestmark = pytest.mark.slow


def run(cpu: str, *arguments: str, tests: str = "") -> str:
    """Run Python on an emulated processor; skip where that cannot be had."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", tests, *arguments] if tests else list(arguments)
    result = subprocess.run([HERE / "run.sh", cpu, *command], capture_output=True, text=True,
                            env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable})
    if result.returncode == 77:
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.parametrize(("cpu", "isas"), [(PI_4, ["neon", "plain"]), (PI_5, ["neondot", "neon", "plain"])])
def test_each_processor_gets_the_kernels_that_it_can_run(cpu: str, isas: list[str]) -> None:
    code = "from petitlm.engine.kernels import *; print(available_isas(), make_kernels(1).isa)"
    assert run(cpu, "-c", code).strip() == f"{isas} {isas[0]}"


@pytest.mark.parametrize("cpu", [PI_4, PI_5])
@pytest.mark.parametrize("tests", ["tests/parity/test_kernels_twins.py", "tests/parity/test_golden.py",
                                   "tests/unit/test_rotary.py"])
def test_kernels_and_the_golden_transcript(cpu: str, tests: str) -> None:
    assert " passed" in run(cpu, tests=tests)


def test_all_bits_are_the_same_in_whatever_company() -> None:
    assert " passed" in run(PI_5, "-k", "instruction_sets or threads or token_by_token or looking or copied",
                            tests="tests/property/test_engine_bits.py")
