"""What a model costs, computed from its shape alone: parameters, bytes, operations, memory."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from petitlm.config import ModelConfig
from petitlm.errors import DoesNotFitError, UsageError

BITS = (4, 8, 16, 32)
BLOCK = 32
"""Columns that share one float16 scale in the 8-bit format."""


def n_params(config: ModelConfig) -> int:
    """Return the exact number of weights; a tied head counts once."""
    return sum(math.prod(shape) for shape in config.tensor_shapes().values())


def weight_bytes(config: ModelConfig, bits: int) -> int:
    """Return the bytes of all weights, in memory and on disk alike.

    16 and 32 bits store every weight so. 8 bits store matrices in blocks of 32 columns with one float16 scale (8.5
    bits a weight), 4 bits in groups of 16 and superblocks of 256 (4.3125), and both keep norms, biases and learned
    positions in float32; a 4-bit model keeps its embedding in 8 bits. Padding to panels of 16 rows is left out.
    Raises: UsageError for other bits.
    """
    if bits not in BITS:
        raise UsageError(f"bits={bits} is not a weight format; choose one of {', '.join(map(str, BITS))}")
    return sum(tensor_bytes(name, shape, bits) for name, shape in config.tensor_shapes().items())


def tensor_bytes(name: str, shape: tuple[int, ...], bits: int) -> int:
    """Return the bytes of one weight in the format of `weight_bytes`."""
    if bits >= 16:
        return math.prod(shape) * bits // 8
    if len(shape) == 1 or name == "pos_embed.weight":
        return 4 * math.prod(shape)
    rows, columns = shape
    if bits == 4 and name != "embed.weight":  # values and sub-scales in lines of 4 bytes a row, then scales
        return rows * (8 * math.ceil(columns / 16) + 4 * math.ceil(columns / 128) + 2 * math.ceil(columns / 256))
    return rows * math.ceil(columns / BLOCK) * (BLOCK + 2)


def kv_bytes_per_token(config: ModelConfig, bytes_per_value: int = 2) -> int:
    """Return the bytes that one position of one sequence takes in the key and value cache."""
    return 2 * config.n_layers * config.n_kv_heads * config.d_head * bytes_per_value


def flop_per_token(config: ModelConfig, context: int) -> int:
    """Return the floating-point operations of one new token that looks back on `context` positions (itself included).

    Two for each weight of a matrix product (a multiply and an add), plus two for each query feature and position
    for the scores and as many for the mix of values. Norms, activations and softmax, below 1 %, are left out.
    """
    shapes = config.tensor_shapes()
    blocks = sum(math.prod(shape) for name, shape in shapes.items() if name.startswith("blocks.") and len(shape) == 2)
    head = config.n_vocab * config.d_model  # counted whether it has its own weights or the embedding's
    attention = 2 * 2 * config.n_layers * config.n_heads * config.d_head * context
    return 2 * (blocks + head) + attention


def available_memory() -> int:
    """Return the bytes that this process can still take without swapping.

    On Linux the kernel's own estimate, lowered by the limit of a container if there is one; elsewhere all memory of
    the machine, or no bound where the system does not say (Windows).
    """
    free = _mem_available(Path("/proc/meminfo"))
    if free is None and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if free is None:
        return sys.maxsize
    left = _container_left(Path("/sys/fs/cgroup"))
    return free if left is None else min(free, left)


def _mem_available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    values = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return next(values, None)


def _container_left(root: Path) -> int | None:
    """Return what a container's limit leaves, or None without a limit (cgroup version 2, then 1).

    Cached file pages count as used there but are given back on demand, so they are added again.
    """
    for limit_name, used_name, stat_name in (("memory.max", "memory.current", "memory.stat"),
                                             ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes",
                                              "memory/memory.stat")):
        try:
            limit, used = (root / limit_name).read_text().strip(), int((root / used_name).read_text())
            stat = dict(line.split() for line in (root / stat_name).read_text().splitlines())
        except (OSError, ValueError):
            continue
        if limit == "max" or int(limit) >= 1 << 60:  # version 1 writes "no limit" as a huge number
            continue
        cached = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
        return max(0, int(limit) - used + cached)
    return None


def check_fits(needed: int, what: str, alternatives: Sequence[tuple[str, int]] = (),
               available: int | None = None) -> None:
    """Refuse `what` before any memory is taken for it, if it needs more bytes than are available.

    `alternatives` are (label, bytes) of what the caller could do instead; the message lists those that fit.
    Raises: DoesNotFitError.
    """
    available = available_memory() if available is None else available
    if needed <= available:
        return
    fitting = [f"{label} ({size_text(size)})" for label, size in alternatives if size <= available]
    if fitting:
        advice = f"what fits: {', '.join(fitting)}"
    elif alternatives:
        label, size = min(alternatives, key=lambda alternative: alternative[1])
        advice = f"the smallest way, {label}, needs {size_text(size)}: take a smaller model or a larger machine"
    else:
        advice = "close other programs, or take a smaller model or a larger machine"
    raise DoesNotFitError(f"{what} needs {size_text(needed)} of memory and {size_text(available)} are available; "
                          f"{advice}")


def size_text(n_bytes: int) -> str:
    """Return a size for people, in binary units: `size_text(327680)` is `320 KiB`."""
    value, units = float(n_bytes), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 100 or value == int(value) else f"{value:.1f} {units[0]}"
