"""Short stories whose question is a sum, English and French: the generator.

A story is a theme (possessions, a shop, a trip, a hall, work) and moves; each move tells a sentence and grows a typed
tree of the quantity that is asked for. The answer writes the tree as equations, then says the result.
Levels: 0 one step to 10; 1 one step to 40; 2 two steps to 100; 3 three steps to 100; 4 three steps to 400, with a
sentence that has nothing to do with the question; 5 four steps to 400, with two such sentences.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from petitlm.data.generators.french import accented, elide
from petitlm.data.generators.word_problem_words import ASK, BESIDE, BOXES, PEOPLE, PRONOUN, TELL, THINGS
from petitlm.data.record import Problem
from petitlm.errors import UsageError

FAMILY = "word-problems"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 4, 4, 3, 2)

_STEPS = (1, 1, 2, 3, 3, 4)
_LARGEST = (10, 40, 100, 100, 400, 400)
_BESIDE = (0, 0, 0, 0, 1, 2)
_THEMES = ("possess", "possess", "possess", "shop", "trip", "hall", "work")

# Training sees each move, but none of these stories: whole (one step), or with two moves in a row.
_HELD_OUT = frozenset({"possess/fewer/has", "possess/has.loses/now", "hall/rows/free", "work/earns/has"})
_HELD_OUT_PAIRS = frozenset(
    {"gives.doubles", "buys.half", "loses.shares", "times.gives", "also.bag", "walks.walks", "added.classes",
     "spends.wants", "item.voucher"}
)  # fmt: skip


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: some stories of one step, and some moves in a row."""
    moves = structure.split("/")[1].split(".")
    pairs = {f"{first}.{second}" for first, second in zip(moves, moves[1:], strict=False)}
    return structure in _HELD_OUT or bool(pairs & _HELD_OUT_PAIRS)


class Tree(NamedTuple):
    """A quantity: a number of the text, or an operation on two quantities; `unit` is what it counts."""

    value: int
    unit: str
    sign: str = ""
    left: Tree | None = None
    right: Tree | None = None

    def __str__(self) -> str:
        """In one line, the same for equal sums: operands of + and × are sorted."""
        if not self.sign:
            return str(self.value)
        parts = [str(self.left), str(self.right)]
        return f"({self.sign.join(sorted(parts) if self.sign in '+*' else parts)})"

    def equations(self) -> list[str]:
        """`4 × 6 = 24`, innermost first."""
        if self.left is None or self.right is None:
            return []
        sign = {"*": "×", "/": "÷"}.get(self.sign, self.sign)
        line = f"{self.left.value} {sign} {self.right.value} = {self.value}"
        return [*self.left.equations(), *self.right.equations(), line]


def combine(sign: str, left: Tree, right: Tree) -> Tree:
    """Add or subtract what has one unit; multiply or divide by what has none.

    Raises: UsageError if the units do not fit, or a division leaves a rest.
    """
    if sign in "+-" and left.unit != right.unit:
        raise UsageError(f"cannot compute {left.unit} {sign} {right.unit}; both must count the same")
    if sign in "*/" and left.unit and right.unit:
        raise UsageError(f"cannot compute {left.unit} {sign} {right.unit}; one side must be a plain number")
    a, b = left.value, right.value
    if sign == "/" and (b == 0 or a % b):
        raise UsageError(f"{a} cannot be divided by {b} without a rest")
    value = a + b if sign == "+" else a - b if sign == "-" else a * b if sign == "*" else a // b
    return Tree(value, left.unit or right.unit, sign, left, right)


class _Story:
    """A story as it grows."""

    def __init__(self, rng: Random, language: str, level: int, theme: str) -> None:
        self.rng, self.language, self.theme = rng, language, theme
        self.most = _LARGEST[level]
        self.gender = rng.choice(("she", "he"))
        self.person = rng.choice(PEOPLE[self.gender])
        self.other = rng.choice(PEOPLE["he" if self.gender == "she" else "she"])  # so that `she` is one of the two
        self.thing = rng.choice(THINGS)
        self.box = rng.choice(BOXES)
        self.moves: list[str] = []
        self.sentences: list[str] = []

    def say(self, template: str, a: int = 0, b: int = 0, n: int = 0) -> str:
        """`template` with the words of this story."""
        pronoun, language = PRONOUN[self.language][self.gender], self.language
        things = self.thing.name(language, 2)
        return template.format(
            P=self.person, Q=self.other, s=pronoun, S=pronoun.capitalize(), T=things, B=self.box.name(language, a), a=a,
            b=b, n=n, N=self.thing.name(language, n), qu=elide("que", self.other), de=elide("de", things),
            deP=elide("de", self.person),
        )  # fmt: skip

    def tell(self, move: str, a: int = 0, b: int = 0) -> None:
        """Add the sentence of a move."""
        self.moves.append(move)
        told = "twice" if move == "times" and b == 2 else move
        self.sentences.append(self.say(self.rng.choice(TELL[self.theme][self.language][told]), a, b))

    def number(self, low: int = 2, high: int = 0) -> int:
        """A number of the size of the level, or up to `high`."""
        return self.rng.randint(low, max(low, high or self.most))

    def product(self, move: str, unit: str, most: int = 0, each: int = 25) -> Tree:
        """Tell a move of `a` times `b`, and return that product; `each` is the most that `b` may be."""
        largest = most or self.most
        a = self.number(2, max(2, min(12, largest // 2)))
        b = self.number(2, max(2, min(largest // a, each if self.most > 40 else 10)))
        self.tell("strolls" if move == "rides" and b <= 5 else move, a, b)
        return combine("*", Tree(a, ""), Tree(b, unit))

    def change(self, sign: str, move: str, total: Tree, most: int = 1000) -> Tree:
        """Tell a move that adds to the total or takes from it, at most `most`, and return the new total."""
        room = total.value - 2 if sign == "-" else self.most - total.value if self.most > total.value + 2 else 9
        b = self.number(2, max(2, min(room, most)))
        self.tell(move, 0, b)
        return combine(sign, total, Tree(b, total.unit))


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one story with its question; with `held_out`, one with moves that training never sees together."""
    while True:
        story = _Story(rng, language, level, rng.choice(_THEMES))
        drawn = _PLOTS[story.theme](story, _STEPS[level])
        if drawn is None:
            continue
        tree, asked = drawn
        structure = f"{story.theme}/{'.'.join(story.moves)}/{asked}"
        if tree.value >= 2 and is_held_out(structure) == held_out:
            break
    beside = [story.say(say, story.number(5, 30)) for say in rng.sample(BESIDE[language], _BESIDE[level])]
    question, answer = ASK[story.theme][language][asked]
    text = " ".join([*beside, *story.sentences, story.say(question)])
    answer = f"{', '.join(tree.equations())}. {story.say(answer, n=tree.value)}"
    if language == "fr":
        text, answer = accented(text), accented(answer)
    return Problem(FAMILY, language, level, structure, f"{FAMILY}:{story.theme}:{tree}", text, answer)


def _possess(story: _Story, n_steps: int) -> tuple[Tree, str] | None:
    rng, unit = story.rng, "things"
    opening = rng.choice(("has", "has", "packs", "more", "fewer", "times"))
    known: Tree | None = None
    if opening == "has":
        total = Tree(story.number(), unit)
        story.tell("has", total.value)
    elif opening == "packs":
        total, n_steps = story.product("packs", unit), n_steps - 1
    else:
        sign = {"more": "+", "fewer": "-", "times": "*"}[opening]
        known = Tree(story.number(2, story.most // 2) if opening == "times" else story.number(4), unit)
        b = story.number(2, known.value - 2 if opening == "fewer" else max(2, story.most // known.value))
        b = story.number(2, story.most) if opening == "more" else b
        story.tell(opening, known.value, b)
        total, n_steps = combine(sign, known, Tree(b, "" if sign == "*" else unit)), n_steps - 1
    if known and n_steps == 1 and rng.random() < 0.5:
        return combine("+", total, known), "together"
    while n_steps > 0:
        move = rng.choice(("gets", "buys", "gives", "loses", "half", "doubles", "shares"))
        if move == "shares" and n_steps == 1:
            friends = [k for k in range(2, 13) if total.value % k == 0 and total.value // k >= 2]
            if not friends:
                return None
            k = rng.choice(friends)
            story.tell("shares", 0, k)
            return combine("/", total, Tree(k, "")), "each"
        if move == "buys" and n_steps >= 2:
            total, n_steps = combine("+", total, story.product("buys", unit)), n_steps - 1
        elif move == "gets":
            total = story.change("+", "gets", total)
        elif move in ("gives", "loses") and total.value >= 4:
            total = story.change("-", move, total)
        elif move == "half" and total.value % 2 == 0 and total.value >= 4:
            story.tell("half")
            total = combine("/", total, Tree(2, ""))
        elif move == "doubles" and total.value <= 2 * story.most:
            story.tell("doubles")
            total = combine("*", total, Tree(2, ""))
        else:
            continue
        n_steps -= 1
    return total, "now" if len(story.moves) > 1 else "has"


def _shop(story: _Story, n_steps: int) -> tuple[Tree, str] | None:
    rng, unit = story.rng, "euros"
    total, n_steps = story.product("item", unit, each=15), n_steps - 1
    first = story.thing
    asked = "change" if n_steps >= 1 and rng.random() < 0.5 else "pays"
    n_steps -= asked == "change"
    if n_steps >= 2:
        story.thing = rng.choice([thing for thing in THINGS if thing is not first])
        total, n_steps = combine("+", total, story.product("also", unit, 40, 9)), n_steps - 2
    while n_steps > 0:
        move = rng.choice(("bag", "voucher"))
        if move in story.moves or (move == "voucher" and total.value < 4):
            return None
        total, n_steps = story.change("+" if move == "bag" else "-", move, total, 12), n_steps - 1
    if asked == "change":
        notes = [note for note in (5, 10, 20, 50, 100, 200, 500) if note >= total.value + 2]
        if not notes:
            return None
        story.tell("note", 0, notes[0])
        total = combine("-", Tree(notes[0], unit), total)
    return total, asked


def _trip(story: _Story, n_steps: int) -> tuple[Tree, str] | None:
    rng, unit = story.rng, "km"
    total, n_steps = story.product("rides", unit), n_steps - 1
    asked = "left" if n_steps >= 1 and rng.random() < 0.5 else "far"
    n_steps -= asked == "left"
    while n_steps > 0:
        if n_steps >= 2 and rng.random() < 0.5:
            total, n_steps = combine("+", total, story.product("goes-on", unit, 100)), n_steps - 2
        else:
            total, n_steps = story.change("+", "walks", total, 15), n_steps - 1
    if asked == "left":
        planned = total.value + story.number(2, 60)
        story.tell("planned", 0, planned)
        total = combine("-", Tree(planned, unit), total)
    return total, asked


def _hall(story: _Story, n_steps: int) -> tuple[Tree, str] | None:
    total, n_steps = story.product("rows", "seats"), n_steps - 1
    while n_steps > 0:
        move = story.rng.choice(("broken", "added", "classes"))
        if move == "classes" and n_steps >= 2 and total.value > 8:
            total, n_steps = combine("-", total, story.product("classes", "seats", total.value - 2)), n_steps - 2
        elif move == "added" or (move == "broken" and total.value >= 4):
            total, n_steps = story.change("+" if move == "added" else "-", move, total), n_steps - 1
    return total, "free"


def _work(story: _Story, n_steps: int) -> tuple[Tree, str] | None:
    total, n_steps = story.product("earns", "euros"), n_steps - 1
    asked = "missing" if n_steps >= 1 and story.rng.random() < 0.5 else "has"
    n_steps -= asked == "missing"
    while n_steps > 0:
        move = story.rng.choice(("had", "spends") if "had" not in story.moves else ("spends",))
        if move == "spends" and total.value < 4:
            return None
        total, n_steps = story.change("+" if move == "had" else "-", move, total), n_steps - 1
    if asked == "missing":
        price = total.value + story.number(2, 90)
        story.tell("wants", 0, price)
        total = combine("-", Tree(price, "euros"), total)
    return total, asked


_PLOTS = {"possess": _possess, "shop": _shop, "trip": _trip, "hall": _hall, "work": _work}
