"""Any sentence of the small realiser: both languages are read back to its tree, and no near miss is."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm.data.generators import generator, grammar_slips_en, grammar_slips_fr
from petitlm.data.generators.realiser_en import english
from petitlm.data.generators.realiser_fr import conjugated, french
from petitlm.data.generators.realiser_read_en import read_english
from petitlm.data.generators.realiser_read_fr import read_french
from petitlm.data.generators.realiser_trees import Sentence
from petitlm.data.generators.realiser_words import VERBS
from petitlm.data.generators.sentences import draw_sentence

seeds = st.integers(0, 2**32)
levels = st.integers(0, 5)


@settings(max_examples=300)
@given(seeds, levels)
def test_both_languages_are_read_back_to_the_tree(seed: int, level: int) -> None:
    tree = draw_sentence(Random(seed), level)
    assert tree in read_english(english(tree))
    assert tree in read_french(french(tree))


@settings(max_examples=300)
@given(seeds, levels)
def test_every_reading_is_said_by_the_same_words(seed: int, level: int) -> None:
    """Reading and saying are inverse: whatever a text is read as, that text says it."""
    tree = draw_sentence(Random(seed), level)
    assert {english(reading) for reading in read_english(english(tree))} == {english(tree)}
    assert {french(reading) for reading in read_french(french(tree))} == {french(tree)}


@settings(max_examples=200)
@given(seeds, levels)
def test_french_joints_and_marks(seed: int, level: int) -> None:
    said = french(draw_sentence(Random(seed), level))
    assert not re.search(r"\b(?:[dn]e|je|la|le|que|me|te) [aeiouéèêàôœ]", said, re.IGNORECASE), said
    assert not re.search(r"\b(?:de|à) les?\b (?!.*\b(?:er|ir|re)\b)", said), said
    assert not re.search(r"[^ ]\?|  | ,| \.", said), said


@settings(max_examples=200)
@given(seeds, st.integers(0, 5))
def test_another_person_of_the_verb_is_refused_or_says_something_else(seed: int, level: int) -> None:
    """One finite verb put into another person never leaves the same tree."""
    rng = Random(seed)
    tree = draw_sentence(rng, level)
    verb = VERBS[tree.clause.predicate.verb]
    said = french(tree)
    forms = {conjugated(verb, "present", person, plural) for person in (1, 2, 3) for plural in (False, True)}
    word = next((word for word in re.findall(r"\w+", said) if word in forms), None)
    if word:
        other = rng.choice(sorted(forms - {word}))
        assert tree not in read_french(re.sub(rf"\b{word}\b", other, said, count=1))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_slip_never_leaves_the_sentence_as_it_was(language: str) -> None:
    """A slip that can be read is no mistake, and the family leaves it out; it never says the same."""
    slips = grammar_slips_en if language == "en" else grammar_slips_fr
    kinds = slips._SLIPS if language == "en" else {**slips._IN_WORDS, **slips._IN_TEXT}
    say, read = (english, read_english) if language == "en" else (french, read_french)
    rng = Random(1)
    for kind in kinds:
        made = wrong = 0
        for at in range(900):
            tree: Sentence = draw_sentence(rng, at % 6)
            if tree.asks:
                continue
            said = say(tree)
            for slip in slips.slips(kind, said[:-1]):
                if slip + "." != said:
                    made, wrong = made + 1, wrong + (not read(slip + "."))
                    assert tree not in read(slip + "."), (kind, said, slip)
        # A cat may as well be two: `The cats slept.` is as good as `The cat slept.`
        assert made >= 5, kind
        assert wrong > 0.4 * made, (kind, made, wrong)


@pytest.mark.parametrize("family", ["translation", "grammar", "stories", "dialogue"])
@settings(max_examples=60)
@given(seed=seeds, level=levels, language=st.sampled_from(["en", "fr"]), held_out=st.booleans())
def test_any_draw_passes_its_second_route(family: str, seed: int, level: int, language: str, held_out: bool) -> None:
    made_by = generator(family)
    problem = made_by.draw(Random(seed), language, level, held_out)
    assert made_by.check(problem) is None
    assert made_by.is_held_out(problem.structure) == held_out
    assert problem == made_by.draw(Random(seed), language, level, held_out)
    assert problem.answer == problem.answer.strip()
    assert "{" not in f"{problem.question}{problem.answer}"
