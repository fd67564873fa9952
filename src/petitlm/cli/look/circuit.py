"""`petit look circuit`: the few edges that suffice, judged on prompts that they were not chosen on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options
from petitlm.cli.look.pairs import MAX_PAIRS, TASKS, pairs_of

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result


@click.command()
@click.argument("pairs", required=False, type=click.Path(dir_okay=False))
@click.option("--task", type=click.Choice(list(TASKS)), help="Prompts that petit makes for its own model.")
@click.option("--n", type=click.IntRange(2, MAX_PAIRS), default=20, metavar="N", help="Pairs of a task (20).")
@click.option("--seed", type=int, default=0, help="Of the task's pairs and of what is drawn at random (0).")
@click.option("--method", type=click.Choice(["eap-ig", "eap", "exact", "acdc"]), default="eap-ig",
              help="Score edges by gradients or one by one and take the best; or remove what does not matter (eap-ig).")
@click.option("--size", type=click.IntRange(min=1), metavar="N", help="Edges to take (as few as reach --target).")
@click.option("--target", type=click.FloatRange(0, 1, min_open=True), default=0.85, metavar="X",
              help="Faithfulness to reach where it is chosen (0.85).")
@click.option("--threshold", type=click.FloatRange(min=0, min_open=True), default=0.01, metavar="X",
              help="acdc: an edge stays if it changes more than this share (0.01).")
@click.option("--ablation", type=click.Choice(["resample", "zero", "mean"]), default="resample",
              help="What edges carry that are off (resample: the corrupt text's value).")
@click.option("--subsets", type=click.IntRange(min=0), default=10, metavar="N",
              help="Random halves and random circuits to compare with (10).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], pairs: str | None, task: str | None, n: int,
            seed: int, method: str, size: int | None, target: float, threshold: float, ablation: str,
            subsets: int) -> None:
    """Find the circuit for some prompts, on every other pair, and judge it on the rest.

    PAIRS is a file of JSON lines with clean, corrupt, answer and versus: two texts of as many tokens, the token that
    the first asks for and the one that the second does. Without it, --task makes such pairs.
    """
    from petitlm import look
    from petitlm.cli.output import progress

    quads = pairs_of(pairs, task, n, seed)
    with progress("trying edges") as report:
        found = look.circuit(model_of(), quads, method=method, size=size, target=target, threshold=threshold,
                             ablation=ablation, subsets=subsets, seed=seed,
                             report=report if method == "acdc" else None)
    show(found)
