"""Truth-teller puzzles: the second route. Reads each sentence as a set of worlds and intersects them.

A world is the set of those who tell the truth. What a speaker says holds in some worlds; the worlds that fit the
speaker are those where it holds and the speaker is truthful, and those where neither is so.
"""

from __future__ import annotations

import re
from itertools import combinations

from petitlm.data.record import Problem
from petitlm.errors import UsageError

World = frozenset[str]

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "none": 0,
            "un": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "aucun": 0}  # fmt: skip
_PEOPLE = {
    "en": re.compile(
        r"(?:.*lies\. (.+) live there|(.+) come from .*|(.+) are talking .*|A judge listens to (.+?)\. .*)\."
    ),
    "fr": re.compile(
        r"(?:.*toujours\. (.+) y habitent|(.+) viennent d.*|(.+) sont des robots .*|Un juge écoute (.+?)\. .*)\."
    ),
}
_QUOTE = {
    "en": re.compile(r'(\w+)(?: says)?: "([^"]+)\."|"([^"]+)," says (\w+)\.'),
    "fr": re.compile(r"(\w+)(?: dit| affirme)? : « ([^»]+)\. »|(?!)()()"),
}
_KNOWN = {
    "en": re.compile(r"It is known that (\w+) (tells the truth|lies)\."),
    "fr": re.compile(r"On sait qu(?:e |')(\w+) (dit la vérité|ment)\."),
}
_TRUTHFUL = ("tells the truth", "dit la vérité")
_SIMPLE = {
    "en": re.compile(r"(\w+) (tells the truth|lies|does not tell the truth|does not lie)"),
    "fr": re.compile(r"(\w+) (dit la vérité|ment|ne dit pas la vérité|ne ment pas)"),
}
_KIND = {"tells the truth": True, "lies": False, "does not tell the truth": False, "does not lie": True,
         "dit la vérité": True, "ment": False, "ne dit pas la vérité": False, "ne ment pas": True}  # fmt: skip
_PAIR = {
    "en": re.compile(r"(\w+) and I are of (the same kind|different kinds)"),
    "fr": re.compile(r"(\w+) et moi, nous sommes de (la même sorte|sortes différentes)"),
}
_GROUP = re.compile(
    r"(?:(?P<both>We both )(?P<b>tell the truth|lie)|(?P<one>At least one of us )(?P<o>tells the truth|lies)|"
    r"Exactly (?P<k>\w+) of us (?P<c>tell the truth|lie)|"
    r"Aucun de nous ne (?P<b2>ment|dit la vérité)|Au moins un de nous (?P<o2>dit la vérité|ment)|"
    r"Exactement (?P<k2>\w+) d'entre nous (?P<c2>disent la vérité|mentent))"
)
_JOINED = {
    "en": (re.compile(r"If (.+), then (.+)"), re.compile(r"(.+) and (.+)"), re.compile(r"(.+) or (.+)")),
    "fr": (re.compile(r"Si (.+), alors (.+)"), re.compile(r"(.+) et (.+)"), re.compile(r"(.+) ou (.+)")),
}


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong or not the only one; None if it is right."""
    try:
        people, worlds = worlds_of(problem.context, problem.language)
        if len(worlds) != 1:
            return f"{len(worlds)} shares of kinds fit what is said"
        (truthful,) = worlds
        return _judge(problem.question, problem.answer, people, truthful, problem.language)
    except UsageError as error:
        return str(error)


def worlds_of(text: str, language: str) -> tuple[list[str], set[World]]:
    """The people of a text, and the sets of truth-tellers that fit all that is said.

    Raises: UsageError if it follows no known wording.
    """
    quotes = list(_QUOTE[language].finditer(text))
    facts = list(_KNOWN[language].finditer(text))
    starts = [found.start() for found in (*quotes, *facts)]
    opening = text[: min(starts)].rstrip() if starts else text
    found = _PEOPLE[language].fullmatch(opening)
    if not found:
        raise UsageError(f"{opening!r} does not say who is there")
    people = re.split(r", | and | et ", next(group for group in found.groups() if group))
    every = {frozenset(chosen) for size in range(len(people) + 1) for chosen in combinations(people, size)}
    worlds = set(every)
    for fact in facts:
        worlds &= {world for world in every if (fact[1] in world) == (fact[2] in _TRUTHFUL)}
    for quote in quotes:
        speaker, said = (quote[1], quote[2]) if quote[1] else (quote[4], quote[3])
        holds = _holds(said, speaker, people, every, language)
        worlds -= holds ^ {world for world in every if speaker in world}
    rest = _KNOWN[language].sub("", _QUOTE[language].sub("", text[len(opening) :]))
    if rest.strip():
        raise UsageError(f"cannot read {rest.strip()!r}; it follows no known wording")
    return people, worlds


def _holds(said: str, speaker: str, people: list[str], every: set[World], language: str) -> set[World]:
    """The worlds in which what is said is true."""
    if found := _SIMPLE[language].fullmatch(said):
        return {world for world in every if (_known(found[1], people) in world) == _KIND[found[2]]}
    if found := _PAIR[language].fullmatch(said):
        same = found[2] in ("the same kind", "la même sorte")
        other = _known(found[1], people)
        return {world for world in every if ((other in world) == (speaker in world)) == same}
    if found := _GROUP.fullmatch(said):
        return _group(found.groupdict(), len(people), every)
    for joint, pattern in zip(("if", "and", "or"), _JOINED[language], strict=True):
        if found := pattern.fullmatch(said):
            x, y = (_holds(part, speaker, people, every, language) for part in found.groups())
            return (every - x) | y if joint == "if" else x & y if joint == "and" else x | y
    raise UsageError(f"cannot read {said!r}; it follows no known wording")


def _group(found: dict[str, str | None], n: int, every: set[World]) -> set[World]:
    verb = next(found[name] for name in ("b", "o", "c", "b2", "o2", "c2") if found[name])
    of_truth = str(verb).startswith(("tell", "dis", "dit"))
    counted = {world: len(world) if of_truth else n - len(world) for world in every}
    if found["b2"]:  # none of us does it
        return {world for world, count in counted.items() if count == 0}
    if found["b"]:
        return {world for world, count in counted.items() if count == n}
    if found["o"] or found["o2"]:
        return {world for world, count in counted.items() if count > 0}
    return {world for world, count in counted.items() if count == _NUMBERS[str(found["k"] or found["k2"])]}


def _known(name: str, people: list[str]) -> str:
    if name not in people:
        raise UsageError(f"{name} is not among {', '.join(people)}")
    return name


_ANSWER = re.compile(
    r"(?:(?P<nobody>Nobody|Personne)|(?P<yes>Yes|No|Oui|Non), (?P<one>\w+) "
    r"(?P<fact>tells the truth|lies|dit la vérité|ment)|"
    r"(?P<count>\w+) of them lies?|Il (?:y a|n'y a) (?P<count2>\w+) menteurs?|"
    r"(?P<some>.+?) (?P<verb>tells? the truth|lies?|dit la vérité|disent la vérité|ment|mentent))\."
)


def _judge(question: str, answer: str, people: list[str], truthful: World, language: str) -> str | None:
    said = _ANSWER.fullmatch(answer)
    if not said:
        return f"cannot read the answer {answer!r}"
    asked = question.lower().rstrip("?. ")
    liars = set(people) - truthful
    if re.match("how many|combien", asked):
        right = _NUMBERS.get((said["count"] or said["count2"] or "").lower()) == len(liars)
        return None if right else f"{len(liars)} lie, the answer is {answer!r}"
    about = re.match(r"(?:does |est-ce qu(?:e |'))(\w+) (lie|tell the truth|ment|dit la vérité)", asked)
    if about:
        name = next((person for person in people if person.lower() == about[1]), "")
        is_truthful = name in truthful
        yes = is_truthful == (about[2] in ("tell the truth", "dit la vérité"))
        wanted = ({"en": "Yes", "fr": "Oui"} if yes else {"en": "No", "fr": "Non"})[language]
        right = said["yes"] == wanted and said["one"] == name and (said["fact"] in _TRUTHFUL) == is_truthful
        return None if right else f"{name or about[1]} {'does not lie' if is_truthful else 'lies'}, not {answer!r}"
    wants_truth = asked in ("who tells the truth", "qui dit la vérité")
    if not wants_truth and asked not in ("who lies", "qui ment"):
        return f"cannot read the question {question!r}"
    chosen = truthful if wants_truth else liars
    if said["nobody"]:
        return f"it is {sorted(chosen)}" if chosen else None
    if not said["some"] or ("truth" in said["verb"] or "vérité" in said["verb"]) != wants_truth:
        return f"{answer!r} does not answer {question!r}"
    named = re.split(r", | and | et ", said["some"])
    return None if set(named) == chosen and len(named) == len(chosen) else f"it is {sorted(chosen)}, not {answer!r}"
