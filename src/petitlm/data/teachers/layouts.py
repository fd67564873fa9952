"""How replies must be laid out, and the one repair that a reply may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_FENCE = re.compile(r"\A```[^\n]*\n(?P<body>.*?)\n?```\s*\Z", re.S)
_PREFACE = re.compile(r"\A(?:sure|certainly|of course|here (?:is|are)|voici|bien sûr|certainement|d'accord)\b"
                      r"[^\n]*:\s*\n", re.I)
_THOUGHT = re.compile(r"\A<think>.*?</think>\s*", re.S)
_WRAPPED = re.compile(r"\A<text>\s*(?P<body>.*?)\s*</text>\Z", re.S)


def repaired(text: str) -> str:
    """Take off what models put around a result: a Markdown fence, our own <text> marks, one line such as "Here is:"."""
    text = _PREFACE.sub("", text.strip(), count=1).strip()
    for around in (_FENCE, _WRAPPED):
        if match := around.match(text):
            text = match["body"].strip()
    return text


def without_thoughts(text: str) -> str:
    """A reply without what a reasoning model thought before it, where the server leaves that in."""
    return _THOUGHT.sub("", text, count=1)


def wrong_layout(layout: str, text: str, seed: str) -> str | None:
    """Why a text has not the layout; None: it has."""
    return _LAYOUTS[layout](text, seed)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _marks(lines: Sequence[str], marks: Sequence[str]) -> list[str | None]:
    """The mark that each line begins with, of those given; French ones have a space before the colon."""
    found = [re.match(rf"({'|'.join(marks)})\s?:\s+\S", line) for line in lines]
    return [match[1] if match else None for match in found]


def _pairs(text: str, seed: str) -> str | None:
    marks = _marks(_lines(text), ("Q", "A", "R"))
    if len(marks) < 4 or len(marks) % 2:
        return f"{len(marks)} lines are not two or more pairs of question and answer"
    for i, mark in enumerate(marks):
        if mark not in (("Q",) if i % 2 == 0 else ("A", "R")):
            return f"line {i + 1} does not begin with {'Q:' if i % 2 == 0 else 'A: or R :'}"
    return None


def _problem(text: str, seed: str) -> str | None:
    lines = _lines(text)
    if not lines or _marks(lines[:1], ("Problem", "Problème"))[0] is None:
        return "it does not begin with Problem:"
    if not any(_marks(lines[1:-1], ("Solution",))):
        return "no line begins with Solution:"
    if _marks(lines[-1:], ("Answer", "Réponse"))[0] is None or not re.search(r"\d", lines[-1]):
        return "the last line is not Answer: and a number"
    return None


def _table(text: str, seed: str) -> str | None:
    lines = _lines(text)
    if len(lines) < 4 or not all(line.startswith("|") and line.endswith("|") for line in lines):
        return "it is not a Markdown table with a header and two rows"
    if not re.fullmatch(r"\|(\s*:?-{3,}:?\s*\|)+", lines[1]):
        return "the line under the header is not |---|---|"
    n = {len(re.split(r"(?<!\\)\|", line)) - 2 for line in lines}
    return None if len(n) == 1 and n != {0} else f"its rows have {', '.join(map(str, sorted(n)))} cells"


def _steps(text: str, seed: str) -> str | None:
    numbers = [int(match[1]) for line in _lines(text) if (match := re.match(r"(\d+)[.)] \S", line))]
    if len(numbers) < 3 or numbers != list(range(1, len(numbers) + 1)):
        return f"its steps are numbered {numbers or 'not at all'}, and not 1, 2, 3 and on"
    return None


def _turns(text: str, seed: str) -> str | None:
    marks = _marks(_lines(text), ("A", "B"))
    wanted = [("A", "B")[i % 2] for i in range(len(marks))]
    return None if len(marks) >= 4 and marks == wanted else "it is not four or more lines of A: and B: in turn"


def _summary(text: str, seed: str) -> str | None:
    if len(text) > 0.6 * len(seed):  # a little more than was asked is let pass
        return f"{len(text)} characters are no summary of {len(seed)}"
    return _prose(text, seed)


def _prose(text: str, seed: str) -> str | None:
    words = len(re.findall(r"[^\W\d_]+", text))
    return None if words >= 8 and re.search(r"[.!?…»\"]\s*\Z", text) else "it is not whole sentences"


def _translation(text: str, seed: str) -> str | None:
    ratio = len(text) / max(len(seed), 1)
    return None if 0.5 <= ratio <= 2.0 else f"it is {ratio:.2f} times as long as the text that it translates"


_LAYOUTS: dict[str, Callable[[str, str], str | None]] = {
    "pairs": _pairs, "problem": _problem, "table": _table, "steps": _steps, "turns": _turns, "summary": _summary,
    "prose": _prose, "translation": _translation,
}
