"""What 4 and 8 bits cost: relative errors of block sizes and of ways to choose a block's scale.

usage: python bench/formats.py [FOLDER]     a checkpoint's matrices instead of normal random weights

The figures behind the choice of q4 and q8 (docs/log.md). Error is |W - stored| / |W|, root mean
squares over all matrices; bits include the fp16 scale of each block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

Scales = Callable[[np.ndarray, int], np.ndarray]


def by_largest(groups: np.ndarray, top: int) -> np.ndarray:
    """The largest magnitude becomes the largest positive value."""
    return np.abs(groups).max(-1) / top


def by_extreme(groups: np.ndarray, top: int) -> np.ndarray:
    """The value of largest magnitude becomes -(top + 1): all 2^bits values are used."""
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(-1, keepdims=True), -1)[..., 0]
    return extreme / -(top + 1)


def by_search(groups: np.ndarray, top: int) -> np.ndarray:
    """The best of 17 scales around `by_extreme`, each at its least-squares optimum."""
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(-1, keepdims=True), -1)[..., 0]
    best, gain = extreme / -(top + 1), np.zeros_like(extreme)
    for step in range(-8, 9):
        inverse = np.divide(-(top + 1 + 0.125 * step), extreme, out=np.zeros_like(extreme), where=extreme != 0)
        q = np.clip(np.rint(groups * inverse[..., None]), -(top + 1), top)
        wq, qq = (groups * q).sum(-1), (q * q).sum(-1)
        ratio = np.divide(wq, qq, out=np.zeros_like(wq), where=qq > 0)
        better = wq * ratio > gain
        best, gain = np.where(better, ratio, best), np.where(better, wq * ratio, gain)
    return best


def squared_error(w: np.ndarray, block: int, bits: int, choose: Scales) -> float:
    top = 2 ** (bits - 1) - 1
    groups = w[:, : w.shape[1] // block * block].reshape(w.shape[0], -1, block).astype(np.float64)
    scales = choose(groups, top).astype(np.float16).astype(np.float64)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)
    q = np.clip(np.rint(groups * inverse[..., None]), -(top + 1), top)
    return float(((groups - q * scales[..., None]) ** 2).sum())


def matrices() -> list[np.ndarray]:
    if len(sys.argv) == 1:
        return [np.random.default_rng(0).normal(0, 0.02, (1024, 2560)).astype(np.float32)]
    from petitlm.checkpoint import open_checkpoint

    source = open_checkpoint(sys.argv[1])
    return [source.read(name) for name in source.names if len(source.shape(name)) == 2]


def main() -> None:
    weights = matrices()
    norm = sum(float((w.astype(np.float64) ** 2).sum()) for w in weights)
    print(f"{'bits':>4} {'block':>5} {'bits/weight':>11}   " + "   ".join(f"{c.__name__:>10}" for c in CHOICES))
    for bits in (4, 8):
        for block in (16, 32, 64, 128):
            errors = [(sum(squared_error(w, block, bits, c) for w in weights) / norm) ** 0.5 for c in CHOICES]
            cells = "   ".join(f"{error:10.5f}" for error in errors)
            print(f"{bits:4} {block:5} {bits + 16 / block:11.3f}   {cells}", flush=True)


CHOICES: tuple[Scales, ...] = (by_largest, by_extreme, by_search)

if __name__ == "__main__":
    main()
