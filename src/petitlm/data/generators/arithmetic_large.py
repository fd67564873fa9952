"""Sums with longer numbers, levels 4 and 5 of `arithmetic`: division, rounding, brackets, written steps.

Steps are those of school: columns from the right with what is carried, products place by place, long division digit by
digit, the two round numbers on either side.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from petitlm.data.generators.number_words import to_words
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

KINDS = (
    ("add", "sub", "add", "sub", "mul", "mul", "div", "div", "round", "compare"),
    ("add", "sub", "mul", "mul", "div", "div", "round", "mixed", "mixed", "compare"),
)
"""Of levels 4 and 5."""
HELD_OUT = frozenset(
    {
        "add/result/digits/steps", "sub/equals/symbols/steps", "mul/bare/symbols/steps", "div/what-is/digits",
        "div/verb/digits/steps", "round/what-is/100", "round/nearest/1000/steps", "mixed/compute/a+bxc",
        "mixed/what-is/(a-b)xc/steps",
    }
)  # fmt: skip
SIGNS = {"add": "+", "sub": "-", "mul": "×", "div": "÷"}
_WORDS = {
    "en": {"add": "plus", "sub": "minus", "mul": "times", "div": "divided by"},
    "fr": {"add": "plus", "sub": "moins", "mul": "fois", "div": "divisé par"},
}
_ASK = {
    "en": {
        "what-is": "What is {}?", "compute": "Compute {}.", "how-much": "How much is {}?",
        "result": "Give me the result of {}.", "bare": "{}?", "equals": "{} = ?",
    },
    "fr": {
        "what-is": "Combien font {} ?", "compute": "Calcule {}.", "how-much": "Ça fait combien, {} ?",
        "result": "Donne-moi le résultat de {}.", "bare": "{} ?", "equals": "{} = ?",
    },
}  # fmt: skip
_VERB = {
    "en": {"add": "Add {b} to {a}.", "sub": "Subtract {b} from {a}.", "mul": "Multiply {a} by {b}.",
           "div": "Divide {a} by {b}."},
    "fr": {"add": "Ajoute {b} à {a}.", "sub": "Soustrais {b} de {a}.", "mul": "Multiplie {a} par {b}.",
           "div": "Divise {a} par {b}."},
}  # fmt: skip
_TEMPLATES = ("what-is", "compute", "how-much", "result", "bare", "equals", "verb")
_STEPS = {
    "en": ("Show your steps.", "Write down each step.", "Explain step by step."),
    "fr": ("Montre les étapes.", "Écris chaque étape.", "Explique pas à pas."),
}
_CARRY = {"en": ", carry 1", "fr": ", retenue 1"}
_BORROW = {"en": ", borrow 1", "fr": ", retenue 1"}
_REMAINDER = {"en": "remainder", "fr": "reste"}
_PLACES = {
    "en": {10: "ten", 100: "hundred", 1000: "thousand", 10_000: "ten thousand"},
    "fr": {10: "à la dizaine", 100: "à la centaine", 1000: "au millier", 10_000: "à la dizaine de milliers"},
}
_ROUND = {
    "en": {"round": "Round {a} to the nearest {u}.", "what-is": "What is {a} rounded to the nearest {u}?",
           "nearest": "To the nearest {u}, what is {a}?"},
    "fr": {"round": "Arrondis {a} {u}.", "what-is": "Que vaut {a} arrondi {u} ?",
           "nearest": "{U} près, combien vaut {a} ?"},
}  # fmt: skip
_ROUNDED = {"en": "{} rounds to {}.", "fr": "{} s'arrondit à {}."}
_BETWEEN = {"en": "{} is between {} and {}.", "fr": "{} est entre {} et {}."}
_COMPARE = {
    "en": {"greater": ("Which is greater, {} or {}?", "{} is greater than {}."),
           "smaller": ("Which is smaller, {} or {}?", "{} is smaller than {}.")},
    "fr": {"greater": ("Lequel est plus grand, {} ou {} ?", "{} est plus grand que {}."),
           "smaller": ("Lequel est plus petit, {} ou {} ?", "{} est plus petit que {}.")},
}  # fmt: skip

class _Drawn(NamedTuple):
    structure: str
    key: str
    question: str
    answer: str


def draw(rng: Random, language: str, level: int) -> Problem:
    """Make one problem of level 4 or 5."""
    kind = rng.choice(KINDS[level - 4])
    steps = kind != "compare" and rng.random() < 0.5
    drawn = _DRAW.get(kind, _draw_operation)(rng, language, level, kind, steps)
    question = in_haste(rng, drawn.question[0].upper() + drawn.question[1:])
    return Problem("arithmetic", language, level, drawn.structure, f"arithmetic:{drawn.key}", question, drawn.answer)


def _digits(rng: Random, fewest: int, most: int) -> int:
    n = rng.randint(fewest, most)
    return rng.randint(10 ** (n - 1), 10**n - 1)


def _operands(rng: Random, kind: str, level: int) -> tuple[int, int]:
    if kind in ("add", "sub"):
        most = 4 if level == 4 else 6
        a, b = _digits(rng, most - 1, most), _digits(rng, most - 1 if rng.random() < 0.7 else 2, most)
        return (max(a, b), min(a, b)) if kind == "sub" else (a, b)
    if kind == "mul":
        if level == 5:
            a, b = _digits(rng, 3, 3), _digits(rng, 2, 3)
        else:
            most, largest = rng.choice(((3, 9), (2, 99)))
            a, b = _digits(rng, 2, most), rng.randint(2, largest)
        return a + (a % 10 == 0), b  # so that there is a place to split at
    a, b = (_digits(rng, 2, 3), rng.randint(2, 9)) if level == 4 else (_digits(rng, 4, 5), _digits(rng, 1, 2))
    b = max(b, 2)
    return (a - a % b if rng.random() < 0.25 else a), b


def _draw_operation(rng: Random, language: str, level: int, kind: str, steps: bool) -> _Drawn:
    a, b = _operands(rng, kind, level)
    template = rng.choice(_TEMPLATES)
    form = rng.choice(("symbols", "tight", "digits", "words" if level == 4 else "digits"))
    if template == "verb" and form != "words":
        form = "digits"
    said_a, said_b = (to_words(a, language), to_words(b, language)) if form == "words" else (str(a), str(b))
    if template == "verb":
        question = _VERB[language][kind].format(a=said_a, b=said_b)
    else:
        sign = _WORDS[language][kind] if form in ("digits", "words") else SIGNS[kind]
        # Keyboards have neither sign.
        space = "" if form == "tight" else " "
        sign = rng.choice("××x*") if sign == "×" else rng.choice("÷÷/:" if space else "÷÷//") if sign == "÷" else sign
        question = _ASK[language][template].format(f"{said_a}{space}{sign}{space}{said_b}")
    low, high = (b, a) if kind in ("add", "mul") and a > b else (a, b)
    result = _final(language, kind, a, b)
    return _finish(
        rng, language, f"{kind}/{template}/{form}", f"{kind}:{low},{high}", question, result,
        _WORK[kind](language, a, b) if steps else "",
    )  # fmt: skip


def _finish(rng: Random, language: str, structure: str, key: str, question: str, result: str, work: str) -> _Drawn:
    if not work:
        return _Drawn(structure, key, question, result)
    return _Drawn(f"{structure}/steps", key, f"{question} {rng.choice(_STEPS[language])}", f"{work} {result}")


def _final(language: str, kind: str, a: int, b: int) -> str:
    if kind == "div":
        quotient, rest = divmod(a, b)
        return f"{a} ÷ {b} = {quotient}{f' {_REMAINDER[language]} {rest}' if rest else ''}."
    return f"{a} {SIGNS[kind]} {b} = {a + b if kind == 'add' else a - b if kind == 'sub' else a * b}."


def _columns(language: str, a: int, b: int) -> str:
    """`7 + 5 = 12, carry 1. 4 + 8 + 1 = 13, carry 1. 3 + 2 + 1 = 6.`"""
    said: list[str] = []
    carry = 0
    while a or b:
        (a, x), (b, y) = divmod(a, 10), divmod(b, 10)
        total = x + y + carry
        said.append(f"{x} + {y}{' + 1' if carry else ''} = {total}{_CARRY[language] if total > 9 else ''}.")
        carry = total // 10
    return " ".join(said)


def _borrowing(language: str, a: int, b: int) -> str:
    """`12 - 7 = 5, borrow 1. 4 - 1 - 1 = 2.`"""
    said: list[str] = []
    borrowed = 0
    while a:
        (a, x), (b, y) = divmod(a, 10), divmod(b, 10)
        borrows = x < y + borrowed
        x += 10 * borrows
        left = x - y - borrowed
        said.append(f"{x} - {y}{' - 1' if borrowed else ''} = {left}{_BORROW[language] if borrows else ''}.")
        borrowed = int(borrows)
    return " ".join(said)


def _places(value: int) -> list[int]:
    """345 -> 300, 40, 5."""
    digits = str(value)
    return [int(digit) * 10 ** (len(digits) - 1 - i) for i, digit in enumerate(digits) if digit != "0"]


def _products(language: str, a: int, b: int) -> str:
    """`47 × 30 = 1410, 47 × 6 = 282. 1410 + 282 = 1692.`, or over the places of `a` where `b` has but one."""
    if len(_places(b)) == 1:
        parts = [(place, b) for place in _places(a)]
    else:
        parts = [(a, place) for place in _places(b)]
    said = ", ".join([f"{x} × {y} = {x * y}" for x, y in parts])
    products = [x * y for x, y in parts]
    return f"{said}. {' + '.join(map(str, products))} = {sum(products)}."


def _long_division(language: str, a: int, b: int) -> str:
    """`8 ÷ 6 = 1 remainder 2. 24 ÷ 6 = 4 remainder 0. 7 ÷ 6 = 1 remainder 1.`"""
    said: list[str] = []
    rest = 0
    word = _REMAINDER[language]
    for digit in str(a):
        part = 10 * rest + int(digit)
        quotient, rest = divmod(part, b)
        if quotient or said:  # the first digits only grow until the divisor goes into them
            said.append(f"{part} ÷ {b} = {quotient} {word} {rest}.")
    return " ".join(said)


_WORK = {"add": _columns, "sub": _borrowing, "mul": _products, "div": _long_division}


def _draw_rounding(rng: Random, language: str, level: int, kind: str, steps: bool) -> _Drawn:
    unit = rng.choice((10, 100) if level == 4 else (10, 100, 1000, 10_000))
    fewest = len(str(unit)) + (level == 5)
    a = _digits(rng, fewest, 4 if level == 4 else 6)
    if rng.random() < 0.15:
        a = a - a % unit + unit // 2  # half-way: up
    a += a % unit == 0
    template = rng.choice(("round", "what-is", "nearest"))
    place = _PLACES[language][unit]
    question = _ROUND[language][template].format(a=a, u=place, U=place[0].upper() + place[1:])
    below = a - a % unit
    above = below + unit
    result = _ROUNDED[language].format(a, below if a - below < above - a else above)
    work = f"{_BETWEEN[language].format(a, below, above)} {a} - {below} = {a - below}, {above} - {a} = {above - a}."
    return _finish(
        rng, language, f"round/{template}/{unit}", f"round:{a},{unit}", question, result, work if steps else ""
    )  # fmt: skip


_MIXED = ("a+bxc", "axb+c", "axb-c", "(a+b)xc", "(a-b)xc", "axb+cxd", "a-bxc")


def _draw_mixed(rng: Random, language: str, level: int, kind: str, steps: bool) -> _Drawn:
    """Which operation comes first: `3 + 4 × 5`, `(3 + 4) × 5`."""
    shape = rng.choice(_MIXED)
    a, b, c, d = rng.randint(2, 60), rng.randint(2, 30), rng.randint(2, 12), rng.randint(2, 12)
    if shape == "(a-b)xc":
        a = b + a
    elif shape == "axb-c":
        a, b, c = rng.randint(2, 12), rng.randint(2, 12), rng.randint(1, 4)
    elif shape == "a-bxc":
        a += b * c
    elif shape == "axb+cxd":
        a = rng.randint(2, 12)
    value = {"a": a, "b": b, "c": c, "d": d}
    expression = "".join(
        str(value[sign]) if sign in value else {"x": " × ", "+": " + ", "-": " - "}.get(sign, sign) for sign in shape
    )
    template = rng.choice(("what-is", "compute", "how-much", "result", "bare", "equals"))
    shown = expression if rng.random() < 0.6 else expression.replace(" ", "")
    result, work = _reduce(expression)
    return _finish(
        rng, language, f"mixed/{template}/{shape}", f"mixed:{expression}", _ASK[language][template].format(shown),
        f"{expression} = {result}.", work if steps else "",
    )  # fmt: skip


def _reduce(expression: str) -> tuple[int, str]:
    """The value of a mixed expression, and `4 × 5 = 20, 3 + 20 = 23.`"""
    said: list[str] = []
    tokens = expression.replace("(", "( ").replace(")", " )").split()
    while len(tokens) > 1:
        if "(" in tokens:
            at = tokens.index("(") + 2
        else:
            at = tokens.index("×") if "×" in tokens else 1
        x, sign, y = int(tokens[at - 1]), tokens[at], int(tokens[at + 1])
        value = x + y if sign == "+" else x - y if sign == "-" else x * y
        said.append(f"{x} {sign} {y} = {value}")
        ends = 2 if "(" in tokens else 1
        tokens[at - ends : at + ends + 1] = [str(value)]
    return int(tokens[0]), f"{', '.join(said)}."


def _draw_compare(rng: Random, language: str, level: int, kind: str, steps: bool) -> _Drawn:
    """Numbers that differ late, or have the same digits in another order."""
    a = _digits(rng, level, level + 1)
    change = rng.random()
    if change < 0.4:
        digits = list(str(a))
        at = rng.randrange(1, len(digits))
        digits[at] = str((int(digits[at]) + rng.randint(1, 9)) % 10)
        b = int("".join(digits))
    else:
        shuffled = rng.sample(str(a), len(str(a)))
        b = _digits(rng, level - 1, level + 1) if change < 0.7 else int("".join(shuffled))
    b += a == b
    direction = rng.choice(("greater", "smaller"))
    question, answer = _COMPARE[language][direction]
    first, second = (max(a, b), min(a, b)) if direction == "greater" else (min(a, b), max(a, b))
    return _Drawn(
        f"compare/{direction}/digits", f"compare:{min(a, b)},{max(a, b)}", question.format(a, b),
        answer.format(first, second),
    )  # fmt: skip


_DRAW = {"round": _draw_rounding, "mixed": _draw_mixed, "compare": _draw_compare}
