"""Records as token ids with a loss weight for each: what a training loop reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.data.record import Record
from petitlm.data.rendering import pieces
from petitlm.errors import UsageError


class Encoder(Protocol):
    """The part of `petitlm.tokenizer.Tokenizer` that is needed here."""

    @property
    def eos_id(self) -> int | None: ...

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """N records end to end: record i has the tokens `offsets[i]` to `offsets[i + 1]`, its end token included."""

    ids: NDArray[np.uint16]
    """(tokens,)"""
    weights: NDArray[np.float32]
    """(tokens,) weight of the loss of predicting each token from those before; 1 in answers and for the end token."""
    offsets: NDArray[np.int64]
    """(N + 1,)"""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def record(self, index: int) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        """Ids and loss weights of one record."""
        tokens = slice(self.offsets[index], self.offsets[index + 1])
        return self.ids[tokens], self.weights[tokens]


def encode_records(records: Iterable[Record], tokenizer: Encoder, prompt_weight: float = 0.0) -> Encoded:
    """Encode each record and end it; tokens of prompts, of later turns' too, get the loss weight `prompt_weight`.

    Raises: UsageError if the tokenizer has no end token or its ids do not fit in 16 bits.
    """
    if tokenizer.eos_id is None:
        raise UsageError("the tokenizer has no end token; a model trained on these records could not stop")
    ids: list[int] = []
    weights: list[float] = []
    offsets = [0]
    for record in records:
        for piece in pieces(record.turns, record.shape):
            tokens = tokenizer.encode(piece.text)
            ids += tokens
            weights += [1.0 if piece.is_answer else prompt_weight] * len(tokens)
        ids.append(tokenizer.eos_id)
        weights.append(1.0)
        offsets.append(len(ids))
    if ids and max(ids) > np.iinfo(np.uint16).max:
        raise UsageError(f"token id {max(ids)} does not fit in 16 bits; use a tokenizer of at most 65536 ids")
    return Encoded(np.array(ids, np.uint16), np.array(weights, np.float32), np.array(offsets, np.int64))
