"""Arrows that point the way δ goes, and arrows that carry values beside them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

from .layout import HEAD, Point
from .view import View

Frame = tuple[float, float, float, float]  # left, top, right, bottom
STEPS = 24  # into which a piece of a curve is cut to find where it meets a box

FORWARD = "Arrows follow the computation. The number on an arrow is the δ that came back along it"
REVERSE = "Arrows follow δ, from the output back. The number on an arrow is the δ that came back along it"
BOTH = (
    "Thin arrows follow the computation and carry values (of an array the RMS). "
    "The others follow δ, from the output back: the number is the δ that came back along it"
)
SAID = {"forward": FORWARD, "reverse": REVERSE, "both": BOTH}
"""What a legend says of arrows."""


def with_values(view: View) -> View:
    """The view with an arrow for the value beside every arrow along which δ came."""
    nodes = {node["id"]: node for box in view.boxes for node in box.members}
    arrows = []
    for arrow in view.arrows:
        sources = {edge["from"] for edge in arrow.edges}
        value = nodes[min(sources)]["value"] if len(sources) == 1 else None  # of several nodes of a scope none is named
        beside = dataclasses.replace(arrow, id=f"{arrow.id}v", carries=value or {})
        sent = any(edge["kind"] == "δ" for edge in arrow.edges)
        arrows += [beside, arrow] if sent else [beside]
    return dataclasses.replace(view, arrows=arrows)


def backwards(route: list[Point], frame: Frame) -> list[Point]:
    """A route the other way round, its tip on the frame of the box that it started from."""
    curve, tip = route[:-1], route[-1]
    (x, y), (u, v) = tip, curve[-1]
    points = [tip, (x + (u - x) / 3, y + (v - y) / 3), (u + (x - u) / 3, v + (y - v) / 3), *reversed(curve)]
    end: Point | None = None
    for start in range(len(points) - 4, -1, -3):
        piece, last = points[start : start + 4], 1.0
        if end is None:
            last = _last(functools.partial(_outside, frame), piece, 1.0)
            if last < 0:
                continue
            end = _point(piece, last)
        far = _last(functools.partial(_apart, end), piece, last)
        if far > 0:
            return [*points[:start], *_first_part(piece, far), end]
    return [*reversed(curve), curve[0]]  # too short for a head of its own


def _last(holds: Callable[[Point], bool], piece: list[Point], high: float) -> float:
    """The last place on a curve, up to one, at which something holds; −1 where it never does."""
    for step in range(STEPS, -1, -1):
        low = high * step / STEPS
        if holds(_point(piece, low)):
            above = min(high, high * (step + 1) / STEPS)
            for _ in range(12):
                middle = (low + above) / 2
                low, above = (middle, above) if holds(_point(piece, middle)) else (low, middle)
            return low
    return -1.0


def _apart(end: Point, at: Point) -> bool:
    return math.dist(at, end) >= HEAD


def _outside(frame: Frame, at: Point) -> bool:
    left, top, right, bottom = frame
    return not (left < at[0] < right and top < at[1] < bottom)


def _between(a: Point, b: Point, t: float) -> Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _first_part(piece: list[Point], t: float) -> list[Point]:
    """A cubic curve up to t, by de Casteljau's construction."""
    a, b, c, d = piece
    ab, bc, cd = _between(a, b, t), _between(b, c, t), _between(c, d, t)
    left, right = _between(ab, bc, t), _between(bc, cd, t)
    return [a, ab, left, _between(left, right, t)]


def _point(piece: list[Point], t: float) -> Point:
    return _first_part(piece, t)[3]
