"""MinHash: a text as the least hash values of its shingles, so that equal values count common shingles.

Two texts agree in each of the H values with the probability J, the Jaccard similarity of their sets of shingles
(Broder 1997). The H values are cut into bands; two texts meet if one band of theirs is equal in all its rows, with
the probability 1 - (1 - J^rows)^bands. FineWeb's setting, the default here, is shingles of 5 words and 14 bands of 8
(Penedo et al. 2024, section 3.4): 56, 77, 92, 98.8 % at J = 0.70, 0.75, 0.80, 0.85.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from petitlm.data.corpus.schema import ORIGINS
from petitlm.data.repeats import reference
from petitlm.data.repeats.words import UNICODE, fold
from petitlm.errors import ConfigError

try:
    from petitlm import _text as native
except ImportError:  # built without a C++ compiler
    native = None

Texts = Sequence[str] | pa.Array | pa.ChunkedArray

NO_WORDS = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Every value of the signature of a text without words."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """What counts as a repeat."""

    shingle_words: int = 5
    """Words in a shingle; a shorter text is one shingle."""
    bands: int = 14
    rows: int = 8
    """Hash values in a band; at most 255 bands x rows in all."""
    min_similarity: float = 0.7
    """Least estimated Jaccard similarity of a repeat and the document that is kept for it, 0 to 1."""
    fold_numbers: bool = True
    """Whether texts that differ only in their numbers are alike, as for FineWeb."""
    near_origins: tuple[str, ...] = ("human", "teacher", "own", "rewrite")
    """Origins whose documents are compared word by word. Documents of generators are alike by design: templates
    are. They are compared as wholes and by their problem."""
    max_per_problem: int = 0
    """Documents kept of one problem in one language and split; 0: any number, in different words."""
    most_kept: int = 1_000
    """Kept documents that one band value remembers; what comes later is not compared with more. It bounds the work
    that a boilerplate makes."""

    def __post_init__(self) -> None:
        for name in ("shingle_words", "bands", "rows", "most_kept"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} of [dedup] should be 1 or more")
        if self.max_per_problem < 0:
            raise ConfigError(f"max_per_problem={self.max_per_problem} of [dedup] should be 0 (any number) or more")
        if self.n_hashes > 255:
            raise ConfigError(f"bands={self.bands} x rows={self.rows} of [dedup] exceed 255 hash values; choose fewer")
        if unknown := set(self.near_origins) - set(ORIGINS):
            raise ConfigError(f"near_origins of [dedup] names {sorted(unknown)}; choose among {', '.join(ORIGINS)}")
        if not 0 <= self.min_similarity <= 1:
            raise ConfigError(f"min_similarity={self.min_similarity} of [dedup] is not a similarity; give 0 to 1")

    @property
    def n_hashes(self) -> int:
        """Values in a signature."""
        return self.bands * self.rows

    @property
    def settings(self) -> dict[str, Any]:
        """All fields, in plain values, and the Unicode version of the words."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "near_origins": list(self.near_origins),
                "unicode": UNICODE}  # fmt: skip


FINEWEB = Repeats()
"""The setting of FineWeb, with the check of similarity that it goes without."""


def meeting_probability(similarity: float, repeats: Repeats = FINEWEB) -> float:
    """Probability that two texts of this Jaccard similarity have a band in common."""
    return 1 - (1 - similarity**repeats.rows) ** repeats.bands


@functools.cache
def hash_functions(n: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Factors (odd) and terms of `n` hash functions x -> factor x + term mod 2^64; always the same ones."""
    drawn = np.frombuffer(hashlib.shake_128(b"petit minhash").digest(16 * n), "<u8").astype(np.uint64)
    return drawn[0::2] | np.uint64(1), drawn[1::2].copy()


def text_buffers(texts: Texts) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """The UTF-8 of texts, and where each begins in it, as they lie in Arrow; a chunk at a time, nothing copied."""
    for chunk in _column(texts).chunks:
        _, starts, data = chunk.buffers()
        if len(chunk):
            begins = np.frombuffer(starts, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            yield np.frombuffer(data or b"", np.uint8), begins


def signatures(texts: Texts, repeats: Repeats = FINEWEB) -> NDArray[np.uint64]:
    """MinHash signatures: (N,) texts -> (N, H)."""
    factors, terms = hash_functions(repeats.n_hashes)
    made = np.empty((len(texts), repeats.n_hashes), np.uint64)
    size, fold_numbers = repeats.shingle_words, repeats.fold_numbers
    if native is None:
        warn_slow()
        for i, text in enumerate(_column(texts).to_pylist()):
            made[i] = reference.signature(text or "", size, fold_numbers, factors, terms)
        return made
    at = 0
    for data, starts in text_buffers(texts):
        out = made[at : at + len(starts) - 1]
        at += len(out)
        native.minhash_signatures(data, starts, *fold(), fold_numbers, size, factors, terms, out)
    return made


def _column(texts: Texts) -> pa.ChunkedArray:
    array: Any = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.large_string())
    chunks: pa.ChunkedArray = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return chunks.cast(pa.large_string())


def band_keys(signed: NDArray[np.uint64], repeats: Repeats = FINEWEB) -> NDArray[np.uint64]:
    """One key for each band: (N, H) -> (N, bands). Equal bands of different places have different keys."""
    rows = signed.reshape(len(signed), repeats.bands, repeats.rows)
    places = np.arange(1, repeats.bands + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    keys = np.broadcast_to(places, (len(signed), repeats.bands))
    for row in range(repeats.rows):
        keys = (keys ^ rows[:, :, row]) * np.uint64(0xBF58476D1CE4E5B9)
        keys = keys ^ (keys >> np.uint64(32))
    return keys


def sketch(signed: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """A byte of each value: (N, H) -> (N, H). Unequal values agree in it once in 256 times (Li and Koenig 2010)."""
    return signed.astype(np.uint8)


def similarity(equal: NDArray[Any] | int, n_hashes: int) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of two sketches from the number of equal bytes, without those equal by chance.

    Its standard error is sqrt(J (1 - J) / H), 0.04 at J = 0.75 with 112 hashes.
    """
    return np.maximum((np.asarray(equal) / n_hashes - 1 / 256) / (1 - 1 / 256), 0)


def least_equal(repeats: Repeats) -> int:
    """The least number of equal bytes whose estimate is `min_similarity` or more."""
    counts = np.arange(repeats.n_hashes + 1)
    return int(np.argmax(similarity(counts, repeats.n_hashes) >= repeats.min_similarity - 1e-12))


@functools.cache
def warn_slow() -> None:
    """Say once that the twins do the work."""
    warnings.warn(
        "petitlm._text was not built (no C++ compiler?): its Python twin finds repeats, about forty times slower",
        RuntimeWarning, stacklevel=3,
    )  # fmt: skip
