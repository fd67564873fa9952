"""Text that was UTF-8 and was read as Windows-1252: `cafÃ©`, `donâ€™t`. Repaired only where it can be nothing else."""

from __future__ import annotations

import re
from typing import NamedTuple


class Repair(NamedTuple):
    """A text after the repair."""

    text: str
    n_repaired: int
    n_left: int
    """Sequences that look the same, but may be meant: examples in a text about encodings, or a mixture."""


def _bytes_of() -> dict[str, int]:
    """What each letter of Windows-1252 and of Latin-1 was as a byte, from 0x80 on."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0x100):
        letter = bytes([byte]).decode("cp1252", errors="ignore")
        if letter:
            table[letter] = byte
    return table


_BYTES = _bytes_of()
_NEXT = "".join(re.escape(letter) for letter, byte in _BYTES.items() if 0x80 <= byte <= 0xBF)
# The lead bytes of what English and French texts hold: C2, C3 and C5 (accents, œ), E2 (quotes, dashes, €), F0 (emoji);
# and the ˆ, ˜ and ƒ (CB, C6) that a second damage makes of the first.
# The other leads are letters that stand before such signs in sound French: the É of `CAFÉ »`.
_SEQUENCE = re.compile(f"[ÂÃÅ][{_NEXT}]|Ë[†œ]|Æ’|â[{_NEXT}]{{2}}|ðŸ[{_NEXT}]{{2}}")
_LETTER = re.compile(r"[^\W\d_a-zA-Z]")
_ROUNDS = 3  # text damaged twice is seen, three times hardly


def repair(text: str) -> Repair:
    """Repair sequences that are certain; leave, and count, the others.

    Certain are all sequences of a text that has no sound accented letter, and in which at least one sequence touches
    a word or number, or has three or more letters. A text with both is a mixture, or speaks about encodings, and
    nobody can say which.
    """
    n_repaired = 0
    for _ in range(_ROUNDS):
        if not _SEQUENCE.search(text) or _LETTER.search(_SEQUENCE.sub("", text)):
            break
        text, n = _once(text)
        n_repaired += n
        if not n:
            break
    return Repair(text, n_repaired, sum(1 for found in _SEQUENCE.finditer(text) if _meant(found[0]) is not None))


def _once(text: str) -> tuple[str, int]:
    found = [(at, meant) for at in _SEQUENCE.finditer(text) if (meant := _meant(at[0])) is not None]
    if not any(_is_certain(text, at) for at, _ in found):
        return text, 0
    pieces: list[str] = []
    end = 0
    for at, meant in found:
        pieces += [text[end : at.start()], meant]
        end = at.end()
    return "".join([*pieces, text[end:]]), len(found)


def _is_certain(text: str, found: re.Match[str]) -> bool:
    beside = text[max(found.start() - 1, 0) : found.start()] + text[found.end() : found.end() + 1]
    return len(found[0]) > 2 or any(letter.isalnum() for letter in beside)


def _meant(sequence: str) -> str | None:
    """The letter that a sequence was before; None if it never was one."""
    try:
        return bytes(_BYTES[letter] for letter in sequence).decode()
    except UnicodeDecodeError:
        return None
