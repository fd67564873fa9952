"""Each processor gets kernels that it can run, and nothing in the library asks for more than it has."""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from petitlm.engine.kernels import available_isas, make_kernels

native = pytest.importorskip("petitlm._kernels", reason="built without a C++ compiler")

AVX2, FMA, F16C, AVXVNNI, AVX512F, AVX512BW, AVX512DQ, AVX512VL, AVX512VNNI, DOTPROD = (1 << i for i in range(10))
BASE, WIDE = (AVX2, FMA, F16C), (AVX512F, AVX512BW, AVX512DQ, AVX512VL, AVX512VNNI)
ON_X86 = platform.machine() in ("x86_64", "AMD64")
on_x86 = pytest.mark.skipif(not ON_X86, reason="about x86 processors")


def test_the_fastest_that_this_processor_has_is_taken() -> None:
    assert make_kernels(1).isa == native.best(native.features()) == available_isas()[0]
    assert available_isas()[-1] == "plain"


@on_x86
@pytest.mark.parametrize("vnni", [0, AVXVNNI])
def test_one_missing_feature_is_enough_to_take_others(vnni: int) -> None:
    """Features masked one by one, and in pairs."""
    everything = sum(BASE) + sum(WIDE) + vnni
    assert native.best(everything) == "avx512"
    for gone in (*((f,) for f in WIDE), *itertools.combinations(WIDE, 2)):
        assert native.best(everything - sum(gone)) in (("avxvnni", "avx2") if vnni else ("avx2",))
    for gone in BASE:
        assert native.best(everything - gone) == "plain"
    assert native.best(sum(WIDE) + vnni) == "plain"


@pytest.mark.skipif(platform.machine() not in ("aarch64", "arm64"), reason="about ARM processors")
def test_arm_without_and_with_dot_product() -> None:
    assert native.best(0) == "neon"
    assert native.best(DOTPROD) == "neondot"


@pytest.fixture(scope="module")
def objects(root: Path) -> Path:
    """The compiled units from which the library was linked: those of the newest build."""
    units = {f"{path.name}.o" for path in (root / "kernels").glob("*.cpp") if "neon" not in path.name}
    folders = {path.parent for path in root.glob("build/*/CMakeFiles/_kernels.dir/isa_avx512.cpp.o")}
    whole = [folder for folder in folders if units <= {path.name for path in folder.iterdir()}]
    if not whole or not shutil.which("objdump"):
        pytest.skip("needs objdump and the object files of all sources, which make setup leaves in build/")
    return max(whole, key=lambda folder: (folder / "isa_avx512.cpp.o").stat().st_mtime)


def instructions(file: Path) -> str:
    command = ["objdump", "-d", "--no-show-raw-insn", file]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@on_x86
@pytest.mark.parametrize(("unit", "beyond"), [
    ("bindings", "AVX"), ("bindings_program", "AVX"), ("program", "AVX"), ("pool", "AVX"), ("dispatch", "AVX"),
    ("isa_plain", "AVX"), ("isa_avx2", "AVX-512"), ("isa_avxvnni", "AVX-512")])
def test_no_unit_holds_instructions_beyond_its_own_set(objects: Path, unit: str, beyond: str) -> None:
    """AVX instructions begin with v and name vector registers; those of AVX-512 have zmm, xmm16 and up, or masks."""
    pattern = r"\tv\w+ .*%[xy]mm" if beyond == "AVX" else r"%zmm|%[xy]mm(?:1[6-9]|2\d|3[01])|%k[0-7]|vpdpbusd.*\{"
    code = instructions(objects / f"{unit}.cpp.o")
    assert len(code) > 1000
    assert not re.search(pattern, code)


@on_x86
def test_the_patterns_find_what_they_look_for(objects: Path) -> None:
    assert re.search(r"\tv\w+ .*%[xy]mm", instructions(objects / "isa_avx2.cpp.o"))
    assert re.search(r"%zmm", instructions(objects / "isa_avx512.cpp.o"))


@on_x86
@pytest.mark.parametrize("isa", ["avx2", "avxvnni", "avx512"])
def test_no_function_of_a_fast_unit_can_stand_in_for_others(objects: Path, isa: str) -> None:
    """The linker keeps one copy of each weak symbol: such a copy, made for AVX-512, would end old processors."""
    symbols = subprocess.run(["nm", "-C", objects / f"isa_{isa}.cpp.o"], capture_output=True, text=True,
                             check=True).stdout
    weak = [line for line in symbols.splitlines() if re.match(r"\w* *[WVu] ", line)]
    assert not [line for line in weak if f"petit::{isa}::" not in line]


@pytest.mark.slow
@on_x86
@pytest.mark.parametrize(("cpu", "isa"), [("Nehalem", "plain"), ("SandyBridge", "plain"), ("Haswell", "avx2")])
def test_old_processors_say_the_same_and_meet_no_unknown_instruction(root: Path, cpu: str, isa: str) -> None:
    """On an emulated processor, which ends the process at the first instruction that it does not have."""
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if not qemu:
        pytest.skip("qemu-x86_64 is missing; install qemu-user-static")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([qemu, "-cpu", cpu, sys.executable, *arguments], capture_output=True, text=True, cwd=root)

    took = run("-c", "from petitlm import _kernels as k; print(k.Engine(2, 'auto').isa)")
    assert (took.returncode, took.stdout.strip()) == (0, isa), took.stderr
    if cpu == "Nehalem" and run("-c", "import numpy").returncode:
        return  # NumPy's own wheel ends here: what petit can do about it is done
    golden = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/parity/test_golden.py")
    assert golden.returncode == 0, golden.stdout[-3000:] + golden.stderr[-3000:]


@pytest.mark.skipif(sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores")
def test_pinned_threads_stay_on_a_core_of_their_own() -> None:
    """In a process of its own: which threads a test run has otherwise is nobody's promise."""
    code = ("import os; from petitlm.engine.kernels import make_kernels; before = set(os.listdir('/proc/self/task')); "
            "kernels = make_kernels(2, pin=True); new = set(os.listdir('/proc/self/task')) - before; "
            "print(*(sorted(os.sched_getaffinity(int(t))) for t in new))")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str([sorted(os.sched_getaffinity(0))[1]])
