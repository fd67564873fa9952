"""Heads that copy: previous-token, duplicate-token and induction scores on random tokens that repeat.

Olsson et al. 2022, In-context Learning and Induction Heads, appendix "prefix matching score"; the composition of pairs
is `petitlm.look.composition`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.kernels import Floats
from petitlm.errors import UsageError
from petitlm.look.composition import Pair, compositions
from petitlm.look.models import Model, Text
from petitlm.look.patterns import watch_patterns
from petitlm.look.results import Result, Table, about

Numbers = NDArray[np.float64]
KINDS: tuple[str, ...] = ("previous", "duplicate", "induction")
_PERIOD = 32  # tokens before they repeat, where the context and the vocabulary allow it
_COMPOSED = 48  # heads, at most, whose pairs are all composed


@dataclass(frozen=True)
class Heads(Result):
    """How much of its attention each head puts where a copying head would; 1 is all."""

    period: int
    repeats: int
    n_texts: int
    previous: Numbers
    """Mean attention on the token before, (L, H)."""
    duplicate: Numbers
    """On earlier occurrences of the same token, summed over them, once tokens repeat, (L, H)."""
    induction: Numbers
    """On the tokens that followed earlier occurrences, summed over them, once tokens repeat, (L, H)."""
    chance: dict[str, float]
    """The same of a head that looks at all tokens alike."""
    top: int
    pairs: list[Pair]
    """Compositions of heads, of later layers with earlier ones; the strongest first."""
    random_pair: float
    """What two heads of random orientation have: 1 / sqrt(D)."""

    def best(self, kind: str) -> list[tuple[int, int, float]]:
        """Return (layer, head, score) of the heads with the highest scores of a kind."""
        scores: Numbers = getattr(self, kind)
        order = np.argsort(-scores.ravel(), kind="stable")[: self.top]
        return [(int(i) // scores.shape[1], int(i) % scores.shape[1], float(scores.ravel()[i])) for i in order]

    def tables(self) -> list[Table]:
        best = [self.best(kind) for kind in KINDS]
        rows = [[cell for layer, head, score in row for cell in (f"{layer}.{head}", score)]
                for row in zip(*best, strict=True)]
        note = f"share of attention, {self.n_texts} texts of {self.period} random tokens {self.repeats} times; " + \
            ", ".join(f"{kind} {self.chance[kind]:.3f}" for kind in KINDS) + " by chance"
        found = Table("heads that copy", ["head", "previous", "head", "duplicate", "head", "induction"], rows, note)
        strongest = [[f"{p.sender[0]}.{p.sender[1]}", f"{p.receiver[0]}.{p.receiver[1]}", p.kind, p.score]
                     for p in self.pairs[: self.top]]
        if not strongest:
            return [found]
        return [found, Table("composition, read off the weights", ["writes", "reads", "through", "score"], strongest,
                             f"{self.random_pair:.3f} by chance; rotation of queries and keys left out")]

    def charts(self) -> list[str]:
        from petitlm.look.page import bars, heat

        rows, columns = ([f"{name} {i}" for i in range(n)] for name, n in
                         zip(("layer", "head"), self.previous.shape, strict=True))
        titles = ("Previous-token score", "Duplicate-token score", "Induction score")
        drawn = [heat(title, rows, columns, getattr(self, kind), unit="share of attention", most=1.0,
                      note=f"{self.chance[kind]:.3f} by chance.") for title, kind in zip(titles, KINDS, strict=True)]
        if self.pairs:
            shown = self.pairs[: self.top]
            drawn.append(bars("Composition of pairs", [f"{p.sender[0]}.{p.sender[1]} → {p.receiver[0]}.{p.receiver[1]} "
                                                       f"{p.kind}" for p in shown], [p.score for p in shown],
                              note=f"{self.random_pair:.3f} by chance; rotation of queries and keys left out."))
        return drawn


def heads(model: Model, *, period: int | None = None, repeats: int = 2, n_texts: int = 4, seed: int = 0, top: int = 10,
          start: Text | None = None, compose: bool = True) -> Heads:
    """Score every head on `n_texts` texts in which `period` different random tokens come `repeats` times.

    Random tokens mean nothing, so what is found is the mechanism and no knowledge. `period` None takes 32, or as many
    as context and vocabulary allow. Texts begin with `start`, or with the model's begin token if it has one. With
    `compose` the pairs of heads are composed: all, or in a large model those with the best scores.
    Raises: UsageError for numbers that this model has no room for.
    """
    if min(n_texts, top) < 1 or repeats < 2:
        raise UsageError(f"repeats={repeats}, n_texts={n_texts}, top={top}: nothing would repeat or be kept; give at "
                         "least 2, 1 and 1")
    config, rng = model.config, np.random.default_rng(seed)
    begin = ([] if config.bos_id is None else [config.bos_id]) if start is None else model.encode(start)
    words = [id for id in plain_tokens(model) if id not in begin]
    room = min((model.context - len(begin)) // repeats, len(words))
    period = min(_PERIOD, room) if period is None else period
    if not 2 <= period <= room:
        raise UsageError(f"period={period} is not possible: the context of {model.context} has room for texts of "
                         f"{repeats} times {room} different tokens of the vocabulary; give 2 to {room}")
    sums = {kind: np.zeros((config.n_layers, config.n_heads)) for kind in KINDS}
    chance = dict.fromkeys(KINDS, 0.0)
    for _ in range(n_texts):
        once = rng.choice(words, period, replace=False).tolist()
        ids = [*begin, *(once * repeats)]
        masks = {kind: copying_mask(kind, len(ids), len(begin), period) for kind in KINDS}
        for kind, mask in masks.items():
            rows = np.flatnonzero(mask.any(-1))
            chance[kind] += float((mask[rows].sum(-1) / (rows + 1)).mean()) / n_texts

        def see(layer: int, pattern: Floats, seen: NDArray[np.int32]) -> None:
            for kind, mask in masks.items():  # noqa: B023  (called before the next round)
                part = mask[seen, : pattern.shape[-1]]
                sums[kind][layer] += (pattern * part).sum((1, 2)) / mask.any(-1).sum() / n_texts

        watch_patterns(model.runner, ids, range(config.n_layers), see)
    pairs = []
    if compose:
        best = np.max([sums[kind] for kind in KINDS], 0).ravel()
        chosen = np.sort(np.argsort(-best, kind="stable")[:_COMPOSED])
        pairs = compositions(model.runner, [(int(i) // config.n_heads, int(i) % config.n_heads) for i in chosen])
    asked = about(model, "heads", period=period, repeats=repeats, n_texts=n_texts, seed=seed, top=top, start=start,
                  compose=compose)
    return Heads(asked, period, repeats, n_texts, sums["previous"], sums["duplicate"], sums["induction"], chance, top,
                 pairs[: 10 * top], config.d_model**-0.5)


def copying_mask(kind: str, n: int, start: int, period: int) -> NDArray[np.bool_]:
    """Return which keys (n, n) a copying head would look at: row t is true at the places that count for position t.

    Texts are `start` tokens, then tokens that repeat every `period`. A duplicate's place is where the token was before;
    an induction's is the one after it: all such places count, since any of them tells what comes next.
    """
    back = np.arange(n)[:, None] - np.arange(n)
    if kind == "previous":
        return back == 1
    again = (np.arange(n) >= start + period)[:, None] & (np.arange(n) >= start)
    if kind == "duplicate":
        return again & (back > 0) & (back % period == 0)
    return again & (back > 0) & (back % period == period - 1) & (np.arange(n) > start)


def plain_tokens(model: Model) -> list[int]:
    """Return the ids of tokens that stand for text: no unused rows, no special tokens."""
    tokenizer, n = model.tokenizer, model.config.n_vocab
    special = set(tokenizer.backend.get_added_tokens_decoder()) | {tokenizer.bos_id, tokenizer.eos_id}
    special |= {model.config.bos_id, model.config.eos_id, *tokenizer.other_specials.values()}
    return [id for id in np.flatnonzero(~tokenizer.without_text(n)).tolist() if id not in special]

