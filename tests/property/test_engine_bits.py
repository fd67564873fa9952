"""Same weights, same tokens in, same bits out: alone or batched, cached or not, on any threads or instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.decoder import NO_TAP, tap_names
from petitlm.engine.cache import CacheKind
from petitlm.engine.kernels import available_isas, make_kernels
from petitlm.engine.runner import EngineRunner, EngineSession, as_ints
from petitlm.engine.trace import Recorder
from tests_shapes import SHAPES, packed, random_weights

LENGTH = 45
NAMES = ("phi, heads of 10, odd sizes", "phi, kv groups, tied", "llama", "gpt")
CASES = [(name, bits) for name in NAMES for bits in (4, 8, 16, 32)]
pytestmark = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: the twins promise no bits")


def ids_of(name: str, seed: int = 0, n: int = LENGTH) -> np.ndarray:
    return as_ints(np.random.default_rng(seed).integers(0, SHAPES[name].n_vocab, n))


CACHES: dict[int, CacheKind] = {4: "int8", 8: "f16", 16: "f16", 32: "f32"}  # each kind with some format
_runners: dict[tuple[str, int, int, str], EngineRunner] = {}


def runner(name: str, bits: int, threads: int = 1, isa: str = "auto") -> EngineRunner:
    key = (name, bits, threads, isa)
    if key not in _runners:
        kernels = make_kernels(threads, isa)
        weights = packed(SHAPES[name], random_weights(SHAPES[name]), bits, kernels)
        _runners[key] = EngineRunner(SHAPES[name], weights, kernels, CACHES[bits])
    return _runners[key]


def step(session: EngineSession, ids: np.ndarray, start: int = 0, slot: int = 0) -> np.ndarray:
    positions = as_ints(range(start, start + len(ids)))
    return session.step(as_ints(ids), positions, np.full(len(ids), slot, np.int32))


def whole(name: str, bits: int, ids: np.ndarray) -> np.ndarray:
    return step(runner(name, bits).session(1, LENGTH), ids)


def assert_same_bits(ours: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(ours.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(("name", "bits"), CASES)
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_nothing(name: str, bits: int, threads: int) -> None:
    ids = ids_of(name)
    assert_same_bits(step(runner(name, bits, threads).session(1, LENGTH), ids), whole(name, bits, ids))


@pytest.mark.parametrize(("name", "bits"), CASES)
@pytest.mark.parametrize("isa", available_isas())
def test_instruction_sets_change_nothing(name: str, bits: int, isa: str) -> None:
    ids = ids_of(name)
    assert_same_bits(step(runner(name, bits, 1, isa).session(1, LENGTH), ids), whole(name, bits, ids))


@pytest.mark.parametrize(("name", "bits"), CASES)
@given(cuts=st.lists(st.integers(1, LENGTH - 1), unique=True, max_size=6))
def test_chunks_and_single_steps_change_nothing(name: str, bits: int, cuts: list[int]) -> None:
    ids, session, edges = ids_of(name), runner(name, bits).session(1, LENGTH), [0, *sorted(cuts), LENGTH]
    parts = [step(session, ids[a:b], a) for a, b in zip(edges, edges[1:], strict=False)]
    assert_same_bits(np.concatenate(parts), whole(name, bits, ids))


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_decoding_token_by_token_changes_nothing(name: str, bits: int) -> None:
    ids, session = ids_of(name), runner(name, bits, 2).session(1, LENGTH)
    assert_same_bits(np.concatenate([step(session, ids[i : i + 1], i) for i in range(LENGTH)]), whole(name, bits, ids))


@pytest.mark.parametrize(("name", "bits"), CASES)
@given(data=st.data())
def test_company_changes_nothing(name: str, bits: int, data: st.DataObject) -> None:
    """Three sequences in shuffled slots, each advanced by any number of tokens in each call."""
    texts = [ids_of(name, seed, 20 + 5 * seed) for seed in range(3)]
    slots = data.draw(st.permutations(range(4)))[:3]
    session, done, got = runner(name, bits, 2).session(4, LENGTH), [0, 0, 0], [[], [], []]
    while any(done[i] < len(text) for i, text in enumerate(texts)):
        takes = [data.draw(st.integers(0, len(text) - done[i])) for i, text in enumerate(texts)]
        if not any(takes):
            takes = [len(text) - done[i] for i, text in enumerate(texts)]
        owners = [i for i, take in enumerate(takes) for _ in range(take)]
        if data.draw(st.booleans()):  # tokens of different sequences may alternate; each sequence's stay in order
            owners = data.draw(st.permutations(owners))
        ids, positions = [], []
        for i in owners:
            ids.append(texts[i][done[i]])
            positions.append(done[i])
            done[i] += 1
        logits = session.step(as_ints(ids), as_ints(positions), as_ints([slots[i] for i in owners]))
        for i, row in zip(owners, logits, strict=True):
            got[i].append(row)
    for i, text in enumerate(texts):
        assert_same_bits(np.stack(got[i]), whole(name, bits, text))


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_a_copied_slot_continues_as_its_source(name: str, bits: int) -> None:
    ids, session = ids_of(name), runner(name, bits).session(3, LENGTH)
    step(session, ids[:21])
    session.copy(0, 2, 21)
    step(session, ids_of(name, 9, 5), 21, 0)  # the source goes another way
    assert_same_bits(step(session, ids[21:], 21, 2), whole(name, bits, ids)[21:])


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_a_used_slot_leaves_nothing_behind(name: str, bits: int) -> None:
    session, ids = runner(name, bits).session(1, LENGTH), ids_of(name)
    step(session, ids_of(name, 8))
    assert_same_bits(step(session, ids), whole(name, bits, ids))


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_looking_changes_nothing(name: str, bits: int) -> None:
    ids, config = ids_of(name), SHAPES[name]
    positions = as_ints(range(LENGTH))
    for taps in (tap_names(config), [n for n in tap_names(config) if n.endswith("hook_pattern")]):
        recorder = Recorder(config, taps, [], positions)
        session = runner(name, bits, 2).session(1, LENGTH)
        logits = session.step(ids, positions, np.zeros_like(ids), None, recorder)
        assert_same_bits(logits, whole(name, bits, ids))
        assert sorted(recorder.taken()) == sorted(taps)


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_asking_for_some_logits_changes_nothing(name: str, bits: int) -> None:
    ids, session = ids_of(name), runner(name, bits).session(1, LENGTH)
    wanted = as_ints([44, 0, 13])
    rows = session.step(ids, as_ints(range(LENGTH)), np.zeros_like(ids), wanted, NO_TAP)
    assert_same_bits(rows, whole(name, bits, ids)[wanted])
