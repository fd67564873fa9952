"""Small sums: the second route. Reads the question as text, computes again, then reads the answer.

Shares nothing with the generator but the number reader, which itself adds up words instead of looking them up.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from petitlm.data.generators.arithmetic_large_check import check_large
from petitlm.data.generators.number_words import read_number, to_words
from petitlm.data.record import Problem
from petitlm.errors import UsageError

_OPERATORS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "×": operator.mul}
_OPERATOR_WORDS = {"plus": "+", "minus": "-", "moins": "-", "times": "×", "fois": "×"}
# A hyphen is a sign between spaces or digits; within words it joins them.
_SIGN = re.compile(rf"(\s*[+×]\s*| - |(?<=\d)-(?=\d)| (?:{'|'.join(_OPERATOR_WORDS)}) )")
_TIMES = re.compile(r"(?<=\d)\s?[x*]\s?(?=\d)")

_EXPRESSION = {
    "en": re.compile(r"(?:(?:what is|compute|how much is|give me the result of) )?(.+)"),
    "fr": re.compile(r"(?:(?:combien font|calcule|ça fait combien,|donne-moi le résultat de) )?(.+)"),
}
# (pattern, operator, whether the numbers are said in the opposite order)
_NAMED = {
    "en": (
        (re.compile(r"what is the sum of (.+) and (.+)"), "+", False),
        (re.compile(r"what is the difference between (.+) and (.+)"), "-", False),
        (re.compile(r"what is the product of (.+) and (.+)"), "×", False),
        (re.compile(r"add (.+) to (.+)"), "+", True),
        (re.compile(r"subtract (.+) from (.+)"), "-", True),
        (re.compile(r"multiply (.+) by (.+)"), "×", False),
    ),
    "fr": (
        (re.compile(r"quelle est la somme de (.+)"), "+", False),
        (re.compile(r"quelle est la différence entre (.+)"), "-", False),
        (re.compile(r"quel est le produit de (.+)"), "×", False),
        (re.compile(r"ajoute (.+) à (.+)"), "+", True),
        (re.compile(r"soustrais (.+) de (.+)"), "-", True),
        (re.compile(r"multiplie (.+) par (.+)"), "×", False),
    ),
}
_COMPARE = {
    "en": re.compile(r"which is (greater|smaller), (.+) or (.+)"),
    "fr": re.compile(r"lequel est plus (grand|petit), (.+) ou (.+)"),
}
_COMPARED = {
    "en": re.compile(r"(\d+) is (greater|smaller) than (\d+)\."),
    "fr": re.compile(r"(\d+) est plus (grand|petit) que (\d+)\."),
}
_SPELL = {
    "en": re.compile(r"write (.+) in (words|digits)"),
    "fr": re.compile(r"écris (.+) en (lettres|chiffres)"),
}
_STORY = {
    "en": re.compile(
        r"(\w+) has (.+) (\w+)\. (she|he) (gets|gives) (.+) (?:more|away)\. how many (\w+) does (\w+) have now"
    ),
    "fr": re.compile(
        r"(\w+) a (.+) (\w+)\. (elle|il) en (reçoit|donne) (.+?)(?: de plus)?\. "
        r"combien d(?:e |')(\w+) a-t-(\w+) maintenant"
    ),
}
_STORY_ANSWER = re.compile(r"(.+)\. (\w+) (?:has|a) (\d+) (\w+)\.")
_EQUATION = re.compile(r"(\d+) ([-+×]) (\d+) = (\d+)")


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong or cannot be read; None if it is right."""
    try:
        if problem.level > 3:
            return check_large(problem.question, problem.answer, problem.language)
        return _check(problem.question, problem.answer, problem.language)
    except UsageError as error:
        return str(error)


def _check(question: str, answer: str, language: str) -> str | None:
    asked = question.rstrip("?. ").lower()
    if found := _STORY[language].fullmatch(asked):
        return _check_story(found, answer, language)
    if found := _COMPARE[language].fullmatch(asked):
        return _check_comparison(found, answer, language)
    if found := _SPELL[language].fullmatch(asked):
        value = read_number(found[1], language)
        wanted = to_words(value, language) if found[2] in ("words", "lettres") else str(value)
        return None if answer == wanted else f"{value} is written {wanted!r}, not {answer!r}"
    return _check_steps(_read_steps(asked, language), answer)


def _read_steps(asked: str, language: str) -> list[int | str]:
    """The asked calculation as numbers and operator signs, left to right."""
    for pattern, sign, reversed_order in _NAMED[language]:
        if found := pattern.fullmatch(asked):
            parts = found.groups() if len(found.groups()) == 2 else _split_pair(found[1], language)
            a, b = (read_number(part, language) for part in parts)
            return [b, sign, a] if reversed_order else [a, sign, b]
    found = _EXPRESSION[language].fullmatch(asked)
    if not found:
        raise UsageError(f"cannot read the question {asked!r}; it follows no known wording")
    terms_and_signs = _SIGN.split(_TIMES.sub("×", found[1].removesuffix(" =")))
    return [
        _OPERATOR_WORDS.get(part.strip(), part.strip()) if at % 2 else read_number(part, language)
        for at, part in enumerate(terms_and_signs)
    ]


def _split_pair(text: str, language: str) -> tuple[str, str]:
    """Cut `vingt et un et trois` at the only joint that leaves two numbers."""
    cuts = []
    for joint in re.finditer(" et ", text):
        pair = text[: joint.start()], text[joint.end() :]
        try:
            for part in pair:
                read_number(part, language)
        except UsageError:
            continue
        cuts.append(pair)
    if len(cuts) != 1:
        raise UsageError(f"{text!r} holds {len(cuts)} readings as two numbers; say it so that there is one")
    return cuts[0]


def _check_steps(steps: list[int | str], answer: str) -> str | None:
    """Compare the equations of `answer` with the calculation asked for, one by one."""
    equations = _EQUATION.findall(answer)
    if ", ".join(f"{a} {sign} {b} = {c}" for a, sign, b, c in equations) + "." != answer:
        return f"the answer {answer!r} is not a list of equations"
    running = steps[0]
    wanted = []
    for sign, term in zip(steps[1::2], steps[2::2], strict=True):
        assert isinstance(running, int)
        assert isinstance(term, int)
        result = _OPERATORS[str(sign)](running, term)
        wanted.append((str(running), sign, str(term), str(result)))
        running = result
    return None if equations == wanted else f"the question asks for {wanted}, the answer computes {equations}"


def _check_comparison(found: re.Match[str], answer: str, language: str) -> str | None:
    a, b = read_number(found[2], language), read_number(found[3], language)
    said = _COMPARED[language].fullmatch(answer)
    if not said or said[2] != found[1]:
        return f"the answer {answer!r} does not compare as asked"
    upward = found[1] in ("greater", "grand")
    wanted = sorted((a, b), reverse=upward)
    return None if [int(said[1]), int(said[3])] == wanted else f"asked {found[1]} of {a} and {b}, got {answer!r}"


def _check_story(found: re.Match[str], answer: str, language: str) -> str | None:
    name, start, thing, _, verb, change, asked_thing, _ = found.groups()
    a, b = read_number(start, language), read_number(change, language)
    if a != 1 and thing != asked_thing:
        return f"the story counts {thing!r}, the question {asked_thing!r}"
    said = _STORY_ANSWER.fullmatch(answer.lower())
    if not said:
        return f"the answer {answer!r} has no equation and sentence"
    sign = "+" if verb in ("gets", "reçoit") else "-"
    if reason := _check_steps([a, sign, b], f"{said[1]}."):
        return reason
    total = _OPERATORS[sign](a, b)
    plural = total > 1 or (total == 0 and language == "en")
    if said[2] != name or int(said[3]) != total or (plural and said[4] != asked_thing):
        return f"expected {name} with {total} {asked_thing}, got {answer!r}"
    return None
