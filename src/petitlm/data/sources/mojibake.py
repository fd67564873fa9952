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
# The lead bytes of what English and French texts hold: C2, C3 and C5 (accents, œ), E2 (quotes, dashes, €), F0 (emoji).
# The other leads are letters that stand before such signs in sound French: the É of `CAFÉ »`.
_SEQUENCE = re.compile(f"[ÂÃÅ][{_NEXT}]|â[{_NEXT}]{{2}}|ðŸ[{_NEXT}]{{2}}")
_LETTER = re.compile(r"[^\W\d_a-zA-Z]")
_ROUNDS = 3  # text damaged twice is seen, three times hardly


def repair(text: str) -> Repair:
    """Repair sequences that are certain; leave, and count, the others.

    Certain is a sequence within or beside a word or number, or of three or more letters, in a text that has no sound
    accented letter: a text with both is a mixture, or speaks about encodings, and nobody can say which.
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
    pieces: list[str] = []
    at = n = 0
    for found in _SEQUENCE.finditer(text):
        meant = _meant(found[0])
        beside = text[max(found.start() - 1, 0) : found.start()] + text[found.end() : found.end() + 1]
        if meant is not None and (len(found[0]) > 2 or any(letter.isalnum() for letter in beside)):
            pieces += [text[at : found.start()], meant]
            at, n = found.end(), n + 1
    return "".join([*pieces, text[at:]]), n


def _meant(sequence: str) -> str | None:
    """The letter that a sequence was before; None if it never was one."""
    try:
        return bytes(_BYTES[letter] for letter in sequence).decode()
    except UnicodeDecodeError:
        return None
