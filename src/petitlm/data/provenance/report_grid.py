"""The grid of a corpus, before and after it was balanced, and what that did to a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

import numpy as np

from petitlm.data.provenance.facts import Facts
from petitlm.data.scoring import wilson_interval
from petitlm.drawings import Digits, Table, heat, html_table, safe, section

_NONE = -1  # of a document without a level


def grid_section(facts: Facts) -> str:
    """Documents of each category, language and level: before and after, on one scale, or as they are."""
    cells = facts.balance.get("cells", [])
    if any(cell["before"] != cell["after"] for cell in cells):
        before, after = ({_key(cell): cell[name] for cell in cells} for name in ("before", "after"))
        most = max(*after.values(), *before.values(), 1)
        drawn = [_drawn("Before", before, most, sorted(after)), _drawn("After", after, most, sorted(after))]
        note = "Training documents in each cell, before and after the gaps were filled; both on one scale."
    else:
        counts: dict[tuple[str, str, int], int] = {}
        for cell in facts.corpus.manifest["cells"]:
            counts[_key(cell)] = counts.get(_key(cell), 0) + cell["documents"]
        drawn = [_drawn("Documents", counts, max(counts.values(), default=1), sorted(counts))]
        note = "Documents in each cell."
    return section("The grid", f'<p class="note">{note} Shades are logarithmic, digits are documents.</p>'
                   f'<div class="flow">{"".join(drawn)}</div>')


def _drawn(title: str, counts: Mapping[tuple[str, str, int], int], most: int,
           keys: Sequence[tuple[str, str, int]]) -> str:
    """A heat map: a row for each category and language, a column for each level."""
    levels = sorted({key[2] for key in keys})
    rows = sorted({key[:2] for key in keys})
    found = [[counts.get((*row, level)) for level in levels] for row in rows]
    values = np.array([[_shade(n, most) if (*row, level) in set(keys) else np.nan
                        for n, level in zip(line, levels, strict=True)] for row, line in zip(rows, found, strict=True)])
    texts = [[f"{n or 0:,}" for n in line] for line in found]
    return heat(title, [f"{category}, {language}" for category, language in rows],
                ["none" if level == _NONE else str(level) for level in levels], values, texts=texts, most=1.0,
                ends=("0", f"{most:,} documents"))


def _shade(n: int | None, most: int) -> float:
    return log10(1 + (n or 0)) / log10(1 + most)


def _key(cell: Mapping[str, Any]) -> tuple[str, str, int]:
    level = cell["difficulty"]
    return str(cell["category"]), str(cell["language"]), _NONE if level is None else level


def balance_section(facts: Facts) -> str:
    """What lacks and why, and how even the cells are; empty for a corpus that was not balanced."""
    found = facts.balance
    if not found.get("cells") or not any(cell["target"] for cell in found["cells"]):
        return ""
    names = {"n_cells": "cells with a target", "at_target": "share of them at target", "deficit": "share that lacks",
             "smallest": "emptiest cell, of its target", "pielou": "evenness (Pielou)", "gini": "inequality (Gini)",
             "effective_cells": "effective number of cells"}
    before, after = found["evenness"]["before"], found["evenness"]["after"]
    even = [[words, _measure(name, before[name]), _measure(name, after[name])] for name, words in names.items()]
    tables = [html_table(Table("Balance", ["measure", "before", "after"], even))]
    unfilled = [[cell["category"], cell["language"], cell["difficulty"], cell["split"], cell["reason"]]
                for cell in found.get("unfilled", [])]
    if unfilled:
        tables.append(html_table(Table("Cells that could not be filled",
                                       ["category", "language", "level", "split", "why"], unfilled)))
    stop = f"{found.get('drafts', 0):,} drafts in {found.get('rounds', 0)} rounds; stopped: {found.get('stopped')}."
    filled = "" if unfilled else "Every cell has its target. "
    return section("Balance", f'<p class="note">{safe(filled + stop)}</p><div class="flow">{"".join(tables)}</div>')


def _measure(name: str, value: float) -> Digits:
    share = name in ("at_target", "deficit", "smallest")
    return Digits(f"{100 * value:.1f} %" if share else f"{value:g}" if name == "n_cells" else f"{value:.2f}")


def effect_section(facts: Facts) -> str:
    """Accuracy in each cell of the models trained on the corpus before and after, with intervals."""
    effect = facts.extra("effect")
    cells = effect.get("cells") or []
    if not cells:
        return ""
    sums: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        for key in ((cell["category"], cell["language"]), ("all", "")):
            sums.setdefault(key, Counter()).update(_counts(cell))
    keys = [_key({"difficulty": None, **cell}) for cell in cells]
    drawn = [_accuracies(f"Accuracy {name}", keys, [cell[name] for cell in cells])
             for name in ("before", "after")]
    whole = Table("", ["category", "language", "asked", "before", "after", "verdict"],
                  [[*key, *_compared(of)] for key, of in sums.items()])
    each = Table("", ["category", "language", "level", "asked", "before", "after", "verdict"], [
        [category, language, "all" if level == _NONE else level, *_compared(_counts(cell))]
        for (category, language, level), cell in zip(keys, cells, strict=True)])
    return section("What it does to a model", f'<p class="note">{safe(_conditions(effect))}</p>'
                   f'<div class="flow">{"".join(drawn)}{html_table(whole)}</div>'
                   f"<details><summary>Cell by cell, with intervals</summary>{html_table(each)}</details>")


def _counts(cell: Mapping[str, Any]) -> dict[str, int]:
    """How many questions were asked, and answered right before and after."""
    (before, n), (after, _) = cell["before"], cell["after"]
    return {"n": n, "before": before, "after": after}


def _conditions(effect: Mapping[str, Any]) -> str:
    losses = ", ".join(f"{loss:.3f}" for loss in effect.get("losses", []))
    return (f"Two models of {effect.get('n_params', 0):,} parameters, equal in everything but the text: "
            f"{effect.get('tokens', 0):,} tokens each, seed {effect.get('seed', 0)}"
            f"{f', last losses {losses}' if losses else ''}. Exact matches on held-out problems with 95 % intervals "
            "(Wilson); a verdict is given where the intervals do not meet.")


def _compared(of: Mapping[str, int]) -> list[Any]:
    """How many were asked, shares right with intervals, and which is better."""
    before, after = ((of[name] / of["n"], *wilson_interval(of[name], of["n"])) for name in ("before", "after"))
    verdict = "better" if after[1] > before[2] else "worse" if after[2] < before[1] else "no difference shown"
    return [Digits(f"{of['n']:,}"), Digits(_percent(before)), Digits(_percent(after)), verdict]


def _accuracies(title: str, keys: Sequence[tuple[str, str, int]], counts: Sequence[Sequence[int]]) -> str:
    rows, levels = sorted({key[:2] for key in keys}), sorted({key[2] for key in keys})
    values = np.full((len(rows), len(levels)), np.nan)
    for key, (right, n) in zip(keys, counts, strict=True):
        values[rows.index(key[:2]), levels.index(key[2])] = 100 * right / n
    texts = [["" if np.isnan(v) else f"{v:.0f}" for v in line] for line in values]
    return heat(title, [f"{category}, {language}" for category, language in rows],
                ["all" if level == _NONE else str(level) for level in levels], values, texts=texts, most=100.0,
                unit="%")


def _percent(numbers: Sequence[float]) -> str:
    return f"{100 * numbers[0]:.1f} % ({100 * numbers[1]:.1f} to {100 * numbers[2]:.1f})"
