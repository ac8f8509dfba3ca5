"""``draw``: the graph of a function in a user's file, with its δ, as a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CommandError, message
from ..flows import GradientFlow
from ..graph import Graph
from ..transforms import trace
from ..viz.options import DIRECTIONS, ENGINES, THEMES, Options
from .target import Target, arguments, load, read

_PICTURE = ("title", "collapse", "focus", "hops", "direction", "theme", "engine", "dpi", "max_nodes")


def options(p: argparse.ArgumentParser) -> None:
    """What the command takes besides the function and its arguments."""
    p.add_argument("-o", "--out", metavar="OUT", type=Path, help="file to write; its suffix says how [FUNCTION.svg]")
    p.add_argument("--title", help="what stands above the picture [the function's name]")
    p.add_argument("--collapse", nargs="+", metavar="SCOPE", help="one box for each of these; a number is a depth")
    p.add_argument("--focus", nargs="+", metavar="NODE", help="draw only what is near these nodes, by name or number")
    p.add_argument("--hops", type=int, metavar="N", help=f"how near: so many arrows [{Options.hops}]")
    p.add_argument("--direction", choices=DIRECTIONS, help=f"top to bottom or left to right [{Options.direction}]")
    p.add_argument("--theme", choices=THEMES, help=f"colours [{Options.theme}]")
    p.add_argument("--engine", choices=ENGINES, help=f"what lays it out [{Options.engine}]")
    p.add_argument("--dpi", type=int, metavar="N", help=f"dots an inch of a png [{Options.dpi}]")
    p.add_argument("--max-nodes", type=int, metavar="N", help=f"refuse to draw more boxes [{Options.max_nodes}]")
    p.add_argument("--seed", nargs="+", metavar="ARG", help="the δ of each output, as for --args [ones]")


def run(given: argparse.Namespace) -> None:
    """Trace, sweep, draw, and print where the picture is."""
    target = load(given.target)
    out = given.out or Path(f"{target.name.rpartition('.')[2]}.svg")
    swept(target, given).draw(out, **picture_options(given))
    print(out)


def swept(target: Target, given: argparse.Namespace) -> GradientFlow:
    """The flow through the graph of a function, with the arguments and seeds of the command line."""
    graph = trace(target.function)(*arguments(target, given.args, given.random_seed))
    if not graph.arguments:
        raise CommandError(
            message(
                f"no argument of {target.name} has a derivative",
                "integers, booleans and texts are constants of the graph",
                "give floats: --args 2.0 instead of --args 2",
            )
        )
    flow: GradientFlow = graph.backward(seeds(graph, given.seed, given.random_seed, target.name))
    return flow


def picture_options(given: argparse.Namespace) -> dict[str, Any]:
    """What was asked of the picture; numbers among names are depths and nodes."""
    wanted = {key: getattr(given, key) for key in _PICTURE if getattr(given, key, None) is not None}
    for key in ("collapse", "focus"):
        if key in wanted:
            wanted[key] = [int(text) if text.isdecimal() else text for text in wanted[key]]
    if isinstance(wanted.get("collapse"), list) and len(wanted["collapse"]) == 1:
        wanted["collapse"] = wanted["collapse"][0]
    return wanted


def seeds(graph: Graph, texts: list[str] | None, random_seed: int, name: str) -> Any:
    """The δ of each output: as given; else 1, with a note where the outputs are not one real number."""
    if texts is not None:
        if len(texts) != len(graph.outputs):
            raise CommandError(
                message(
                    f"{name} has {len(graph.outputs)} outputs, and --seed was given {len(texts)}",
                    "each output starts from a δ of its own",
                    "give one text for each output, in order; 0.0 is one that counts for nothing",
                )
            )
        rng = np.random.default_rng(random_seed)
        given = [read(text, rng) for text in texts]
        return given if len(given) > 1 else given[0]
    shapes, dtypes = [graph.shapes[v] for v in graph.outputs], [graph.dtypes[v] for v in graph.outputs]
    if not shapes:
        raise CommandError(f"{name} returned nothing that could be drawn: it returns no number and no array")
    ones = [np.ones(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    if len(ones) == 1 and shapes[0] == () and dtypes[0].kind == "f":
        return None
    what = ", ".join(f"{dtype}{list(shape)}" for shape, dtype in zip(shapes, dtypes, strict=True))
    print(
        f"note: {name} returned {what}; the δ drawn are those of the sum of its elements. --seed gives another δ to "
        "start from.",
        file=sys.stderr,
    )
    return ones if len(ones) > 1 else ones[0]
