"""Number words: spellings from the grammar books, and refusals."""

from __future__ import annotations

import pytest

from petitlm.data.generators.number_words import feminine, read_number, to_words
from petitlm.errors import UsageError

FRENCH = {
    0: "zéro", 1: "un", 16: "seize", 17: "dix-sept", 20: "vingt", 21: "vingt et un", 22: "vingt-deux",
    31: "trente et un", 61: "soixante et un", 69: "soixante-neuf", 70: "soixante-dix", 71: "soixante et onze",
    72: "soixante-douze", 77: "soixante-dix-sept", 79: "soixante-dix-neuf", 80: "quatre-vingts",
    81: "quatre-vingt-un", 90: "quatre-vingt-dix", 91: "quatre-vingt-onze", 99: "quatre-vingt-dix-neuf",
    100: "cent", 101: "cent un", 121: "cent vingt et un", 180: "cent quatre-vingts", 200: "deux cents",
    201: "deux cent un", 271: "deux cent soixante et onze", 480: "quatre cent quatre-vingts",
    999: "neuf cent quatre-vingt-dix-neuf",
}  # fmt: skip
ENGLISH = {
    0: "zero", 12: "twelve", 15: "fifteen", 18: "eighteen", 20: "twenty", 40: "forty", 42: "forty-two",
    80: "eighty", 99: "ninety-nine", 100: "one hundred", 101: "one hundred and one", 110: "one hundred and ten",
    999: "nine hundred and ninety-nine",
}  # fmt: skip


@pytest.mark.parametrize(("language", "spellings"), [("fr", FRENCH), ("en", ENGLISH)])
def test_spelling(language: str, spellings: dict[int, str]) -> None:
    assert {value: to_words(value, language) for value in spellings} == spellings


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_number_reads_back(language: str) -> None:
    assert [read_number(to_words(value, language), language) for value in range(1000)] == list(range(1000))
    assert len({to_words(value, language) for value in range(1000)}) == 1000


def test_feminine_changes_only_a_final_one() -> None:
    assert [feminine(to_words(value, "fr")) for value in (1, 11, 21, 71, 81, 100)] == [
        "une", "onze", "vingt et une", "soixante et onze", "quatre-vingt-une", "cent",
    ]  # fmt: skip
    assert read_number("vingt et une", "fr") == 21


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("vingt et deux", "fr"), ("quatre-vingt", "fr"), ("quatre-vingt et un", "fr"), ("soixante-onze", "fr"),
        ("cent et un", "fr"), ("deux cent", "fr"), ("forty two", "en"), ("1000", "en"), ("hundred", "en"),
        ("chat", "fr"), ("", "en"), ("-3", "en"), ("²", "en"), ("1" * 5000, "en"), ("twenty-twelve", "en"),
    ],
)  # fmt: skip
def test_misspelt_numbers_are_refused(text: str, language: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_number(text, language)


def test_numbers_without_words_are_refused() -> None:
    with pytest.raises(UsageError, match="1000"):
        to_words(1000, "en")
    with pytest.raises(UsageError, match="'de'"):
        to_words(3, "de")
