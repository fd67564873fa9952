"""The verified generators as a teacher: no network, no seed document, every answer checked by a second route.

The prompt of a call is the generator call itself, and so is the reply: the row is made again from it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import petitlm
from petitlm.data.build import remake
from petitlm.data.corpus.generate import check_languages, grammar_sha, row_of
from petitlm.data.corpus.stage import canonical
from petitlm.data.generators import generator
from petitlm.data.record import TRAIN, Origin, Record
from petitlm.data.teachers.protocol import Answer, Identity, PermanentError, Reply, Request, completion

_PATIENCE = 1000
"""Drafts of other splits in a row after which a family has nothing left to give."""


class Procedural:
    """The generators of petit."""

    def identity(self) -> Identity:
        """petit itself; its output is ours to give away."""
        return Identity("petit", petitlm.__version__, grammar_sha(""), "MIT", "MIT", "computed", origin="procedural")

    def complete(self, request: Request) -> Answer:
        """Make and check the record that the prompt names.

        Raises: PermanentError where it fails its check.
        """
        made = _record(json.loads(request.messages[-1][1]))
        if not isinstance(made, Record):
            raise PermanentError(made)
        return Answer(completion(request.messages[-1][1], "stop", "petit", 0, 0))

    def inspect(self, reply: Reply) -> None:
        """Nobody else answers."""

    def probe(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Its version says all."""
        return known


def requests(family: str, language: str, seed: int, limit: int) -> Iterator[Request]:
    """Calls of one family for training, its levels in turn; fewer than `limit` where it has no more.

    Raises: UsageError for a family or language that is not there.
    """
    levels = generator(family).levels
    check_languages(family, language, levels[0], TRAIN)
    found = failed = 0
    for index in itertools.count():
        if found >= limit or failed >= _PATIENCE:
            return
        call = {"family": family, "version": generator(family).version, "language": language, "seed": seed,
                "index": index, "level": levels[found % len(levels)]}
        if _record(call) == "other-split":  # the problem is held out
            failed += 1
            continue
        found, failed = found + 1, 0
        yield Request((("user", canonical(call)),), max_tokens=1, seed=index)


def row_of_reply(text: str) -> dict[str, Any]:
    """The document behind a reply.

    Raises: PermanentError where the generators now make none of it.
    """
    call = json.loads(text)
    made = _record(call)
    if not isinstance(made, Record):
        raise PermanentError(made)
    return row_of(made, call["level"], 0.0, b"") | {"activity_id": None}


def _record(call: dict[str, Any]) -> Record | str:
    """The record of a call, or why there is none."""
    made = remake(Origin(call["family"], call["version"], call["language"], call["seed"], TRAIN, call["index"]), 0.0,
                  call["level"])
    return made if isinstance(made, Record) else made.reason
