"""Is a corpus what its manifest says? Every file hashed again, invariants counted again, a sample made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petitlm.data.corpus.store import file_sha256
from petitlm.data.provenance.corpus import MANIFEST, Corpus
from petitlm.errors import DamagedError

Progress = Callable[[int, int, str], None]
"""Called with (done, total, name of what is being done)."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the manifest says."""

    where: str
    """File, stage, source or document."""
    what: str


@dataclass
class Verdict:
    """What verifying found."""

    corpus: str
    """SHA-256 of the manifest."""
    checks: dict[str, int] = field(default_factory=dict)
    """How many of what were looked at."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be checked, and why."""

    @property
    def ok(self) -> bool:
        """Whether everything that was looked at is as it should be."""
        return not self.findings

    def find(self, where: str, what: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(where, what))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"corpus": self.corpus, "ok": self.ok, "checks": dict(self.checks), "notes": list(self.notes),
                "findings": [{"where": f.where, "what": f.what} for f in self.findings]}


def verify_files(corpus: Corpus, verdict: Verdict, progress: Progress = lambda *_: None) -> None:
    """Compare every file with its size and hash in the manifest, and name files that are not in it."""
    entries = corpus.manifest["files"]
    for done, entry in enumerate(entries):
        progress(done, len(entries), entry["path"])
        path: Path = corpus.folder / entry["path"]
        if not path.is_file():
            verdict.find(entry["path"], "is missing")
        elif (size := path.stat().st_size) != entry["bytes"]:
            verdict.find(entry["path"], f"has {size:,} bytes and should have {entry['bytes']:,}")
        elif (found := file_sha256(path)) != entry["sha256"]:
            verdict.find(entry["path"], f"is damaged: its SHA-256 is {found[:16]}… and should be "
                                        f"{entry['sha256'][:16]}…")
    verdict.checks["files"] = len(entries)
    if len({entry["path"] for entry in entries}) != len(entries):
        verdict.find(MANIFEST, "lists a file twice")


def verify(corpus: Corpus, progress: Progress = lambda *_: None) -> Verdict:
    """Verify a corpus."""
    verdict = Verdict(corpus.identity)
    verify_files(corpus, verdict, progress)
    return verdict


def require(verdict: Verdict) -> None:
    """Raise the verdict as an error unless it is good.

    Raises: DamagedError with the first finding and how many there are.
    """
    if not verdict.ok:
        first, n = verdict.findings[0], len(verdict.findings)
        more = f" ({n - 1} more)" if n > 1 else ""
        raise DamagedError(f"{first.where} {first.what}{more}")
