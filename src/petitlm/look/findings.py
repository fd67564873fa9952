"""Findings: a result kept in a file with all that made it, so that anyone can ask again and see whether it holds."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from petitlm.errors import DamagedError, UsageError
from petitlm.files import read_json_object, write_json
from petitlm.look.models import Model
from petitlm.look.results import Result, model_facts

VERSION = 1
TOLERANCE = 1e-4
"""How far a number may be from the one that was found, of its size (see `_differences`); the engine repeats to the
bit, other processors and libraries do not quite."""
_SMALLEST = 1e-2  # size that smaller numbers count as: differences of logits, which are large, may be near zero
_MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class Replay:
    """What asking again gave."""

    verb: str
    n_numbers: int
    """Numbers that were compared."""
    worst: float
    """Largest difference, of the number's size, or of the largest that it stands with."""
    tolerance: float
    differences: tuple[str, ...]
    """Where and what, worst first; the first ten."""

    @property
    def holds(self) -> bool:
        """Whether every value is what was found."""
        return not self.differences


def save_finding(result: Result, path: Path | str, tolerance: float = TOLERANCE) -> None:
    """Write a finding; the file appears whole or not at all."""
    content = {"petit_finding": VERSION, "tolerance": tolerance, **result.to_dict()}
    write_json(path, content)


def load_finding(path: Path | str) -> dict[str, Any]:
    """Read a finding.

    Raises: NotFoundError; DamagedError.
    """
    content = read_json_object(path, _MAX_BYTES)
    if content.get("petit_finding") != VERSION:
        raise DamagedError(f"{path} is not a finding that this petit reads: petit_finding is "
                           f"{content.get('petit_finding')!r:.20} and must be {VERSION}; give a file that --save wrote")
    about, tolerance = content.get("about"), content.get("tolerance", TOLERANCE)
    if not (isinstance(about, dict) and isinstance(about.get("verb"), str)
            and isinstance(about.get("arguments"), dict) and _is_model(about.get("model"))
            and isinstance(tolerance, int | float) and 0 <= tolerance < float("inf")):
        raise DamagedError(f"{path} does not say what was asked of which model; give a file that --save wrote")
    return content


def replay(finding: dict[str, Any], model: Model, reference: Model | None = None, *, other_model: bool = False
           ) -> Replay:
    """Ask the finding's question again and compare all that came out; `reference` where it compares two models.

    Raises: UsageError for a model with other weights, unless `other_model` is meant, or without the reference.
    """
    about = finding["about"]
    arguments = dict(about["arguments"])
    pairs = [(about["model"], model)]
    if (named := reference_of(finding)) is not None:
        if reference is None:
            raise UsageError(f"this finding compares with {named['name']} in {named['bits']} bits; give that model too")
        arguments["reference"] = reference
        pairs.append((named, reference))
    for wanted, given in pairs:
        _check_weights(wanted, given, other_model)
    result = _call(about["verb"], model, arguments)
    old = {k: v for k, v in finding.items() if k not in ("about", "petit_finding", "tolerance")}
    new = {k: v for k, v in result.to_dict().items() if k != "about"}
    found = sorted(_differences(old, new, ""), key=lambda d: -d[0])
    tolerance = float(finding.get("tolerance", TOLERANCE))
    beyond = [text for size, text in found if size > tolerance]
    return Replay(about["verb"], len(found), max((s for s, _ in found), default=0.0), tolerance, tuple(beyond[:10]))


def _call(verb: Any, model: Model, arguments: dict[str, Any]) -> Result:
    from petitlm import look

    if verb not in look.VERBS:
        raise DamagedError(f"the finding's verb {verb!r:.40} is not one of {', '.join(look.VERBS)}")
    function = getattr(importlib.import_module(f"petitlm.look.{look.VERBS[verb]}"), verb)
    try:
        inspect.signature(function).bind(model, **arguments)
    except TypeError as error:
        raise DamagedError(f"the finding's question does not fit `look.{verb}`: {error}") from None
    return function(model, **arguments)


def reference_of(finding: dict[str, Any]) -> dict[str, Any] | None:
    """Return the facts of the second model of a finding that compares two; None of one about a single model."""
    named = finding["about"]["arguments"].get("reference")
    return named if _is_model(named) else None


def _is_model(facts: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(facts, dict) and all(isinstance(facts.get(name), str) for name in ("name", "digest", "layers")) \
        and isinstance(facts.get("bits"), int)


def _check_weights(wanted: dict[str, Any], given: Model, other_model: bool) -> None:
    digest = model_facts(given)["digest"]
    if digest != wanted["digest"] and not other_model:
        raise UsageError(f"this finding is about {wanted['name']} in {wanted['bits']} bits (weights "
                         f"{wanted['digest'][:12]}), and those given are {digest[:12]}; load the model that it is "
                         "about, or say that another is meant")


def _differences(old: Any, new: Any, at: str, size: float = 0.0) -> Iterator[tuple[float, str]]:
    """Yield (how far, where and what) of every value.

    Numbers in a list are compared by the size of its largest: the small ones are what is left of large ones.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _differences(a, b, f"{at}[{i}]", size or _largest(old))
    elif _is_number(old) and _is_number(new):
        yield abs(new - old) / max(_SMALLEST, size, abs(old)), f"{at}: {old:.6g} was found, {new:.6g} now"
    elif old != new:
        yield float("inf"), f"{at}: {old!s:.40} was found, {new!s:.40} now"
    else:
        yield 0.0, at


def _largest(values: Any) -> float:
    """Return the size of the largest number in nested lists."""
    if isinstance(values, list):
        return max(map(_largest, values), default=0.0)
    return abs(float(values)) if _is_number(values) else 0.0


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
