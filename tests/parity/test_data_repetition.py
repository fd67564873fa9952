"""Repetition measured with numbers equals the definition, written out with words (Rae et al. 2021, appendix A.1.1)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.sources.repetition import AGAIN, TOP, repeats

WORDS = st.lists(st.sampled_from(["a", "bb", "ccc", "d", "ee"]) | st.text("xyz", min_size=1, max_size=2), max_size=80)


def top(words: list[str], n: int) -> int:
    runs = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    most = max(runs.values(), default=0)
    sizes = [len("".join(run)) * most for run, count in runs.items() if count == most]
    return max(sizes) if most > 1 else 0


def again(words: list[str], n: int) -> int:
    seen: set[str] = set()
    chars = at = 0
    while at + n <= len(words):
        run = " ".join(words[at : at + n])
        if run in seen:
            chars += len(run) - n + 1
            at += n
        else:
            seen.add(run)
            at += 1
    return chars


@given(WORDS)
def test_runs_of_words(words: list[str]) -> None:
    text = " ".join(words)
    found = repeats(text, words)
    n_chars = max(len(text), 1)
    assert found.top == tuple(top(words, n) / n_chars for n in TOP)
    assert found.again == tuple(again(words, n) / n_chars for n in AGAIN)


def test_lines_and_paragraphs_by_hand() -> None:
    found = repeats("one\ntwo\none\n\none\n\ntwo", [])
    assert found.lines == 1 - 2 / 5
    assert found.line_chars == 9 / 21
    assert found.paragraphs == 0
    assert repeats("ab\n\nab\n\ncd", []).paragraphs == 1 - 2 / 3
    assert repeats("", []) == (0, 0, 0, 0, (0, 0, 0), (0,) * 6, 1)
