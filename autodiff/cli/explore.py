"""``explore``: the flow of a function in a user's file as an interactive page."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import CommandError, message
from ..viz.options import Options
from ..viz.theme import GROUNDS
from .draw import picture_options
from .source import find


def options(p: argparse.ArgumentParser) -> None:
    """What the command takes besides the function and its arguments."""
    p.add_argument("-o", "--out", metavar="OUT", type=Path, help="page to write [FUNCTION.html]")
    p.add_argument("--title", help="what stands above it [the function's name]")
    p.add_argument("--collapse", nargs="+", metavar="SCOPE", help="open with these as one box; a number is a depth")
    about = "draw only the edges that carry this part of the gradient, such as 0.98"
    p.add_argument("--prune", type=float, metavar="PART", help=about)
    p.add_argument("--theme", metavar="THEME", help=f"{', '.join(GROUNDS)}, or a .json with colours [{Options.theme}]")


def run(given: argparse.Namespace) -> None:
    """Trace, sweep, write the page, and print where it is."""
    if given.out is not None and given.out.suffix.lower() != ".html":
        raise CommandError(
            message(f"{given.out} does not end in .html", "this command writes a page", f"-o {given.out.stem}.html")
        )
    source = find(given.target, given)
    print(source.flow.draw(given.out or Path(f"{source.name}.html"), **picture_options(given)))
