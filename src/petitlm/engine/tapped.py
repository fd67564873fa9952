"""A session whose every step is edited and looked into: for answers that are made with edits, or recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from petitlm.config import ModelConfig
from petitlm.decoder import Tap
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats, Ints
from petitlm.engine.runner import as_ints
from petitlm.engine.trace import Dictionary, Keep, Recorder, Trace
from petitlm.errors import UsageError
from petitlm.taps import TapName

if TYPE_CHECKING:
    from petitlm.engine.generation import Session


class TappedSession:
    """A session of its own for one request; what it computes is never shared with others."""

    def __init__(self, session: Session, config: ModelConfig, edits: Sequence[Edit], taps: Sequence[TapName | Keep],
                 dictionaries: Sequence[Dictionary] = (), *, n: int = 1) -> None:
        if taps and n > 1:
            raise UsageError(f"taps are kept of one answer, and n={n} were asked for; ask for one")
        for edit in edits:
            if edit.op == "mean" and edit.value is None:
                raise UsageError(f"edit op='mean' at {edit.tap!r} needs a value in an answer that still grows; "
                                 "compute the mean first and give it")
            features = [d.name for d in dictionaries]
            for one in edit.resolved(config, None, features):
                one.check_rows(config, None, features)
        self.recorder = Recorder(config, taps, edits, as_ints([]), dictionaries=dictionaries)
        self._session, self._config, self._keeps = session, config, bool(taps)

    def step(self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints | None = None,
             tap: Tap | None = None) -> Floats:
        self.recorder.go_on(positions, slots, wanted)
        return self._session.step(ids, positions, slots, wanted, self.recorder)

    def copy(self, source: int, target: int, length: int) -> None:
        self._session.copy(source, target, length)

    def reserve(self, length: int) -> None:
        self._session.reserve(length)

    def trace(self, ids: Sequence[int], logits: Floats) -> Trace | None:
        """Return what was kept of a text and its answer, with the last logits; None if nothing was to be kept."""
        if not self._keeps:
            return None
        return Trace(list(ids), logits.reshape(-1, self._config.n_vocab)[-1:], self.recorder.taken(), self._config)
