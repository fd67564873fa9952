"""Running texts to look at what happens: one text, many texts together, or one text with many different edits.

Everything here works on the sessions of either set of layers. On the engine's kernels the numbers have the same bits
whichever way they are run: together or alone, in pieces or whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Literal, Protocol

import numpy as np

from petitlm.config import ModelConfig
from petitlm.decoder import NO_TAP
from petitlm.engine.edits import Edit, places_of
from petitlm.engine.generation import Session
from petitlm.engine.kernels import Floats, Ints
from petitlm.engine.runner import as_ints
from petitlm.engine.trace import Dictionary, Keep, Recorder, Trace
from petitlm.errors import ContextError, DoesNotFitError, UsageError
from petitlm.sizes import size_text
from petitlm.taps import TapName, by_head, tap_shape

Wanted = Literal["all", "last", "none"]
TRACE_LIMIT = 1 << 30
"""Bytes that a trace may take, unless someone says otherwise."""
_ROWS = 64  # tokens in a pass of many short ends: enough to share what reading the weights costs
_ENDS = 12  # ends in a pass: each takes a copy of what was computed of the start, which is not worth it for more
_TOKENS = 256  # tokens in a pass of whole texts
_SLOT_BYTES = 1 << 29  # of keys and values that ends run together may take


class Runner(Protocol):
    """Weights that can run and be read; the engine's, or torch's."""

    config: ModelConfig

    @property
    def kind(self) -> str: ...  # "engine" or "torch"
    @property
    def digest(self) -> str: ...  # of the weights, in hexadecimal
    @property
    def exact(self) -> bool: ...  # numbers have the same bits in any company

    def session(self, slots: int, length: int) -> Session: ...

    def readout(self, x: Floats, /) -> Floats: ...  # residual stream (N, D) -> logits (N, V): final norm and head

    def weight(self, name: str, rows: Sequence[int] | None = None) -> Floats: ...  # as float32, decoded if packed


def trace_bytes(config: ModelConfig, keeps: Sequence[TapName | Keep], length: int, extra: Sequence[str] = ()) -> int:
    """Return the bytes that keeping this of a text of up to `length` tokens takes; features (`extra`) are not counted.

    Raises: UsageError for what cannot be kept.
    """
    resolved = [one for keep in keeps for one in (keep if isinstance(keep, Keep) else Keep(keep)).resolved(
        config, length, extra)]
    return sum(_kept_bytes(config, keep, length) for keep in resolved if keep.tap not in extra)


def _kept_bytes(config: ModelConfig, keep: Keep, length: int) -> int:
    shape, name = tap_shape(config, str(keep.tap), length), str(keep.tap)
    tokens = length if keep.at is None else np.size(keep.at)
    heads = 1 if len(shape) < 3 else shape[0] if by_head(name) else shape[1]
    heads = heads if keep.head is None else np.size(keep.head)
    width = shape[len(shape) - 1]
    if keep.norm:
        width = 1
    elif keep.top is not None:
        width = 3 * min(keep.top, width)  # a float32 and an int64 each
    elif keep.project is not None:
        width = prod(keep.project.shape[:-1])
    return 4 * tokens * heads * width


def check_trace(config: ModelConfig, keeps: Sequence[TapName | Keep], length: int, limit: int | None,
                extra: Sequence[str] = ()) -> int:
    """Return what keeping this takes, in bytes.

    Raises: DoesNotFitError if that is over the limit.
    """
    n_bytes = trace_bytes(config, keeps, length, extra)
    if limit is not None and n_bytes > limit:
        raise DoesNotFitError(f"the trace of {length} tokens would take {size_text(n_bytes)}, and the limit is "
                              f"{size_text(limit)}; keep fewer taps or positions, reduce them inside the run (top, "
                              "norm, project), or raise the limit")
    return n_bytes


def check_length(ids: Sequence[int], context: int) -> None:
    """Refuse a text that is empty or too long.

    Raises: UsageError; ContextError.
    """
    if not len(ids):
        raise UsageError("the text is empty; give at least one token")
    if len(ids) > context:
        raise ContextError(f"the text has {len(ids)} tokens and the context {context}; "
                           f"shorten it by {len(ids) - context} tokens or more")


def run_text(runner: Runner, ids: Sequence[int], keeps: Sequence[TapName | Keep] = (), edits: Sequence[Edit] = (), *,
             wanted: Wanted = "all", dictionaries: Sequence[Dictionary] = ()) -> Trace:
    """Run one text; logits (T, V), of the last token alone (1, V), or none (0, V)."""
    config, features = runner.config, [d.name for d in dictionaries]
    check_length(ids, config.n_ctx)
    keeps, edits = _resolve(config, keeps, edits, len(ids), features)
    session, size = runner.session(1, len(ids)), len(ids) if _needs_all(edits) else _TOKENS
    recorder = None
    if keeps or edits:
        recorder = Recorder(config, keeps, edits, as_ints([]), dictionaries=dictionaries, length=len(ids))
    logits, n = np.empty((len(ids) if wanted == "all" else int(wanted == "last"), config.n_vocab), np.float32), 0
    for begin in range(0, len(ids), size):
        chunk = as_ints(ids[begin : begin + size])
        positions, slots = as_ints(range(begin, begin + len(chunk))), np.zeros(len(chunk), np.int32)
        last = as_ints([len(chunk) - 1] if wanted == "last" and begin + len(chunk) == len(ids) else [])
        rows = None if wanted == "all" else last
        if recorder is not None:
            recorder.go_on(positions, slots, rows)
        part = session.step(chunk, positions, slots, rows, recorder or NO_TAP)
        logits[n : n + len(part)] = part
        n += len(part)
    return Trace(list(ids), logits, recorder.taken() if recorder is not None else {}, config)


def run_texts(runner: Runner, texts: Sequence[Sequence[int]], keeps: Sequence[TapName | Keep] = (),
              edits: Sequence[Edit] = (), *, wanted: Wanted = "last",
              dictionaries: Sequence[Dictionary] = ()) -> Iterator[Trace]:
    """Run many texts, short ones together, and yield their traces in order; negative positions count in each text.

    Raises: UsageError for an empty text; ContextError.
    """
    at = 0
    for ids in texts:
        check_length(ids, runner.config.n_ctx)
    while at < len(texts):
        end, n = at + 1, len(texts[at])
        while end < len(texts) and n + len(texts[end]) <= _TOKENS:
            n += len(texts[end])
            end += 1
        yield from _together(runner, texts[at:end], keeps, [edits] * (end - at), wanted, dictionaries)
        at = end


def _together(runner: Runner, texts: Sequence[Sequence[int]], keeps: Sequence[TapName | Keep],
              edits: Sequence[Sequence[Edit]], wanted: Wanted, dictionaries: Sequence[Dictionary]) -> list[Trace]:
    """Run whole texts in one pass, each with its own edits."""
    session = runner.session(len(texts), max(len(ids) for ids in texts))
    return _pass(runner.config, session, texts, [0] * len(texts), 0, keeps, edits, wanted, dictionaries)


def run_variants(runner: Runner, ids: Sequence[int], variants: Sequence[Sequence[Edit]],
                 keeps: Sequence[TapName | Keep] = (), edits: Sequence[Edit] = (), *, wanted: Wanted = "last",
                 dictionaries: Sequence[Dictionary] = ()) -> Iterator[Trace]:
    """Run one text with each variant's edits (and with `edits`, in all), yield the traces in order.

    What comes before the first position that any variant changes is run once and shared; the ends are run many
    at a time. So a sweep at the last position costs a token for each variant, and less, since they share the weights.
    Values are kept of the ends: of positions from the first on that is changed, or named in a `Keep`.
    Raises: UsageError for an empty text; ContextError.
    """
    check_length(ids, runner.config.n_ctx)
    config, features = runner.config, [d.name for d in dictionaries]
    resolved = [[one for e in variant for one in e.resolved(config, len(ids), features)] for variant in variants]
    kept, edits = _resolve(config, keeps, edits, len(ids), features)
    changed = [places_of(e.positions) for variant in resolved for e in variant]
    changed += [places_of(keep.at) for keep in kept if keep.at is not None]
    start = min([min(at) if at is not None else 0 for at in changed] + [len(ids) - 1])
    if _needs_all([*edits, *(e for variant in resolved for e in variant)]):
        start = 0
    per_slot = max(1, _cache_bytes(config, len(ids)))
    together = max(1, min(len(variants), _ENDS, _ROWS // (len(ids) - start), _SLOT_BYTES // per_slot))
    session = runner.session(1 + together, len(ids))
    if start:
        _run_start(config, session, ids[:start], edits, dictionaries)
        for slot in range(1, 1 + together):
            session.copy(0, slot, start)
    for at in range(0, len(variants), together):
        group = [[*edits, *variant] for variant in resolved[at : at + together]]
        n = len(group)
        yield from _pass(config, session, [ids] * n, [start] * n, 1, keeps, group, wanted, dictionaries)


def _run_start(config: ModelConfig, session: Session, ids: Sequence[int], edits: Sequence[Edit],
               dictionaries: Sequence[Dictionary]) -> None:
    for begin in range(0, len(ids), _TOKENS):
        chunk = as_ints(ids[begin : begin + _TOKENS])
        positions, slots = as_ints(range(begin, begin + len(chunk))), np.zeros(len(chunk), np.int32)
        tap = Recorder(config, [], edits, positions, slots, dictionaries=dictionaries) if edits else NO_TAP
        session.step(chunk, positions, slots, as_ints([]), tap)


def _pass(config: ModelConfig, session: Session, texts: Sequence[Sequence[int]], starts: Sequence[int], first_slot: int,
          keeps: Sequence[TapName | Keep], edits: Sequence[Sequence[Edit]], wanted: Wanted,
          dictionaries: Sequence[Dictionary]) -> list[Trace]:
    """Run the ends of some texts in one step, the i-th in slot `first_slot + i`, and cut the results apart."""
    features = [d.name for d in dictionaries]
    ends = [list(ids[start:]) for ids, start in zip(texts, starts, strict=True)]
    slots = np.repeat(as_ints(range(first_slot, first_slot + len(ends))), [len(end) for end in ends])
    positions = as_ints([p for ids, start in zip(texts, starts, strict=True) for p in range(start, len(ids))])
    bounds = np.cumsum([0, *map(len, ends)])
    rows: Ints | None = None if wanted == "all" else as_ints(bounds[1:] - 1 if wanted == "last" else [])
    recorders = _ByLength(config, texts, first_slot, keeps, edits, positions, slots, rows, dictionaries, features)
    logits = session.step(as_ints([id for end in ends for id in end]), positions, slots, rows, recorders.tap)
    traces = list[Trace]()
    for i, ids in enumerate(texts):
        mine = slice(bounds[i], bounds[i + 1]) if wanted == "all" else slice(i, i + 1) if wanted == "last" else slice(0)
        traces.append(Trace(list(ids), logits[mine], recorders.of(i), config))
    return traces


class _ByLength:
    """One recorder for texts of one length; for texts of several, what is kept is cut down to each text's own."""

    def __init__(self, config: ModelConfig, texts: Sequence[Sequence[int]], first_slot: int,
                 keeps: Sequence[TapName | Keep], edits: Sequence[Sequence[Edit]], positions: Ints, slots: Ints,
                 rows: Ints | None, dictionaries: Sequence[Dictionary], features: list[str]) -> None:
        self._first, self._lengths = first_slot, [len(ids) for ids in texts]
        self._own = [_resolve(config, keeps, [], n, features)[0] for n in self._lengths]
        merged = [keep if keep.at is None else replace(keep, at=sorted(
            {p for own in self._own for p in places_of(own[i].at) or ()})) for i, keep in enumerate(self._own[0])]
        variants = {first_slot + i: [one for e in es for one in e.resolved(config, len(texts[i]), features)]
                    for i, es in enumerate(edits)}
        if not merged and not any(variants.values()):
            self.tap, self._recorder = NO_TAP, None
            return
        self.tap = self._recorder = Recorder(config, merged, [], positions, slots, variants=variants,
                                             dictionaries=dictionaries)
        self._recorder.go_on(positions, slots, rows)

    def of(self, i: int) -> dict[str, Any]:
        if self._recorder is None:
            return {}
        return self._recorder.of(self._first + i, {str(keep.tap): keep.at for keep in self._own[i]}, self._lengths[i])


def _resolve(config: ModelConfig, keeps: Sequence[TapName | Keep], edits: Sequence[Edit], length: int,
             features: list[str]) -> tuple[list[Keep], list[Edit]]:
    kept = [one for keep in keeps
            for one in (keep if isinstance(keep, Keep) else Keep(keep)).resolved(config, length, features)]
    return kept, [one for edit in edits for one in edit.resolved(config, length, features)]


def _needs_all(edits: Sequence[Edit]) -> bool:
    """Whether the text has to be run in one piece: for a mean over its tokens."""
    return any(edit.op == "mean" and edit.value is None for edit in edits)


def _cache_bytes(config: ModelConfig, length: int) -> int:
    return 8 * config.n_layers * config.n_kv_heads * config.d_head * length  # two of float32 at the most
