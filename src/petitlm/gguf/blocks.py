"""The number formats of GGUF tensors, turned into float32.

A row is cut into blocks of consecutive columns. A block holds small integers and what scales them: one
float16 `d` (and an offset `m` in the formats ending in 1), or, in the K formats of 256 columns, a float16 for
the block and a few bits for each of its parts. Two 4-bit numbers share a byte; which two is each format's own.
Layouts: ggml's `block_q4_0` to `block_q6_K`. Everything is little endian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Bytes = np.ndarray  # uint8 (n, n_bytes): one block a row
Values = np.ndarray  # float32 (n, columns)

_NIBBLES, _PAIRS, _ONES = (np.uint64(int(byte * 8, 16)) for byte in ("0F", "03", "01"))  # masks of all bytes of a word


@dataclass(frozen=True)
class BlockFormat:
    """One way to store the numbers of a tensor."""

    name: str
    columns: int
    """Columns of one block; a row must be a whole number of them."""
    n_bytes: int
    """Bytes of one block."""
    decode: Callable[[Bytes], Values]


def _f32(blocks: Bytes) -> Values:
    return blocks.view("<f4").copy()  # not a view of the file, which nobody may write to


def _f16(blocks: Bytes) -> Values:
    return blocks.view("<f2").astype(np.float32)


def _bf16(blocks: Bytes) -> Values:
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _q8_0(blocks: Bytes) -> Values:
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8)


def _q4_0(blocks: Bytes) -> Values:
    values = _nibbles(blocks[:, 2:]).astype(np.float32)
    values -= 8
    values *= _half(blocks, 0)
    return values


def _q4_1(blocks: Bytes) -> Values:
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]) + _half(blocks, 2)


def _q5_0(blocks: Bytes) -> Values:
    numbers = _nibbles(blocks[:, 6:]) | _bits(blocks[:, 2:6]) << 4
    return _half(blocks, 0) * (numbers.astype(np.float32) - 16)


def _q5_1(blocks: Bytes) -> Values:
    numbers = _nibbles(blocks[:, 8:]) | _bits(blocks[:, 4:8]) << 4
    return _half(blocks, 0) * numbers + _half(blocks, 2)


def _q4_k(blocks: Bytes) -> Values:
    numbers = _k_nibbles(blocks[:, 16:])
    return _k_scaled(blocks, numbers)


def _q5_k(blocks: Bytes) -> Values:
    # Byte c of the high bits serves column c of all eight parts: part p takes its bit p.
    high, numbers = _words(blocks[:, 16:48]), _k_nibbles(blocks[:, 48:])
    for part, words in enumerate(np.moveaxis(_words(numbers).reshape(-1, 8, 4), 1, 0)):
        words |= (high >> np.uint64(part) & _ONES) << np.uint64(4)
    return _k_scaled(blocks, numbers)


def _q6_k(blocks: Bytes) -> Values:
    n = len(blocks)
    low, high = _words(blocks[:, :128]).reshape(n, 2, 8), _words(blocks[:, 128:192]).reshape(n, 2, 4)
    numbers = np.empty((n, 2, 4, 4), np.uint64)  # halves of 128 columns, parts of 32
    for part in range(4):
        nibbles = low[:, :, 4 * (part % 2) : 4 * (part % 2) + 4] >> np.uint64(4 * (part // 2)) & _NIBBLES
        numbers[:, :, part] = nibbles | (high >> np.uint64(2 * part) & _PAIRS) << np.uint64(4)
    values = numbers.view(np.uint8).reshape(n, 16, 16).astype(np.float32)
    values -= 32
    values *= (blocks[:, 192:208].view(np.int8).astype(np.float32) * _half(blocks, 208))[:, :, None]
    return values.reshape(n, 256)


def _half(blocks: Bytes, at: int) -> Values:
    """Return the float16 at byte `at` of every block, (n, 1)."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _words(packed: Bytes) -> np.ndarray:
    """Return bytes (n, 8 m) as (n, m) words: eight bytes are then shifted and masked at once."""
    return np.ascontiguousarray(packed).view("<u8")


def _nibbles(packed: Bytes) -> np.ndarray:
    """Return (n, 32) numbers of 4 bits: the low halves of 16 bytes, then the high ones."""
    words = _words(packed)
    return np.concatenate([words & _NIBBLES, words >> np.uint64(4) & _NIBBLES], axis=1).view(np.uint8)


def _bits(packed: Bytes) -> np.ndarray:
    """Return (n, 8 x bytes) single bits, lowest first."""
    return np.unpackbits(np.ascontiguousarray(packed), axis=1, bitorder="little")


def _k_nibbles(packed: Bytes) -> np.ndarray:
    """Return (n, 256) numbers: each 32 bytes hold one part in their low halves and the next in their high ones."""
    words = _words(packed).reshape(-1, 4, 4)
    numbers = np.empty((len(words), 4, 2, 4), np.uint64)
    np.bitwise_and(words, _NIBBLES, out=numbers[:, :, 0])
    np.bitwise_and(words >> np.uint64(4), _NIBBLES, out=numbers[:, :, 1])
    return numbers.view(np.uint8).reshape(len(words), 256)


def _k_scaled(blocks: Bytes, numbers: np.ndarray) -> Values:
    """Return `d scale number - dmin minimum`, with scales and minima of eight parts in 12 bytes, 6 bits each."""
    s = blocks[:, 4:16]
    # Parts 0 to 3 have their 6 bits whole; parts 4 to 7 have 4 bits in the last bytes and 2 on top of the first ones.
    scales = np.concatenate([s[:, 0:4] & 63, (s[:, 8:12] & 15) | (s[:, 0:4] >> 6) << 4], axis=1)
    minima = np.concatenate([s[:, 4:8] & 63, s[:, 8:12] >> 4 | (s[:, 4:8] >> 6) << 4], axis=1)
    d, dmin = _half(blocks, 0) * scales, _half(blocks, 2) * minima
    values = numbers.astype(np.float32).reshape(len(blocks), 8, 32)
    values *= d[:, :, None]
    values -= dmin[:, :, None]
    return values.reshape(len(blocks), 256)


FORMATS: dict[int, BlockFormat] = {
    0: BlockFormat("F32", 1, 4, _f32),
    1: BlockFormat("F16", 1, 2, _f16),
    2: BlockFormat("Q4_0", 32, 18, _q4_0),
    3: BlockFormat("Q4_1", 32, 20, _q4_1),
    6: BlockFormat("Q5_0", 32, 22, _q5_0),
    7: BlockFormat("Q5_1", 32, 24, _q5_1),
    8: BlockFormat("Q8_0", 32, 34, _q8_0),
    12: BlockFormat("Q4_K", 256, 144, _q4_k),
    13: BlockFormat("Q5_K", 256, 176, _q5_k),
    14: BlockFormat("Q6_K", 256, 210, _q6_k),
    30: BlockFormat("BF16", 1, 2, _bf16),
}

# Named so that a refusal can say what was found.
UNSUPPORTED = {9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
               20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64",
               28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"}
