"""The front door: a model by its folder, file or nothing, ready to answer, score and be looked into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.checkpoint import Checkpoint, open_checkpoint
from petitlm.config import ModelConfig
from petitlm.decoder import NO_TAP, Tap
from petitlm.engine.generation import Generation, Session, Stream, make_request
from petitlm.engine.kernels import Floats, Kernels, available_cores, make_kernels
from petitlm.engine.packing import check_bits, is_packed, open_packed, pack_weights
from petitlm.engine.runner import CHUNK, EngineRunner, as_ints
from petitlm.engine.sampling import Sampling, log_softmax
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
        self._warm: tuple[Session, list[int]] | None = None  # the last single answer's cache, and its tokens

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
               logprobs: int | None = None, threads: int | None = None) -> Stream:
        """Answer a prompt piece by piece; the stream's `result` is the whole `Generation` at its end.

        The prompt is taken as it is: `petitlm.prompts` puts a question into the shape that a model knows.
        With the same weights, prompt, options and seed the same tokens come out, alone or batched, on any
        number of threads, and whether or not the beginning of the prompt was run before: a conversation
        that grows runs only what is new. `threads` changes the engine's threads from now on.
        Raises: ContextError if prompt and max_tokens do not fit; UsageError.
        """
        if threads is not None:
            self.set_threads(threads)
        sampling = Sampling(logit_bias or {}, repetition_penalty, temperature, top_k, top_p, min_p, seed)
        request = make_request(self.encode(prompt), self.context, sampling, max_tokens, stop, n, logprobs)
        if n > 1:
            session = self.runner.session(n, len(request.prompt) + request.max_tokens)
            return Stream(session, request, self.tokenizer, self.forbidden)
        session, n_reused = self._take_session(request.prompt, len(request.prompt) + request.max_tokens)
        return Stream(session, request, self.tokenizer, self.forbidden, n_reused,
                      lambda ids: setattr(self, "_warm", (session, ids)))

    def _take_session(self, prompt: list[int], length: int) -> tuple[Session, int]:
        """Return a session for one sequence, and how many of the prompt's tokens it holds already."""
        if self._warm is None:
            return self.runner.session(1, length), 0
        (session, held), self._warm = self._warm, None  # taken: a second stream meanwhile gets its own
        session.reserve(length)
        same = (a == b for a, b in zip(held, prompt[:-1], strict=False))  # the last one's logits are needed
        return session, sum(1 for _ in takewhile(bool, same))

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
         isa: str = "auto") -> Model:
    """Load a model: a Hugging Face or packed folder, a .gguf file, or None for the model that comes with petit.

    `bits` is 4 (the default), 8, 16 or 32; a packed folder has its own, and a .gguf file keeps the numbers that it
    has (K-quants in 8 bits) unless `bits` says otherwise. `layers="torch"` runs the torch layers
    in float32 instead of the engine. `threads` defaults to the machine's cores. `context` may be set below the
    model's own to save memory, or above it with `rope_scaling` (linear, ntk, dynamic or yarn), which stretches the
    rotary positions so far; docs/context.md says what that costs.
    Raises: a PetitError that says what is wrong and what to do, before memory is taken.
    """
    folder = DEFAULT_MODEL if path is None else Path(path)
    name = "petit default" if path is None else str(path)
    threads = threads or available_cores()
    if layers == "torch":
        return _load_torch(name, _open(folder, context, rope_scaling), threads, bits, context)
    if layers != "engine":
        raise UsageError(f"layers={layers!r} is not known; choose engine or torch")
    kernels = make_kernels(threads, isa)
    if is_packed(folder):
        packed = open_packed(folder)
        also_plain = (folder / "model.safetensors").is_file()
        if not also_plain or bits in (None, packed.bits):
            check_bits(packed.bits, bits, folder)
            packed = replace(packed, config=for_context(packed.config, context, rope_scaling))
            runner = EngineRunner(packed.config, packed.weights, kernels, half=packed.bits < 32)
            return Model(name, runner, packed.tokenizer, bits=packed.bits, threads=threads, prompt=packed.prompt,
                         card=packed.card, n_bytes=packed.n_bytes, context=context or packed.config.n_ctx)
    source = _open(folder, context, rope_scaling)
    if source.has_blocks:
        return _load_blocks(name, source, kernels, bits, context)
    bits = bits or 4
    _check_memory(source, bits)
    runner = EngineRunner(source.config, pack_weights(source, bits, kernels), kernels, half=bits < 32)
    return Model(name, runner, source.tokenizer(), bits=bits, threads=threads, prompt=source.prompt, card=source.card,
                 n_bytes=weight_bytes(source.config, bits), context=context or source.config.n_ctx)


def _load_blocks(name: str, source: Checkpoint, kernels: Kernels, bits: int | None, context: int | None) -> Model:
    from petitlm.engine import repacking  # brings threads of its own, which no other start needs

    fewer = [(f"bits={b}", repacking.memory_bytes(source, b)) for b in (8, 4)]
    what = f"{source.path} as it is stored" if bits is None else f"{source.path} in {bits} bits"
    check_fits(repacking.memory_bytes(source, bits), what, fewer)
    weights = repacking.load_weights(source, bits, kernels)
    bits = bits or repacking.bits_of(weights)
    runner = EngineRunner(source.config, weights, kernels, half=bits < 32)
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
