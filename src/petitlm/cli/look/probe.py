"""`petit look probe`: what can be read off a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.rows import MAX_PROBLEMS, json_rows, problems_of
from petitlm.cli.output import note
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.probe import Method
    from petitlm.look.results import Result

_LABELS = ("family", "language", "level", "shape")


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--problems", type=click.IntRange(10, MAX_PROBLEMS), default=400, metavar="N",
              help="Without FILE: problems that petit generates (400).")
@click.option("--label", type=click.Choice(_LABELS), default="language",
              help="Without FILE: what of a problem is to be read (language).")
@click.option("--tap", "taps", multiple=True, metavar="NAME",
              help="Where to read; may be given again (resid_post of all blocks).")
@click.option("--at", type=int, default=-1, metavar="N", help="Token at which to read (the last).")
@click.option("--method", type=click.Choice(["logistic", "ridge"]), default="logistic",
              help="Tell classes apart, or read numbers (logistic).")
@click.option("--penalty", type=float, default=10.0, metavar="X", help="On the squared weights (10).")
@click.option("--folds", type=click.IntRange(min=2), default=5, metavar="N",
              help="Parts that the groups are split into, each read by a probe of the others (5).")
@click.option("--shuffles", type=click.IntRange(min=0), default=20, metavar="N",
              help="Probes fitted on shuffled labels, as a control (20).")
@click.option("--seed", type=int, default=0, help="Of problems, folds and shuffles (0).")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE",
              help="Write the probe of the best tap, fitted on all texts (.safetensors).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], file: str | None, problems: int, label: str,
            out: str | None, taps: tuple[str, ...], at: int, method: Method, penalty: float,
            **options: Any) -> None:
    """Fit linear probes to texts with labels, and say how well each value tells the label.

    FILE (- is standard input) has one JSON object a line: text, label, and group if some texts are alike: no group is
    both fitted on and tested. Without it, problems that petit generates are taken; alike are those of one structure.
    """
    from petitlm import look
    from petitlm.look.probe import fit_probe

    texts, labels, groups = _examples(file, problems, label, options["seed"])
    model = model_of()
    result = look.probe(model, texts, labels, taps=list(taps) or ["resid_post"], at=at, groups=groups, method=method,
                        penalty=penalty, **options)
    show(result)
    if out:
        best = result.best().tap
        fit_probe(model, texts, labels, best, at=at, method=method, penalty=penalty).save(out)
        note(f"{out}: the probe at {best}")


def _examples(file: str | None, n: int, label: str, seed: int) -> tuple[list[str], list[Any], list[str]]:
    """Return texts, labels and groups."""
    if file is None:
        found = problems_of(None, n, seed, ("train",))
        return [p.prompt for p in found], [getattr(p.record, label) for p in found], [p.group for p in found]
    rows = json_rows(file, {"text": str, "label": (str, int, float, bool)}, {"group": (str, int)})
    kinds = {str if isinstance(row["label"], str) else float for row in rows}
    if len(kinds) > 1:
        raise UsageError(f"{file} has labels that are texts and labels that are numbers; give one kind")
    return ([row["text"] for row in rows], [row["label"] for row in rows],
            [str(row.get("group", f"line {i}")) for i, row in enumerate(rows)])
