"""A scene as SVG.

Presentation attributes only, so that the picture survives where style sheets are stripped (notebooks, code hosts).
Ids start with a hash of the content: several pictures can stand in one page. With ``theme="auto"`` a style sheet is
added that changes the colours where the reader prefers a dark page; without it the picture is the light one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from .scene import Curve, Group, Polygon, Rect, Scene, Text
from .theme import Theme, as_theme

FONTS = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


def to_svg(scene: Scene, given: str | Theme = "light") -> str:
    """A scene as the text of an SVG file."""
    theme = as_theme(given)
    colours, auto = theme.plain, theme.ground == "auto"
    body = "\n".join(_lines(scene.items, colours, auto))
    mark = "g" + hashlib.sha256(f"{scene.title}{theme.ground}{body}".encode()).hexdigest()[:8]
    width, height = _short(scene.width), _short(scene.height)
    ground = f'<rect width="{width}" height="{height}"{_paint("fill", "@paper", colours)}'
    ground += f"{_classes(auto, '@paper', None)}/>"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-labelledby="{mark}-title {mark}-desc" font-family="{FONTS}">'
    )
    about = (f'<title id="{mark}-title">{escape(scene.title)}</title>\n'
             f'<desc id="{mark}-desc">{escape(scene.description)}</desc>')  # fmt: skip
    parts = [head, about, *([_style(theme)] if auto else []), ground, body, "</svg>"]
    return "\n".join(parts).replace("\x00", mark) + "\n"  # NUL stands for the mark until it is known; names hold none


def _style(theme: Theme) -> str:
    rules = "".join(
        f".\x00{kind}-{role}{{{attribute}:{colour}}}"
        for role, colour in theme.colours(dark=True).items()
        for kind, attribute in (("f", "fill"), ("s", "stroke"))
    )
    return f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"


def _paint(attribute: str, colour: str | None, colours: dict[str, str]) -> str:
    if colour is None:
        return f' {attribute}="none"' if attribute == "fill" else ""
    if not colour.startswith("@"):
        return f' {attribute}="{colour}"'
    return f' {attribute}="{colours[colour[1:]]}"'


def _classes(auto: bool, fill: str | None, stroke: str | None) -> str:
    """The roles of an item, for the style sheet of a picture that follows the reader's setting."""
    found = [f"\x00{kind}-{colour[1:]}" for kind, colour in (("f", fill), ("s", stroke)) if colour and colour[0] == "@"]
    return f' class="{" ".join(found)}"' if auto and found else ""


def _lines(items: list[Any], colours: dict[str, str], auto: bool) -> Iterator[str]:
    for item in items:
        if isinstance(item, Group):
            mark = f' id="\x00-{item.id}"' if item.id else ""
            more = f"<title>{escape(item.more)}</title>" if item.more else ""
            yield f"<g{mark} data-kind={quoteattr(item.kind)}>{more}"
            yield from _lines(item.items, colours, auto)
            yield "</g>"
        elif isinstance(item, Rect):
            yield _rect(item, colours, auto)
        elif isinstance(item, Text):
            yield _text(item, colours, auto)
        elif isinstance(item, Curve):
            dash = ' stroke-dasharray="4 3"' if item.dash else ""
            yield (f'<path d="{_path(item.points)}" fill="none"{_paint("stroke", item.stroke, colours)} '
                   f'stroke-width="{_short(item.thick)}"{dash}{_classes(auto, None, item.stroke)}/>')  # fmt: skip
        elif isinstance(item, Polygon):
            points = " ".join(f"{_short(x)},{_short(y)}" for x, y in item.points)
            yield (f'<polygon points="{points}"{_paint("fill", item.fill, colours)}'
                   f'{_classes(auto, item.fill, None)}/>')  # fmt: skip


def _rect(item: Rect, colours: dict[str, str], auto: bool) -> str:
    place = (f'x="{_short(item.x)}" y="{_short(item.y)}" width="{_short(item.width)}" height="{_short(item.height)}"')
    radius = f' rx="{_short(item.radius)}"' if item.radius else ""
    stroke = _paint("stroke", item.stroke, colours)
    if item.stroke:
        stroke += f' stroke-width="{_short(item.thick)}"' + (' stroke-dasharray="4 3"' if item.dash else "")
    fill = _paint("fill", item.fill, colours)
    return f"<rect {place}{radius}{fill}{stroke}{_classes(auto, item.fill, item.stroke)}/>"


def _text(item: Text, colours: dict[str, str], auto: bool) -> str:
    look = f' font-size="{_short(item.size)}"' + (' font-weight="bold"' if item.bold else "")
    look += ' font-style="italic"' if item.italic else ""
    look += f' text-anchor="{item.anchor}"' if item.anchor != "start" else ""
    space = ' xml:space="preserve"' if "  " in item.text else ""
    return (f'<text x="{_short(item.x)}" y="{_short(item.y)}"{look}{_paint("fill", item.fill, colours)}'
            f'{_classes(auto, item.fill, None)}{space}>{escape(item.text)}</text>')  # fmt: skip


def _path(points: list[tuple[float, float]]) -> str:
    """The points of cubic curves as SVG has them: start, then two handles and an end for each curve."""
    pairs = [f"{_short(x)},{_short(y)}" for x, y in points]
    return f"M{pairs[0]}" + "".join(
        f" C{' '.join(pairs[i : i + 3])}" for i in range(1, len(pairs) - 2, 3)
    )


def _short(x: float) -> str:
    """A coordinate to a tenth of a point."""
    return f"{x + 0.0:.1f}".removesuffix(".0")
