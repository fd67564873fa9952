"""Number words: spellings from the grammar books, and refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.generators.number_words import feminine, read_number, to_words
from petitlm.data.generators.ordinals import grouped, ordinal_digits, ordinal_words
from petitlm.errors import UsageError

FRENCH = {
    0: "zéro", 1: "un", 16: "seize", 17: "dix-sept", 20: "vingt", 21: "vingt et un", 22: "vingt-deux",
    31: "trente et un", 61: "soixante et un", 69: "soixante-neuf", 70: "soixante-dix", 71: "soixante et onze",
    72: "soixante-douze", 77: "soixante-dix-sept", 79: "soixante-dix-neuf", 80: "quatre-vingts",
    81: "quatre-vingt-un", 90: "quatre-vingt-dix", 91: "quatre-vingt-onze", 99: "quatre-vingt-dix-neuf",
    100: "cent", 101: "cent un", 121: "cent vingt et un", 180: "cent quatre-vingts", 200: "deux cents",
    201: "deux cent un", 271: "deux cent soixante et onze", 480: "quatre cent quatre-vingts",
    999: "neuf cent quatre-vingt-dix-neuf",
    1000: "mille", 1001: "mille un", 1100: "mille cent", 1789: "mille sept cent quatre-vingt-neuf", 2000: "deux mille",
    21_000: "vingt et un mille", 80_000: "quatre-vingt mille", 80_080: "quatre-vingt mille quatre-vingts",
    200_000: "deux cent mille", 200_200: "deux cent mille deux cents", 180_000: "cent quatre-vingt mille",
    1_000_000: "un million", 1_001_000: "un million mille", 2_000_000: "deux millions",
    80_000_000: "quatre-vingts millions", 200_000_000: "deux cents millions",
    71_000_071: "soixante et onze millions soixante et onze",
    999_999_999: "neuf cent quatre-vingt-dix-neuf millions neuf cent quatre-vingt-dix-neuf mille "
    "neuf cent quatre-vingt-dix-neuf",
}  # fmt: skip
ENGLISH = {
    0: "zero", 12: "twelve", 15: "fifteen", 18: "eighteen", 20: "twenty", 40: "forty", 42: "forty-two",
    80: "eighty", 99: "ninety-nine", 100: "one hundred", 101: "one hundred and one", 110: "one hundred and ten",
    999: "nine hundred and ninety-nine",
    1000: "one thousand", 1005: "one thousand and five", 1100: "one thousand one hundred",
    1234: "one thousand two hundred and thirty-four", 21_000: "twenty-one thousand",
    100_040: "one hundred thousand and forty", 1_000_000: "one million", 1_000_001: "one million and one",
    2_001_000: "two million one thousand", 1_234_056: "one million two hundred and thirty-four thousand and fifty-six",
}  # fmt: skip


@pytest.mark.parametrize(("language", "spellings"), [("fr", FRENCH), ("en", ENGLISH)])
def test_spelling(language: str, spellings: dict[int, str]) -> None:
    assert {value: to_words(value, language) for value in spellings} == spellings


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_number_reads_back(language: str) -> None:
    assert [read_number(to_words(value, language), language) for value in range(1000)] == list(range(1000))
    assert len({to_words(value, language) for value in range(1000)}) == 1000


@given(st.integers(0, 999_999_999), st.sampled_from(["en", "fr"]))
def test_long_numbers_read_back(value: int, language: str) -> None:
    assert read_number(to_words(value, language), language) == value


ORDINALS = {
    "en": {
        1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 11: "eleventh", 12: "twelfth",
        13: "thirteenth", 20: "twentieth", 21: "twenty-first", 42: "forty-second", 90: "ninetieth",
        100: "one hundredth", 101: "one hundred and first", 1000: "one thousandth", 2013: "two thousand and thirteenth",
    },
    "fr": {
        1: "premier", 2: "deuxième", 3: "troisième", 4: "quatrième", 5: "cinquième", 6: "sixième", 9: "neuvième",
        10: "dixième", 11: "onzième", 21: "vingt et unième", 30: "trentième", 70: "soixante-dixième",
        71: "soixante et onzième", 80: "quatre-vingtième", 81: "quatre-vingt-unième", 99: "quatre-vingt-dix-neuvième",
        100: "centième", 200: "deux centième", 201: "deux cent unième", 1000: "millième", 200_000: "deux cent millième",
    },
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "fr"])
def test_ordinals(language: str) -> None:
    assert {value: ordinal_words(value, language) for value in ORDINALS[language]} == ORDINALS[language]
    with pytest.raises(UsageError, match="0 as an ordinal"):
        ordinal_words(0, language)


def test_ordinal_digits_and_groups() -> None:
    said = [ordinal_digits(value, "en") for value in (1, 2, 3, 4, 11, 12, 13, 21, 22, 111, 123)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "111th", "123rd"]
    assert [ordinal_digits(value, "fr") for value in (1, 2, 21)] == ["1er", "2e", "21e"]
    assert [grouped(1_234_567, "en"), grouped(1_234_567, "fr"), grouped(12, "fr")] == ["1,234,567", "1 234 567", "12"]


def test_feminine_changes_only_a_final_one() -> None:
    assert [feminine(to_words(value, "fr")) for value in (1, 11, 21, 71, 81, 100)] == [
        "une", "onze", "vingt et une", "soixante et onze", "quatre-vingt-une", "cent",
    ]  # fmt: skip
    assert read_number("vingt et une", "fr") == 21


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("vingt et deux", "fr"), ("quatre-vingt", "fr"), ("quatre-vingt et un", "fr"), ("soixante-onze", "fr"),
        ("cent et un", "fr"), ("deux cent", "fr"), ("forty two", "en"), ("1000000000", "en"), ("hundred", "en"),
        ("chat", "fr"), ("", "en"), ("-3", "en"), ("²", "en"), ("1" * 5000, "en"), ("twenty-twelve", "en"),
        ("un mille", "fr"), ("quatre-vingts mille", "fr"), ("deux cents mille", "fr"), ("deux million", "fr"),
        ("quatre-vingt millions", "fr"), ("million", "fr"), ("one thousand five", "en"), ("thousand", "en"),
    ],
)  # fmt: skip
def test_misspelt_numbers_are_refused(text: str, language: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_number(text, language)


def test_numbers_without_words_are_refused() -> None:
    with pytest.raises(UsageError, match="1000000000"):
        to_words(1_000_000_000, "en")
    with pytest.raises(UsageError, match="'de'"):
        to_words(3, "de")
