"""The stage `normalise`: one way to write the same text, so that equal texts are equal bytes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from petitlm.data.corpus.schema import put, put_texts
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.sources.mojibake import repair

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]")
# Seen by no reader, but by a tokenizer: soft hyphen, zero width, direction marks, invisible operators, tags, fillers,
# byte order marks, places that are no characters. Joiners (U+200C, U+200D) are removed apart: emoji need them.
_UNSEEN = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d"
    "\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
_JOINERS = re.compile("(?<![\u0600-\u0dff\ufe0f\u2190-\u2bff\U0001f000-\U0001faff])[\u200c\u200d]")
_NO_BREAK = re.compile("[\xa0\u202f]")
_WIDE_SPACES = re.compile("[\u1680\u2000-\u200a\u205f\u3000]")
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fffÂÃÅâð]|[ \t]\n|\n{3}"
)
_MOST_ROUNDS = 6


class Clean(NamedTuple):
    """A text as it is written here."""

    text: str
    n_controls: int
    n_mojibake: int
    """Sequences repaired."""
    n_doubtful: int
    """Sequences that look damaged, and characters that were lost (U+FFFD)."""


@dataclass(frozen=True)
class Normalise:
    """Unicode NFC, `\\n` ends a line, no control or unseen characters, no white space at the ends; damage repaired."""

    name: ClassVar[str] = "normalise"
    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "binary": "too many control characters: no text",
        "mojibake": "letters damaged by a wrong decoding that cannot be undone with certainty",
        "empty": "nothing is left but white space",
        "answers-moved": "the marked answers cannot be found again in the normalised text",
    }

    max_control_share: float = 0.01
    """Of all characters; a page of text has none."""
    max_doubtful_share: float = 0.001
    """Damaged sequences for each character, from the third on: fewer are flagged, they may be examples."""
    max_blank_lines: int = 2
    """Between two lines: two, as between functions in Python (PEP 8)."""
    keep_no_break: bool = False
    """Keep no-break spaces. Without them French punctuation reads alike however its source was typed."""

    @property
    def settings(self) -> dict[str, Any]:
        """The fields, and the Unicode version that NFC follows."""
        return {**vars(self), "unicode": unicodedata.unidata_version}

    def __call__(self, rows: pa.Table) -> Sifted:
        """Clean `text`, whose answers keep their places, `answer` and `foil`."""
        texts = rows.column("text").to_pylist()
        made = dict(answers=rows.column("answers").to_pylist(), flags=rows.column("flags").to_pylist())
        rejected: list[Rejection] = []
        changed = False
        for row, text in enumerate(texts):
            clean = self.clean(text or "")
            why = self._refusal(text or "", clean)
            if not why and clean.text != text and made["answers"][row]:
                moved = self._with_answers(text, made["answers"][row])
                why = None if moved else ("answers-moved", f"{len(made['answers'][row])} answers")
                made["answers"][row] = moved
            if why:
                rejected.append(Rejection(row, *why))
                continue
            names = ["mojibake.repaired"] * (clean.n_mojibake > 0) + ["mojibake"] * (clean.n_doubtful > 0)
            if names:
                made["flags"][row] = sorted({*(made["flags"][row] or []), *names})
            changed = changed or clean.text != text or bool(names)
            texts[row] = clean.text
        if changed:
            rows = put_texts(rows, texts)
            for name, values in made.items():
                rows = put(rows, name, values)
        return keep(self._short_columns(rows), rejected)

    def clean(self, text: str) -> Clean:
        """The text as it is written here; doing it again changes nothing."""
        if not _SUSPECT.search(text) and "\ufffd" not in text and unicodedata.is_normalized("NFC", text):
            return Clean(text.strip("\n").rstrip(), 0, 0, 0)
        n_controls = len(_CONTROLS.findall(text))
        n_mojibake = n_left = 0
        for _ in range(_MOST_ROUNDS):  # what one step removes may bring together what another one looks for
            before = text
            fixed = repair(text)
            n_mojibake, n_left = n_mojibake + fixed.n_repaired, fixed.n_left
            text = self._once(fixed.text)
            if text == before:
                break
        return Clean(text, n_controls, n_mojibake, n_left + text.count("\ufffd"))

    def _once(self, text: str) -> str:
        text = _LINE_ENDS.sub("\n", text.replace("\u2029", "\n\n"))
        text = _JOINERS.sub("", _UNSEEN.sub("", _CONTROLS.sub("", text)))
        text = _WIDE_SPACES.sub(" ", text if self.keep_no_break else _NO_BREAK.sub(" ", text))
        return self._ends(unicodedata.normalize("NFC", text))

    def _ends(self, text: str) -> str:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        most = self.max_blank_lines + 1
        text = re.sub(rf"\n{{{most + 1},}}", "\n" * most, text)
        return text.strip("\n").rstrip()

    def _refusal(self, text: str, clean: Clean) -> tuple[str, str] | None:
        if clean.n_controls > 8 and clean.n_controls > self.max_control_share * len(text):
            return "binary", f"{clean.n_controls} control characters of {len(text)}"
        if clean.n_doubtful >= 3 and clean.n_doubtful > self.max_doubtful_share * len(clean.text):
            return "mojibake", f"{clean.n_doubtful} damaged places in {len(clean.text)} characters"
        return None if clean.text.strip() else ("empty", f"{len(text)} characters of white space")

    def _with_answers(self, text: str, answers: list[dict[str, int]]) -> list[dict[str, int]] | None:
        """The answers' byte ranges after cleaning, each piece on its own; None where the pieces do not fit together."""
        data = text.encode()
        cuts = [0, *(edge for answer in answers for edge in (answer["start"], answer["end"])), len(data)]
        try:
            pieces = [data[a:b].decode() for a, b in zip(cuts, cuts[1:], strict=False)]
        except UnicodeDecodeError:
            return None
        made = [self._once(f"|{repair(piece).text}|")[1:-1] for piece in pieces]
        made[0], made[-1] = made[0].lstrip("\n"), made[-1].rstrip()
        if "".join(made) != self.clean(text).text:
            return None
        edges = [0]
        for piece in made:
            edges.append(edges[-1] + len(piece.encode()))
        return [{"start": edges[i], "end": edges[i + 1]} for i in range(1, len(edges) - 2, 2)]

    def _short_columns(self, rows: pa.Table) -> pa.Table:
        for name in ("answer", "foil"):
            values = rows.column(name).to_pylist()
            made = [value if value is None else self.clean(value).text for value in values]
            rows = put(rows, name, made) if made != values else rows
        return rows
