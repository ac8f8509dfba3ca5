"""A scene as png or pdf.

Graphviz draws it, in its child process, but decides nothing: the scene is handed over as the background of an empty
graph, in Graphviz's own drawing language. So a png shows what the svg shows, title and legend included, and no other
drawing library is needed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import graphviz

from .engine import Engine, EngineError, SlowError, absent, engines, run
from .options import Options, refuse
from .scene import Curve, Group, Polygon, Rect, Scene, Text
from .theme import as_theme

FONT = "Helvetica,Arial,DejaVu Sans,sans"
ROUND = 0.5523  # how far the handles of a quarter circle lie from its ends
MOST_DOTS = 32_767  # on a side of what cairo draws
INSTALL = 'pip install -e ".[images]"'
START = {"png": b"\x89PNG", "pdf": b"%PDF"}


def render(scene: Scene, form: str, options: Options) -> bytes:
    """A scene as the bytes of a png or pdf file.

    Raises
    ------
    PictureError
        Where Graphviz is missing, or cannot do it; says what to install or to change.
    """
    drawing = dataclasses.replace(options, engine="auto") if options.engine == "builtin" else options  # not a layout
    ways = engines(drawing)
    if form == "png" and ways:
        _check_size(scene, options.dpi)
    source = to_xdot(scene, as_theme(options.theme).plain, options.dpi)
    reasons, cures = [], []
    for engine in ways:
        try:
            check_letters(engine, options)
            data = run(engine, source, "nop2", form, options)
        except EngineError as error:
            reasons.append(str(error))
            cures += [error.instead] * bool(error.instead)
            if isinstance(error, SlowError):
                break
            continue
        if data.startswith(START[form]):
            return data
        reasons.append(f"{engine.kind} did not write a {form}")
    refuse(f"draw: no {form} could be made", "; ".join(reasons) or absent(drawing),
           "; ".join([*dict.fromkeys(cures or [INSTALL]), "or draw to .svg, which needs nothing"]))  # fmt: skip


def _check_size(scene: Scene, dpi: int) -> None:
    """Refuse a png that Graphviz would shrink without a word."""
    across, down = (math.ceil(side * dpi / 72) for side in (scene.width, scene.height))
    if max(across, down) > MOST_DOTS:
        fitting = int(MOST_DOTS * 72 / max(scene.width, scene.height))
        refuse(f"draw: a png of {across} × {down} dots", f"no side can have more than {MOST_DOTS}",
               (f"dpi={fitting}, or " if fitting else "") + "draw to .svg or .pdf, which have no dots")  # fmt: skip


def check_letters(engine: Engine, options: Options) -> None:
    """Fail where the machine has no fonts: every letter would be the same empty box, of one size whatever was asked.

    Raises
    ------
    EngineError
        Where that is so, or where Graphviz gives no answer.
    """
    sizes = "".join(f'{size} [label="WWWW" fontsize={size}] ' for size in (10, 40))
    sample = f'digraph {{ node [shape=box margin=0 width=0 height=0 fontname="{FONT}"] {sizes} }}'
    rows = [row.split() for row in run(engine, sample, "dot", "plain", options).decode("utf-8", "replace").splitlines()]
    widths = [row[4] for row in rows if row[:1] == ["node"] and len(row) > 4]
    if len(widths) == 2 and widths[0] == widths[1]:
        raise EngineError(f"{engine.kind} finds no fonts", "install fonts, such as those of DejaVu (see `fc-list`)")


def able(options: Options) -> bool:
    """Whether there is anything that can draw a png or pdf with its letters."""
    for engine in engines(options):
        try:
            check_letters(engine, options)
        except EngineError:
            continue
        return True
    return False


def to_xdot(scene: Scene, colours: dict[str, str], dpi: int) -> str:
    """A scene as DOT: an empty graph of the scene's size with the scene as its background."""
    drawn = "".join(_draw([Rect(0, 0, scene.width, scene.height, 0, "@paper"), *scene.items], colours, scene.height))
    canvas = graphviz.Digraph("scene")
    canvas.attr("graph", dpi=str(dpi), pad="0", bgcolor=colours["paper"])
    canvas.body.append(f"\tgraph [_background={_quoted(drawn)}]\n")
    canvas.attr("node", style="invis", shape="point", width="0.001", height="0.001", label="")
    canvas.node("lower", pos="0,0")
    canvas.node("upper", pos=f"{scene.width:.2f},{scene.height:.2f}")
    return str(canvas.source)


def _quoted(text: str) -> str:
    """A DOT string in pieces: Graphviz reads at most 16,384 bytes between two quotation marks."""
    pieces = [text[i : i + 2000].replace('"', '\\"') for i in range(0, len(text), 2000)]
    return " + ".join(f'"{piece}"' for piece in pieces)


def _draw(items: list[Any], colours: dict[str, str], height: float) -> Iterator[str]:
    for item in items:
        if isinstance(item, Group):
            yield from _draw(item.items, colours, height)
        elif isinstance(item, Rect):
            yield from _rect(item, colours, height)
        elif isinstance(item, Polygon):
            yield _said("C", _look_up(item.fill, colours)) + _said("c", _look_up(item.fill, colours))
            yield _said("S", "setlinewidth(0.1)") + f"P {len(item.points)} {_places(item.points, height)} "
        elif isinstance(item, Curve):
            yield _pen(item.stroke, item.thick, item.dash, colours)
            yield f"B {len(item.points)} {_places(item.points, height)} "
        elif isinstance(item, Text):
            yield _text(item, colours, height)


def _said(op: str, text: str) -> str:
    """An instruction with a text, which is preceded by its length in bytes."""
    return f"{op} {len(text.encode('utf-8'))} -{text} "


def _look_up(colour: str, colours: dict[str, str]) -> str:
    return colours[colour[1:]] if colour.startswith("@") else colour


def _places(points: list[tuple[float, float]], height: float) -> str:
    return " ".join(f"{x:.2f} {height - y:.2f}" for x, y in points)


def _pen(colour: str, thick: float, dash: bool, colours: dict[str, str]) -> str:
    style = _said("S", "dashed") if dash else _said("S", "solid")
    return _said("c", _look_up(colour, colours)) + style + _said("S", f"setlinewidth({thick:.2f})")


def _rect(item: Rect, colours: dict[str, str], height: float) -> Iterator[str]:
    outline = _outline(item)
    shape = "b" if item.radius else "P"
    if item.fill is not None:
        fill = _look_up(item.fill, colours)
        yield _pen(fill, 0.1, False, colours) + _said("C", fill)
        yield f"{shape} {len(outline)} {_places(outline, height)} "
    if item.stroke is not None:
        yield _pen(item.stroke, item.thick, item.dash, colours)
        yield f"{'B' if item.radius else 'p'} {len(outline)} {_places(outline, height)} "


def _outline(item: Rect) -> list[tuple[float, float]]:
    """The corners of a rectangle, or the closed curve around one with round corners."""
    x0, y0, x1, y1 = item.x, item.y, item.x + item.width, item.y + item.height
    if not item.radius:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    r = min(item.radius, item.width / 2, item.height / 2)
    h = r * (1 - ROUND)
    points = [(x0 + r, y0)]
    for (ax, ay), first, second, (bx, by) in (
        ((x1 - r, y0), (x1 - h, y0), (x1, y0 + h), (x1, y0 + r)),
        ((x1, y1 - r), (x1, y1 - h), (x1 - h, y1), (x1 - r, y1)),
        ((x0 + r, y1), (x0 + h, y1), (x0, y1 - h), (x0, y1 - r)),
        ((x0, y0 + r), (x0, y0 + h), (x0 + h, y0), (x0 + r, y0)),
    ):
        last = points[-1]
        points += [last, (ax, ay), (ax, ay), first, second, (bx, by)]
    return points


def _text(item: Text, colours: dict[str, str], height: float) -> str:
    style = " Bold" * item.bold + " Italic" * item.italic
    anchor = {"start": -1, "middle": 0, "end": 1}[item.anchor]
    words = item.text.replace("\\", "∖")  # DOT cannot quote a backslash before a quotation mark
    size = len(words.encode("utf-8"))
    return (_said(f"F {item.size:.1f}", FONT + style) + _said("c", _look_up(item.fill, colours))
            + f"T {item.x:.2f} {height - item.y:.2f} {anchor} 1 {size} -{words} ")  # fmt: skip
