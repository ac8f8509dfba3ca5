"""How arrows run between boxes that have their places, and where the labels of arrows stand.

An arrow leaves the lower side of a box and enters the upper side of another, both upright. Where nothing is in its way
it is one curve; else it goes round through a lane, which is straight; and where no lane is free it keeps the route
that the layout gave it. The arrows of one box are spread over its side in the order in which they part, so that they
do not cross there. A label stands beside its own arrow, clear of boxes, labels and other arrows. All of this thinks
from top to bottom; a picture from left to right is turned before and after.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from .layout import HEAD, LABEL, Layout, Point, Sketch, shift

Frame = tuple[float, float, float, float]  # left, top, right, bottom

MOST = 400  # arrows; a picture with more keeps the routes that it has
CLEAR = 9.0  # from a curve to a box that is not its own
LANE = 16.0  # from a box to an arrow that goes round it
BESIDE = 5.0  # from a curve to its label
UNDER = 2.5  # arrows start a little under their box, which is drawn over them
LEAN = 0.28  # of the way across, by which an arrow leaves aslant
STEP = 5.0  # between the points by which a curve is known
CELL = 64.0  # of the grid
TRIES = 24  # lanes that are tried for one arrow
BENDS = ((0.4, 0.4), (0.5, 0.5), (0.3, 0.3), (0.25, 0.6), (0.6, 0.25), (0.15, 0.8), (0.8, 0.15))


class _Page:
    """What lies where: frames of boxes and points of curves, found by the square of a grid."""

    def __init__(self) -> None:
        self.frames: dict[tuple[int, int], list[tuple[Frame, str]]] = defaultdict(list)
        self.points: dict[tuple[int, int], list[tuple[float, float, str]]] = defaultdict(list)

    def add_frame(self, frame: Frame, owner: str) -> None:
        for cell in _cells(frame, LANE):
            self.frames[cell].append((frame, owner))

    def add_curve(self, points: list[Point], owner: str) -> None:
        for x, y in points:
            self.points[int(x // CELL), int(y // CELL)].append((x, y, owner))

    def hit(self, frame: Frame, margin: float) -> bool:
        """Whether a frame comes within a margin, at most LANE, of one of the page."""
        left, top, right, bottom = frame
        return any(
            a - margin < right and left < c + margin and b - margin < bottom and top < d + margin
            for cell in _cells(frame, 0.0)
            for (a, b, c, d), _ in self.frames.get(cell, ())
        )

    def free(self, points: list[Point], own: tuple[str, str]) -> bool:
        """Whether a curve keeps clear of every box but its own two."""
        for x, y in points:
            for (left, top, right, bottom), owner in self.frames.get((int(x // CELL), int(y // CELL)), ()):
                if left - CLEAR < x < right + CLEAR and top - CLEAR < y < bottom + CLEAR and owner not in own:
                    return False
        return True

    def near(self, frame: Frame, margin: float) -> Counter[str]:
        """How many points of each curve lie within a margin of a frame."""
        left, top, right, bottom = frame
        return Counter(
            owner
            for cell in _cells(frame, margin)
            for x, y, owner in self.points.get(cell, ())
            if left - margin < x < right + margin and top - margin < y < bottom + margin
        )


def _cells(frame: Frame, margin: float) -> Iterator[tuple[int, int]]:
    left, top, right, bottom = (math.floor(side / CELL) for side in _grown(frame, margin))
    return itertools.product(range(left, right + 1), range(top, bottom + 1))


def _grown(frame: Frame, margin: float) -> Frame:
    left, top, right, bottom = frame
    return left - margin, top - margin, right + margin, bottom + margin


def redraw(layout: Layout, sketch: Sketch) -> Layout:
    """The same boxes with gentler arrows between them, and the labels beside the arrows."""
    if len(sketch.arrows) > MOST:
        return layout
    if sketch.direction == "LR":
        return _turned(_redrawn(_turned(layout), _sketch_turned(sketch)), sketch)
    return shift(_redrawn(layout, sketch), sketch)


def _turned(layout: Layout, sketch: Sketch | None = None) -> Layout:
    """Everything with x and y exchanged."""
    found = dataclasses.replace(
        layout,
        centres={key: (y, x) for key, (x, y) in layout.centres.items()},
        routes={key: [(y, x) for x, y in route] for key, route in layout.routes.items()},
        labels={key: (y, x) for key, (x, y) in layout.labels.items()},
        clusters={key: (b, a, d, c) for key, (a, b, c, d) in layout.clusters.items()},
    )
    return found if sketch is None else shift(found, sketch)


def _sketch_turned(sketch: Sketch) -> Sketch:
    boxes = {key: (h, w) for key, (w, h) in sketch.boxes.items()}
    arrows = [(key, tail, head, (h, w)) for key, tail, head, (w, h) in sketch.arrows]
    return dataclasses.replace(sketch, boxes=boxes, arrows=arrows)


def _redrawn(layout: Layout, sketch: Sketch) -> Layout:
    frames = {key: (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
              for key, (x, y) in layout.centres.items() for w, h in [sketch.boxes[key]]}  # fmt: skip
    boxes = _Page()
    for key, frame in frames.items():
        boxes.add_frame(frame, key)
    down = {key: (tail, head) for key, tail, head, _ in sketch.arrows if frames[head][1] - frames[tail][3] > 2 * HEAD}
    routes = layout.routes
    ends: dict[str, tuple[Point, Point]] = {}
    for _ in range(3):  # in which order arrows part is known from how they ran before
        before, ends = ends, _ends(down, frames, routes)
        kept = {key: routes[key] for key in down if ends[key] == before.get(key)}
        routes = _routes(layout, boxes, down, ends, kept)
    labels = _labels(layout, sketch, frames, routes)
    return dataclasses.replace(layout, routes=routes, labels=labels, beside=True)


# -- where arrows leave and enter --------------------------------------------------------------------------------------


def _ends(
    down: dict[str, tuple[str, str]], frames: dict[str, Frame], routes: dict[str, list[Point]]
) -> dict[str, tuple[Point, Point]]:
    """Where each arrow starts and where its tip is."""
    along = {key: _samples(routes[key]) for key in down}
    leaving: dict[str, list[str]] = defaultdict(list)
    entering: dict[str, list[str]] = defaultdict(list)
    for key, (tail, head) in down.items():
        leaving[tail].append(key)
        entering[head].append(key)
    tips = {}
    for head, group in entering.items():
        left, top, right, _ = frames[head]
        start = max(frames[down[key][0]][3] for key in group)  # from here on all of them are under way
        group.sort(key=lambda key: _across(along[key], start, top))
        for n, key in enumerate(group):
            tips[key] = (left + (right - left) * (n + 0.5) / len(group), top)
    ends = {}
    for tail, group in leaving.items():
        left, _, right, bottom = frames[tail]
        middle, step = (left + right) / 2, min(50.0, (right - left) * 0.7 / len(group))
        stop = min(frames[down[key][1]][1] for key in group)
        group.sort(key=lambda key: _across(along[key], bottom, stop))
        for n, key in enumerate(group):
            x = middle + (n - (len(group) - 1) / 2) * step
            if len(group) == 1:  # straight down, if that can be
                x = min(max(tips[key][0], x - (right - left) * 0.25), x + (right - left) * 0.25)
            ends[key] = ((x, bottom - UNDER), tips[key])
    return ends


def _across(points: list[Point], top: float, bottom: float) -> float:
    """How far to the right a curve that runs downwards is between two heights, on the whole."""
    heights = [top + (bottom - top) * part for part in (0.2, 0.4, 0.6, 0.8)]
    return sum(min(points, key=lambda point: abs(point[1] - y))[0] for y in heights)


# -- routes ------------------------------------------------------------------------------------------------------------


def _routes(
    layout: Layout,
    boxes: _Page,
    down: dict[str, tuple[str, str]],
    ends: dict[str, tuple[Point, Point]],
    kept: dict[str, list[Point]],
) -> dict[str, list[Point]]:
    """Every arrow's route: those with nothing in the way first, then the others round them, short before long."""
    found = {key: route for key, route in layout.routes.items() if key not in down}
    curves = _Page()
    for key, route in found.items():
        curves.add_curve(_samples(route), key)
    long = []
    for key, own in down.items():
        direct = kept.get(key) or _direct(*ends[key], boxes, own)
        if direct is None:
            long.append(key)
        else:
            found[key] = direct
            curves.add_curve(_samples(direct), key)
    for key in sorted(long, key=lambda key: ends[key][1][1] - ends[key][0][1]):
        found[key] = _around(layout.routes[key], *ends[key], boxes, curves, down[key])
        curves.add_curve(_samples(found[key]), key)
    return {key: found[key] for key in layout.routes}


def _direct(start: Point, tip: Point, boxes: _Page, own: tuple[str, str]) -> list[Point] | None:
    """One curve, if one keeps clear."""
    for first, last in BENDS:
        end = (tip[0], tip[1] - HEAD)
        (x0, y0), (x1, y1), last_point = _bend(start, end, first, last)
        route = [start, (x0 + LEAN * (end[0] - start[0]), y0), (x1 - 0.06 * (end[0] - start[0]), y1), last_point, tip]
        if boxes.free(_samples(route), own):
            return route
    return None


def _bend(start: Point, end: Point, first: float = 0.5, last: float = 0.5) -> list[Point]:
    """A curve from a point, upright there, to one below it, upright there too."""
    rise = end[1] - start[1]
    return [(start[0], start[1] + first * rise), (end[0], end[1] - last * rise), end]


def _around(
    known: list[Point], start: Point, tip: Point, boxes: _Page, curves: _Page, own: tuple[str, str]
) -> list[Point]:
    """The best route through a lane; where none is free the one known, ending at the tip if it can."""
    end = (tip[0], tip[1] - HEAD)
    lanes = {start[0], end[0], sum(x for x, _ in known) / len(known)}
    row = (min(start[0], end[0]), start[1], max(start[0], end[0]), end[1])
    reach = max(_grown(row, 0)[2] - row[0], max(x for x, _ in known) - min(x for x, _ in known)) + 400.0
    for cell in _cells((row[0] - reach, row[1], row[2] + reach, row[3]), 0.0):
        for (left, top, right, bottom), _ in boxes.frames.get(cell, ()):
            if top < end[1] and bottom > start[1]:
                lanes |= {left - LANE, right + LANE, left - 2 * LANE, right + 2 * LANE}
    span = end[1] - start[1]
    best: tuple[float, list[Point]] | None = None
    for lane in sorted(lanes, key=lambda x: (abs(x - start[0]) + abs(x - end[0]), x))[:TRIES]:
        detour = abs(lane - start[0]) + abs(lane - end[0])
        if best is not None and detour >= best[0]:
            break
        into = _slip(start, lane, 0.5 * span, 1.0, boxes, own)
        room = span - 24.0 if lane == start[0] and span > 48.0 else 0.5 * span
        out = into and _slip(tip, lane, room, -1.0, boxes, own)
        if into is None or out is None:
            continue
        middle = _bend(into[1][-1], out[1][-1])
        route = [*into[1], *middle[: 3 * (out[1][-1][1] - into[1][-1][1] > 1.0)], *out[1][-2::-1]]
        points = _samples(route)
        if not boxes.free(points, own):
            continue
        beside = sum(sum(curves.near((x, y, x, y), 9.0).values()) for x, y in points[3:-3:2])
        cost = detour + into[0] + out[0] + 12.0 * beside
        if best is None or cost < best[0]:
            best = cost, route
    if best is not None:
        return best[1]
    last = [known[-4], (end[0], (known[-4][1] + end[1]) / 2), end] if len(known) > 4 else known[-4:-1]
    moved = [*known[:-4], *last, tip]
    return moved if boxes.free(_samples(moved), own) else known


def _slip(
    at: Point, lane: float, room: float, way: float, boxes: _Page, own: tuple[str, str]
) -> tuple[float, list[Point]] | None:
    """From a box into a lane, downwards or upwards, as upright at the box as can be; and what speaks against it."""
    (x, y), side = at, math.copysign(1.0, lane - at[0])
    ways = []
    for lean, pull, length in itertools.product((0.15, 0.5, 1.0), (0.45, 0.2), (1.3, 0.8, 0.5, 0.3, 0.15)):
        begin = (x + HEAD * math.sin(lean) * side, y - HEAD * math.cos(lean)) if way < 0 else at
        if (lane - begin[0]) * side <= 0:  # the lane is straight above or below
            lean, begin = 0.0, (x, y - HEAD if way < 0 else y)
        rise = min(room, length * abs(lane - x) + 20.0) - abs(begin[1] - y)
        against = 6.0 * lean + 8.0 * abs(lane - x) / max(rise, 1.0) + 5.0 * (pull < 0.4)
        ways.append((against, lean, pull, rise, begin))
    for against, lean, pull, rise, begin in sorted(ways):
        reach = pull * min(math.hypot(lane - begin[0], rise), 2.0 * rise)
        far = begin[1] + way * rise
        route = [begin, (begin[0] + reach * math.sin(lean) * side, begin[1] + way * reach * math.cos(lean)),
                 (lane, far - 0.45 * way * rise), (lane, far)]  # fmt: skip
        if all(boxes.free(_samples([*route, route[-1]], step), own) for step in (40.0, 2 * STEP)):  # coarse, then fine
            return against, [at, *route] if way < 0 else route
    return None


def _samples(route: list[Point], step: float = STEP) -> list[Point]:
    """Points along a route at about even steps."""
    *curve, tip = route
    found = [curve[0]]
    for n in range(0, len(curve) - 3, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve[n : n + 4]
        long = math.hypot(x1 - x0, y1 - y0) + math.hypot(x2 - x1, y2 - y1) + math.hypot(x3 - x2, y3 - y2)
        count = max(4, int(long / step))
        for k in range(1, count + 1):
            t = k / count
            s = 1.0 - t
            a, b, c, d = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
            found.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
    return [*found, tip]


# -- labels ------------------------------------------------------------------------------------------------------------


def _labels(
    layout: Layout, sketch: Sketch, frames: dict[str, Frame], routes: dict[str, list[Point]]
) -> dict[str, Point]:
    """A place for each label, the shortest arrows' first, because these have the fewest places."""
    page = _Page()
    for key, frame in frames.items():
        page.add_frame(frame, key)
    for path, (left, top, *_) in layout.clusters.items():
        if sketch.direction == "TB":
            page.add_frame((left + 6, top, left + 10 + sketch.titles[path], top + LABEL), "")
        else:  # turned: the name runs down the left side
            page.add_frame((left, top + 6, left + LABEL, top + 10 + sketch.titles[path]), "")
    along = {key: _samples(route) for key, route in routes.items()}
    for key, points in along.items():
        page.add_curve(points, key)
    rims = list(layout.clusters.values())
    leaving = Counter(tail for _, tail, _, _ in sketch.arrows)
    found: dict[str, Point] = {}
    for key, tail, _, size in sorted(sketch.arrows, key=lambda arrow: len(along[arrow[0]])):
        if size[0] and size[1]:
            offset = along[key][0][0] - (frames[tail][0] + frames[tail][2]) / 2
            outer = -1.0 if leaving[tail] > 1 and offset < -1.0 else 1.0
            best = min(_places(along[key], size, 0.35 if leaving[tail] > 1 else 0.45, outer),
                       key=lambda place: place[0] + _cost(page, rims, _frame(place[1], size), key))  # fmt: skip
            found[key] = best[1]
            page.add_frame(_frame(best[1], size), key)
    return found


def _frame(centre: Point, size: Point) -> Frame:
    (x, y), (w, h) = centre, size
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _places(points: list[Point], size: Point, wish: float, outer: float) -> Iterator[tuple[float, Point]]:
    """Places beside a curve, each with what speaks against it."""
    for part in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8):
        y = points[round(part * (len(points) - 1))][1]
        across = [x for x, at in points if abs(at - y) <= size[1] / 2 + 3.0]
        for side in (1.0, -1.0):
            edge = max(across) if side > 0 else min(across)
            slack = max(across) - min(across)  # a flat stretch keeps the label away from it
            yield 20.0 * abs(part - wish) + (2.0 if side != outer else 0.0) + 0.3 * slack, (
                edge + side * (size[0] / 2 + BESIDE), y)  # fmt: skip


def _cost(page: _Page, rims: list[Frame], frame: Frame, own: str) -> float:
    """What speaks against a label here: what it would cover, and other arrows that it could belong to."""
    left, top, right, bottom = frame
    cost = 200.0 if page.hit(frame, 4.0) else 0.0
    close = page.near(frame, 3.0)
    cost += sum(100.0 + count for key, count in close.items() if key != own) + 20.0 * (own in close)
    cost += sum(4.0 for key in page.near(frame, 11.0) if key != own and key not in close)
    for a, b, c, d in rims:
        within = a < left and right < c and b < top and bottom < d
        if not within and left < c and a < right and top < d and b < bottom:
            cost += 8.0
    return cost
