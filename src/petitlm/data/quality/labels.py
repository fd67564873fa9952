"""Stage `label`: the category and the difficulty of each document, so that it has a cell in the grid.

What a source or a generator declares wins. Otherwise the category comes from a classifier trained on texts whose
sources declare one (models/category.safetensors), "other" where it is not sure, and the difficulty from Lix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from petitlm.data.corpus.schema import CATEGORIES, put
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.quality.readability import difficulty, text_lix
from petitlm.data.quality.shipped import digest, load
from petitlm.errors import ConfigError

UNSURE = "other"


@dataclass(frozen=True)
class Label:
    """Fills `category`, `difficulty`, `label_from` and `label_conf` where they are missing.

    `label_conf` is the model's probability for the category, also where that was declared (null for categories that
    the model does not know): how well an independent judge agrees. `difficulty` stays null in texts of fewer than
    `min_words` words.
    """

    name = "label"
    version = 1
    reasons = {
        "unknown-category": "the declared category is not in the list",
        "unknown-difficulty": "the declared difficulty is not from 0 to 5",
    }

    min_confidence: float = 0.5
    """Below this probability the category is "other"."""
    min_words: int = 10
    model: str = "category"
    """Name of a shipped model, or path of one."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence={self.min_confidence} is a number from 0 to 1")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**asdict(self), "model": digest(self.model)}

    def __call__(self, rows: pa.Table) -> Sifted:
        model = load(self.model)
        index = {label: i for i, label in enumerate(model.labels)}
        p = model(rows["text"])
        best = p.argmax(axis=1)
        levels = difficulty(text_lix(rows["text"], rows["language"].to_pylist(), self.min_words)).tolist()
        made: dict[str, list[Any]] = {name: [] for name in ("category", "difficulty", "label_from", "label_conf")}
        rejected = []
        columns = (rows[name].to_pylist() for name in ("category", "difficulty", "label_from"))
        for i, (category, level, label_from) in enumerate(zip(*columns, strict=True)):
            if category is not None and category not in CATEGORIES:
                rejected.append(Rejection(i, "unknown-category", category))
            elif level is not None and not 0 <= level <= 5:
                rejected.append(Rejection(i, "unknown-difficulty", str(level)))
            confidence = float(p[i, best[i] if category is None else index.get(category, best[i])])
            if category is None:
                sure = confidence >= self.min_confidence
                made["category"].append(model.labels[best[i]] if sure else UNSURE)
                made["label_from"].append("classified")
            else:
                made["category"].append(category)
                made["label_from"].append(label_from or "declared")
            made["label_conf"].append(confidence if category is None or category in index else None)
            made["difficulty"].append(level if level is not None else levels[i] if levels[i] >= 0 else None)
        for name, values in made.items():
            rows = put(rows, name, values)
        return keep(rows, rejected)
