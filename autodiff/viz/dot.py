r"""A view as DOT for people: to be read, changed, and drawn with any version of Graphviz.

Every text that a user could have written is escaped and marked as plain, so that neither ``\N`` nor ``<b>`` means
anything.
"""

from __future__ import annotations

from typing import Any

import graphviz

from .arrows import with_values
from .face import Face, Line, face, line, ordinary
from .lettering import clean, number
from .options import Options
from .scene import THINNEST, WIDEST
from .theme import Scale, as_theme, on
from .view import View, size


def _plain(text: str) -> str:
    """A text that is never taken for an HTML-like label, whatever it looks like. The class of the result says so."""
    marked: str = graphviz.nohtml(text)
    return marked


def _lines(rows: list[str]) -> str:
    """Lines of text, each on the left."""
    return _plain("".join(graphviz.escape(row) + "\\l" for row in rows))


def _text(text: str) -> str:
    return _plain(graphviz.escape(text))


def to_dot(found: dict[str, Any], view: View, options: Options) -> str:
    """The text of a .dot file."""
    if options.arrows == "both":
        view = with_values(view)
    theme = as_theme(options.theme)
    colours = theme.plain
    lines = {arrow.id: line(arrow) for arrow in view.arrows}
    deltas = {box.id: size(box) for box in view.boxes}
    sizes = [numbers["rms"] for numbers in deltas.values() if numbers is not None and ordinary(numbers)]
    scale = Scale(sizes + [shown.size for shown in lines.values() if shown.size], theme.delta)
    root = graphviz.Digraph("flow" if found["flow"] else "graph")
    root.attr("graph", rankdir=options.direction, label=_caption(found, view, scale, options.arrows), labelloc="t",
              labeljust="l", bgcolor=colours["paper"], fontcolor=colours["ink"], fontname="Helvetica",
              fontsize="11")  # fmt: skip
    root.attr("node", shape="box", style="filled", fillcolor=colours["surface"], color=colours["ink"],
              fontcolor=colours["ink"], fontname="Helvetica", fontsize="10")  # fmt: skip
    root.attr("edge", color=colours["line"], fontcolor=colours["ink"], fontname="Helvetica", fontsize="8",
              arrowsize="0.7")  # fmt: skip
    graphs: dict[tuple[str, ...], Any] = {(): root}
    for path in _scopes(view):
        graphs[path] = graphviz.Digraph(f"cluster_{len(graphs)}")
        graphs[path].attr(label=_text(clean(path[-1])), color=colours["rim"], fontcolor=colours["muted"])
    for box in view.boxes:
        graphs[box.scope].node(box.id, **_node(face(box, scale), deltas[box.id], scale))
    for path in sorted(graphs, key=len, reverse=True):
        if path:
            graphs[path[:-1]].subgraph(graphs[path])
    for arrow in view.arrows:
        root.edge(arrow.tail, arrow.head, id=arrow.id, **_edge(lines[arrow.id], scale, options.arrows))
    return str(root.source)


def _scopes(view: View) -> list[tuple[str, ...]]:
    found = {box.scope[:depth] for box in view.boxes for depth in range(1, len(box.scope) + 1)}
    return sorted(found, key=lambda path: (len(path), path))


def _caption(found: dict[str, Any], view: View, scale: Scale, arrows: str) -> str:
    said = [clean(found["title"], 100), *view.notes]
    if found["flow"]:
        said.append(f"colour: RMS of δ, dark {number(10**scale.low)} to light {number(10**scale.high)}; "
                    "width of an arrow: share of Σ‖δᵢ‖ where δ divides; number: δ that came back along it")  # fmt: skip
        if arrows != "forward":
            forward = "; those along which it goes forward are thin, their number is the value" * (arrows == "both")
            said.append(f"arrows with a δ point the way δ goes{forward}")
    return _lines(said)


def _node(shown: Face, numbers: dict[str, Any] | None, scale: Scale) -> dict[str, str]:
    rows = [f"{shown.title}   {shown.kind}".rstrip(), *(f"{row.tag}  {row.text}".strip() for row in shown.rows)]
    look = {"label": _lines(rows),
            "tooltip": _text(shown.more)}  # fmt: skip
    if ordinary(numbers) and numbers is not None:
        look["fillcolor"] = scale.colour(numbers["rms"])
        look["fontcolor"] = on(look["fillcolor"])
    look["style"] = ",".join(["filled", *(["rounded"] * shown.rounded), *(["dashed"] * shown.dashed)])
    if shown.heavy:
        look["penwidth"] = "2"
    return look


def _edge(shown: Line, scale: Scale, arrows: str) -> dict[str, str]:
    look = {"tooltip": _text(shown.more)}
    if arrows != "forward" and shown.state != "value":
        look["dir"] = "none" if shown.state == "none" else "back"
    if shown.text:
        look["label"] = _text(shown.text)
    if shown.state in ("none", "zero"):
        look["style"] = "dashed"
    if shown.size:
        look["color"] = scale.colour(shown.size)
    look["penwidth"] = f"{max(THINNEST, WIDEST * (shown.share if shown.share is not None else 0.0)):.2f}"
    return look
