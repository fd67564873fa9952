"""Build a corpus: from a recipe's file to a folder with a manifest, going on where an earlier build was stopped."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from petitlm.data.corpus.assemble import assemble
from petitlm.data.corpus.pipeline import Build, Built
from petitlm.data.corpus.recipe import CorpusRecipe, read_recipe
from petitlm.data.corpus.row_stages import row_stages
from petitlm.data.corpus.store import held
from petitlm.data.corpus.workers import InProcess, Report, Workers, none


@dataclass(frozen=True)
class Corpus:
    """A corpus that was built just now."""

    folder: Path
    identity: str
    """sha256 of its manifest."""
    built: Built


def work_folder(out: Path) -> Path:
    """Where a build of `out` keeps its steps until it is done: beside it, so that a rename can put them in place."""
    return out.parent / f".{out.name}.work"


def build(recipe_path: Path, out: Path, workers: Workers | None = None, report: Report = none,
          root: Path | None = None, keep_work: bool = False) -> Corpus:
    """Build the recipe at `recipe_path` into `out`; a corpus that is there is replaced in one step, at the end.

    `root`: where the recipe's paths start, in place of its own. `keep_work`: leave the steps for the next build, which
    then does only what changed.
    Raises: NotFoundError, ConfigError, UsageError, RefusedError, DamagedError: see the message.
    """
    text = recipe_path.read_text(encoding="utf-8")
    return build_recipe(read_recipe(recipe_path, root), text, out, workers, report, keep_work)


def build_recipe(recipe: CorpusRecipe, text: str, out: Path, workers: Workers | None = None, report: Report = none,
                 keep_work: bool = False) -> Corpus:
    """Build `recipe`, of which `text` is the record that the corpus keeps; see `build`."""
    out = out.absolute()
    work = work_folder(out)
    with held(work):
        for left in out.parent.glob(f".{glob.escape(out.name)}.*.part"):  # of a build that was killed
            shutil.rmtree(left, ignore_errors=True)
        built = Build(recipe, work, workers or InProcess(), report, row_stages).run()
        identity = assemble(built, text, out)
    if not keep_work:
        _remove(work)
    return Corpus(out, identity, built)


def _remove(work: Path) -> None:
    """Remove the finished steps. They lose their name first: a kill in the middle leaves no step that looks done and
    lacks its files."""
    aside = work.with_name(f"{work.name}.{secrets.token_hex(4)}.part")
    os.rename(work, aside)
    shutil.rmtree(aside, ignore_errors=True)
