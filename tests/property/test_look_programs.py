"""A recorder is shown the same bits, and changes the same bits, in the recorded program and layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm.decoder import tap_names
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import available_isas, make_kernels
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.engine.trace import Recorder
from tests_shapes import SHAPES, packed, random_weights

pytestmark = pytest.mark.skipif(not available_isas(), reason="built without a C++ compiler: there are no programs")
CASES = [(name, bits) for name in SHAPES for bits in (4, 32)]
LENGTHS = (13, 5)  # two texts in one batch
_runners: dict[tuple[str, int], EngineRunner] = {}


def runner(name: str, bits: int) -> EngineRunner:
    if (name, bits) not in _runners:
        kernels = make_kernels(2)
        weights = packed(SHAPES[name], random_weights(SHAPES[name]), bits, kernels)
        _runners[name, bits] = EngineRunner(SHAPES[name], weights, kernels, "f32" if bits == 32 else "f16")
    return _runners[name, bits]


class Hidden:
    """The recorder as a tap that the engine does not know: every layer is called by itself."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self.wants = recorder, recorder.wants

    def __call__(self, name: str, value: np.ndarray, /) -> np.ndarray:
        return self._recorder(name, value)


def run(name: str, bits: int, keeps: list[str], edits: list[Edit], wanted: list[int] | None, hide: bool
        ) -> tuple[np.ndarray, dict[str, Any]]:
    ours, n = runner(name, bits), sum(LENGTHS)
    ids = as_ints(np.random.default_rng(3).integers(0, ours.config.n_vocab, n))
    positions = as_ints([p for length in LENGTHS for p in range(length)])
    slots, session = np.repeat(as_ints([0, 1]), LENGTHS), ours.session(2, max(LENGTHS))
    recorder, rows = Recorder(ours.config, keeps, edits, positions, slots), None if wanted is None else as_ints(wanted)
    recorder.go_on(positions, slots, rows)
    logits = session.step(ids, positions, slots, rows, Hidden(recorder) if hide else recorder)
    session.step(ids[::-1].copy(), positions, slots)  # what was kept is not the next run's memory
    return logits, recorder.taken()


def assert_equal(name: str, bits: int, keeps: list[str], edits: list[Edit], wanted: list[int] | None) -> np.ndarray:
    (ours, kept), (expected, theirs) = (run(name, bits, keeps, edits, wanted, hide) for hide in (False, True))
    np.testing.assert_array_equal(ours.view(np.uint32), expected.view(np.uint32))
    assert list(kept) == list(theirs) == [tap for tap in tap_names(SHAPES[name]) if tap in keeps]
    for tap, value in kept.items():
        np.testing.assert_array_equal(value, theirs[tap], err_msg=tap)
    return ours


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_every_tap_alone_and_all_together(name: str, bits: int) -> None:
    names, (plain, _) = tap_names(SHAPES[name]), run(name, bits, [], [], None, hide=True)
    for keeps in ([], names, *([tap] for tap in names)):
        np.testing.assert_array_equal(assert_equal(name, bits, keeps, [], None), plain)


@pytest.mark.parametrize(("name", "bits"), CASES)
def test_an_edit_at_every_tap(name: str, bits: int) -> None:
    plain, _ = run(name, bits, [], [], None, hide=True)
    for tap in tap_names(SHAPES[name]):
        edited = assert_equal(name, bits, [], [Edit(tap, "zero", neuron=0, positions=[0, 4])], None)
        changed = ~np.isclose(edited, plain, rtol=0, atol=1e-6).all(-1)
        assert changed.any(), tap


@pytest.mark.parametrize(("name", "bits"), CASES)
@settings(max_examples=15)
@given(data=st.data())
def test_any_taps_and_edits(name: str, bits: int, data: st.DataObject) -> None:
    taps = st.sampled_from(tap_names(SHAPES[name]))
    keeps = data.draw(st.lists(taps, max_size=8, unique=True))
    edits = [Edit(tap, "scale", 0.5) for tap in data.draw(st.lists(taps, max_size=4))]
    wanted = data.draw(st.none() | st.just([12, 17]) | st.just([]))
    assert_equal(name, bits, keeps, edits, wanted)
