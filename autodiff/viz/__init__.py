"""Pictures of a graph and of the gradient's way through it.

One document of plain data (:mod:`~autodiff.viz.picture`) feeds every format. What is drawn of it is selected
(:mod:`~autodiff.viz.view`), written into boxes (:mod:`~autodiff.viz.face`), laid out by Graphviz in a child process
(:mod:`~autodiff.viz.engine`) or by the built-in layout (:mod:`~autodiff.viz.layout`), composed with title and legend
(:mod:`~autodiff.viz.scene`) and written as svg, or as png or pdf, which show the very same scene. An
interactive page (:mod:`~autodiff.viz.page`) is laid out by the same engines and holds everything else that is known of
a flow.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PictureError, nearest
from ..flows import GradientFlow
from ..graph import Graph
from . import plots
from .dot import to_dot
from .files import write_whole
from .options import FORMATS, Options, format_of, read_options, refuse
from .page import Explorer, to_page
from .picture import document, outline, prune, to_json, until
from .raster import render
from .scene import compose
from .svg import to_svg
from .text import to_text
from .theme import Theme
from .view import Pruner, select

__all__ = ["FORMATS", "Options", "Theme", "document", "draw", "explore", "picture", "plots"]

VAST = 200_000
"""Of so many nodes it is not worth while to count what each option would leave."""

SWEPT = 1_000_000
"""So many nodes may be swept, all sweeps together, to find out what an error message advises."""


def picture(source: Graph | GradientFlow, form: str = "svg", **options: Any) -> str | bytes:
    """A picture as text (svg, html, dot, json, txt) or bytes (png, pdf); see :func:`draw`.

    Parameters
    ----------
    source : GradientFlow or Graph
    form : {"svg", "png", "pdf", "html", "dot", "json", "txt"}
    **options
        See :class:`~autodiff.viz.options.Options`.

    Returns
    -------
    str or bytes

    Raises
    ------
    PictureError
        As :func:`draw`.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.viz.picture(ad.flow(lambda x: x * x)(3.0), "svg").startswith("<svg")
    True
    """
    if form not in FORMATS:
        known = ", ".join(map(repr, nearest(str(form), FORMATS) or FORMATS))
        refuse(f"draw: there is no form {str(form)[:80]!r}", f"the forms are {', '.join(FORMATS)}", f"perhaps {known}")
    return _picture(source, form, read_options(options))


@np.errstate(all="ignore")  # what is no number is told in the picture
def _picture(source: Graph | GradientFlow, form: str, options: Options, advise: bool = True) -> str | bytes:
    if options.prune is not None and not isinstance(source, GradientFlow):
        refuse(f"draw: prune={options.prune!r} of a graph", "edges are pruned by their δ, and a graph has none",
               "graph.backward().draw(…)")  # fmt: skip
    if options.arrows != "forward":
        _check_arrows(source, form, options)
    if options.until is not None:
        _check_until(source, form, options)
    if form == "html":
        return to_page(*_pruned_page(source, options))
    if form not in ("json", "txt") and options.prune is None:
        _check_size(source, options, advise)
    found = document(source, options.title, joins=form == "json" or options.collapse is not None)
    if options.prune is not None and isinstance(source, GradientFlow):
        found = prune(found, source, options.prune)
    if options.until is not None and isinstance(source, GradientFlow):
        found = until(found, source, options.until)
    if form == "json":
        return to_json(found)
    if form == "txt":
        return to_text(found)
    view = select(found, options, _pruner(found, source) if advise else None)
    if form == "dot":
        return to_dot(found, view, options)
    scene = compose(found, view, options)
    return to_svg(scene, options.theme) if form == "svg" else render(scene, form, options)


def _check_size(source: Graph | GradientFlow, options: Options, advise: bool) -> None:
    """Refuse what is too large before its numbers are gathered; the vast, before its boxes are even counted."""
    graph = source.graph if isinstance(source, GradientFlow) else source
    if len(graph) > options.max_nodes:
        if options.collapse is None and options.focus is None and (len(graph) > VAST or not advise):
            outermost = {path[:1] for path in graph.scopes} - {()}
            refuse(f"draw: at least {len(graph):,} boxes are more than max_nodes={options.max_nodes}",
                   f"no one could read it; it has {len(outermost):,} outermost scopes",
                   ("collapse=1; " if outermost else "")
                   + f"focus={graph.outputs[0] if graph.outputs else 0}, hops=2; .json and .txt hold any number of "
                   "nodes, .html opens near the output")  # fmt: skip
        bare = outline(source)
        select(bare, options, _pruner(bare, source) if advise else None)


def _check_arrows(source: Graph | GradientFlow, form: str, options: Options) -> None:
    """Refuse arrows back where there is no δ, or on a page."""
    if not isinstance(source, GradientFlow):
        refuse(f"draw: arrows={options.arrows!r} of a graph", "arrows back carry δ, and a graph has none",
               "graph.backward().draw(…)")  # fmt: skip
    if form == "html":
        refuse(f"draw: arrows={options.arrows!r} of a page", "its arrows follow the computation, and its slider shows "
               "the way back", "leave it out, or draw into .svg")  # fmt: skip


def _check_until(source: Graph | GradientFlow, form: str, options: Options) -> None:
    """Refuse a sweep that has not ended where there is none, or on a page."""
    if not isinstance(source, GradientFlow):
        refuse(f"draw: until={options.until!r} of a graph", "a graph has no sweep that could stand anywhere",
               "graph.backward().draw(…)")  # fmt: skip
    if form == "html":
        refuse(f"draw: until={options.until!r} of a page", "its slider goes through the sweep step by step",
               "leave it out, or draw into .svg")  # fmt: skip


def _pruner(found: dict[str, Any], source: Graph | GradientFlow) -> Pruner | None:
    """What an error needs to say how many boxes pruning would leave; None where its sweeps would take too long."""
    if not isinstance(source, GradientFlow) or len(found["nodes"]) * len(found["edges"]).bit_length() > SWEPT:
        return None
    return lambda keep: prune(found, source, keep)


def _pruned_page(source: Graph | GradientFlow, options: Options) -> tuple[Graph | GradientFlow, Options]:
    """For a page the flow along the kept edges alone, under a title that says so."""
    if options.prune is None or not isinstance(source, GradientFlow):
        return source, options
    pruned = source.prune(options.prune)
    about = options.title if options.title is not None else source.graph.title
    title = f"{about + ', ' if about else ''}along these alone: {pruned.told.rstrip('.')}"
    return pruned["flow"], dataclasses.replace(options, prune=None, title=title)


def draw(source: Graph | GradientFlow, path: Any, **options: Any) -> Path:
    """Write a picture of a graph, with δ where a flow is given.

    Parameters
    ----------
    source : GradientFlow or Graph
    path : path
        Its suffix names the format: svg, png, pdf, html, dot, json, txt. html is an interactive page in one file; json
        and txt hold every node, whatever is collapsed.
    **options
        See :class:`~autodiff.viz.options.Options`.

    Returns
    -------
    pathlib.Path
        The file, which is written whole or not at all.

    Raises
    ------
    PictureError
        Unknown suffix or option, more boxes than any reader could follow (a page opens collapsed instead), nothing to
        render with, or a path that cannot be written.

    Examples
    --------
    >>> import tempfile, os
    >>> import autodiff as ad
    >>> flow = ad.flow(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0)
    >>> path = os.path.join(tempfile.mkdtemp(), "flow.dot")
    >>> ad.viz.draw(flow, path).name
    'flow.dot'
    """
    form = format_of(path)
    checked = read_options(options)
    target = Path(path)
    if not target.parent.is_dir():
        refuse(f"draw: there is no folder {str(target.parent)!r}", "a picture is written into a folder that exists",
               f"os.makedirs({str(target.parent)!r})")  # fmt: skip
    data = _picture(source, form, checked)
    write_whole(target, data.encode("utf-8") if isinstance(data, str) else data)
    return target


def explore(flow: Graph | GradientFlow, **options: Any) -> Explorer:
    """The interactive page, for a notebook; :func:`draw` with the suffix html writes it into a file.

    Parameters
    ----------
    flow : GradientFlow or Graph
    **options
        See :class:`~autodiff.viz.options.Options`.

    Returns
    -------
    Explorer
        Shows itself as the last line of a notebook's cell.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.flow(lambda a, b: (a + b) * (a * b) * 0.5)(2.0, 3.0).explore()
    <page of ... kB: the last line of a notebook's cell shows it>
    """
    checked = read_options(options)
    return Explorer(str(_picture(flow, "html", checked)), _svg(flow), str(flow))


def _svg(flow: Graph | GradientFlow) -> str | None:
    """For notebooks: None where the picture would be too large, and the table beside it must do."""
    try:
        return str(_picture(flow, "svg", Options(theme="light", timeout=10.0), advise=False))
    except PictureError:
        return None


Graph.draw_hook = staticmethod(draw)
GradientFlow.draw_hook = staticmethod(draw)
GradientFlow.svg_hook = staticmethod(_svg)
GradientFlow.explore_hook = staticmethod(explore)
