"""Stage `identify`: the language and the script of each document, "und" where they are not sure.

The model (models/language.safetensors) knows English, French, German, Spanish, Italian, Portuguese and Dutch, and
"und" for whatever is none of them: other languages, code, figures, letters at random. A text counts as a language only
if it has enough letters and words, if the model is sure enough, and if no other language takes a fair share of its
pieces. What it cannot do: tell close neighbours of these seven apart that it never saw (Galician from Portuguese,
Afrikaans from Dutch), or see a change of language within a piece (a line, or 160 bytes of a longer one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from petitlm.data.corpus.schema import put
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.quality.features import Pieces, pieces
from petitlm.data.quality.linear import Linear, Texts
from petitlm.data.quality.readability import COUNTS, reading_counts
from petitlm.data.quality.scripts import main_scripts, script_letters
from petitlm.data.quality.shipped import digest, load
from petitlm.errors import ConfigError

UNDETERMINED = "und"
_CODED = 0.5
"""Below this share of letters among what is visible, a text is figures or code and has no language."""


@dataclass(frozen=True, slots=True)
class Caution:
    """When a language counts as known."""

    min_letters: int = 16
    min_words: int = 4
    min_confidence: float = 0.6
    """Calibrated probability that the label is right."""
    piece_bytes: int = 160
    """Size of the pieces in which a mixture of languages is looked for."""
    piece_confidence: float = 0.9
    """What a piece needs to speak against the language of the whole."""
    max_other: float = 0.2
    """Largest share of bytes in other languages that a text of one language may have."""


class Found(NamedTuple):
    """What is known of the language of n texts."""

    languages: list[str]
    """BCP-47, or "und"."""
    best: list[str]
    """The model's likeliest label, sure or not."""
    confidence: np.ndarray
    """Probability of that label."""
    probabilities: np.ndarray
    """(n, labels of the model)."""
    others: np.ndarray
    """Share of bytes in pieces that are surely in another language than `best`."""
    scripts: list[str]
    """ISO 15924."""


class Span(NamedTuple):
    """A run of bytes of a text in one language."""

    start: int
    end: int
    language: str
    confidence: float
    """Smallest of its pieces'."""


def find_languages(texts: Texts, caution: Caution | None = None, model: Linear | None = None) -> Found:
    """The language and script of each text."""
    caution, model = caution or Caution(), model or load("language")
    of = pieces(texts, caution.piece_bytes, by_line=True)
    sums, counts = model.piece_sums(of)
    p = model.probabilities(of.summed(sums), of.summed(counts))
    best = p.argmax(axis=1)
    others = _share_of_others(of, model.probabilities(sums, counts), best, model.labels, caution)
    read = of.summed(reading_counts(of))
    letters, words, visible = (read[:, COUNTS.index(name)] for name in ("letters", "words", "visible"))
    scripts = script_letters(of)
    sure = (p.max(axis=1, initial=0) >= caution.min_confidence) & (others <= caution.max_other)
    sure &= (letters >= caution.min_letters) & (words >= caution.min_words) & (letters >= _CODED * visible)
    sure &= scripts[:, 0] > 0.5 * scripts.sum(axis=1)  # the model's languages are written in Latin letters
    names = np.array(model.labels)[best]
    return Found(np.where(sure, names, UNDETERMINED).tolist(), names.tolist(), p.max(axis=1, initial=0), p, others,
                 main_scripts(scripts))


def _share_of_others(of: Pieces, p: np.ndarray, best: np.ndarray, labels: tuple[str, ...],
                     caution: Caution) -> np.ndarray:
    sizes = of.ends - of.starts
    label = p.argmax(axis=1)
    other = (p.max(axis=1, initial=0) >= caution.piece_confidence) & (label != best[of.owners])
    if UNDETERMINED in labels:  # names, figures and code in a text do not make it a mixture
        other &= label != labels.index(UNDETERMINED)
    return of.summed(sizes * other) / np.maximum(of.summed(sizes), 1)


def language_spans(text: str, caution: Caution | None = None, model: Linear | None = None) -> list[Span]:
    """The languages of a text from front to back: pieces of the same language joined, byte ranges without gaps."""
    caution, model = caution or Caution(), model or load("language")
    of = pieces([text], caution.piece_bytes, by_line=True)
    p = model.probabilities(*model.piece_sums(of))
    spans: list[Span] = []
    for start, end, row in zip(of.starts.tolist(), of.ends.tolist(), p, strict=True):
        conf = float(row.max())
        name = model.labels[int(row.argmax())] if conf >= caution.min_confidence else UNDETERMINED
        if spans and spans[-1].language == name:
            spans[-1] = Span(spans[-1].start, end, name, min(conf, spans[-1].confidence))
        else:
            spans.append(Span(start, end, name, conf))
    return spans


@dataclass(frozen=True)
class Identify:
    """Sets `language`, `lang_conf` and `script`; flags `language.mixed` and `language.contradicted`.

    A language that the source declares stays, and `lang_conf` is the model's probability for it, unless the model is
    surer than `contradicts` of another one; that of a generator's or teacher's text always stays.
    """

    name = "identify"
    version = 1
    reasons = {
        "unwanted-language": "in a language that the recipe does not ask for",
        "contradicted-language": "declared to be in one language, and surely in another",
        "mixed-languages": "in more than one language",
    }

    languages: tuple[str, ...] = ()
    """The languages asked for; others are rejected, "und" too unless it is listed. Empty: all are kept."""
    contradicts: float = 0.95
    """Probability from which the model is believed against the source."""
    reject_contradicted: bool = False
    """Reject where the source is contradicted, rather than take the model's language."""
    reject_mixed: bool = False
    caution: Caution = Caution()
    model: str = "language"
    """Name of a shipped model, or path of one."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.contradicts <= 1:
            raise ConfigError(f"contradicts={self.contradicts} is a probability from 0.5 to 1")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**asdict(self), "languages": list(self.languages), "model": digest(self.model)}

    def __call__(self, rows: pa.Table) -> Sifted:
        model = load(self.model)
        found = find_languages(rows["text"], self.caution, model)
        index = {label: i for i, label in enumerate(model.labels)}
        languages, confidences, flags, rejected = [], [], [], []
        for i, (declared, origin, flagged) in enumerate(zip(
                *(rows[name].to_pylist() for name in ("language", "origin", "flags")), strict=True)):
            language, confidence, best = found.languages[i], float(found.confidence[i]), found.best[i]
            mixed = found.others[i] > self.caution.max_other
            real = origin in (None, "human")
            contradicted = bool(real and declared in index and language != UNDETERMINED and best != declared
                                and confidence >= self.contradicts)
            if declared not in (None, UNDETERMINED) and not contradicted:
                language = declared
                confidence = float(found.probabilities[i, index[declared]]) if declared in index else None
            new = ["language.mixed"] * bool(mixed) + ["language.contradicted"] * contradicted
            languages.append(language)
            confidences.append(confidence)
            flags.append([*(flagged or []), *(flag for flag in new if flag not in (flagged or []))])
            if contradicted and self.reject_contradicted:
                rejected.append(Rejection(i, "contradicted-language", f"{declared}, but {best} ({confidence:.2f})"))
            elif mixed and real and self.reject_mixed:
                rejected.append(Rejection(i, "mixed-languages", f"{best}; others {found.others[i]:.0%}"))
            elif self.languages and language not in self.languages:
                rejected.append(Rejection(i, "unwanted-language", language))
        for name, values in (("language", languages), ("lang_conf", confidences), ("script", found.scripts),
                             ("flags", flags)):
            rows = put(rows, name, values)
        return keep(rows, rejected)
