"""The text that rounding is calibrated with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from petitlm.errors import UsageError
from petitlm.files import read_text

if TYPE_CHECKING:
    from petitlm.checkpoint import Checkpoint
    from petitlm.data import Mixture

N_RECORDS, N_TOKENS = 400, 16384
"""Records, and the tokens after which no more are taken: half as many do as well (docs/log.md)."""
WINDOW, N_WINDOWS = 256, 64
"""Tokens of a stretch of a text file, and how many stretches, spread over it, are taken."""

MAX_BYTES = 32 << 20
"""Of a text file: all of it is encoded before stretches are taken."""


def calibration_sequences(checkpoint: Checkpoint, file: Path | None, mixture: Mixture | None = None) -> list[list[int]]:
    """Return token ids of a text file, in stretches, or of records that petit generates, `mixture`'s if given.

    Raises: UsageError for an empty file; NotFoundError.
    """
    tokenizer = checkpoint.tokenizer()
    if file is not None:
        ids = tokenizer.encode(read_text(file, MAX_BYTES))
        if not ids:
            raise UsageError(f"{file} holds no text to calibrate with; give some thousand words")
        windows = [ids[at : at + WINDOW] for at in range(0, len(ids), WINDOW)]
        return windows[:: max(1, len(windows) // N_WINDOWS)][:N_WINDOWS]
    from dataclasses import replace

    from petitlm.data import TRAIN, Mixture, make_records, text_of

    mixture = mixture or Mixture(N_RECORDS, 0, seed=1)
    records = make_records(replace(mixture, n_train=N_RECORDS, n_heldout=0)).split(TRAIN)
    end = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    sequences, n_tokens = [], 0
    for record in records:
        if n_tokens >= N_TOKENS:
            break
        sequences.append(tokenizer.encode(text_of(record)) + end)
        n_tokens += len(sequences[-1])
    return sequences
