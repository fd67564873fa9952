"""The models that come with petit, and any other model file, read once in a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from petitlm.data.quality.linear import Linear
from petitlm.files import file_sha256

MODELS = ("language", "education", "category")
"""bench/train_classifiers.py makes them; `Linear.card` of each says from what, and how good it is."""


def model_path(name_or_path: str) -> Path:
    """The file of a shipped model, or the path itself."""
    if name_or_path in MODELS:
        return Path(__file__).parent / "models" / f"{name_or_path}.safetensors"
    return Path(name_or_path)


@cache
def load(name_or_path: str) -> Linear:
    """A model by name or by path.

    Raises: NotFoundError, DamagedError.
    """
    return Linear.load(model_path(name_or_path))


@cache
def digest(name_or_path: str) -> str:
    """The SHA-256 of a model's file, as stages name it in their settings."""
    load(name_or_path)
    return file_sha256(model_path(name_or_path))
