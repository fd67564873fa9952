"""A recorded journal as a teacher: the same replies again, for tests, audits and making the documents anew."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from petitlm.data.teachers.journal import Journal
from petitlm.data.teachers.protocol import Answer, Identity, PermanentError, Reply, Request
from petitlm.errors import DamagedError


class Replay:
    """Answers from `journal.sqlite` of an earlier run, as the teacher of that run."""

    def __init__(self, path: Path) -> None:
        journal = Journal(path, read_only=True)
        try:
            known = journal.meta("identity")
            self._entries = {entry.call_id: entry for entry in journal.entries()}
        finally:
            journal.close()
        fields = {field.name for field in dataclasses.fields(Identity)}
        if not isinstance(known, dict) or set(known) != fields:
            raise DamagedError(f"{path} does not say who answered; it is no journal of a finished start")
        self._identity = Identity(**known)

    def identity(self) -> Identity:
        """The recorded one: the documents are that teacher's."""
        return self._identity

    def complete(self, request: Request) -> Answer:
        """The recorded reply.

        Raises: PermanentError where there is none.
        """
        entry = self._entries.get(request.call_id)
        if entry is None or (entry.state != "done" and not entry.error):
            raise PermanentError("the recorded journal has no reply to this call")
        if entry.state != "done" or entry.reply is None:
            raise PermanentError(entry.error)
        return Answer(entry.reply, entry.attempts)

    def inspect(self, reply: Reply) -> None:
        """What was recorded was looked at then."""

    def probe(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """A recording does not change."""
        return known
