"""What decides the bits of keys and values, in 32 bytes: a model's weights and shape, and the code that runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from petitlm.engine.formats import Packed
from petitlm.engine.kernels import native
from petitlm.engine.layers import Weights
from petitlm.engine.runner import EngineRunner

_PACKAGE = Path(__file__).parent.parent


def code_digest(isa: str) -> bytes:
    """Return a digest of the code that computes keys and values; the same for all sets of native kernels."""
    digest = hashlib.sha256(np.__version__.encode() if isa == "numpy" else b"native")
    # Any change of these may change bits; that a comment does so, too, costs one prompt.
    files = [_PACKAGE / "decoder.py", _PACKAGE / "rotary.py", *sorted(_PACKAGE.glob("engine/*.py"))]
    if isa != "numpy" and native is not None:
        files.append(Path(str(native.__file__)))
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def weights_digest(weights: Weights) -> bytes:
    """Return a digest of packed weights, as they lie in memory."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        w = weights[name]
        data = np.ascontiguousarray(w.data if isinstance(w, Packed) else w)
        what = (w.format, w.rows, w.columns) if isinstance(w, Packed) else data.shape
        digest.update(repr((name, what, data.dtype.str)).encode())
        digest.update(data.reshape(-1).view(np.uint8).data)
    return digest.digest()


class Memory(Protocol):
    """What was computed before."""

    def remember(self, key: bytes, compute: Callable[[], bytes]) -> bytes:
        """Return the 32 bytes that `compute` gave for `key`, now or in an earlier process."""
        ...


def model_digest(runner: EngineRunner, memory: Memory, source: Path, bits: int) -> bytes:
    """Return what a model's blocks are named after.

    Weights are read through once for each state of the files that they came from (`source`, loaded in `bits`).
    """
    code = code_digest(runner.kernels.isa)
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    key = hashlib.sha256(code + repr([bits, *map(_identity, files)]).encode()).digest()
    weights = memory.remember(key, lambda: weights_digest(runner.weights))
    return hashlib.sha256(code + weights + repr((runner.config, runner.cache)).encode()).digest()


def _identity(path: Path) -> tuple[object, ...]:
    """Return what tells a file from any other content at its path: place, size and times."""
    stat = path.stat()
    return str(path.resolve()), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
