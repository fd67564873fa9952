"""A linear model over hashed n-grams: small, fast, exact to the bit, with calibrated probabilities.

Row f of the int8 weights belongs to feature f. A text's score for label l is
`bias[l] + scale[l] * sum of weights[f, l] over its features / sqrt(number of features)`, and its probabilities are
softmax(score / temperature): the temperature is fitted on texts that training did not see (Guo et al. 2017,
On calibration of modern neural networks, section 4.2).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from petitlm.data.quality.features import Features, Pieces, kernels, pieces, symbol_table
from petitlm.errors import DamagedError, PetitError
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors

_FORMAT = "petit linear 1"
Texts = Sequence[str] | pa.Array | pa.ChunkedArray


@dataclass(frozen=True, eq=False)
class Linear:
    """What `fitting.fit` makes and a file holds."""

    labels: tuple[str, ...]
    features: Features
    weights: np.ndarray
    """int8 (2^bits, labels rounded up to a multiple of 8); the columns beyond the labels are zero."""
    scale: np.ndarray
    """float32 (labels): what one unit of a column's weights is worth."""
    bias: np.ndarray
    """float32 (labels)."""
    temperature: float = 1.0
    card: dict[str, Any] = field(default_factory=dict)
    """How it was trained, and how well it does on texts that training did not see; plain values."""

    def __call__(self, texts: Texts) -> np.ndarray:
        """Probabilities, float64 (texts, labels); rows sum to 1."""
        return self.probabilities(*self.sums(pieces(texts)))

    def best(self, texts: Texts) -> tuple[list[str], np.ndarray]:
        """The likeliest label of each text, and its probability."""
        p = self(texts)
        return [self.labels[i] for i in p.argmax(axis=1)], p.max(axis=1)

    def sums(self, of: Pieces) -> tuple[np.ndarray, np.ndarray]:
        """Sums of weights, int64 (texts, columns), and numbers of features of each text."""
        sums, counts = self.piece_sums(of)
        return of.summed(sums), of.summed(counts)

    def piece_sums(self, of: Pieces) -> tuple[np.ndarray, np.ndarray]:
        """The same for each piece."""
        return kernels().linear_sums(of.data, of.starts, of.ends, symbol_table(), *self.features.spec, self.weights)

    def scores(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Scores before the temperature, float64 (texts, labels)."""
        root = np.sqrt(np.maximum(counts, 1))[:, None]
        return self.bias.astype(float) + sums[:, : len(self.labels)] * self.scale.astype(float) / root

    def probabilities(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Calibrated probabilities from what `sums` gives."""
        return softmax(self.scores(sums, counts) / self.temperature)

    def save(self, path: Path | str) -> None:
        """Write one safetensors file, the same bytes for the same model."""
        tensors = {"weights": self.weights[:, : len(self.labels)], "scale": self.scale, "bias": self.bias}
        specs = [TensorSpec(name, "I8" if name == "weights" else "F32", value.shape) for name, value in tensors.items()]
        about = {"format": _FORMAT, "labels": list(self.labels), "features": asdict(self.features),
                 "temperature": self.temperature, "card": self.card}
        write_safetensors(path, specs, lambda name: np.ascontiguousarray(tensors[name]),
                          {"petit": json.dumps(about, sort_keys=True, ensure_ascii=False)})

    @classmethod
    def load(cls, path: Path | str) -> Linear:
        """Read what `save` wrote.

        Raises: NotFoundError; DamagedError for a file of another kind, or one that contradicts itself.
        """
        file = SafetensorsFile(path)
        try:
            about = json.loads(file.metadata["petit"])
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']!r}")
            features = Features(**about["features"])
            weights, scale, bias = (np.array(file.view(name)) for name in ("weights", "scale", "bias"))
            labels = tuple(str(label) for label in about["labels"])
            if (weights.dtype, weights.shape) != (np.int8, (1 << features.bits, len(labels))):
                raise ValueError(f"weights of shape {weights.shape}")
            if scale.shape != bias.shape or bias.shape != (len(labels),) or not float(about["temperature"]) > 0:
                raise ValueError("sizes or temperature")
        except (KeyError, ValueError, TypeError, AttributeError, PetitError) as error:
            raise DamagedError(f"{path} is not a classifier that petit can read ({error}); train it again") from None
        return cls(labels, features, padded(weights), scale, bias, float(about["temperature"]), about["card"])


def padded(weights: np.ndarray) -> np.ndarray:
    """int8 weights with zero columns up to a multiple of 8, as the kernel reads them."""
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % 8)))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Rows of probabilities."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
