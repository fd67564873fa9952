"""Keys and values of texts that were run before, so that a prompt runs only what is new.

A text is cut into blocks of 16 tokens. A block's name is a hash of the model, of every token before it and of its own:
whoever has the name has the same text and, the engine being exact to the bit, the same keys and values. Blocks are kept
in a `Store`, in memory or on disk, and the session that answered last is kept as it is, to the last token.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from petitlm.engine.formats import PANEL
from petitlm.engine.generation import Session
from petitlm.engine.runner import EngineSession, as_ints

BLOCK = PANEL
"""Tokens in a block: what the cache keeps together; up to 15 tokens of a known beginning are run again."""


class Store(Protocol):
    """Blocks by name, the least recently used forgotten first."""

    limit: int
    """Bytes to keep at most."""

    def get(self, name: bytes, n_bytes: int) -> NDArray[np.uint8] | None:
        """Return a block of `n_bytes`, or None."""
        ...

    def put(self, name: bytes, data: NDArray[np.uint8]) -> None:
        """Keep a block."""
        ...

    def touch(self, name: bytes) -> bool:
        """Whether a block is there; it counts as used now."""
        ...


class MemoryStore:
    """Blocks in memory."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._blocks: OrderedDict[bytes, NDArray[np.uint8]] = OrderedDict()

    def get(self, name: bytes, n_bytes: int) -> NDArray[np.uint8] | None:
        return self._blocks.get(name)

    def put(self, name: bytes, data: NDArray[np.uint8]) -> None:
        self.used += data.nbytes - (self._blocks[name].nbytes if name in self._blocks else 0)
        self._blocks[name] = data
        while self.used > self.limit:
            self.used -= self._blocks.popitem(last=False)[1].nbytes

    def touch(self, name: bytes) -> bool:
        if name not in self._blocks:
            return False
        self._blocks.move_to_end(name)
        return True


class Start(NamedTuple):
    """A session to answer with."""

    session: Session
    n_reused: int
    """Tokens of the prompt that its slot 0 holds already."""
    seconds: float
    """What getting them took."""


class Prefixes:
    """The sessions of one model, each starting with as much of its prompt as is known."""

    def __init__(self, open_session: Callable[[int, int], Session], store: Store | None = None,
                 root: bytes = b"") -> None:
        """`open_session(slots, length)` makes a session; `root` names the model, for names of blocks on disk."""
        self._open, self._store, self._root = open_session, store, root
        self._warm: tuple[Session, list[int]] | None = None  # the last answer's session, and the tokens it holds

    def take(self, prompt: Sequence[int], length: int, slots: int = 1) -> Start:
        """Return a session with room for `slots` sequences of `length` tokens.

        Raises: DoesNotFitError, before memory is taken.
        """
        begun = time.perf_counter()
        n_reused, known = 0, prompt[:-1]  # the last token's logits are needed
        if slots > 1 or self._warm is None:
            session = self._open(slots, length)
        else:
            (session, held), self._warm = self._warm, None  # taken: a second answer meanwhile gets its own
            session.reserve(length)
            same = (a == b for a, b in zip(held, known, strict=False))
            n_reused = sum(1 for _ in takewhile(bool, same))
        if self._store is not None:
            n_reused = max(n_reused, self._restore(session, known, n_reused // BLOCK))
        return Start(session, n_reused, time.perf_counter() - begun)

    def give_back(self, session: Session, ids: Sequence[int], slots: int = 1) -> None:
        """Take a session back whose slot 0 holds the tokens `ids`, and keep them."""
        if slots == 1:
            self._warm = session, list(ids)
        if self._store is None:
            return
        assert isinstance(session, EngineSession)
        names = list(self._names(ids))[: self._store.limit // session.n_bytes(0, BLOCK)]
        # What follows a block that was missing or damaged is written anew: nobody has looked at it.
        n_kept = sum(1 for _ in takewhile(self._store.touch, names))
        # The last block first: of one text, the end is forgotten before the beginning, without which it is useless.
        for i in range(len(names) - 1, -1, -1):
            if i < n_kept:
                self._store.touch(names[i])
            else:
                self._store.put(names[i], session.export(0, i * BLOCK, (i + 1) * BLOCK))

    def _restore(self, session: Session, ids: Sequence[int], n_held: int) -> int:
        """Put known blocks from the `n_held`-th on into slot 0; return how many tokens it holds then."""
        assert isinstance(session, EngineSession) and self._store is not None
        n_bytes, n = session.n_bytes(0, BLOCK), n_held
        for name in self._names(ids, n_held):
            block = self._store.get(name, n_bytes)
            if block is None:
                break
            session.restore(0, n * BLOCK, (n + 1) * BLOCK, block)
            n += 1
        return n * BLOCK

    def _names(self, ids: Sequence[int], first: int = 0) -> Iterator[bytes]:
        """Yield the names of the whole blocks of a text, from the `first` on."""
        name, data = self._root, as_ints(ids)
        for i in range(len(ids) // BLOCK):
            name = hashlib.sha256(name + data[i * BLOCK : (i + 1) * BLOCK].tobytes()).digest()
            if i >= first:
                yield name
