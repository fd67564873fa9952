"""Number words and their strict reader: one spelling for each number, one number for each spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.generators.number_words import to_words
from petitlm.data.generators.number_words_check import read_ordinal, read_strictly
from petitlm.data.generators.ordinals import ordinal_words
from petitlm.errors import UsageError

LANGUAGES = st.sampled_from(["en", "fr"])


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_strict_reader_reads_all_small_numbers(language: str) -> None:
    assert [read_strictly(to_words(v, language), language) for v in range(2100)] == list(range(2100))
    assert [read_ordinal(ordinal_words(v, language), language) for v in range(1, 2100)] == list(range(1, 2100))


@given(st.integers(0, 999_999_999), LANGUAGES)
def test_the_strict_reader_reads_what_is_written(value: int, language: str) -> None:
    assert read_strictly(to_words(value, language), language) == value
    if 0 < value <= 999_999:
        assert read_ordinal(ordinal_words(value, language), language) == value


WORDS = {
    "en": ["zero", "one", "two", "five", "ten", "twelve", "twenty", "thirty", "forty-two", "hundred", "thousand",
           "million", "and", "twenty-one"],
    "fr": ["zéro", "un", "deux", "cinq", "dix", "onze", "vingt", "vingts", "quatre-vingt", "quatre-vingts",
           "soixante-dix", "soixante", "et", "cent", "cents", "mille", "million", "millions", "quatre-vingt-un"],
}  # fmt: skip


@given(st.data(), LANGUAGES)
def test_what_the_strict_reader_accepts_is_written_just_so(data: st.DataObject, language: str) -> None:
    words = " ".join(data.draw(st.lists(st.sampled_from(WORDS[language]), min_size=1, max_size=6)))
    try:
        value = read_strictly(words, language)
    except UsageError:
        return
    assert to_words(value, language) == words


@pytest.mark.parametrize(
    ("words", "language"),
    [
        ("vingt un", "fr"), ("vingt-un", "fr"), ("soixante et dix", "fr"), ("quatre-vingts-un", "fr"),
        ("un cent", "fr"), ("deux cent", "fr"), ("deux cents un", "fr"), ("quatre-vingts mille", "fr"),
        ("million", "fr"), ("twenty one", "en"), ("one hundred five", "en"), ("hundred", "en"), ("ten hundred", "en"),
        ("one thousand and two hundred", "en"), ("two thousand one million", "en"), ("forty-", "en"),
        ("septante", "fr"), ("", "en"),
    ],
)  # fmt: skip
def test_other_spellings_are_refused(words: str, language: str) -> None:
    with pytest.raises(UsageError, match="is not the spelling"):
        read_strictly(words, language)


@pytest.mark.parametrize(
    ("words", "language"),
    [("unième", "fr"), ("neufième", "fr"), ("cinqième", "fr"), ("vingtsième", "fr"), ("oneth", "en"),
     ("fiveth", "en"), ("twenty-oneth", "en"), ("twentyth", "en"), ("two", "en"), ("deux", "fr")],
)  # fmt: skip
def test_other_ordinals_are_refused(words: str, language: str) -> None:
    with pytest.raises(UsageError):
        read_ordinal(words, language)
