"""The finalizer of splitmix64: a bijection of 64-bit numbers that leaves no pattern. Steele et al. 2014, figure 16."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each number mixed; products wrap."""
    x = (x ^ x >> np.uint64(30)) * _FACTORS[0]
    x = (x ^ x >> np.uint64(27)) * _FACTORS[1]
    return x ^ x >> np.uint64(31)
