"""The licence gate: what may come in, decided for each document, and what the licence file itself says."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from petitlm.data.sources import spdx as expressions
from petitlm.data.sources.licence_words import licence_of_file, spdx
from petitlm.data.sources.spdx import PUBLIC_DOMAIN, Rights
from petitlm.errors import ConfigError, NotFoundError

__all__ = ["ALLOW", "REASONS", "SHARE_ALIKE", "Evidence", "Policy", "Verdict", "examine", "rights_of", "spdx"]

ALLOW = (
    PUBLIC_DOMAIN, "CC-PDM-1.0", "CC0-1.0", "Unlicense", "PDDL-1.0", "CC-BY-?.?", "LicenseRef-CC-BY", "MIT", "MIT-0",
    "0BSD", "BSD-*", "LicenseRef-BSD", "ISC", "Apache-2.0", "PSF-2.0", "Python-2.0",
)  # fmt: skip
"""Licences that ask at most for a mention of the author."""
SHARE_ALIKE = ("CC-BY-SA-?.?", "LicenseRef-CC-BY-SA")
"""Licences that ask for the same licence on what is made of them: a group of the mixture of their own."""
SHARE_ALIKE_GROUP = "share-alike"

REASONS: Mapping[str, str] = {
    "no-licence": "nothing says under which licence the text may be used",
    "unknown-licence": "the words about the licence mean no licence we can name",
    "licence-denied": "the recipe denies this licence",
    "licence-not-allowed": "the licence is not among those allowed",
    "share-alike": f"a share-alike licence outside a source of the group {SHARE_ALIKE_GROUP!r}",
    "licence-file-missing": "the licence file that the source names is not there",
    "licence-file-changed": "the licence file is not the one that was registered",
    "laundering": "the source claims more than the licence file, or the document itself, grants",
}
"""Why the gate refuses a document: the closed list."""


def rights_of(expression: str) -> dict[str, Any]:
    """The column `rights` of a document under this SPDX expression."""
    return {**asdict(expressions.rights_of(expression)), "output_terms": None}


class Evidence(NamedTuple):
    """What is known about the licence of a source, and how."""

    licence: str | None
    """SPDX expression that the source claims."""
    kind: str
    """One of `schema.EVIDENCE`: declared (no file), computed (a file was hashed), corroborated (it says the same)."""
    sha256: str | None
    """Of the licence file, as found."""
    registered: str | None
    """SHA-256 in hexadecimal that the source was registered with."""
    found: str | None
    """SPDX expression of the licence file, where it could be told."""
    words: str = ""
    """The claim as it was made."""
    missing: bool = False


class Verdict(NamedTuple):
    """Whether a document may come in."""

    licence: str | None
    """SPDX expression to write into the document; None where it is not known."""
    reason: str | None
    """One of `REASONS`; None: allowed."""
    detail: str


def examine(claim: str | None, file: Path | str | None = None, registered_sha256: str | None = None) -> Evidence:
    """Look at the claim of a source and at its licence file, if it names one. Judging is `Policy.judge`'s.

    Raises: NotFoundError if the file's folder is not there at all (a wrong path, rather than a file taken away).
    """
    licence = spdx(claim)
    if file is None:
        return Evidence(licence, "declared", None, registered_sha256, None, claim or "")
    path = Path(file)
    if not path.parent.is_dir():
        raise NotFoundError(f"{path.parent} is not there; licence files are looked up beside the recipe")
    if not path.is_file():
        return Evidence(licence, "declared", None, registered_sha256, None, claim or "", missing=True)
    data = path.read_bytes()
    found = licence_of_file(data.decode(errors="replace"))
    kind = "corroborated" if found is not None and found == licence else "computed"
    return Evidence(licence, kind, hashlib.sha256(data).hexdigest(), registered_sha256, found, claim or "")


@dataclass(frozen=True)
class Policy:
    """Which licences may come in. A pattern is an SPDX identifier with `*` and `?`."""

    allow: tuple[str, ...] = ALLOW
    deny: tuple[str, ...] = ()
    """Refused even where `allow` has them."""
    share_alike: tuple[str, ...] = SHARE_ALIKE
    """Allowed in sources of the group "share-alike" alone."""
    accept_unlicensed: tuple[str, ...] = ()
    """Source ids, by name, whose texts come in without a licence that we know."""

    def __post_init__(self) -> None:
        if "*" in self.accept_unlicensed:
            raise ConfigError("accept_unlicensed takes the ids of sources one by one; '*' would open it to all")

    @property
    def settings(self) -> dict[str, Any]:
        """Plain values, for the record of the stage."""
        return {name: sorted(value) for name, value in asdict(self).items()}

    def judge(self, evidence: Evidence, document: str | None, source_id: str, group: str = "") -> Verdict:
        """Decide on one document, whose own words about its licence, if any, count beside those of its source.

        A document may be freer than its source says, and then its own licence is taken; where it is narrower, the
        source's claim is worth nothing.
        """
        if broken := self._broken(evidence):
            return broken
        own = spdx(document)
        if document and own is None and not self._accepts(source_id):
            return Verdict(None, "unknown-licence", f"the document says {document[:120]!r}")
        licence = own or evidence.licence
        if licence is None:
            if self._accepts(source_id):
                return Verdict(None, None, f"accepted by name: {source_id}")
            if evidence.words.strip():
                return Verdict(None, "unknown-licence", f"source {source_id} says {evidence.words[:120]!r}")
            return Verdict(None, "no-licence", f"source {source_id}; name it in accept_unlicensed if you may use it")
        verdict = self._allowed(licence, group)
        if verdict.reason and own and evidence.licence and not self._allowed(evidence.licence, group).reason:
            detail = (
                f"source {source_id} claims {evidence.licence} (licence file {evidence.sha256 or 'none'}), the "
                f"document says {own} (sha256 {hashlib.sha256((document or '').encode()).hexdigest()})"
            )
            return Verdict(own, "laundering", detail)
        return verdict

    def _broken(self, evidence: Evidence) -> Verdict | None:
        """What is wrong with the evidence itself, whatever the licence."""
        hashes = f"registered sha256 {evidence.registered or 'none'}, found {evidence.sha256 or 'none'}"
        if evidence.missing:
            return Verdict(evidence.licence, "licence-file-missing", hashes)
        if evidence.found and evidence.licence and _rights(evidence.found).exceed(_rights(evidence.licence)):
            detail = f"claimed {evidence.licence}, the licence file says {evidence.found}; {hashes}"
            return Verdict(evidence.found, "laundering", detail)
        if evidence.registered and evidence.sha256 and evidence.registered.lower() != evidence.sha256:
            return Verdict(evidence.licence, "licence-file-changed", hashes)
        return None

    def _allowed(self, licence: str, group: str) -> Verdict:
        if not expressions.holds(licence, lambda name: not _matches(name, self.deny)):
            return Verdict(licence, "licence-denied", licence)
        allow = self.allow + (self.share_alike if group == SHARE_ALIKE_GROUP else ())
        if expressions.holds(licence, lambda name: _matches(name, allow) and not _matches(name, self.deny)):
            return Verdict(licence, None, licence)
        if expressions.holds(licence, lambda name: _matches(name, self.allow + self.share_alike)):
            return Verdict(licence, "share-alike", f"{licence}; give the source the group {SHARE_ALIKE_GROUP!r}")
        return Verdict(licence, "licence-not-allowed", licence)

    def _accepts(self, source_id: str) -> bool:
        return source_id in self.accept_unlicensed


def _rights(expression: str) -> Rights:
    return expressions.rights_of(expression)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
