"""Drawings with two axes: lines and points. Every series has its own stroke and mark, so none needs its colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from petitlm.drawings.fragments import Table, drawing, figure, label, number, safe, shortened, ticks
from petitlm.errors import ShapeError

_WIDTH, _HEIGHT = 720.0, 330.0
_LEFT, _TOP, _BOTTOM = 64.0, 14.0, 48.0
_LETTER, _LONGEST = 7.2, 26  # width of a letter in pixels, letters of a name
_STROKES = ("", "7 4", "2 3", "9 3 2 3")
_SERIES = 8  # colours in the page's styles


class _Axes:
    """Where numbers lie on the drawing."""

    def __init__(self, x: Sequence[float], y: Sequence[float], right: float) -> None:
        self.x_ends, self.y_ends = _ends(x, 0.0), _ends(y, 0.04)
        self.width = _WIDTH - _LEFT - right
        self.height = _HEIGHT - _TOP - _BOTTOM

    def at(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self.x_ends, self.y_ends
        return _LEFT + self.width * (x - x0) / (x1 - x0), _TOP + self.height * (1 - (y - y0) / (y1 - y0))

    def parts(self, x_label: str, y_label: str) -> list[str]:
        """Return grid lines, numbers and names."""
        bottom, end = _TOP + self.height, _LEFT + self.width
        parts = []
        for value in ticks(*self.y_ends):
            y = self.at(self.x_ends[0], value)[1]
            parts.append(f'<path class="{"zero" if value == 0 else "grid"}" d="M{_LEFT} {y:.1f}H{end:.1f}"/>'
                         + label(_LEFT - 8, y + 4, number(value), "soft", "end"))
        for value in ticks(*self.x_ends, 8):
            x = self.at(value, self.y_ends[0])[0]
            parts.append(f'<path class="grid" d="M{x:.1f} {bottom:.1f}v5"/>'
                         + label(x, bottom + 19, number(value), "soft", "middle"))
        parts.append(f'<path class="axis" d="M{_LEFT} {bottom:.1f}H{end:.1f}"/>')
        if x_label:
            parts.append(label(_LEFT + self.width / 2, _HEIGHT - 8, x_label, "name", "middle"))
        if y_label:
            middle = _TOP + self.height / 2
            parts.append(f'<g transform="rotate(-90 14 {middle:.1f})">{label(14, middle, y_label, "name", "middle")}'
                         "</g>")
        return parts


def _ends(values: Sequence[float], margin: float) -> tuple[float, float]:
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    return low - margin * (high - low), high + margin * (high - low)


def lines(title: str, x: Sequence[float], series: Mapping[str, Sequence[float]], *, x_label: str = "",
          y_label: str = "", note: str = "") -> str:
    """Draw series over one x (N,), each named at its end; NaN breaks a line."""
    places = np.asarray(x, np.float64)
    for name, values in series.items():
        if len(values) != len(places):
            raise ShapeError(f"series {name!r} of {title!r} has {len(values)} values for {len(places)} places")
    every = [float(v) for values in series.values() for v in values]
    axes = _Axes(list(places), every, 34 + _LETTER * min(_LONGEST, max((len(name) for name in series), default=0)))
    parts, ends = axes.parts(x_label, y_label), []
    for i, (name, values) in enumerate(series.items()):
        points = [axes.at(a, float(v)) if np.isfinite(v) else None for a, v in zip(places, values, strict=True)]
        stroke = _STROKES[i // 2 % len(_STROKES)] if len(series) > 2 else _STROKES[i % 2]
        dashes = f' stroke-dasharray="{stroke}"' if stroke else ""
        parts.append(f'<path class="line" style="stroke:var(--s{i % _SERIES})"{dashes} d="{_path(points)}"/>')
        there = [p for p in points if p is not None]
        if len(there) <= 40:
            parts += [f'<g>{_mark(i, *p)}<title>{safe(name)}: {number(float(v))} at {number(float(a))}</title></g>'
                      for p, a, v in zip(points, places, values, strict=True) if p is not None]
        if there:
            ends.append((there[-1][1], i, name))
    parts += _end_labels(ends, axes)
    columns = [x_label or "x", *series]
    rows = [[float(a), *(float(values[i]) for values in series.values())] for i, a in enumerate(places)]
    return figure(title, drawing(title, _WIDTH, _HEIGHT, parts), note=note, numbers=Table("", columns, rows))


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    parts, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return "".join(parts)


def _mark(i: int, x: float, y: float) -> str:
    """Return the mark of the i-th series: disc, square, triangle or diamond."""
    fill = f'style="fill:var(--s{i % _SERIES})"'
    shapes = (f"M{x - 3.5:.1f} {y:.1f}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
              f"M{x:.1f} {y - 4:.1f}l4 7h-8z", f"M{x:.1f} {y - 4.5:.1f}l4 4.5l-4 4.5l-4 -4.5z")
    return f'<path class="mark" {fill} d="{shapes[i % len(shapes)]}"/>'


def _end_labels(ends: list[tuple[float, int, str]], axes: _Axes) -> list[str]:
    """Name each line at its end, moved apart where names would lie on one another."""
    x, step, parts = _LEFT + axes.width, 15.0, []
    lowest = _TOP + axes.height
    heights: list[float] = []
    for y, _, _ in sorted(ends):
        heights.append(max(y, heights[-1] + step) if heights else y)
    over = (heights[-1] - lowest) if heights else 0.0
    for n in range(len(heights) - 1, -1, -1):  # push up what fell below the axis
        if over > 0:
            heights[n] = min(heights[n], lowest - step * (len(heights) - 1 - n))
    for (y, i, name), height in zip(sorted(ends), heights, strict=True):
        parts.append(f'<path class="lead" style="stroke:var(--s{i % _SERIES})" d="M{x + 3:.1f} {y:.1f}L{x + 12:.1f} '
                     f'{height:.1f}"/>{_mark(i, x + 17, height)}{label(x + 25, height + 4, shortened(name, _LONGEST))}')
    return parts


def scatter(title: str, points: Sequence[tuple[str, float, float]], x_label: str, y_label: str, *,
            note: str = "") -> str:
    """Draw points (label, x, y); the outermost are named where there is room, all in the table."""
    finite = [p for p in points if np.isfinite(p[1]) and np.isfinite(p[2])]
    xs, ys = [p[1] for p in finite], [p[2] for p in finite]
    axes = _Axes(xs, ys, 30.0)
    axes.x_ends = _ends(xs, 0.04)
    parts = axes.parts(x_label, y_label)
    for name, x, y in finite:
        cx, cy = axes.at(x, y)
        parts.append(f'<circle class="point" cx="{cx:.1f}" cy="{cy:.1f}" r="3.5"><title>{safe(name)}: {number(x)}, '
                     f"{number(y)}</title></circle>")
    parts += _names(finite, axes)
    numbers = Table("", ["", x_label, y_label], [list(p) for p in points])
    return figure(title, drawing(title, _WIDTH, _HEIGHT, parts), note=note, numbers=numbers)


def _names(points: Sequence[tuple[str, float, float]], axes: _Axes) -> list[str]:
    """Name points from the outermost inwards, leaving out what would lie on another name."""
    if not points:
        return []
    middle = np.median([[x, y] for _, x, y in points], axis=0)
    size = [axes.x_ends[1] - axes.x_ends[0], axes.y_ends[1] - axes.y_ends[0]]
    order = sorted(points, key=lambda p: -float(np.hypot((p[1] - middle[0]) / size[0], (p[2] - middle[1]) / size[1])))
    dots = [axes.at(x, y) for _, x, y in points]
    taken = [(cx - 4, cy - 4, cx + 4, cy + 4) for cx, cy in dots]
    parts = []
    for name, x, y in order:
        text = shortened(name, 18)
        cx, cy = axes.at(x, y)
        wide = _LETTER * len(text)
        left = cx + 6 if cx + 6 + wide < _WIDTH else cx - 6 - wide
        box = left, cy - 10, left + wide, cy + 2
        if text and len(parts) < 24 and not any(_meet(box, other) for other in taken):
            taken.append(box)
            parts.append(label(left, cy - 1, text, "soft"))
    return parts


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
