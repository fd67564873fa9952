"""Directions in the residual stream: found from contrasting texts, added while a model runs, kept as control vectors.

The file format is the one that llama.cpp's `--control-vector` reads: GGUF with one float32 tensor `direction.N` of
d_model numbers for each block, added to what leaves block N (counted from 0), which here is `resid_post:N`. Its loader
refuses N = 0, so what it is to read starts at block 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from petitlm.config import ModelConfig
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import run_texts
from petitlm.engine.trace import Keep
from petitlm.errors import DamagedError, UsageError
from petitlm.families import config_to_gguf
from petitlm.gguf.file import GGUFFile
from petitlm.gguf.writing import TensorSpec, write_gguf
from petitlm.look.models import Model, Text, ids_of

Method = Literal["mean", "pca"]
Pair = Sequence[Text]
"""Two texts that differ in what is to be steered: with it, and without it."""


@dataclass(frozen=True)
class Direction:
    """What strength 1 adds to the residual stream after some blocks."""

    values: Mapping[int, Floats]
    """Block: (D,). The length counts: it is the mean distance of the two kinds of text along the direction."""
    method: str = ""
    digest: str = ""
    """Of the weights that it was found in; empty where that is not known."""

    def edits(self, strength: float = 1.0, positions: Sequence[int] | None = None) -> list[Edit]:
        """Return what adds the direction at all positions, or at some; for `Model.generate(edits=...)`, too."""
        return [Edit(("resid_post", block), "add", np.float32(strength) * value, positions=positions)
                for block, value in self.values.items()]

    def at(self, blocks: Sequence[int]) -> Direction:
        """Return the same at some of its blocks.

        Raises: UsageError for a block that it does not have.
        """
        for block in blocks:
            if block not in self.values:
                raise UsageError(f"this direction has no vector for block {block}; it has blocks "
                                 f"{', '.join(map(str, self.values))}")
        return Direction({block: self.values[block] for block in blocks}, self.method, self.digest)


@dataclass(frozen=True)
class Contrast:
    """What pairs of texts differ in, block by block."""

    differences: Mapping[int, Floats]
    """Block: (N, D), each pair's value with it minus its value without."""
    sizes: Mapping[int, float]
    """Block: mean Euclidean length of the residual stream there, to compare a direction's with."""


def contrast(model: Model, pairs: Sequence[Pair], blocks: Sequence[int] | None = None, at: int = -1) -> Contrast:
    """Run pairs of texts and return how the residual stream after each block differs at the token `at`.

    Raises: UsageError for no pairs, or what is not a pair.
    """
    if not pairs:
        raise UsageError("no pairs of texts are given; give at least one text with and one without what is to be "
                         "steered")
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise UsageError(f"{str(pair)!r:.60} is not a pair; give two texts, with and without what is to be steered")
    blocks = range(model.config.n_layers) if blocks is None else check_blocks(model.config, blocks)
    keeps = [Keep(("resid_post", block), at=at) for block in blocks]
    texts = [ids_of(model, text) for pair in pairs for text in pair]
    rows: dict[int, list[Floats]] = {block: [] for block in blocks}
    for trace in run_texts(model.runner, texts, keeps, wanted="none"):
        for block in blocks:
            rows[block].append(trace["resid_post", block][0])
    values = {block: np.stack(each) for block, each in rows.items()}
    return Contrast({block: x[0::2] - x[1::2] for block, x in values.items()},
                    {block: float(np.linalg.norm(x, axis=1).mean()) for block, x in values.items()})


def direction_of(found: Contrast, method: Method = "mean", digest: str = "") -> Direction:
    """Return the direction that a contrast shows.

    `mean` is the mean difference. `pca` is the first principal component of the pairs' two ends, each pair centred
    on its own middle, with the mean difference's sign and extent along it.
    Sources: Marks and Tegmark 2023, section 5 (mean difference); Zou et al. 2023, section 3.1 (principal component).
    Raises: UsageError for another method, or texts that do not differ.
    """
    if method not in get_args(Method):
        raise UsageError(f"method={method!r} is not known; choose {' or '.join(get_args(Method))}")
    values = {}
    for block, differences in found.differences.items():
        mean = differences.astype(np.float64).mean(0)
        if method == "pca":
            first = np.linalg.svd(differences.astype(np.float64), full_matrices=False)[2][0]
            mean = (mean @ first) * first
        if not np.linalg.norm(mean) > 0:
            raise UsageError(f"the pairs do not differ after block {block}; give texts whose last tokens follow from "
                             "what is to be steered")
        values[block] = mean.astype(np.float32)
    return Direction(values, method, digest)


def agreement(differences: Floats) -> float | None:
    """Return the share of pairs (N, D) that point the way that all others point on average; None for a single one."""
    n = len(differences)
    if n < 2:
        return None
    d = differences.astype(np.float64)
    others = (d.sum(0) - d) / (n - 1)
    return float(np.mean((d * others).sum(1) > 0))


def check_blocks(config: ModelConfig, blocks: Sequence[int]) -> list[int]:
    """Return blocks counted from 0; negative ones count from the last.

    Raises: UsageError for a block that does not exist.
    """
    n = config.n_layers
    for block in blocks:
        if not -n <= block < n:
            raise UsageError(f"block {block} is not in this model; it has blocks 0 to {n - 1}")
    return list(dict.fromkeys(block % n for block in blocks))


def save_direction(path: Path | str, direction: Direction, config: ModelConfig) -> None:
    """Write a direction as a control vector in GGUF; the file appears whole or not at all.

    Raises: UsageError for a vector after block 0, which llama.cpp cannot take; ConfigError for a shape of model that
    GGUF cannot say.
    """
    if 0 in direction.values:
        raise UsageError("a control vector in GGUF starts at block 1, since llama.cpp adds none after block 0; choose "
                         "a later block")
    metadata = {"general.architecture": "controlvector",
                "controlvector.model_hint": config_to_gguf(config)["general.architecture"],
                "controlvector.layer_count": len(direction.values),
                "petit.method": direction.method, "petit.weights": direction.digest}
    tensors = {f"direction.{block}": value for block, value in sorted(direction.values.items())}
    write_gguf(path, metadata, [TensorSpec(name, value.shape, "F32") for name, value in tensors.items()],
               lambda name: tensors[name].astype("<f4"))


def load_direction(path: Path | str, config: ModelConfig) -> Direction:
    """Read a control vector, of petit or of others.

    Raises: NotFoundError; DamagedError; UsageError for what is no control vector, or one for another width or depth.
    """
    file = GGUFFile(path)
    kind = file.metadata.get("general.architecture")
    if kind != "controlvector":
        raise UsageError(f"{path} holds {kind!r:.40}, not a control vector; give a file that `petit look steer --out` "
                         "or another tool wrote as one")
    values = {}
    for name in file.names:
        head, _, number = name.partition(".")
        if head != "direction" or not number.isdecimal():
            raise DamagedError(f"{path}: tensor {name!r:.60} is none of a control vector, whose tensors are "
                               "direction.1, direction.2, ...")
        if file.shape(name) != (config.d_model,):
            raise UsageError(f"{path}: {name} has shape {file.shape(name)} and this model's residual stream "
                             f"{config.d_model} numbers; the control vector is for another model")
        if int(number) >= config.n_layers:
            raise UsageError(f"{path}: {name} is for a block that this model does not have (0 to "
                             f"{config.n_layers - 1}); the control vector is for another model")
        values[int(number)] = file.read(name, 0, config.d_model)
        if not np.isfinite(values[int(number)]).all():
            raise DamagedError(f"{path}: {name} holds a number that is not finite; make the control vector again")
    if not values:
        raise DamagedError(f"{path} holds no direction; make the control vector again")
    return Direction(dict(sorted(values.items())), str(file.metadata.get("petit.method", "")),
                     str(file.metadata.get("petit.weights", "")))
