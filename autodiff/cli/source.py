"""The flow that a command is about: of a function that is called, or of a file that was saved."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..archive import beside, text_of
from ..errors import AutodiffError, CommandError, message, nearest
from ..flows import GradientFlow
from ..graph import Graph
from ..transforms import trace
from .target import Target, arguments, load, read

PICKLES = (".pkl", ".pickle", ".p", ".joblib", ".dill", ".pt", ".pth", ".npy")
"""Suffixes of files whose reading may run what stands in them."""
DATA = (".json", ".npz")


class Source(NamedTuple):
    """A flow and what it is called."""

    name: str
    flow: GradientFlow


def options(p: argparse.ArgumentParser) -> None:
    """What every command takes that sweeps a function."""
    p.add_argument("--seed", nargs="+", metavar="ARG", help="the δ of each output, as for --args [ones]")


def find(spec: str, given: argparse.Namespace) -> Source:
    """The flow of FILE.py:FUNCTION, MODULE:FUNCTION or a saved file.

    Raises
    ------
    CommandError
        Where there is no such thing, or nothing in it has a derivative.
    LoadError
        Where a file is not a flow or a graph.
    """
    suffix = Path(spec).suffix.lower()
    if suffix in PICKLES or _is_pickle(Path(spec)):
        raise CommandError(
            message(
                f"{spec} is a file that can hold a pickle, and is not read",
                "reading a pickle runs whatever code stands in it; commands read plain data alone",
                "write the flow with flow.save('run.json'), or with --save run.json",
            )
        )
    if suffix in DATA:
        return Source(Path(spec).stem, _saved(Path(spec), given))
    target = load(spec)
    return Source(target.name.rpartition(".")[2], swept(target, given))


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as pickles of protocol 2 and above do."""
    try:
        if not path.is_file():  # a pipe would keep us waiting
            return False
        with path.open("rb") as file:
            head = file.read(2)
    except OSError:
        return False
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _saved(given_path: Path, given: argparse.Namespace) -> GradientFlow:
    """The flow of a saved file: its own, or of a saved graph the one that the seeds of the command line give."""
    path = given_path.with_suffix(".json")
    for part in (given_path, path, beside(path)):
        if not part.is_file():
            near = nearest(part.name, [p.name for p in part.parent.glob(f"*{part.suffix}") if p.is_file()])
            raise CommandError(
                message(
                    f"there is no file {part}" if not part.is_dir() else f"{part} is a folder",
                    f"a saved flow is two files: {path.name} for its structure, {beside(path).name} for its arrays",
                    f"perhaps {' or '.join(near)}" if near else "write both with flow.save('run.json')",
                )
            )
    if given.out is not None and given.out.resolve() in (path.resolve(), beside(path).resolve()):
        raise CommandError(
            message(f"-o {given.out} would overwrite the flow that it is made from", "the flow is read from that file",
                    f"-o {path.stem}-2{given.out.suffix}")
        )  # fmt: skip
    if given.args is not None:
        raise CommandError(
            message(f"{given_path} was given with --args", "a saved file holds the values that it was computed from",
                    "leave --args out, or name a function: FILE.py:FUNCTION")
        )  # fmt: skip
    form = _form(path)
    if form == "picture":
        raise CommandError(
            message(f"{path} holds the data of a picture", "it has statistics of δ, not the arrays that they are of",
                    "write the flow with flow.save('run.json'), or with --save run.json")
        )  # fmt: skip
    if form == "flow" and given.seed is None:
        return GradientFlow.load(path)
    if form == "flow":
        raise CommandError(
            message(f"{path} was given with --seed", "a saved flow has started from seeds of its own", "leave it out")
        )
    graph = Graph.load(path)
    start = seeds(graph, given.seed, given.random_seed, path.name)
    try:
        found: GradientFlow = graph.backward(start)
    except AutodiffError:
        raise
    except Exception as error:  # settings that no operation takes: whatever a rule raises, the file is wrong
        raise CommandError(
            message(f"{path} cannot be swept: {error}", "its graph is not one that was traced", "save it anew")
        ) from None
    return found


def _form(path: Path) -> str:
    """What kind of document a file says that it is: a flow, a graph, a picture; "" where it is none."""
    try:
        document = json.loads(text_of(path))
    except (ValueError, OSError, RecursionError):
        return ""  # the reader of graphs says what is wrong with it
    if not isinstance(document, dict):
        return ""
    if document.get("format") == "autodiff picture":
        return "picture"
    return "flow" if "flow" in document else "graph"


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
        what = f"{name} returned nothing that could be drawn"
        raise CommandError(message(what, "it returns no number and no array", "let it return what it computed"))
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
