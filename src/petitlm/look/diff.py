"""One text in two models of one shape, tap by tap and token by token: where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from petitlm.config import ModelConfig
from petitlm.engine.runs import run_text, trace_bytes
from petitlm.engine.trace import Keep
from petitlm.errors import UsageError
from petitlm.look.distances import Array, check_same_shape, divergences, moved_attention, same_ids, token_errors
from petitlm.look.drift import BYTES, TAPS
from petitlm.look.models import Model, Text, token_texts
from petitlm.look.page import heat, tokens
from petitlm.look.results import Result, Table, about, model_facts
from petitlm.taps import block_of, by_head, full_names, short_name

_WORST = 10  # heads in a table


@dataclass(frozen=True)
class Diff(Result):
    """How far two models are apart on one text: T tokens, L blocks, H heads."""

    tokens: tuple[str, ...]
    taps: tuple[str, ...]
    errors: Array
    """Distance from the reference at each tap and token, of the reference's length (taps, T)."""
    attention: Array
    """Share of each head's attention that goes to other tokens, mean over queries (L, H)."""
    kl: Array
    """KL(reference || model) after each token, nats (T,)."""
    said: tuple[str, ...]
    """The most likely next token of the model, after each token."""
    reference_said: tuple[str, ...]

    def tables(self) -> list[Table]:
        """Return the tokens, and the distances at all taps."""
        rows = [[i, *row] for i, row in enumerate(zip(
            self.tokens, map(float, self.kl), self.said, self.reference_said,
            ["" if a == b else "differs" for a, b in zip(self.said, self.reference_said, strict=True)], strict=True))]
        order = np.argsort(-self.attention, axis=None, kind="stable")[:_WORST].tolist()
        n_heads = self.attention.shape[1]
        heads = [[f"{i // n_heads}.{i % n_heads}", float(self.attention.flat[i])] for i in order]
        return [Table("Token by token", ["position", "token", "KL", "says", "reference says", ""], rows),
                self._tap_by_tap(),
                Table("Heads that look elsewhere most", ["head", "attention moved"], heads)]

    def _tap_by_tap(self) -> Table:
        """Return the mean distances, a row for each block; what a model has once comes first and last."""
        cut = [(short.partition(":")[0], short.partition(":")[2]) for short in self.taps]
        names, blocks = list(dict.fromkeys(n for n, _ in cut)), list(dict.fromkeys(b for _, b in cut))
        mean = {place: float(row.mean()) for place, row in zip(cut, self.errors, strict=True)}
        rows = [[block or "once", *(mean.get((name, block)) for name in names)] for block in blocks]
        return Table("Tap by tap: distance from the reference, of its length", ["block", *names], rows,
                     "means over the tokens; errors of earlier parts are in it")

    def charts(self) -> list[str]:
        """Draw the tokens, the taps and the heads."""
        stream = [i for i, tap in enumerate(self.taps) if tap.startswith(("resid_post", "ln_final"))]
        blocks = [f"block {i}" for i in range(len(self.attention))]
        places = [f"{i} {token}" for i, token in enumerate(self.tokens)]
        return [tokens("What is said after each token: KL to the reference", self.tokens, self.kl, unit="nats"),
                heat("Distance from the reference in the residual stream, of its length",
                     [self.taps[i] for i in stream], places, self.errors[stream]),
                heat("Distance from the reference at every tap, of its length", self.taps, places, self.errors),
                heat("Attention moved to other tokens", blocks, [str(i) for i in range(self.attention.shape[1])],
                     self.attention, unit="share")]


def diff(model: Model, reference: Model, text: Text, *, taps: Sequence[str] | None = None) -> Diff:
    """Compare a model with a reference of the same shape on one text, tap by tap and token by token.

    `taps` are names as everywhere; by default those of `drift`, of all blocks.
    Raises: UsageError for models of two shapes or tokenizers, or an unknown tap; ContextError.
    """
    check_same_shape(model, reference)
    ids, config = same_ids(model, reference, text), model.config
    names = _chosen(config, taps)
    errors, logits = [], []
    moved = np.zeros((config.n_layers, config.n_heads))
    for at in range(0, len(names), size := _at_once(config, names, len(ids))):
        pair = [run_text(m.runner, ids, names[at : at + size]) for m in (model, reference)]
        logits = [trace.logits for trace in pair]
        errors += [_token_errors(name, *pair) for name in names[at : at + size]]
    for i in range(config.n_layers):
        pair = [run_text(m.runner, ids, [("pattern", i)], wanted="none")["pattern", i] for m in (model, reference)]
        moved[i] = moved_attention(*pair)[:, 1:].sum(1) / max(1, len(ids) - 1)
    said = [tuple(token_texts(model, row.argmax(-1).tolist())) for row in logits]
    return Diff(about(model, "diff", reference=model_facts(reference), text=text, taps=taps),
                tuple(token_texts(model, ids)), tuple(map(short_name, names)), np.array(errors), moved,
                divergences(*logits), *said)


def _chosen(config: ModelConfig, taps: Sequence[str] | None) -> list[str]:
    if taps is not None:
        names = [name for tap in taps for name in full_names(config, tap)]
        if not names:
            raise UsageError("no tap was named to compare at; leave taps out for the usual ones")
        return [name for name in names if name != "logits"]
    usual = [name for tap in TAPS if tap != "resid_mid" or not config.parallel_block
             for name in full_names(config, tap)]
    return ["hook_embed", *sorted(usual, key=lambda name: block_of(name) or 0), "ln_final.hook_normalized"]


def _at_once(config: ModelConfig, names: Sequence[str], length: int) -> int:
    largest = max(trace_bytes(config, [Keep(name)], length) for name in names)
    return max(1, BYTES // (2 * largest))


def _token_errors(name: str, mine: Any, theirs: Any) -> Array:
    x, y = mine[name], theirs[name]
    return token_errors(*((v.swapaxes(0, 1) for v in (x, y)) if by_head(name) else (x, y)))
