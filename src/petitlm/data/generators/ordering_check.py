"""Ordering puzzles: the second route. Reads hints as text and places the entities one by one, from the front.

The generator weighs all orders at once; this route searches for those that break no hint and compares what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from petitlm.data.record import Problem
from petitlm.errors import UsageError

Fact = tuple[str, tuple[str, ...], int]
"""before, next, gap, between, ends, at, not at; the entities; the place from the front, -1 the last."""

_NOT_SAID = {"en": "The text does not say.", "fr": "Le texte ne le dit pas."}
_THEMES = {
    "heights": "height", "ages": "age", "weights": "weight", "prices": "price", "race": "race", "line": "line",
    "shelf": "shelf", "tailles": "height", "âges": "age", "poids": "weight", "prix": "price", "course": "race",
    "queue": "line", "étagère": "shelf",
}  # fmt: skip
_INTRO = {
    "en": re.compile(r"(.+?) (?:all have different (\w+)|ran a (race)\b.*|are standing in (line)\b.*"
                     r"|stand .* on a (shelf))"),
    "fr": re.compile(r"(.+?) (?:ont des (\w+) différents|ont des (\w+) différentes|ont fait une (course)\b.*"
                     r"|font la (queue)|sont .* sur une (étagère))"),
}  # fmt: skip
# Adjectives of the front and of the back; French in both genders.
_ADJECTIVES = {
    "en": {
        "height": ("tall", "short"), "age": ("old", "young"), "weight": ("heavy", "light"), "price": ("dear", "cheap"),
    },
    "fr": {
        "height": ("plus grande?", "plus petite?"), "age": ("plus âgée?", "plus jeune"),
        "weight": ("plus lourde?", "plus légère|plus léger"),
        "price": ("plus chère|plus cher", "moins chère|moins cher"),
    },
}  # fmt: skip
_RELATIONS = {
    "en": {"race": ("before", "after"), "line": ("ahead of", "behind"), "shelf": ("to the left of", "to the right of")},
    "fr": {"race": ("avant", "après"), "line": ("devant", "derrière"), "shelf": ("à gauche de", "à droite de")},
}  # fmt: skip
_PLACES = {
    "en": {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1},
    "fr": {"premier": 0, "première": 0, "deuxième": 1, "troisième": 2, "quatrième": 3, "cinquième": 4, "dernier": -1,
           "dernière": -1},
}  # fmt: skip


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` does not follow from its hints, or is not the only one; None if it does."""
    try:
        puzzle = Puzzle(problem.context, problem.language)
        return puzzle.judge(problem.question, problem.answer)
    except UsageError as error:
        return str(error)


class Puzzle:
    """Entities, theme and facts of a text."""

    def __init__(self, text: str, language: str) -> None:
        intro, *hints = (_plain(sentence, language) for sentence in text.removesuffix(".").split(". "))
        found = _INTRO[language].fullmatch(intro)
        if not found:
            raise UsageError(f"{intro!r} does not say who is put in order")
        self.language = language
        self.entities = re.split(r", | and | et ", found[1])
        self.theme = _THEMES.get(next(word for word in found.groups()[1:] if word), "")
        self._patterns = _patterns(language, self.theme)
        self.facts = [fact for hint in hints for fact in self.read(hint)]

    def read(self, sentence: str) -> list[Fact]:
        """The facts that a plain sentence states.

        Raises: UsageError if it follows no known wording.
        """
        for kind, pattern in self._patterns.items():
            if found := pattern.fullmatch(sentence):
                return self._facts(kind, found.groupdict())
        raise UsageError(f"cannot read {sentence!r}; it follows no known wording about {self.theme}")

    def _facts(self, kind: str, found: dict[str, str | None]) -> list[Fact]:
        names = tuple(name for letter in "abc" if (name := found.get(letter)))
        if stranger := set(names) - set(self.entities):
            raise UsageError(f"{stranger} are not among {self.entities}")
        if kind == "chain":
            a, b, c = names
            less = bool(found["less"])
            if less == bool(found["less2"]):
                raise UsageError(f"{a} is compared twice in one direction")
            above, below = (b, c) if less else (c, b)
            return [("before", (above, a), 0), ("before", (a, below), 0)]
        if kind == "relation":
            near = "next" if found.get("near") else "before"
            return [(near, names[::-1] if found["less"] else names, 0)]
        if kind == "place":
            return [("not at" if found.get("no") else "at", names, self._place(found))]
        return [(kind, names, 0)]

    def _place(self, found: dict[str, str | None]) -> int:
        if found.get("front") or found.get("back"):
            nth = found.get("nth")
            return _PLACES[self.language][nth] if nth else -1 if found.get("back") else 0
        return _PLACES[self.language][str(found["spot"])]

    def orders(self) -> Iterator[tuple[str, ...]]:
        """All orders, front first, in which every fact holds."""
        yield from self._continue(())

    def _continue(self, placed: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if len(placed) == len(self.entities):
            yield placed
            return
        for entity in self.entities:
            if entity not in placed:
                longer = (*placed, entity)
                if all(self._may_hold(fact, longer) for fact in self.facts):
                    yield from self._continue(longer)

    def _may_hold(self, fact: Fact, placed: tuple[str, ...]) -> bool:
        """Whether the entities `placed` from the front on leave `fact` possible."""
        kind, names, place = fact
        at = [placed.index(name) if name in placed else None for name in names]
        last = len(self.entities) - 1
        if kind in ("before", "next") and at[0] is None:
            return at[1] is None
        if None in at:
            return kind != "next" or at[0] == len(placed) - 1
        where = [index for index in at if index is not None]
        if kind == "before":
            return where[0] < where[1]
        if kind == "next":
            return where[0] + 1 == where[1]
        if kind == "gap":
            return abs(where[0] - where[1]) == 2
        if kind == "between":
            return where[1] < where[0] < where[2] or where[2] < where[0] < where[1]
        if kind == "ends":
            return where[0] in (0, last)
        return (where[0] == place % (last + 1)) == (kind == "at")

    def judge(self, question: str, answer: str) -> str | None:
        """Say why `answer` is wrong; None if it is the one answer that all orders give."""
        orders = list(self.orders())
        if not orders:
            return "no order fits the hints"
        kind, names, place = self._asked(_plain(question.rstrip("?. "), self.language))
        truths = {self._truth(kind, names, place, order) for order in orders}
        if answer == _NOT_SAID[self.language]:
            return None if len(truths) > 1 else f"the hints do settle it: {truths}"
        if len(truths) > 1:
            return f"the hints leave {len(truths)} answers open"
        said = _plain(answer.removesuffix("."), self.language)
        (truth,) = truths
        if kind == "list":
            return None if tuple(said.split(", ")) == truth else f"the order is {truth}"
        (fact,) = self.read(said)
        given = (fact[0], fact[1], fact[2] % len(self.entities))
        return None if given == truth else f"the hints say {truth}, the answer {given}"

    def _truth(self, kind: str, names: tuple[str, ...], place: int, order: tuple[str, ...]) -> tuple:
        if kind == "list":
            return order
        if kind == "compare":
            return ("before", tuple(sorted(names, key=order.index)), 0)
        if kind == "next":
            after = order.index(names[0]) + 1
            return ("next", (names[0], order[after]), 0) if after < len(order) else ("nobody", (), 0)
        at = order.index(names[0]) if kind == "where" else place % len(order)
        return ("at", (order[at],), at)

    def _asked(self, question: str) -> Fact:
        for kind, pattern in self._patterns.items():
            if kind.startswith("ask") and (found := pattern.fullmatch(question)):
                groups = found.groupdict()
                names = tuple(name for letter in "ab" if (name := groups.get(letter)))
                return kind[4:], names, self._place(groups) if kind == "ask at" else 0
        raise UsageError(f"cannot read the question {question!r}; it follows no known wording about {self.theme}")


def _plain(text: str, language: str) -> str:
    """Small letters, and French without elisions and contractions: `qu'Anna` is `que anna`, `du sac` `de le sac`."""
    text = text.lower()
    if language == "fr":
        text = re.sub(r"\bqu'", "que ", re.sub(r"\bd'", "de ", re.sub(r"\bdu (?!plus)", "de le ", text)))
    return text


@cache
def _patterns(language: str, theme: str) -> dict[str, re.Pattern[str]]:
    """What can be said and asked about a theme; questions have kinds that start with `ask`."""
    entity = r"(?:the )?\w+" if language == "en" else r"(?:l[ea] |l')?\w+"
    a, b, c = (f"(?P<{letter}>{entity})" for letter in "abc")
    places = "|".join(_PLACES[language])
    if theme in _ADJECTIVES[language]:
        shapes = (_compared_en if language == "en" else _compared_fr)(*_ADJECTIVES[language][theme], a, b, c, places)
    else:
        shapes = (_placed_en if language == "en" else _placed_fr)(theme, a, b, c, places)
    return {kind: re.compile(shape) for kind, shape in shapes.items()}


def _compared_en(front: str, back: str, a: str, b: str, c: str, places: str) -> dict[str, str]:
    front, back = (word.removesuffix("y") + ("i" if word.endswith("y") else "") for word in (front, back))
    extreme = rf"the (?:(?P<nth>{places}) )?(?:(?P<front>{front}est)|(?P<back>{back}est))"
    return {
        "chain": rf"{a} is (?:{front}er|(?P<less>{back}er)) than {b} but (?:{front}er|(?P<less2>{back}er)) than {c}",
        "relation": rf"{a} is (?:{front}er|(?P<less>{back}er)) than {b}",
        "ends": rf"{a} is either the {front}est or the {back}est",
        "place": rf"{a} is (?P<no>not )?{extreme}",
        "ask at": rf"(?:who|which thing) is {extreme}",
        "ask compare": rf"(?:who|which) is {front}er, {a} or {b}",
        "ask list": rf"list them from the {front}est to the {back}est",
    }


def _compared_fr(front: str, back: str, a: str, b: str, c: str, places: str) -> dict[str, str]:
    extreme = rf"(?:le|la) (?:(?P<nth>{places}) )?(?:(?P<front>{front})|(?P<back>{back}))"
    return {
        "chain": rf"{a} est (?:(?:{front})|(?P<less>{back})) que {b} mais (?:(?:{front})|(?P<less2>{back})) que {c}",
        "relation": rf"{a} est (?:(?:{front})|(?P<less>{back})) que {b}",
        "ends": rf"{a} est soit (?:le|la) (?:{front}), soit (?:le|la) (?:{back})",
        "place": rf"{a} (?:est|n'est (?P<no>pas)) {extreme}",
        "ask at": rf"(?:qui|lequel) est {extreme}",
        "ask compare": rf"(?:qui|lequel) est (?:le|la) (?:{front}), {a} ou {b}",
        "ask list": rf"range-les (?:du|de la) (?:{front}) (?:au|à la) (?:{back})",
    }


def _placed_en(theme: str, a: str, b: str, c: str, places: str) -> dict[str, str]:
    be, tail = ("finished", "") if theme == "race" else ("is", " in line")
    more, less = _RELATIONS["en"][theme]
    spot = rf"(?P<spot>{places}){tail}"
    if theme == "shelf":
        spot = rf"(?:(?P<spot>{places}) from the left|at the (?:(?P<front>left)|(?P<back>right)) end)"
    no = "(?:finished|did (?P<no>not) finish)" if theme == "race" else "is (?P<no>not )?"
    return {
        "relation": rf"{a} {be} (?P<near>right |directly )?(?:{more}|(?P<less>{less})) {b}",
        "ends": rf"{a} {be} (?:either first or last{tail}|at one of the two ends)",
        "between": rf"{a} {be} somewhere between {b} and {c}",
        "gap": rf"exactly one (?:person|thing) {be} between {a} and {b}",
        "place": rf"{a} {no} ?{spot}",
        "ask at": rf"(?:who|which thing) {be} {spot}",
        "ask compare": rf"(?:who|which) {be} (?:earlier|closer to the front|further to the left), {a} or {b}",
        "ask list": r"list them (?:in the order of arrival|from front to back|from left to right)",
        "ask where": rf"(?:in what place did {a} finish|"
                     rf"what is the place of {b}(?: in the line|, counted from the left))",
        "ask next": rf"(?:who|which thing) {be} (?:right|directly) {less} {a}",
    }


def _placed_fr(theme: str, a: str, b: str, c: str, places: str) -> dict[str, str]:
    more, less = _RELATIONS["fr"][theme]
    come, tail = (" arrivée?", "") if theme == "race" else ("", " dans la file" if theme == "line" else "")
    spot = rf"(?P<spot>{places}){tail}"
    if theme == "shelf":
        ends = r"tout à (?:(?P<front>gauche)|(?P<back>droite))"
        spot = rf"(?:en (?P<spot>{places}) position en partant de la gauche|{ends})"
    return {
        "relation": rf"{a} est{come} (?P<near>juste )?(?:{more}|(?P<less>{less})) {b}",
        "ends": rf"{a} est{come} (?:soit premi(?:er|ère), soit derni(?:er|ère){tail}|à l'un des deux bouts)",
        "between": rf"{a} est{come} quelque part entre {b} et {c}",
        "gap": rf"une? seule? (?:personne|objet) est{come} entre {a} et {b}",
        "place": rf"{a} (?:est|n'est (?P<no>pas)){come} {spot}",
        "ask at": rf"(?:qui|quel objet) est{come} {spot}",
        "ask compare": rf"(?:qui|quel objet) est{come} (?:plus tôt|plus près de le début|le plus à gauche), {a} ou {b}",
        "ask list": r"cite-les (?:dans l'ordre de arrivée|du début à la fin de la file|de le début à la fin de la file|"
                    r"de gauche à droite)",
        "ask where": rf"(?:à quelle place {a} est-(?:il arrivé|elle arrivée)|"
                     rf"quelle est la place de {b}(?: dans la file| en partant de la gauche))",
        "ask next": rf"(?:qui|quel objet) est{come} juste {less} {a}",
    }  # fmt: skip
