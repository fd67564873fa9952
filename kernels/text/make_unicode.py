"""Write unicode.h: the classes of characters by which byte-level tokenizers cut text, as `tokenizers` has them.

usage: python kernels/text/make_unicode.py        (20 seconds)

The library's regular expressions and its digits follow two versions of Unicode, and neither is this Python's. So it is
asked about each character: a letter is what it does not part from an `a` behind it, and so on. The tests ask again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import pre_tokenizers

_AT_ONCE = 1 << 16
CHARACTERS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]

_HEAD = """// Made by make_unicode.py: the classes of characters by which byte-level tokenizers cut text.
#pragma once

#include <cstdint>

namespace petit::text {

struct Characters {
  uint32_t first, last;
};
"""


def classes(characters: list[int] = CHARACTERS) -> dict[str, set[int]]:
    """LETTERS, NUMBERS and SPACES of GPT-2's expression, and DIGITS, which `Digits` isolates, among `characters`."""
    level, digits = pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(individual_digits=True)
    joined = {mark: set(characters) - _cut(level, "\n", mark, 2, characters) for mark in "a1!"}
    space = joined["a"] & joined["1"] & joined["!"]  # the one that goes with whatever follows
    spaces = set(characters) - joined["a"] - joined["1"] - joined["!"] | space
    return {"LETTERS": joined["a"] - space, "NUMBERS": joined["1"] - space, "SPACES": spaces,
            "DIGITS": _cut(digits, "a", "a", 1, characters)}


def _cut(cutter: object, before: str, after: str, place: int, characters: list[int]) -> set[int]:
    """Characters C for which, of `before` C `after`, a piece begins at `place`."""
    found: set[int] = set()
    for at in range(0, len(characters), _AT_ONCE):
        some = characters[at : at + _AT_ONCE]
        text = "".join(f"{before}{chr(code)}{after}" for code in some)
        starts = {start for _, (start, _) in cutter.pre_tokenize_str(text)}  # type: ignore[attr-defined]
        found |= {code for i, code in enumerate(some) if 3 * i + place in starts}
    return found


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of neighbours, both ends included."""
    runs: list[tuple[int, int]] = []
    for code in sorted(codes):
        first = runs.pop()[0] if runs and runs[-1][1] == code - 1 else code
        runs.append((first, code))
    return runs


def main() -> None:
    text = _HEAD
    for name, codes in classes().items():
        cells = [f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges(codes)]
        lines = [" ".join(cells[i : i + 5]) for i in range(0, len(cells), 5)]
        body = "\n    ".join(lines)
        table = f"inline constexpr Characters {name}[] = {{\n    {body}\n}};"
        text += f"\n// clang-format off\n{table}\n// clang-format on\n"
    Path(__file__).with_name("unicode.h").write_text(text + "\n}  // namespace petit::text\n")


if __name__ == "__main__":
    main()
