"""The machine as its system describes it: processor, cores, caches, memory, limits, and what stands in its way.

Everything is read from /proc and /sys, under a root that tests replace; None stands for what the system does not say.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from petitlm import sizes
from petitlm.evals.conditions import machine

FEATURES = ("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8",
            "asimd", "asimddp", "i8mm", "sve")
"""Processor features that decide how fast low-bit arithmetic can be."""


@dataclass(frozen=True)
class System:
    """What is known of a machine before anything is measured."""

    processor: str
    architecture: str
    features: tuple[str, ...]
    """Those of FEATURES that the processor has; empty where unknown."""
    cores: int | None
    """Logical cores of the machine."""
    cores_physical: int | None
    """Cores with arithmetic units of their own: two logical ones may share them."""
    cores_usable: int
    """Logical cores that this process may use."""
    core_quota: float | None
    """Cores' worth of time that a container grants, if it limits it."""
    caches: dict[str, int]
    """Bytes of each cache of the first core, by name (L1d, L2, L3)."""
    memory_bytes: int | None
    memory_available_bytes: int | None
    memory_limit_bytes: int | None
    """What a container grants, if it limits it."""
    swap_used_bytes: int | None
    governor: str | None
    """How the system sets the clock."""
    huge_pages: str | None
    """always, madvise (programs may ask) or never."""

    @property
    def last_cache_bytes(self) -> int | None:
        """Size of the largest cache: smaller weights stay in it between two tokens."""
        return max(self.caches.values(), default=None)


def read_system(root: Path = Path("/")) -> System:
    """Return the description of this machine, or of the one whose /proc and /sys lie under `root`."""
    cpuinfo, cpu = _text(root / "proc/cpuinfo") or "", root / "sys/devices/system/cpu"
    meminfo, facts = _meminfo(root / "proc/meminfo"), machine()
    here = root == Path("/")
    available = meminfo.get("MemAvailable")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = sum(line.startswith("processor") for line in cpuinfo.splitlines()) or None
    swap = meminfo["SwapTotal"] - meminfo["SwapFree"] if {"SwapTotal", "SwapFree"} <= meminfo.keys() else None
    return System(
        processor=_processor(cpuinfo) or facts["processor"], architecture=platform.machine(),
        features=_features(cpuinfo), cores=cores or (os.cpu_count() if here else None),
        cores_physical=_physical(cpuinfo), cores_usable=usable if here else cores or 1, core_quota=_quota(root),
        caches=_caches(cpu / "cpu0/cache"),
        memory_bytes=meminfo.get("MemTotal") or (facts["memory_bytes"] if here else None),
        memory_available_bytes=sizes.available_memory() if here and available is not None else available,
        memory_limit_bytes=_limit(root), swap_used_bytes=swap,
        governor=_text(cpu / "cpu0/cpufreq/scaling_governor"),
        huge_pages=_chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")))


def problems(system: System) -> list[str]:
    """Return a sentence for each thing that costs speed or memory here, with what to do about it."""
    found: list[str] = []
    cores = system.cores or system.cores_usable
    if system.cores_usable < cores:
        found.append(f"This process may use {system.cores_usable} of {cores} cores: start it without taskset, or give "
                     "its container more.")
    if system.cores == 1:
        found.append("There is one core: prefill and small models run on it alone; a second one would nearly halve "
                     "their time.")
    if system.core_quota is not None and system.core_quota < system.cores_usable:
        found.append(f"The container grants {system.core_quota:g} cores' worth of time on {system.cores_usable} cores: "
                     f"raise its cpu limit, or compute with --threads {max(1, int(system.core_quota))}.")
    if system.memory_limit_bytes and system.memory_bytes and system.memory_limit_bytes < system.memory_bytes:
        found.append(f"The container grants {sizes.size_text(system.memory_limit_bytes)} of the machine's "
                     f"{sizes.size_text(system.memory_bytes)}: raise its memory limit for larger models.")
    if system.swap_used_bytes and system.swap_used_bytes > 64 << 20:
        found.append(f"{sizes.size_text(system.swap_used_bytes)} are swapped out: close other programs, since weights "
                     "that are swapped come back at the speed of the disk.")
    if system.governor == "powersave":
        found.append("The clock governor is powersave: while speed matters more than the battery, set performance "
                     "(sudo cpupower frequency-set -g performance).")
    if system.huge_pages == "never":
        found.append("Huge pages are off: allow them (echo madvise | sudo tee "
                     "/sys/kernel/mm/transparent_hugepage/enabled), so that long reads look up fewer addresses.")
    return found


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _meminfo(file: Path) -> dict[str, int]:
    """Return the lines of /proc/meminfo that are in kB, in bytes."""
    pairs = (line.split(":") for line in (_text(file) or "").splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def _values(cpuinfo: str, *names: str) -> list[str]:
    """Return the values of all lines of /proc/cpuinfo with one of these names."""
    pairs = (line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    return [value.strip() for name, value in pairs if name.strip() in names]


def _processor(cpuinfo: str) -> str | None:
    return next(iter(_values(cpuinfo, "model name", "Model")), None)


def _features(cpuinfo: str) -> tuple[str, ...]:
    flags = set(next(iter(_values(cpuinfo, "flags", "Features")), "").split())
    return tuple(name for name in FEATURES if name in flags)


def _physical(cpuinfo: str) -> int | None:
    """Return the number of different (socket, core) pairs; ARM kernels do not list them."""
    cores = list(zip(_values(cpuinfo, "physical id"), _values(cpuinfo, "core id"), strict=False))
    return len(set(cores)) or None


def _quota(root: Path) -> float | None:
    """Return the processor time that cgroups grant per unit of time (version 2, then 1); None without a limit."""
    group = root / "sys/fs/cgroup"
    limit = _text(group / "cpu.max")
    parts = limit.split() if limit else [_text(group / f"cpu/cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
    try:
        quota, period = (int(part) for part in parts)
    except ValueError:  # "max", or nothing
        return None
    return quota / period if quota > 0 and period > 0 else None


def _limit(root: Path) -> int | None:
    group = root / "sys/fs/cgroup"
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _text(group / name)
        if text and text.isdigit() and int(text) < 1 << 60:  # version 1 writes "no limit" as a huge number
            return int(text)
    return None


def _caches(folder: Path) -> dict[str, int]:
    caches: dict[str, int] = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = (_text(index / name) for name in ("level", "type", "size"))
        if level and size and kind != "Instruction" and size[:-1].isdigit():
            unit = {"K": 1 << 10, "M": 1 << 20}.get(size[-1])
            if unit:
                caches[f"L{level}{'d' if kind == 'Data' else ''}"] = int(size[:-1]) * unit
    return caches


def _chosen(text: str | None) -> str | None:
    """Return the word in brackets: `always [madvise] never` is madvise."""
    return text.partition("[")[2].partition("]")[0] or None if text else None
