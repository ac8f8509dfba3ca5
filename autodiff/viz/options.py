"""What a picture can be asked for, checked before any work is done."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NoReturn

import numpy as np

from ..errors import PictureError, message, nearest
from .theme import as_theme

FORMATS = ("svg", "png", "pdf", "html", "dot", "json", "txt")
DIRECTIONS = ("TB", "LR")
ARROWS = ("forward", "reverse", "both")
ENGINES = ("auto", "pygraphviz", "dot", "builtin")


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of :func:`autodiff.viz.draw`.

    Attributes
    ----------
    title : str or None
        What stands above the picture; the name of the function by default.
    theme : {"light", "dark", "auto"}, Theme or mapping
        "auto" follows the reader's own setting in an SVG file and a page; png and pdf are light then. Colours of your
        own are a :class:`~autodiff.viz.theme.Theme`, or a mapping with its fields.
    direction : {"TB", "LR"}
        Which way the computation runs: top to bottom, or left to right.
    arrows : {"forward", "reverse", "both"}
        Which way arrows point, whose number is the δ that came back along them: with the computation, or the way δ
        goes; "both" draws two, a thin one forward with the value and one back with δ. Those of a page point forward.
    collapse : int, str or sequence of str, optional
        Draw scopes as one box each: all scopes at this depth, or the scopes with these names. A page opens so.
    focus : Node, str, int, or a sequence of those, optional
        Draw only what lies within `hops` arrows of these nodes.
    hops : int
    prune : float, optional
        Draw only the edges that carry this part of the gradient of the inputs, as few as were found; 0.98 is a good
        one. See :meth:`autodiff.GradientFlow.prune`. json and txt hold every edge and say which are kept; a page is
        that of the flow along the kept ones alone, and all its numbers are of that flow.
    until : node, name or number, optional
        Draw the reverse sweep as it stands when the δ of this node has just been gathered: what the sweep serves later
        has no δ yet. The colours are those of the whole sweep, so that a series of such pictures compares.
    split : int
        A leaf that gets δ from at least this many operations is drawn once a use, as ``W ⟲3``; 0 never does.
    max_nodes : int
        More boxes than this are refused, because no one could read them; a page opens with scopes collapsed, or with
        what is near the output.
    engine : {"auto", "pygraphviz", "dot", "builtin"}
        What lays the picture out. "auto" takes the first that is there and works.
    timeout : float
        Seconds that Graphviz may take. Hundreds of arrows that cross take it minutes: the built-in layout stands in.
    memory : float
        GiB that Graphviz may take.
    dpi : int
        Dots an inch of a png.
    """

    title: str | None = None
    theme: Any = "auto"
    direction: str = "TB"
    arrows: str = "forward"
    collapse: Any = None
    focus: Any = None
    hops: int = 2
    prune: float | None = None
    until: Any = None
    split: int = 3
    max_nodes: int = 2000
    engine: str = "auto"
    timeout: float = 4.0
    memory: float = 4.0
    dpi: int = 144


_KNOWN = tuple(field.name for field in dataclasses.fields(Options))
_CHOICES = {"direction": DIRECTIONS, "arrows": ARROWS, "engine": ENGINES}
_COUNTS = {"hops": 0, "split": 0, "max_nodes": 1, "dpi": 1}
_AMOUNTS = {"timeout": 0.0, "memory": 0.0}


def refuse(what: str, why: str, instead: str) -> NoReturn:
    """Raise a PictureError with these three parts."""
    raise PictureError(message(what, why, instead))


def read_options(given: Mapping[str, Any]) -> Options:
    """Check options by name and value.

    Raises
    ------
    PictureError
        Naming the nearest option, or the values that it takes.
    """
    for key in given:
        if key not in _KNOWN:
            perhaps = " or ".join(nearest(key, _KNOWN))
            why = f"its options are {', '.join(_KNOWN)}"
            refuse(f"draw has no option {key!r}", why, f"perhaps {perhaps}" if perhaps else "one of these")
    options = Options(**given)
    as_theme(options.theme)  # its own errors say what is wrong with it
    for key, choices in _CHOICES.items():
        value = getattr(options, key)
        if not isinstance(value, str) or value not in choices:
            near = nearest(str(value), choices) or list(choices)
            refuse(f"draw: {key}={value!r}", f"{key} is one of {', '.join(choices)}", f"{key}={near[0]!r}")
    for key, lowest in (_COUNTS | _AMOUNTS).items():
        value = getattr(options, key)
        kinds = (int, np.integer) if key in _COUNTS else (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, kinds) or not value >= lowest:
            what = "a whole number" if key in _COUNTS else "a number"
            refuse(f"draw: {key}={value!r}", f"{key} is {what}, {lowest} or more", f"{key}={getattr(Options, key)!r}")
    if options.title is not None and not isinstance(options.title, str):
        refuse(f"draw: title={options.title!r}", "a title is a text", f"title={str(options.title)!r}")
    part = options.prune
    if part is not None and (isinstance(part, bool) or not isinstance(part, (int, float)) or not 0 < part <= 1):
        refuse(f"draw: prune={part!r}", "it is the part of the gradient that the drawn edges carry, 0 < prune <= 1",
               "prune=0.98")  # fmt: skip
    return options


def format_of(path: Any) -> str:
    """The format that a file's suffix asks for."""
    if not isinstance(path, (str, os.PathLike)):
        refuse(f"draw: the path is a {type(path).__name__}", "a picture is written into a file", "draw('flow.svg')")
    if os.path.isdir(path):
        refuse(f"draw: {os.fspath(path)!r} is a folder", "a picture is a file in it, and its suffix names the format",
               repr(os.path.join(os.fspath(path), "flow.svg")))  # fmt: skip
    suffix = PurePath(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        known = [f".{name}" for name in FORMATS]
        near = nearest(f".{suffix}", known) or known
        refuse(f"draw: {str(path)!r} has the suffix {suffix!r}", f"the suffix names the format: {', '.join(known)}",
               f"perhaps {PurePath(path).stem}{near[0]}")  # fmt: skip
    return suffix
