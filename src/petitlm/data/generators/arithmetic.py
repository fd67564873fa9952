"""Small sums in digits and words, English and French: the generator.

Levels: 0 numbers to 10; 1 to 20, first tables; 2 two digits, whole tables; 3 two steps and three-digit comparisons;
4 three and four digits, division with remainder, rounding; 5 five and six digits, brackets. 4 and 5, in
`arithmetic_large`, write their steps where the question asks for them.
Answers restate the sum in digits (`27 + 15 = 42.`): a small model first translates, then computes.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import NamedTuple

from petitlm.data.generators import arithmetic_large
from petitlm.data.generators.french import accented, elide
from petitlm.data.generators.number_words import feminine, to_words
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "arithmetic"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 6, 4, 0, 0)

_SYMBOLS = {"add": "+", "sub": "-", "mul": "×"}
_WORDS = {
    "en": {"add": "plus", "sub": "minus", "mul": "times"},
    "fr": {"add": "plus", "sub": "moins", "mul": "fois"},
}
# How a whole expression is asked for.
_ASK = {
    "en": {
        "what-is": "What is {}?",
        "compute": "Compute {}.",
        "how-much": "How much is {}?",
        "result": "Give me the result of {}.",
        "bare": "{}?",
        "equals": "{} = ?",
    },
    "fr": {
        "what-is": "Combien font {} ?",
        "compute": "Calcule {}.",
        "how-much": "Ça fait combien, {} ?",
        "result": "Donne-moi le résultat de {}.",
        "bare": "{} ?",
        "equals": "{} = ?",
    },
}
# How one operation on two numbers is asked for by its name.
_NAMED = {
    "en": {
        "add": ("What is the sum of {a} and {b}?", "Add {b} to {a}."),
        "sub": ("What is the difference between {a} and {b}?", "Subtract {b} from {a}."),
        "mul": ("What is the product of {a} and {b}?", "Multiply {a} by {b}."),
    },
    "fr": {
        "add": ("Quelle est la somme de {a} et {b} ?", "Ajoute {b} à {a}."),
        "sub": ("Quelle est la différence entre {a} et {b} ?", "Soustrais {b} de {a}."),
        "mul": ("Quel est le produit de {a} et {b} ?", "Multiplie {a} par {b}."),
    },
}
_COMPARE = {
    "en": {
        "greater": ("Which is greater, {a} or {b}?", "{a} is greater than {b}."),
        "smaller": ("Which is smaller, {a} or {b}?", "{a} is smaller than {b}."),
    },
    "fr": {
        "greater": ("Lequel est plus grand, {a} ou {b} ?", "{a} est plus grand que {b}."),
        "smaller": ("Lequel est plus petit, {a} ou {b} ?", "{a} est plus petit que {b}."),
    },
}
_SPELL = {
    "en": {"to-words": "Write {} in words.", "to-digits": "Write {} in digits."},
    "fr": {"to-words": "Écris {} en lettres.", "to-digits": "Écris {} en chiffres."},
}


class Thing(NamedTuple):
    """A countable thing: English singular and plural, French singular and plural, French gender."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str
    is_feminine: bool


THINGS = (
    Thing("pencil", "pencils", "crayon", "crayons", False),
    Thing("book", "books", "livre", "livres", False),
    Thing("apple", "apples", "pomme", "pommes", True),
    Thing("coin", "coins", "pièce", "pièces", True),
    Thing("marble", "marbles", "bille", "billes", True),
    Thing("orange", "oranges", "orange", "oranges", True),
    Thing("egg", "eggs", "œuf", "œufs", False),
    Thing("stamp", "stamps", "timbre", "timbres", False),
)
STORY_PEOPLE = {
    "she": ("Lea", "Anna", "Emma", "Alice", "Nora", "Julie", "Sara", "Clara"),
    "he": ("Tom", "Paul", "Hugo", "Leo", "Adam", "Lucas", "Max", "Victor"),
}

_HELD_OUT = frozenset(
    {
        "add/compute/words",
        "add/how-much/digits",
        "sub/how-much/words",
        "sub/result/symbols",
        "mul/what-is/words",
        "mul/result/digits",
        "add/story/words",
        "add-sub/compute/digits",
        "sub-sub/what-is/symbols",
        "compare/smaller/words",
    }
    | arithmetic_large.HELD_OUT
)


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a wording and an operation that each occur, but not together."""
    return structure in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one problem; with `held_out`, one of a structure that training never sees, if the level has any."""
    while level > 3:
        problem = arithmetic_large.draw(rng, language, level)
        if is_held_out(problem.structure) == held_out:
            return problem
    while True:
        kind = rng.choice(_KINDS[level])
        problem = _DRAW[kind](rng, language, level, kind)
        if is_held_out(problem.structure) == held_out:
            question = problem.question if kind.endswith("-story") else in_haste(rng, problem.question)
            return problem if question is problem.question else replace(problem, question=question)


_KINDS = (
    ("add", "sub", "add", "sub", "compare", "add-story", "sub-story"),
    ("add", "sub", "mul", "compare", "spell", "add-story", "sub-story"),
    ("add", "sub", "add", "sub", "mul", "compare", "spell", "add-story", "sub-story"),
    ("add-add", "add-sub", "sub-add", "sub-sub", "add-sub", "sub-add", "compare"),
)
_LARGEST_TERM = (10, 20, 99)
_LARGEST_FACTOR = {1: 5, 2: 10}
_LARGEST_COMPARED = (20, 99, 199, 999)


def _operands(rng: Random, operation: str, level: int) -> tuple[int, int]:
    if operation == "mul":
        largest = _LARGEST_FACTOR[level]
        return rng.randint(1, largest), rng.randint(1, 10)
    a, b = rng.randint(0, _LARGEST_TERM[level]), rng.randint(0, _LARGEST_TERM[level])
    return (max(a, b), min(a, b)) if operation == "sub" else (a, b)


def _problem(language: str, level: int, structure: str, key: str, question: str, answer: str) -> Problem:
    question = question[0].upper() + question[1:]
    return Problem(FAMILY, language, level, structure, f"{FAMILY}:{key}", question, answer)


def _compute(operation: str, a: int, b: int) -> int:
    return a + b if operation == "add" else a - b if operation == "sub" else a * b


def _equation(operation: str, a: int, b: int) -> str:
    return f"{a} {_SYMBOLS[operation]} {b} = {_compute(operation, a, b)}"


def _key(operation: str, a: int, b: int) -> str:
    if operation != "sub" and a > b:
        a, b = b, a
    return f"{operation}:{a},{b}"


def _numbers(form: str, language: str, *values: int) -> list[str]:
    return [to_words(value, language) if form == "words" else str(value) for value in values]


def _expression(form: str, language: str, terms: list[str], operations: list[str]) -> str:
    """`27 + 15` ("symbols"), `27+15` ("tight"), `27 plus 15` ("digits") or, from terms in words, `three plus two`."""
    signs = _SYMBOLS if form in ("symbols", "tight") else _WORDS[language]
    space = "" if form == "tight" else " "
    said = terms[0]
    for operation, term in zip(operations, terms[1:], strict=True):
        said += f"{space}{signs[operation]}{space}{term}"
    return said


def _draw_operation(rng: Random, language: str, level: int, kind: str) -> Problem:
    a, b = _operands(rng, kind, level)
    form = rng.choice(("symbols", "tight", "digits", "words", "words"))
    template = rng.choice(("what-is", "compute", "how-much", "result", "bare", "equals", "named", "verb"))
    if template in ("named", "verb"):
        form = "words" if form == "words" else "digits"
        said_a, said_b = _numbers(form, language, a, b)
        question = _NAMED[language][kind][template == "verb"].format(a=said_a, b=said_b)
    else:
        said_a, said_b = _numbers(form, language, a, b)
        said = _expression(form, language, [said_a, said_b], [kind])
        # Keyboards have no sign for multiplication.
        said = said.replace("×", rng.choice("××x*")) if kind == "mul" else said
        question = _ASK[language][template].format(said)
    answer = f"{_equation(kind, a, b)}."
    return _problem(language, level, f"{kind}/{template}/{form}", _key(kind, a, b), question, answer)


def _draw_two_steps(rng: Random, language: str, level: int, kind: str) -> Problem:
    first, second = kind.split("-")
    while True:
        a, b, c = (rng.randint(1, 50) for _ in range(3))
        middle = _compute(first, a, b)
        if middle >= 0 and _compute(second, middle, c) >= 0:
            break
    form = rng.choice(("symbols", "tight", "digits"))
    template = rng.choice(("what-is", "compute", "how-much", "result", "bare", "equals"))
    said = _expression(form, language, [str(a), str(b), str(c)], [first, second])
    question = _ASK[language][template].format(said)
    answer = f"{_equation(first, a, b)}, {_equation(second, middle, c)}."
    return _problem(language, level, f"{kind}/{template}/{form}", f"{kind}:{a},{b},{c}", question, answer)


def _draw_compare(rng: Random, language: str, level: int, kind: str) -> Problem:
    a = rng.randint(0, _LARGEST_COMPARED[level])
    b = rng.randint(0, _LARGEST_COMPARED[level])
    if a == b:
        b += 1
    direction = rng.choice(("greater", "smaller"))
    form = "digits" if level == 3 else rng.choice(("digits", "words"))
    said_a, said_b = _numbers(form, language, a, b)
    question, answer = _COMPARE[language][direction]
    winner, loser = (max(a, b), min(a, b)) if direction == "greater" else (min(a, b), max(a, b))
    return _problem(
        language, level, f"{kind}/{direction}/{form}", f"{kind}:{min(a, b)},{max(a, b)}",
        question.format(a=said_a, b=said_b), answer.format(a=winner, b=loser),
    )  # fmt: skip


def _draw_spelling(rng: Random, language: str, level: int, kind: str) -> Problem:
    value = rng.randint(0, 30 if level == 1 else 100)
    direction = rng.choice(("to-words", "to-digits"))
    words = to_words(value, language)
    asked, answer = (str(value), words) if direction == "to-words" else (words, str(value))
    question = _SPELL[language][direction].format(asked)
    return _problem(language, level, f"{kind}/{direction}", f"{kind}:{language}:{value}", question, answer)


def _counted(form: str, language: str, value: int, thing: Thing) -> str:
    """`1 pencil`, `deux pommes`, `vingt et une pommes`: number and noun agree."""
    number = _numbers(form, language, value)[0]
    if language == "en":
        return f"{number} {thing.en if value == 1 else thing.en_plural}"
    if form == "words" and thing.is_feminine:
        number = feminine(number)
    return f"{number} {thing.fr if value < 2 else thing.fr_plural}"  # French: zero is singular


def _draw_story(rng: Random, language: str, level: int, kind: str) -> Problem:
    operation = kind.removesuffix("-story")
    a, b = _operands(rng, operation, level)
    a, b = max(a, 1), max(min(a, b) if operation == "sub" else b, 1)
    pronoun = rng.choice(("she", "he"))
    name = rng.choice(STORY_PEOPLE[pronoun])
    thing = rng.choice(THINGS)
    form = rng.choice(("digits", "words"))
    has, other = _counted(form, language, a, thing), _numbers(form, language, b)[0]
    left = _compute(operation, a, b)
    if language == "en":
        event = f"{pronoun} gets {other} more" if operation == "add" else f"{pronoun} gives {other} away"
        ask = f"How many {thing.en_plural} does {pronoun} have now?"
        question = f"{name} has {has}. {event.capitalize()}. {ask}"
        answer = f"{_equation(operation, a, b)}. {name} has {_counted('digits', language, left, thing)}."
    else:
        subject = "elle" if pronoun == "she" else "il"
        other = feminine(other) if form == "words" and thing.is_feminine else other
        event = f"{subject} en reçoit {other} de plus" if operation == "add" else f"{subject} en donne {other}"
        question = (
            f"{name} a {has}. {event.capitalize()}. Combien {elide('de', thing.fr_plural)} a-t-{subject} maintenant ?"
        )
        answer = f"{_equation(operation, a, b)}. {name} a {_counted('digits', language, left, thing)}."
        question, answer = accented(question), accented(answer)
    return _problem(language, level, f"{operation}/story/{form}", _key(operation, a, b), question, answer)


_DRAW = {
    "add": _draw_operation,
    "sub": _draw_operation,
    "mul": _draw_operation,
    "compare": _draw_compare,
    "spell": _draw_spelling,
    "add-story": _draw_story,
    "sub-story": _draw_story,
    "add-add": _draw_two_steps,
    "add-sub": _draw_two_steps,
    "sub-add": _draw_two_steps,
    "sub-sub": _draw_two_steps,
}
