"""The front door: a model, loaded, ready to answer, score and be looked into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.cache import CacheKind
from petitlm.engine.drafters import DraftModel, Lookup
from petitlm.engine.edits import Edit
from petitlm.engine.fingerprint import model_digest
from petitlm.engine.generation import Generation, Speculation, Stream, make_request
from petitlm.engine.hooks import Hooks, hooks_of
from petitlm.engine.kernels import Floats
from petitlm.engine.prefix_files import DiskStore
from petitlm.engine.prefixes import Prefixes, Start, Store
from petitlm.engine.runner import EngineRunner
from petitlm.engine.runs import TRACE_LIMIT, Runner, Wanted, check_length, check_trace, run_text
from petitlm.engine.sampling import Sampling, log_softmax
from petitlm.engine.speculation import Costs, MakeDrafter
from petitlm.engine.tapped import TappedSession
from petitlm.engine.trace import Dictionary, Keep, Trace
from petitlm.errors import UsageError
from petitlm.taps import TapName
from petitlm.tokenizer import Tokenizer


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
        return self._run(self.encode(ids))

    def score(self, prompt: str | Sequence[int], continuations: Iterable[str]) -> list[float]:
        """Return the log-probability, natural logarithm, of each continuation after the prompt.

        A continuation is encoded by itself; start it with a space where a word begins.
        """
        start, scores = self.encode(prompt), []
        if not start:
            raise UsageError("the prompt is empty; give at least one token to go on from")
        for text in continuations:
            ids = self.tokenizer.encode(text, add_special=False)
            rows = self._run([*start, *ids])[len(start) - 1 : -1] if ids else np.empty((0, self.config.n_vocab))
            logprobs = log_softmax(np.where(self.forbidden, -np.inf, rows).astype(np.float32)) if ids else rows
            scores.append(float(logprobs[np.arange(len(ids)), ids].sum()))
        return scores

    def trace(self, text: str | Sequence[int], taps: Sequence[TapName | Keep] = (), edits: Sequence[Edit] = (), *,
              logits: Wanted = "all", limit: int | None = TRACE_LIMIT,
              dictionaries: Sequence[Dictionary] = ()) -> Trace:
        """Run a text, keep the values at `taps`, make the `edits`; names as in `petitlm.taps`.

        `logits` are those after every token (`all`), after the last one alone, or `none`. `limit` is how many bytes the
        kept values may take. `dictionaries` are sparse autoencoders whose features are taps, too.
        Raises: UsageError for a tap that this model does not have, with the reason; DoesNotFitError over the limit.
        """
        if logits not in ("all", "last", "none"):
            raise UsageError(f"logits={logits!r} is not known; choose all, last or none")
        ids = self.encode(text)
        check_length(ids, self.context)
        check_trace(self.config, taps, len(ids), limit, [d.name for d in dictionaries])
        return run_text(self.runner, ids, taps, edits, wanted=logits, dictionaries=dictionaries)

    def hooks(self) -> Hooks:
        """Return what can be seen, changed, read and differentiated in this model, on the layers that it runs on."""
        return hooks_of(self.runner)

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
               speculate: Model | Literal["auto", "lookup"] | None = "auto", edits: Sequence[Edit] = (),
               taps: Sequence[TapName | Keep] = (), limit: int | None = TRACE_LIMIT,
               dictionaries: Sequence[Dictionary] = ()) -> Stream:
        """Answer a prompt piece by piece; the stream's `result` is the whole `Generation` at its end.

        The prompt is taken as it is: `petitlm.prompts` puts a question into the shape that a model knows.
        With the same weights, prompt, options and seed the same tokens come out, alone or batched, on any
        number of threads, whatever `speculate` says, and whether or not the beginning of the prompt was run
        before: a conversation that grows runs only what is new. `threads` changes the engine's threads from now
        on. `speculate` says who guesses the next tokens, to be verified together: `"lookup"` what followed when
        the last words occurred before, another Model what that smaller one would say; None nobody. `"auto"` is
        lookup, where results are exact to the bit (on the engine's kernels). `edits` are made in every step, and
        what `taps` keep is the result's `trace`, which may take `limit` bytes; nobody guesses then.
        Raises: ContextError if prompt and max_tokens do not fit; DoesNotFitError over the limit; UsageError.
        """
        if threads is not None:
            self.set_threads(threads)
        sampling = Sampling(logit_bias or {}, repetition_penalty, temperature, top_k, top_p, min_p, seed)
        request = make_request(self.encode(prompt), self.context, sampling, max_tokens, stop, n, logprobs)
        length = len(request.prompt) + request.max_tokens
        tapped = bool(edits or taps)
        if taps and speculate not in ("auto", None):
            raise UsageError("taps keep what the model says, and wrong guesses are none of that; leave speculate out, "
                             "or the taps")
        check_trace(self.config, taps, length, limit, [d.name for d in dictionaries])
        # features are matrix products, which round differently in other company: nothing is guessed beside them, either
        make = None if taps or dictionaries else self._drafter(speculate, length)
        if tapped:  # what an edited run leaves in its cache is of no use to others
            session = TappedSession(self.runner.session(n, length), self.config, edits, taps, dictionaries, n=n)
            start = Start(session, 0, 0.0)
        else:
            start = self.prefixes.take(request.prompt, length, n)
        done = None if tapped else lambda ids: self.prefixes.give_back(start.session, ids, n)
        return Stream(start.session, request, self.tokenizer, self.forbidden, start.n_reused, done, start.seconds,
                      Speculation(make, self._costs) if make else None)

    def _drafter(self, speculate: Model | str | None, length: int) -> MakeDrafter | None:
        """Return what makes drafters for texts of up to `length` tokens, if any is wanted.

        Raises: UsageError.
        """
        if speculate is None or (speculate == "auto" and not self.runner.exact):
            return None
        if not self.runner.exact:
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

    def _run(self, ids: list[int]) -> Floats:
        check_length(ids, self.context)
        return run_text(self.runner, ids).logits
