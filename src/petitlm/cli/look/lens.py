"""`petit look lens`: what the model was about to say, after every block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from petitlm.cli.look.common import look_options
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.front import Model
    from petitlm.look.results import Result
    from petitlm.look.tuned import TunedLens


@click.command()
@click.argument("text", required=False)
@click.option("--at", type=int, multiple=True, metavar="N",
              help="Position to read, -1 is the last; again for more (all).")
@click.option("--top", type=click.IntRange(min=1), default=5, metavar="K", help="Tokens to keep at each place (5).")
@click.option("--follow", multiple=True, metavar="TOKEN", help="A token whose probability is shown; again for more.")
@click.option("--tuned", type=click.Path(dir_okay=False), metavar="FILE", help="Read through this tuned lens.")
@click.option("--fit", type=click.Path(dir_okay=False), metavar="FILE", help="Learn a tuned lens and write it here.")
@click.option("--texts", type=click.Path(dir_okay=False), metavar="FILE",
              help="Learn from these texts, an empty line between two (what petit generates).")
@click.option("--n-texts", type=click.IntRange(min=2), default=500, metavar="N", help="Texts to learn from (500).")
@click.option("--steps", type=click.IntRange(min=1), default=300, metavar="N", help="Steps of learning (300).")
@click.option("--seed", type=int, default=0, help="Of the texts and their order (0).")
@look_options
def command(model_of: Callable[[], Model], show: Callable[[Result], None], text: str | None, at: tuple[int, ...],
            top: int, follow: tuple[str, ...], tuned: str | None, fit: str | None, texts: str | None, n_texts: int,
            steps: int, seed: int) -> None:
    """Read out what the model would say after every block, at every position of TEXT.

    With --fit a tuned lens is learned first, which translates each layer into the language of the last; with TEXT, too,
    it is then used.
    """
    if text is None and fit is None:
        raise UsageError("no text is given; give one to read, or --fit FILE to learn a tuned lens")
    if fit is not None and tuned is not None:
        raise UsageError("--fit learns a tuned lens and --tuned reads one; give one of them")
    model = model_of()
    if fit is not None:
        _fit(model, fit, texts, n_texts, steps, seed)
    if text is not None:
        from petitlm import look

        show(look.lens(model, text, at=at or None, top=top, follow=follow, tuned=fit or tuned))


def _fit(model: Model, path: str, texts: str | None, n_texts: int, steps: int, seed: int) -> None:
    from petitlm.cli.look.texts import texts_of
    from petitlm.cli.output import note, progress

    try:
        from petitlm.look.gradients.tuned_lens import fit_lens
    except ModuleNotFoundError:
        raise UsageError("learning a tuned lens needs torch; install petitlm[train], or use a lens made elsewhere "
                         "with --tuned") from None
    with progress("learning the lens") as report:
        lens = fit_lens(model, texts_of(texts, n_texts, seed), steps=steps, seed=seed, progress=report)
    lens.save(path)
    _print(lens)
    note(f"{path}: the tuned lens, for --tuned")


def _print(lens: TunedLens) -> None:
    """Show what was learned, on texts that were held out."""
    from petitlm.cli.output import print_columns

    made = lens.made
    click.echo(f"KL from the model's own prediction on {made['held_out_texts']} held-out texts, nats")
    names = ["embed", *map(str, range(lens.shape[0] - 1))]
    print_columns([["layer", "logit lens", "tuned lens", ""], *(
        [name, f"{a:.3f}", f"{b:.3f}", ""] for name, a, b in zip(names, made["kl_logit"], made["kl_tuned"],
                                                                  strict=True))])
    click.echo()
