"""Which features of a dictionary a text has, how well the dictionary fits there, and what the features speak for.

That a feature is active says what is there, not that the model uses it: take it out (`Edit(dictionary.name, "zero",
neuron=...)`) to see what it does. On the benchmark that compares ways of finding causal variables, features of sparse
autoencoders did no better than plain neurons (Mueller et al. 2025, MIB): they are a way to look, not a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_text, run_texts
from petitlm.engine.sampling import log_softmax
from petitlm.errors import UsageError
from petitlm.look.dictionaries import SparseDictionary
from petitlm.look.dictionary_files import load_dictionary
from petitlm.look.models import Model, Text, ids_of, token_text, token_texts
from petitlm.look.results import Check, Result, Table, about

_STREAM = ("hook_embed", "hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out")
_ROWS = 4096  # of the head, decoded at once


@dataclass(frozen=True)
class Fit:
    """How well a dictionary fits a model on some texts; first tokens aside, which it does not learn."""

    n_tokens: int
    explained: float
    """Share of the values' variance that is reconstructed."""
    active: float
    """Features active at a token, on average."""
    silent: float
    """Share of the features that were never active here."""
    loss: float
    """The model's loss, nats a token."""
    loss_spliced: float
    """The loss with the reconstruction in the value's place."""
    loss_without: float
    """The loss with zeros in the value's place."""

    @property
    def recovered(self) -> float | None:
        """Share of the loss that zeros cost and the reconstruction does not; None where zeros cost nothing."""
        cost = self.loss_without - self.loss
        return (self.loss_without - self.loss_spliced) / cost if cost > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers in JSON's own types."""
        return {**self.__dict__, "recovered": self.recovered}


def measure(model: Model, dictionary: SparseDictionary, texts: Sequence[Text]) -> Fit:
    """Measure how well a dictionary fits a model on some texts: what it reconstructs, and what that costs.

    Raises: UsageError if no text has two tokens.
    """
    sequences = [ids for text in texts if len(ids := ids_of(model, text)) > 1]
    if not sequences:
        raise UsageError("a dictionary's fit is measured from the second token on, and no text has two; "
                         "give longer texts")
    taps = list(dict.fromkeys((dictionary.reads, dictionary.writes)))
    total, total_square, missed, active, n = 0.0, 0.0, 0.0, 0, 0
    ever, losses = np.zeros(dictionary.width, bool), np.zeros(3)
    for trace in run_texts(model.runner, sequences, taps, wanted="all"):
        x, y = trace[dictionary.reads][1:], trace[dictionary.writes][1:]
        f, guess = dictionary.encode(x), dictionary.reconstruct(x)
        wide = y.reshape(len(y), -1).astype(np.float64)
        total, total_square = total + wide.sum(0), total_square + (wide**2).sum()
        missed += ((wide - guess.reshape(wide.shape)) ** 2).sum()
        active, n = active + int((f > 0).sum()), n + len(x)
        ever |= (f > 0).any(0)
        where = dict(positions=range(1, len(trace.ids)))
        losses[0] += _loss(trace.logits, trace.ids)
        for i, edit in enumerate((Edit(dictionary.writes, "replace", guess, **where),
                                  Edit(dictionary.writes, "zero", **where))):
            losses[i + 1] += _loss(run_text(model.runner, trace.ids, edits=[edit]).logits, trace.ids)
    spread = total_square - float((total**2).sum()) / n  # type: ignore[operator]
    return Fit(n, float(1 - missed / spread) if spread > 0 else 0.0, active / n, float(1 - ever.mean()),
               *(float(loss) for loss in losses / n))


def _loss(logits: Floats, ids: Sequence[int]) -> float:
    """Return the sum of -log p of each token after the first, in nats."""
    return -float(log_softmax(logits[:-1])[np.arange(len(ids) - 1), list(ids[1:])].astype(np.float64).sum())


def direct_logits(model: Model, directions: Floats) -> Floats:
    """Return the logits (n, V) that directions (n, D) of the residual stream add on their direct way to the head.

    It is the way past all later blocks, with the final norm's scale left at one: right in order, not in size.
    Source: nostalgebraist 2020 (logit lens), of a direction; Elhage et al. 2021, "direct path".
    """
    runner, config = model.runner, model.config
    d = directions - directions.mean(-1, keepdims=True) if config.norm == "layer" else directions
    d = (d * runner.weight("ln_final.weight")).astype(np.float32)
    return np.concatenate([d @ runner.weight("unembed.weight", range(at, min(at + _ROWS, config.n_vocab))).T
                           for at in range(0, config.n_vocab, _ROWS)], axis=1)


def spoken_for(model: Model, dictionary: SparseDictionary, features: Sequence[int], n: int = 5
               ) -> list[tuple[list[str], list[str]]]:
    """Return the tokens that each feature raises most, and lowers most, on its direct way; none off the stream."""
    if dictionary.d_out != model.config.d_model or not dictionary.writes.endswith(_STREAM) or not len(features):
        return [([], []) for _ in features]
    logits = direct_logits(model, dictionary.w_dec[list(features)])
    silent = model.tokenizer.without_text(model.config.n_vocab)
    order = [np.argsort(-row, kind="stable") for row in logits]
    order = [ids[~silent[ids]].tolist() for ids in order]
    return [(token_texts(model, ids[:n]), token_texts(model, ids[::-1][:n])) for ids in order]


@dataclass(frozen=True)
class Feature:
    """A feature that is active in a text."""

    index: int
    strength: float
    """The largest, in the unit of the value's length."""
    position: int
    """Token at which it is strongest."""
    n_tokens: int
    """Tokens at which it is active."""
    raises: tuple[str, ...]
    lowers: tuple[str, ...]
    """Tokens whose logits it moves most on its direct way to the head."""


@dataclass(frozen=True)
class Features(Result):
    """The features that a text has."""

    tokens: tuple[str, ...]
    dictionary: dict[str, Any]
    """Tap, width and kind."""
    strongest: tuple[Feature, ...]
    """Largest first."""
    strengths: Floats
    """(T, features in `strongest`)."""
    n_active: tuple[int, ...]
    """Features active at each token."""
    largest: tuple[tuple[tuple[int, float], ...], ...]
    """The three largest features of each token, with their strengths."""
    unexplained: tuple[float, ...]
    """Share of each token's value, by its squared length from the mean value, that is not reconstructed."""
    fit: Fit

    def tables(self) -> list[Table]:
        rows = [[i, token, self.n_active[i], self.unexplained[i],
                 " ".join(f"{feature}:{strength:.3g}" for feature, strength in self.largest[i])]
                for i, token in enumerate(self.tokens)]
        features = [[f.index, f.strength, f.position, self.tokens[f.position], f.n_tokens, " ".join(f.raises),
                     " ".join(f.lowers)] for f in self.strongest]
        of = f"{self.dictionary['width']:,} features of {self.dictionary['tap']}"
        columns = ["", "token", "active", "unexplained", "feature:strength"]
        return [Table(f"Features at each token ({of})", columns, rows,
                      "the first token is not what dictionaries learn"),
                Table("Strongest features", ["feature", "strength", "at", "token", "tokens", "raises", "lowers"],
                      features, "raises and lowers: logits on the direct way to the head"),
                fit_table(self.fit)]

    def charts(self) -> list[str]:
        from petitlm.look.page import heat, tokens

        names = [f"{f.index} {' '.join(f.raises[:2])}".strip() for f in self.strongest]
        drawn = [heat("Strength of the strongest features", names, list(self.tokens), self.strengths.T,
                      note="rows are features, with the tokens that they raise")]
        return drawn + [tokens(f"Feature {f.index}", self.tokens, self.strengths[:, i],
                               note=f"raises {' '.join(f.raises)}; lowers {' '.join(f.lowers)}" if f.raises else "")
                        for i, f in enumerate(self.strongest[:6])]


def fit_table(fit: Fit, title: str = "How well the dictionary fits here") -> Table:
    """Return a fit as a table."""
    rows = [["variance explained", fit.explained], ["features active at a token", fit.active],
            ["features never active", fit.silent], ["loss, nats a token", fit.loss],
            ["loss with the reconstruction in place", fit.loss_spliced], ["loss with zeros in place", fit.loss_without],
            ["share of the loss recovered", fit.recovered]]
    return Table(title, ["", "value"], rows, f"{fit.n_tokens:,} tokens")


def opened(model: Model, dictionary: SparseDictionary | str | Path) -> SparseDictionary:
    """Return a dictionary, read from its folder if need be, checked against a model.

    Raises: UsageError; NotFoundError; DamagedError.
    """
    if not isinstance(dictionary, SparseDictionary):
        dictionary = load_dictionary(dictionary)
    return dictionary.fitted(model.config)


def fit_checks(model: Model, dictionary: SparseDictionary, fit: Fit) -> tuple[Check, ...]:
    """Return what says how far features can be trusted on a model."""
    checks = [Check("variance that the dictionary does not explain", 1 - fit.explained,
                    meaning="what is in the value and in no feature")]
    if fit.recovered is not None:
        checks.append(Check("share of the loss that the reconstruction loses", 1 - fit.recovered,
                            meaning="how much of what the model needs is in no feature"))
    if strange := dictionary.strangeness(model):
        trained = dictionary.metadata["petit"]["held_out"]["explained"]
        checks.append(Check("variance explained, less than where it was trained", trained - fit.explained,
                            meaning=strange))
    return tuple(checks)


def features(model: Model, dictionary: SparseDictionary | str | Path, text: Text, *, top: int = 12) -> Features:
    """Return the features of a text: at each token, and the `top` strongest with what they speak for.

    `dictionary` is one, or its folder.
    Raises: UsageError for a dictionary of another model, or a text of one token; NotFoundError; DamagedError.
    """
    if top < 1:
        raise UsageError(f"top={top} features cannot be shown; ask for at least 1")
    dictionary, ids = opened(model, dictionary), ids_of(model, text)
    fit = measure(model, dictionary, [ids])
    taps = list(dict.fromkeys((dictionary.reads, dictionary.writes)))
    trace = run_text(model.runner, ids, taps, wanted="none")
    f = dictionary.encode(trace[dictionary.reads])
    y = trace[dictionary.writes].reshape(len(ids), -1)
    missed = ((y - dictionary.reconstruct(trace[dictionary.reads]).reshape(y.shape)) ** 2).sum(1)
    unexplained = missed / np.maximum(((y - y[1:].mean(0)) ** 2).sum(1), 1e-12)
    seen = f.copy()
    seen[0] = 0
    order = np.argsort(-seen.max(0), kind="stable")[:top]
    chosen = [int(i) for i in order if seen[:, i].any()]
    spoken = spoken_for(model, dictionary, chosen)
    strongest = tuple(Feature(i, float(seen[:, i].max()), int(seen[:, i].argmax()), int((f[:, i] > 0).sum()),
                              tuple(up), tuple(down)) for i, (up, down) in zip(chosen, spoken, strict=True))
    return Features(
        about(model, "features", dictionary=dictionary.source or "(never saved)", text=text, top=top),
        tuple(token_text(model, id) for id in ids),
        {"tap": dictionary.name, "width": dictionary.width, "kind": dictionary.architecture}, strongest,
        f[:, chosen], tuple(int(n) for n in (f > 0).sum(1)), tuple(_largest(row) for row in f),
        tuple(float(u) for u in unexplained), fit,
        checks=fit_checks(model, dictionary, fit))


def _largest(row: Floats, n: int = 3) -> tuple[tuple[int, float], ...]:
    return tuple((int(i), float(row[i])) for i in np.argsort(-row, kind="stable")[:n] if row[i] > 0)
