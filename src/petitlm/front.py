"""The front door: a model by its folder, file or nothing, ready to answer, score and be looked into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.checkpoint import Checkpoint, open_checkpoint
from petitlm.config import ModelConfig
from petitlm.decoder import NO_TAP, Tap
from petitlm.engine.cache import CacheKind, cache_for
from petitlm.engine.drafters import DraftModel, Lookup
from petitlm.engine.fingerprint import model_digest
from petitlm.engine.generation import Generation, Session, Speculation, Stream, make_request
from petitlm.engine.kernels import Floats, Kernels, available_cores, make_kernels
from petitlm.engine.packing import check_bits, is_packed, open_packed, pack_weights
from petitlm.engine.prefix_files import DISK_LIMIT, DiskStore, open_store
from petitlm.engine.prefixes import Prefixes, Store
from petitlm.engine.runner import CHUNK, EngineRunner, as_ints
from petitlm.engine.sampling import Sampling, log_softmax
from petitlm.engine.speculation import Costs, MakeDrafter
from petitlm.engine.trace import Edit, Recorder, Trace
from petitlm.errors import ContextError, UsageError
from petitlm.rotary import for_context
from petitlm.sizes import check_fits, weight_bytes
from petitlm.tokenizer import Tokenizer

DEFAULT_MODEL = Path(__file__).parent / "models" / "default"
"""The small model that comes with the package."""
LayerSet = Literal["engine", "torch"]


class Runner(Protocol):
    """Weights that can run; the engine's, or torch's."""

    config: ModelConfig

    def session(self, slots: int, length: int) -> Session: ...


class Model:
    """One model, loaded. Made by `petitlm.load`."""

    def __init__(self, name: str, runner: Runner, tokenizer: Tokenizer, *, bits: int, threads: int, prompt: str,
                 card: str | None, n_bytes: int, context: int) -> None:
        self.name, self.runner, self.tokenizer = name, runner, tokenizer
        self.config = runner.config
        self.bits, self.threads = bits, threads
        self.prompt = prompt
        """Name of the prompt shape that this model was made for; see `petitlm.prompts`."""
        self.card = card
        self.n_bytes = n_bytes
        """Bytes of the weights in memory."""
        self.context = context
        """Longest prompt and answer together, in tokens."""
        self.prefixes = Prefixes(runner.session)
        """What is known of texts that were run before."""
        self._costs: dict[int, Costs] = {}  # of longer passes, as measured

    @cached_property
    def forbidden(self) -> NDArray[np.bool_]:
        """Rows of the vocabulary that no token uses, (V,): never sampled, no share in any probability."""
        return self.tokenizer.without_text(self.config.n_vocab)

    def encode(self, text: str | Sequence[int]) -> list[int]:
        """Return the ids of a text, or checked ids as they are.

        Raises: UsageError for an id that the model has no row for.
        """
        if isinstance(text, str):
            return self.tokenizer.encode(text)
        ids = [int(id) for id in text]
        for id in ids:
            if not 0 <= id < self.config.n_vocab:
                raise UsageError(f"token id {id} is not in this model; ids run from 0 to {self.config.n_vocab - 1}")
        return ids

    def logits(self, ids: Sequence[int]) -> Floats:
        """Return the logits after every position, float32 (T, V).

        Raises: ContextError if the ids do not fit in the context.
        """
        return self._run(self.encode(ids), NO_TAP)

    def score(self, prompt: str | Sequence[int], continuations: Iterable[str]) -> list[float]:
        """Return the log-probability, natural logarithm, of each continuation after the prompt.

        A continuation is encoded by itself; start it with a space where a word begins.
        """
        start, scores = self.encode(prompt), []
        if not start:
            raise UsageError("the prompt is empty; give at least one token to go on from")
        for text in continuations:
            ids = self.tokenizer.encode(text, add_special=False)
            rows = self._run([*start, *ids], NO_TAP)[len(start) - 1 : -1] if ids else np.empty((0, self.config.n_vocab))
            logprobs = log_softmax(np.where(self.forbidden, -np.inf, rows).astype(np.float32)) if ids else rows
            scores.append(float(logprobs[np.arange(len(ids)), ids].sum()))
        return scores

    def trace(self, text: str | Sequence[int], taps: Sequence[str] = (), edits: Sequence[Edit] = ()) -> Trace:
        """Run a text, keep the values at `taps`, make the `edits`; names as in `petitlm.decoder.tap_names`.

        Raises: UsageError for a tap that this model does not have, with the reason.
        """
        ids = self.encode(text)
        recorder = Recorder(self.config, taps, edits, as_ints(range(len(ids))))
        logits = self._run(ids, recorder, whole=True)
        return Trace(ids, logits, recorder.kept)

    def generate(self, prompt: str | Sequence[int], **options: Any) -> Generation:
        """Answer a prompt; options as for `stream`."""
        stream = self.stream(prompt, **options)
        for _ in stream:
            pass
        return stream.result

    def stream(self, prompt: str | Sequence[int], *, max_tokens: int | None = None, temperature: float = 0.0,
               top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0,
               logit_bias: Mapping[int, float] | None = None, seed: int = 0, stop: Sequence[str] = (), n: int = 1,
               logprobs: int | None = None, threads: int | None = None,
               speculate: Model | Literal["auto", "lookup"] | None = "auto") -> Stream:
        """Answer a prompt piece by piece; the stream's `result` is the whole `Generation` at its end.

        The prompt is taken as it is: `petitlm.prompts` puts a question into the shape that a model knows.
        With the same weights, prompt, options and seed the same tokens come out, alone or batched, on any
        number of threads, whatever `speculate` says, and whether or not the beginning of the prompt was run
        before: a conversation that grows runs only what is new. `threads` changes the engine's threads from now
        on. `speculate` says who guesses the next tokens, to be verified together: `"lookup"` what followed when
        the last words occurred before, another Model what that smaller one would say; None nobody. `"auto"` is
        lookup, where results are exact to the bit (on the engine's kernels).
        Raises: ContextError if prompt and max_tokens do not fit; UsageError.
        """
        if threads is not None:
            self.set_threads(threads)
        sampling = Sampling(logit_bias or {}, repetition_penalty, temperature, top_k, top_p, min_p, seed)
        request = make_request(self.encode(prompt), self.context, sampling, max_tokens, stop, n, logprobs)
        make = self._drafter(speculate, len(request.prompt) + request.max_tokens)
        session, n_reused, seconds = self.prefixes.take(request.prompt, len(request.prompt) + request.max_tokens, n)
        return Stream(session, request, self.tokenizer, self.forbidden, n_reused,
                      lambda ids: self.prefixes.give_back(session, ids, n), seconds,
                      Speculation(make, self._costs) if make else None)

    def _drafter(self, speculate: Model | str | None, length: int) -> MakeDrafter | None:
        """Return what makes drafters for texts of up to `length` tokens, if any is wanted.

        Raises: UsageError.
        """
        exact = isinstance(self.runner, EngineRunner) and self.runner.kernels.isa != "numpy"
        if speculate is None or (speculate == "auto" and not exact):
            return None
        if not exact:
            raise UsageError("speculation is exact on the engine's compiled kernels only, where batches change no bit; "
                             "leave speculate out here")
        if isinstance(speculate, str):
            if speculate not in ("auto", "lookup"):
                raise UsageError(f"speculate={speculate!r} is not known; give 'lookup', a draft model, or None")
            return lambda _: Lookup()
        draft, n_ctx = self._checked_draft(speculate), speculate.context
        return lambda sampler: DraftModel(lambda ids: draft.take(ids, min(length, n_ctx))[:2], draft.give_back, n_ctx,
                                          sampler)

    def _checked_draft(self, draft: Model) -> Prefixes:
        """Return a draft model's sessions.

        Raises: UsageError if its tokens are not this model's.
        """
        ours, theirs = (model.tokenizer.backend.get_vocab(with_added_tokens=True) for model in (self, draft))
        if ours != theirs:
            token = min(ours.items() ^ theirs.items(), key=lambda item: (item[1], item[0]))[0]
            raise UsageError(f"the draft model {draft.name} has another vocabulary than {self.name}: token "
                             f"{token!r:.40} is {theirs.get(token, 'missing')} there and {ours.get(token, 'missing')} "
                             "here; choose a draft model with the same tokenizer")
        return draft.prefixes

    def keep_prefixes(self, store: Store, source: Path) -> None:
        """Keep what is computed of texts in `store`; `source` is where this model was loaded from.

        Raises: UsageError for the torch layers.
        """
        if not isinstance(self.runner, EngineRunner):
            raise UsageError("prefix_cache works on the engine only; leave it out, or leave layers out")
        root = model_digest(self.runner, store, source, self.bits) if isinstance(store, DiskStore) else b""
        self.prefixes = Prefixes(self.runner.session, store, root)

    @property
    def cache(self) -> CacheKind:
        """How keys and values are kept."""
        return self.runner.cache if isinstance(self.runner, EngineRunner) else "f32"

    def set_threads(self, threads: int) -> None:
        """Run the engine's kernels on this many threads from now on; results stay the same to the bit."""
        if isinstance(self.runner, EngineRunner):
            self.runner.kernels.resize(threads)
        self.threads = threads

    def _run(self, ids: list[int], tap: Tap, whole: bool = False) -> Floats:
        if not ids:
            raise UsageError("the text is empty; give at least one token")
        if len(ids) > self.context:
            raise ContextError(f"the text has {len(ids)} tokens and the context {self.context}; "
                               f"shorten it by {len(ids) - self.context} tokens or more")
        session, size = self.runner.session(1, len(ids)), len(ids) if whole else CHUNK
        parts = []
        for begin in range(0, len(ids), size):
            chunk = as_ints(ids[begin : begin + size])
            positions = as_ints(range(begin, begin + len(chunk)))
            parts.append(session.step(chunk, positions, np.zeros(len(chunk), np.int32), None, tap))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


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


__all__ = ["DEFAULT_MODEL", "Edit", "Model", "load"]
