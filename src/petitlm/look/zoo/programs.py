"""The six programs of C7: what they say, how they are compiled, and texts to ask them.

After the examples of RASP and Tracr, made causal: what needs the whole text (reverse, sort) answers behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from petitlm.errors import UsageError
from petitlm.look.zoo.compiler import NUMBER, Compiled, compile_program
from petitlm.look.zoo.induction import Pair
from petitlm.look.zoo.made import BOS
from petitlm.look.zoo.rasp import Aggregate, Map, Op, Ranked, Steps, positions, tokens

LETTERS = tuple("abcde")
END, SLOT = "|", "_"
N_CTX = 14
N_SORTED = 5


@dataclass(frozen=True)
class Program:
    """A compiled program and what it should say."""

    compiled: Compiled
    truth: Callable[[list[str]], list[str | float | None]]
    """From a text's words (without BOS) to the result at each; None where nothing is said."""
    sample: Callable[[np.random.Generator], list[str]]
    """A text: words without BOS; all texts of a program have one length."""
    asked: int = -1
    """Which word's result tells two texts apart, for patching."""

    def pair(self, rng: np.random.Generator) -> Pair:
        """Return two texts up to the word that is asked about, with different results there."""
        while True:
            texts = [self.sample(rng) for _ in range(2)]
            said = [self.truth(words)[self.asked] for words in texts]
            if said[0] != said[1]:
                break
        words, end = self.compiled.blueprint.words, self.asked + 1 or None
        clean, corrupt = ([0, *map(words.index, text[:end])] for text in texts)
        if isinstance(said[0], float):  # a number is a logit of its own: against BOS, whose logit is 0
            return Pair(clean, corrupt, words.index(NUMBER), 0)
        return Pair(clean, corrupt, words.index(str(said[0])), words.index(str(said[1])))


def make_program(name: str) -> Program:
    """Return one of PROGRAMS by its name.

    Raises: UsageError if there is none.
    """
    if name not in PROGRAMS:
        raise UsageError(f"there is no program {name!r}; there are {', '.join(PROGRAMS)}")
    return PROGRAMS[name]()


def _compiled(result: Op, words: tuple[str, ...], *unused: Op) -> Compiled:
    return compile_program(result, (BOS, *words), N_CTX, unused)


def _copies(where: Op, what: Op) -> tuple[Op, Op]:
    """Return two heads that nobody reads: they copy the first token, and the token two places back."""
    return (Aggregate("first", what.values, where, where, lambda k, q: k == 1, what),
            Aggregate("two back", what.values, where, where, lambda k, q: k == q - 2, what))


def _letters(rng: np.random.Generator, n: int = 9) -> list[str]:
    return [LETTERS[i] for i in rng.integers(0, len(LETTERS), n)]


def previous() -> Program:
    """The word before."""
    word, place = tokens(LETTERS), positions(N_CTX)
    result = Aggregate("previous", word.values, place, place, lambda k, q: k == q - 1, word)
    return Program(_compiled(result, LETTERS, *_copies(place, word)), lambda words: [None, *words[:-1]], _letters)


def fraction() -> Program:
    """The share of "x" among the words so far: on h e l l o, with x for l, 0, 0, 1/3, 1/2, 2/5."""
    word, place = tokens((*LETTERS, "x")), positions(N_CTX)
    is_x = Map("is x", None, (word,), lambda w: float(w == "x"))
    result = Aggregate("share of x", None, place, place, lambda k, q: 1 <= k <= q, is_x)

    def truth(words: list[str]) -> list[str | float | None]:
        return [words[: i + 1].count("x") / (i + 1) for i in range(len(words))]

    def sample(rng: np.random.Generator) -> list[str]:
        return [(*LETTERS, "x", "x", "x")[i] for i in rng.integers(0, len(LETTERS) + 3, 9)]

    return Program(_compiled(result, (*LETTERS, "x", NUMBER), *_copies(place, word)), truth, sample)


def count() -> Program:
    """How often the word has come so far: one head that shares itself out, and an MLP that reads its share of BOS."""
    word, place = tokens(LETTERS), positions(N_CTX)
    share = Aggregate("share of BOS", None, word, word, lambda k, q: k == q, place, rest=True)
    most = N_CTX - 1
    said = tuple(str(n) for n in range(most, 0, -1))
    result = Steps("count", said, share, tuple(1 / (1 + n) for n in range(most, 0, -1)), said)

    def truth(words: list[str]) -> list[str | float | None]:
        return [str(words[: i + 1].count(w)) for i, w in enumerate(words)]

    return Program(_compiled(result, (*LETTERS, *said), *_copies(place, word)), truth, _letters)


def reverse() -> Program:
    """The words before END from the last to the first, behind it; texts differ in where END is."""
    word, place = tokens((*LETTERS, END, SLOT)), positions(N_CTX)
    end = Aggregate("end", place.values, word, place, lambda k, q: k == END, place)
    source = Map("source", place.values, (end, place), lambda e, p: 2 * e - 1 - p if 1 <= 2 * e - 1 - p < e else None)
    result = Aggregate("reversed", word.values, place, source, lambda k, q: k == q, word)

    def truth(words: list[str]) -> list[str | float | None]:
        e = words.index(END)
        turned: list[str | float | None] = [*words[:e][::-1]]
        return [*[None] * e, *turned, *[None] * len(words)][: len(words)]

    def sample(rng: np.random.Generator) -> list[str]:
        n = int(rng.integers(3, 6))
        return [*_letters(rng, n), END, *[SLOT] * (8 - n)]

    return Program(_compiled(result, (*LETTERS, END, SLOT), *_copies(place, word)), truth, sample, asked=5)


def sort() -> Program:
    """The first five words in order, behind them: one head that counts words, and an MLP that counts through them."""
    word, place, n = tokens((*LETTERS, SLOT)), positions(N_CTX), N_SORTED
    shares = Aggregate("shares", word.values, place, place, lambda k, q: 1 <= k <= n, word)
    result = Ranked("sorted", word.values, shares, place, lambda p: max(0, p - n - 1), n)

    def truth(words: list[str]) -> list[str | float | None]:
        ordered: list[str | float | None] = [*sorted(words[:n])]
        return [*[None] * n, *ordered, *[None] * len(words)][: len(words)]

    def sample(rng: np.random.Generator) -> list[str]:
        return [*_letters(rng, n), *[SLOT] * n]

    return Program(_compiled(result, (*LETTERS, SLOT), *_copies(place, word)), truth, sample)


def brackets() -> Program:
    """Whether the brackets so far are balanced: none closed before it was opened, and none left open."""
    word, place = tokens(("(", ")")), positions(N_CTX)
    sofar = lambda k, q: 1 <= k <= q  # noqa: E731
    step = 1 / N_CTX
    depth = Aggregate("depth", None, place, place, sofar, word, {"(": 1.0, ")": -1.0})
    level = Steps("level", ("below", "zero", "above"), depth, (-step, 0.0, step), ("below", "zero", "above"))
    below = Steps("is below", None, depth, (-step, 0.0), (1.0, 0.0))
    ever = Aggregate("share below", None, place, place, sofar, below)
    never = Steps("ever below", ("never", "ever"), ever, (0.0, step), ("never", "ever"))
    result = Map("balanced", ("yes", "no"), (level, never),
                 lambda v, e: "yes" if v == "zero" and e == "never" else "no")

    def truth(words: list[str]) -> list[str | float | None]:
        depths = np.cumsum([1 if w == "(" else -1 for w in words])
        return ["yes" if depths[i] == 0 and depths[: i + 1].min() >= 0 else "no" for i in range(len(words))]

    def sample(rng: np.random.Generator) -> list[str]:
        kind = rng.integers(3)
        if kind == 0:  # as many of both, in any order
            return [("(", ")")[i] for i in rng.permutation(8) % 2]
        opened, text = 0, list[str]()
        for left in range(8, 0, -1):  # balanced
            opens = opened == 0 or (opened < left and rng.random() < 0.5)
            opened += 1 if opens else -1
            text.append("(" if opens else ")")
        return text if kind == 1 else [*text[:-1], "("]  # or never closed

    return Program(_compiled(result, ("(", ")", "yes", "no"), *_copies(place, word)), truth, sample)


PROGRAMS: dict[str, Callable[[], Program]] = {
    "previous": previous, "fraction": fraction, "count": count, "reverse": reverse, "sort": sort, "brackets": brackets}
"""Name: what makes it."""
