"""`petit look steer`: a direction that changes answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.rows import lines_of
from petitlm.cli.look.texts import texts_of
from petitlm.cli.output import note
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.directions import Method
    from petitlm.look.results import Result


@click.command()
@click.option("--pair", nargs=2, multiple=True, metavar="WITH WITHOUT",
              help="A text with and one without what is to be steered; give several.")
@click.option("--pairs", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE",
              help="More of them: one JSON array of two texts a line; - is standard input.")
@click.option("--vector", type=click.Path(dir_okay=False), metavar="FILE",
              help="A control vector (.gguf) instead of pairs; of petit, or of others.")
@click.option("--prompt", multiple=True, metavar="TEXT", help="Where the effect is measured; give several.")
@click.option("--answer", required=True, metavar="TOKEN", help="What is to become likelier after each prompt.")
@click.option("--versus", metavar="TOKEN", help="Measured against this one (the log-probability alone).")
@click.option("--block", "blocks", multiple=True, type=int, metavar="N",
              help="Add the direction after this block; may be given again (where it does most).")
@click.option("--method", type=click.Choice(["mean", "pca"]), default="mean",
              help="Mean difference of the pairs, or their first principal component (mean).")
@click.option("--at", type=int, default=-1, metavar="N", help="Token at which pairs are compared (the last).")
@click.option("--strength", "strengths", multiple=True, type=float, metavar="X",
              help="Of the direction; 1 is the pairs' distance; may be given again (from -2 to 4).")
@click.option("--neutral", type=click.Path(dir_okay=False), metavar="FILE",
              help="Texts to measure the cost on, an empty line between two (petit's generated ones).")
@click.option("--n-neutral", type=click.IntRange(min=1), default=40, metavar="N", help="How many of them (40).")
@click.option("--max-tokens", type=click.IntRange(min=0), default=0, metavar="N",
              help="Also answer the first three prompts, with up to N tokens (0).")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE",
              help="Write the direction as a control vector (.gguf), which llama.cpp reads, too.")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], pair: tuple[tuple[str, str], ...],
            pairs: str | None, vector: str | None, prompt: tuple[str, ...], answer: str, versus: str | None,
            blocks: tuple[int, ...], method: Method, at: int, strengths: tuple[float, ...], neutral: str | None,
            n_neutral: int, max_tokens: int, out: str | None) -> None:
    """Find the direction in which pairs of texts differ, add it while the model runs, and say what that does.

    Each strength is shown with its effect on the prompts and its cost on neutral text.
    """
    from petitlm import look
    from petitlm.look.directions import save_direction
    from petitlm.look.steer import STRENGTHS

    given = [*pair, *(_pairs(pairs) if pairs else [])]
    if bool(given) == bool(vector):
        raise UsageError("give either pairs of texts (--pair, --pairs) or a control vector (--vector)")
    model, texts = model_of(), texts_of(neutral, n_neutral, seed=1)
    result = look.steer(model, given, list(prompt), texts, answer=answer, versus=versus, blocks=list(blocks) or None,
                        method=method, at=at, strengths=list(strengths) or STRENGTHS, vector=vector,
                        max_tokens=max_tokens)
    show(result)
    if out:
        save_direction(out, result.direction(), model.config)
        note(f"{out}: the direction, for `petit look steer --vector` and llama.cpp's --control-vector")


def _pairs(path: str) -> list[list[str]]:
    found = []
    for i, line in lines_of(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(text, str) for text in row)):
            raise UsageError(f"{path}, line {i} is not a JSON array of two texts, such as [\"with\", \"without\"]")
        found.append(row)
    if not found:
        raise UsageError(f"{path} is empty; give one JSON array of two texts a line")
    return found
