"""Training a dictionary of a model's values: streamed, held out, measured, and marked with what it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from petitlm.errors import UsageError
from petitlm.look.activations import Activations
from petitlm.look.dictionaries import SparseDictionary
from petitlm.look.features import Fit, fit_checks, fit_table, measure
from petitlm.look.gradients.dictionaries import Plan, Progress, Step, fit
from petitlm.look.models import Model, Text, ids_of
from petitlm.look.results import Result, Table, about
from petitlm.taps import TapName, full_names

HELD_OUT = 0.1
"""Share of the texts that the dictionary does not learn from, on which it is measured."""
_MEASURED = 64  # texts, of those held out


@dataclass(frozen=True)
class Training(Result):
    """A dictionary, and how it came about."""

    tap: str
    """Of its features."""
    n_texts: int
    n_tokens: int
    """Learned from, once in each round."""
    history: tuple[Step, ...]
    fit: Fit
    """On texts that were held out."""
    dictionary: SparseDictionary
    """To be kept with `petitlm.look.dictionary_files.save_dictionary`."""

    def tables(self) -> list[Table]:
        rows = [[s.step, s.unexplained, s.active, s.silent] for s in self.history]
        every = max(1, len(rows) // 10)
        return [Table(f"Training {self.dictionary.width:,} features of {self.tap} on {self.n_tokens:,} tokens",
                      ["step", "unexplained", "active", "silent"], [*rows[:-1:every], rows[-1]],
                      "of a batch: share of the variance, features at a token, share of the features"),
                fit_table(self.fit, "How well the dictionary fits texts that were held out")]

    def charts(self) -> list[str]:
        from petitlm.look.page import lines

        steps = [s.step for s in self.history]
        return [lines("Unexplained variance", steps, {"of a batch": [s.unexplained for s in self.history],
                                                      "silent features": [s.silent for s in self.history]},
                      x_label="steps", y_label="share"),
                lines("Features active at a token", steps, {"active": [s.active for s in self.history]},
                      x_label="steps")]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the weights in JSON's own types."""
        plain = super().to_dict()
        return {name: value for name, value in plain.items() if name != "dictionary"}


def train_dictionary(model: Model, texts: Sequence[Text], tap: TapName, *, to: TapName | None = None,
                     plan: Plan | Mapping[str, Any] | None = None, progress: Progress | None = None) -> Training:
    """Train a sparse autoencoder of the values at a tap; a transcoder, if `to` is another tap.

    The values are those of the model as it runs: in 4 bits, if it does. The last tenth of the texts is held out; how
    well the dictionary fits those is in its metadata, with the weights' digest, the plan and the number of texts.
    Raises: UsageError for taps that name more than one place, or too few texts.
    """
    plan = plan if isinstance(plan, Plan) else Plan(**(plan or {}))
    reads = one_tap(model, tap)
    writes = reads if to is None else one_tap(model, to)
    sequences = [ids_of(model, text) for text in texts]
    n_held_out = max(1, round(HELD_OUT * len(sequences)))
    if len(sequences) < 2:
        raise UsageError(f"{len(sequences)} texts are too few: some are learned from and some held out; give hundreds")
    learned, held_out = sequences[:-n_held_out], sequences[-n_held_out:]
    values = Activations(model, learned, reads, writes, seed=plan.seed)
    trained = fit(values.batches(plan.batch), plan, tied=to is None, progress=progress)
    bare = SparseDictionary("jumprelu" if to is None else "jumprelu_transcoder", reads, writes,
                            **trained.weights._asdict(), centred=to is None).fitted(model.config)
    found = measure(model, bare, held_out[:_MEASURED])
    made = {**_origin(model), "plan": dict(plan.__dict__), "n_texts": len(learned), "n_tokens": values.n_tokens,
            "held_out": found.to_dict()}
    dictionary = replace(bare, metadata={"model_name": model.name, "context_size": max(map(len, sequences)),
                                         "petit": made})
    return Training(about(model, "train_dictionary", texts=list(texts), tap=tap, to=to, plan=plan), dictionary.name,
                    len(learned), values.n_tokens, tuple(trained.history), found, dictionary,
                    checks=fit_checks(model, dictionary, found))


def _origin(model: Model) -> dict[str, Any]:
    """Return what tells whether a dictionary is another model's."""
    shape = {name: getattr(model.config, name) for name in ("n_layers", "d_model", "n_heads", "n_vocab")}
    return {"model": model.name, "digest": model.runner.digest, "bits": model.bits, "layers": model.runner.kind,
            "shape": shape}


def one_tap(model: Model, tap: TapName) -> str:
    """Return the full name of one tap.

    Raises: UsageError if it stands for several, or does not exist.
    """
    names = full_names(model.config, tap if isinstance(tap, str) else (tap[0], tap[1]))
    if len(names) != 1:
        raise UsageError(f"tap {tap!r} stands for {len(names)} taps, and a dictionary is of one; name its block, such "
                         f"as {tap}:{model.config.n_layers // 2}")
    return names[0]
