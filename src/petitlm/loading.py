"""Loading a model by its folder, its file or nothing, and refusing what does not fit before memory is taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from petitlm.checkpoint import Checkpoint, open_checkpoint
from petitlm.engine.cache import CacheKind, cache_for
from petitlm.engine.kernels import Kernels, available_cores, make_kernels
from petitlm.engine.packing import check_bits, is_packed, open_packed, pack_weights
from petitlm.engine.prefix_files import DISK_LIMIT, open_store
from petitlm.engine.runner import EngineRunner
from petitlm.errors import UsageError
from petitlm.front import Model
from petitlm.rotary import for_context
from petitlm.sizes import check_fits, weight_bytes

DEFAULT_MODEL = Path(__file__).parent / "models" / "default"
"""The small model that comes with the package."""
LayerSet = Literal["engine", "torch"]


def load(path: str | Path | None = None, *, bits: int | None = None, layers: LayerSet = "engine",
         threads: int | None = None, context: int | None = None, rope_scaling: str | None = None,
         cache: CacheKind | None = None, isa: str = "auto", pin: bool = False,
         prefix_cache: int | str | Path | None = None, prefix_cache_limit: int = DISK_LIMIT) -> Model:
    """Load a model: a Hugging Face or packed folder, a .gguf file, or None for the model that comes with petit.

    `bits` is 4 (the default), 8, 16 or 32; a packed folder has its own, and a .gguf file keeps the numbers that it
    has (K-quants in 8 bits) unless `bits` says otherwise. `layers="torch"` runs the torch layers
    in float32 instead of the engine. `threads` defaults to the machine's cores. `context` may be set below the
    model's own to save memory, or above it with `rope_scaling` (linear, ntk, dynamic or yarn), which stretches the
    rotary positions so far; docs/context.md says what that costs.
    `cache` is how keys and values are kept: f16 (the default; f32 in 32 bits), or int8, half as large again, with one
    scale for each position of a head; docs/engine.md gives what it costs. `pin` keeps each thread but the caller's
    on a core of its own (on Linux).
    `prefix_cache` keeps what was computed of texts for others that begin in the same way: so many bytes in memory,
    or, given a folder, up to `prefix_cache_limit` bytes on disk, for other processes, too.
    Raises: a PetitError that says what is wrong and what to do, before memory is taken.
    """
    folder = DEFAULT_MODEL if path is None else Path(path)
    store = None if prefix_cache is None else open_store(prefix_cache, prefix_cache_limit)
    model = _load(folder, "petit default" if path is None else str(path), bits, layers, threads, context, isa,
                  pin, rope_scaling, cache)
    if store is not None:
        model.keep_prefixes(store, folder)
    return model


def _load(folder: Path, name: str, bits: int | None, layers: LayerSet, threads: int | None, context: int | None,
          isa: str, pin: bool, rope_scaling: str | None, cache: CacheKind | None) -> Model:
    threads = threads or available_cores()
    if layers == "torch":
        if cache not in (None, "f32"):
            raise UsageError(f"cache={cache!r} is for the engine, and layers='torch' keeps float32; "
                             "leave it out")
        return _load_torch(name, _open(folder, context, rope_scaling), threads, bits, context)
    if layers != "engine":
        raise UsageError(f"layers={layers!r} is not known; choose engine or torch")
    kernels = make_kernels(threads, isa, pin)
    if is_packed(folder):
        packed = open_packed(folder)
        also_plain = (folder / "model.safetensors").is_file()
        if not also_plain or bits in (None, packed.bits):
            check_bits(packed.bits, bits, folder)
            packed = replace(packed, config=for_context(packed.config, context, rope_scaling))
            runner = EngineRunner(packed.config, packed.weights, kernels, cache=cache or cache_for(packed.bits))
            return Model(name, runner, packed.tokenizer, bits=packed.bits, threads=threads, prompt=packed.prompt,
                         card=packed.card, n_bytes=packed.n_bytes, context=context or packed.config.n_ctx)
    source = _open(folder, context, rope_scaling)
    if source.has_blocks:
        return _load_blocks(name, source, kernels, bits, context, cache)
    bits = bits or 4
    _check_memory(source, bits)
    runner = EngineRunner(source.config, pack_weights(source, bits, kernels), kernels, cache=cache or cache_for(bits))
    return Model(name, runner, source.tokenizer(), bits=bits, threads=threads, prompt=source.prompt, card=source.card,
                 n_bytes=weight_bytes(source.config, bits), context=context or source.config.n_ctx)


def _load_blocks(name: str, source: Checkpoint, kernels: Kernels, bits: int | None, context: int | None,
                 cache: CacheKind | None) -> Model:
    from petitlm.engine import repacking  # brings threads of its own, which no other start needs

    fewer = [(f"bits={b}", repacking.memory_bytes(source, b)) for b in (8, 4)]
    what = f"{source.path} as it is stored" if bits is None else f"{source.path} in {bits} bits"
    check_fits(repacking.memory_bytes(source, bits), what, fewer)
    weights = repacking.load_weights(source, bits, kernels)
    bits = bits or repacking.bits_of(weights)
    runner = EngineRunner(source.config, weights, kernels, cache=cache or cache_for(bits))
    return Model(name, runner, source.tokenizer(), bits=bits, threads=kernels.threads, prompt=source.prompt,
                 card=source.card, n_bytes=sum(w.data.nbytes for w in weights.values()),
                 context=context or source.config.n_ctx)


def _load_torch(name: str, source: Checkpoint, threads: int, bits: int | None, context: int | None) -> Model:
    if bits not in (None, 32):
        raise UsageError(f"layers='torch' runs in 32 bits and bits={bits} was asked for; leave it out")
    try:
        from petitlm.model import load_runner
    except ImportError:
        raise UsageError("layers='torch' needs torch; install petitlm[train], or run the engine") from None
    _check_memory(source, 32)
    return Model(name, load_runner(source, threads), source.tokenizer(), bits=32, threads=threads,
                 prompt=source.prompt, card=source.card, n_bytes=weight_bytes(source.config, 32),
                 context=context or source.config.n_ctx)


def _check_memory(source: Checkpoint, bits: int) -> None:
    """Weights in their format, and the largest one as floats while it is packed."""
    largest = 4 * max(int(np.prod(shape)) for shape in source.config.tensor_shapes().values())
    fewer = [(f"bits={b}", weight_bytes(source.config, b) + largest) for b in (32, 16, 8, 4) if b < bits]
    check_fits(weight_bytes(source.config, bits) + largest, f"{source.path} in {bits} bits", fewer)


def _open(folder: Path, context: int | None, rope_scaling: str | None) -> Checkpoint:
    source = open_checkpoint(folder)
    source.config = for_context(source.config, context, rope_scaling)
    return source
