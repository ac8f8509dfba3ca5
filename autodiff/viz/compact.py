"""A document as a page holds it: columns instead of dicts, texts once, numbers at six digits, places in half points.

The script of the page unpacks it again; the whole document, with every digit, is the ``.json`` format.
"""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import json
import linecache
import math
import re
from typing import Any

import numpy as np

from ..flows import GradientFlow, flat
from ..graph import Graph
from .face import ordinary
from .insight import insight
from .layout import Layout
from .lettering import clean, file_name
from .options import Options
from .picture import document, finite
from .scene import lay_out, measure
from .theme import Scale
from .view import View, select, select_readable

FORMAT = "autodiff page"
VERSION = 1
BINS = 16
READABLE = 60
"""So many boxes can be taken in at once; a larger picture opens with its scopes collapsed, where that helps."""
DEPTHS = 3
"""Collapsing is laid out beforehand down to this depth of scopes."""


class Texts:
    """Every text once, by number; 0 is the empty one."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {"": 0}
        self.known: dict[tuple[str, int], int] = {}

    def __call__(self, text: str, limit: int = 48) -> int:
        """The number of a text, as it may stand in a picture."""
        found = self.known.get((text, limit))
        if found is None:
            found = self.known[text, limit] = self.number.setdefault(clean(text, limit), len(self.number))
        return found


def compact(source: Graph | GradientFlow, options: Options) -> dict[str, Any]:
    """The data of a page; :mod:`autodiff.viz.page` says what it looks like, ``browser/model.js`` reads it."""
    flow = source if isinstance(source, GradientFlow) else None
    found = document(source, options.title, joins=True)
    texts = Texts()
    scopes = _scopes(found)
    whole: dict[str, Any] = {
        "format": FORMAT, "version": VERSION, "title": clean(found["title"], 100), "flow": found["flow"],
        "split": options.split, "limit": options.max_nodes, "hops": options.hops, "direction": options.direction,
        "nodeColumns": _nodes(found, flow, texts, scopes), "edgeColumns": _edges(found, flow),
        "scopeRows": [[scopes.get(path[:-1], -1), texts(path[-1]), *_full(path[-1])] for path in scopes],
        "scale": _scale(found),
    }  # fmt: skip
    whole["views"], whole["open"] = _views(found, options, scopes)
    whole.update(_told(insight(flow), texts) if flow is not None else {"told": []})
    whole["texts"] = list(texts.number)
    return whole


def to_page_json(whole: dict[str, Any]) -> str:
    """The data as JSON that can stand inside a page."""
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text = encoder.encode(whole)
    except ValueError:  # it holds a number that JSON does not have, which is rare
        text = encoder.encode(finite(whole))
    return re.sub("[<>&\u2028\u2029\ud800-\udfff]", lambda sign: f"\\u{ord(sign[0]):04x}", text)


def short(x: float | None, digits: int = 6) -> float | int | None:
    """A number to a few digits, written as briefly as JSON can."""
    if x is None or not math.isfinite(x):
        return x
    rounded = float(f"{x:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 10**digits else rounded


BRIEF = decimal.Context(prec=4, rounding=decimal.ROUND_05UP)


def once(x: float) -> float | int | None:
    """A number to four digits that is rounded to three as the number itself would be, up or down."""
    return short(float(BRIEF.create_decimal_from_float(x)))


# -- nodes and edges ---------------------------------------------------------------------------------------------------


def _scopes(found: dict[str, Any]) -> dict[tuple[str, ...], int]:
    """Every scope by number, an outer one before those within it."""
    numbers: dict[tuple[str, ...], int] = {}
    for node in found["nodes"]:
        path = tuple(node["scope"])
        for depth in range(1, len(path) + 1):
            numbers.setdefault(path[:depth], len(numbers))
    return numbers


def _nodes(
    found: dict[str, Any], flow: GradientFlow | None, texts: Texts, scopes: dict[tuple[str, ...], int]
) -> dict[str, Any]:
    """Columns, one entry a node: the operations, shapes and lines that occur are listed once beside them."""
    kinds: dict[Any, int] = {}
    forms: dict[Any, int] = {}
    lines: dict[Any, int] = {}
    places: dict[Any, int] = {None: -1}
    columns: dict[str, Any] = {key: [] for key in ("op", "call", "name", "scope", "form", "line", "value", "delta")}
    histograms: dict[int, list[int]] = {}
    for node in found["nodes"]:
        rules = tuple(texts(formula, 200) for formula in node["formulas"])
        kind = (texts(node["op"]), texts(node["kind"]), rules)
        columns["op"].append(kinds.setdefault(kind, len(kinds)))
        columns["call"].append(texts(node["call"]))
        columns["name"].append(texts(node["name"]) if node["name"] else 0)
        columns["scope"].append(scopes.get(tuple(node["scope"]), -1))
        several = isinstance(node["dtype"], list)
        form = ("×".join(map(str, node["shape"])), f"{len(node['dtype'])} results" if several else node["dtype"])
        columns["form"].append(forms.setdefault(tuple(map(texts, form)), len(forms)))
        place = None if node["line"] is None else (node["line"]["file"], node["line"]["line"])
        if place is not None and place not in places:
            places[place] = _line(place[0], place[1], lines, texts)
        columns["line"].append(places[place])
        columns["value"].append(_numbers(node["value"]))
        columns["delta"].append(_numbers(node["delta"]))
        if flow is not None and node["delta"] is not None and node["delta"]["size"] > 1:
            counts = histogram(flow.delta[node["id"]], node["delta"])
            if counts is not None:
                histograms[node["id"]] = counts
    columns["full"] = {node["id"]: said for node in found["nodes"] for said in _full(node["name"] or node["op"])}
    columns.update(
        ops=list(kinds), forms=list(forms), lines=list(lines), histogram=histograms,
        outputs=[node["id"] for node in found["nodes"] if node["output"]],
        cancels=[node["id"] for node in found["nodes"] if "cancels" in node["badges"]],
    )  # fmt: skip
    return columns


def _full(name: str) -> list[str]:
    """A name that is shown otherwise than it is: nodes are matched with those of another file by their full names."""
    return [] if clean(name) == name else [name]


def _line(file: str, number: int, lines: dict[Any, int], texts: Texts) -> int:
    """The number of a line of the user's: its file's name, its number, and what stands there."""
    said = ""
    if file in linecache.cache or file.endswith(".py"):  # a graph of a stranger's may name any file of this machine
        with contextlib.suppress(ValueError):  # a name that no file can have
            said = linecache.getline(file, number).strip()
    return lines.setdefault((texts(file_name(file)), number, texts(said, 120)), len(lines))


def _numbers(s: dict[str, Any] | None) -> Any:
    """Statistics: one ordinary real number as itself; else size, RMS, range and counts, zeros at the end left out."""
    if s is None:
        return None
    number = s.get("number")
    if isinstance(number, float) and math.isfinite(number) and not s["subnormal"]:
        return short(number)
    found = [s["size"], *(short(s[key]) for key in ("rms", "min", "max")),
             *(s[key] for key in ("zero", "subnormal", "nan", "+inf", "-inf"))]  # fmt: skip
    if isinstance(number, list):
        return [*found, *map(short, number)]
    while found[-1] == 0 and len(found) > 4:
        found.pop()
    return found


def histogram(delta: Any, s: dict[str, Any]) -> list[int] | None:
    """How many finite elements of δ lie in each of sixteen equal parts of its range; of complex ones the moduli."""
    if s["min"] is None or s["min"] == s["max"]:
        return None
    x = flat(delta)
    x = np.abs(x) if x.dtype.kind == "c" else x.astype(np.float64, copy=False)
    if s["nan"] or s["+inf"] or s["-inf"]:
        x = x[np.isfinite(x)]
    half = s["max"] / 2 - s["min"] / 2  # the range itself may be no number
    place = (x / 2 - s["min"] / 2) * (BINS / half) if half > 0 else np.zeros(x.shape)
    return np.bincount(np.minimum(place.astype(np.int64), BINS - 1), minlength=BINS).tolist()  # type: ignore[no-any-return]


def _edges(found: dict[str, Any], flow: GradientFlow | None) -> dict[str, Any]:
    """Columns, one entry an edge, those along which δ came first and in the order of the sweep."""
    by_use = {(edge["to"], edge["slot"]): edge for edge in found["edges"]}
    order = list(flow.contributions) if flow is not None else []
    swept = [by_use[use] for use in order]
    edges = swept + [edge for edge in found["edges"] if edge["kind"] != "δ"]
    shares = []
    for edge in swept:
        if (edge["projection"], edge["norm_share"], edge["cosine"]) == (1.0, 1.0, 1.0):
            node = found["nodes"][edge["from"]]["delta"]
            shares.append(0 if edge["delta"] == node else [1, 1, 1, _numbers(edge["delta"])])
        else:
            parts = [short(edge[key]) for key in ("projection", "norm_share", "cosine")]
            shares.append([*parts, _numbers(edge["delta"])])
    return {
        "from": [edge["from"] for edge in edges], "to": [edge["to"] for edge in edges],
        "slot": [edge["slot"] for edge in edges], "shares": shares,
    }  # fmt: skip


def _scale(found: dict[str, Any]) -> list[float]:
    """The ends of the colours, in decades: one scale for every view of the page."""
    numbers = [node["delta"] for node in found["nodes"]] + [edge["delta"] for edge in found["edges"]]
    scale = Scale([s["rms"] for s in numbers if s is not None and ordinary(s)])
    return [scale.low, scale.high]


# -- where everything stands -------------------------------------------------------------------------------------------


def _views(
    found: dict[str, Any], options: Options, scopes: dict[tuple[str, ...], int]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The views that are laid out beforehand, and what the page opens with."""
    deepest = max((len(path) for path in scopes), default=0)
    wanted: list[tuple[str, Any]] = [("everything", None)]
    wanted += [(f"scopes at depth {depth}", depth) for depth in range(min(deepest, DEPTHS), 0, -1)]
    if options.collapse is not None and not isinstance(options.collapse, int):
        wanted.append(("as asked for", options.collapse))
    views: list[dict[str, Any]] = []
    for name, collapse in wanted:
        wish = dataclasses.replace(options, collapse=collapse, focus=None)
        view = select(found, wish) if name == "as asked for" else select_readable(found, wish)
        if view is None:
            continue
        closed = sorted({scopes[box.group] for box in view.boxes if box.group is not None})
        sketch, _, _, _ = measure(view, options)
        views.append({"name": name, "depth": collapse if isinstance(collapse, int) else 0, "closed": closed,
                      **_places(view, lay_out(sketch, options), sketch.boxes, scopes)})  # fmt: skip
    return views, _opened(found, views, options)


def _opened(found: dict[str, Any], views: list[dict[str, Any]], options: Options) -> dict[str, Any]:
    """What the page shows first: what was asked for; else all, if that can be taken in; else the coarsest view."""
    if options.focus is not None:
        node = select(found, dataclasses.replace(options, collapse=None, hops=0)).boxes[0].node["id"]
        return {"view": -1, "around": node}
    if isinstance(options.collapse, str | list | tuple):
        return {"view": len(views) - 1}
    if isinstance(options.collapse, int) and options.collapse:
        return {"view": next((n for n, view in enumerate(views) if view["depth"] == options.collapse), 0)}
    last = next((node["id"] for node in found["nodes"] if node["output"]), len(found["nodes"]) - 1)
    if not views:
        return {"view": -1, "around": last}
    counts = [len(view["boxes"]) for view in views]
    return {"view": 0 if counts[0] <= READABLE else counts.index(min(counts))}


def _places(
    view: View, layout: Layout, sizes: dict[str, tuple[float, float]], scopes: dict[tuple[str, ...], int]
) -> dict[str, Any]:
    """A layout in half points: boxes and arrows in the order of the view, the points of an arrow by their steps."""
    def half(x: float) -> int:
        return round(2 * x)

    routes = []
    for arrow in view.arrows:
        points = [(half(x), half(y)) for x, y in layout.routes[arrow.id]]
        steps = [(x - u, y - v) for (x, y), (u, v) in zip(points[1:], points, strict=False)]
        routes.append([coordinate for point in [points[0], *steps] for coordinate in point])
    return {
        "boxes": [[*map(half, layout.centres[box.id]), *map(half, sizes[box.id])] for box in view.boxes],
        "routes": routes,
        "labels": [[*map(half, layout.labels[arrow.id])] if arrow.id in layout.labels else 0 for arrow in view.arrows],
        "frames": [[scopes[path], *map(half, frame)] for path, frame in layout.clusters.items()],
        "size": [half(layout.width), half(layout.height)],
        "engine": f"{layout.engine} ({clean(layout.note, 300)})" if layout.note else layout.engine,
    }  # fmt: skip


# -- what was found out beforehand -------------------------------------------------------------------------------------


def _told(found: dict[str, Any], texts: Texts) -> dict[str, Any]:
    """Joins, spectra, cuts and trend with short numbers."""
    joins = [
        [row["join"], row["fork"], row["skip"], row["residual"], texts(row["kind"]), texts(row["norm"] or ""),
         *(short(row[key]) for key in ("skip_share", "residual_share", "cosine", "rms")), texts(row["block"])]
        for row in found["joins"]
    ]  # fmt: skip
    spectra = [
        {"of": spectrum["node"], "told": clean(spectrum["told"], 400), "more": spectrum["more"],
         "parts": [[once(row["projection"]), once(row["norm"])] for row in spectrum["rows"]]}
        for spectrum in found["spectra"]
    ]  # fmt: skip
    cuts = found["cuts"]
    before = [short(x) for x in cuts["before"]]
    changed = []
    for entry in cuts["of"]:
        after = [
            [_left(x, old) for x, old in zip(entry[way], cuts["before"], strict=True)] if way in entry else 0
            for way in ("skip", "residual")
        ]  # fmt: skip
        changed.append([entry["row"], *after])
    trend = [[texts(row["block"]), short(row["delta"])] for row in found["trend"]]
    return {
        "told": [clean(text, 400) for text in found["told"]], "joinRows": joins, "spectra": spectra, "trend": trend,
        "cutTable": {"targets": cuts["targets"], "before": before, "of": changed, "leftOut": cuts["left_out"]},
        "start": found["start"], "least": clean(found["least"], 400), "followed": found["followed"],
        "answers": [[clean(text, 400) for text in answer] for answer in found["answers"]],
    }  # fmt: skip


def _left(after: float | None, before: float | None) -> float | None:
    """What a cut leaves, as briefly as can be: 0 where it changes nothing, −1 where no path is left, −2 for a zero."""
    return 0 if after == before else -2 if after == 0 else short(after, 5)
