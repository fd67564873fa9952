"""The conditions of a measurement: which machine, what else it was doing, and what the process took."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None


def peak_memory() -> int:
    """Return the largest resident size that this process has had, in bytes; 0 where the system does not say."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def seconds_since_process_start() -> float | None:
    """Return how long this process has existed, to 10 ms; None where the system does not say."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # field 22, in clock ticks
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return uptime - started / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """Return what is known of the machine that a figure was measured on."""
    return {"processor": _processor(), "cores": os.cpu_count(), "memory_bytes": _memory(),
            "system": platform.platform(), "python": platform.python_version(),
            "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


class OtherWork:
    """Cores that other processes take between its creation and `cores()`."""

    def __init__(self) -> None:
        self._start, self._busy, self._own = time.time(), _busy_seconds(), _own_seconds()

    def cores(self) -> float | None:
        """Return the mean number of cores in others' use so far; None where the system does not say."""
        busy = _busy_seconds()
        if math.isnan(busy):
            return None
        others = busy - self._busy - (_own_seconds() - self._own)
        return round(max(0.0, others / max(time.time() - self._start, 1e-9)), 3)


def _busy_seconds() -> float:
    """Return the seconds that all cores together have worked since the machine started; not a number if unknown."""
    try:
        ticks = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    except (OSError, ValueError):
        return math.nan
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # all but idle and waiting for disks


def _own_seconds() -> float:
    return time.process_time()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, platform.processor() or platform.machine())


def _memory() -> int | None:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
