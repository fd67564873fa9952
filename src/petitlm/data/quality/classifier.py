"""Stage `grade`: how much there is to learn from a text, and whether it is spam.

The model (models/education.safetensors) gives a text the probabilities of three labels: "education" (textbooks,
documentation), "plain" (novels, news, messages among friends) and "spam" (advertisement, fraud). The quality of a text
is P(education) + P(plain) / 2: 1 for what teaches, 0.5 for plain prose, 0 for spam. It judges words and style, not
truth; it saw no French spam.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from petitlm.data.corpus.schema import put
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.quality.linear import Linear, Texts
from petitlm.data.quality.shipped import digest, load
from petitlm.errors import ConfigError

WORTH = {"education": 1.0, "plain": 0.5, "spam": 0.0}
"""What each label adds to the quality."""


def grades(texts: Texts, model: Linear | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(quality, probability of spam) of each text, both from 0 to 1.

    Raises: ConfigError for a model with other labels.
    """
    model = model or load("education")
    if set(model.labels) != set(WORTH):
        raise ConfigError(f"a model with the labels {', '.join(model.labels)} cannot grade; train one with the labels "
                          f"{', '.join(WORTH)}")
    p = model(texts)
    return p @ np.array([WORTH[label] for label in model.labels]), p[:, model.labels.index("spam")]


@dataclass(frozen=True)
class Grade:
    """Sets `quality` and flags `spam` on texts of people and teachers; verified problems have neither."""

    name = "grade"
    version = 1
    reasons = {"spam": "advertisement or fraud", "low-quality": "less to learn from it than the recipe asks for"}

    min_quality: float = 0.0
    """Texts below it are rejected; 0 keeps all."""
    max_spam: float = 0.9
    """Texts that are spam with a higher probability are rejected; 1 keeps all."""
    flag_spam: float = 0.5
    """Texts above it get the flag `spam`."""
    model: str = "education"
    """Name of a shipped model, or path of one."""

    def __post_init__(self) -> None:
        for name in ("min_quality", "max_spam", "flag_spam"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} is a number from 0 to 1")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**asdict(self), "model": digest(self.model)}

    def __call__(self, rows: pa.Table) -> Sifted:
        quality, spam = grades(rows["text"], load(self.model))
        made, flags, rejected = [], [], []
        for i, (origin, flagged) in enumerate(zip(rows["origin"].to_pylist(), rows["flags"].to_pylist(), strict=True)):
            graded = origin != "procedural"
            made.append(float(quality[i]) if graded else None)
            is_flag = graded and spam[i] > self.flag_spam and "spam" not in (flagged or [])
            flags.append([*(flagged or []), *(["spam"] if is_flag else [])])
            if graded and spam[i] > self.max_spam:
                rejected.append(Rejection(i, "spam", f"P(spam) = {spam[i]:.3f}"))
            elif graded and quality[i] < self.min_quality:
                rejected.append(Rejection(i, "low-quality", f"quality {quality[i]:.3f}"))
        return keep(put(put(rows, "quality", made), "flags", flags), rejected)
