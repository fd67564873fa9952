"""Sums with longer numbers: the second route. Parses the expression, evaluates it, and follows the written steps.

Steps are not compared with steps made again: each must be true, take its digits from the sum, hand on what it carries,
and lead to the result.
"""

from __future__ import annotations

import re

from petitlm.data.generators.number_words import read_number
from petitlm.errors import UsageError

_STEPS = {
    "en": re.compile(r"(.+?)[?.]? (?:show your steps|write down each step|explain step by step)"),
    "fr": re.compile(r"(.+?)(?: \?|\.)? (?:montre les étapes|écris chaque étape|explique pas à pas)"),
}
_ASKED = {
    "en": re.compile(r"(?:(?:what is|compute|how much is|give me the result of) )?(.+?)(?: =)?"),
    "fr": re.compile(r"(?:(?:combien font|calcule|ça fait combien,|donne-moi le résultat de) )?(.+?)(?: =)?"),
}
_VERB = {
    "en": ((re.compile(r"add (.+) to (.+)"), "+"), (re.compile(r"subtract (.+) from (.+)"), "-"),
           (re.compile(r"multiply (.+) by (.+)"), "×"), (re.compile(r"divide (.+) by (.+)"), "÷")),
    "fr": ((re.compile(r"ajoute (.+) à (.+)"), "+"), (re.compile(r"soustrais (.+) de (.+)"), "-"),
           (re.compile(r"multiplie (.+) par (.+)"), "×"), (re.compile(r"divise (.+) par (.+)"), "÷")),
}  # fmt: skip
_SIGN_WORDS = {"plus": "+", "minus": "-", "moins": "-", "times": "×", "fois": "×", "divided by": "÷", "divisé par": "÷"}
_SIGN_WORD = re.compile(rf" ({'|'.join(_SIGN_WORDS)}) ")
_TYPED = {"x": "×", "*": "×", "/": "÷", ":": "÷"}
_TOKEN = re.compile(r"\d+|[-+×x*÷/:()]")
_UNITS = {
    "ten": 10, "hundred": 100, "thousand": 1000, "ten thousand": 10_000, "à la dizaine": 10, "à la centaine": 100,
    "au millier": 1000, "à la dizaine de milliers": 10_000,
}  # fmt: skip
_ROUND = {
    "en": re.compile(r"(?:round |what is )(\d+) (?:rounded )?to the nearest (.+)|to the nearest (.+), what is (\d+)"),
    "fr": re.compile(r"(?:arrondis |que vaut )(\d+) (?:arrondi )?((?:à|au) .+)|((?:à|au) .+) près, combien vaut (\d+)"),
}
_ROUNDED = {"en": "{} rounds to {}.", "fr": "{} s'arrondit à {}."}
_BETWEEN = re.compile(
    r"(\d+) (?:is between|est entre) (\d+) (?:and|et) (\d+)\. (\d+) - (\d+) = (\d+), (\d+) - (\d+) = (\d+)\."
)
_COMPARE = {
    "en": re.compile(r"which is (greater|smaller), (\d+) or (\d+)"),
    "fr": re.compile(r"lequel est plus (grand|petit), (\d+) ou (\d+)"),
}
_COMPARED = {"en": "{} is {} than {}.", "fr": "{} est plus {} que {}."}
_ADDED = re.compile(r"(\d+) \+ (\d+)( \+ 1)? = (\d+)(, (?:carry|retenue) 1)?\. ")
_TAKEN = re.compile(r"(\d+) - (\d+)( - 1)? = (\d+)(, (?:borrow|retenue) 1)?\. ")
_PRODUCT = re.compile(r"(\d+) × (\d+) = (\d+)(?:, |\. )")
_DIVIDED = re.compile(r"(\d+) ÷ (\d+) = (\d) (?:remainder|reste) (\d+)\. ")
_REDUCED = re.compile(r"(\d+ [-+×] \d+) = (\d+)(?:, |\. )")


def check_large(question: str, answer: str, language: str) -> str | None:
    """Say why `answer` is wrong or cannot be read; None if it is right.

    Raises: UsageError for a question in no known wording.
    """
    asked = question.rstrip("?. ").lower()
    wants_steps = _STEPS[language].fullmatch(asked)
    if wants_steps:
        asked = wants_steps[1].rstrip("? ")
    if found := _COMPARE[language].fullmatch(asked):
        values = sorted((int(found[2]), int(found[3])), reverse=found[1] in ("greater", "grand"))
        wanted = _COMPARED[language].format(values[0], found[1], values[1])
        return None if answer == wanted else f"expected {wanted!r}, got {answer!r}"
    if found := _ROUND[language].fullmatch(asked):
        a, unit = int(found[1] or found[4]), _UNITS[found[2] or found[3]]
        return _check_rounding(a, unit, answer, language, bool(wants_steps))
    tokens = _read(asked, language)
    wanted = f"{_written(tokens)} = {_result(tokens, language)}."
    if not answer.endswith(wanted):
        return f"expected {wanted!r} at the end of {answer!r}"
    work = answer.removesuffix(wanted)
    if bool(work) != bool(wants_steps):
        return f"steps are {'' if wants_steps else 'not '}asked for, the answer is {answer!r}"
    return _check_work(tokens, work) if work else None


def _read(asked: str, language: str) -> list[str]:
    """The expression as numbers, signs and brackets."""
    for pattern, sign in _VERB[language]:
        if found := pattern.fullmatch(asked):
            a, b = (str(read_number(part, language)) for part in found.groups())
            return [b, sign, a] if sign in "+-" else [a, sign, b]
    found = _ASKED[language].fullmatch(asked)
    text = found[1] if found else asked
    if _SIGN_WORD.search(text):
        pieces = _SIGN_WORD.split(text)
        return [_SIGN_WORDS[p] if at % 2 else str(read_number(p, language)) for at, p in enumerate(pieces)]
    tokens: list[str] = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise UsageError(f"cannot read {asked!r} as a sum; it follows no known wording")
    return [_TYPED.get(token, token) for token in tokens]


def _written(tokens: list[str]) -> str:
    return " ".join(tokens).replace("( ", "(").replace(" )", ")")


def _result(tokens: list[str], language: str) -> str:
    if "÷" not in tokens:
        return str(_evaluate(tokens))
    a, b = int(tokens[0]), int(tokens[2])
    rest = a - a // b * b
    return f"{a // b} {'remainder' if language == 'en' else 'reste'} {rest}" if rest else str(a // b)


def _evaluate(tokens: list[str]) -> int:
    """Sum of products; brackets within.

    Raises: UsageError if the tokens are no expression.
    """
    value, at = _sum(tokens, 0)
    if at != len(tokens):
        raise UsageError(f"cannot evaluate {' '.join(tokens)!r}")
    return value


def _sum(tokens: list[str], at: int) -> tuple[int, int]:
    total, at = _product(tokens, at)
    while at < len(tokens) and tokens[at] in "+-":
        term, end = _product(tokens, at + 1)
        total, at = (total + term if tokens[at] == "+" else total - term), end
    return total, at


def _product(tokens: list[str], at: int) -> tuple[int, int]:
    value, at = _factor(tokens, at)
    while at < len(tokens) and tokens[at] == "×":
        factor, at = _factor(tokens, at + 1)
        value *= factor
    return value, at


def _factor(tokens: list[str], at: int) -> tuple[int, int]:
    if at < len(tokens) and tokens[at].isdigit():
        return int(tokens[at]), at + 1
    if at < len(tokens) and tokens[at] == "(":
        value, at = _sum(tokens, at + 1)
        if at < len(tokens) and tokens[at] == ")":
            return value, at + 1
    raise UsageError(f"cannot evaluate {' '.join(tokens)!r}")


def _check_work(tokens: list[str], work: str) -> str | None:
    if len(tokens) > 3:
        is_right = _reduces(tokens, work)
    else:
        a, sign, b = int(tokens[0]), tokens[1], int(tokens[2])
        is_right = {"+": _adds, "-": _takes, "×": _multiplies, "÷": _divides}[sign](a, b, work)
    return None if is_right else f"the steps {work!r} do not lead through {_written(tokens)}"


def _all(pattern: re.Pattern[str], work: str) -> list[tuple[str, ...]]:
    """The groups of all matches, if together they are the whole of `work`; else none."""
    found = list(pattern.finditer(work))
    return [match.groups() for match in found] if "".join([match[0] for match in found]) == work else []


def _adds(a: int, b: int, work: str) -> bool:
    lines = _all(_ADDED, work)
    carry, place, x_sum, y_sum, total = False, 1, 0, 0, 0
    for x, y, takes, said, carries in lines:
        column = int(x) + int(y) + carry
        if len(x) > 1 or len(y) > 1 or bool(takes) != carry or int(said) != column or bool(carries) != (column > 9):
            return False
        x_sum, y_sum, total = x_sum + int(x) * place, y_sum + int(y) * place, total + column % 10 * place
        carry, place = column > 9, 10 * place
    return x_sum == a and y_sum == b and total + carry * place == a + b and len(lines) == max(len(str(a)), len(str(b)))


def _takes(a: int, b: int, work: str) -> bool:
    lines = _all(_TAKEN, work)
    borrowed, place, x_sum, y_sum, total = False, 1, 0, 0, 0
    for x, y, takes, said, borrows in lines:
        left = int(x) - int(y) - borrowed
        if len(y) > 1 or bool(takes) != borrowed or int(said) != left or not 0 <= left <= 9:
            return False
        borrowed = bool(borrows)
        x_sum, y_sum, total = x_sum + (int(x) - 10 * borrowed) * place, y_sum + int(y) * place, total + left * place
        place *= 10
    return not borrowed and x_sum == a and y_sum == b and total == a - b and len(lines) == len(str(a))


def _multiplies(a: int, b: int, work: str) -> bool:
    products, _, last = work.rstrip().rpartition(". ")
    lines = [tuple(map(int, line)) for line in _all(_PRODUCT, f"{products}. ")]
    if not lines or any(x * y != product for x, y, product in lines):
        return False
    splits_a, splits_b = all(y == b for _, y, _ in lines), all(x == a for x, _, _ in lines)
    parts = [x for x, _, _ in lines] if splits_a else [y for _, y, _ in lines]
    is_split = sum(parts) == (a if splits_a else b) and all(len(str(part).rstrip("0")) == 1 for part in parts)
    return (splits_a or splits_b) and is_split and last == f"{' + '.join(str(p) for *_, p in lines)} = {a * b}."


def _divides(a: int, b: int, work: str) -> bool:
    lines = [tuple(map(int, line)) for line in _all(_DIVIDED, work)]
    digits = str(a)
    at = len(digits) - len(lines) + 1
    if not lines or at < 1 or lines[0][0] != int(digits[:at]) or (at > 1 and int(digits[: at - 1]) >= b):
        return False
    for i, (part, divisor, quotient, rest) in enumerate(lines):
        is_next = i == 0 or part == 10 * lines[i - 1][3] + int(digits[at + i - 1])
        if divisor != b or part != b * quotient + rest or rest >= b or not is_next:
            return False
    return int("".join(str(line[2]) for line in lines)) == a // b and lines[-1][3] == a % b


def _reduces(tokens: list[str], work: str) -> bool:
    """Each line replaces a part of the expression by its value without changing the value of the whole."""
    value, expression = _evaluate(tokens), _written(tokens)
    for part, said in _all(_REDUCED, work):
        if _evaluate(part.split()) != int(said) or part not in expression:
            return False
        part = f"({part})" if f"({part})" in expression else part
        expression = expression.replace(part, said, 1)
        if _evaluate(_TOKEN.findall(expression)) != value:
            return False
    return expression == str(value)


def _check_rounding(a: int, unit: int, answer: str, language: str, wants_steps: bool) -> str | None:
    """Half goes up: what is added before cutting makes it so."""
    rounded = (a + unit // 2) // unit * unit
    wanted = _ROUNDED[language].format(a, rounded)
    if not answer.endswith(wanted) or (answer == wanted) == wants_steps:
        return f"expected {wanted!r} {'after steps' if wants_steps else 'alone'}, got {answer!r}"
    if wants_steps:
        found = _BETWEEN.fullmatch(answer.removesuffix(f" {wanted}"))
        said = tuple(map(int, found.groups())) if found else ()
        below = a // unit * unit
        if said != (a, below, below + unit, a, below, a % unit, below + unit, a, unit - a % unit):
            return f"the steps of {answer!r} do not lead to {rounded}"
    return None
