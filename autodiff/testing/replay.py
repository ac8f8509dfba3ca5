"""Law 12: a graph is the program. Run again on other arguments it gives the function's bits; read from a file, too."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..graph import Graph, check
from ..sweep import evaluate
from ..transforms import trace
from .cases import BOTH, Case, Counts
from .probe import Arrays, fail


def replay(case: Case) -> Counts:
    """12. evaluate(trace(f, x), x′) = f(x′) bit for bit, and the same of the graph that was saved and read back."""
    graph = check(trace(case.f, argnums=None)(*case.xs))
    elsewhere = case.elsewhere(case.rng("replay"))
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "graph.json"
        graph.save(path)
        read = Graph.load(path)
    if read != graph:
        fail(case.label, "replay", str(read), str(graph), 0.0, "the graph read back is another program")
    for what, again in (("traced", graph), ("saved and read back", read)):
        for xs in (case.xs, elsewhere):
            _check_bits(f"{case.label}, {what}", again, xs, case)
    return Counts({(k, 0, mode): 4 for k in case.active for mode in BOTH})


def _check_bits(what: str, graph: Graph, xs: Arrays, case: Case) -> None:
    """The results of a graph at some arguments against those of the function itself."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        values = evaluate(graph, xs)
        wanted = case.f(*xs)
    found = [values[node] for node in graph.outputs]
    for got, want in zip(found, wanted, strict=True):
        if not _identical(got, want):
            fail(what, "replay", got, want, 0.0, "run again it computes something else than the function")


def _identical(a: Any, b: Any) -> bool:
    """Shape, dtype, and every bit that means something: any nan is nan, the two zeros differ."""
    if np.shape(a) != np.shape(b) or a.dtype != np.asarray(b).dtype:
        return False
    parts = ((np.real(x), np.imag(x)) if np.iscomplexobj(x) else (x,) for x in (a, b))
    return all(
        np.array_equal(p, q, equal_nan=True) and np.array_equal(np.signbit(p)[p == 0], np.signbit(q)[q == 0])
        for p, q in zip(*(tuple(map(np.asarray, part)) for part in parts), strict=True)
    )
