"""Law 12: a graph is the program. Run again on other arguments it gives the function's bits; read from a file, too.

Compiled it gives them to rounding, and so do its derivatives of first and second order in both modes.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler import jit
from ..errors import DegenerateWarning
from ..graph import Graph, check
from ..sweep import evaluate
from ..transforms import jvp, trace, vjp
from .cases import BOTH, Case, Counts
from .probe import Arrays, draw_like, fail


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


def compiled(case: Case) -> Counts:
    """12. The program of f, of its vjp and jvp, and of the vjp of its vjp: equal to f's own, at other arguments too."""
    rng, xs, counts = case.rng("compiled"), case.xs, Counts()
    elsewhere = case.elsewhere(rng)
    ws, vs = case.seeds(rng), tuple(draw_like(rng, x) for x in xs)

    def pulled(*xs: Any) -> Any:
        return vjp(case.f, *xs)[1](ws)

    def pushed(*xs: Any) -> Any:
        return jvp(case.f, xs, vs)

    def twice(*xs: Any) -> Any:
        return vjp(pulled, *xs)[1](vs)

    ways = (("values", case.f, 0, BOTH), ("vjp", pulled, 1, ("reverse",)), ("jvp", pushed, 1, ("forward",)),
            ("vjp of the vjp", twice, 2, ("reverse",)))  # fmt: skip
    for what, f, order, modes in ways:
        program = jit(f)
        for arguments in (xs, elsewhere):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", (RuntimeWarning, DegenerateWarning))
                wanted, found = f(*arguments), program(*arguments)
            for want, got in zip(_leaves(wanted), _leaves(found), strict=True):
                _check_close(f"{case.label}, compiled {what}", got, want)
        counts.update((k, order, mode) for k in case.active for mode in modes)
    return counts


def _leaves(y: Any) -> list[Any]:
    return [leaf for part in y for leaf in _leaves(part)] if isinstance(y, (tuple, list)) else [y]


def _check_close(what: str, got: Any, want: Any) -> None:
    """The same shape, dtype, infs and nans; the same numbers to the rounding of a sum in another order."""
    if np.shape(got) != np.shape(want) or np.asarray(got).dtype != np.asarray(want).dtype:
        fail(what, "compiled", got, want, 0.0, "another shape or dtype")
    finite = np.isfinite(want)
    if not np.array_equal(got[~finite], want[~finite], equal_nan=True):
        fail(what, "compiled", got, want, 0.0, "inf or nan at other places")
    inside = np.abs(np.where(finite, want, 0))
    allowed = 1e-11 * float(np.max(inside, initial=0)) + 1e-290
    if not np.all(np.abs(np.subtract(got, want, where=finite, out=np.zeros(np.shape(want), want.dtype))) <= allowed):
        fail(what, "compiled", got, want, allowed, "the program computes something else than the function")


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
