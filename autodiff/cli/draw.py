"""``draw``: the graph of a function in a user's file, with its δ, as a picture."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..archive import text_of
from ..errors import CommandError, message
from ..viz.options import ARROWS, DIRECTIONS, ENGINES, Options
from ..viz.theme import GROUNDS
from .source import find

_PICTURE = ("title", "collapse", "focus", "hops", "direction", "theme", "engine", "dpi", "max_nodes", "prune", "arrows")


def options(p: argparse.ArgumentParser) -> None:
    """What the command takes besides the function and its arguments."""
    p.add_argument("-o", "--out", metavar="OUT", type=Path, help="file to write; its suffix says how [FUNCTION.svg]")
    p.add_argument("--title", help="what stands above the picture [the function's name]")
    p.add_argument("--collapse", nargs="+", metavar="SCOPE", help="one box for each of these; a number is a depth")
    p.add_argument("--focus", nargs="+", metavar="NODE", help="draw only what is near these nodes, by name or number")
    p.add_argument("--hops", type=int, metavar="N", help=f"how near: so many arrows [{Options.hops}]")
    about = "draw only the edges that carry this part of the gradient, such as 0.98"
    p.add_argument("--prune", type=float, metavar="PART", help=about)
    p.add_argument("--direction", choices=DIRECTIONS, help=f"top to bottom or left to right [{Options.direction}]")
    p.add_argument("--arrows", choices=ARROWS, help=f"with the computation, the way δ goes, or both [{Options.arrows}]")
    p.add_argument("--theme", metavar="THEME", help=f"{', '.join(GROUNDS)}, or a .json with colours [{Options.theme}]")
    p.add_argument("--engine", choices=ENGINES, help=f"what lays it out [{Options.engine}]")
    p.add_argument("--dpi", type=int, metavar="N", help=f"dots an inch of a png [{Options.dpi}]")
    p.add_argument("--max-nodes", type=int, metavar="N", help=f"refuse to draw more boxes [{Options.max_nodes}]")


def run(given: argparse.Namespace) -> None:
    """Trace, sweep, draw, and print where the picture is."""
    source = find(given.target, given)
    print(source.flow.draw(given.out or Path(f"{source.name}.svg"), **picture_options(given)))


def picture_options(given: argparse.Namespace) -> dict[str, Any]:
    """What was asked of the picture; numbers among names are depths and nodes."""
    wanted = {key: getattr(given, key) for key in _PICTURE if getattr(given, key, None) is not None}
    if str(wanted.get("theme", "")).lower().endswith(".json"):
        wanted["theme"] = _colours(Path(wanted["theme"]))
    for key in ("collapse", "focus"):
        if key in wanted:
            wanted[key] = [int(text) if text.isdecimal() else text for text in wanted[key]]
    if isinstance(wanted.get("collapse"), list) and len(wanted["collapse"]) == 1:
        wanted["collapse"] = wanted["collapse"][0]
    return wanted


def _colours(path: Path) -> dict[str, Any]:
    """The colours of a theme from a file."""
    try:
        found = json.loads(text_of(path))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(
            message(f"the theme {path} cannot be read", str(error), 'write {"paper": "#fffaf0"} into it')
        ) from None
    if not isinstance(found, dict):
        what = f"the theme {path} is a {type(found).__name__}"
        raise CommandError(message(what, "its colours have names", 'write {"paper": "#fffaf0"} into it'))
    return found
