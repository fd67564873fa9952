"""From rows of tokens to batches: one record a row, rows of like length together.

B rows, T positions, M tokens that carry loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from petitlm.config import ModelConfig
from petitlm.errors import ContextError, ShapeError, UsageError


@dataclass(frozen=True)
class Row:
    """One record as the model reads it, from position 0 on."""

    ids: np.ndarray
    """Token ids, (T,) integers."""
    weights: np.ndarray
    """Weight in the loss of predicting each of these tokens, (T,); the first is never predicted."""


@dataclass(frozen=True)
class Batch:
    """A rectangle of tokens and the M predictions in it that count."""

    ids: np.ndarray
    """(B, T) int64, padded on the right."""
    wanted: np.ndarray
    """(M,) indices into the B x T positions whose next token is asked for."""
    targets: np.ndarray
    """(M,) the next tokens."""
    weights: np.ndarray
    """(M,) float32, each above 0."""


class Batches:
    """Rows as batches, in an order that depends on the seed and the pass alone.

    Rows are shuffled, sorted by length and cut into batches of at most `tokens` positions, and the
    batches are shuffled: hardly any padding, and every record starts at position 0, unseen by others.

    Raises: ContextError for a row longer than n_ctx (nothing is ever cut); ShapeError for ids and
    weights of different lengths or ids outside the vocabulary; UsageError for no rows, or for a row
    without a token to learn.
    """

    def __init__(self, rows: Sequence[Row], config: ModelConfig, tokens: int, seed: int) -> None:
        if not rows:
            raise UsageError("there is no row to train on; check the recipe's data")
        for i, row in enumerate(rows):
            _check_row(row, i, config)
        self._rows, self._tokens, self._seed = rows, tokens, seed
        self._lengths = np.array([len(row.ids) for row in rows])
        self.n_tokens = int(self._lengths.sum())

    def once(self, epoch: int) -> Iterator[Batch]:
        """Yield every row once, in the order of this pass."""
        rng = np.random.default_rng((self._seed, epoch))
        order = rng.permutation(len(self._rows))
        order = order[np.argsort(self._lengths[order], kind="stable")]
        groups = list(self._cut(order))
        for group in rng.permutation(len(groups)):
            yield collate([self._rows[i] for i in groups[group]])

    def forever(self) -> Iterator[tuple[int, Batch]]:
        """Yield (pass, batch), pass after pass."""
        epoch = 0
        while True:
            for batch in self.once(epoch):
                yield epoch, batch
            epoch += 1

    def _cut(self, order: np.ndarray) -> Iterator[list[int]]:
        group: list[int] = []
        for i in order.tolist():  # lengths rise, so the newest row is the longest
            if group and (len(group) + 1) * self._lengths[i] > self._tokens:
                yield group
                group = []
            group.append(i)
        yield group


def collate(rows: Sequence[Row]) -> Batch:
    """Lay rows side by side, padded with id 0, and list the predictions that count."""
    width = max(len(row.ids) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    weights = np.zeros((len(rows), width), dtype=np.float32)  # of predicting the token at that place
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        weights[i, 1 : len(row.ids)] = row.weights[1:]
    row_of, place = np.nonzero(weights)
    return Batch(ids, row_of * width + place - 1, ids[row_of, place], weights[row_of, place])


def _check_row(row: Row, i: int, config: ModelConfig) -> None:
    if len(row.ids) != len(row.weights):
        raise ShapeError(f"row {i} has {len(row.ids)} ids and {len(row.weights)} weights; give one weight per id")
    if len(row.ids) > config.n_ctx:
        raise ContextError(f"row {i} has {len(row.ids)} tokens, more than n_ctx={config.n_ctx}; "
                           "drop it, split it or raise n_ctx")
    if len(row.ids) < 2 or not np.any(row.weights[1:] > 0) or np.any(row.weights < 0):
        raise UsageError(f"row {i} has no token to learn: give two tokens or more, weights of at least 0, "
                         "and one weight above 0 after the first token")
    if row.ids.min() < 0 or row.ids.max() >= config.n_vocab:
        raise ShapeError(f"row {i} has ids from {row.ids.min()} to {row.ids.max()}, outside 0 to "
                         f"n_vocab - 1 = {config.n_vocab - 1}; use the model's own tokenizer")
