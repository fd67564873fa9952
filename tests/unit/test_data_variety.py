"""Variety: values by hand, and every family of every language and level within the limits."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from petitlm.data.generators import GENERATORS
from petitlm.data.generators.variety import too_repetitive, variety


def test_by_hand() -> None:
    found = variety(["a b a b", "a b c d"], ["k1", "k1"])
    assert (found.n_texts, found.n_words, found.vocabulary) == (2, 8, 4)
    assert found.distinct == (4 / 8, 4 / 6, 4 / 4, 2 / 2)  # ab ba bc cd of ab ba ab ab bc cd
    assert (found.unique, found.unique_keys) == (1.0, 0.5)
    assert (found.opening, found.opening_text) in ((0.5, "a b a b"), (0.5, "a b c d"))


def test_nothing_to_measure() -> None:
    found = variety([])
    assert (found.n_texts, found.n_words, found.opening) == (0, 0, 0)
    assert too_repetitive(found) is None
    assert variety(["", ""]).distinct == (1, 1, 1, 1)


def test_a_longer_sample_of_one_kind_measures_alike() -> None:
    rng = Random(0)
    made_by = GENERATORS["translation"]
    texts = [made_by.draw(rng, "en", 2, False).answer for _ in range(1000)]
    short, long = variety(texts[:200]), variety(texts)
    for one, other in zip(short.distinct, long.distinct, strict=True):
        assert abs(one - other) < 0.05


def test_texts_that_repeat_are_refused() -> None:
    many = [f"The number {at} is followed by the number {at + 1}, and so on." for at in range(100)]
    assert too_repetitive(variety(many[:10] * 10)) == "only 10% of its texts differ, less than 50%"
    assert "open with 'once upon a time'" in str(too_repetitive(variety([f"Once upon a time {t}" for t in many])))
    day = "It was a very nice day in the small town and all the people were happy. "
    dull = [f"{at}. {day * 3}" for at in range(60)]
    assert "sequences of four words" in str(too_repetitive(variety(dull)))
    assert too_repetitive(variety(many[:10] * 4)) is None, "40 texts are too few to tell"


@pytest.mark.parametrize("family", list(GENERATORS))
def test_every_family_varies_enough(family: str) -> None:
    made_by = GENERATORS[family]
    for language in ("en", "fr"):
        for level in made_by.levels:
            rng = Random(f"{language}{level}")
            problems = [made_by.draw(rng, language, level, False) for _ in range(100)]
            texts = [p.answer if made_by.shape == "raw" else f"{p.context} {p.question} {p.answer}" for p in problems]
            found = variety(texts, [problem.key for problem in problems])
            assert too_repetitive(found) is None, (language, level, found)


def test_one_story_told_over_and_over_is_refused() -> None:
    rng = Random(0)
    story = GENERATORS["stories"].draw(rng, "fr", 3, False)
    retold = [replace(story, answer=story.answer.replace("Un jour", f"Le {at} mai")) for at in range(80)]
    assert too_repetitive(variety([each.answer for each in retold]))
