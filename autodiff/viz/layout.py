"""Where boxes and arrows go, without Graphviz: a plain layered layout.

Layers by longest path, as networkx.topological_generations gives them, but with leaves just above their first use;
order within a layer by barycentres; places by least squares. An arrow that spans several layers passes through a
point in each, and its label is such a point of its own, so that nothing overlaps. Every step is a loop over lists,
and takes time in proportion to boxes and arrows.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections import Counter
from typing import Any

Point = tuple[float, float]

GAP = 26.0  # between boxes of one layer
RISE = 34.0  # between layers
HEAD = 8.0  # length of an arrow's head
PADDING = 12.0  # of a scope around what stands in it
LABEL = 20.0  # height of a scope's name
BUILT_IN = "built-in layout"
SWEEPS = 6
LONGEST = 200  # layers; a longer arrow is drawn as one curve


@dataclasses.dataclass
class Sketch:
    """What a layout is made from: boxes and arrow labels by size. Ids are this package's own, never a user's names."""

    boxes: dict[str, Point]  # width, height
    arrows: list[tuple[str, str, str, Point]]  # id, tail, head, size of the label
    clusters: dict[tuple[str, ...], list[str]]  # the boxes that stand directly in each scope
    titles: dict[tuple[str, ...], float]  # how wide the name of each scope is
    direction: str
    below: list[tuple[str, str]] = dataclasses.field(default_factory=list)  # (box, box that is to stand further down)


@dataclasses.dataclass
class Layout:
    """Where everything goes, in points, y downwards."""

    centres: dict[str, Point]
    routes: dict[str, list[Point]]  # cubic Bézier curves one after another, then the tip of the arrow
    labels: dict[str, Point]  # the centre of each arrow's label
    clusters: dict[tuple[str, ...], tuple[float, float, float, float]]  # left, top, right, bottom
    width: float
    height: float
    engine: str
    note: str = ""
    beside: bool = False  # labels stand beside their arrows, not on them


class _Rank:
    """One place in one layer: a box, a label, or a point through which an arrow passes."""

    __slots__ = ("chain", "down", "height", "layer", "pull", "up", "width", "x", "y")

    def __init__(self, layer: int, width: float, height: float, chain: list[int] | None = None) -> None:
        self.layer, self.width, self.height = layer, width, height
        self.chain = chain  # of a point or a label: all the points of its arrow
        self.pull = 1.0  # how strongly its neighbours line up with it
        self.up: list[int] = []
        self.down: list[int] = []
        self.x = self.y = 0.0


def arrange(sketch: Sketch) -> Layout:
    """Lay a sketch out."""
    turned = sketch.direction == "LR"
    layers = _layers(sketch)
    places: list[_Rank] = []
    index = {}
    for key, (w, h) in sketch.boxes.items():
        index[key] = len(places)
        places.append(_Rank(2 * layers[key], h if turned else w, w if turned else h))
    leaving = Counter(tail for _, tail, _, _ in sketch.arrows)
    for key in sketch.boxes.keys() - {head for _, _, head, _ in sketch.arrows}:
        if leaving[key] == 1:
            places[index[key]].pull = 0.1  # a leaf stands beside the computation and does not bend it
    chains = {}
    for key, tail, head, (w, h) in sketch.arrows:
        chains[key] = _chain(places, index[tail], index[head], (h, w) if turned else (w, h))
    rows = _rows(places)
    _order(places, rows)
    _place(places, rows)
    _stack(places, rows)
    return _finish(sketch, places, index, chains, turned)


def _layers(sketch: Sketch) -> dict[str, int]:
    """The layer of each box: one below the lowest of its inputs. A cycle, which collapsing can make, is cut."""
    after: dict[str, list[str]] = {key: [] for key in sketch.boxes}
    missing = dict.fromkeys(sketch.boxes, 0)
    leaves = sketch.boxes.keys() - {head for _, _, head, _ in sketch.arrows}
    for tail, head in [*((tail, head) for _, tail, head, _ in sketch.arrows), *sketch.below]:
        after[tail].append(head)
        missing[head] += 1
    rank = {key: i for i, key in enumerate(sketch.boxes)}
    names = list(sketch.boxes)
    ready = [rank[key] for key, count in missing.items() if not count]
    heapq.heapify(ready)
    layer = dict.fromkeys(sketch.boxes, 0)
    done: set[str] = set()
    rest = iter(names)
    while len(done) < len(names):
        # where nothing is ready there is a cycle: cut it at the first box in order of computation
        key = names[heapq.heappop(ready)] if ready else next(name for name in rest if name not in done)
        if key in done:
            continue
        done.add(key)
        for head in after[key]:
            missing[head] -= 1
            if head not in done:
                layer[head] = max(layer[head], layer[key] + 1)
                if missing[head] == 0:
                    heapq.heappush(ready, rank[head])
    for key in leaves:  # they stand just above their first use
        below = [layer[head] for head in after[key] if layer[head] > 0]
        if below:
            layer[key] = min(below) - 1
    return layer


def _chain(places: list[_Rank], tail: int, head: int, label: Point) -> tuple[list[int], int | None, bool]:
    """The places that an arrow passes through, which of them is its label, and whether it runs upwards."""
    upward = places[tail].layer > places[head].layer
    a, b = (head, tail) if upward else (tail, head)
    span = places[b].layer - places[a].layer
    if span <= 0 or span > 2 * LONGEST:
        return [a, b], None, upward
    middle = places[a].layer + 1 if not upward else places[b].layer - 1
    chain, marked = [a], None
    inner: list[int] = []
    for layer in range(places[a].layer + 1, places[b].layer):
        is_label = layer == middle and label[0] > 0
        if is_label:
            marked = len(places)
        places.append(_Rank(layer, label[0] + 4.0 if is_label else 4.0, label[1] if is_label else 0.0, inner))
        places[-1].pull = places[tail].pull if span == 2 else 0.1
        inner.append(len(places) - 1)
    chain += [*inner, b]
    for u, v in itertools.pairwise(chain):
        places[u].down.append(v)
        places[v].up.append(u)
    return chain, marked, upward


def _rows(places: list[_Rank]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max((place.layer for place in places), default=-1) + 1)]
    for i, place in enumerate(places):
        rows[place.layer].append(i)
    return rows


def _order(places: list[_Rank], rows: list[list[int]]) -> None:
    """Sort each row by the mean place of its neighbours in the row before, down and up in turn."""
    at = [0.0] * len(places)
    for row in rows:
        _number(row, at)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            if len(row) == 1:
                continue
            want = []
            for i in row:
                near = places[i].up if sweep % 2 == 0 else places[i].down
                want.append((sum(at[j] for j in near) / len(near) if near else at[i], at[i], i))
            want.sort()
            row[:] = [i for _, _, i in want]
            _number(row, at)


def _number(row: list[int], at: list[float]) -> None:
    """Give a row's members even places around its middle, so that short and long rows can be compared."""
    for n, i in enumerate(row):
        at[i] = n - (len(row) - 1) / 2


def _place(places: list[_Rank], rows: list[list[int]]) -> None:
    """Give every place its x: as near to the mean of its neighbours as the order and the gaps allow."""
    for row in rows:
        x = 0.0
        for i in row:
            places[i].x = x + places[i].width / 2
            x += places[i].width + GAP
        for i in row:
            places[i].x -= (x - GAP) / 2
    chains = {id(place.chain): place.chain for place in places if place.chain is not None and len(place.chain) > 1}
    for sweep in range(2 * SWEEPS):
        means = {key: sum(places[i].x for i in chain) / len(chain) for key, chain in chains.items()}
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _settle(places, row, sweep, means)


def _settle(places: list[_Rank], row: list[int], sweep: int, means: dict[int, float]) -> None:
    """Least squares under gaps: pool neighbours that want to overlap, each pool at the weighted mean of its wishes."""
    if not row:
        return
    if len(row) == 1:
        place = places[row[0]]
        place.x = _wish(places, place, sweep, means)[0]
        return
    weights: list[float] = []  # of each pool: its weight, its weighted sum, its last member
    sums: list[float] = []
    lasts: list[int] = []
    offsets = []
    offset, previous = 0.0, places[row[0]]
    for n, i in enumerate(row):
        place = places[i]
        if n:
            offset += (previous.width + place.width) / 2 + (GAP if place.height and previous.height else GAP / 2)
        offsets.append(offset)
        want, weight = _wish(places, place, sweep, means)
        total = weight * (want - offset)
        while weights and sums[-1] * weight > total * weights[-1]:
            weight, total = weights.pop() + weight, sums.pop() + total
            lasts.pop()
        weights.append(weight)
        sums.append(total)
        lasts.append(n)
        previous = place
    n = 0
    for weight, total, last in zip(weights, sums, lasts, strict=True):
        x = total / weight
        while n <= last:
            places[row[n]].x = x + offsets[n]
            n += 1


def _wish(places: list[_Rank], place: _Rank, sweep: int, means: dict[int, float]) -> tuple[float, float]:
    """Where a place wants to be, and how much: at the mean of its neighbours above, below, or both in later sweeps."""
    chain = place.chain
    if chain is not None and len(chain) > 1:  # a long arrow wants to be straight
        return means[id(chain)], 4.0
    total = weighted = 0.0
    for near in (place.up, place.down) if sweep >= SWEEPS else (place.down,) if sweep % 2 else (place.up,):
        for j in near:
            neighbour = places[j]
            total += neighbour.pull
            weighted += neighbour.pull * neighbour.x
    return (weighted / total, place.pull) if total else (place.x, 0.01)


def _stack(places: list[_Rank], rows: list[list[int]]) -> None:
    """Give every row its y."""
    y = 0.0
    for n, row in enumerate(rows):
        height = max((places[i].height for i in row), default=0.0)
        for i in row:
            places[i].y = y + height / 2
        y += height + (RISE / 2 if height or n % 2 else 4.0)


def _finish(
    sketch: Sketch,
    places: list[_Rank],
    index: dict[str, int],
    chains: dict[str, tuple[list[int], int | None, bool]],
    turned: bool,
) -> Layout:
    ports = _ports(sketch, places, chains)
    routes: dict[str, list[Point]] = {}
    labels: dict[str, Point] = {}
    for key, _, _, label in sketch.arrows:
        chain, marked, upward = chains[key]
        start, end = ports[key]
        middle = [(places[i].x, places[i].y) for i in chain[1:-1]]
        points = [start, *middle, end] if not upward else [end, *reversed(middle), start]
        routes[key] = _curve(points)
        if marked is not None:
            labels[key] = (places[marked].x, places[marked].y)
        elif label[0]:
            labels[key] = ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2)
    centres = {key: (places[i].x, places[i].y) for key, i in index.items()}
    if turned:
        centres = {key: (y, x) for key, (x, y) in centres.items()}
        labels = {key: (y, x) for key, (x, y) in labels.items()}
        routes = {key: [(y, x) for x, y in route] for key, route in routes.items()}
    clusters, left_out = _clusters(sketch, centres)
    note = "scopes that share space with other boxes are not outlined" if left_out else ""
    return shift(Layout(centres, routes, labels, clusters, 0.0, 0.0, BUILT_IN, note), sketch)


def _ports(sketch: Sketch, places: list[_Rank], chains: dict[str, Any]) -> dict[str, tuple[Point, Point]]:
    """Where each arrow leaves the lower side of one box and meets the upper side of another: spread over the side."""
    leaving: dict[int, list[tuple[float, int, str]]] = {}
    arriving: dict[int, list[tuple[float, int, str]]] = {}
    for n, (key, *_) in enumerate(sketch.arrows):
        chain = chains[key][0]
        leaving.setdefault(chain[0], []).append((places[chain[1]].x, n, key))
        arriving.setdefault(chain[-1], []).append((places[chain[-2]].x, n, key))
    found: dict[str, tuple[Point, Point]] = {}
    starts: dict[str, Point] = {}
    for side, sign, into in ((leaving, 0.5, starts), (arriving, -0.5, None)):
        for i, ends in side.items():
            ends.sort()
            box = places[i]
            step = min(28.0, box.width * 0.7 / len(ends))
            for n, (_, _, key) in enumerate(ends):
                point = (box.x + (n - (len(ends) - 1) / 2) * step, box.y + sign * box.height)
                if into is not None:
                    into[key] = point
                else:
                    found[key] = (starts[key], point)
    return found


def _curve(points: list[Point]) -> list[Point]:
    """Cubic curves through the points, upright at each of them; the last point becomes the tip of the arrow."""
    tip = points[-1]
    down = 1.0 if tip[1] >= points[-2][1] else -1.0
    points = [*points[:-1], (tip[0], tip[1] - down * HEAD)]
    route = [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        bend = (y1 - y0) / 2
        route += [(x0, y0 + bend), (x1, y1 - bend), (x1, y1)]
    return [*route, tip]


def _clusters(sketch: Sketch, centres: dict[str, Point]) -> tuple[dict[Any, Any], bool]:
    """An outline around each scope, where no other box stands in it."""
    edges: dict[tuple[str, ...], list[float]] = {}
    inner: dict[tuple[str, ...], int] = {}
    for path, members in sorted(sketch.clusters.items(), key=lambda item: -len(item[0])):
        for key in members:
            (x, y), (w, h) = centres[key], sketch.boxes[key]
            for depth in range(1, len(path) + 1):
                grow = PADDING * (len(path) - depth + 1)
                top = grow + LABEL * (len(path) - depth + 1)
                sides = [x - w / 2 - grow, y - h / 2 - top, x + w / 2 + grow, y + h / 2 + grow]
                known = edges.setdefault(path[:depth], sides)
                edges[path[:depth]] = [min(known[0], sides[0]), min(known[1], sides[1]),
                                       max(known[2], sides[2]), max(known[3], sides[3])]  # fmt: skip
                inner[path[:depth]] = inner.get(path[:depth], 0) + 1
    home = {key: path for path, members in sketch.clusters.items() for key in members}
    kept = {}
    rows = sorted((y, key) for key, (_, y) in centres.items())
    for path, (left, top, right, bottom) in edges.items():
        foreign = False
        for y, key in rows if len(edges) * len(rows) < 2_000_000 else ():
            x, (w, h) = centres[key][0], sketch.boxes[key]
            if home.get(key, ())[: len(path)] != path and (
                left < x + w / 2 and x - w / 2 < right and top < y + h / 2 and y - h / 2 < bottom
            ):
                foreign = True
                break
        if not foreign:
            right = max(right, left + sketch.titles.get(path, 0.0) + 2 * PADDING)
            kept[path] = (left, top, right, bottom)
    return dict(sorted(kept.items(), key=lambda item: len(item[0]))), len(kept) < len(edges)


def shift(layout: Layout, sketch: Sketch) -> Layout:
    """The same layout with its upper left corner at the origin, and its size."""
    xs: list[float] = []
    ys: list[float] = []
    for key, (x, y) in layout.centres.items():
        w, h = sketch.boxes[key]
        xs += [x - w / 2, x + w / 2]
        ys += [y - h / 2, y + h / 2]
    for key, _, _, (w, h) in sketch.arrows:
        if key in layout.labels:
            x, y = layout.labels[key]
            xs += [x - w / 2, x + w / 2]
            ys += [y - h / 2, y + h / 2]
        xs += [x for x, _ in layout.routes[key]]
        ys += [y for _, y in layout.routes[key]]
    for left, top, right, bottom in layout.clusters.values():
        xs += [left, right]
        ys += [top, bottom]
    dx, dy = -min(xs, default=0.0), -min(ys, default=0.0)
    return dataclasses.replace(
        layout,
        centres={key: (x + dx, y + dy) for key, (x, y) in layout.centres.items()},
        routes={key: [(x + dx, y + dy) for x, y in route] for key, route in layout.routes.items()},
        labels={key: (x + dx, y + dy) for key, (x, y) in layout.labels.items()},
        clusters={key: (a + dx, b + dy, c + dx, d + dy) for key, (a, b, c, d) in layout.clusters.items()},
        width=max(xs, default=0.0) + dx,
        height=max(ys, default=0.0) + dy,
    )
