"""A small dataset: splits, accounting, determinism, conversations, and the way back from a record to its making."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

import pytest

from petitlm.data import (
    GENERATORS,
    HELDOUT_STRUCTURES,
    HELDOUT_VALUES,
    SPLITS,
    TRAIN,
    Dataset,
    Mixture,
    Problem,
    Record,
    build,
    generator,
    make_records,
    prompt_of,
    remake,
    text_of,
)
from petitlm.data.record import split_of_key
from petitlm.errors import UsageError

MIXTURE = Mixture(n_train=2400, n_heldout=240, seed=5)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_records(MIXTURE)


def test_every_draft_is_kept_or_rejected_with_a_reason(dataset: Dataset) -> None:
    manifest = dataset.manifest()
    assert manifest["n_drafts"] == len(dataset.records) + len(dataset.rejected)
    assert {rejected.reason for rejected in dataset.rejected} <= set(build.REASONS)
    assert "wrong-answer" not in manifest["rejected"]
    # The drafts of a cell are numbered without gaps: none is lost in between.
    indices: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for draft in [*dataset.records, *dataset.rejected]:
        indices[draft.origin.generator, draft.origin.language, draft.origin.split].append(draft.origin.index)
    assert len(indices) == 4 * 2 * 3
    for numbers in indices.values():
        assert sorted(numbers) == list(range(len(numbers)))


def test_a_wrong_answer_never_becomes_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    true = GENERATORS["arithmetic"]

    def careless(rng: Random, language: str, level: int, held_out: bool) -> Problem:
        problem = true.draw(rng, language, level, held_out)
        return replace(problem, answer=problem.answer + " Or not.") if rng.random() < 0.5 else problem

    monkeypatch.setitem(GENERATORS, "arithmetic", replace(true, draw=careless))
    dataset = make_records(Mixture(n_train=60, n_heldout=0, families={"arithmetic": 1}))
    assert len(dataset.records) == 60
    assert not any("Or not" in text_of(record) for record in dataset.records)
    wrong = [rejected for rejected in dataset.rejected if rejected.reason == "wrong-answer"]
    assert len(wrong) >= 30
    assert all(rejected.detail for rejected in wrong)


def test_the_mixture_is_honoured(dataset: Dataset) -> None:
    assert dataset.manifest()["splits"] == {TRAIN: 2400, HELDOUT_VALUES: 240, HELDOUT_STRUCTURES: 240}
    assert dataset.short == {}
    languages = Counter(record.language for record in dataset.split(TRAIN))
    assert languages["en"] == languages["fr"] == 1200
    shares = Counter(record.family for record in dataset.split(TRAIN))
    assert shares == {"arithmetic": 816, "passages": 744, "commands": 744, "small-talk": 96}
    assert 0.1 < sum(record.shape == "chat" for record in dataset.records) / len(dataset.records) < 0.35


def test_splits_share_no_problem_and_no_text(dataset: Dataset) -> None:
    keys = {split: {r.problem_key for r in dataset.split(split) if r.problem_key} for split in SPLITS}
    assert not keys[TRAIN] & keys[HELDOUT_VALUES]
    assert not keys[TRAIN] & keys[HELDOUT_STRUCTURES]
    assert not keys[HELDOUT_VALUES] & keys[HELDOUT_STRUCTURES]
    texts = [text_of(record) for record in dataset.records]
    assert len(set(texts)) == len(texts)


def test_held_out_structures_never_occur_in_training(dataset: Dataset) -> None:
    for split in SPLITS:
        for record in dataset.split(split):
            assert generator(record.family).is_held_out(record.structure) == (split == HELDOUT_STRUCTURES)


def test_the_split_of_a_problem_does_not_depend_on_the_seed(dataset: Dataset) -> None:
    other = make_records(replace(MIXTURE, seed=6))
    trained = {record.problem_key for record in other.split(TRAIN) if record.problem_key}
    for split in (HELDOUT_VALUES, HELDOUT_STRUCTURES):
        assert not trained & {record.problem_key for record in dataset.split(split)}
    shares = Counter(split_of_key(f"problem {i}") for i in range(10_000))
    assert abs(shares[HELDOUT_VALUES] - 1000) < 150
    assert abs(shares[HELDOUT_STRUCTURES] - 1000) < 150


def test_same_seed_same_records_other_seed_other_records(dataset: Dataset) -> None:
    assert make_records(MIXTURE).records == dataset.records
    assert make_records(replace(MIXTURE, seed=6)).manifest()["text_sha256"] != dataset.manifest()["text_sha256"]


def test_a_record_leads_back_to_its_making(dataset: Dataset) -> None:
    for record in dataset.records[::37]:
        assert remake(record.origin) == record
    assert len({record.id for record in dataset.records}) == len(dataset.records)
    assert {record.licence for record in dataset.records} == {"MIT"}
    with pytest.raises(UsageError, match="version"):
        remake(replace(dataset.records[0].origin, version=99))


def test_conversations_have_up_to_three_turns_and_give_a_text_once(dataset: Dataset) -> None:
    chats = [record for record in dataset.records if record.shape == "chat"]
    assert {len(record.turns) for record in chats} == {1, 2, 3}
    assert all(len(record.turns) == 1 for record in dataset.records if record.shape == "qa")
    follow_ups = [record for record in chats if record.family == "passages" and "." not in record.turns[-1].question]
    assert follow_ups
    for record in follow_ups:
        assert "." in record.turns[0].question or "." in record.turns[1].question


def test_prompts_are_ready_to_be_answered(dataset: Dataset) -> None:
    for record in dataset.records[::11]:
        prompt = prompt_of(record)
        assert prompt.endswith("\nOutput:" if record.shape == "qa" else "\nBob:")
        assert text_of(record) == f"{prompt} {record.answer}"


def test_texts_are_short(dataset: Dataset) -> None:
    assert max(len(record.answer.split()) for record in dataset.records) <= 25
    assert max(len(text_of(record)) for record in dataset.records) < 900


def test_the_manifest_is_plain_and_counts_every_record(dataset: Dataset) -> None:
    manifest = json.loads(json.dumps(dataset.manifest()))
    assert sum(manifest["cells"].values()) == manifest["n_records"] == len(dataset.records)
    assert manifest["generators"] == {name: GENERATORS[name].version for name in MIXTURE.families}
    assert json.loads(json.dumps(dataset.records[0].to_dict()))["turns"][0][0] == dataset.records[0].turns[0].question


def test_a_cell_that_runs_out_is_reported_and_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    true = GENERATORS["commands"]

    def narrow(rng: Random, language: str, level: int, held_out: bool) -> Problem:
        return true.draw(Random(rng.randrange(8)), language, 0, held_out)

    monkeypatch.setitem(GENERATORS, "commands", replace(true, draw=narrow))
    dataset = make_records(Mixture(n_train=100, n_heldout=0, families={"commands": 1}, chat_share=0.0))
    made = Counter(record.language for record in dataset.records)
    for language in ("en", "fr"):
        assert 1 <= made[language] <= 8
        assert dataset.short[f"commands/{language}/train"] == 50 - made[language]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_train": -1}, "n_train=-1"),
        ({"families": {"poetry": 1}}, "poetry"),
        ({"families": {"arithmetic": 0}}, "at least one share"),
        ({"families": {}}, "at least one share"),
        ({"languages": ("en", "de")}, "de"),
        ({"languages": ()}, "languages"),
        ({"chat_share": 1.5}, "1.5"),
    ],
)
def test_impossible_mixtures_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(MIXTURE, **change)


def test_a_record_is_immutable(dataset: Dataset) -> None:
    record: Record = dataset.records[0]
    with pytest.raises(AttributeError):
        record.split = TRAIN  # type: ignore[misc]
