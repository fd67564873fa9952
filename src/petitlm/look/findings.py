"""Findings: a result kept in a file with all that made it, so that anyone can ask again and see whether it holds."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petitlm.errors import DamagedError, UsageError
from petitlm.files import read_json_object, write_json
from petitlm.look.models import Model
from petitlm.look.results import Result, model_facts

VERSION = 1
TOLERANCE = 1e-4
"""How far a number may be from the one that was found, absolutely or of its size; the engine repeats to the bit."""
_MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class Replay:
    """What asking again gave."""

    verb: str
    n_numbers: int
    """Numbers that were compared."""
    worst: float
    """Largest difference, of the larger of 1 and the number's size."""
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
    try:
        about = content["about"]
        version, verb, _ = content["petit_finding"], about["verb"], (about["arguments"], about["model"]["digest"])
    except (KeyError, TypeError) as error:
        raise DamagedError(f"{path} is not a finding ({error} is missing); give a file that --save wrote") from None
    if version != VERSION or not isinstance(verb, str):
        raise DamagedError(f"{path} is a finding of version {version!r:.20}, and this petit reads version {VERSION}")
    return content


def replay(finding: dict[str, Any], model: Model, *, other_model: bool = False) -> Replay:
    """Ask the finding's question again and compare all that came out.

    Raises: UsageError for a model with other weights, unless `other_model` is meant.
    """
    from petitlm import look

    about = finding["about"]
    facts = model_facts(model)
    if facts["digest"] != about["model"]["digest"] and not other_model:
        raise UsageError(f"this finding is about {about['model']['name']} in {about['model']['bits']} bits (weights "
                         f"{about['model']['digest'][:12]}), and those given are {facts['digest'][:12]}; load the "
                         "model that it is about, or say that another is meant")
    if about["verb"] not in look.VERBS:
        raise DamagedError(f"the finding's verb {about['verb']!r:.40} is not one of {', '.join(look.VERBS)}")
    result: Result = getattr(importlib.import_module(f"petitlm.look.{look.VERBS[about['verb']]}"), about["verb"])(
        model, **about["arguments"])
    old = {k: v for k, v in finding.items() if k not in ("about", "petit_finding", "tolerance")}
    new = {k: v for k, v in result.to_dict().items() if k != "about"}
    found = sorted(_differences(old, new, ""), key=lambda d: -d[0])
    tolerance = float(finding.get("tolerance", TOLERANCE))
    beyond = [text for size, text in found if size > tolerance]
    return Replay(about["verb"], len(found), max((s for s, _ in found), default=0.0), tolerance, tuple(beyond[:10]))


def _differences(old: Any, new: Any, at: str) -> Iterator[tuple[float, str]]:
    """Yield (how far, where and what) of every value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _differences(a, b, f"{at}[{i}]")
    elif isinstance(old, int | float) and isinstance(new, int | float) and not isinstance(old, bool):
        yield abs(new - old) / max(1.0, abs(old)), f"{at}: {old:.6g} was found, {new:.6g} now"
    elif old != new:
        yield float("inf"), f"{at}: {old!s:.40} was found, {new!s:.40} now"
    else:
        yield 0.0, at
