"""The functions that the code exercises are about: how each is said in English and French, written, and computed.

`{v}` and `{w}` are the parameters, `{k}` a number. Every rule needs its number, so that no two are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Part(NamedTuple):
    """A rule, or a part of one: its name, how it is said, its expression in Python, and what it gives."""

    name: str
    en: str
    fr: str
    code: str
    give: Callable[..., Any]


VARIABLES = {
    "n": ("n", "x", "number", "value"), "ab": ("b c", "x y", "p q", "m n"), "text": ("text", "s", "phrase", "line"),
    "xs": ("xs", "numbers", "values", "items"),
}  # fmt: skip
NAMES = ("f", "solve", "compute", "task", "result_of", "g", "work_out")
RULES: dict[str, tuple[Part, ...]] = {
    "n": (
        Part("plus", "{v} plus {k}", "{v} plus {k}", "{v} + {k}", lambda n, k: n + k),
        Part("times", "{v} times {k}", "{k} fois {v}", "{v} * {k}", lambda n, k: n * k),
        Part("minus", "{v} minus {k}", "{v} moins {k}", "{v} - {k}", lambda n, k: n - k),
        Part("square", "the square of {v}, plus {k}", "le carré de {v}, plus {k}", "{v} * {v} + {k}",
             lambda n, k: n * n + k),
        Part("rest", "the remainder of {v} divided by {k}", "le reste de {v} divisé par {k}", "{v} % {k}",
             lambda n, k: n % k),
        Part("above", "True if {v} is greater than {k}, otherwise False",
             "True si {v} est supérieur à {k}, sinon False", "{v} > {k}", lambda n, k: n > k),
    ),
    "ab": (
        Part("larger", "the larger of {v} and {w}, plus {k}", "le plus grand de {v} et {w}, plus {k}",
             "({v} if {v} > {w} else {w}) + {k}", lambda a, b, k: max(a, b) + k),
        Part("smaller", "{k} times the smaller of {v} and {w}", "{k} fois le plus petit de {v} et {w}",
             "{k} * ({v} if {v} < {w} else {w})", lambda a, b, k: k * min(a, b)),
        Part("gap", "the distance between {v} and {w}, plus {k}", "la distance entre {v} et {w}, plus {k}",
             "({v} - {w} if {v} > {w} else {w} - {v}) + {k}", lambda a, b, k: abs(a - b) + k),
        Part("mixed", "{v} plus {k} times {w}", "{v} plus {k} fois {w}", "{v} + {k} * {w}", lambda a, b, k: a + k * b),
    ),
    "text": (
        Part("first", "the first {k} characters of {v}", "les {k} premiers caractères de {v}", "{v}[:{k}]",
             lambda t, k: t[:k]),
        Part("last", "the last {k} characters of {v}", "les {k} derniers caractères de {v}", "{v}[-{k}:]",
             lambda t, k: t[max(0, len(t) - k) :]),
        Part("repeat", "{v} repeated {k} times", "{v} répété {k} fois", "{v} * {k}", lambda t, k: "".join([t] * k)),
        Part("longer", "how many words of {v} have more than {k} letters",
             "le nombre de mots de {v} qui ont plus de {k} lettres",
             "len([word for word in {v}.split() if len(word) > {k}])",
             lambda t, k: sum(len(word) > k for word in t.split())),
        Part("backwards", "the first {k} characters of {v}, backwards",
             "les {k} premiers caractères de {v}, à l'envers",
             "{v}[:{k}][::-1]", lambda t, k: "".join(reversed(t[:k]))),
    ),
}  # fmt: skip
# Tasks on a list of whole numbers: which of them, what of each, and what becomes of these.
FILTERS = (
    Part("even", "even", "pairs", "x % 2 == 0", lambda x, k: x % 2 == 0),
    Part("odd", "odd", "impairs", "x % 2 == 1", lambda x, k: x % 2 == 1),
    Part("above", "greater than {k}", "supérieurs à {k}", "x > {k}", lambda x, k: x > k),
    Part("below", "less than {k}", "inférieurs à {k}", "x < {k}", lambda x, k: x < k),
    Part("by", "divisible by {k}", "divisibles par {k}", "x % {k} == 0", lambda x, k: x % k == 0),
)
CHANGES = (
    Part("plain", "the numbers", "des nombres", "x", lambda x: x),
    Part("squared", "the squares of the numbers", "des carrés des nombres", "x * x", lambda x: x * x),
    Part("doubled", "the doubles of the numbers", "des doubles des nombres", "2 * x", lambda x: x + x),
    Part("cubed", "the cubes of the numbers", "des cubes des nombres", "x * x * x", lambda x: x**3),
)
SUMMARIES = (
    Part("sum", "the sum of", "la somme", "sum", sum),
    Part("list", "the list of", "la liste", "list", list),
    Part("count", "how many", "le nombre", "len", len),
)
ASK = {
    "en": {
        "write": ("Write a Python function {call} that returns {what}.", "Define {call} in Python: it returns {what}.",
                  "I need a Python function {call} that returns {what}."),
        "predict": ("What does this program print?", "What is the output of this Python program?"),
        "fix": ("{call} should return {what}, but it has a mistake. Correct it.",
                "Repair this function: {call} is to return {what}."),
    },
    "fr": {
        "write": ("Écris une fonction Python {call} qui renvoie {what}.",
                  "Définis {call} en Python : elle renvoie {what}.",
                  "Il me faut une fonction Python {call} qui renvoie {what}."),
        "predict": ("Qu'affiche ce programme ?", "Quelle est la sortie de ce programme Python ?"),
        "fix": ("{call} devrait renvoyer {what}, mais contient une erreur. Corrige-la.",
                "Répare cette fonction : {call} doit renvoyer {what}."),
    },
}  # fmt: skip
TEXTS = ("the red fox sleeps", "a small boat", "le chat gris dort", "seven green apples", "une petite maison", "stars",
         "bonjour", "open window", "trois pommes vertes", "night and day", "la mer est calme", "python")  # fmt: skip
