"""What each feature of a dictionary is about: where it is strongest in many texts, how often, what it speaks for, and
what the model does without it.

The first three are observations. The last is caused: at its strongest example the feature is taken out of the run, and
the distribution of the next token compared. A feature that looks meaningful and changes nothing is not used there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_texts, run_variants
from petitlm.engine.sampling import log_softmax
from petitlm.errors import UsageError
from petitlm.look.dictionaries import SparseDictionary
from petitlm.look.features import Fit, fit_checks, fit_table, measure, opened, spoken_for
from petitlm.look.models import Model, Text, ids_of, token_text, token_texts
from petitlm.look.results import Result, Table, about

_BEFORE, _AFTER = 8, 3  # tokens shown around the strongest one
_CANDIDATES = 6  # places kept for each one shown: many are the same words in other texts
_MEASURED = 64  # texts on which the fit is measured


@dataclass(frozen=True)
class Example:
    """A place where a feature is strong."""

    text: int
    """Index of the text."""
    position: int
    tokens: tuple[str, ...]
    """Some tokens around it."""
    strengths: tuple[float, ...]
    """The feature's strength at each of them."""
    strength: float


@dataclass(frozen=True)
class Card:
    """One feature."""

    index: int
    density: float
    """Share of the tokens at which it is active."""
    mean: float
    """Its strength where it is active, on average."""
    raises: tuple[str, ...]
    lowers: tuple[str, ...]
    """Tokens whose logits it moves most on its direct way to the head."""
    examples: tuple[Example, ...]
    """Strongest first, no two with the same words before."""
    effect: float
    """How far the next token's distribution moves when it is taken out at its strongest example: KL, nats."""
    lost: tuple[str, ...]
    """Tokens that lose most probability by that."""
    lost_probability: tuple[float, ...]


@dataclass(frozen=True)
class Dashboard(Result):
    """The features of a dictionary over many texts."""

    dictionary: dict[str, Any]
    """Tap, width and kind."""
    n_texts: int
    n_tokens: int
    cards: tuple[Card, ...]
    densities: dict[str, int]
    """How many features are active at which share of the tokens, by powers of ten."""
    fit: Fit

    def tables(self) -> list[Table]:
        of = f"{self.dictionary['width']:,} features of {self.dictionary['tap']} over {self.n_tokens:,} tokens"
        rows = [[c.index, c.density, c.mean, _marked(c.examples[0]) if c.examples else None,
                 " ".join(c.raises[:3]), c.effect, " ".join(c.lost[:2])] for c in self.cards]
        examples = [[c.index, e.strength, e.text, e.position, _marked(e)] for c in self.cards for e in c.examples]
        columns = ["feature", "density", "mean", "strongest example", "raises", "effect", "lost"]
        return [Table(f"Features ({of})", columns, rows,
                      "effect and lost are caused: KL in nats of the next token when the feature is taken out at its "
                      "strongest example, and the tokens that lose by it; raises: on the direct way to the head"),
                Table("Examples", ["feature", "strength", "text", "at", "words"], examples),
                Table("Densities", ["share of tokens", "features"], list(self.densities.items())),
                fit_table(self.fit)]

    def charts(self) -> list[str]:
        from petitlm.look.page import bars, section, tokens

        drawn = [bars("How often features are active", list(self.densities), list(self.densities.values()),
                      unit="features", note="share of the tokens, by powers of ten")]
        for card in self.cards:
            spoken = f"Raises {' '.join(card.raises)}; lowers {' '.join(card.lowers)}. " if card.raises else ""
            lost = ", ".join(f"{t} {p:.1%}" for t, p in zip(card.lost, card.lost_probability, strict=True))
            note = (f"{spoken}Active at {card.density:.2%} of the tokens. Without it, at the first example, the next "
                    f"token moves by {card.effect:.3g} nats" + (f" (lost: {lost})" if lost else "") + ".")
            parts = [bars("Strongest examples", [_marked(e) for e in card.examples],
                          [e.strength for e in card.examples], unit="strength", note=note)]
            parts += [tokens("The first, token by token", e.tokens, e.strengths) for e in card.examples[:1]]
            drawn.append(section(f"Feature {card.index}", *parts))
        return drawn


def _marked(example: Example) -> str:
    """Return some letters around the strongest token, which stands in brackets."""
    at = example.position - max(0, example.position - _BEFORE)
    before, after = ("".join(part) for part in (example.tokens[:at], example.tokens[at + 1 :]))
    return f"{before[-12:]}[{example.tokens[at]}]{after[:6]}".strip()


def dashboard(model: Model, dictionary: SparseDictionary | str | Path, texts: Sequence[Text], *,
              chosen: Sequence[int] | None = None, n: int = 12, examples: int = 4) -> Dashboard:
    """Describe features over many texts: those `chosen`, or the `n` with most of what is reconstructed.

    `dictionary` is one, or its folder. Each feature shows so many `examples`.
    Raises: UsageError for a dictionary of another model, or a feature that it does not have; NotFoundError;
    DamagedError.
    """
    dictionary, sequences = opened(model, dictionary), [ids_of(model, text) for text in texts]
    for index in chosen or ():
        if not 0 <= index < dictionary.width:
            raise UsageError(f"feature {index} is not in this dictionary; its features run from 0 to "
                             f"{dictionary.width - 1}")
    if n < 1 or examples < 1:
        raise UsageError(f"n={n} features with {examples} examples each cannot be shown; ask for at least one of each")
    fit = measure(model, dictionary, sequences[:_MEASURED])
    survey = _Survey(model, dictionary, sequences, _CANDIDATES * examples)
    order = np.argsort(-survey.energy, kind="stable")[:n]
    picked = [int(i) for i in order if survey.energy[i] > 0] if chosen is None else [int(i) for i in chosen]
    spoken = spoken_for(model, dictionary, picked)
    cards = tuple(_card(model, dictionary, sequences, survey, i, examples, words)
                  for i, words in zip(picked, spoken, strict=True))
    return Dashboard(
        about(model, "dashboard", dictionary=dictionary.source or "(never saved)", texts=list(texts), chosen=chosen,
              n=n, examples=examples),
        {"tap": dictionary.name, "width": dictionary.width, "kind": dictionary.architecture}, len(sequences),
        survey.n_tokens, cards, survey.histogram(), fit, checks=fit_checks(model, dictionary, fit))


class _Survey:
    """One pass over all texts: for every feature how often, how strongly, and where most; first tokens aside."""

    def __init__(self, model: Model, dictionary: SparseDictionary, sequences: Sequence[Sequence[int]], n: int) -> None:
        width = dictionary.width
        self.count, self.total, self.energy = np.zeros(width, np.int64), np.zeros(width), np.zeros(width)
        self.best = np.zeros((width, n), np.float32)
        self.where = np.zeros((width, n, 2), np.int64)  # text, position
        self.n_tokens = 0
        longer = [i for i, ids in enumerate(sequences) if len(ids) > 1]
        traces = run_texts(model.runner, [sequences[i] for i in longer], [dictionary.reads], wanted="none")
        for text, trace in zip(longer, traces, strict=True):
            self._see(text, dictionary.encode(trace[dictionary.reads][1:]))

    def _see(self, text: int, f: Floats) -> None:
        self.n_tokens += len(f)
        self.count += (f > 0).sum(0)
        self.total += f.sum(0, dtype=np.float64)
        self.energy += (f.astype(np.float64) ** 2).sum(0)
        strongest, least = f.max(0), self.best.argmin(1)
        better = np.flatnonzero(strongest > self.best[np.arange(len(least)), least])
        self.best[better, least[better]] = strongest[better]
        self.where[better, least[better]] = np.stack([np.full(len(better), text), f.argmax(0)[better] + 1], 1)

    def places(self, feature: int) -> list[tuple[int, int]]:
        """Return (text, position) of a feature's strongest places, strongest first."""
        order = np.lexsort((self.where[feature, :, 0], -self.best[feature]))
        return [(int(t), int(p)) for t, p in self.where[feature, order[self.best[feature, order] > 0]]]

    def histogram(self) -> dict[str, int]:
        """Return how many features are active at which share of the tokens."""
        density = self.count / max(1, self.n_tokens)
        edges = [0, 1e-4, 1e-3, 1e-2, 1e-1, 1.01]
        names = ["up to 0.01 %", "0.01 to 0.1 %", "0.1 to 1 %", "1 to 10 %", "above 10 %"]
        active: NDArray[np.float64] = density[density > 0]
        counted = np.histogram(active, edges)[0]
        return {"never": int((density == 0).sum()), **dict(zip(names, map(int, counted), strict=True))}


def _card(model: Model, dictionary: SparseDictionary, sequences: Sequence[Sequence[int]], survey: _Survey, index: int,
          n: int, spoken: tuple[list[str], list[str]]) -> Card:
    chosen, known = [], set()
    for text, position in survey.places(index):
        before = tuple(sequences[text][max(0, position - _BEFORE) : position + 1])
        if before not in known:
            known.add(before)
            chosen.append((text, position))
    shown = chosen[:n]
    traces = run_texts(model.runner, [sequences[text] for text, _ in shown], [dictionary.reads], wanted="none")
    examples = tuple(_example(model, trace.ids, text, at, dictionary.encode(trace[dictionary.reads])[:, index])
                     for (text, at), trace in zip(shown, traces, strict=True))
    effect, lost, lost_probability = 0.0, [], []
    if shown:
        text, at = shown[0]
        effect, fall = _effect(model, dictionary, sequences[text][: at + 1], index)
        losers = [int(id) for id in np.argsort(-fall, kind="stable")[:3] if fall[id] > 1e-3]
        lost, lost_probability = token_texts(model, losers), [float(fall[id]) for id in losers]
    count = int(survey.count[index])
    return Card(index, count / max(1, survey.n_tokens), float(survey.total[index] / max(1, count)), tuple(spoken[0]),
                tuple(spoken[1]), examples, effect, tuple(lost), tuple(lost_probability))


def _example(model: Model, ids: Sequence[int], text: int, at: int, strengths: Floats) -> Example:
    window = range(max(0, at - _BEFORE), min(len(ids), at + _AFTER + 1))
    return Example(text, at, tuple(token_text(model, ids[i]) for i in window),
                   tuple(float(strengths[i]) for i in window), float(strengths[at]))


def _effect(model: Model, dictionary: SparseDictionary, ids: Sequence[int], index: int) -> tuple[float, Floats]:
    """Return what taking a feature out at the last token does to the next: KL in nats, and probability lost (V,)."""
    without = Edit(dictionary.name, "zero", positions=len(ids) - 1, neuron=index)
    logits = [trace.logits[-1:] for trace in run_variants(model.runner, ids, [[], [without]],
                                                          dictionaries=[dictionary])]
    clean, changed = (log_softmax(row)[0].astype(np.float64) for row in logits)
    p = np.exp(clean)
    return float(max(0.0, (p * (clean - changed)).sum())), (p - np.exp(changed)).astype(np.float32)
