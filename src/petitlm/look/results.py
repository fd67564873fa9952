"""What looking returns: a result with its tables, its checks, and all that is needed to ask again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

import petitlm
from petitlm.drawings import Table
from petitlm.look.models import Model

__all__ = ["About", "Check", "Evidence", "Result", "Table", "about", "model_facts", "to_plain"]

Evidence = Literal["observation", "approximation", "intervention"]
"""What kind of knowledge a result is: reading a value, estimating an effect, or having caused one."""


@dataclass(frozen=True)
class About:
    """Which model was asked what: enough to ask again."""

    verb: str
    arguments: dict[str, Any]
    """What the verb was called with, in JSON's own types; reduced to text where a value cannot be."""
    model: dict[str, Any]
    """name, digest of the weights, bits, cache, layers."""
    version: str = petitlm.__version__


@dataclass(frozen=True)
class Check:
    """A number that says how far a result can be trusted."""

    name: str
    value: float
    bound: float | None = None
    """The most (of |value|) at which the result holds; None where the number only informs."""
    meaning: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value is within its bound."""
        return self.bound is None or abs(self.value) <= self.bound

    def __str__(self) -> str:
        bound = "" if self.bound is None else f" (at most {self.bound:.3g}{'' if self.ok else ': NOT MET'})"
        return f"{self.name}: {self.value:.3g}{bound}" + (f"; {self.meaning}" if self.meaning else "")


@dataclass(frozen=True)
class Result:
    """Base of what the verbs return. A subclass adds its numbers as fields and says how they are shown."""

    evidence: ClassVar[Evidence] = "observation"
    about: About
    checks: tuple[Check, ...] = field(default=(), kw_only=True)

    def tables(self) -> list[Table]:
        """Return the result as tables; what `table()` and the page print."""
        raise NotImplementedError

    def charts(self) -> list[str]:
        """Return drawings of it for the page: SVG or HTML fragments of `petitlm.look.page`."""
        return []

    def table(self) -> str:
        """Return the tables and checks as text for a terminal."""
        from petitlm.look.text import tables_text

        return tables_text(self)

    def html(self) -> str:
        """Return one self-contained page: charts, each with the table behind it."""
        from petitlm.look.page import page

        return page(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON's own types."""
        values = {f.name: to_plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "about"}
        return {"about": to_plain(self.about), "evidence": self.evidence, **values}

    def __str__(self) -> str:
        return self.table()


def about(model: Model, verb: str, **arguments: Any) -> About:
    """Return what a result says of its question."""
    return About(verb, {name: to_plain(value) for name, value in arguments.items()}, model_facts(model))


def model_facts(model: Model) -> dict[str, Any]:
    """Return what tells one model from another: its weights' digest, format and layers."""
    return {"name": model.name, "digest": model.runner.digest, "bits": model.bits, "cache": model.cache,
            "layers": model.runner.kind}


def to_plain(value: Any) -> Any:
    """Return a value in JSON's own types: arrays as lists, dataclasses as objects, the rest as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value)
