"""What all drawings share: text made safe, numbers made short, ticks, tables, and the frame around a drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10
from typing import Any

from rich.cells import cell_len

_MOST_ROWS = 2000  # of a table on a page; more is for programs, which read the JSON
_WIDEST = 40  # of a cell with text


@dataclass(frozen=True)
class Table:
    """Rows under column names; numbers are numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


class Digits(str):
    """A number as it is to be read (with separators, a unit, a sign): flush right in a table."""

    __slots__ = ()


def visible(text: str) -> str:
    """Return a token's text with marks where nothing would be seen."""
    text = text.replace("\n", "↵").replace("\t", "⇥")
    return text if text.strip(" ") else text.replace(" ", "␣") or "∅"


def cell_text(cell: Any) -> str:
    """Return a table's cell as it is read: three significant digits, text cut where it is too long."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.3f}" if 1e-2 <= abs(cell) < 1e3 or cell == 0 else f"{cell:.3g}"
    text = visible(str(cell)) if cell != "" else ""
    return text if cell_len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def safe(text: object) -> str:
    """Return text as HTML shows it, never as HTML."""
    return escape(str(text), quote=True)


def shortened(text: str, most: int) -> str:
    """Return text of at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def number(value: float) -> str:
    """Return a number with three significant digits, and the sign that typography has for a minus."""
    if not isfinite(value):
        return "–"
    text = f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.3g}"
    return _signed(text)


def numbers(values: Iterable[float], digits: int = 3) -> list[str]:
    """Return numbers that stand together, all with as many decimals: so many digits for the largest."""
    values = [float(v) for v in values]
    most = max((abs(v) for v in values if isfinite(v)), default=0.0)
    if not 1e-6 <= most < 1e5:
        return [number(v) for v in values]
    decimals = max(0, digits - 1 - floor(log10(most)))
    if all(v == round(v) for v in values if isfinite(v)):
        decimals = 0
    return [_signed(f"{v:.{decimals}f}") if isfinite(v) else "–" for v in values]


def _signed(text: str) -> str:
    return (text[1:] if text.startswith("-") and not text.strip("-0.") else text).replace("-", "−")


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return about `n` round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / n
    power = 10.0 ** floor(log10(rough))
    step = next(power * s for s in (1, 2, 5, 10) if power * s >= rough * 0.999)
    return [round(i * step, 12) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def html_table(table: Table, *, titled: bool = True) -> str:
    """Return a table as HTML; numbers flush right."""
    rows = table.rows[:_MOST_ROWS]
    kinds = int | float | Digits | None
    right = [all(isinstance(row[i], kinds) for row in table.rows) for i in range(len(table.columns))]
    head = "".join(f'<th scope="col"{" class=n" if flush else ""}>{safe(name)}</th>'
                   for name, flush in zip(table.columns, right, strict=True))
    body = "".join("<tr>" + "".join(_cell(cell, flush) for cell, flush in zip(row, right, strict=True)) + "</tr>"
                   for row in rows)
    caption = f"<caption>{safe(table.title)}</caption>" if titled and table.title else ""
    left = len(table.rows) - len(rows)
    more = f'<p class="note">{left:,} more rows are in the JSON.</p>' if left else ""
    note = f'<p class="note">{safe(table.note)}</p>' if table.note else ""
    return (f'<div class="block"><div class="scroll" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{more}{note}</div>")


def _cell(cell: Any, flush: bool) -> str:
    if not flush:
        return f"<td>{safe(visible(cell) if isinstance(cell, str) and cell else cell_text(cell))}</td>"
    return f'<td class="n">{safe(cell_text(cell)).replace("-", "−")}</td>'


def figure(title: str, body: str, *, note: str = "", numbers: Table | None = None, scale: str = "",
           narrow: bool = False) -> str:
    """Return a drawing in its frame: title, scale, drawing, note, and the table behind it.

    A narrow one may have another beside it.
    """
    behind = f"<details><summary>The numbers</summary>{html_table(numbers, titled=False)}</details>" if numbers else ""
    words = f'<p class="note">{safe(note)}</p>' if note else ""
    kind = ' class="narrow"' if narrow else ""
    return f"<figure{kind}><figcaption>{safe(title)}</figcaption>{scale}{body}{words}{behind}</figure>"


def drawing(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    """Return an SVG of a size in CSS pixels, which gives way on narrow screens until its text would be too small."""
    return (f'<div class="scroll" tabindex="0"><svg role="img" aria-label="{safe(title)}" viewBox="0 0 {width:.0f} '
            f'{height:.0f}" style="width:{width:.0f}px;min-width:{0.8 * width:.0f}px;max-width:100%">'
            f"{''.join(parts)}</svg></div>")


def label(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """Return text in an SVG; `kind` is a class of the page's styles."""
    return (f'<text x="{x:.1f}" y="{y:.1f}"{f" class={kind}" if kind else ""} text-anchor="{anchor}">'
            f"{safe(visible(text))}</text>")
