"""Kernels over text and token ids (kernels/text)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Bytes = NDArray[np.uint8]
_I32 = NDArray[np.int32]
_I64 = NDArray[np.int64]
_U16 = NDArray[np.uint16]
_U32 = NDArray[np.uint32]
_U64 = NDArray[np.uint64]

# minhash.cpp: texts are `bytes` cut at `starts`; `pages` and `codes` are the table of petitlm.data.repeats.words.

def minhash_signatures(
    bytes: _Bytes, starts: _I64, pages: _U16, codes: _U32, fold_numbers: bool, size: int,
    factors: _U64, terms: _U64, out: _U64,
) -> None: ...
def known_runs(
    bytes: _Bytes, starts: _I64, pages: _U16, codes: _U32, keys: _U64, lengths: _Bytes
) -> _I64: ...
def run_keys(bytes: _Bytes, pages: _U16, codes: _U32, length: int) -> tuple[int, list[int]]: ...
def lead(
    buckets: _I32, sketches: _Bytes, n_buckets: int, likeness: int, most_kept: int, leaders: _I64, equal: _I32
) -> None: ...

# linear.cpp: `table` holds the symbol of each of 65,536 code points; `starts` and `ends` are byte ranges of `data`.

def linear_sums(
    data: _Bytes, starts: _I64, ends: _I64, table: _U32, chars_from: int, chars_to: int, words: int, bits: int,
    weights: NDArray[np.int8],
) -> tuple[_I64, _I64]: ...
def linear_counts(
    data: _Bytes, starts: _I64, ends: _I64, table: _U32, chars_from: int, chars_to: int, words: int, bits: int
) -> tuple[_I64, _I32, _I32]: ...
def sparse_product(
    begins: _I64, columns: _I32, values: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def sparse_gradient(
    begins: _I64, columns: _I32, values: NDArray[np.float32], errors: NDArray[np.float64], width: int
) -> NDArray[np.float64]: ...
def cut_texts(data: _Bytes, offsets: _I64, size: int) -> tuple[_I64, _I64, _I64]: ...
def reading_counts(data: _Bytes, starts: _I64, ends: _I64, table: _U32) -> _I64: ...
def script_counts(data: _Bytes, starts: _I64, ends: _I64, table: _U32, firsts: _U32) -> _I64: ...

# bpe.cpp: `joins` (M, 3) are the ids of left, right and both together, by rank; added tokens with the id -2 are found
# and left as text. `encode` gives the ids of all texts and where those of each begin and end.

class Bpe:
    def __init__(
        self, byte_ids: _U32, joins: _U32, first: list[tuple[bytes, int]], second: list[tuple[bytes, int]],
        digits: bool, /,
    ) -> None: ...
    def encode(self, data: _Bytes, bounds: _I64, /) -> tuple[_U32, _I64]: ...

# suffix.cpp: tokens are uint16 or int32, places int32 or int64; twins in petitlm.data.tokens.reference.

def suffix_array(tokens: NDArray[Any], places: NDArray[Any], n_ids: int) -> None: ...
def suffix_range(tokens: NDArray[Any], places: NDArray[Any], query: _I64) -> tuple[int, int]: ...
def suffix_longest(tokens: NDArray[Any], places: NDArray[Any], query: _I64, longest: _I64) -> None: ...
