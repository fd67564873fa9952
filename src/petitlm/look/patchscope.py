"""Patchscopes: a hidden state, put into another prompt that makes the model say in words what the state holds.

Ghandeharioun et al. 2024, Patchscopes, section 3. With the last block as the target's layer it is the logit lens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from petitlm.decoder import NO_TAP
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runner import as_ints
from petitlm.engine.runs import Runner, run_text, run_variants
from petitlm.engine.sampling import likeliest, log_softmax
from petitlm.engine.trace import Keep, Recorder
from petitlm.errors import ContextError, UsageError
from petitlm.look.models import Model, Text, ids_of, token_text, token_texts
from petitlm.look.pieces import block_of, positions_of
from petitlm.look.results import Evidence, Result, Table, about


@dataclass(frozen=True)
class Said:
    """What the target prompt says with the state of one layer in it."""

    layer: int
    """Block after which the state was taken."""
    top: list[str]
    """Likeliest next tokens, likeliest first."""
    p: list[float]
    """Their probabilities."""
    text: str
    """What the model goes on to say, the likeliest token each time; empty unless asked for."""


@dataclass(frozen=True)
class Patchscope(Result):
    """What one position's states say in another prompt."""

    evidence: ClassVar[Evidence] = "intervention"
    token: str
    """Token whose state was taken."""
    place: str
    """Token of the target in whose place it was put."""
    into_layer: int | None
    """Block after which it was put; None: the one it was taken from."""
    said: list[Said]
    unpatched: Said
    """What the target says as it is; its layer is -1."""

    def tables(self) -> list[Table]:
        rows = []
        for one in [*self.said, self.unpatched]:
            tokens = [f"{t!r} {p:.2f}" for t, p in zip(one.top, one.p, strict=True)]
            rows.append(["as it is" if one.layer < 0 else str(one.layer), *tokens[:3],
                         *([one.text] if self.said[0].text else [])])
        where = "the same layer" if self.into_layer is None else f"layer {self.into_layer}"
        names = ("first", "second", "third")[: min(3, len(self.unpatched.top))]
        return [Table(f"the state of {self.token!r}, put at {self.place!r} of the target after {where}",
                      ["from layer", *names, *(["goes on"] if self.said[0].text else [])], rows)]

    def charts(self) -> list[str]:
        from petitlm.look.page import heat

        rows = [*self.said, self.unpatched]
        return [heat("What the target says with each layer's state in it",
                     ["as it is" if one.layer < 0 else f"layer {one.layer}" for one in rows],
                     [f"{i + 1}." for i in range(len(self.unpatched.top))], [one.p for one in rows],
                     unit="probability", texts=[one.top for one in rows])]


def patchscope(model: Model, text: Text, target: Text, *, at: int = -1, into: int = -1,
               layers: Sequence[int] | None = None, into_layer: int | None = None, top: int = 5,
               max_tokens: int = 0) -> Patchscope:
    """Put the residual stream of `text` at position `at` into `target` at position `into`, layer by layer.

    The state after each of `layers` (all of them if None) is put after the same layer, or after `into_layer`. With
    `max_tokens` the model goes on greedily from there.
    Raises: UsageError; ContextError.
    """
    config, runner = model.config, model.runner
    ids, target_ids = ids_of(model, text), ids_of(model, target)
    source, place = positions_of(at, len(ids))[0], positions_of(into, len(target_ids))[0]
    if top < 1 or max_tokens < 0:
        raise UsageError(f"top={top} and max_tokens={max_tokens} cannot be; give at least 1 and 0")
    if len(target_ids) + max_tokens > model.context:
        raise ContextError(f"the target's {len(target_ids)} tokens and {max_tokens} more do not fit in the context of "
                           f"{model.context}; shorten the target or ask for fewer")
    chosen = [block_of(i, config.n_layers) for i in (range(config.n_layers) if layers is None else layers)]
    onto = None if into_layer is None else block_of(into_layer, config.n_layers)
    states = run_text(runner, ids, [Keep(("resid_post", i), at=source) for i in dict.fromkeys(chosen)], wanted="none")
    edits = [Edit(("resid_post", i if onto is None else onto), "replace", states["resid_post", i][0], place)
             for i in chosen]
    rows = [trace.logits[-1] for trace in run_variants(runner, target_ids, [[edit] for edit in edits])]
    said = [_said(model, i, row, top, target_ids, [edit], max_tokens)
            for i, row, edit in zip(chosen, rows, edits, strict=True)]
    plain = run_text(runner, target_ids, wanted="last").logits[-1]
    return Patchscope(
        about(model, "patchscope", text=text, target=target, at=at, into=into, layers=layers, into_layer=into_layer,
              top=top, max_tokens=max_tokens),
        token_text(model, ids[source]), token_text(model, target_ids[place]), onto, said,
        _said(model, -1, plain, top, target_ids, [], max_tokens))


def _said(model: Model, layer: int, row: Floats, top: int, target: list[int], edits: list[Edit],
          max_tokens: int) -> Said:
    ids, p = likeliest(row, top).tolist(), np.exp(log_softmax(row[None])[0])
    text = "".join(token_texts(model, greedy(model.runner, target, edits, max_tokens))) if max_tokens else ""
    return Said(layer, token_texts(model, ids), p[ids].tolist(), text)


def greedy(runner: Runner, ids: Sequence[int], edits: Sequence[Edit], max_tokens: int) -> list[int]:
    """Return the likeliest next tokens, one after the other, of a text that is run with edits at its own positions.

    The end token, where there is one, ends it and is left out.
    """
    config, session = runner.config, runner.session(1, len(ids) + max_tokens)
    positions = as_ints(range(len(ids)))
    last = as_ints([len(ids) - 1])
    tap = NO_TAP
    if edits:
        tap = Recorder(config, [], [one for edit in edits for one in edit.resolved(config, len(ids))], positions)
        tap.go_on(positions, None, last)
    logits = session.step(as_ints(ids), positions, np.zeros_like(positions), last, tap)
    out = list[int]()
    while len(out) < max_tokens:
        id = int(likeliest(logits[-1], 1)[0])
        if id == config.eos_id:
            break
        out.append(id)
        if len(out) < max_tokens:
            logits = session.step(as_ints([id]), as_ints([len(ids) + len(out) - 1]), as_ints([0]), as_ints([0]))
    return out
