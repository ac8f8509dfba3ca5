"""Where in the user's code something was called: found cheaply, for each node."""

from __future__ import annotations

import linecache
import sys
from types import FrameType

from ..errors import is_inside, user_place

_INSIDE: dict[str, bool] = {"<string>": False}
"""For each source file whether it is this package's, NumPy's or SciPy's: asked for a few times in each call."""


def place() -> tuple[str, int] | None:
    """File and line of the user's own code that is now running: as :func:`autodiff.errors.user_place`, and cheaper."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        inside = _INSIDE.get(name)
        if inside is None:
            inside = _INSIDE[name] = is_inside(name)
        if not inside:
            return (name, frame.f_lineno) if name != "<string>" else user_place()
        frame = frame.f_back
    return None


def at_line(line: tuple[str, int] | None) -> str | None:
    """A place as ``file:line``, with the text of that line where the source is there."""
    if line is None:
        return None
    text = linecache.getline(*line).strip()
    return f"{line[0]}:{line[1]}" + (f"   {text}" if text else "")
