"""What a tool was asked of a model whose inside is known, what it found, and what it had to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """One question with its known answer."""

    case: str
    """Which model: C1 in 4 bits, T2."""
    question: str
    truth: str
    """What is known, and from where if it is not by construction."""
    found: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bar(self) -> str:
        """What the number has to be."""
        if self.at_least is not None and self.at_most is not None:
            middle, within = (self.at_least + self.at_most) / 2, (self.at_most - self.at_least) / 2
            return f"{middle:.6g} ± {within:.2g}" if within else f"{middle:.6g}"
        if self.at_least is not None and 0.999 < self.at_least < 1:
            return f"at least 1 - {1 - self.at_least:.1g}"
        return f"at least {self.at_least:.5g}" if self.at_most is None else f"at most {self.at_most:.5g}"

    @property
    def ok(self) -> bool:
        """Whether it is; a number that is not one is not."""
        low, high = self.at_least, self.at_most
        return bool((low is None or self.found >= low) and (high is None or self.found <= high)
                    and self.found == self.found)


@dataclass(frozen=True)
class Trial:
    """Some questions about one model of the zoo."""

    name: str
    ask: Callable[[], Iterator[Found]]
    slow: bool = False
    torch: bool = False
    """Whether it cannot be asked without torch."""


def equals(case: str, question: str, truth: float, found: float, within: float, unit: str = "") -> Found:
    """Return what was found of a number that is known."""
    return Found(case, question, f"{truth:.6g}{unit and ' ' + unit}", found, truth - within, truth + within)


def yes(case: str, question: str, truth: str, found: bool) -> Found:
    """Return what was found where the answer is yes (1) or no (0)."""
    return Found(case, question, truth, float(found), at_least=1.0)
