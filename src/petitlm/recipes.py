"""Recipes: TOML files read into frozen dataclasses, with nothing ignored."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from petitlm.errors import ConfigError, NotFoundError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Return a recipe's tables.

    Raises: NotFoundError; ConfigError where the file is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"no recipe at {path}; recipes/ holds those that come with petit") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from one table of a recipe.

    Raises: ConfigError for an unknown key (with the nearest known one), a missing key, or a value of
    another type than the field's.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    needed = [name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING]
    check_keys(table, known, where, needed)
    return kind(**{name: _convert(value, str(known[name].type), f"{where}.{name}") for name, value in table.items()})


def check_keys(table: Mapping[str, Any], known: Collection[str], where: str, needed: Collection[str] = ()) -> None:
    """Refuse keys that nobody reads, naming the nearest one that somebody does, and ask for those that lack.

    Raises: ConfigError.
    """
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"[{where}] has an unknown key {key!r}; {hint}")
    if missing := [key for key in needed if key not in table]:
        raise ConfigError(f"[{where}] lacks {', '.join(missing)}; add it to the recipe")


_SCALARS = {"int": int, "float": float, "str": str, "bool": bool}  # annotations are text: see the __future__ import


def _convert(value: Any, annotation: str, name: str) -> Any:
    wanted = _SCALARS.get(annotation)
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is not None and type(value) is not wanted:
        raise ConfigError(f"{name}={value!r} should be of type {annotation}")
    return tuple(value) if isinstance(value, list) else value
