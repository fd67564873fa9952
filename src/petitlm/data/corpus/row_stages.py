"""The row-wise stages in their order, made from the recipe's tables.

Documents that hold a benchmark's items are taken out before repeats are looked for: otherwise a clean document could be
dropped for being like one that is then taken out itself.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from petitlm.data.corpus.recipe import CorpusRecipe
from petitlm.data.corpus.stage import Stage
from petitlm.errors import ConfigError, NotFoundError
from petitlm.recipes import check_keys, from_table

# name of the recipe's table: where its stage is
PLACES = {
    "normalise": "petitlm.data.sources.normalise.Normalise",
    "identify": "petitlm.data.quality.language.Identify",
    "label": "petitlm.data.quality.labels.Label",
    "filter": "petitlm.data.sources.filters.Filter",
    "mask": "petitlm.data.sources.personal.Mask",
    "decontaminate": "petitlm.data.repeats.decontaminate.Decontaminate",
    "grade": "petitlm.data.quality.classifier.Grade",
}


def row_stages(recipe: CorpusRecipe, work: Path) -> list[Stage]:
    """The stages of a recipe; the list of what no document may hold is made in `work`.

    Raises: ConfigError for a setting that a stage does not have.
    """
    made: list[Stage] = []
    for name, place in PLACES.items():
        table = dict(recipe.stages.get(name, {}))
        if table.pop("off", False):
            continue
        if name == "decontaminate":
            if not (paths := benchmark_paths(recipe)):
                continue
            table["index"] = str(_index(paths, work))
        module, kind = place.rsplit(".", 1)
        made.append(cast(Stage, _made(getattr(importlib.import_module(module), kind), table, name)))
    return made


def benchmark_paths(recipe: CorpusRecipe) -> list[Path]:
    """The files of evaluation items that a recipe names, in order.

    Raises: NotFoundError for one that is not there; `optional:` before a pattern lets it be absent.
    """
    found: list[Path] = []
    for pattern in recipe.benchmarks:
        may_lack = pattern.startswith("optional:")
        paths = sorted(recipe.root.glob(pattern.removeprefix("optional:")))
        if not paths and not may_lack:
            raise NotFoundError(f"benchmarks: nothing at {recipe.root / pattern}; mend it, or write "
                                f"'optional:{pattern}'")
        found += paths
    return found


def _index(paths: Sequence[Path], work: Path) -> Path:
    """Index of the items in `paths`, made once for their content."""
    from petitlm.data.corpus.store import perform, task
    from petitlm.files import file_sha256

    inputs = [file_sha256(path) for path in paths]
    names = ["/".join(path.parts[-2:]) for path in paths]
    job = task(work, "benchmarks", 1, {}, [names, inputs], _write_index, list(paths))
    return perform(job).path("benchmarks.index")


def _write_index(folder: Path, paths: list[Path], _key: str) -> dict[str, Any]:
    from petitlm.data.repeats.index import build_index

    build_index(paths).save(folder / "benchmarks.index")
    return {}


def _made(kind: Any, table: Mapping[str, Any], name: str) -> object:
    """A stage from its table; a field that is itself a group of settings takes the keys that it knows."""
    own = {field.name: field for field in dataclasses.fields(kind)}
    nested: dict[str, Any] = {n: type(f.default) for n, f in own.items() if dataclasses.is_dataclass(f.default)}
    inner = {f.name: n for n, of in nested.items() for f in dataclasses.fields(of)}
    check_keys(table, [*(n for n in own if n not in nested), *inner], name)
    given: dict[str, Any] = {}
    for key, value in table.items():
        if key in inner:
            given.setdefault(inner[key], {})[key] = value
        else:
            given[key] = value
    plain = {key: value for key, value in given.items() if key not in nested}
    made = from_table(kind, plain, name)
    parts = {key: from_table(nested[key], given[key], name) for key in nested if key in given}
    try:
        return dataclasses.replace(cast(Any, made), **parts) if parts else made
    except (TypeError, ValueError) as error:
        raise ConfigError(f"[{name}] {error}") from None
