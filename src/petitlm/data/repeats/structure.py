"""Keys of structure: a program without its names, a worked calculation without its words.

They find what runs of words cannot: a solution whose variables were renamed or whose comments were translated, and a
problem told in another language whose steps were kept.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator

LEAST_NODES = 20
"""Nodes of the smallest function that has a key: smaller ones, such as `return a + b`, are anybody's."""
STEPS = 3
"""Equations in a row that have a key."""
LEAST_DIGITS = 12
"""Digits that a solution of only two equations needs to have one."""

_MAX_CHARACTERS = 20_000  # of one function: the parser takes far more than that in time and memory
_DEF = re.compile(r"^([ \t]*)(?:async )?def [A-Za-z_]\w*\(", re.M)
_LEFT_OUT = {"annotation", "returns", "type_comment", "type_params", "type_ignores", "decorator_list", "ctx", "kind"}
# Names that mean something: all others are replaced by the order in which they come.
_KEPT = frozenset((
    "abs", "all", "any", "bin", "bool", "bytes", "chr", "complex", "dict", "divmod", "enumerate", "filter", "float",
    "format", "frozenset", "getattr", "hash", "hex", "int", "isinstance", "iter", "len", "list", "map", "max", "min",
    "next", "object", "oct", "open", "ord", "pow", "print", "range", "repr", "reversed", "round", "set", "slice",
    "sorted", "str", "sum", "tuple", "type", "zip", "ValueError", "TypeError", "KeyError", "IndexError",
    "StopIteration", "Exception",
))  # fmt: skip


def code_keys(text: str) -> list[bytes]:
    """A key for each Python function in `text` that is large enough, in the order of their places."""
    if "def " not in text:
        return []
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [key for found in _DEF.finditer(text) if (key := _function_key(_block(text, found))) is not None]


def _block(text: str, found: re.Match[str]) -> str:
    """The lines of the function that begins at `found`, moved to the left."""
    first, *others = text[found.start() : found.start() + _MAX_CHARACTERS].split("\n")
    indent = found[1]
    lines = [first[len(indent) :]]
    depth = _depth(first)
    for line in others:
        if line.strip() and depth <= 0 and not line.startswith((indent + " ", indent + "\t")):
            break
        depth += _depth(line)
        lines.append(line.removeprefix(indent))
    return "\n".join(lines)


def _depth(line: str) -> int:
    return sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))


def _function_key(source: str) -> bytes | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of text that came as data: "invalid escape sequence"
            function = ast.parse(source).body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return None
    names: dict[str, str] = {}
    try:
        said = list(_said(function, names))
    except RecursionError:
        return None
    if sum(word.startswith("(") for word in said) < LEAST_NODES:
        return None
    return hashlib.blake2b("\0".join(said).encode("utf-8", "replace"), digest_size=8, person=b"petit code").digest()


def _said(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """The tree in prefix order; every name that is not Python's own by its number."""
    yield f"({type(node).__name__}"
    for field, value in ast.iter_fields(node):
        if field in _LEFT_OUT:
            continue
        yield field
        values = _without_docstring(node, value) if field == "body" else value if isinstance(value, list) else [value]
        for inner in values:
            if isinstance(inner, ast.AST):
                yield from _said(inner, names)
            elif isinstance(inner, str) and field in ("id", "arg", "name", "names"):
                yield inner if inner in _KEPT else names.setdefault(inner, f"v{len(names)}")
            else:
                yield repr(inner)
    yield ")"


def _without_docstring(node: ast.AST, body: list[ast.stmt] | ast.AST) -> list[ast.AST]:
    if not isinstance(body, list):
        return [body]  # of a lambda
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and body:
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            return list(body[1:])
    return list(body)


# Read token by token, so that no text makes it slow: a number, a sign, what may stand between them; all else ends it.
_EQUAL = re.compile(r"[0-9)%]\s*=\s*[-−(]*\s*[$€£]?\.?[0-9]")  # texts without it have no equation
_TOKEN = re.compile(r"(\.?[0-9][0-9.,\u00a0\u202f]*)|([-−–+*×·x/÷:=()])|(\s+|[$€£%])|(.)")
_MAX_PARTS = 64  # numbers and signs of a calculation; what is longer is none
_SIGNS = dict(zip("-−–*×·x/÷:+()", "---****///+()", strict=True))


def maths_keys(text: str) -> list[bytes]:
    """A key for each run of three calculations in `text`, or for the two of a text that has only two."""
    found = equations(text)
    if len(found) == 2 and sum(map(_digits, found)) >= LEAST_DIGITS:
        return [_steps_key(found)]
    return [_steps_key(found[i : i + STEPS]) for i in range(len(found) - STEPS + 1)]


def equations(text: str) -> list[str]:
    """The calculations in `text`, `numbers and signs = result`, one form each: `2 x 3 = 6` and `3*2=6` are one.

    One that is given twice in a row (as GSM8K does between << and >>) counts once.
    """
    found: list[str] = []
    chain: list[str] = []  # numbers and signs so far
    left: list[str] = []  # what was before "="
    for number, sign, between, _ in _TOKEN.findall(text) if _EQUAL.search(text) else ():
        if number and left:
            chain = [_plain(number)]  # a result may go on: 2 + 3 = 5, 5 x 4 = 20 or 2 + 3 = 5 x 4 = 20
            if (equation := _canonical(left, chain[0])) and equation not in found[-1:]:
                found.append(equation)
            left = []
        elif number:
            if chain and chain[-1][-1].isdigit() and len(chain) <= _MAX_PARTS:
                chain.clear()  # two numbers side by side
            chain.append(_plain(number))
        elif sign == "=":
            left, chain = chain, []
        elif sign and not left and (chain or sign in "(-−–"):
            chain.append(_SIGNS[sign])
        elif not between:
            chain, left = [], []
    return found


def _canonical(left: list[str], result: str) -> str | None:
    """One form of an equation; None where what is before "=" is no calculation."""
    signs = {part for part in left[1:] if part in "+-*/()"}
    if not 3 <= len(left) <= _MAX_PARTS or not signs & set("+-*/") or left[-1][-1] not in "0123456789)":
        return None
    if signs in ({"+"}, {"*"}) and left[0][-1].isdigit():  # the order of the terms does not matter
        return signs.pop().join(sorted(part for part in left if part[-1].isdigit())) + f"={result}"
    return "".join(left) + f"={result}"


def _plain(number: str) -> str:
    """A number in one form: 1,000 and 1 000 are 1000; 0.50 and .5 are 0.5; a comma before two digits is a point."""
    digits = re.sub(r"[\u00a0\u202f]|,(?=\d{3}(?!\d))", "", number.rstrip(".,\u00a0\u202f")).replace(",", ".")
    whole, _, part = digits.rpartition(".") if "." in digits else (digits, "", "")
    return (whole.replace(".", "").lstrip("0") or "0") + (f".{part.rstrip('0')}" if part.rstrip("0") else "")


def _digits(equation: str) -> int:
    return sum(letter.isdigit() for letter in equation)


def _steps_key(steps: list[str]) -> bytes:
    return hashlib.blake2b("\0".join(steps).encode(), digest_size=8, person=b"petit maths").digest()
