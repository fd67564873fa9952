"""The graph of a model: who can read whom through the residual stream.

Senders add to the stream: the embedding, learned positions, each head, each MLP. Readers read it: each head by its
query, key and value (of its group, where heads share them), each MLP, and the logits. An edge is a sender and a later
reader; it carries what the sender adds, through the reader's norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.errors import UsageError

Edge = tuple[str, str]
"""Names of a sender and a reader: ("z:0.1", "k:1.0")."""
LOGITS = "logits"


@dataclass(frozen=True)
class Graph:
    """Senders and readers of one shape of model, in the order of the forward pass."""

    config: ModelConfig

    @cached_property
    def senders(self) -> list[str]:
        """Names of what adds to the stream: U of them."""
        first = ["embed", *(["pos_embed"] if self.config.positions == "learned" else [])]
        return first + [name for i in range(self.config.n_layers)
                        for name in [*(f"z:{i}.{h}" for h in range(self.config.n_heads)), f"mlp_out:{i}"]]

    @cached_property
    def readers(self) -> list[str]:
        """Names of what reads the stream: R of them."""
        config = self.config
        heads = [("q", config.n_heads), ("k", config.n_kv_heads), ("v", config.n_kv_heads)]
        return [name for i in range(config.n_layers)
                for name in [*(f"{kind}:{i}.{h}" for kind, n in heads for h in range(n)), f"mlp_out:{i}"]] + [LOGITS]

    def first_sender(self, block: int) -> int:
        """Return the index of a block's first head among the senders: how many come before the block."""
        return 1 + (self.config.positions == "learned") + block * (self.config.n_heads + 1)

    def first_reader(self, block: int) -> int:
        """Return the index of a block's first query among the readers."""
        return block * (self.config.n_heads + 2 * self.config.n_kv_heads + 1)

    def block_of(self, reader: str) -> int:
        """Return a reader's block; the logits come after the last."""
        return self.config.n_layers if reader == LOGITS else int(reader.split(":")[1].split(".")[0])

    def n_before(self, reader: str) -> int:
        """Return how many senders a reader sees: the first so many."""
        if reader == LOGITS:
            return len(self.senders)
        block = self.block_of(reader)
        after_heads = reader.startswith("mlp_out") and not self.config.parallel_block
        return self.first_sender(block) + (self.config.n_heads if after_heads else 0)

    @cached_property
    def exists(self) -> NDArray[np.bool_]:
        """Which edges there are, (R, U)."""
        return np.array([np.arange(len(self.senders)) < self.n_before(reader) for reader in self.readers])

    def edges(self, mask: NDArray[np.bool_]) -> list[Edge]:
        """Return the names of the edges of a mask (R, U)."""
        return [(self.senders[u], self.readers[r]) for r, u in np.argwhere(mask & self.exists)]

    def mask(self, edges: Iterable[Sequence[str]]) -> NDArray[np.bool_]:
        """Return the mask (R, U) of some edges.

        Raises: UsageError for one that this model does not have.
        """
        found = np.zeros_like(self.exists)
        senders = {name: u for u, name in enumerate(self.senders)}
        readers = {name: r for r, name in enumerate(self.readers)}
        for sender, reader in edges:
            if sender not in senders or reader not in readers or not self.exists[readers[reader], senders[sender]]:
                raise UsageError(f"there is no edge from {sender!r} to {reader!r} in this model; write it like z:0.1 "
                                 "to k:1.0, embed to mlp_out:0, or mlp_out:0 to logits, the sender before the reader")
            found[readers[reader], senders[sender]] = True
        return found

    def node_of(self, reader: str) -> list[int]:
        """Return the senders that a reader feeds: its head, all heads of its group, its MLP; none for the logits."""
        if reader == LOGITS:
            return []
        kind, place = reader.split(":")
        block, _, part = place.partition(".")
        first = self.first_sender(int(block))
        if kind == "mlp_out":
            return [first + self.config.n_heads]
        if kind == "q":
            return [first + int(part)]
        return [first + h for h in range(self.config.n_heads) if h // self.config.group == int(part)]

    def live(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask without edges from which no path leads on to the logits."""
        kept, alive = np.zeros_like(mask), np.zeros(len(self.senders), bool)
        for r in range(len(self.readers) - 1, -1, -1):
            reader = self.readers[r]
            if reader == LOGITS or alive[self.node_of(reader)].any():
                kept[r] = mask[r] & self.exists[r]
                alive |= kept[r]
        return kept

    def nodes(self, mask: NDArray[np.bool_]) -> list[str]:
        """Return the names of the senders in a mask."""
        return [self.senders[u] for u in np.flatnonzero((mask & self.exists).any(0))]
