"""What every teacher is: somebody with an identity who completes requests, and says how it went wrong if it did.

A reply travels as the bytes of an OpenAI chat completion, whoever wrote it: they go into the journal before anything
looks into them, and a recorded journal can be read again without the teacher.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from petitlm.data.corpus.stage import canonical
from petitlm.errors import PetitError

UNKNOWN = "unknown"


class TeacherError(PetitError):
    """Something went wrong with a teacher."""


class RetryError(TeacherError):
    """It may go well later: busy, out of order, out of reach, or a reply that makes no sense."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s
        """Seconds that the server asks everybody to wait; None: it does not say."""


class PermanentError(TeacherError):
    """This request will never be answered; others may be."""


class StopError(TeacherError):
    """No request will be answered: wrong key, no credit left, no such model."""


class ChangedError(StopError):
    """Another model answers under the same name."""


@dataclass(frozen=True)
class Identity:
    """Who a teacher is, and under which terms its outputs may be used."""

    name: str
    revision: str
    """What the server, or the folder, calls this version of it."""
    weights_sha: str = UNKNOWN
    licence: str = ""
    """SPDX expression of the weights; empty: not known."""
    output_terms: str = ""
    """What may be done with its outputs: an SPDX expression, or words; empty: not known."""
    terms_from: str = "declared"
    """How the terms are known, one of `schema.EVIDENCE`; "declared" where the user states them."""
    origin: str = "teacher"
    """"teacher", "own" (a model of petit) or "procedural"."""

    @property
    def key(self) -> str:
        """Hash of who it is: part of every call's name. Terms are not: stating them anew changes no reply."""
        return hashlib.sha256(canonical([self.name, self.revision, self.weights_sha]).encode()).hexdigest()


@dataclass(frozen=True)
class Request:
    """One thing asked of a teacher."""

    messages: tuple[tuple[str, str], ...]
    """(role, text)"""
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    """Tells calls with equal prompts apart; sent along, and never relied on."""
    call_id: str = ""

    @property
    def sampling(self) -> dict[str, Any]:
        """How the reply is drawn."""
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}

    @property
    def n_bytes(self) -> int:
        """Bytes of the prompt."""
        return sum(len(text.encode()) for _, text in self.messages)


def call_id(identity: Identity, request: Request, seed_doc: str) -> str:
    """Name of a call: who is asked what, how, about which document. The same call has the same name in every run."""
    said = canonical([identity.key, [list(m) for m in request.messages], request.sampling, seed_doc])
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


class Answer(NamedTuple):
    """What came back, not looked into yet."""

    raw: bytes
    attempt: int | None = None
    """Which try it was; None: the one that is being made."""


class Teacher(Protocol):
    """Completes requests; called from several threads at once."""

    def identity(self) -> Identity:
        """Who answers. Asks the teacher, if it must, the first time only."""
        ...

    def complete(self, request: Request) -> Answer:
        """Answer one request.

        Raises: RetryError, PermanentError, StopError.
        """
        ...

    def inspect(self, reply: Reply) -> None:
        """Look at who says that it wrote a reply.

        Raises: ChangedError.
        """
        ...

    def probe(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Ask what tells this teacher from another: the marks of its answers. With `known` marks, compare.

        Raises: ChangedError if the marks are others; RetryError.
        """
        ...


@dataclass(frozen=True)
class Reply:
    """A chat completion, read."""

    text: str
    finish: str
    """"stop", "length", "content_filter" or what else the server says."""
    n_prompt: int | None
    """Tokens; None where the server does not count."""
    n_generated: int | None
    model: str
    """Who the server says wrote it."""


def read_reply(raw: bytes) -> Reply:
    """Read the bytes of a chat completion.

    Raises: RetryError where they are none.
    """
    try:
        value = json.loads(raw)
        choice = value["choices"][0]
        text, finish = choice["message"].get("content") or "", choice.get("finish_reason") or ""
        if not isinstance(text, str) or not isinstance(finish, str):
            raise TypeError("the content is not text")
        usage = value.get("usage") or {}
        counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
        return Reply(text, finish, counts[0], counts[1], str(value.get("model") or ""))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        shown = raw[:80].decode(errors="replace")
        raise RetryError(f"the reply is no chat completion ({type(error).__name__}): {shown!r}") from None


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and value >= 0 else None


def completion(text: str, finish: str, model: str, n_prompt: int | None = None, n_generated: int | None = None,
               **more: Any) -> bytes:
    """The bytes of a chat completion, for teachers that are no server."""
    usage = {} if n_prompt is None else {"usage": {"prompt_tokens": n_prompt, "completion_tokens": n_generated}}
    message = {"role": "assistant", "content": text}
    return canonical({"object": "chat.completion", "model": model, **usage, **more,
                      "choices": [{"index": 0, "message": message, "finish_reason": finish}]}).encode()
