"""Drawing of a circuit: nodes in layers, from the input at the bottom to the answer at the top."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from petitlm.drawings.fragments import Table, drawing, figure, label, number, safe, shortened
from petitlm.errors import UsageError

Node = tuple[str, str, int, float]
GraphEdge = tuple[str, str, float]

_BOX, _TALL, _GAP, _RISE = 104.0, 40.0, 22.0, 92.0
_LEFT, _LANE_WIDTH = 64.0, 2.0
_LANE = "\0lane\0"  # in the names of lanes; no node has it
_SWEEPS = 6  # over the layers, each putting nodes below or above what they are joined to


def graph(title: str, nodes: Sequence[Node], edges: Sequence[GraphEdge], *, note: str = "") -> str:
    """Draw nodes (id, label, layer, value) and edges (from, to, value): strong ones broad, negative ones broken.

    Layer -1 is the input, a node `logits` the output; within a layer what is read there comes first.
    An edge that passes layers does so in a lane of its own between their nodes.
    Raises: UsageError for an edge of a node that is not there, or that does not lead to a later layer.
    """
    known = {node[0]: node for node in nodes}
    for source, target, _ in edges:
        if source not in known or target not in known:
            raise UsageError(f"the edge {source!r} to {target!r} of {title!r} joins a node that is not among the nodes")
    levels = _levels(title, nodes, edges)
    layout = _Layout(levels, edges)
    most = max((abs(v) for _, _, v in edges), default=0.0) or 1.0
    output = next((node[2] for node in nodes if node[0] == "logits"), None)
    lowest = {layer: max(layout.at[n[0]][1] for n in nodes if n[2] == layer) for layer in {n[2] for n in nodes}}
    parts = [label(6, y + _TALL / 2 + 4, "output" if layer == output else f"layer {layer}" if layer >= 0 else "input",
                   "soft") for layer, y in lowest.items()]
    for source, target, value in sorted(edges, key=lambda e: abs(e[2])):
        parts.append(_curve(layout.path(source, target), value / most,
                            f"{known[source][1]} to {known[target][1]}: {number(value)}"))
    strongest = max((abs(n[3]) for n in nodes), default=0.0) or 1.0
    parts += [_box(layout.at[id], name, value, abs(value) / strongest) for id, name, _, value in nodes]
    rows = [[known[s][1], known[t][1], float(v)] for s, t, v in sorted(edges, key=lambda e: -abs(e[2]))]
    return figure(title, drawing(title, layout.width, layout.height, parts), note=note,
                  numbers=Table("", ["from", "to", "value"], rows))


def _levels(title: str, nodes: Sequence[Node], edges: Sequence[GraphEdge]) -> dict[str, int]:
    """Return each node's row from below: its layer, and within a layer what is read there comes first."""
    layer = {node[0]: node[2] for node in nodes}
    depth = dict.fromkeys(layer, 0)
    for _ in range(len(nodes) + 1):
        late = [(s, t) for s, t, _ in edges if layer[s] == layer[t] and depth[t] <= depth[s]]
        for source, target in late:
            depth[target] = depth[source] + 1
        if not late:
            break
    back = next(((s, t) for s, t, _ in edges if (layer[s], depth[s]) >= (layer[t], depth[t])), None)
    if back is not None:
        raise UsageError(f"the edge {back[0]!r} to {back[1]!r} of {title!r} leads back; edges lead to later layers")
    rows = sorted({(layer[id], depth[id]) for id in layer})
    return {id: rows.index((layer[id], depth[id])) for id in layer}


class _Layout:
    """Where nodes and lanes lie: rows by layer, ordered so that edges cross little (Sugiyama et al. 1981)."""

    def __init__(self, levels: dict[str, int], edges: Sequence[GraphEdge]) -> None:
        self._level = levels
        rows: list[list[str]] = [[] for _ in range(1 + max(levels.values(), default=-1))]
        for id, level in levels.items():
            rows[level].append(id)
        self._joined: dict[str, set[str]] = {id: set() for id in levels}
        for source, target, _ in edges:
            way = [source, *self._lanes(source, target), target]
            for one, other in pairwise(way):
                for lane in (one, other):
                    if lane not in self._joined:
                        self._joined[lane] = set()
                        rows[int(lane.rsplit(_LANE, 1)[1])].append(lane)
                self._joined[one].add(other)
                self._joined[other].add(one)
        self._order(rows)
        self.width = _LEFT + max((sum(map(_wide, row)) for row in rows), default=_BOX) + 10
        self.height = max(1, len(rows)) * _RISE - (_RISE - _TALL) + 16
        self.at: dict[str, tuple[float, float]] = {}
        """Upper left corner of each node's box, and of each lane."""
        for level, row in enumerate(rows):
            spare = (self.width - _LEFT - sum(map(_wide, row))) / max(1, len(row))
            x = _LEFT
            for id in row:
                self.at[id] = x + (spare + _GAP) / 2, self.height - 8 - _TALL - level * _RISE
                x += _wide(id) + spare

    def _lanes(self, source: str, target: str) -> list[str]:
        """Return the lanes of an edge; all edges from one node share them."""
        return [f"{source}{_LANE}{level}" for level in range(self._level[source] + 1, self._level[target])]

    def _order(self, rows: list[list[str]]) -> None:
        rank = {id: (i + 0.5) / len(row) for row in rows for i, id in enumerate(row)}
        for sweep in range(_SWEEPS):
            for row in rows if sweep % 2 == 0 else rows[::-1]:
                middle = {id: sum(rank[o] for o in self._joined[id]) / len(self._joined[id])
                          if self._joined[id] else rank[id] for id in row}
                row.sort(key=middle.__getitem__)
                rank.update({id: (i + 0.5) / len(row) for i, id in enumerate(row)})

    def path(self, source: str, target: str) -> list[tuple[float, float, float]]:
        """Return (x, lower y, upper y) of what an edge goes through, from the source's upper side on."""
        way = [(id, *self.at[id]) for id in (source, *self._lanes(source, target), target)]
        return [(x + (_wide(id) - _GAP) / 2, y + _TALL, y) for id, x, y in way]


def _wide(id: str) -> float:
    return _GAP + (_LANE_WIDTH if _LANE in id else _BOX)


def _box(at: tuple[float, float], name: str, value: float, strength: float) -> str:
    x, y = at
    size = f'x="{x:.1f}" y="{y:.1f}" width="{_BOX}" height="{_TALL}" rx="5"'
    return (f'<g><rect class="box" {size}/><rect class="{"fn" if value < 0 else "fp"}" '
            f'style="opacity:{0.15 + 0.85 * strength:.2f}" {size}/>'
            f"{label(x + _BOX / 2, y + 17, shortened(name, 14), '', 'middle')}"
            f"{label(x + _BOX / 2, y + 32, number(value), 'inbox', 'middle')}"
            f"<title>{safe(name)}: {number(value)}</title></g>")


def _curve(way: Sequence[tuple[float, float, float]], strength: float, words: str) -> str:
    x, _, y = way[0]
    steps = [f"M{x:.1f} {y:.1f}"]
    for i, (x1, low, high) in enumerate(way[1:], 1):
        bend = max(16.0, abs(y - low) / 2)
        steps.append(f"C{x:.1f} {y - bend:.1f} {x1:.1f} {low + bend:.1f} {x1:.1f} {low:.1f}")
        if i < len(way) - 1:
            steps.append(f"V{high:.1f}")
        x, y = x1, high
    dashes = ' stroke-dasharray="6 4"' if strength < 0 else ""
    return (f'<path class="{"en" if strength < 0 else "ep"}"{dashes} style="stroke-width:'
            f'{0.8 + 4.2 * abs(strength):.1f}px;opacity:{0.35 + 0.6 * abs(strength):.2f}" d="{"".join(steps)}">'
            f"<title>{safe(words)}</title></path>")
