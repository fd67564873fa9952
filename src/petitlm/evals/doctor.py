"""What this machine can run and how fast: its description, short measurements, and a prediction for each model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petitlm import sizes
from petitlm.config import ModelConfig
from petitlm.engine import kernels as engine_kernels
from petitlm.engine.cache import CacheKind, cache_for
from petitlm.engine.formats import FormatName
from petitlm.engine.kernels import NativeKernels, available_isas
from petitlm.engine.runner import CHUNK
from petitlm.evals import prediction
from petitlm.evals.conditions import OtherWork
from petitlm.evals.prediction import Attention, Rates, Speed
from petitlm.evals.probes import MatmulSpeed, Probes
from petitlm.evals.system import System, problems, read_system

CONTEXTS = (128, 1024)
"""Tokens of context that speeds are predicted for, beside the model's own context."""
FORMATS: tuple[FormatName, ...] = ("q4", "q8", "f16", "f32")
_READ_BYTES = 256 << 20
Heads = tuple[int, int, int, int, CacheKind]
"""What attention's cost depends on: query and kv heads, their size, layers up to 8 (few fit in a cache), the cache."""


@dataclass(frozen=True)
class Subject:
    """A model that the doctor is asked about."""

    name: str
    config: ModelConfig
    packed_bits: int | None = None
    """Bits that a packed folder holds, which it cannot run without."""


@dataclass(frozen=True)
class Kernels:
    """The engine's compiled part."""

    used: str | None
    """Instruction set that computes here; None where the kernels were not built."""
    available: tuple[str, ...]
    """Those that this processor can run, fastest first."""
    library: Path | None
    compiled_by: str | None
    """As the library itself says, if it does."""


@dataclass(frozen=True)
class Fit:
    """One model in one number of bits on this machine."""

    model: str
    bits: int
    n_ctx: int
    weight_bytes: int
    """In memory, in the engine's format."""
    cache_bytes: int
    """Keys and values of one sequence of `n_ctx` tokens."""
    fits: bool | None
    """Weights and the whole cache; None where the available memory is unknown."""
    context_that_fits: int | None
    speeds: tuple[Speed, ...]
    """Predicted; empty where the model does not fit at all or nothing could be measured."""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that `petit doctor` says."""

    system: System
    kernels: Kernels
    threads: int
    read_bytes_per_s: dict[str, float]
    """Plain sequential reads of memory with 1 thread (`1`) and with all (`all`)."""
    matmul: tuple[MatmulSpeed, ...]
    token_s: float
    """Choosing a token and making text of it, besides the kernels."""
    other_cores_busy: float | None
    """Cores that other programs took meanwhile; above about 0.2 the figures are too low."""
    models: tuple[Fit, ...]
    problems: tuple[str, ...] = field(default=())


def examine(subjects: Sequence[Subject], bits: Sequence[int], threads: int, token_s: float,
            contexts: Sequence[int] = (), formats: Sequence[FormatName] = FORMATS) -> Diagnosis:
    """Measure this machine for a few seconds and predict `subjects` in each of `bits`.

    Speeds are predicted after `contexts` tokens; none means CONTEXTS and each model's own context. `formats` are those
    whose products are measured by themselves, too.
    """
    other, system, built = OtherWork(), read_system(), find_kernels()
    reads: dict[str, float] = {}
    matmul: list[MatmulSpeed] = []
    rates: dict[int, Rates] = {}
    attention: dict[Heads, Attention] = {}
    kinds: set[CacheKind] = {cache_for(b) for b in bits}
    if built.used is not None:
        kernels = NativeKernels(threads)
        probes = Probes(kernels, system.last_cache_bytes)
        size = min(_READ_BYTES, sizes.available_memory() // 4)
        reads = {"1": NativeKernels(1).read_bandwidth(size, 2), "all": kernels.read_bandwidth(size, 2)}
        matmul = [probes.matmul(format) for format in formats]
        rates = {b: probes.rates(b, token_s) for b in bits}
        for subject in subjects:
            for kind in kinds:
                if (heads := _heads(subject.config, kind)) not in attention:
                    attention[heads] = probes.attention(subject.config, kind)
    fits = tuple(judge(subject, b, system.memory_available_bytes, rates.get(b), attention, contexts)
                 for subject in subjects for b in bits if subject.packed_bits in (None, b))
    busy = other.cores()
    return Diagnosis(system, built, threads, reads, tuple(matmul), token_s, busy, fits,
                     (*problems(system), *more_problems(built, busy, threads, system, fits)))


def _heads(config: ModelConfig, kind: CacheKind) -> Heads:
    return config.n_heads, config.n_kv_heads, config.d_head, min(config.n_layers, 8), kind


def judge(subject: Subject, bits: int, available: int | None, rates: Rates | None,
          attention: Mapping[Heads, Attention], contexts: Sequence[int] = ()) -> Fit:
    """Return whether a model fits in `available` bytes, and its predicted speed where that much of it does."""
    config = subject.config
    weights = prediction.weight_bytes(config, bits)
    cache = prediction.memory_bytes(config, bits, config.n_ctx) - weights
    fitting = config.n_ctx if available is None else min(
        config.n_ctx, max(0, available - weights) // -(-cache // config.n_ctx))
    speeds: Iterable[Speed] = ()
    if rates is not None and fitting:
        lengths = sorted({min(c, fitting) for c in contexts or (*CONTEXTS, fitting)})
        heads = _heads(config, cache_for(bits))
        speeds = prediction.predict(config, bits, rates, attention[heads], lengths, CHUNK)
    return Fit(subject.name, bits, config.n_ctx, weights, cache,
               None if available is None else weights + cache <= available,
               None if available is None else fitting, tuple(speeds))


def find_kernels() -> Kernels:
    """Return which kernels were built and which this processor takes."""
    native: Any = engine_kernels.native
    if native is None or not available_isas():
        return Kernels(None, (), None, None)
    library = Path(native.__file__)
    return Kernels(NativeKernels(1).isa, tuple(available_isas()), library, compiler_of(library.read_bytes()))


def compiler_of(library: bytes) -> str | None:
    """Return the compiler that a library names in its comments."""
    found = re.search(rb"GCC: \([^)\0]*\) ([\d.]+)|clang version ([\d.]+)", library)
    if found is None:
        return None
    return f"GCC {found[1].decode()}" if found[1] else f"Clang {found[2].decode()}"


def more_problems(built: Kernels, busy: float | None, threads: int, system: System, fits: Sequence[Fit]) -> list[str]:
    """Return a sentence for each problem that only measuring shows."""
    found: list[str] = []
    if built.used is None:
        found.append("The C++ kernels were not built, so nothing was measured and NumPy does the work, slowly: install "
                     "a C++ compiler and reinstall petitlm.")
    if threads > system.cores_usable:
        found.append(f"{threads} threads share {system.cores_usable} cores, which is slower than as many threads as "
                     "cores: take --threads " f"{system.cores_usable}.")
    if busy is not None and busy > 0.2:
        found.append(f"Other programs took {busy:.1f} cores meanwhile, so that the figures are too low: close them and "
                     "ask again.")
    if fits and not any(fit.fits in (True, None) for fit in fits):
        need = min(fit.weight_bytes + fit.cache_bytes for fit in fits)
        found.append(f"None of these models fits: the smallest needs {sizes.size_text(need)}; close other programs, "
                     "take a smaller model or a shorter --context.")
    return found
