"""SPDX expressions of licences, and what they let one do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

PUBLIC_DOMAIN = "LicenseRef-Public-Domain"
"""SPDX has no identifier for "no rights claimed"; this is how it writes an own one."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rights:
    """What a licence allows and asks for; as in the column `rights` of a document."""

    commercial: bool = True
    derivatives: bool = True
    share_alike: bool = False
    attribution: bool = True

    def __and__(self, other: Rights) -> Rights:
        """Both licences hold."""
        return Rights(
            self.commercial and other.commercial,
            self.derivatives and other.derivatives,
            self.share_alike or other.share_alike,
            self.attribution or other.attribution,
        )

    @property
    def duties(self) -> int:
        """How many of the four weigh on who uses the text; of a choice the lightest is taken."""
        return (not self.commercial) * 8 + (not self.derivatives) * 4 + self.share_alike * 2 + self.attribution

    def exceed(self, other: Rights) -> bool:
        """Whether they forbid or ask for something that `other` does not."""
        return (self & other) != other


_FREE = Rights(attribution=False)
_PLAIN = Rights()
_SHARE = Rights(share_alike=True)
_KNOWN: dict[str, Rights] = {
    **dict.fromkeys((PUBLIC_DOMAIN, "CC0-1.0", "Unlicense", "WTFPL", "0BSD", "PDDL-1.0", "MIT-0", "CC-PDM-1.0"), _FREE),
    **dict.fromkeys(
        ("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "LicenseRef-BSD", "ISC", "Zlib",
         "BSL-1.0", "PSF-2.0", "Python-2.0", "AFL-3.0", "ODC-By-1.0", "etalab-2.0", "OGL-UK-3.0", "LicenseRef-CC-BY",
         "Artistic-2.0", "CDLA-Permissive-2.0", "LicenseRef-Apache", "NCSA", "PostgreSQL"), _PLAIN),
    **dict.fromkeys(
        ("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later",
         "LGPL-3.0-only", "LGPL-3.0-or-later", "AGPL-3.0-only", "AGPL-3.0-or-later", "MPL-2.0", "EPL-2.0", "EUPL-1.2",
         "GFDL-1.2-or-later", "GFDL-1.3-or-later", "ODbL-1.0", "LicenseRef-CC-BY-SA", "LicenseRef-GPL"), _SHARE),
}  # fmt: skip
for _version in ("1.0", "2.0", "2.5", "3.0", "4.0"):
    for _parts, _rights in (
        ("BY", _PLAIN),
        ("BY-SA", _SHARE),
        ("BY-NC", Rights(commercial=False)),
        ("BY-ND", Rights(derivatives=False)),
        ("BY-NC-SA", Rights(commercial=False, share_alike=True)),
        ("BY-NC-ND", Rights(commercial=False, derivatives=False)),
    ):
        _KNOWN[f"CC-{_parts}-{_version}"] = _rights
        _KNOWN.setdefault(f"LicenseRef-CC-{_parts}", _rights)
_BRACKETS = ("(", ")")
_BY_LOWER = {name.lower(): name for name in _KNOWN}


def is_known(name: str) -> bool:
    """Whether a licence is one whose terms are in the table above."""
    return name in _KNOWN


def rights_of(expression: str) -> Rights:
    """What an SPDX expression lets one do: all duties of an AND, the lightest side of an OR.

    Of an unknown licence: nothing.
    """
    return fold(
        expression,
        lambda name: _KNOWN.get(name, Rights(False, False, True, True)),
        lambda a, b: a & b,
        lambda a, b: min(a, b, key=lambda rights: rights.duties),
    )


def holds(expression: str, allowed: Callable[[str], bool]) -> bool:
    """Whether an expression can be met with licences that are `allowed`: all of an AND, one of an OR."""
    return fold(expression, allowed, lambda a, b: a and b, lambda a, b: a or b)


def licences_in(expression: str) -> list[str]:
    """The licences that an expression names, each once."""
    return list(dict.fromkeys(re.findall(r"[\w.-]+", re.sub(r"\b(?:AND|OR|WITH)\b", " ", expression))))


def usual(expression: str) -> str | None:
    """The expression in its usual form; None if it is not one, or names a licence that is not known here."""
    tokens = _tokens(expression)
    names = [token if token in _BRACKETS else _BY_LOWER.get(token.lower()) or _operator(token) for token in tokens]
    if not tokens or None in names:
        return None
    try:
        fold(expression, str, lambda a, b: a, lambda a, b: a)
    except ValueError:
        return None
    return " ".join(name for name in names if name).replace("( ", "(").replace(" )", ")")


def fold(text: str, leaf: Callable[[str], T], both: Callable[[T, T], T], either: Callable[[T, T], T]) -> T:
    """The value of an expression: OR binds less than AND, brackets bind most (SPDX 2.3, annex D).

    Raises: ValueError.
    """
    tokens = _tokens(text)

    def choice() -> T:
        value = joint()
        while tokens and _operator(tokens[0]) == "OR":
            tokens.pop(0)
            value = either(value, joint())
        return value

    def joint() -> T:
        value = one()
        while tokens and _operator(tokens[0]) == "AND":
            tokens.pop(0)
            value = both(value, one())
        return value

    def one() -> T:
        if not tokens or tokens[0] == ")" or _operator(tokens[0]):
            raise ValueError(f"a licence is missing before {tokens[0] if tokens else 'the end'!r}")
        token = tokens.pop(0)
        if token != "(":
            return leaf(token)
        value = choice()
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a bracket is not closed")
        return value

    value = choice()
    if tokens:
        raise ValueError(f"unexpected {tokens[0]!r}")
    return value


def _tokens(text: str) -> list[str]:
    return re.findall(r"[()]|[\w.+-]+|[^\s\w]", text[:500])


def _operator(token: str) -> str | None:
    return token.upper() if token.upper() in ("AND", "OR") else None
