"""Weight formats of the engine and the packed matrix, as kernels/formats.h lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from petitlm.errors import UsageError

FormatName = Literal["q4", "q8", "f16", "f32", "q4_0"]

FORMATS: dict[FormatName, int] = {"q4": 0, "q8": 1, "f16": 2, "f32": 3, "q4_0": 4}
"""Name to the number that the kernels know."""

PANEL = 16
"""Rows that lie side by side: one vector lane each."""
GROUP = 32
"""Columns that share one scale."""
BLOCK = 64
"""Columns of a block: two groups, which keeps blocks aligned to 64 bytes."""
BLOCK_BYTES = {"q4_0": 576, "q8": 1088}
"""Bytes of one block of 16 rows: 512 or 1024 of values, then 32 fp16 scales."""
SUPERBLOCK, RUN, SUBGROUP = 256, 128, 16
"""Columns of q4 that share an fp16 scale, a line of sub-scales, and a sub-scale."""
SUBSCALES = (4, 6, 7, 8, 9, 10, 12, 14)
"""What the low three bits of a q4 sub-scale code stand for; the fourth is the sign."""
SPAN: dict[FormatName, int] = {"q4": SUPERBLOCK, "q4_0": GROUP, "q8": GROUP}
"""Columns that are summed in integers before a float scale is applied, in weights and in activations."""


@dataclass(frozen=True)
class Packed:
    """A matrix (rows out, columns in) in a kernel format; `data` may be a view of a mapped file."""

    format: FormatName
    rows: int
    columns: int
    data: NDArray[np.uint8]


def packed_bytes(format: FormatName, rows: int, columns: int) -> int:
    """Return the bytes of a packed matrix, padding to whole panels and blocks included."""
    panels = -(-rows // PANEL)
    if format == "q4":
        scales = -(-columns // SUPERBLOCK) * PANEL * 2
        return panels * (-(-scales // 64) * 64 + -(-columns // RUN) * 64 + -(-columns // SUBGROUP) * 128)
    if format in BLOCK_BYTES:
        return panels * -(-columns // BLOCK) * BLOCK_BYTES[format]
    return panels * columns * PANEL * (2 if format == "f16" else 4)


def formats_for(bits: int, name: str) -> FormatName | None:
    """Return the format of weight `name` in a model of 4, 8, 16 or 32 bits; None for a plain float32 vector.

    A 4-bit model keeps its embedding in 8 bits: it is looked up, not read through, so it costs no
    speed, and where it is tied it is also the output head, the matrix that errors hurt most.

    Raises: UsageError for other numbers of bits.
    """
    if bits not in (4, 8, 16, 32):
        raise UsageError(f"bits={bits} is not a weight format; choose 4, 8, 16 or 32")
    if not name.endswith(".weight") or name.split(".")[-2].startswith("ln") or name == "pos_embed.weight":
        return None
    if bits == 4:
        return "q8" if name == "embed.weight" else "q4"
    return {8: "q8", 16: "f16", 32: "f32"}[bits]  # type: ignore[return-value]
