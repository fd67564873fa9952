"""`petit look risk`: how likely an answer is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.rows import MAX_PROBLEMS, Problem, all_stops, problems_of
from petitlm.cli.output import note
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result
    from petitlm.look.risk_fit import Questions

TAUGHT, NEW = "heldout-values", "heldout-structures"


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--problems", type=click.IntRange(1, MAX_PROBLEMS), metavar="N",
              help="Measure on N problems that petit generates, of structures that its own model was never taught.")
@click.option("--questions", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE",
              help="Measure on questions of your own: JSON lines of prompt, answer, and group and part if you like.")
@click.option("--fit", type=click.Path(dir_okay=False), metavar="FILE",
              help="Fit a judge to the answers, and write it: N problems of taught structures and N of new ones, or "
                   f"the questions of the parts {TAUGHT} and {NEW}.")
@click.option("--judge", type=click.Path(dir_okay=False), metavar="FILE",
              help="A judge that --fit wrote (the one that lies beside the model).")
@click.option("--warn", type=click.FloatRange(0, 1), default=0.5, metavar="X", help="Warn from this risk on (0.5).")
@click.option("--max-tokens", type=click.IntRange(min=1), default=96, metavar="N", help="Longest answer (96).")
@click.option("--stop", multiple=True, metavar="TEXT", help="An answer ends before it (where a turn begins).")
@click.option("--seed", type=int, default=0, help="Of problems, folds and intervals (0).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], texts: tuple[str, ...],
            problems: int | None, questions: str | None, fit: str | None, judge: str | None, warn: float,
            max_tokens: int, stop: tuple[str, ...], seed: int) -> None:
    """Answer each TEXT and say how likely the answer is wrong.

    The number comes from what happens inside while the answer is made: how unsure the predictions are, how late the
    logit lens settles, and what a probe reads. With --problems or --questions it is measured on answers that are known.
    """
    from petitlm import look

    if sum(map(bool, (texts, problems, questions))) != 1:
        raise UsageError("give texts to answer, or --problems, or --questions: one of the three")
    if fit and (texts or judge):
        raise UsageError("--fit makes a judge from --problems or --questions; leave texts and --judge out")
    stop = stop or all_stops()
    if texts:
        show(look.risk(model_of(), list(texts), judge=judge, max_tokens=max_tokens, stop=stop, warn=warn, seed=seed))
        return
    found = problems_of(questions, problems or 0, seed, (TAUGHT, NEW) if fit else (NEW,))
    if not fit:
        show(look.risk(model_of(), [p.prompt for p in found], expected=[p.answer for p in found],
                       groups=[p.group for p in found], parts=[p.part for p in found], judge=judge,
                       max_tokens=max_tokens, stop=stop, warn=warn, seed=seed))
        return
    from petitlm.look.risk_fit import fit_judge

    made, measured = fit_judge(model_of(), _part(found, TAUGHT), _part(found, NEW), max_tokens=max_tokens, stop=stop,
                               warn=warn, seed=seed)
    made.save(fit)
    show(measured)
    note(f"{fit}: the judge; beside the model, as risk.safetensors, it is found by itself")


def _part(found: list[Problem], name: str) -> Questions:
    from petitlm.look.risk_fit import Questions

    mine = [p for p in found if p.part == name]
    if not mine:
        raise UsageError(f"no question has the part {name!r}; to fit a judge, give questions of the kinds that the "
                         f"model was taught ({TAUGHT}) and of others ({NEW})")
    return Questions(name, [p.prompt for p in mine], [p.answer for p in mine], [p.group for p in mine])
