"""The stage `filter`: texts that teach nothing, found by counting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from petitlm.data.corpus.stage import Rejection, Sifted, keep, plain_fields
from petitlm.data.sources.repetition import AGAIN, TOP, repeats
from petitlm.errors import ConfigError

_Why = Iterator[tuple[str, str]]

PROSE = ("book", "reference", "story", "speech")
"""Forms that are running text; the others (messages, pairs, dialogues, code, tables) have a shape of their own."""

STOP_WORDS = {
    "en": frozenset("the be to of and that have with is was for are this not it you".split()),  # noqa: SIM905
    "fr": frozenset("le la les de des et est une un que dans pour pas sur qui il elle en".split()),  # noqa: SIM905
}
"""Words without which no 20 words of prose go. English: Gopher's eight and as many more."""

# Words of one language alone, for the language of a single line.
_TELLING = {
    "en": frozenset("the of and that with was were this have which from they would".split()),  # noqa: SIM905
    "fr": frozenset("le les des et est une dans pour pas sur qui avec cette ces aux".split()),  # noqa: SIM905
    "de": frozenset("der und das ist nicht ein eine mit den von zu auf sich".split()),  # noqa: SIM905
    "es": frozenset("el los las y por para como más pero está del una".split()),  # noqa: SIM905
    "it": frozenset("il che di è per non gli della sono anche nel una".split()),  # noqa: SIM905
}
_TOLD_BY = {
    word: [name for name, known in _TELLING.items() if word in known] for known in _TELLING.values() for word in known
}
_NOTICES = (
    "lorem ipsum", "all rights reserved", "tous droits réservés", "terms of use", "terms of service",
    "terms and conditions", "privacy policy", "cookie policy", "cookie settings", "use of cookies", "uses cookies",
    "accept cookies", "accept all cookies", "enable javascript", "javascript is disabled", "javascript is required",
    "sign up for our newsletter", "subscribe to our", "click here to", "share on facebook", "share on twitter",
    "skip to content", "skip to main content", "powered by wordpress", "page not found", "error 404",
    "mentions légales", "politique de confidentialité", "utilise des cookies", "accepter les cookies",
    "accepter tous les cookies", "activer javascript", "conditions générales d", "conditions de vente",
    "abonnez-vous à notre", "abonnez-vous à la newsletter", "inscrivez-vous à notre", "partager sur facebook",
    "partager sur twitter", "aller au contenu", "cliquez ici pour", "lire la suite", "project gutenberg license",
    "project gutenberg ebook", "project gutenberg literary", "project gutenberg-tm",
)  # fmt: skip
_MOST_NOTICE = 200
"""Characters of a line that can be a notice; in a longer one the phrase is part of what is said."""
_LETTER = re.compile(r"[^\W\d_]")
_SIGN = re.compile(r"[^\W_]")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_URL = re.compile(r"https?://\S+|www\.\S+")
_BULLET = re.compile(r"\s*[-*•‣◦▪●–—]\s")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_LOOKALIKE = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f]")


@dataclass(frozen=True)
class Filter:
    """Limits on what a text may look like. Those of Gopher and FineWeb as published unless said otherwise.

    Sources: Rae et al. 2021 (Gopher), appendix A.1; Penedo et al. 2024 (FineWeb), section 3.6. Generated texts
    (`exempt`) are held against their length alone: they are verified, and repeat their form by design.
    """

    name: ClassVar[str] = "filter"
    version: ClassVar[int] = 1
    reasons: ClassVar[Mapping[str, str]] = {
        "too-short": "fewer words than say anything",
        "too-long": "more words than one document may have",
        "one-character": "mostly one and the same character",
        "blob": "words without end: encoded data, minified code",
        "repetition": "lines, paragraphs or runs of words that stood before",
        "boilerplate": "notices, menus and placeholders of web pages",
        "script-mix": "words whose letters come from several alphabets",
        "language-mix": "lines in two languages",
        "few-letters": "too many words without a letter",
        "symbols": "too many marks for the words",
        "word-length": "words too short or too long on average",
        "bullets": "nearly all lines are points of a list",
        "cut-lines": "too many lines end in an ellipsis",
        "no-stop-words": "none of the words that sentences are made with",
    }

    exempt: tuple[str, ...] = ("procedural",)
    """Origins that are held against the lengths alone."""
    min_words: int = 8
    """Of prose. Gopher asks for 50 of a web page; passages of books may be shorter."""
    min_words_other: int = 1
    """Of messages, pairs and other forms."""
    max_words: int = 100_000
    max_one_character: float = 0.3
    """Share of one character among those that are not white space; in prose it is e, below 0.2."""
    max_blob: float = 0.15
    """Share of characters in words of more than 64 characters that are no addresses. Own choice."""
    max_lines_again: float = 0.30
    max_line_chars_again: float = 0.20
    max_top: tuple[float, ...] = (0.20, 0.18, 0.16)
    """For runs of 2, 3 and 4 words."""
    max_again: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    """For runs of 5 to 10 words."""
    min_words_for_runs: int = 50
    """Runs are counted in texts of so many words only: in a short one a single name comes too near the limit."""
    slack: float = 2.0
    """Factor on the four limits above for forms in `slack_forms`, whose authors repeat patterns on purpose: textbooks
    their exercises, references their phrases, plays the names of speakers. For web pages set it to 1."""
    slack_forms: tuple[str, ...] = ("book", "reference", "speech", "exercise", "dialogue")
    max_packing: float = 12.0
    """Own choice: books pack to a half or a third, one sentence said ten times to a tenth."""
    max_boilerplate: float = 0.20
    """Share of characters in lines with such phrases. Own choice; C4 drops any page with some of them."""
    max_mixed_words: float = 0.05
    """Share of words with letters of two alphabets. Own choice."""
    max_other_language: float = 0.30
    """Share of characters in lines of a second language. Own choice."""
    min_with_letters: float = 0.60
    """Words with a letter, of those with a letter or digit. Gopher asks for 0.80; tables and code have fewer."""
    max_symbols: float = 0.10
    """Hash signs and ellipses for each word."""
    word_length: tuple[float, float] = (3.0, 10.0)
    max_bullets: float = 0.90
    """Not asked of books and stories, nor is the next: in French a dash opens each speech, and many end in "…"."""
    max_cut_lines: float = 0.30
    min_stop_words: int = 2

    def __post_init__(self) -> None:
        if len(self.max_top) != len(TOP) or len(self.max_again) != len(AGAIN):
            raise ConfigError(f"max_top takes {len(TOP)} limits and max_again {len(AGAIN)}, one for each run length")

    @property
    def settings(self) -> dict[str, Any]:
        """The fields."""
        return plain_fields(self)

    def __call__(self, rows: pa.Table) -> Sifted:
        """Reject each text that breaks a limit, by the first it breaks."""
        columns = [rows.column(name).to_pylist() for name in ("text", "origin", "form", "language")]
        found = (self.why(text or "", *rest) for text, *rest in zip(*columns, strict=True))
        return keep(rows, [Rejection(row, *why) for row, why in enumerate(found) if why])

    def why(
        self, text: str, origin: str | None = None, form: str | None = None, language: str | None = None
    ) -> tuple[str, str] | None:
        """The first limit that a text breaks, with the value; None if it breaks none."""
        words = text.split()
        prose = form in PROSE
        for rule in (self._length, self._blobs, self._repetition, self._boilerplate, self._mixture, self._prose):
            if origin in self.exempt and rule != self._length:
                return None
            if rule == self._prose and not prose:
                return None
            if why := next(rule(text, words, prose and origin not in self.exempt, form or "", language or ""), None):
                return why
        return None

    def _length(self, text: str, words: Sequence[str], prose: bool, form: str, language: str) -> _Why:
        least = self.min_words if prose else self.min_words_other
        if len(words) < least:
            yield "too-short", f"{len(words)} words, at least {least}"
        if len(words) > self.max_words:
            yield "too-long", f"{len(words)} words, at most {self.max_words}"

    def _blobs(self, text: str, words: Sequence[str], prose: bool, form: str, language: str) -> _Why:
        most = Counter("".join(words)).most_common(1)
        n_chars = sum(map(len, words))
        if n_chars >= 100 and most[0][1] > self.max_one_character * n_chars:
            yield "one-character", f"{most[0][0]!r}: {most[0][1]} of {n_chars}"
        long = sum(len(word) for word in words if len(word) > 64 and not _URL.search(word))
        if long > self.max_blob * n_chars:
            yield "blob", f"{long} of {n_chars} characters in words of more than 64"

    def _repetition(self, text: str, words: Sequence[str], prose: bool, form: str, language: str) -> _Why:
        found = repeats(text, words if len(words) >= self.min_words_for_runs else ())
        if found.packing > self.max_packing:
            yield "repetition", f"packs {found.packing:.1f} times, at most {self.max_packing}"
        if len(words) < self.min_words_for_runs or form in ("code", "table", "pair"):
            return  # programs and tables repeat lines, translations names, by nature
        slack = self.slack if form in self.slack_forms else 1.0
        for what, share, most in (
            ("lines", found.lines, self.max_lines_again),
            ("paragraphs", found.paragraphs, self.max_lines_again),
            ("characters in lines", found.line_chars, self.max_line_chars_again),
            ("characters in paragraphs", found.paragraph_chars, self.max_line_chars_again),
            *((f"top run of {n} words", *limit) for n, *limit in zip(TOP, found.top, self.max_top, strict=True)),
            *((f"runs of {n} words", *limit) for n, *limit in zip(AGAIN, found.again, self.max_again, strict=True)),
        ):
            if share > slack * most:
                yield "repetition", f"{what}: {share:.2f}, at most {slack * most:.2f}"

    def _boilerplate(self, text: str, words: Sequence[str], prose: bool, form: str, language: str) -> _Why:
        low = text.lower()
        if not any(phrase in low for phrase in _NOTICES):
            return
        lines = [line for line in low.split("\n") if len(line) < _MOST_NOTICE or "lorem ipsum" in line]
        notices = sum(len(line) for line in lines if any(phrase in line for phrase in _NOTICES))
        if notices > self.max_boilerplate * len(text):
            yield "boilerplate", f"{notices} of {len(text)} characters in notices"

    def _mixture(self, text: str, words: Sequence[str], prose: bool, form: str, language: str) -> _Why:
        if _LOOKALIKE.search(text):
            mixed = sum(1 for word in words if _LOOKALIKE.search(word) and _two_alphabets(word))
            if mixed > 1 and mixed > self.max_mixed_words * len(words):
                yield "script-mix", f"{mixed} of {len(words)} words"
        if form in ("pair", "code"):
            return
        chars = line_languages(text)
        ranks = chars.most_common()
        if len(ranks) > 1 and ranks[1][1] > self.max_other_language * sum(chars.values()):
            yield "language-mix", ", ".join(f"{name} {n} characters" for name, n in ranks)

    def _prose(self, text: str, words: Sequence[str], prose: bool, form: str, language: str) -> _Why:
        n = len(words)
        with_letters = sum(1 for word in words if word.isalpha() or _LETTER.search(word))
        readable = sum(1 for word in words if word.isalpha() or _SIGN.search(word))
        if with_letters < self.min_with_letters * readable or not with_letters:
            yield "few-letters", f"{with_letters} of {readable} words"
        marks = text.count("#") + text.count("...") + text.count("…")
        if marks > self.max_symbols * n:
            yield "symbols", f"{marks} for {n} words"
        mean = sum(map(len, words)) / max(n, 1)
        if not self.word_length[0] <= mean <= self.word_length[1]:
            yield "word-length", f"{mean:.1f} characters on average"
        lines = [line for line in text.split("\n") if line.strip()] if form not in ("book", "story") else []
        bullets = sum(1 for line in lines if _BULLET.match(line))
        if len(lines) > 3 and bullets > self.max_bullets * len(lines):
            yield "bullets", f"{bullets} of {len(lines)} lines"
        cut = sum(1 for line in lines if line.rstrip().endswith(("...", "…")))
        if len(lines) > 3 and cut > self.max_cut_lines * len(lines):
            yield "cut-lines", f"{cut} of {len(lines)} lines"
        stop_words = STOP_WORDS.get(language[:2])
        if n >= 20 and stop_words and len(stop_words.intersection(_WORD.findall(text.lower()))) < self.min_stop_words:
            yield "no-stop-words", f"fewer than {self.min_stop_words} of {len(stop_words)} common words"


def _two_alphabets(word: str) -> bool:
    """Whether letters of two alphabets stand side by side, as in `pаypal` with a Cyrillic a; `µm` and `Δx` are none."""
    kinds = ["L" if _LATIN.match(letter) else "O" for letter in word if letter.isalpha()]
    return len(kinds) > 3 and sum(a != b for a, b in zip(kinds, kinds[1:], strict=False)) > 0 and kinds.count("O") < 3


def line_languages(text: str) -> Counter[str]:
    """Characters in lines whose language their small words tell: at least three of one, and twice those of others."""
    chars: Counter[str] = Counter()
    for line in text.split("\n"):
        words = line.lower().split()
        if len(words) < 8:
            continue
        ranks = Counter(name for word in words for name in _TOLD_BY.get(word, ())).most_common(2)
        if ranks and ranks[0][1] >= 3 and ranks[0][1] >= 2 * (ranks[1][1] if len(ranks) > 1 else 0):
            chars[ranks[0][0]] += len(line)
    return chars
