"""A classifier from labelled records: trained on some of them, calibrated on others, measured on the rest."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from petitlm.data.quality.features import Features
from petitlm.data.quality.fitting import Fitting, calibrated, fit
from petitlm.data.quality.linear import Linear
from petitlm.data.quality.measures import measure
from petitlm.data.sources import Bad, Reading, read
from petitlm.errors import UsageError

_CALIBRATION, _TEST = 10, 20
"""Percent of the texts, by their hash: equal texts are never on both sides."""


class Labelled(NamedTuple):
    """Texts with a label each."""

    texts: list[str]
    labels: list[str]
    refused: Counter[str]
    """Records that could not be read, by reason."""


def read_labelled(path: Path, text_field: str = "text", label_field: str = "label") -> Labelled:
    """Read labelled records from JSONL or Parquet; each different text counts once.

    Raises: NotFoundError; UsageError where no record has the label.
    """
    texts: dict[str, str] = {}
    refused: Counter[str] = Counter()
    for found in read(path, Reading(text_field=text_field, meta_fields=(label_field,))):
        if isinstance(found, Bad):
            refused[found.reason] += 1
        elif found.meta.get(label_field) is None:
            refused["no-label"] += 1
        else:
            texts.setdefault(found.text, str(found.meta[label_field]))
    if not texts:
        raise UsageError(f"{path} has no record with the fields {text_field!r} and {label_field!r}")
    return Labelled(list(texts), list(texts.values()), refused)


def trained(labelled: Labelled, features: Features | None = None, how: Fitting | None = None,
            card: dict[str, Any] | None = None) -> tuple[Linear, dict[str, Any]]:
    """Train, calibrate and measure; returns the model and what `measure` says of texts that it did not see.

    Raises: UsageError for fewer than two labels, or too few texts to hold some back.
    """
    parts: dict[str, tuple[list[str], list[str]]] = {name: ([], []) for name in ("train", "calibration", "test")}
    for text, label in zip(labelled.texts, labelled.labels, strict=True):
        place = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little") % 100
        name = "calibration" if place < _CALIBRATION else "test" if place < _CALIBRATION + _TEST else "train"
        parts[name][0].append(text)
        parts[name][1].append(label)
    for name, (_, labels) in parts.items():
        if name == "train" and len(set(labels)) < 2:
            raise UsageError(f"the labels to learn are {sorted(set(labels))}; at least two are needed")
        if lacking := set(labelled.labels) - set(labels):
            raise UsageError(f"no text of label {sorted(lacking)[0]!r} falls into the {name} part of "
                             f"{len(labelled.texts)} texts; label more of them")
    model = fit(*parts["train"], features or Features(), how, card)
    model = calibrated(model, *parts["calibration"])
    return model, {**measure(model, *parts["test"]), "n_train": len(parts["train"][0]),
                   "n_calibration": len(parts["calibration"][0])}
