"""The families about numbers, by hand: answers that the second route must accept, wrong ones that it must catch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from petitlm.data import GENERATORS, Problem

NUMBER_WORDS = [
    ("en", "Write 72 in words.", "seventy-two", "seventy two"),
    ("en", "80,080 in words?", "eighty thousand and eighty", "eighty thousand eighty"),
    ("en", "How do you write two hundred thousand in digits?", "200,000", "200000"),
    ("en", "Say ninety-one in French.", "quatre-vingt-onze", "quatre-vingt-un"),
    ("en", "What is one more than eight hundred and ninety-nine?", "nine hundred", "nine hundreds"),
    ("en", "Put 12th into words.", "twelfth", "twelveth"),
    ("en", "Forty-third, in short?", "43rd", "43th"),
    ("en", "Spell out 7, 21, 100.", "seven, twenty-one, one hundred", "seven, one hundred, twenty-one"),
    ("en", "Count from 60 to 75 in steps of 5.", "sixty, sixty-five, seventy, seventy-five",
     "sixty, sixty-five, seventy"),
    ("fr", "Écris 71 en toutes lettres.", "soixante et onze", "soixante-onze"),
    ("fr", "200 000 en lettres ?", "deux cent mille", "deux cents mille"),
    ("fr", "Mets quatre-vingts millions en chiffres.", "80 000 000", "80 000"),
    ("fr", "Comment dit-on quatre-vingt-dix-neuf en anglais ?", "ninety-nine", "eighty-nine"),
    ("fr", "Avant quatre-vingt-un, quel nombre vient ?", "quatre-vingts", "quatre-vingt"),
    ("fr", "Comment s'écrit 21e ?", "vingt et unième", "vingt-unième"),
    ("fr", "Abrège premier en chiffres.", "1er", "1e"),
    ("fr", "Écris mille cinq ; deux mille en chiffres.", "1005 ; 2000", "1005 ; 200"),
    ("fr", "Compte de soixante-neuf à soixante et onze par pas de 1.", "soixante-neuf, soixante-dix, soixante et onze",
     "soixante-neuf, soixante-dix, septante et un"),
]  # fmt: skip
CASES = [("number-words", *case) for case in NUMBER_WORDS]


@pytest.mark.parametrize(("family", "language", "question", "right", "wrong"), CASES)
def test_answers_by_hand(family: str, language: str, question: str, right: str, wrong: str) -> None:
    problem = Problem(family, language, 0, "", "", question, right)
    check = GENERATORS[family].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))
