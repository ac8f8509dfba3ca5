"""The interactive page: one file of HTML that holds its data, its script and its styles, and asks nothing of a network.

Its content security policy allows exactly this script and these styles, by their hashes, and nothing else. Names are
data: they stand in JSON and are written into the page as text.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ..flows import GradientFlow
from ..graph import Graph
from .compact import compact, to_page_json
from .options import Options
from .squeeze import squeeze_script, squeeze_style
from .theme import CIVIDIS, LIGHT, Theme, as_theme, between

SCRIPTS = ("model.js", "layout.js", "drawing.js", "panels.js", "main.js")
HEIGHT = 860
"""Of the frame in a notebook, in points of the page."""


def to_page(source: Graph | GradientFlow, options: Options) -> str:
    """The text of an .html file."""
    return assemble(compact(source, options), options.theme)


def assemble(whole: Mapping[str, Any], given: str | Theme = "auto") -> str:
    """A page round its data."""
    theme = as_theme(given)
    script, style = page_script(), page_style(theme)
    policy = (f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
              "base-uri 'none'; form-action 'none'")  # fmt: skip
    parts = {
        "POLICY": policy, "TITLE": html.escape(str(whole["title"])), "THEME": theme.ground, "STYLE": style,
        "DATA": to_page_json(dict(whole)), "SCRIPT": script,
    }  # fmt: skip
    pieces = page_skeleton().split("@@")  # text, key, text, key, …, text: what is put in is not looked at again
    return "".join(parts[piece] if n % 2 else piece for n, piece in enumerate(pieces))


def page_skeleton() -> str:
    """The page without what is put into it, and without indentation."""
    return re.sub(r"\n\s*(?=<)", "\n", _file("page.html"))


def page_script() -> str:
    """The script of the page, squeezed."""
    return squeeze_script(script_source())


def script_source() -> str:
    """The script as it is written: its files one after another in one function."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_file, SCRIPTS)) + "})();\n"


def page_style(theme: Theme | None = None) -> str:
    """The style sheet, with the colours of the static picture for a light and a dark page."""
    theme = theme if theme is not None else Theme()
    light, dark = theme.colours(dark=False), theme.colours(dark=True)
    colours = {role: f"light-dark({light[role]},{dark[role]})" for role in LIGHT}
    colours |= {f"cividis{n}": between(theme.delta, n / (len(CIVIDIS) - 1)) for n in range(len(CIVIDIS))}
    variables = "".join(f"--{name}:{colour};" for name, colour in colours.items())
    return squeeze_style(f":root{{{variables}}}{_file('page.css')}")


def _file(name: str) -> str:
    return (resources.files(__package__) / "browser" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@dataclasses.dataclass(frozen=True)
class Explorer:
    """A page as a notebook shows it: in a frame that may run its script and nothing else.

    Where a notebook is not trusted and shows no frame, the static picture stands in for it.

    Attributes
    ----------
    page : str
        The text of the page.
    svg : str or None
        The static picture; None where it would be too large to read.
    text : str
        The table.
    """

    page: str
    svg: str | None
    text: str

    def _repr_html_(self) -> str:
        frame = 'sandbox="allow-scripts" width="100%" loading="lazy" title="Gradient flow"'
        return f'<iframe {frame} height="{HEIGHT}" srcdoc="{html.escape(self.page)}"></iframe>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The frame, the picture and the table."""
        found = {"text/html": self._repr_html_(), "text/plain": self.text}
        if self.svg is not None:
            found["image/svg+xml"] = self.svg
        return found

    def __repr__(self) -> str:
        return f"<page of {len(self.page.encode('utf-8')) / 1000:.0f} kB: the last line of a notebook's cell shows it>"
