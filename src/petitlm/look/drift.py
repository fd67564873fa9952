"""What quantizing or teaching changed inside: two models of one shape, compared part by part.

`drift` compares over many texts, and exchanges each part between the two models to see what it does to the answers.
The first model is the one that is looked at (packed in 4 bits, adapted, the later checkpoint), the second is the
reference. `petitlm.look.diff` compares one text, token by token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from petitlm.config import ModelConfig
from petitlm.engine.runs import run_text, trace_bytes
from petitlm.engine.trace import Trace
from petitlm.errors import UsageError
from petitlm.look.distances import (
    Array,
    Distance,
    Said,
    check_same_shape,
    moved_attention,
    same_ids,
    text_loss,
)
from petitlm.look.exchange import Exchange, Exchanges
from petitlm.look.mechanisms import CircuitOverlap, Pairs, Role, circuits_of, roles_of, roles_table
from petitlm.look.models import Model, Text
from petitlm.look.page import bars, heat, lines
from petitlm.look.results import Check, Evidence, Result, Table, about, model_facts
from petitlm.look.survival import Survival, Survivals

TAPS = ("q", "k", "v", "pattern", "z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post")
"""What is compared in every block."""
BYTES = 256 << 20
"""What the traces of both models may take at a time."""
_WORST = 10  # heads in a table


@dataclass(frozen=True)
class Inside:
    """Distances of what two models have inside; L blocks, H heads."""

    taps: tuple[str, ...]
    """Columns of `errors` and `cosines`."""
    errors: Array
    """Root mean square of the difference, of the reference's (L, taps)."""
    cosines: Array
    """Mean cosine of the two values (L, taps)."""
    attention: Array
    """Share of attention that goes to other tokens (L, H)."""
    heads: Array
    """As `errors`, of each head's output z (L, H)."""
    lens: Array
    """Share of tokens for which both streams, read through their own heads, would say the same (L,)."""
    lens_kl: Array
    """KL to the reference of the same, nats a token (L,)."""


@dataclass(frozen=True)
class Drift(Result):
    """How far a model has drifted from a reference, and through which parts."""

    evidence: ClassVar[Evidence] = "intervention"
    n_tokens: int
    kl: float
    """KL(reference || model) of the next token, nats a token."""
    agreement: float
    """Share of tokens after which both would say the same."""
    loss: float
    """Of the texts, nats a token."""
    reference_loss: float
    inside: Inside
    exchange: Exchange
    roles: tuple[Role, ...]
    circuits: CircuitOverlap | None = None
    survival: Survival | None = None

    @property
    def worst(self) -> int:
        """The part that does most alone."""
        return int(self.exchange.alone.argmax())

    def tables(self) -> list[Table]:
        """Return what is said, the parts, the taps, the heads that changed most, and the lens."""
        said = [["KL to the reference, nats a token", self.kl], ["same next token", self.agreement],
                ["loss of the texts, nats a token", self.loss], ["the reference's loss", self.reference_loss],
                ["tokens", self.n_tokens]]
        tables = [Table("What it says", ["measure", "value"], said), self._parts(), self._taps(), self._heads(),
                  Table("Read after each block", ["block", "same token", "KL"],
                        [[i, float(a), float(k)] for i, (a, k) in enumerate(
                            zip(self.inside.lens, self.inside.lens_kl, strict=True))]),
                  roles_table(self.roles)]
        return tables + [part.table() for part in (self.circuits, self.survival) if part is not None]

    def _parts(self) -> Table:
        x, worst = self.exchange, self.worst
        rows = [[name, *map(float, row)] for name, *row in zip(x.parts, x.error, x.alone, x.changed, x.left,
                                                               strict=True)]
        note = (f"the {x.parts[worst]} does most alone: {x.alone[worst]:.3g} of {self.kl:.3g} nats a token; "
                f"the {x.parts[int(x.left.argmin())]} restored leaves {x.left.min():.3g}")
        return Table("Which parts did it", ["part", "own error", "KL alone", "tokens changed", "KL if restored"], rows,
                     note)

    def _taps(self) -> Table:
        rows = [[i, *map(float, row), float(self.inside.cosines[i, -1])] for i, row in enumerate(self.inside.errors)]
        return Table("Distance from the reference, of its size", ["block", *self.inside.taps, "cosine"], rows,
                     "errors of earlier parts are in it; the cosine is that of resid_post")

    def _heads(self) -> Table:
        moved = self.inside.attention
        order = np.argsort(-moved, axis=None, kind="stable")[:_WORST]
        rows = [[f"{i // moved.shape[1]}.{i % moved.shape[1]}", float(moved.flat[i]), float(self.inside.heads.flat[i])]
                for i in order.tolist()]
        return Table("Heads that look elsewhere most", ["head", "attention moved", "error of z"], rows)

    def charts(self) -> list[str]:
        """Draw the parts, the taps, the heads and the lens."""
        blocks = [f"block {i}" for i in range(len(self.inside.errors))]
        heads = [str(i) for i in range(self.inside.attention.shape[1])]
        drawings = [
            bars("What each part does alone", self.exchange.parts, self.exchange.alone, unit="nats a token",
                 note="The reference with this part alone taken from the model: KL to the reference."),
            bars("What is left if a part is restored", self.exchange.parts, self.exchange.left, unit="nats a token",
                 note=f"The model with this part alone taken from the reference; nothing restored: {self.kl:.3g}."),
            heat("Distance from the reference, of its size", blocks, self.inside.taps, self.inside.errors,
                 note="What earlier parts did is in it."),
            heat("Attention moved to other tokens", blocks, heads, self.inside.attention, unit="share"),
            lines("Read after each block, both would say the same", list(range(len(blocks))),
                  {"share of tokens": self.inside.lens.tolist()}, x_label="block", y_label="share of tokens"),
            *(role.chart() for role in self.roles)]
        return drawings if self.survival is None else [*drawings, *self.survival.charts()]


def drift(model: Model, reference: Model, texts: Sequence[Text], *, pairs: Pairs = (),
          dictionary: str | Path | None = None) -> Drift:
    """Compare a model with a reference of the same shape over some texts.

    Each part is also exchanged between the two, which takes 4 L + 8 runs of each text. With `pairs`
    (each a clean text, a corrupt one, an answer, and perhaps another) heads are patched to see which carry the answer,
    and with two pairs or more the circuits of both models are found and compared. `dictionary` is the folder of a
    sparse dictionary, to see which of its features survive.
    Raises: UsageError for models of two shapes or tokenizers, or no text; ContextError.
    """
    check_same_shape(model, reference)
    if not texts:
        raise UsageError("no text was given to compare over; give at least one")
    every = [same_ids(model, reference, text) for text in texts]
    survivals = None if dictionary is None else Survivals(model, dictionary)
    exchanges, inside, said, losses = Exchanges(model.runner, reference.runner), _Insides(model, reference), Said(), []
    for ids in every:
        exchanges.add(ids)
        mine, theirs = inside.add(ids)
        said.add(mine.logits, theirs.logits)
        losses.append([text_loss(trace.logits, ids) for trace in (mine, theirs)])
        if survivals is not None:
            survivals.add(reference, ids)
    n_predicted = max(1, said.n_tokens - len(every))
    loss, reference_loss = np.sum(losses, axis=0) / n_predicted
    exchange = exchanges.result()
    return Drift(about(model, "drift", reference=model_facts(reference), texts=texts, pairs=pairs,
                       dictionary=dictionary),
                 said.n_tokens, said.mean_kl, said.agreement, float(loss), float(reference_loss), inside.result(),
                 exchange, roles_of(model, reference, pairs),
                 circuits_of(model, reference, pairs) if len(pairs) > 1 else None,
                 None if survivals is None else survivals.result(),
                 checks=_checks(exchange, said.mean_kl))


def _checks(exchange: Exchange, kl: float) -> tuple[Check, ...]:
    total = float(exchange.alone.sum())
    return (Check("all parts alone, of the whole", total / kl if kl else 1.0, None,
                  "1 where their effects add up; the rest is what they do together"),)


class _Insides:
    """Adds up distances inside, block by block where the values of all would take too much."""

    def __init__(self, model: Model, reference: Model) -> None:
        config: ModelConfig = model.config
        self.model, self.reference, self.config = model, reference, config
        self.taps = [tap for tap in TAPS if tap != "resid_mid" or not config.parallel_block]
        self.distances = [[Distance() for _ in self.taps] for _ in range(config.n_layers)]
        self.heads = [[Distance() for _ in range(config.n_heads)] for _ in range(config.n_layers)]
        self.moved = np.zeros((config.n_layers, config.n_heads))
        self.lens = [Said() for _ in range(config.n_layers)]
        self.n_queries = 0

    def add(self, ids: Sequence[int]) -> tuple[Trace, Trace]:
        """Count a text; returns the last traces of both."""
        for mine, theirs, blocks in _traces(self.model, self.reference, ids, self.taps):
            for i in blocks:
                self._add_block(i, mine, theirs)
        self.n_queries += len(ids) - 1
        return mine, theirs  # pyright: ignore[reportPossiblyUnboundVariable]  # there is at least one group

    def _add_block(self, i: int, mine: Trace, theirs: Trace) -> None:
        for tap, distance in zip(self.taps, self.distances[i], strict=True):
            x, y = mine[tap, i], theirs[tap, i]
            distance.add(*((v.swapaxes(0, 1) for v in (x, y)) if tap == "pattern" else (x, y)))
        self.moved[i] += moved_attention(mine["pattern", i], theirs["pattern", i])[:, 1:].sum(1)  # one sees itself
        for h, distance in enumerate(self.heads[i]):
            distance.add(mine["z", i][:, h], theirs["z", i][:, h])
        self.lens[i].add(self.model.runner.readout(mine["resid_post", i]),
                         self.reference.runner.readout(theirs["resid_post", i]))

    def result(self) -> Inside:
        """Return the means."""
        return Inside(tuple(self.taps), np.array([[d.error for d in row] for row in self.distances]),
                      np.array([[d.cosine for d in row] for row in self.distances]),
                      self.moved / max(1, self.n_queries), np.array([[d.error for d in row] for row in self.heads]),
                      np.array([s.agreement for s in self.lens]), np.array([s.mean_kl for s in self.lens]))


def _traces(model: Model, reference: Model, ids: Sequence[int], taps: Sequence[str]
            ) -> Iterator[tuple[Trace, Trace, list[int]]]:
    """Yield the traces of both models with the taps of some blocks, as many as fit at a time."""
    config, blocks = model.config, list(range(model.config.n_layers))
    one = 2 * trace_bytes(config, [(tap, 0) for tap in taps], len(ids))
    size = max(1, BYTES // one)
    for at in range(0, len(blocks), size):
        group = blocks[at : at + size]
        wanted = [(tap, i) for i in group for tap in taps]
        yield run_text(model.runner, ids, wanted), run_text(reference.runner, ids, wanted), group
