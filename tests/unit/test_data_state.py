"""What a checkpoint keeps of its data: each step's tokens, each token's steps, and the way back through parents."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from petitlm.data.provenance.state import DataState, Parent, lineage, load_state, states_of_step
from petitlm.errors import DamagedError, NotFoundError, UsageError

STATE = DataState("m" * 64, "t" * 64, n_tokens=95, seed=3, length=8, sequences=4, steps=9, first_step=2,
                  first_sequence=5)


def test_exposures_are_the_steps_that_read() -> None:
    """Asked token by token, the inverse order says what reading all steps says."""
    seen: dict[int, list[tuple[int, int]]] = {token: [] for token in range(95)}
    for step in range(2, 9):
        reads = STATE.reads(step)
        assert len(reads) == 4
        for read in reads:
            assert (read.step, read.end - read.start) == (step, 9)
            for token in range(read.start, read.end):
                seen[token].append((read.step, read.sequence))
    for token, steps in seen.items():
        assert [(r.step, r.sequence) for r in STATE.exposures(token, token + 1)] == sorted(steps)
    assert len(seen[94]) == 0, "the last tokens are less than a block and its target"
    assert {len(steps) for token, steps in seen.items() if 0 < token < 88} <= {2, 3, 4, 5, 6}


def test_what_was_learnt_is_what_the_steps_had_as_targets() -> None:
    seen = Counter(token for step in range(2, 9) for read in STATE.reads(step)
                   for token in range(read.start + 1, read.end))
    assert STATE.learnt([(0, 95)]) == sum(seen.values()) == 28 * 8
    for start in range(95):
        for end in range(start + 1, 96):
            assert STATE.learnt([(start, end)]) == sum(seen[token] for token in range(start, end))
    assert STATE.learnt([(3, 9), (20, 31)]) == STATE.learnt([(3, 9)]) + STATE.learnt([(20, 31)])
    assert STATE.learnt([]) == 0


def test_passes_follow_one_another() -> None:
    """28 sequences from the fifth on, of 11 blocks: each block two to four times, all of pass 1 among them."""
    reads = [read for step in range(2, 9) for read in STATE.reads(step)]
    assert [read.epoch for read in reads] == [i // 11 for i in range(5, 33)]
    assert sorted(Counter(r.start for r in reads if r.epoch == 1)) == [8 * b for b in range(11)]


@pytest.mark.parametrize("step", [-1, 1, 9])
def test_a_step_of_no_run_is_refused(step: int) -> None:
    with pytest.raises(UsageError, match="steps 2 to 8"):
        STATE.reads(step)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    parent = DataState("p" * 64, "t" * 64, 1000, 0, 10, 1, 2)
    state = DataState("m" * 64, "t" * 64, 95, 3, 8, 4, 9, 2, 0,
                      (Parent("grown", "w" * 64, parent), Parent("merged", "v" * 64, None)))
    state.save(tmp_path)
    assert load_state(tmp_path) == state == load_state(tmp_path / "data.json")
    assert [(back, how) for back, how, _ in lineage(state)] == [(0, ""), (1, "grown"), (1, "merged")]
    assert states_of_step(state, 5) == [state]
    assert states_of_step(state, 1) == [parent]
    assert states_of_step(state, 99) == []


def test_both_parents_of_a_merged_checkpoint_answer() -> None:
    one, two = (DataState(c * 64, "t" * 64, 1000, 0, 10, 1, 5) for c in "ab")
    merged = DataState("m" * 64, "t" * 64, 1000, 0, 10, 1, 5, 5, 0,
                       (Parent("merged", "", one), Parent("merged", "", two)))
    assert states_of_step(merged, 3) == [one, two]


def _broken(**changes: object) -> str:
    plain = STATE.to_dict()
    sampler = {**plain["sampler"], **changes.pop("sampler", {})}  # type: ignore[dict-item]
    return json.dumps({**plain, "sampler": sampler, **changes})


@pytest.mark.parametrize(("text", "said"), [
    ("{", "not valid JSON"),
    ("[]", "list"),
    (_broken(schema=2), "schema 2"),
    (_broken(sampler={"name": "shuffled"}), "'shuffled'"),
    (_broken(sampler={"version": 2}), "version 2"),
    (_broken(sampler={"seed": -1}), "seed -1"),
    (_broken(sampler={"length": 95}), "shorter length"),
    (_broken(n_tokens="95"), "n_tokens='95'"),
    (_broken(steps=True), "steps=True"),
    (_broken(sequences=0), "sequences=0"),
    (_broken(steps=1), "steps=1"),
    (_broken(manifest_sha256=None), "manifest_sha256=None"),
    (_broken(mood="good"), "'mood'"),
    (_broken(parents={}), "parents"),
    (_broken(parents=[{"how": "grown"}]), "weights_sha256"),
])
def test_a_damaged_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(DamagedError, match=r"data\.json") as error:
        load_state(tmp_path)
    assert said in str(error.value)


def test_endless_parents_are_refused(tmp_path: Path) -> None:
    plain = STATE.to_dict()
    for _ in range(70):
        plain = {**STATE.to_dict(), "parents": [{"how": "grown", "weights_sha256": "", "data": plain}]}
    (tmp_path / "data.json").write_text(json.dumps(plain))
    with pytest.raises(DamagedError, match="64 generations"):
        load_state(tmp_path)


def test_a_checkpoint_without_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not say what data made it"):
        load_state(tmp_path)
