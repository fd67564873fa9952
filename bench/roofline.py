"""Where petit's products lie under the two limits of a machine: reading memory, and multiplying bytes.

usage: python bench/roofline.py PACKED [--threads 2] [--reps 5] [--svg docs/roofline.svg]

All matrices of PACKED's blocks are multiplied with n tokens, as in a forward pass of n sequences (or of a prompt of n
tokens). Operations for each byte of weights grow with n; what can be reached is the smaller of the bandwidth times
that and of what the arithmetic units do. Limits are measured between the repetitions, points are medians.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path

import numpy as np

from petitlm.engine.formats import Packed
from petitlm.engine.kernels import NativeKernels
from petitlm.engine.packing import open_packed
from petitlm.evals.conditions import machine

TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 440, 74, 46, 24, 62


def measure(matrices: list[Packed], kernels: NativeKernels, n: int) -> float:
    """Return the operations per second of one pass over all matrices with n tokens."""
    inputs = {w.columns: np.random.default_rng(n).standard_normal((n, w.columns)).astype(np.float32) for w in matrices}
    start = time.perf_counter()
    for w in matrices:
        kernels.matmul(w, inputs[w.columns], None)
    return 2.0 * n * sum(w.rows * w.columns for w in matrices) / (time.perf_counter() - start)


BOUNDS = (1.0, 3000.0, 2e10, 4e12)
STYLE = ("text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:12px;fill:#555}.grid{stroke:#ddd}"
         ".roof{stroke:#333;stroke-width:2;fill:none}.dot{fill:#1a6fb5}")
MEANING = ("Operations per second of 4-bit products over operations for each byte of weights. The points follow the "
           "memory limit with few tokens and the limit of byte arithmetic with many.")


def place(intensity: float, rate: float) -> tuple[float, float]:
    """Return the point of the drawing for operations a byte and operations a second, both on logarithmic axes."""
    x0, x1, y0, y1 = (math.log10(b) for b in BOUNDS)
    x = LEFT + (math.log10(intensity) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
    return x, HEIGHT - BOTTOM - (math.log10(rate) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """Return a piece of text, in the middle of x unless `anchor` says otherwise."""
    anchor = attributes.pop("anchor", "middle")
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{content}</text>'


def axes() -> list[str]:
    """Return grid lines and names of both axes."""
    low, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    parts = []
    for intensity in (1, 10, 100, 1000):
        x, _ = place(intensity, BOUNDS[2])
        parts += [f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{low}"/>',
                  text(x, low + 18, f"{intensity:,}", **{"class": "small"})]
    for rate, name in ((1e11, "100 G"), (1e12, "1 T")):
        _, y = place(1, rate)
        parts += [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
                  text(LEFT - 8, y + 4, name, anchor="end", **{"class": "small"})]
    about = "operations for each byte of weights (the number beside a point: tokens together)"
    return [*parts, text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, about),
            text(18, middle, "operations a second", transform=f"rotate(-90 18 {middle})")]


def roof(bandwidth: float, peak: float) -> list[str]:
    """Return the two limits with their names."""
    ridge = peak / bandwidth
    low, corner, end = place(1, bandwidth), place(ridge, peak), place(BOUNDS[1], peak)
    path = " L".join(f"{x:.1f},{y:.1f}" for x, y in (low, corner, end))
    slope = math.degrees(math.atan2(low[1] - corner[1], corner[0] - low[0]))
    x, y = place(ridge**0.4, bandwidth * ridge**0.4)
    return [f'<path class="roof" d="M{path}"/>',
            text(x, y - 12, f"memory: {bandwidth / 1e9:.0f} GB/s",
                 transform=f"rotate({-slope:.1f} {x:.1f} {y - 12:.1f})"),
            text(end[0] - 4, end[1] - 10, f"products of bytes: {peak / 1e12:.2f} T/s", anchor="end")]


def drawing(points: list[tuple[int, float, float]], bandwidth: float, peak: float, title: str) -> str:
    """Return the roofline as SVG: limits as lines, a point for each number of tokens."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
             f'aria-labelledby="t d"><title id="t">{title}</title><desc id="d">{MEANING}</desc><style>{STYLE}</style>',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
             text(LEFT, 24, title, anchor="start", **{"font-weight": 600}), *axes(), *roof(bandwidth, peak)]
    for n, intensity, rate in points:
        x, y = place(intensity, rate)
        parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>',
                  text(x + 9, y + 15, str(n), anchor="start", **{"class": "small"})]
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--svg", type=Path)
    arguments = parser.parse_args()
    packed, kernels, facts = open_packed(Path(arguments.packed)), NativeKernels(arguments.threads), machine()
    matrices = [w for name, w in packed.weights.items() if name.startswith("blocks.") and isinstance(w, Packed)]
    per_byte = 2.0 * sum(w.rows * w.columns for w in matrices) / sum(w.data.nbytes for w in matrices)
    rates: dict[int, list[float]] = {n: [] for n in TOKENS}
    limits: list[tuple[float, float]] = []
    for _ in range(arguments.reps):
        for n in TOKENS:
            rates[n].append(measure(matrices, kernels, n))
            limits.append((kernels.read_bandwidth(1 << 29, 1), kernels.integer_rate(1_000_000)))
    bandwidth, peak = (statistics.median(column) for column in zip(*limits, strict=True))
    points = [(n, n * per_byte, statistics.median(rates[n])) for n in TOKENS]
    print(f"{facts['processor']}, {arguments.threads} threads, {facts['measured']}: {bandwidth / 1e9:.1f} GB/s read, "
          f"{peak / 1e9:,.0f} GOP/s on bytes")
    print("tokens  operations/byte  GOP/s  of what can be reached")
    for n, intensity, rate in points:
        print(f"{n:6}  {intensity:15.1f}  {rate / 1e9:5,.0f}  {rate / min(peak, intensity * bandwidth):.0%}")
    if arguments.svg:
        arguments.svg.write_text(drawing(points, bandwidth, peak, "4-bit products of phi-2's shape, "
                                         f"{arguments.threads} threads"), "utf-8")


if __name__ == "__main__":
    main()
