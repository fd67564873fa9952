"""The stage `mask`: what names or reaches a person becomes a mark, in French and English texts."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from petitlm.data.corpus.schema import put, put_texts
from petitlm.data.corpus.stage import Rejection, Sifted, keep, plain_fields
from petitlm.data.sources.checksums import is_card, is_iban, is_social_fr
from petitlm.errors import ConfigError


class Found(NamedTuple):
    """A place in a text that is personal."""

    start: int
    end: int
    kind: str


KINDS = {
    "email": "<EMAIL>",
    "iban": "<IBAN>",
    "card": "<CARD>",
    "social": "<SOCIAL>",
    "phone": "<PHONE>",
    "ip": "<IP>",
}
"""What is found, in the order of precedence where two overlap, and the mark that takes its place."""

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-](?:[\w.+%'-]{0,62}[\w+-])?(?:@| ?(?:\[at\]|\(at\)|<at>) ?)"
    r"((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24})(?![\w@-])"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}(?!\w)")
_DIGITS = re.compile(r"(?<![\w.,/+-])\d(?:[ \u00a0-]?\d){11,18}(?![\w/]|[.,-]\d)")
_SOCIAL = re.compile(
    r"(?<![\w.,])[123478](?:[ \u00a0.-]?\d){4}[ \u00a0.-]?(?:\d\d|2[ABab])(?:[ \u00a0.-]?\d){6}[ \u00a0./-]{0,3}"
    r"\d\d(?![\w]|[.,]\d)"
)
_SEP = r"[ \u00a0.\-\u2011]"
_PHONES = (
    # France: ten digits from 0, or after +33; in pairs or all together.
    re.compile(rf"(?<![\w.,/+-])(?:0[1-9]|(?:\+33|0033){_SEP}?(?:\(0\){_SEP}?)?[1-9])(?:{_SEP}?\d\d){{4}}(?!\w|[.,-]\d)"),
    # North America: 3-3-4, area and exchange from 2 on, written with signs between.
    re.compile(rf"(?<![\w.,/-])(?:\+?1{_SEP})?(?:\([2-9]\d\d\) ?|[2-9]\d\d{_SEP})[2-9]\d\d{_SEP}\d{{4}}(?!\w|[.,-]\d)"),
    # Britain: from 0 with a space, or after +44.
    re.compile(rf"(?<![\w.,/+-])(?:\+44{_SEP}?(?:\(0\){_SEP}?)?[1-9]|0[1237])\d{{1,4}}{_SEP}\d{{3,4}}{_SEP}?\d{{3,6}}(?!\w|[.,-]\d)"),
    # Anywhere else: a plus sign, a country and 7 to 12 digits (ITU-T E.164).
    re.compile(rf"(?<![\w.,/+-])\+(?!1{_SEP}|33|44)[1-9]\d{{0,2}}(?:{_SEP}?\(?\d{{1,4}}\)?){{2,5}}(?!\w|[.,-]\d)"),
)  # fmt: skip
# Kept free for films, books and tests: North America 555-0100 to 555-0199; France, ARCEP decision 2018-0881.
_FICTION = re.compile(r"1?\d{3}55501\d\d|(?:33|0)(?:19900|26191|35301|46571|53649|63998)\d{4}")
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:|:(?=:)){2,7}:?(?:[0-9a-fA-F]{1,4}|(?<=::))(?![\w:])")
_NUMBERED = re.compile(r"(?:version|release|section|chapter|chapitre|table|figure|§|\bv|\br|no\.?|n°)[\s.]*$", re.I)
_RESERVED_HOST = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu|fr)|example|test|invalid|localhost)$", re.I
)  # RFC 2606, and the French registry's example.fr
_HINT = re.compile(r"[@+]|\(at\)|\[at\]|<at>|\d{2}|::|[0-9a-fA-F]:", re.I)


@dataclass(frozen=True)
class Mask:
    """Replaces mail addresses, telephone, card, account and social numbers and public network addresses by marks.

    Numbers with a checksum count only if it is right. What standards keep free for examples (example.com, 555-01xx,
    192.168.0.1) is nobody's, and stays. Names and postal addresses are not looked for.
    """

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "directory": "little but personal data: a list of people",
    }

    kinds: tuple[str, ...] = tuple(KINDS)
    exempt: tuple[str, ...] = ("procedural",)
    """Origins whose persons are invented."""
    min_for_directory: int = 10
    """So many marks at least, and"""
    max_share: float = 0.05
    """more of them for each word than this, make a directory, which is rejected."""

    def __post_init__(self) -> None:
        if unknown := set(self.kinds) - KINDS.keys():
            raise ConfigError(f"kinds names {sorted(unknown)}; choose among {', '.join(KINDS)}")

    @property
    def settings(self) -> dict[str, Any]:
        """The fields."""
        return plain_fields(self)

    def __call__(self, rows: pa.Table) -> Sifted:
        """Mask `text`, `answer` and `foil`; answers keep their places; flags say what was found (`pii.email`)."""
        texts, origins = rows.column("text").to_pylist(), rows.column("origin").to_pylist()
        answers, flags = rows.column("answers").to_pylist(), rows.column("flags").to_pylist()
        short = {name: rows.column(name).to_pylist() for name in ("answer", "foil")}
        rejected: list[Rejection] = []
        changed = False
        for row, text in enumerate(texts):
            found = self.find(text or "") if origins[row] not in self.exempt else []
            for values in short.values():
                if values[row] and origins[row] not in self.exempt:
                    values[row] = replaced(values[row], self.find(values[row]))
            if not found:
                continue
            n_words = len(text.split())
            if len(found) >= self.min_for_directory and len(found) > self.max_share * n_words:
                rejected.append(Rejection(row, "directory", f"{len(found)} places in {n_words} words"))
                continue
            changed = True
            texts[row] = replaced(text, found)
            answers[row] = moved(text, found, answers[row]) if answers[row] else answers[row]
            kinds = Counter(place.kind for place in found)
            flags[row] = sorted({*(flags[row] or []), *(f"pii.{kind}" for kind in kinds)})
        if changed:
            rows = put(put(put_texts(rows, texts), "answers", answers), "flags", flags)
        for name, values in short.items():
            rows = put(rows, name, values) if values != rows.column(name).to_pylist() else rows
        return keep(rows, rejected)

    def find(self, text: str) -> list[Found]:
        """Every personal place of a text, in order, none overlapping another."""
        if not _HINT.search(text):
            return []
        taken: list[Found] = []
        for kind in KINDS:
            if kind in self.kinds:
                taken += _free(sorted(_FINDERS[kind](text)), taken, kind)
                taken.sort()
        return taken


def _free(places: Sequence[tuple[int, int]], taken: Sequence[Found], kind: str) -> list[Found]:
    """Of the places, in order, those that overlap no other and nothing in `taken`, in order too."""
    free: list[Found] = []
    last = 0
    for start, end in places:
        after = bisect_right(taken, start, key=lambda other: other.end)  # the first that ends after our start
        if start >= last and (after == len(taken) or taken[after].start >= end):
            free.append(Found(start, end, kind))
            last = end
    return free


def replaced(text: str, found: Sequence[Found]) -> str:
    """The text with marks in the places found."""
    pieces: list[str] = []
    at = 0
    for start, end, kind in found:
        pieces += [text[at:start], KINDS[kind]]
        at = end
    return "".join([*pieces, text[at:]])


def moved(text: str, found: Sequence[Found], ranges: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Byte ranges of the text after `replaced`; an edge inside a place moves outwards, to the end of its mark."""
    old, new = [0], [0]  # byte edges of the places before and after, pair by pair
    at = 0
    for start, end, kind in found:
        gap = len(text[at:start].encode())
        old += [old[-1] + gap, old[-1] + gap + len(text[start:end].encode())]
        new += [new[-1] + gap, new[-1] + gap + len(KINDS[kind])]
        at = end

    def shift(edge: int, outward: int) -> int:
        i = bisect_right(old, edge) - 1
        inside = i % 2 == 1 and edge > old[i]
        return new[i + outward] if inside else new[i] + edge - old[i]

    return [{"start": shift(each["start"], 0), "end": shift(each["end"], 1)} for each in ranges]


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for found in _EMAIL.finditer(text):
        if not _RESERVED_HOST.search(found[1]):
            yield found.span()


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """Account numbers; a word in capitals after one is not part of it, so shorter readings are tried too."""
    for found in _IBAN.finditer(text):
        end = found.end()
        while end > found.start() + 15:
            if text[end - 1].isalnum() and is_iban(re.sub(r"\W", "", text[found.start() : end])):
                yield found.start(), end
                break
            end -= 1


def _cards(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _DIGITS.finditer(text) if is_card(re.sub(r"\D", "", found[0])))


def _socials(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _SOCIAL.finditer(text) if is_social_fr(re.sub(r"\W", "", found[0]).upper()))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for pattern in _PHONES:
        for found in pattern.finditer(text):
            digits = re.sub(r"\D", "", found[0])
            if 7 <= len(digits) <= 15 and digits != "0123456789" and not _FICTION.fullmatch(digits.removeprefix("00")):
                yield found.span()


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_IP4, _IP6):
        for found in pattern.finditer(text):
            if _is_public(found[0]) and not _NUMBERED.search(text[max(found.start() - 12, 0) : found.start()]):
                yield found.span()


def _is_public(address: str) -> bool:
    """Whether somebody may be behind an address; `1.2.3.4` is a version, or an example, far more often."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed.version == 6:
        return parsed.is_global and int(parsed) >> 125 == 0b001  # the only part that is given to anybody (RFC 4291)
    return parsed.is_global and max(parsed.packed) > 9


_FINDERS: Mapping[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "social": _socials,
    "phone": _phones,
    "ip": _addresses,
}
