"""What /proc and /sys say of a machine, read from made-up ones, and the sentences about problems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from petitlm.evals import conditions
from petitlm.evals.doctor import Subject, judge
from petitlm.evals.system import System, problems, read_system
from petitlm.families import PRESETS

CPUINFO = """\
processor\t: 0
model name\t: Example 9000
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu sse4_2 avx2 fma f16c avx512f avx512_vnni

processor\t: 1
model name\t: Example 9000
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu sse4_2 avx2 fma f16c avx512f avx512_vnni
"""
ARM_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 asimddp

processor\t: 1
Features\t: fp asimd evtstrm crc32 asimddp

Model\t\t: Example Board 5
"""
FILES = {
    "proc/cpuinfo": CPUINFO,
    "proc/meminfo": "MemTotal:       8000000 kB\nMemAvailable:   6000000 kB\n"
                    "SwapTotal:  2000000 kB\nSwapFree:  1500000 kB\nHugePages_Total:       0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/memory.max": "4294967296\n",
    "sys/devices/system/cpu/cpu0/cache/index0/level": "1\n",
    "sys/devices/system/cpu/cpu0/cache/index0/type": "Data\n",
    "sys/devices/system/cpu/cpu0/cache/index0/size": "48K\n",
    "sys/devices/system/cpu/cpu0/cache/index1/level": "1\n",
    "sys/devices/system/cpu/cpu0/cache/index1/type": "Instruction\n",
    "sys/devices/system/cpu/cpu0/cache/index1/size": "32K\n",
    "sys/devices/system/cpu/cpu0/cache/index3/level": "3\n",
    "sys/devices/system/cpu/cpu0/cache/index3/type": "Unified\n",
    "sys/devices/system/cpu/cpu0/cache/index3/size": "32M\n",
}


def machine_of(root: Path, files: dict[str, str]) -> System:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_system(root)


def test_a_machine_is_read(tmp_path: Path) -> None:
    system = machine_of(tmp_path, FILES)
    assert (system.processor, system.features) == ("Example 9000", ("avx2", "fma", "f16c", "avx512f", "avx512_vnni"))
    assert (system.cores, system.cores_physical, system.core_quota) == (2, 1, 1.5)
    assert system.caches == {"L1d": 48 << 10, "L3": 32 << 20}
    assert system.last_cache_bytes == 32 << 20
    assert (system.memory_bytes, system.memory_available_bytes) == (8_000_000 << 10, 6_000_000 << 10)
    assert (system.memory_limit_bytes, system.swap_used_bytes) == (4 << 30, 500_000 << 10)
    assert (system.governor, system.huge_pages) == ("powersave", "never")


def test_an_arm_board_is_read(tmp_path: Path) -> None:
    system = machine_of(tmp_path, {"proc/cpuinfo": ARM_CPUINFO})
    assert (system.processor, system.features) == ("Example Board 5", ("asimd", "asimddp"))
    assert (system.cores, system.cores_physical) == (2, None), "the file does not tell"


def test_what_is_not_said_is_unknown(tmp_path: Path) -> None:
    system = read_system(tmp_path)
    assert system.processor
    assert system.features == ()
    assert system.caches == {}
    assert system.last_cache_bytes is system.memory_bytes is system.memory_limit_bytes is system.core_quota is None
    assert system.swap_used_bytes is system.governor is system.huge_pages is None
    assert problems(system) == [], "nothing known, nothing to say"


def test_the_first_version_of_container_limits_is_read_too(tmp_path: Path) -> None:
    system = machine_of(tmp_path, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                                   "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                                   "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"})
    assert (system.core_quota, system.memory_limit_bytes) == (2.0, 1 << 30)
    unlimited = machine_of(tmp_path, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                                      "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{(1 << 63) - 4096}\n"})
    assert unlimited.core_quota is unlimited.memory_limit_bytes is None
    assert machine_of(tmp_path, {"sys/fs/cgroup/cpu.max": "max 100000\n"}).core_quota is None


def test_each_problem_is_one_sentence_with_what_to_do(tmp_path: Path) -> None:
    found = problems(machine_of(tmp_path, FILES))
    for said in ("The container grants 1.5 cores' worth of time on 2 cores: raise its cpu limit, or compute with "
                 "--threads 1.", "The container grants 4 GiB of the machine's 7.6 GiB: raise",
                 "488 MiB are swapped out: close other programs", "The clock governor is powersave:",
                 "Huge pages are off: allow them"):
        assert [sentence for sentence in found if sentence.startswith(said)], said
    assert len(found) == 5
    assert all(sentence.endswith(".") and ": " in sentence for sentence in found)


@pytest.mark.parametrize(("cores", "usable", "said"), [
    (4, 2, "This process may use 2 of 4 cores"), (1, 1, "There is one core"), (4, 4, None)])
def test_cores_that_are_missing_are_said(tmp_path: Path, cores: int, usable: int, said: str | None) -> None:
    system = System("x", "y", (), cores, None, usable, None, {}, None, None, None, None, None, None)
    assert [sentence.startswith(said or "") for sentence in problems(system)] == [True] * (said is not None)


def test_this_machine_is_read() -> None:
    system = read_system()
    assert system.processor
    assert 1 <= system.cores_usable <= (os.cpu_count() or 1)
    assert (system.cores or 1) >= 1


def test_a_system_without_proc_and_unix_calls_is_unknown_and_no_error(tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows lacks: getrusage, sysconf, affinities, and every file that is read here."""
    monkeypatch.setattr(conditions, "resource", None)
    for name in ("sysconf", "sched_getaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    system = read_system(tmp_path)
    assert system.memory_bytes is system.memory_available_bytes is None
    assert system.cores_usable >= 1
    assert conditions.peak_memory() == 0
    assert conditions.machine()["memory_bytes"] is None
    fit = judge(Subject("phi-2", PRESETS["phi-2"]), 4, system.memory_available_bytes, None, {})
    assert (fit.fits, fit.speeds) == (None, ())
