"""Law 16, of batches: an operation on all examples at once computes what it computes on one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..batching import vmap
from ..errors import DegenerateWarning
from ..transforms import jvp, vjp
from .cases import Case, Counts
from .probe import Arrays, draw_like, fail

EXAMPLES = 3


def batched(case: Case) -> Counts:
    """16. vmap(f) is the stack of f on each example, for each argument alone and all together; so are its derivatives.

    The vjp and the jvp are mapped with the argument, and with seeds of their own for each example.
    """
    rng, counts, xs = case.rng("batched"), Counts(), case.xs
    batches = tuple(np.stack([x, *(case.elsewhere(rng)[i] for _ in range(EXAMPLES - 1))]) for i, x in enumerate(xs))
    ws, vs = case.seeds(rng), tuple(draw_like(rng, x) for x in xs)
    seeds = tuple(np.stack([draw_like(rng, w) for _ in range(EXAMPLES)]) for w in ws)
    n, m = len(xs), len(ws)

    def pulled(*given: Any) -> Any:
        return vjp(case.f, *given[:n])[1](given[n:])

    def pushed(*given: Any) -> Any:
        return jvp(case.f, given, vs)

    def twice(*given: Any) -> Any:
        return vjp(lambda *xs: pulled(*xs, *given[n:]), *given[:n])[1](vs)

    patterns = {tuple(i == j for j in range(n)) for i in range(n)} | {(True,) * n}
    for pattern in sorted(patterns):
        axes = tuple(0 if on else None for on in pattern)
        given = tuple(b if on else x for b, x, on in zip(batches, xs, pattern, strict=True))
        _check(f"{case.label}, values", case.f, given, axes)
        _check(f"{case.label}, jvp", pushed, given, axes)
        _check(f"{case.label}, vjp of the vjp", twice, (*given, *ws), (*axes, *(None,) * m))
        _check(f"{case.label}, vjp", pulled, (*given, *seeds), (*axes, *(0,) * m))
        counts.update((k, order, mode) for k, on in zip(case.active, pattern, strict=True) if on
                      for order, mode in ((0, "reverse"), (1, "reverse"), (1, "forward"), (2, "reverse")))  # fmt: skip
    _check(f"{case.label}, vjp of seeds alone", pulled, (*xs, *seeds), (*(None,) * n, *(0,) * m))
    return counts


def _check(what: str, f: Callable[..., Any], given: Arrays, axes: tuple[int | None, ...]) -> None:
    """A function on a batch against the stack of its results."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", (RuntimeWarning, DegenerateWarning))
        rows = [
            f(*(x if axis is None else x[i] for x, axis in zip(given, axes, strict=True))) for i in range(EXAMPLES)
        ]
        found = vmap(f, axes)(*given)
    wanted = [np.stack(column) for column in zip(*map(_leaves, rows), strict=True)]
    for got, want in zip(_leaves(found), wanted, strict=True):
        if np.shape(got) != want.shape or got.dtype != want.dtype:
            fail(f"{what}, mapped over {axes}", "batched", got, want, 0.0, "another shape or dtype than the stack")
        finite = np.isfinite(want)
        size = float(np.max(np.abs(np.where(finite, want, 0)), initial=0))
        allowed = 1e-10 * size + 1e-290
        apart = np.abs(np.subtract(got, want, where=finite, out=np.zeros(want.shape, want.dtype)))
        if not np.array_equal(got[~finite], want[~finite], equal_nan=True) or not np.all(apart <= allowed):
            fail(f"{what}, mapped over {axes}", "batched", got, want, allowed, "not what the examples give one by one")


def _leaves(y: Any) -> list[Any]:
    return [leaf for part in y for leaf in _leaves(part)] if isinstance(y, (tuple, list)) else [y]
