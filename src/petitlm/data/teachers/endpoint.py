"""Any server that speaks OpenAI's chat completions, local or hosted, through the `openai` library.

The library is told not to retry: waiting is ours, so that it is on record and within the budgets. Nothing is sent
anywhere unless a base URL is given.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from petitlm.data.corpus.stage import canonical
from petitlm.data.teachers.protocol import (
    Answer,
    ChangedError,
    Identity,
    PermanentError,
    Reply,
    Request,
    RetryError,
    StopError,
    TeacherError,
    read_reply,
)
from petitlm.errors import UsageError

PROBE = "Name five rivers, then five trees, one word each, separated by commas."
_PROBE_TOKENS = 24
_PROBE_TRIES = 3
"""Servers that batch do not give the same bits each time: a mark is the set of what they said."""
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance")


class Endpoint:
    """A model behind a base URL, such as http://localhost:8000/v1."""

    def __init__(self, base_url: str, model: str, key: str = "", timeout_s: float = 120.0, licence: str = "",
                 output_terms: str = "", now: Callable[[], float] = time.time) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f"{base_url!r} is not the address of a server; give one such as http://localhost:8000/v1")
        if not model:
            raise UsageError(f"which model of {base_url} is to answer? Give --model")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.base_url, self.model, self._now = base_url, model, now
        self._licence, self._terms = licence, output_terms
        self._client = openai.OpenAI(base_url=base_url, api_key=key or "none", max_retries=0, timeout=timeout_s)
        self._identity: Identity | None = None
        self._served, self._limit, self._with_seed = "", "max_tokens", True
        self.can: dict[str, Any] = {}
        """What the probe at the start found: context length, JSON schema, logprobs; None where it cannot be told."""

    def identity(self) -> Identity:
        """Ask which model answers under the name, and what the server can do.

        Raises: StopError where the server does not have the model; RetryError where it cannot be reached.
        """
        if self._identity is None:
            listed = self._listed()
            first = read_reply(self._first())
            self._served = first.model or self.model
            if not _same_model(self.model, self._served):
                raise ChangedError(f"{self.base_url} was asked for {self.model!r} and {self._served!r} answers")
            known = {name: listed.get(name) for name in ("root", "owned_by", "max_model_len")}
            digest = hashlib.sha256(canonical([self._served, known]).encode()).hexdigest()[:8]
            self.can = {"context": listed.get("max_model_len"), **self._features()}
            self._identity = Identity(self.model, f"{self._served}+{digest}", licence=self._licence,
                                      output_terms=self._terms)
        return self._identity

    def complete(self, request: Request) -> Answer:
        """Send one request.

        Raises: RetryError, PermanentError, StopError.
        """
        return Answer(self._ask(request))

    def inspect(self, reply: Reply) -> None:
        """The model that a reply names must be the one that answered at the start.

        Raises: ChangedError.
        """
        if reply.model and reply.model != self._served:
            raise ChangedError(f"{self.base_url} answered as {self._served!r} and now answers as {reply.model!r}")

    def probe(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Ask a fixed question: what is said to it tells models apart that share a name.

        Raises: ChangedError where none of a few tries is among the `known` marks.
        """
        marks: list[str] = []
        for _ in range(_PROBE_TRIES):
            reply = read_reply(self._ask(_probe_request()))
            self.inspect(reply)
            mark = hashlib.sha256(reply.text.strip().encode()).hexdigest()[:16]
            if mark in known:
                return known
            marks.append(mark)
        if known:
            raise ChangedError(f"{self.base_url} answers a fixed question otherwise than before, under the same name "
                               f"{self.model!r}: another model, or other weights")
        return tuple(sorted(set(marks)))

    def _first(self) -> bytes:
        """The first reply, by the names of parameters that this server takes: some refuse `seed`, newer ones
        `max_tokens`."""
        last: TeacherError | None = None
        for limit, with_seed in ((n, s) for n in ("max_tokens", "max_completion_tokens") for s in (True, False)):
            self._limit, self._with_seed = limit, with_seed
            try:
                return self._ask(_probe_request())
            except PermanentError as error:
                last = error
        raise StopError(f"no request is taken: {last}")

    def _listed(self) -> Mapping[str, Any]:
        """What the server's list of models says of ours; nothing where it has no such list."""
        try:
            raw = self._call(lambda: self._client.models.with_raw_response.list().content)
            models = {str(m["id"]): m for m in json.loads(raw)["data"]}
        except (PermanentError, ValueError, KeyError, TypeError):
            return {}
        if models and self.model not in models:
            names = ", ".join(sorted(models)[:10])
            raise StopError(f"{self.base_url} has no model {self.model!r}; it has {names}")
        return models.get(self.model, {})

    def _features(self) -> dict[str, bool]:
        """Whether the server takes a JSON schema, and gives log-probabilities: each asked once."""
        schema = {"type": "json_schema", "json_schema": {"name": "one", "schema": {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}
        return {"json_schema": self._takes(response_format=schema), "logprobs": self._takes(logprobs=True)}

    def _takes(self, **more: Any) -> bool:
        try:
            raw = self._ask(_probe_request(), **more)
            return "logprobs" not in more or bool(json.loads(raw)["choices"][0].get("logprobs"))
        except (RetryError, PermanentError, ValueError, KeyError, IndexError, TypeError, AttributeError):
            return False

    def _ask(self, request: Request, **more: Any) -> bytes:
        messages: Any = [{"role": role, "content": text} for role, text in request.messages]
        more = {**more, self._limit: request.max_tokens} | ({"seed": request.seed} if self._with_seed else {})
        return self._call(lambda: self._client.chat.completions.with_raw_response.create(
            model=self.model, messages=messages, temperature=request.temperature, top_p=request.top_p, **more).content)

    def _call(self, send: Callable[[], bytes]) -> bytes:
        """Send, and say what kind of trouble there was, if any."""
        try:
            return send()
        except openai.APIStatusError as error:
            raise self._trouble(error) from None
        except (openai.APIConnectionError, openai.APITimeoutError) as error:
            raise RetryError(f"{self.base_url}: {error.__cause__ or error}") from None
        except openai.APIError as error:  # a body that is no JSON
            raise RetryError(f"{self.base_url}: {error}") from None

    def _trouble(self, error: openai.APIStatusError) -> TeacherError:
        said = f"{self.base_url} says {error.status_code}: {' '.join(error.message.split())[:200]}"
        if error.status_code in (401, 403):
            return StopError(f"{said}; check the key (OPENAI_API_KEY)")
        if error.status_code == 402 or (error.status_code == 429 and any(w in error.response.text for w in _NO_CREDIT)):
            return StopError(f"{said}; there is no credit left")
        if error.status_code == 404:
            return StopError(f"{said}; check the address and --model")
        if error.status_code in (408, 409, 425, 429) or error.status_code >= 500:
            return RetryError(said, retry_after(error.response.headers, self._now()))
        return PermanentError(said)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by a server's `Retry-After` (RFC 9110, section 10.2.3), which has seconds or a date; None where
    it does not say. A date is held against the server's own clock, where it gives it: ours may be wrong."""
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(0.0, float(said)) if math.isfinite(float(said)) else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(said).timestamp()
    except (TypeError, ValueError):
        return None
    with contextlib.suppress(KeyError, TypeError, ValueError):
        now = parsedate_to_datetime(headers["date"]).timestamp()
    return max(0.0, until - now)


def _same_model(asked: str, served: str) -> bool:
    """Whether the name of a model that answers is the one asked for: `gpt-4o` is served as `gpt-4o-2024-08-06`."""
    return served == asked or served.startswith(f"{asked}-") or served.rsplit("/", 1)[-1] == asked.rsplit("/", 1)[-1]


def _probe_request() -> Request:
    return Request((("user", PROBE),), _PROBE_TOKENS)
