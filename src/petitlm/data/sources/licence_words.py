"""Licences in people's words, and in the text of licence files, as SPDX expressions."""

from __future__ import annotations

import re

from petitlm.data.sources.spdx import PUBLIC_DOMAIN, is_known, usual

_CC_WORDS = r"(?:creative\s+commons\s+|cc[\s-]?)"
_NC = r"non[\s-]?commercial|nc|pas\s+d['’]utilisation\s+commerciale"
_ND = r"no[\s-]?deriv(?:ative)?s?(?:\s+works)?|nd|pas\s+de\s+modifications?"
_SA = r"share[\s-]?alike|sa|partage\s+dans\s+les\s+m[êe]mes\s+conditions"
_CC = re.compile(
    rf"(?:{_CC_WORDS}(?:licen[cs]e\s+)?)(?:by|attribution)(?P<parts>(?:[\s,–-]+(?:{_NC}|{_ND}|{_SA})\b)*)"
    rf"(?:[\s-]+(?:licen[cs]e[\s,]+)?(?:version\s+)?v?(?P<version>[1-4]\.[05])\b)?",
    re.I,
)
_CC_URL = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/licenses/(?P<parts>by(?:-[a-z]{2})*)/"
                     r"(?P<version>\d\.\d)(?:/[\w./-]*)?", re.I)  # fmt: skip
_CC0 = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/publicdomain/zero/1\.0(?:/[\w./-]*)?|"
    r"cc[\s-]?(?:zero|0)(?:[\s-]?v?1\.0)?(?:\s+universal)?(?:\s+public\s+domain\s+dedication)?\b",
    re.I,
)
_PUBLIC = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/publicdomain/mark/1\.0(?:/[\w./-]*)?|"
    r"public[\s-]domain|domaine\s+public|gemeinfrei|licenseref-public-domain",
    re.I,
)
_NAMED: tuple[tuple[str, str], ...] = (
    (r"apache(?:[\s-]+(?:software[\s-]+)?(?:licen[cs]e)?,?[\s-]*(?:version\s+)?v?2(?:\.0)?)", "Apache-2.0"),
    (r"(?:the\s+)?mit(?:\s+licen[cs]e)?\b", "MIT"),
    (r"(?:bsd[\s-]+)?3[\s-]clause(?:[\s-]+bsd)?|(?:new|modified)\s+bsd", "BSD-3-Clause"),
    (r"(?:bsd[\s-]+)?2[\s-]clause(?:[\s-]+bsd)?|simplified\s+bsd", "BSD-2-Clause"),
    (r"psf(?:[\s-]?2(?:\.0)?)?\b|psfl\b", "PSF-2.0"),
    (r"python\s+software\s+foundation(?:\s+licen[cs]e)?(?:\s+version\s+2)?", "PSF-2.0"),
    (r"academic\s+free\s+licen[cs]e,?\s*(?:version\s+)?v?3\.0", "AFL-3.0"),
    (r"odc[\s-]by(?:[\s-]?v?1\.0)?", "ODC-By-1.0"),
    (r"odbl(?:[\s-]?v?1\.0)?|open\s+database\s+licen[cs]e", "ODbL-1.0"),
    (r"(?:licence\s+ouverte|open\s+licence)(?:\s*/\s*open\s+licence)?(?:\s+etalab)?(?:\s+v?2\.0)?", "etalab-2.0"),
    (r"open\s+government\s+licen[cs]e(?:\s+v?3\.0)?", "OGL-UK-3.0"),
    (r"(?:gnu\s+)?agpl(?:[\s-]?v?3(?:\.0)?)?", "AGPL-3.0-only"),
    (r"(?:gnu\s+)?lgpl[\s-]?v?3(?:\.0)?", "LGPL-3.0-only"),
    (r"(?:gnu\s+)?lgpl[\s-]?v?2\.1", "LGPL-2.1-only"),
    (r"(?:gnu\s+)?gpl[\s-]?v?3(?:\.0)?", "GPL-3.0-only"),
    (r"(?:gnu\s+)?gpl[\s-]?v?2(?:\.0)?", "GPL-2.0-only"),
    (r"(?:gnu\s+)?gpl\b", "LicenseRef-GPL"),
    (r"bsd\b", "LicenseRef-BSD"),
    (r"apache\b", "LicenseRef-Apache"),
)
_RULES = [(re.compile(rf"\b(?:{pattern})", re.I), name) for pattern, name in _NAMED]
# Words that say nothing about a licence. Anything else left over makes the whole unknown: "CC BY 4.0 except chapter 3".
_FILLER = frozenset(
    """a the of in to are is as by be this these and und et texts text texte textes it its it's under sous licence
    licences license licenses licensed terms international universal unported generic translation translations
    traduction traductions contributed encoding encoded markup mark up mark-up code documentation docs data dataset
    content work works version v dedication deed notice document each le la les du de dans sont est données
    united states us usa country countries life author plus years whichever more permissive lifetime worldwide
    copyright with see at""".split()  # noqa: SIM905
)
_OR = re.compile(r"\bor\b|\bou\b|\|", re.I)


def spdx(words: str | None) -> str | None:
    """The SPDX expression that some words mean; None where they are missing, unclear or say more than we can read.

    An SPDX expression of known licences comes back in its usual form. "CC BY" without a version is
    `LicenseRef-CC-BY`: SPDX numbers every version. Several licences are joined by AND, so that all of them hold,
    and by OR only where the words say "or".
    """
    if not words or len(words) > 500:
        return None
    return usual(words) or _from_prose(words)


def _from_prose(words: str) -> str | None:
    rest = words
    found: list[tuple[int, int, str]] = []
    for pattern, name in ((_CC_URL, _cc), (_CC0, "CC0-1.0"), (_PUBLIC, PUBLIC_DOMAIN), (_CC, _cc), *_RULES):
        for match in pattern.finditer(rest):
            found.append((match.start(), match.end(), name if isinstance(name, str) else name(match)))
        rest = pattern.sub(lambda match: "\0" * len(match[0]), rest)
    left = re.findall(r"[^\W\d_](?:[\w'’-]*\w)?", _OR.sub(" ", rest))
    unclear = [word for word in left if word.lower() not in _FILLER] or re.search(r"\d+\.\d", rest)
    if not found or unclear:
        return None
    found.sort()
    expression = found[0][2]
    seen = {expression}
    for (_, end, _), (start, _, name) in zip(found, found[1:], strict=False):
        if name not in seen:
            either = _OR.search(rest, end, start)
            expression = f"{expression} {'OR' if either else 'AND'} {name}"
            seen.add(name)
    return usual(expression)


def _cc(found: re.Match[str]) -> str:
    parts = found["parts"] or ""
    names = ["BY"] + [name for name, pattern in (("NC", _NC), ("ND", _ND), ("SA", _SA))
                      if re.search(rf"(?:^|[\s,–-])(?:{pattern})(?![a-z])", parts, re.I)]  # fmt: skip
    name = "CC-" + "-".join(names)
    full = f"{name}-{found['version']}" if found["version"] else ""
    return full if is_known(full) else f"LicenseRef-{name}"


_TITLES: tuple[tuple[str, str], ...] = (
    (r"creative\s+commons\s+(?:legal\s+code\s+)?(?P<cc>attribution[\w\s-]{0,60}?\d\.\d)", ""),
    (r"cc0\s+1\.0\s+universal", "CC0-1.0"),
    (r"permission\s+is\s+hereby\s+granted,\s+free\s+of\s+charge,\s+to\s+any\s+person", "MIT"),
    (r"apache\s+license\s+version\s+2\.0", "Apache-2.0"),
    (r"python\s+software\s+foundation\s+license\s+version\s+2", "PSF-2.0"),
    (r"redistribution\s+and\s+use\s+in\s+source\s+and\s+binary\s+forms", "LicenseRef-BSD"),
    (r"gnu\s+affero\s+general\s+public\s+license\s+version\s+3", "AGPL-3.0-only"),
    (r"gnu\s+lesser\s+general\s+public\s+license\s+version\s+3", "LGPL-3.0-only"),
    (r"gnu\s+general\s+public\s+license\s+version\s+3", "GPL-3.0-only"),
    (r"gnu\s+general\s+public\s+license\s+version\s+2", "GPL-2.0-only"),
    (r"gnu\s+free\s+documentation\s+license", "GFDL-1.3-or-later"),
    (r"this\s+is\s+free\s+and\s+unencumbered\s+software", "Unlicense"),
)


def licence_of_file(text: str) -> str | None:
    """The licence that a licence file holds, by its title; None where none is recognised.

    Where a file holds several, the first one counts, and so do all Creative Commons ones that forbid commercial use
    or changes: nothing narrower than the file says may be missed.
    """
    text = text[:200_000]
    short = spdx(text.strip()) if len(text) < 500 else None
    if short:
        return short
    found: list[tuple[int, str]] = []
    for pattern, name in _TITLES:
        for match in re.finditer(pattern, re.sub(r"[^\S\n]+", " ", text), re.I):
            if licence := name or spdx(f"CC {match['cc']}"):
                found.append((match.start(), licence))
    found.sort()
    narrow = [name for _, name in found if "-NC" in name or "-ND" in name]
    names = list(dict.fromkeys([name for _, name in found[:1]] + narrow))
    return " AND ".join(names) or None
