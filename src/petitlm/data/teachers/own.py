"""A model of petit as a teacher: its identity is its hash, so a text leads on to the manifest it was trained by."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from petitlm.data.teachers.protocol import Answer, Identity, PermanentError, Reply, Request, completion
from petitlm.errors import ContextError, UsageError


class Said(NamedTuple):
    """What a model wrote."""

    text: str
    finish: str
    """"stop" or "length"."""
    n_prompt: int
    n_generated: int


class Own:
    """A checkpoint in this process. `generate` answers a request; one at a time, as the engine has its own threads."""

    def __init__(self, name: str, digest: str, generate: Callable[[Request], Said], licence: str = "",
                 output_terms: str = "", terms_from: str = "declared") -> None:
        if not digest:
            raise UsageError(f"the model {name!r} has no hash, so nothing could be traced to it")
        self._identity = Identity(name, digest[:16], digest, licence, output_terms, terms_from, origin="own")
        self._generate, self._lock = generate, Lock()

    def identity(self) -> Identity:
        """Name and hash of the weights."""
        return self._identity

    def complete(self, request: Request) -> Answer:
        """Answer one request.

        Raises: PermanentError where it does not fit in the model's context.
        """
        with self._lock:
            try:
                said = self._generate(request)
            except ContextError as error:
                raise PermanentError(str(error)) from None
        return Answer(completion(said.text, said.finish, self._identity.name, said.n_prompt, said.n_generated))

    def inspect(self, reply: Reply) -> None:
        """It is in this process: nobody else answers."""

    def probe(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Its hash says all."""
        return known


def most_own(n_others: int, n_own: int, share: float) -> int:
    """How many more documents of our own models may join `n_others` and `n_own`, if they are to be `share` at most.

    Training on one's own texts again and again loses the rare ones (Shumailov et al. 2024, doi:10.1038/s41586-024-
    07566-y), so a share of others has to stay.
    Raises: UsageError for a share that is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise UsageError(f"a share of {share} of own texts is not from 0 to below 1")
    return max(0, int(share * n_others / (1 - share) + 1e-9) - n_own)
