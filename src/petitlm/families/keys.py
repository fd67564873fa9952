"""Typed reading of a model file's settings, which nobody has checked yet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from petitlm.config import Activation
from petitlm.errors import ConfigError, DamagedError

_ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh",  # one formula, three names
    "gelu": "gelu", "silu": "silu", "swish": "silu", "relu": "relu"}


class Keys:
    """Typed reading of a config whose values nobody has checked yet.

    Raises: DamagedError, naming the key and its value.
    """

    def __init__(self, values: Mapping[str, Any], where: str = "config.json") -> None:
        self.values = values
        self.where = where

    def integer(self, key: str, default: int | None = None, most: int = (1 << 31) - 1) -> int:
        value = self._get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not 0 <= value <= most:
            raise self.error(key, value, f"a whole number up to {most:,}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._get(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.error(key, value, "a number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._get(key, default)
        if type(value) is not bool:
            raise self.error(key, value, "true or false")
        return value

    def text(self, key: str, default: str) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.error(key, value, "a text")
        return value

    def group(self, key: str) -> dict[str, Any]:
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.error(key, value, "an object {...}")
        return value or {}

    def token_id(self, key: str) -> int | None:
        """Return a token id; of a list of ids, as later Llama configs have, the first."""
        value = self.values.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if value is not None and (type(value) is not int or value < 0):
            raise self.error(key, value, "a token id")
        return value

    def activation(self, key: str, default: str) -> Activation:
        name = self.text(key, default)
        if name not in _ACTIVATIONS:
            raise ConfigError(f"{self.where}: {key}={name!r:.40} is not supported; known are {', '.join(_ACTIVATIONS)}")
        return _ACTIVATIONS[name]

    def refuse(self, key: str, supported: Any, why: str) -> None:
        """Refuse a feature that would change the numbers and that petit does not compute.

        Raises: ConfigError unless the key is absent or has the value `supported`.
        """
        value = self.values.get(key, supported)
        if value is not None and value != supported:
            raise ConfigError(f"{self.where}: {key}={value!r:.40} is not supported ({why}); "
                              f"petit loads such models with {key}={supported!r} only")

    def error(self, key: str, value: Any, wanted: str) -> DamagedError:
        if value is None:
            return DamagedError(f"{self.where}: the key {key!r} is missing; fetch the file again")
        return DamagedError(f"{self.where}: {key}={value!r:.60} is not {wanted}; fetch the file again")

    def _get(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        return default if value is None else value  # `null` stands for the default in these files
