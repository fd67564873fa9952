"""A corpus whose grid has gaps becomes another one in which generators filled them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from petitlm.data.balance.grid import Cell
from petitlm.data.balance.loop import Place
from petitlm.data.corpus.build import Corpus, build_recipe
from petitlm.data.corpus.recipe import (
    STAGES,
    BalancePlan,
    CorpusRecipe,
    MixPlan,
    PolicyPlan,
    SourcePlan,
    TokenPlan,
    as_plain,
)
from petitlm.data.corpus.workers import Report, Workers, none
from petitlm.data.sources.licences import SHARE_ALIKE
from petitlm.errors import NotFoundError, UsageError
from petitlm.files import file_sha256

_CELL = ("category", "language", "difficulty", "split")


def grid_of(folder: Path) -> dict[Place, int]:
    """Documents of a built corpus at each place of the grid.

    Raises: NotFoundError where there is no corpus.
    """
    if not (folder / "manifest.json").is_file():
        raise NotFoundError(f"{folder} has no manifest.json; give a folder that petit data build made")
    counts: Counter[Place] = Counter()
    for path in sorted((folder / "documents").glob("*.parquet")):
        rows = pq.read_table(path, columns=list(_CELL)).group_by(list(_CELL)).aggregate([([], "count_all")])
        for row in rows.to_pylist():
            counts[Cell(row["category"], row["language"], row["difficulty"]), row["split"]] += row["count_all"]
    return dict(counts)


def rebalance(before: Path, out: Path, plan: BalancePlan, workers: Workers | None = None,
              report: Report = none, n_vocab: int = 4096) -> Corpus:
    """Build a corpus in `out` with all documents of the corpus `before` and generated ones where cells lack.

    The documents keep their names, sources and labels; the new manifest names the old one.
    Raises: NotFoundError, UsageError.
    """
    if out.absolute() == before.absolute():
        raise UsageError(f"--out {out} is the corpus itself; give another folder, so that both can be compared")
    grid_of(before)
    sha = file_sha256(before / "manifest.json")
    recipe = CorpusRecipe(
        name=f"{before.resolve().name}-balanced", root=before, shards=16,
        sources=(SourcePlan(id="before", path="documents/*.parquet", format="documents",
                            licence="LicenseRef-Public-Domain", note=f"manifest {sha}"),),
        # Whatever the gate let in before stays in.
        policy=PolicyPlan(allow=("*", *SHARE_ALIKE)), stages={name: {"off": True} for name in STAGES[:-1]},
        benchmarks=(), balance=plan, mix=MixPlan(valid=0.0, test=0.0), tokens=TokenPlan(n_vocab=n_vocab),
        description=f"The corpus of manifest {sha}, with generated documents where its grid had gaps.",
    )  # fmt: skip
    lines = [f"# Made by `petit data balance` from the corpus whose manifest is {sha}.", f'name = "{recipe.name}"',
             "[balance]", *(f"{name} = {_toml(value)}" for name, value in as_plain(plan).items())]
    text = "\n".join(lines) + "\n"
    return build_recipe(recipe, text, out, workers, report)


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)
