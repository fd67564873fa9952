"""The tuned lens: an affine translation of each layer's residual stream into the language of the last one.

Belrose et al. 2023, Eliciting Latent Predictions from Transformers with the Tuned Lens, section 3: for the stream h
before block l, the lens reads out h + A h + b, where A and b are learned by the divergence from the model's own
prediction. It is applied in NumPy, on the engine as on torch; `petitlm.look.gradients.tuned_lens` learns it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.engine.kernels import Floats
from petitlm.errors import DamagedError, UsageError
from petitlm.files import parse_json_object
from petitlm.look.models import Model
from petitlm.look.results import Check
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors

FORMAT = "petit tuned lens 1"


class TunedLens:
    """One translator for each block: of the stream before it. The last block's output needs none."""

    def __init__(self, weights: Sequence[Floats], biases: Sequence[Floats], made: Mapping[str, Any],
                 path: Path | None = None) -> None:
        self.weights, self.biases = list(weights), list(biases)
        self.made = dict(made)
        """What it was learned from: the model's name, digest and bits, texts, steps, and the divergences in nats that
        the logit lens (`kl_logit`) and this one (`kl_tuned`) have on held-out texts, layer by layer."""
        self.path = path
        """File that it was read from."""

    @property
    def shape(self) -> tuple[int, int]:
        """Blocks L and width D."""
        return len(self.weights), len(self.biases[0])

    def apply(self, block: int, x: Floats) -> Floats:
        """Return the translation of the stream before a block, (..., D)."""
        return (x + x @ self.weights[block].T + self.biases[block]).astype(np.float32)

    def check(self, model: Model) -> list[Check]:
        """Return what there is to say of this lens with these weights: something, if it was made for others.

        Raises: UsageError if it cannot be: other blocks or another width.
        """
        config = model.config
        if self.shape != (config.n_layers, config.d_model):
            raise UsageError(f"the tuned lens has {self.shape[0]} blocks of width {self.shape[1]} and {model.name} has "
                             f"{config.n_layers} of width {config.d_model}; train one for this model")
        if self.made.get("digest") == model.runner.digest:
            return []
        made_for = f"{self.made.get('model')} in {self.made.get('bits')} bits"
        return [Check("the tuned lens was made for other weights", 1.0, None, made_for)]

    def save(self, path: Path | str) -> None:
        """Write it as safetensors: `translators.{l}.weight` (D, D) and `.bias` (D,), float32; whole or not at all."""
        arrays = {f"translators.{i}.{part}": np.asarray(array, np.float32) for part, arrays in
                  (("weight", self.weights), ("bias", self.biases)) for i, array in enumerate(arrays)}
        specs = [TensorSpec(name, "F32", array.shape) for name, array in arrays.items()]
        write_safetensors(path, specs, arrays.__getitem__, {"format": FORMAT, "made": json.dumps(self.made)})
        self.path = Path(path)

    @classmethod
    def load(cls, path: Path | str) -> TunedLens:
        """Read a lens; its matrices stay in the file until they are used.

        Raises: NotFoundError; DamagedError for anything else than a tuned lens.
        """
        file = SafetensorsFile(path)
        if file.metadata.get("format") != FORMAT:
            raise DamagedError(f"{path} is not a tuned lens ({file.metadata.get('format', 'no format')!r:.40}); give a "
                               "file that `petit look lens --fit` wrote")
        n = len(file.names) // 2
        wanted = [f"translators.{i}.{part}" for i in range(n) for part in ("weight", "bias")]
        if not n or sorted(wanted) != sorted(file.names):
            raise DamagedError(f"{path} lacks translators of a tuned lens; make it again")
        d = file.shape("translators.0.bias")[0] if file.shape("translators.0.bias") else 0
        for name in wanted:
            if file.dtype(name) != "F32" or file.shape(name) != ((d, d) if name.endswith("weight") else (d,)):
                raise DamagedError(f"{path}: {name} is {file.dtype(name)} {file.shape(name)} and the lens has width "
                                   f"{d}; make it again")
        made = parse_json_object(file.metadata.get("made", "{}"), f"{path}: what it was made from")
        return cls([file.view(f"translators.{i}.weight") for i in range(n)],
                   [file.view(f"translators.{i}.bias") for i in range(n)], made, Path(path))
