"""Small Python exercises: the second route. Reads what is asked from the text, and runs the programs in the sandbox.

A function is tested on values around every number that the text names, against a rule of this module's own; a wrong
variant of it (an operator or a number changed) must fail the same tests. What a program prints is what it prints.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from petitlm.data.record import Problem
from petitlm.data.sandbox import Outcome, Sandbox
from petitlm.errors import UsageError

Rule = Callable[..., Any]

_ASKED = re.compile(r"(?P<name>\w+)\((?P<variables>\w+(?:, \w+)?)\)"
                    r"(?: in Python: it returns| that returns| should return| is to return| qui renvoie|"
                    r" en Python : elle renvoie| devrait renvoyer| doit renvoyer) (?P<what>.+?)"
                    r"(?:, but it has a mistake\. Correct it|, mais contient une erreur\. Corrige-la)?\.")  # fmt: skip
_V, _K = r"(?P<v>\w+)", r"(?P<k>-?\d+)"
_RULES: tuple[tuple[re.Pattern[str], Callable[[int], Rule]], ...] = tuple((re.compile(p), rule) for p, rule in (
    (rf"{_V} plus {_K}", lambda k: lambda n: n - -k),
    (rf"{_V} times {_K}|-?\d+ fois \w+", lambda k: lambda n: sum([n] * k)),
    (rf"{_V} (?:minus|moins) {_K}", lambda k: lambda n: n + -k),
    (rf"(?:the square of|le carré de) {_V}, plus {_K}", lambda k: lambda n: pow(n, 2) - -k),
    (rf"(?:the remainder of|le reste de) {_V} (?:divided by|divisé par) {_K}", lambda k: lambda n: divmod(n, k)[1]),
    (rf"True (?:if|si) {_V} (?:is greater than|est supérieur à) {_K}, (?:otherwise|sinon) False",
     lambda k: lambda n: not n <= k),
    (rf"(?:the larger of|le plus grand de) {_V} (?:and|et) \w+, plus {_K}",
     lambda k: lambda a, b: sorted((a, b))[1] - -k),
    (rf"{_K} (?:times the smaller of|fois le plus petit de) {_V} (?:and|et) \w+",
     lambda k: lambda a, b: sorted((a, b))[0] * k),
    (rf"(?:the distance between|la distance entre) {_V} (?:and|et) \w+, plus {_K}",
     lambda k: lambda a, b: sorted((a, b))[1] - sorted((a, b))[0] + k),
    (rf"{_V} plus {_K} (?:times|fois) \w+", lambda k: lambda a, b: b * k + a),
    (rf"(?:the first {_K} characters of|les -?\d+ premiers caractères de) {_V}",
     lambda k: lambda t: "".join(c for i, c in enumerate(t) if i < k)),
    (rf"(?:the last {_K} characters of|les -?\d+ derniers caractères de) {_V}",
     lambda k: lambda t: "".join(c for i, c in enumerate(t) if i >= len(t) - k)),
    (rf"{_V} (?:repeated|répété) {_K} (?:times|fois)", lambda k: lambda t: t * k),
    (rf"(?:how many words of|le nombre de mots de) {_V} (?:have more than|qui ont plus de) {_K} (?:letters|lettres)",
     lambda k: lambda t: len([w for w in re.findall(r"\S+", t) if w[k:]])),
    (rf"(?:the first {_K} characters of|les -?\d+ premiers caractères de) {_V}, "
     r"(?:backwards|à l'envers)",
     lambda k: lambda t: "".join(t[i] for i in range(min(k, len(t)) - 1, -1, -1))),
))  # fmt: skip
_COUNT = re.compile(r"how many of the numbers in \w+ are (?P<en>.+)|le nombre des nombres (?P<fr>.+) dans \w+")
_LIST = re.compile(r"(?P<sum>the sum of|la somme)?(?:the list of|la liste)? (?:the|des) "
                   r"(?:(?P<change>squares|doubles|cubes|carrés) (?:of the|des) )?(?:numbers|nombres) "
                   r"(?:in \w+ that are (?P<en>.+)|(?P<fr>.+) dans \w+)")  # fmt: skip
_POWERS: dict[str | None, Rule] = {None: lambda x: x, "squares": lambda x: pow(x, 2), "carrés": lambda x: pow(x, 2),
                                   "doubles": lambda x: x + x, "cubes": lambda x: pow(x, 3)}  # fmt: skip
_NUMBERS = (-13, -9, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 20, 45)
_RANGE = list(range(-40, 61))
_MOSTLY_EVEN = [2, 4, 6, 8, 9, 30, 60, -20, -10, -6, 90]
_TEXTS = ("", "a", "abc de", "a bb ccc dddd eeeee ffffff ggggggg hhhhhhhh", "one three seventeen six",
          "un deux quatre cinquante", "abcdefghijk")  # fmt: skip


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong, or cannot be tested; None if it is right."""
    request, _, program = problem.question.partition("\n\n")
    try:
        if re.search(r"print|output|affiche|sortie", request):
            outcome = _sandbox().run(program)
            printed = outcome.printed.removesuffix("\n")
            right = outcome.status == "ok" and printed == problem.answer
            return None if right else f"it prints {printed!r} ({outcome.status} {outcome.detail})"
        return _check_function(request, program, problem.answer)
    except UsageError as error:
        return str(error)


def _check_function(request: str, faulty: str, answer: str) -> str | None:
    name, rule, tests = read_request(request)
    calls = [f"{name}({', '.join(map(repr, values))})" for values in tests]
    wanted = tuple(rule(*values) for values in tests)
    outcome = _sandbox().run(answer, calls)
    if not _passes(outcome, wanted):
        return f"the function fails its tests ({outcome.status} {outcome.detail})"
    if faulty and _passes(_sandbox().run(faulty, calls), wanted):
        return "the faulty function passes the tests"
    for wrong in variants(answer):
        if _passes(_sandbox().run(wrong, calls), wanted):
            return f"the tests do not tell a wrong variant from the right one: {wrong!r}"
    return None


def _passes(outcome: Outcome, wanted: tuple[Any, ...]) -> bool:
    # True == 1 in Python, so the types count too.
    return outcome.status == "ok" and list(map(repr, outcome.values)) == list(map(repr, wanted))


def read_request(request: str) -> tuple[str, Rule, list[tuple[Any, ...]]]:
    """The function's name, what it is to give, and values to test it on.

    Raises: UsageError if the request follows no known wording.
    """
    asked = _ASKED.search(request)
    if not asked:
        raise UsageError(f"cannot read {request!r}; it follows no known wording")
    variables = asked["variables"].split(", ")
    rule, near = _rule(asked["what"])
    if "lettres" in request or "letters" in request or re.search("characters|caractères|repeated|répété", request):
        return asked["name"], rule, [(text,) for text in _TEXTS]
    numbers = sorted({*_NUMBERS, *(k + d for k in near for d in (-1, 0, 1)), *(2 * k for k in near)})
    if _LIST.fullmatch(asked["what"]) or _COUNT.fullmatch(asked["what"]):
        lists = ([], _RANGE, _RANGE[::-3], [0], _RANGE[:37], numbers, _MOSTLY_EVEN)
        return asked["name"], rule, [(items,) for items in lists]
    if len(variables) == 2:
        return asked["name"], rule, [*zip(numbers, numbers[::-1], strict=True), (2, 5), (5, 2), (3, 3)]
    return asked["name"], rule, [(number,) for number in numbers]


def _rule(what: str) -> tuple[Rule, list[int]]:
    """What a description computes, and the numbers in it."""
    near = [int(number) for number in re.findall(r"-?\d+", what)]
    for pattern, make in _RULES:
        if pattern.fullmatch(what):
            return make(near[0]), near
    if found := _COUNT.fullmatch(what):
        keep = _conditions(found["en"] or found["fr"])
        return lambda xs: sum(1 for x in xs if keep(x)), near
    if found := _LIST.fullmatch(what):
        keep, power, adds = _conditions(found["en"] or found["fr"]), _POWERS[found["change"]], bool(found["sum"])

        def give(xs: list[int]) -> int | list[int]:
            taken = [power(x) for x in filter(keep, xs)]
            return sum(taken) if adds else taken

        return give, near
    raise UsageError(f"cannot read what is to be returned: {what!r}")


def _conditions(said: str) -> Callable[[int], bool]:
    tests: list[Callable[[int], bool]] = []
    for one in re.split(" and | et ", said):
        found = re.fullmatch(r"(even|odd|pairs|impairs|greater than|supérieurs à|less than|inférieurs à|divisible by|"
                             r"divisibles par)(?: (-?\d+))?", one)  # fmt: skip
        if not found:
            raise UsageError(f"cannot read the condition {one!r}")
        tests.append(_condition(found[1], int(found[2] or 2)))
    return lambda x: all(test(x) for test in tests)


def _condition(word: str, k: int) -> Callable[[int], bool]:
    if word in ("odd", "impairs"):
        return lambda x: x & 1 == 1
    if word in ("greater than", "supérieurs à"):
        return lambda x: x - k > 0
    if word in ("less than", "inférieurs à"):
        return lambda x: k - x > 0
    return lambda x: x == k * (x // k)


_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.FloorDiv, ast.Gt: ast.LtE, ast.Lt: ast.GtE,
    ast.Eq: ast.NotEq,
}  # fmt: skip


def variants(source: str) -> list[str]:
    """Two wrong variants of a function: its first and its last operator or number changed, so much that it shows."""
    places: list[tuple[int, str]] = []
    for at, node in enumerate(ast.walk(ast.parse(source))):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
            places.append((at, "ops"))
        elif isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
            places.append((at, "op"))
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            places.append((at, "value"))
    made: list[str] = []
    for at, field in (places[0], places[-1]) if places else ():
        tree = ast.parse(source)
        node = list(ast.walk(tree))[at]
        old = getattr(node, field)
        if field == "value":
            node.value = old + 20  # type: ignore[attr-defined]
        elif field == "ops":
            node.ops = [_SWAPS[type(old[0])]()]  # type: ignore[attr-defined]
        else:
            node.op = _SWAPS[type(old)]()  # type: ignore[attr-defined]
        made.append(ast.unparse(tree))
    return made


@cache
def _sandbox() -> Sandbox:
    return Sandbox()
