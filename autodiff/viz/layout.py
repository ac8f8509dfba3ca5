"""Where boxes and arrows go, without Graphviz: a plain layered layout.

Layers by longest path, as networkx.topological_generations gives them, but with leaves just above their first use;
order within a layer by barycentres; places by least squares. An arrow that spans several layers passes through a
point in each, and its label is such a point of its own, so that nothing overlaps. Every step is a loop over lists,
and takes time in proportion to boxes and arrows.
"""

from __future__ import annotations

import bisect
import dataclasses
import heapq
import itertools
import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

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


class _Places:
    """The places in all layers: boxes, labels, and points through which arrows pass.

    Columns of numbers, because a large picture has a hundred thousand places, and each is visited twenty times.
    """

    def __init__(self) -> None:
        self.layer: list[int] = []
        self.width: list[float] = []
        self.height: list[float] = []
        self.pull: list[float] = []  # how strongly its neighbours line up with it
        self.chain: list[int] = []  # the long arrow that it is a point of, by number; -1 of all others
        self.links: tuple[list[int], list[int]] = [], []  # of neighbours in two layers: the upper ones, the lower ones
        self.x: list[float] = []
        self.y: list[float] = []

    def add(self, layer: int, width: float, height: float, pull: float = 1.0, chain: int = -1) -> int:
        """One more place; its number."""
        self.layer.append(layer)
        self.width.append(width)
        self.height.append(height)
        self.pull.append(pull)
        self.chain.append(chain)
        return len(self.layer) - 1

    def neighbours(self, side: int) -> tuple[list[int], list[int]]:
        """The neighbours of all places above (side 0) or below (side 1) in one list, and where each place's begin."""
        near, own = np.array(self.links[side], dtype=np.intp), np.array(self.links[1 - side], dtype=np.intp)
        return near[np.argsort(own, kind="stable")].tolist(), _begins(own, len(self.layer))


def _begins(own: Any, count: int) -> list[int]:
    """Where each of `count` groups begins, and the last one ends, when things are sorted by their group."""
    return [0, *np.cumsum(np.bincount(own, minlength=count)).tolist()]


def arrange(sketch: Sketch) -> Layout:
    """Lay a sketch out."""
    turned = sketch.direction == "LR"
    layers = _layers(sketch)
    leaving = Counter(tail for _, tail, _, _ in sketch.arrows)
    heads = {head for _, _, head, _ in sketch.arrows}
    places = _Places()
    index = {}
    for key, (w, h) in sketch.boxes.items():
        beside = key not in heads and leaving[key] == 1  # a leaf does not bend the computation that it stands beside
        index[key] = places.add(2 * layers[key], h if turned else w, w if turned else h, 0.1 if beside else 1.0)
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


def _chain(places: _Places, tail: int, head: int, label: Point) -> tuple[list[int], int | None, bool]:
    """The places that an arrow passes through, which of them is its label, and whether it runs upwards."""
    upward = places.layer[tail] > places.layer[head]
    a, b = (head, tail) if upward else (tail, head)
    top, bottom = places.layer[a], places.layer[b]
    span = bottom - top
    if span <= 0 or span > 2 * LONGEST:
        return [a, b], None, upward
    labelled = (bottom - 1 if upward else top + 1) if label[0] > 0 else None
    pull, number = (places.pull[tail], -1) if span == 2 else (0.1, len(places.layer))
    chain, marked = [a], None
    for layer in range(top + 1, bottom):
        if layer == labelled:
            marked = places.add(layer, label[0] + 4.0, label[1], pull, number)
            chain.append(marked)
        else:
            chain.append(places.add(layer, 4.0, 0.0, pull, number))
    chain.append(b)
    places.links[0].extend(chain[:-1])
    places.links[1].extend(chain[1:])
    return chain, marked, upward


def _rows(places: _Places) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(places.layer, default=-1) + 1)]
    for i, layer in enumerate(places.layer):
        rows[layer].append(i)
    return rows


def _order(places: _Places, rows: list[list[int]]) -> None:
    """Sort each row by the mean place of its neighbours in the row before, down and up in turn."""
    at = [0.0] * len(places.layer)
    for row in rows:
        _number(row, at)
    sides = places.neighbours(0), places.neighbours(1)
    settled = [False] * len(rows), [False] * len(rows)  # by side: nothing has changed since the row was last sorted
    for sweep in range(SWEEPS):
        side = sweep % 2
        near, begins = sides[side]
        for n in range(len(rows)) if side == 0 else range(len(rows) - 1, -1, -1):
            row = rows[n]
            if settled[side][n] or len(row) == 1:
                continue
            want = []
            for i in row:
                a, b = begins[i], begins[i + 1]
                mean = at[i] if a == b else at[near[a]] if b - a == 1 else sum([at[j] for j in near[a:b]]) / (b - a)
                want.append((mean, at[i], i))
            want.sort()
            settled[side][n] = True
            found = [i for _, _, i in want]
            if found != row:
                row[:] = found
                _number(row, at)
                settled[0][n] = settled[1][n] = False
                settled[0][n + 1 : n + 2] = [False] * len(settled[0][n + 1 : n + 2])
                settled[1][n - 1] = False  # of row 0: of the last row, which then is sorted once in vain


def _number(row: list[int], at: list[float]) -> None:
    """Give a row's members even places around its middle, so that short and long rows can be compared."""
    middle = (len(row) - 1) / 2
    for n, i in enumerate(row):
        at[i] = n - middle


class _Wishes(NamedTuple):
    """Where each place wants to be: at the weighted mean of some others; and how much it wants it."""

    near: list[int]  # the others, those of one place after those of another
    shares: list[float]  # the weight of each of them, one in sum
    begins: list[int]
    weights: list[float]


def _place(places: _Places, rows: list[list[int]]) -> None:
    """Give every place its x: as near to the mean of its neighbours as the order and the gaps allow.

    Above, below, and in later sweeps both. Places are numbered anew here, row after row from left to right; after them
    come the long arrows, each at the mean of its points.
    """
    line = np.array([i for row in rows for i in row], dtype=np.intp)
    begins = [0, *itertools.accumulate(map(len, rows))]
    offsets = _offsets(places, line, begins)
    x = _start(places, rows)
    points = np.flatnonzero(np.array(places.chain)[line] >= 0)
    _, arrow = np.unique(np.array(places.chain)[line][points], return_inverse=True)
    counts = np.bincount(arrow)
    wishes = [_wishes(places, line, points, arrow, sides) for sides in ((0,), (1,), (0, 1))]
    for sweep in range(2 * SWEEPS):
        x[len(line) :] = (np.bincount(arrow, np.array(x)[points]) / counts).tolist()
        _settle(x, begins, offsets, wishes[sweep % 2 if sweep < SWEEPS else 2], sweep % 2 == 0)
    found = np.empty(len(line))
    found[line] = x[: len(line)]
    places.x = found.tolist()


def _start(places: _Places, rows: list[list[int]]) -> list[float]:
    """Each row packed around the middle."""
    x: list[float] = []
    for row in rows:
        left = -(sum([places.width[i] for i in row]) + GAP * (len(row) - 1)) / 2
        for i in row:
            x.append(left + places.width[i] / 2)
            left += places.width[i] + GAP
    return x


def _offsets(places: _Places, line: Any, begins: list[int]) -> list[float]:
    """How far each place is at least to the right of the first one of its row."""
    width, solid = np.array(places.width)[line], np.array(places.height)[line] > 0
    far = np.cumsum((width + np.roll(width, 1)) / 2 + np.where(solid & np.roll(solid, 1), GAP, GAP / 2))
    firsts = np.repeat(np.array(begins[:-1]), np.diff(begins))
    return (far - far[firsts]).tolist()  # type: ignore[no-any-return]


def _wishes(places: _Places, line: Any, points: Any, arrow: Any, sides: tuple[int, ...]) -> _Wishes:
    """The wishes of all places: for their neighbours on these sides; for its arrow where that is long, to be straight.

    A place without neighbours wants to stay, but not much.
    """
    count = len(line)
    number = np.empty(count, dtype=np.intp)
    number[line] = np.arange(count)
    pull = np.array(places.pull)[line]
    own = number[[i for side in sides for i in places.links[1 - side]]]
    near = number[[i for side in sides for i in places.links[side]]]
    kept = np.ones(count, dtype=bool)
    kept[points] = False
    own, near = own[kept[own]], near[kept[own]]
    kept[own] = False
    alone = np.flatnonzero(kept)
    weights = pull.copy()
    weights[points], weights[alone] = 4.0, 0.01
    strength = np.concatenate((pull[near], np.ones(len(points) + len(alone))))
    own, near = np.concatenate((own, points, alone)), np.concatenate((near, count + arrow, alone))
    shares = strength / np.bincount(own, strength, minlength=count)[own]
    order = np.argsort(own, kind="stable")
    return _Wishes(near[order].tolist(), shares[order].tolist(), _begins(own, count), weights.tolist())


def _settle(x: list[float], begins: list[int], offsets: list[float], wishes: _Wishes, downwards: bool) -> None:
    """Least squares under gaps, row by row: neighbours that want to overlap are pooled, at the mean of their wishes."""
    near, shares, firsts, weights = wishes
    rows = range(len(begins) - 1)
    for row in rows if downwards else reversed(rows):
        start, end = begins[row], begins[row + 1]
        pools: list[tuple[float, float, int]] = []  # where the first place of the row would be, weight, where it ends
        last = -math.inf
        for i in range(start, end):
            first = firsts[i]
            want = shares[first] * x[near[first]] - offsets[i]
            for k in range(first + 1, firsts[i + 1]):
                want += shares[k] * x[near[k]]
            weight = weights[i]
            while want < last:
                _, more, _ = pools.pop()
                want = (weight * want + more * last) / (weight + more)
                weight += more
                last = pools[-1][0] if pools else -math.inf
            pools.append((want, weight, i + 1))
            last = want
        for want, _, end in pools:
            for i in range(start, end):
                x[i] = want + offsets[i]
            start = end


def _stack(places: _Places, rows: list[list[int]]) -> None:
    """Give every row its y."""
    places.y = [0.0] * len(places.layer)
    y = 0.0
    for n, row in enumerate(rows):
        height = max([places.height[i] for i in row], default=0.0)
        for i in row:
            places.y[i] = y + height / 2
        y += height + (RISE / 2 if height or n % 2 else 4.0)


def _finish(
    sketch: Sketch,
    places: _Places,
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
        middle = [(places.x[i], places.y[i]) for i in chain[1:-1]]
        points = [start, *middle, end] if not upward else [end, *reversed(middle), start]
        routes[key] = _curve(points)
        if marked is not None:
            labels[key] = (places.x[marked], places.y[marked])
        elif label[0]:
            labels[key] = ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2)
    centres = {key: (places.x[i], places.y[i]) for key, i in index.items()}
    if turned:
        centres = {key: (y, x) for key, (x, y) in centres.items()}
        labels = {key: (y, x) for key, (x, y) in labels.items()}
        routes = {key: [(y, x) for x, y in route] for key, route in routes.items()}
    clusters, left_out = _clusters(sketch, centres)
    note = "scopes that share space with other boxes are not outlined" if left_out else ""
    return shift(Layout(centres, routes, labels, clusters, 0.0, 0.0, BUILT_IN, note), sketch)


def _ports(sketch: Sketch, places: _Places, chains: dict[str, Any]) -> dict[str, tuple[Point, Point]]:
    """Where each arrow leaves the lower side of one box and meets the upper side of another: spread over the side."""
    leaving: dict[int, list[tuple[float, int, str]]] = {}
    arriving: dict[int, list[tuple[float, int, str]]] = {}
    for n, (key, *_) in enumerate(sketch.arrows):
        chain = chains[key][0]
        leaving.setdefault(chain[0], []).append((places.x[chain[1]], n, key))
        arriving.setdefault(chain[-1], []).append((places.x[chain[-2]], n, key))
    found: dict[str, tuple[Point, Point]] = {}
    starts: dict[str, Point] = {}
    for side, sign, into in ((leaving, 0.5, starts), (arriving, -0.5, None)):
        for i, ends in side.items():
            ends.sort()
            step = min(28.0, places.width[i] * 0.7 / len(ends))
            left, y = places.x[i] - (len(ends) - 1) / 2 * step, places.y[i] + sign * places.height[i]
            for n, (_, _, key) in enumerate(ends):
                point = (left + n * step, y)
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
    along = 0 if sketch.direction == "LR" else 1  # the boxes near a scope are found by where they stand on their way
    order = sorted(centres, key=lambda key: centres[key][along])
    heights = [centres[key][along] for key in order]
    reach = max(size[along] for size in sketch.boxes.values()) / 2
    kept = {}
    for path, (left, top, right, bottom) in edges.items():
        low, high = ((left, right), (top, bottom))[along]
        for key in order[bisect.bisect(heights, low - reach) : bisect.bisect(heights, high + reach)]:
            (x, y), (w, h) = centres[key], sketch.boxes[key]
            if home.get(key, ())[: len(path)] != path and (
                left < x + w / 2 and x - w / 2 < right and top < y + h / 2 and y - h / 2 < bottom
            ):
                break  # a box that does not belong in it
        else:
            right = max(right, left + sketch.titles.get(path, 0.0) + 2 * PADDING)
            kept[path] = (left, top, right, bottom)
    return dict(sorted(kept.items(), key=lambda item: len(item[0]))), len(kept) < len(edges)


def shift(layout: Layout, sketch: Sketch) -> Layout:
    """The same layout with its upper left corner at the origin, and its size."""
    ways = itertools.chain.from_iterable(layout.routes.values())
    points = np.fromiter(itertools.chain.from_iterable(ways), np.float64).reshape(-1, 2)
    sizes = sketch.boxes | {key: size for key, _, _, size in sketch.arrows if key in layout.labels}
    rooms = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
             for key, (x, y) in (layout.centres | layout.labels).items() for w, h in [sizes[key]]]  # fmt: skip
    frames = np.array([*rooms, *layout.clusters.values()]).reshape(-1, 4)
    corners = np.concatenate((points, frames[:, :2], frames[:, 2:]))
    low, high = (corners.min(axis=0), corners.max(axis=0)) if len(corners) else np.zeros((2, 2))
    dx, dy = (-low).tolist()
    moved = zip(*(points - low).T.tolist(), strict=True)
    return dataclasses.replace(
        layout,
        centres={key: (x + dx, y + dy) for key, (x, y) in layout.centres.items()},
        routes={key: list(itertools.islice(moved, len(route))) for key, route in layout.routes.items()},
        labels={key: (x + dx, y + dy) for key, (x, y) in layout.labels.items()},
        clusters={key: (a + dx, b + dy, c + dx, d + dy) for key, (a, b, c, d) in layout.clusters.items()},
        width=float(high[0] - low[0]),
        height=float(high[1] - low[1]),
    )
