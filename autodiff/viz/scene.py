"""The drawing itself: rectangles, curves and lines of text at their places, in points, y downwards.

Both layouts, Graphviz's and the built-in one, end here, and every picture format is written from here, so an svg, a
png and a pdf of one flow show the same thing. Colours that start with ``@`` are roles that a writer looks up in its
theme.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

from .arrows import SAID, backwards, with_values
from .curves import redraw
from .engine import EngineError, SlowError, absent, arrange_with, engines
from .face import BODY, GAP, INDENT, SMALL, TAG, TITLE, Face, Line, Row, face, line, ordinary
from .layout import BUILT_IN, LABEL, Layout, Sketch, arrange
from .lettering import clean, power, width
from .options import Options, refuse
from .theme import Scale, as_theme
from .view import Box, View, beneath, size

MARGIN = 18.0
BEHIND = 3.0  # how far the second outline of a collapsed scope looks out
WIDEST, THINNEST = 4.5, 0.8  # of an arrow


@dataclasses.dataclass
class Rect:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 0.0
    fill: str | None = None
    stroke: str | None = None
    thick: float = 1.0
    dash: bool = False


@dataclasses.dataclass
class Curve:
    """Cubic Bézier curves, one after another."""

    points: list[tuple[float, float]]
    stroke: str
    thick: float
    dash: bool = False


@dataclasses.dataclass
class Polygon:
    """A filled polygon."""

    points: list[tuple[float, float]]
    fill: str


@dataclasses.dataclass
class Text:
    """One line of text; `anchor` is start, middle or end, y the base line."""

    x: float
    y: float
    text: str
    size: float
    fill: str = "@ink"
    anchor: str = "start"
    bold: bool = False
    italic: bool = False


@dataclasses.dataclass
class Group:
    """Items that belong together: a node, an arrow. `more` is what a hover or a screen reader tells."""

    id: str
    kind: str
    more: str
    items: list[Any]


@dataclasses.dataclass
class Scene:
    """A whole picture."""

    width: float
    height: float
    title: str
    description: str
    items: list[Any]


def lay_out(sketch: Sketch, options: Options) -> Layout:
    """The best layout that is to be had: Graphviz's, else the built-in one, which says why in its note."""
    if options.engine == "builtin":
        return redraw(arrange(sketch), sketch)
    reasons = []
    for engine in engines(options):
        try:
            return redraw(arrange_with(engine, sketch, options), sketch)
        except EngineError as error:
            reasons.append(str(error))
            if isinstance(error, SlowError):
                break
    why = "; ".join(reasons) or absent(options)
    found = redraw(arrange(sketch), sketch)
    return dataclasses.replace(found, note="; ".join(filter(None, (why, found.note))))


def compose(found: dict[str, Any], view: View, options: Options) -> Scene:
    """The picture of what was selected of a document."""
    if options.arrows == "both":
        view = with_values(view)
    sketch, faces, lines, scale = measure(view, options)
    layout = lay_out(sketch, options)
    if options.arrows != "forward":
        layout = _turned_back(layout, view, sketch)
    drawing = _drawing(view, layout, faces, lines, scale, options.arrows == "forward")
    return _framed(found, view, layout, drawing, scale, faces, lines, options.arrows)


def _turned_back(layout: Layout, view: View, sketch: Sketch) -> Layout:
    """The layout with every arrow of δ the other way round."""
    routes = dict(layout.routes)
    groups = {box.id for box in view.boxes if box.group is not None}
    for arrow in view.arrows:
        if arrow.carries is None and any(edge["kind"] == "δ" for edge in arrow.edges):
            (x, y), (w, h) = layout.centres[arrow.tail], sketch.boxes[arrow.tail]
            more = BEHIND if arrow.tail in groups else 0.0
            frame = (x - w / 2, y - h / 2, x + w / 2 + more, y + h / 2 + more)
            routes[arrow.id] = backwards(routes[arrow.id], frame)
    return dataclasses.replace(layout, routes=routes)


def measure(view: View, options: Options) -> tuple[Sketch, dict[str, Face], dict[str, Line], Scale]:
    """How large everything is that is to be laid out, what is written on it, and the scale of its colours."""
    if not view.boxes:
        refuse("draw: there is nothing to draw", "the graph has no nodes", "trace a function that computes something")
    deltas = {box.id: size(box) for box in view.boxes}
    lines = {arrow.id: line(arrow) for arrow in view.arrows}
    found = [numbers for numbers in (*deltas.values(), *view.sizes) if numbers is not None]
    sizes = [numbers["rms"] for numbers in found if ordinary(numbers)]
    scale = Scale(sizes + [shown.size for shown in lines.values() if shown.size], as_theme(options.theme).delta)
    faces = {box.id: face(box, scale) for box in view.boxes}
    clusters: dict[tuple[str, ...], list[str]] = {}
    for box in view.boxes:
        clusters.setdefault(box.scope, []).append(box.id)
    sketch = Sketch(
        {key: (shown.width, shown.height) for key, shown in faces.items()},
        [(arrow.id, arrow.tail, arrow.head, (lines[arrow.id].label_width, 10.0 if lines[arrow.id].text else 0.0))
         for arrow in view.arrows],
        clusters,
        {path[:depth]: width(clean(path[depth - 1]), BODY, bold=True) for path in clusters
         for depth in range(1, len(path) + 1)},
        options.direction,
        beneath(view),
    )  # fmt: skip
    return sketch, faces, lines, scale


def _drawing(
    view: View, layout: Layout, faces: dict[str, Face], lines: dict[str, Line], scale: Scale, forward: bool
) -> list[Any]:
    """Scopes, arrows and boxes, in this order: boxes lie on top."""
    items: list[Any] = []
    for path, (left, top, right, bottom) in layout.clusters.items():
        items.append(Group("", "scope", clean("/".join(path), 200), [
            Rect(left, top, right - left, bottom - top, 6.0, "@cluster", "@rim"),
            Text(left + 8, top + LABEL - 6, clean(path[-1]), BODY, "@muted", bold=True),
        ]))  # fmt: skip
    tags: list[Any] = []
    for arrow in view.arrows:
        shown = lines[arrow.id]
        kind = "edge" if arrow.carries is None else "value"
        items.append(Group(arrow.id, kind, shown.more, _arrow(shown, layout.routes[arrow.id], scale, forward)))
        if shown.text and arrow.id in layout.labels:
            x, y = layout.labels[arrow.id]
            if not layout.beside and layout.engine == BUILT_IN:  # there the arrow passes under its label
                tags.append(Rect(x - shown.label_width / 2 - 2, y - 5.5, shown.label_width + 4, 11, 3.0, "@paper"))
            colour = f"@{shown.state}" if shown.state in ("nan", "inf") else "@muted" if arrow.carries else "@ink"
            tags.append(Text(x, y + 3, shown.text, SMALL, colour, "middle"))
    items += tags
    for box in view.boxes:
        items.append(Group(box.id, "node", faces[box.id].more, _box(faces[box.id], *layout.centres[box.id], box)))
    return items


def _arrow(shown: Line, route: list[tuple[float, float]], scale: Scale, forward: bool) -> list[Any]:
    """An arrow: coloured by size on a darker casing that keeps it visible on any ground, as wide as its share.

    Where arrows go back, one along which no δ came has no head: it goes nowhere.
    """
    curve, tip = route[:-1], route[-1]
    (x, y), base = tip, curve[-1]
    length = math.hypot(x - base[0], y - base[1]) or 1.0
    dx, dy = (x - base[0]) / length, (y - base[1]) / length
    if shown.state in ("value", "later"):
        return [Curve(curve, "@line", 1.0), _head(base, tip, dx, dy, 2.8, "@line")]
    if shown.state == "none" and not forward:
        return [Curve([*curve, base, tip, tip], "@line", THINNEST, dash=True)]
    if shown.state == "none":
        return [Curve(curve, "@line", THINNEST, dash=True), _head(base, tip, dx, dy, 2.6, "@line")]
    share = shown.share if shown.share is not None else 1.0
    thick = max(THINNEST, WIDEST * min(1.0, share))
    half = max(2.8, thick * 0.95)
    if shown.size is None:
        colour = f"@{shown.state}" if shown.state in ("nan", "inf") else "@line"
        return [Curve(curve, colour, thick, dash=shown.state == "zero"), _head(base, tip, dx, dy, half, colour)]
    return [
        Curve(curve, "@casing", thick + 1.0),
        _head(base, tip, dx, dy, half, "@casing"),
        Curve(curve, scale.colour(shown.size), thick),
    ]


def _head(base: Any, tip: Any, dx: float, dy: float, half: float, fill: str) -> Polygon:
    return Polygon([(base[0] - dy * half, base[1] + dx * half), tip, (base[0] + dy * half, base[1] - dx * half)], fill)


def _box(shown: Face, x: float, y: float, box: Box) -> list[Any]:
    left, top = x - shown.width / 2, y - shown.height / 2
    radius = 9.0 if shown.rounded else 3.0
    items: list[Any] = []
    if box.group is not None:  # a second outline behind it: more lies within
        items.append(Rect(left + BEHIND, top + BEHIND, shown.width, shown.height, radius, "@surface", "@line"))
    stroke = "@muted" if shown.dashed else "@ink"
    items.append(Rect(left, top, shown.width, shown.height, radius, "@surface", stroke, 1.6 if shown.heavy else 0.9,
                      shown.dashed))  # fmt: skip
    items.append(Text(left + INDENT, top + 14.5, shown.title, TITLE, bold=True))
    if shown.kind:
        items.append(Text(left + shown.width - INDENT, top + 14.5, shown.kind, SMALL, "@muted", "end"))
    for n, row in enumerate(shown.rows):
        items += _row(row, left, top + 21.0 + 15.0 * n, shown.width)
    return items


def _row(row: Row, left: float, top: float, across: float) -> list[Any]:
    items: list[Any] = []
    if row.band is not None:
        items.append(Rect(left + 4, top, across - 8, 14.0, 3.0, row.band))
    start = left + INDENT
    if row.tag:
        items.append(Text(start, top + 10.2, row.tag, BODY, row.colour if row.band else "@muted", bold=bool(row.band)))
        start += TAG
    items.append(Text(start, top + 10.2, row.text, BODY, row.colour, bold=bool(row.band), italic=row.italic))
    if row.rest:
        items.append(Text(start + width(row.text, BODY, bool(row.band)) + GAP, top + 10.2, row.rest, BODY, row.colour))
    return items


# -- title and legend --------------------------------------------------------------------------------------------------


def _framed(
    found: dict[str, Any], view: View, layout: Layout, drawing: list[Any], scale: Scale, faces: dict[str, Face],
    lines: dict[str, Line], arrows: str,
) -> Scene:  # fmt: skip
    """The drawing under its title and above its legend."""
    title = clean(found["title"], 100)
    counts = f"{view.total} nodes, {len(found['edges'])} edges"
    if len(view.boxes) != view.total:
        counts += f", drawn as {len(view.boxes)} boxes and {len(view.arrows)} arrows"
    subtitle = "; ".join([counts, *view.notes])
    across = max(layout.width, width(title, 14, bold=True), 400.0)
    head = _wrapped(subtitle, across)
    top = MARGIN + 20 + 12 * len(head) + 10
    items: list[Any] = [Text(MARGIN, MARGIN + 12, title, 14, bold=True)]
    items += [Text(MARGIN, MARGIN + 27 + 12 * n, text, BODY, "@muted") for n, text in enumerate(head)]
    moved = [_moved(item, MARGIN + (across - layout.width) / 2, top) for item in drawing]
    legend, height = _legend(SAID[arrows] if found["flow"] else "", view, layout, scale, faces, lines, across)
    items += moved
    items += [_moved(item, MARGIN, top + layout.height + 16) for item in legend]
    whole = top + layout.height + 16 + height + MARGIN
    return Scene(round(across + 2 * MARGIN, 1), round(whole, 1), title, subtitle, items)


def _moved(item: Any, dx: float, dy: float) -> Any:
    found = copy.copy(item)
    if isinstance(item, Group):
        found.items = [_moved(inner, dx, dy) for inner in item.items]
    elif isinstance(item, (Curve, Polygon)):
        found.points = [(x + dx, y + dy) for x, y in item.points]
    else:
        found.x, found.y = item.x + dx, item.y + dy
    return found


def _wrapped(text: str, across: float, size: float = BODY) -> list[str]:
    """A text in lines that fit, broken at spaces."""
    found: list[str] = []
    for word in text.split(" "):
        if found and width(f"{found[-1]} {word}", size) <= across:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _legend(
    flow: str, view: View, layout: Layout, scale: Scale, faces: dict[str, Face], lines: dict[str, Line], across: float
) -> tuple[list[Any], float]:
    """What width, colour and outline mean, and how the picture was laid out."""
    items: list[Any] = [Curve([(0, 0), (across / 3, 0), (2 * across / 3, 0), (across, 0)], "@rim", 0.8)]
    y = 18.0
    if flow:
        items += _colour_key(scale, y)
        items += _width_key(y, 230.0)
        y += 38.0
    said = []
    back = [arrow for arrow in view.arrows if arrow.carries is None]
    if flow:
        said.append(f"{flow} (of an array the RMS), with its share of Σ‖δᵢ‖ where δ divides.")
    if any(shown.dashed for shown in faces.values()):
        said.append("Dashed box: no path leads from it to the output.")
    if flow and any(shown.state == "none" for shown in lines.values()):
        said.append(f"Dashed {'arrow' if flow == SAID['forward'] else 'line'}: no δ comes back.")
    if any(shown.state == "later" for shown in lines.values()):
        said.append("Thin arrow: the sweep has not come here yet.")
    if any(shown.state == "zero" for shown in lines.values()):
        said.append("Dashed grey arrow with a number: a δ of zero, or subnormal.")
    if any(len(arrow.edges) > 1 and arrow.whole is None and lines[arrow.id].text for arrow in back):
        said.append("×n: the RMS over n contributions, from several nodes of a scope.")
    if any("⟲" in shown.title for shown in faces.values()):
        said.append("⟲n: drawn n times, once for each use.")
    for text in said:
        for part in _wrapped(text, across, SMALL):
            items.append(Text(0, y, part, SMALL, "@muted"))
            y += 11.0
    about = f"Layout: {layout.engine}" + (f" ({clean(layout.note, 300)})" if layout.note else "")
    for part in _wrapped(about, across, SMALL):
        items.append(Text(0, y, part, SMALL, "@muted", italic=True))
        y += 11.0
    return items, y - 11.0


def _colour_key(scale: Scale, y: float) -> list[Any]:
    long, steps = 190.0, 64
    span = scale.high - scale.low
    items: list[Any] = [Text(0, y, "colour: RMS of δ", SMALL, "@muted")]
    for n in range(steps):
        colour = scale.colour(10 ** (scale.low + span * (n + 0.5) / steps))
        items.append(Rect(n * long / steps, y + 5, long / steps + 0.3 * (n < steps - 1), 8, 0.0, colour))
    for tick in scale.ticks():
        x = (tick - scale.low) / span * long
        anchor = "start" if x < 8 else "end" if x > long - 8 else "middle"
        items.append(Rect(min(x, long - 0.8), y + 13, 0.8, 3, 0.0, "@muted"))
        items.append(Text(x, y + 24, power(tick), SMALL, "@muted", anchor))
    return items


def _width_key(y: float, x: float) -> list[Any]:
    items: list[Any] = [Text(x, y, "width: share of Σ‖δᵢ‖ where δ divides", SMALL, "@muted")]
    for n, share in enumerate((0.1, 0.5, 1.0)):
        start = x + 62 * n
        points = [(start, y + 9), (start + 8, y + 9), (start + 17, y + 9), (start + 25, y + 9)]
        items.append(Curve(points, "@line", max(THINNEST, WIDEST * share) + 1.0))
        items.append(Text(start + 12.5, y + 24, f"{share:.0%}".replace("%", " %"), SMALL, "@muted", "middle"))
    return items
