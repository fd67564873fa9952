"""The page and its drawings: safe, whole, true to the numbers, and each with a table behind it."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib import resources
from math import log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.drawings import grids
from petitlm.drawings.fragments import number, numbers, ticks
from petitlm.errors import ShapeError, UsageError
from petitlm.look.page import bars, graph, heat, lines, page, scatter, tokens
from petitlm.look.results import About, Check, Result, Table

HOSTILE = '<script>alert("x")</script>&\'"'
VOID = {"meta", "br", "image", "rect", "path", "circle"}


class Parsed(HTMLParser):
    """Tags with their attributes and text; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.figures: list[set[str]] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "figure":
            self.figures.append(set())
        elif "figure" in self.open:
            self.figures[-1].add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass(frozen=True)
class Everything(Result):
    """One of each drawing, of hostile text."""

    def tables(self) -> list[Table]:
        return [Table(HOSTILE, [HOSTILE, "n"], [[HOSTILE, 1.5], [None, -2.0]], HOSTILE)]

    def charts(self) -> list[str]:
        names, wide = [HOSTILE, " "], [HOSTILE] * 60
        return [bars(HOSTILE, names, [1, -2], unit=HOSTILE, note=HOSTILE),
                heat(HOSTILE, names, names, [[1, 2], [3, np.nan]], texts=[[HOSTILE, "\n"]] * 2, unit=HOSTILE),
                heat(HOSTILE, wide, wide, np.eye(60) - 0.5, diverging=True),
                tokens(HOSTILE, names, [1, -1], unit=HOSTILE),
                lines(HOSTILE, [0, 1], {HOSTILE: [0, 1]}, x_label=HOSTILE, y_label=HOSTILE),
                scatter(HOSTILE, [(HOSTILE, 0, 1), ("b", 1, 2)], HOSTILE, HOSTILE),
                graph(HOSTILE, [("a", HOSTILE, 0, 1.0), ("b", "b", 2, -1.0)], [("a", "b", -0.5)], note=HOSTILE)]


@pytest.fixture(scope="module")
def everything() -> str:
    about = About("patch", {"clean": HOSTILE, "versus": None, "n": 3},
                  {"name": HOSTILE, "digest": "d" * 64, "bits": 4, "cache": "f16", "layers": "engine"})
    return page(Everything(about, checks=(Check("gap", 0.5, 0.1, HOSTILE), Check("seen", 3.0))))


def test_a_page_is_whole_fetches_nothing_and_shows_text_as_text(everything: str) -> None:
    parsed = Parsed(everything)
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    links = [value for _, attributes in parsed.tags for name, value in attributes.items() if name in ("href", "src")]
    assert links and all((value or "").startswith("data:image/png;base64,") for value in links)
    assert not re.search(r"url\((?!#)|@import|://", everything)
    assert "".join(parsed.words).count(HOSTILE) >= 15
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_drawing_has_a_table_and_every_image_a_name(everything: str) -> None:
    parsed = Parsed(everything)
    assert len(parsed.figures) == 7 and all("table" in figure for figure in parsed.figures)
    assert all(a.get("role") == "img" and a.get("aria-label") for tag, a in parsed.tags if tag == "svg")
    assert all(a.get("tabindex") == "0" for _, a in parsed.tags if a.get("class") == "scroll")  # scrolls by keyboard


def test_a_page_says_how_far_to_trust_it_and_how_to_ask_again(everything: str) -> None:
    words = "".join(Parsed(everything).words)
    assert "✗ gap: 0.5 (at most 0.1: NOT MET)" in words and "seen: 3" in words
    assert "observed" in words and "look.patch(petitlm.load(" in words and "n=3" in words and "versus" not in words


def test_bars_are_as_long_as_their_values() -> None:
    drawn = bars("t", ["a", "b", "c"], [4.0, -1.0, 0.0])
    places = [(kind, float(left), float(width)) for kind, left, width in
              re.findall(r'<i class="(\w+)" style="left:([\d.]+)%;width:([\d.]+)%"', drawn)]
    assert places == [("pos", 20.0, 80.0), ("neg", 0.0, 20.0), ("pos", 20.0, 0.0)]
    assert re.findall(r'<td class="n">([^<]+)</td>', drawn) == ["4", "−1", "0"]


def test_many_bars_keep_the_largest_in_their_order() -> None:
    values = np.arange(300.0) * np.where(np.arange(300) % 2, 1, -1)
    drawn = bars("t", [f"x{i}" for i in range(300)], values)
    assert re.findall(r">x(\d+)<", drawn) == [str(i) for i in range(100, 300)]
    assert "largest 200 of 300" in drawn


def test_cells_are_as_strong_as_their_values() -> None:
    drawn = heat("t", ["r"], ["a", "b", "c"], [[-1.0, 0.5, np.nan]], diverging=True)
    assert re.findall(r'class="(h[np])" style="--a:([\d.]+)"', drawn) == [("hn", "1.00"), ("hp", "0.50")]
    assert drawn.count("<td></td>") == 2 and ">−1.00<" in drawn  # the corner, and what is not a number
    from_zero = heat("t", ["r"], ["a", "b"], [[1.0, 4.0]])
    assert re.findall(r"--a:([\d.]+)", from_zero) == ["0.25", "1.00"]
    within = heat("t", ["r"], ["a", "b"], [[9.0, 10.0]])  # from zero the two would look alike
    assert re.findall(r"--a:([\d.]+)", within) == ["0.00", "1.00"]


@pytest.mark.parametrize("shape", [(60, 60), (2100, 3)])
def test_many_cells_become_an_image_with_the_same_values(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    drawn = heat("t", [f"r{i}" for i in range(shape[0])], [f"c{i}" for i in range(shape[1])], values, diverging=True)
    images = [png_pixels(base64.b64decode(data)) for data in re.findall(r"base64,([^\"]+)", drawn)]
    step = -(-max(shape) // 1024)
    blocks = [[values[r : r + step, c : c + step] for c in range(0, shape[1], step)] for r in range(0, shape[0], step)]
    strongest = np.array([[max(b.ravel(), key=abs) for b in row] for row in blocks]) / np.abs(values).max()
    for sign, image in zip((1, -1), images, strict=True):
        np.testing.assert_allclose(image / 255, np.clip(sign * strongest, 0, 1), atol=0.5 / 255 + 1e-9)
    r, c = np.unravel_index(np.abs(values).argmax(), shape)
    assert re.search(rf"<tbody><tr><td>r{r}</td><td>c{c}</td>", drawn)


def png_pixels(data: bytes) -> np.ndarray:
    """Return the grey levels of a PNG without filters (R, C): a reader of its own, by the specification."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        chunks[kind] = data[at + 8 : at + 8 + size]
        assert zlib.crc32(data[at + 4 : at + 8 + size]) == struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0]
        at += 12 + size
    columns, rows, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 0)
    raw = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not raw[:, 0].any()
    return raw[:, 1:].astype(float)


def test_tokens_break_lines_where_the_text_does() -> None:
    drawn = tokens("t", ["a", "↵", "b", " "], [0.0, 1.0, 2.0, 3.0])
    assert drawn.count("<br>") == 1 and drawn.index("<br>") < drawn.index(">b<") and ">␣<" in drawn


def test_lines_go_through_their_points_and_break_where_there_is_none() -> None:
    drawn = lines("t", [0, 1, 2, 3, 4], {"a": [0, 1, np.nan, 3, 4], "b": [4, 3, 2, 1, 0]})
    a, b = re.findall(r'class="line"[^>]* d="([^"]+)"', drawn)
    assert a.count("M") == 2 and b.count("M") == 1
    points = np.array([[float(v) for v in p.split()] for p in re.split("[ML]", b)[1:]])
    steps = np.diff(points, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=0.11)  # rounded to 0.1 pixels
    assert steps[0, 0] > 0 and steps[0, 1] > 0  # downwards on the page


def test_names_at_the_ends_of_lines_do_not_lie_on_one_another() -> None:
    drawn = lines("t", [0, 1], {f"s{i}": [0, 1 + i / 1000] for i in range(8)})
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)" text-anchor="start">s\d', drawn))
    assert len(heights) == 8 and min(np.diff(heights)) >= 14.9


def test_an_edge_of_no_node_is_refused() -> None:
    with pytest.raises(UsageError, match="'a' to 'c'"):
        graph("t", [("a", "a", 0, 1.0)], [("a", "c", 1.0)])


def test_an_edge_that_leads_back_is_refused() -> None:
    for layers in ((1, 0), (0, 0)):
        edges = [("a", "b", 1.0), *([("b", "a", 1.0)] if layers[0] == layers[1] else [])]
        with pytest.raises(UsageError, match="leads back"):
            graph("t", [("a", "a", layers[0], 1.0), ("b", "b", layers[1], 1.0)], edges)


def test_no_edge_runs_through_a_node() -> None:
    """Edges are cubic curves between boxes and straight lines in lanes: each of their points is outside all boxes."""
    rng = np.random.default_rng(0)
    nodes = [(f"n{i}", f"n{i}", int(layer), 1.0) for i, layer in enumerate(np.sort(rng.integers(0, 6, 18)))]
    edges = [(a[0], b[0], 1.0) for i, a in enumerate(nodes) for b in nodes[i + 1 :] if rng.random() < 0.3]
    drawn = graph("t", nodes, edges)
    boxes = [tuple(map(float, box)) for box in re.findall(r'class="box" x="([\d.]+)" y="([\d.]+)"', drawn)]
    assert len(boxes) == len(nodes) and len(set(boxes)) == len(nodes)
    paths = re.findall(r'class="ep"[^>]* d="([^"]+)"', drawn)
    assert len(paths) == len(edges)
    for path in paths:
        for x, y in points_of(path):
            assert not any(left + 0.2 < x < left + 103.8 and top + 0.2 < y < top + 39.8 for left, top in boxes)


def points_of(path: str) -> list[tuple[float, float]]:
    """Return points of an SVG path of moves, cubic curves and vertical lines."""
    points: list[tuple[float, float]] = []
    for kind, rest in re.findall(r"([MCV])([^MCV]*)", path):
        numbers_ = np.array(rest.split(), float)
        if kind == "M":
            points.append((numbers_[0], numbers_[1]))
        elif kind == "V":
            points += [(points[-1][0], y) for y in np.linspace(points[-1][1], numbers_[0], 9)]
        else:
            p = np.array([points[-1], *numbers_.reshape(3, 2)])
            for t in np.linspace(0, 1, 33):
                weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
                points.append(tuple(np.asarray(weights) @ p))
    return points


@pytest.mark.parametrize("draw", [
    lambda: bars("wrong", ["a"], [1, 2]), lambda: heat("wrong", ["a"], ["b"], [[1, 2]]),
    lambda: tokens("wrong", ["a"], []), lambda: lines("wrong", [0, 1], {"a": [1]}),
])
def test_labels_that_do_not_fit_are_refused(draw: object) -> None:
    with pytest.raises(ShapeError, match="wrong"):
        draw()  # type: ignore[operator]


def test_nothing_to_draw_is_drawn_empty() -> None:
    for drawn in (bars("t", [], []), heat("t", [], [], np.zeros((0, 0))), lines("t", [], {}), tokens("t", [], []),
                  scatter("t", [], "x", "y"), graph("t", [], [])):
        Parsed(drawn)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_and_inside(low: float, span: float) -> None:
    high = low + span
    found = ticks(low, high)
    slack = 1e-8 * max(span, 1e-3)
    assert 2 <= len(found) <= 11 and all(low - slack <= t <= high + slack for t in found)
    step = (found[-1] - found[0]) / (len(found) - 1)
    assert min(abs(log10(step / s) - round(log10(step / s))) for s in (1, 2, 5)) < 1e-3


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_numbers_that_stand_together_are_true_to_three_digits_of_the_largest(values: list[float]) -> None:
    most = max(map(abs, values))
    for text, value in zip(numbers(values), values, strict=True):
        assert abs(float(text.replace("−", "-")) - value) <= 0.0051 * most + 1e-12
        assert text.lstrip("−0.") or not text.startswith("−")  # no minus before a zero


def test_numbers_alone() -> None:
    assert [number(v) for v in (0.0, -0.0, 12345.6, -0.00123, 1e-9, float("nan"))] == \
        ["0", "0", "12346", "−0.00123", "1e−09", "–"]


def test_the_drawings_know_how_large_an_image_may_be() -> None:
    assert grids._pooled(np.zeros((3000, 10)))[1] == 3


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_strokes_can_be_seen_in_light_and_dark(scheme: int) -> None:
    style = (resources.files("petitlm.drawings") / "page.css").read_text("utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.S)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))

    def contrast(a: str, b: str) -> float:
        high, low = sorted((luminance(colours[a]), luminance(colours[b])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for text, ground in [("ink", "paper"), ("soft", "paper"), ("good", "paper"), ("bad", "paper"), ("ink", "well"),
                         ("ink", "hp"), ("ink", "hn")]:  # the strongest cells still carry text
        assert contrast(text, ground) >= 4.5, (text, ground)
    for stroke in ["pos", "neg", *(f"s{i}" for i in range(8))]:
        assert contrast(stroke, "paper") >= 3, stroke
