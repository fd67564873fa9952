"""Texts to learn from or to measure on: a file's, or those that petit generates for its own model."""

from __future__ import annotations

from petitlm.errors import UsageError
from petitlm.files import read_text

MAX_BYTES = 64 << 20
_FEWEST = 12  # records of a mixture: with fewer some families round to none


def texts_of(file: str | None, n: int, seed: int = 0, *, held_out: bool = False) -> list[str]:
    """Return up to `n` texts: of a file, in which an empty line stands between two, or generated records.

    `held_out` takes records of structures that petit's own model was not trained on.
    Raises: UsageError for a file without text; NotFoundError; DamagedError.
    """
    if file is not None:
        parts = [part.strip("\n") for part in read_text(file, MAX_BYTES).replace("\r\n", "\n").split("\n\n")]
        texts = [part for part in parts if part.strip()]
        if not texts:
            raise UsageError(f"{file} holds no text; give texts with an empty line between them")
        return texts[:n]
    from petitlm.data import TRAIN, Mixture, make_records, text_of
    from petitlm.data.record import HELDOUT_STRUCTURES

    enough = max(n, _FEWEST)
    mixture = Mixture(0, enough, seed=seed) if held_out else Mixture(enough, 0, seed=seed)
    return [text_of(record) for record in make_records(mixture).split(HELDOUT_STRUCTURES if held_out else TRAIN)][:n]
