"""Drawing of a circuit: nodes in layers, from the input at the bottom to the answer at the top."""

from __future__ import annotations

from collections.abc import Sequence

from petitlm.errors import UsageError
from petitlm.look.fragments import drawing, figure, label, number, safe, shortened
from petitlm.look.results import Table

Node = tuple[str, str, int, float]
GraphEdge = tuple[str, str, float]

_BOX, _TALL, _GAP, _RISE = 104.0, 40.0, 22.0, 92.0
_LEFT = 64.0
_SWEEPS = 6  # over the layers, each putting nodes below or above what they are joined to


def graph(title: str, nodes: Sequence[Node], edges: Sequence[GraphEdge], *, note: str = "") -> str:
    """Draw nodes (id, label, layer, value) and edges (from, to, value): strong ones broad, negative ones broken.

    Raises: UsageError for an edge of a node that is not there.
    """
    known = {node[0]: node for node in nodes}
    for source, target, _ in edges:
        if source not in known or target not in known:
            raise UsageError(f"the edge {source!r} to {target!r} of {title!r} joins a node that is not among the nodes")
    places, width, height = _places(nodes, edges)
    most_edge = max((abs(v) for _, _, v in edges), default=0.0) or 1.0
    most_node = max((abs(n[3]) for n in nodes), default=0.0) or 1.0
    parts = [label(6, y + _TALL / 2 + 4, f"layer {layer}" if layer >= 0 else "input", "soft")
             for layer, y in sorted({(n[2], places[n[0]][1]) for n in nodes})]
    for source, target, value in sorted(edges, key=lambda e: abs(e[2])):
        parts.append(_curve(places[source], places[target], value / most_edge,
                            f"{known[source][1]} to {known[target][1]}: {number(value)}"))
    for id, name, _, value in nodes:
        x, y = places[id]
        kind = "fn" if value < 0 else "fp"
        parts.append(f'<g><rect class="box" x="{x:.1f}" y="{y:.1f}" width="{_BOX}" height="{_TALL}" rx="5"/>'
                     f'<rect class="{kind}" style="opacity:{0.15 + 0.85 * abs(value) / most_node:.2f}" x="{x:.1f}" '
                     f'y="{y:.1f}" width="{_BOX}" height="{_TALL}" rx="5"/>'
                     f"{label(x + _BOX / 2, y + 17, shortened(name, 14), '', 'middle')}"
                     f"{label(x + _BOX / 2, y + 32, number(value), 'inbox', 'middle')}"
                     f"<title>{safe(name)}: {number(value)}</title></g>")
    rows = [[known[s][1], known[t][1], float(v)] for s, t, v in sorted(edges, key=lambda e: -abs(e[2]))]
    numbers = Table("", ["from", "to", "value"], rows)
    return figure(title, drawing(title, width, height, parts), note=note, numbers=numbers)


def _places(nodes: Sequence[Node], edges: Sequence[GraphEdge]) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Return the upper left corner of each node's box, and the size of the whole."""
    layers = sorted({node[2] for node in nodes})
    rows = [[n[0] for n in nodes if n[2] == layer] for layer in layers]
    joined: dict[str, list[str]] = {n[0]: [] for n in nodes}
    for source, target, _ in edges:
        joined[source].append(target)
        joined[target].append(source)
    rank = {id: (i + 0.5) / len(row) for row in rows for i, id in enumerate(row)}
    for sweep in range(_SWEEPS):  # barycentres: Sugiyama et al. 1981
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            middle = {id: sum(rank[o] for o in joined[id]) / len(joined[id]) if joined[id] else rank[id] for id in row}
            row.sort(key=lambda id: middle[id])
            rank.update({id: (i + 0.5) / len(row) for i, id in enumerate(row)})
    widest = max((len(row) for row in rows), default=1)
    width = _LEFT + widest * (_BOX + _GAP) + 10
    height = max(1, len(rows)) * _RISE - (_RISE - _TALL) + 16
    places = {}
    for level, row in enumerate(rows):
        share = (width - _LEFT) / len(row)
        for i, id in enumerate(row):
            places[id] = _LEFT + share * (i + 0.5) - _BOX / 2, height - 8 - _TALL - level * _RISE
    return places, width, height


def _curve(a: tuple[float, float], b: tuple[float, float], strength: float, words: str) -> str:
    x0, y0, x1, y1 = a[0] + _BOX / 2, a[1], b[0] + _BOX / 2, b[1] + _TALL
    bend = max(24.0, abs(y0 - y1) / 2)
    dashes = ' stroke-dasharray="6 4"' if strength < 0 else ""
    kind = "en" if strength < 0 else "ep"
    return (f'<path class="{kind}"{dashes} style="stroke-width:{0.8 + 4.2 * abs(strength):.1f}px;opacity:'
            f'{0.35 + 0.6 * abs(strength):.2f}" d="M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 - bend:.1f} {x1:.1f} '
            f'{y1 + bend:.1f} {x1:.1f} {y1:.1f}"><title>{safe(words)}</title></path>')
