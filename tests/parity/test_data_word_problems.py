"""Word problems against sympy: the tree behind a story, read as a formula, has the value that the answer says."""

from __future__ import annotations

import re
from random import Random

import pytest

from petitlm.data.generators.word_problems import Tree, combine, draw
from petitlm.errors import UsageError

sympy = pytest.importorskip("sympy", reason="the outside algebra; installed with the test oracles")


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("level", range(6))
def test_the_tree_has_the_value_that_the_answer_says(language: str, level: int) -> None:
    rng = Random(level)
    for held_out in [False] * 25 + [True] * 5:
        problem = draw(rng, language, level, held_out)
        formula = problem.key.rsplit(":", 1)[1]
        equations, said = problem.answer.split(". ", 1)
        assert sympy.sympify(formula) == int(re.findall(r"\d+", said)[0])
        assert equations.count("=") == len(re.findall(r"[-+*/]", formula)) == (1, 1, 2, 3, 3, 4)[level]


def test_units_are_kept_apart() -> None:
    pens, euros, three = Tree(6, "pens"), Tree(5, "euros"), Tree(3, "")
    assert combine("+", pens, combine("*", three, Tree(4, "pens"))) == Tree(
        18, "pens", "+", pens, Tree(12, "pens", "*", three, Tree(4, "pens"))
    )
    assert str(combine("+", Tree(7, "pens"), combine("-", pens, Tree(2, "pens")))) == "((6-2)+7)"
    four, none = Tree(4, ""), Tree(0, "")
    for sign, left, right in (("+", pens, euros), ("*", pens, euros), ("/", pens, four), ("/", pens, none)):
        with pytest.raises(UsageError, match="cannot"):
            combine(sign, left, right)
