"""What holds for every seed: verified problems, numbers that read back, records that can be made again."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from petitlm.data import GENERATORS, SPLITS, Origin, Record, generator, prompt_of, remake, text_of
from petitlm.data.record import split_of_key

families = st.sampled_from(sorted(GENERATORS))
languages = st.sampled_from(["en", "fr"])
seeds = st.integers(0, 2**63)


@given(families, languages, seeds, st.booleans(), st.data())
def test_the_two_routes_agree(family: str, language: str, seed: int, held_out: bool, data: st.DataObject) -> None:
    made_by = generator(family)
    level = data.draw(st.integers(0, len(made_by.level_weights) - 1))
    problem = made_by.draw(Random(seed), language, level, held_out)
    assert made_by.check(problem) is None
    assert made_by.is_held_out(problem.structure) == held_out
    assert made_by.draw(Random(seed), language, level, held_out) == problem
    assert problem.question == problem.question.strip()
    assert problem.answer == problem.answer.strip() != ""


@given(families, languages, st.integers(0, 2**31), st.sampled_from(SPLITS), st.integers(0, 10**9))
def test_a_draft_is_remade_alike(family: str, language: str, seed: int, split: str, index: int) -> None:
    origin = Origin(family, generator(family).version, language, seed, split, index)
    drafted = remake(origin)
    assert remake(origin) == drafted
    assert drafted.origin == origin
    if isinstance(drafted, Record):
        assert not drafted.problem_key or split_of_key(drafted.problem_key) == split
        space = "" if drafted.shape == "raw" else " "  # raw: the answer is the whole text
        assert text_of(drafted) == f"{prompt_of(drafted)}{space}{drafted.answer}"
        assert "\n\n" not in drafted.answer  # programs in questions have blank lines
    else:
        assert drafted.reason == "other-split"
