"""Drawings that are tables with something to see in them: bars, grids of coloured cells, coloured tokens.

Being tables they can be read aloud, selected and printed; colour only repeats what length or digits say.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from petitlm.drawings.fragments import (
    Table,
    drawing,
    figure,
    label,
    number,
    numbers,
    safe,
    shortened,
    visible,
)
from petitlm.errors import ShapeError

_MOST_CELLS = 2500  # of a grid that is drawn as a table; a larger one becomes an image
_MOST_PIXELS = 1024  # of an image's side
_MOST_BARS = 200
_WIDEST = 14  # characters in a cell

Array = NDArray[np.float64]


def bars(title: str, labels: Sequence[str], values: ArrayLike, *, unit: str = "", note: str = "",
         texts: Sequence[str] | None = None) -> str:
    """Draw values (N,) as bars from zero, one under the other, with the numbers, or `texts`, beside them."""
    heights = _values(title, values, (len(labels),))
    order: list[int] = list(range(len(heights)))
    if len(heights) > _MOST_BARS:
        order = sorted(np.argsort(-np.abs(np.nan_to_num(heights)), kind="stable")[:_MOST_BARS].tolist())
        note = f"{note} The largest {_MOST_BARS} of {len(heights):,} are drawn.".strip()
    finite = heights[np.isfinite(heights)]
    low, high = min(0.0, finite.min(initial=0.0)), max(0.0, finite.max(initial=0.0))
    span, rows, said = (high - low) or 1.0, [], texts or numbers(heights)
    for i in order:
        value = float(heights[i])
        begin, end = sorted((0.0, value)) if np.isfinite(value) else (0.0, 0.0)
        bar = (f'<i class="{"neg" if value < 0 else "pos"}" style="left:{100 * (begin - low) / span:.2f}%;'
               f'width:{100 * (end - begin) / span:.2f}%"></i><b style="left:{100 * -low / span:.2f}%"></b>')
        rows.append(f'<tr><th scope="row">{safe(visible(str(labels[i])))}</th><td class="bar"><div>{bar}</div></td>'
                    f'<td class="n">{safe(said[i])}</td></tr>')
    head = f'<thead><tr><td></td><td></td><th class="n" scope="col">{safe(unit)}</th></tr></thead>' if unit else ""
    return figure(title, f'<table class="bars">{head}<tbody>{"".join(rows)}</tbody></table>', note=note)


def heat(title: str, row_labels: Sequence[str], column_labels: Sequence[str], values: ArrayLike, *, unit: str = "",
         diverging: bool = False, note: str = "", texts: Sequence[Sequence[str]] | None = None,
         most: float | None = None, ends: tuple[str, str] | None = None) -> str:
    """Draw values (R, C) as coloured cells; NaN leaves a cell empty.

    `texts` (R, C) are shown in the cells, else the numbers where there is room. More than a few thousand cells become
    an image, with the largest in a table. The scale ends at `most`, or at the largest value: drawings that are compared
    have one scale. `ends` says in words what the ends of the scale mean.
    """
    grid = _values(title, values, (len(row_labels), len(column_labels)))
    shade, low, high = _shades(grid, diverging, most)
    if grid.size > _MOST_CELLS:
        return _image(title, row_labels, column_labels, grid, shade, _scale(low, high, unit), note)
    small = texts is None and grid.shape[1] > 16
    digits = numbers(grid.ravel()) if texts is None else []
    head = "".join(f'<th scope="col">{_turned(name, small or len(column_labels) > 8)}</th>' for name in column_labels)
    rows = []
    for r, name in enumerate(row_labels):
        cells = []
        for c, value in enumerate(grid[r]):
            where = safe(f"{name}, {column_labels[c]}: {number(float(value))}{' ' + unit if unit else ''}")
            if not np.isfinite(value):
                cells.append("<td></td>")
                continue
            text = digits[r * len(column_labels) + c] if texts is None else shortened(visible(texts[r][c]), _WIDEST)
            inner = f"<s>{safe(text)}</s>" if small else safe(text)
            kind = "hn" if shade[r, c] < 0 else "hp"
            cells.append(f'<td class="{kind}" style="--a:{abs(shade[r, c]):.2f}" title="{where}">{inner}</td>')
        rows.append(f'<tr><th scope="row">{safe(visible(str(name)))}</th>{"".join(cells)}</tr>')
    kind = "heat small" if small else "heat" if texts is None else "heat texts"
    body = (f'<div class="scroll" tabindex="0"><table class="{kind}"><thead><tr><td></td>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>")
    return figure(title, body, note=note, scale=_scale(low, high, unit, ends), narrow=True)


def tokens(title: str, texts: Sequence[str], values: ArrayLike, *, unit: str = "", note: str = "") -> str:
    """Draw a text's tokens in reading order, each coloured by its value (N,) with the number under it."""
    row = _values(title, values, (len(texts),))
    shade, low, high = _shades(row, bool((row < 0).any()))
    spans, digits = [], numbers(row, 2)
    for text, shown_value, a in zip(texts, digits, shade, strict=True):
        shown = f'<span class="{"hn" if a < 0 else "hp"}" style="--a:{abs(a):.2f}">{safe(visible(text))}</span>'
        spans.append(f"<span>{shown}<small>{shown_value}</small></span>" + ("<br>" if "↵" in text else ""))
    behind = Table("", ["position", "token", unit or "value"],
                    [[i, text, float(value)] for i, (text, value) in enumerate(zip(texts, row, strict=True))])
    return figure(title, f'<p class="tokens">{"".join(spans)}</p>', note=note, numbers=behind,
                  scale=_scale(low, high, unit))


def _values(title: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, np.float64)
    if array.shape != shape:
        raise ShapeError(f"the drawing {title!r} has labels for {shape} and values of shape {array.shape}; "
                         "give one label for each row and column")
    return array


def _shades(grid: Array, diverging: bool, most: float | None = None) -> tuple[Array, float, float]:
    """Return how strong each value is drawn, -1 to 1, and what the ends of the scale mean."""
    if most is not None:
        return np.clip(np.nan_to_num(grid / most), -1, 1), -most if diverging else 0.0, most
    finite = grid[np.isfinite(grid)]
    if not finite.size:
        return np.zeros_like(grid), 0.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    if diverging:
        most = max(abs(low), abs(high)) or 1.0
        return np.nan_to_num(grid / most), -most, most
    if 0 <= low <= high / 2:
        low = 0.0  # an honest scale begins at zero, unless that hides all differences
    return np.nan_to_num((grid - low) / ((high - low) or 1.0)), low, high


def _scale(low: float, high: float, unit: str, ends: tuple[str, str] | None = None) -> str:
    kind = "two" if low < 0 < high and low == -high else "one"
    first, last = ends or (number(low), f"{number(high)} {unit}")
    return f'<p class="scale"><span>{safe(first)}</span><i class="{kind}"></i><span>{safe(last)}</span></p>'


def _turned(name: str, turn: bool) -> str:
    text = safe(visible(shortened(str(name), _WIDEST)))
    return f"<em>{text}</em>" if turn else text


def _image(title: str, row_labels: Sequence[str], column_labels: Sequence[str], grid: Array, shade: Array, scale: str,
           note: str) -> str:
    """Draw many cells as two masks, one for each sign, through which the page's colours show in light and dark."""
    pooled, step = _pooled(shade)
    if step > 1:
        note = f"{note} Each point is the strongest of {step} by {step} cells.".strip()
    rows, columns = grid.shape
    size = max(1.0, 620 / max(rows, columns))
    width, height, left, top = columns * size, rows * size, 84.0, 78.0
    frame = f'x="{left}" y="{top}" width="{width:.1f}" height="{height:.1f}"'
    parts = [f'<rect {frame} class="frame"/>']
    for sign, kind in ((1, "ip"), (-1, "in")):
        strong = np.clip(sign * pooled, 0, 1)
        if strong.any():
            data = _png((255 * strong).round().astype(np.uint8))
            name = f"m{zlib.crc32(data):x}"
            parts.append(f'<mask id="{name}"><image {frame} preserveAspectRatio="none" style="image-rendering:'
                         f'pixelated" href="data:image/png;base64,{base64.b64encode(data).decode()}"/></mask>'
                         f'<rect {frame} class="{kind}" mask="url(#{name})"/>')
    for i in range(0, rows, max(1, round(16 / size))):
        parts.append(label(left - 6, top + (i + 0.5) * size + 4, shortened(str(row_labels[i]), 11), "soft", "end"))
    for i in range(0, columns, max(1, round(16 / size))):
        x = left + (i + 0.5) * size
        parts.append(f'<g transform="rotate(-60 {x:.1f} {top - 6})">'
                     f"{label(x, top - 6, shortened(str(column_labels[i]), 11), 'soft')}</g>")
    strongest = np.argsort(-np.abs(np.nan_to_num(grid)), axis=None, kind="stable")[:200]
    where = [divmod(int(i), columns) for i in strongest]
    behind = Table("", ["row", "column", "value"],
                   [[row_labels[r], column_labels[c], float(grid[r, c])] for r, c in where],
                   f"The largest {len(where)} of {grid.size:,} values.")
    return figure(title, drawing(title, left + width + 40, top + height + 8, parts), note=note, numbers=behind,
                  scale=scale)


def _pooled(shade: Array) -> tuple[Array, int]:
    """Return an image of at most `_MOST_PIXELS` a side that keeps the strongest of what falls together."""
    step = -(-max(shade.shape) // _MOST_PIXELS)
    if step == 1:
        return shade, 1
    rows, columns = (-(-n // step) for n in shade.shape)
    padded = np.zeros((rows * step, columns * step))
    padded[: shade.shape[0], : shade.shape[1]] = shade
    blocks = padded.reshape(rows, step, columns, step).swapaxes(1, 2).reshape(rows, columns, -1)
    most = np.abs(blocks).argmax(-1)
    return np.take_along_axis(blocks, most[..., None], -1)[..., 0], step


def _png(gray: NDArray[np.uint8]) -> bytes:
    """Return a grey image (R, C) as PNG: a header, one compressed block, an end; every row unfiltered."""
    rows, columns = gray.shape
    raw = np.concatenate([np.zeros((rows, 1), np.uint8), gray], 1).tobytes()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(raw, 9)),
              (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks)
