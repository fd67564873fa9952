"""A stop is found wherever the pieces are cut, and nothing that could become one is shown too early."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from petitlm.prompts import StopMatcher

ALPHABET = "ab\n"  # few characters, so that stops and half stops come up often


def by_definition(stops: list[str], text: str) -> tuple[str, bool]:
    """Character by character: the first stop to be complete counts, the longest of those."""
    for end in range(1, len(text) + 1):
        met = [len(stop) for stop in stops if text[:end].endswith(stop)]
        if met:
            return text[: end - max(met)], True
    return text, False


@settings(max_examples=300)
@given(st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3),
       st.lists(st.text(ALPHABET, max_size=5), max_size=8))
def test_any_cutting_gives_what_the_definition_gives(stops: list[str], pieces: list[str]) -> None:
    matcher, shown, stopped = StopMatcher(stops), "", False
    text, expected_stop = by_definition(stops, "".join(pieces))
    for piece in pieces:
        emitted, stopped = matcher.push(piece)
        shown += emitted
        assert text.startswith(shown)  # never shown and taken back
    assert (shown + matcher.flush(), stopped) == (text, expected_stop)
