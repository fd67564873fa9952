"""The self-test: are the tools able to find what is known to be there?

Models of the zoo are made by hand, or trained on the spot, so that the truth about them is known; every question has a
bar that the answer has to reach. Passing says that a tool is right about such models, and necessary for one that grew
by itself; it is not sufficient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

from petitlm.errors import UsageError
from petitlm.look.results import About, Evidence, Result, Table
from petitlm.look.zoo import by_hand, compiled
from petitlm.look.zoo.found import Found, Trial

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Selftest(Result):
    """What was asked, what is known, what was found, and whether that reaches the bar."""

    evidence: ClassVar[Evidence] = "intervention"
    found: tuple[Found, ...]
    left_out: tuple[tuple[str, str], ...]
    """Trials that were not run, and why."""

    @property
    def ok(self) -> bool:
        """Whether something was asked, and every answer reaches its bar."""
        return bool(self.found) and all(one.ok for one in self.found)

    @property
    def missed(self) -> list[Found]:
        """The answers that do not."""
        return [one for one in self.found if not one.ok]

    def tables(self) -> list[Table]:
        rows = [[one.case, one.question, one.truth, one.found, one.bar, one.ok] for one in self.found]
        n = len(self.found) - len(self.missed)
        tables = [Table("Known truths", ["model", "question", "truth", "found", "bar", "ok"], rows,
                        f"{n} of {len(self.found)} answers reach their bar")]
        reasons = dict.fromkeys(why for _, why in self.left_out)
        rows = [[", ".join(name for name, other in self.left_out if other == why), why] for why in reasons]
        return [*tables, Table("Not asked", ["models", "why"], rows)] if rows else tables


def selftest(slow: bool = False, only: str | None = None, progress: Progress | None = None) -> Selftest:
    """Ask the tools about the models of the zoo; `slow` also about those that are trained first, minutes on one core.

    `only` asks about models whose names begin with it, such as C1 or T3, slow ones too. Without torch what needs
    gradients or training is left out, and said.
    Raises: UsageError if no model has such a name.
    """
    chosen, left_out = list[Trial](), list[tuple[str, str]]()
    torch_missing = find_spec("torch") is None
    for trial in all_trials():
        if only is not None and not trial.name.lower().startswith(only.lower()):
            continue
        if trial.slow and not slow and only is None:
            left_out.append((trial.name, "slow: ask with --slow"))
        elif trial.torch and torch_missing:
            left_out.append((trial.name, "needs torch: install petitlm[train]"))
        else:
            chosen.append(trial)
    if not chosen and not left_out:
        names = ", ".join(dict.fromkeys(trial.name.split()[0] for trial in all_trials()))
        raise UsageError(f"only={only!r} is no model of the self-test; it has {names}")
    found = list[Found]()
    for i, trial in enumerate(chosen):
        if progress:
            progress(i, len(chosen), trial.name)
        found += trial.ask()
    if progress:
        progress(len(chosen), len(chosen), "done")
    about = About("selftest", {"slow": slow, "only": only}, {"name": "the zoo", "digest": "", "bits": 0, "cache": "",
                                                             "layers": "engine"})
    return Selftest(about, tuple(found), tuple(left_out))


def all_trials() -> Iterator[Trial]:
    """Yield every trial, in order; those that need torch are imported when they are asked."""
    yield from by_hand.TRIALS
    yield from compiled.TRIALS
    yield from _trained()


def _trained() -> Iterator[Trial]:
    def ask(name: str) -> Callable[[], Iterator[Found]]:
        def asked() -> Iterator[Found]:
            from petitlm.look.gradients.zoo import questions

            return getattr(questions, name)()

        return asked

    for name, title in (("t1", "T1 superposition"), ("t2", "T2 induction learned"), ("t3", "T3 addition learned"),
                        ("t4", "T4 dictionary learned"), ("t5", "T5 planted behaviour")):
        yield Trial(title, ask(name), slow=True, torch=True)
