"""Derivatives by evaluation alone: the oracles. They see a function of arrays and know nothing of rules.

The complex step f(x + ihv) / h has no subtraction in it, so it is exact to rounding, where f is analytic. Elsewhere
central differences at a falling row of steps are extrapolated to step zero, in long double where f can compute in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Function = Callable[..., tuple[Any, ...]]
"""Arrays in, a tuple of arrays out."""

STEPS = tuple(4e-3 * 4.0**-i for i in range(6))
"""From wide enough for long double to narrow enough to miss a kink that stands 1e-5 away."""

WIDER = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps
"""Whether long double is more than double on this platform."""


class Estimate(NamedTuple):
    """A derivative along a direction: an array a result, how far each may be off, what rtol the method earns."""

    values: tuple[Any, ...]
    errors: tuple[Any, ...]
    rtol: float
    method: str


def scale_of(*arrays: Any) -> float:
    """The largest absolute value, 0 where there is none."""
    return max((float(np.max(np.abs(a))) for a in arrays if np.size(a)), default=0.0)


def derivative(f: Function, xs: Sequence[Any], vs: Sequence[Any]) -> Estimate:
    """The derivative of f at xs along vs, by the sharpest method that two others confirm.

    The complex step counts only where two step lengths agree to rounding and central differences agree as well: that
    is what tells an analytic f from one that takes real parts or absolute values on its way.
    """
    with np.errstate(all="ignore"):
        estimate = _extrapolated(f, xs, vs)
        if any(np.iscomplexobj(x) for x in xs):
            return estimate
        first, again = (_complex_step(f, xs, vs, h) for h in (1e-30, 1e-25))
    if first is None or again is None:
        return estimate
    for one, two, slow, error in zip(first, again, estimate.values, estimate.errors, strict=True):
        scale = scale_of(one)
        if not np.all(np.isfinite(one)) or np.any(np.abs(one - two) > 1e-13 * scale):
            return estimate
        if np.any(np.abs(one - slow) > 1e-6 * scale + 10 * error + 1e-12):
            return estimate
    return Estimate(first, tuple(0.0 * abs(y) for y in first), 1e-12, "the complex step")


def _complex_step(f: Function, xs: Sequence[Any], vs: Sequence[Any], h: float) -> tuple[Any, ...] | None:
    try:
        ys = f(*(x + (1j * h) * v for x, v in zip(xs, vs, strict=True)))
    except Exception:  # whatever a function says that does not take complex numbers
        return None
    if not all(np.iscomplexobj(y) for y in ys):
        return None
    return tuple(np.imag(y) / h for y in ys)


def _extrapolated(f: Function, xs: Sequence[Any], vs: Sequence[Any]) -> Estimate:
    """Central differences extrapolated to step zero; for each number the entry of the table with the least error."""
    wide = WIDER and _computes_wide(f, xs)
    if wide:
        xs, vs = _widened(xs), _widened(vs)
    unit: Any = np.longdouble(1) if wide else 1.0
    rows: list[list[tuple[Any, ...]]] = []
    best: tuple[Any, ...] = ()
    errors: tuple[Any, ...] = ()
    for step in STEPS:
        h = unit * step
        above = f(*(x + h * v for x, v in zip(xs, vs, strict=True)))
        below = f(*(x - h * v for x, v in zip(xs, vs, strict=True)))
        row = [tuple((a - b) / (2 * h) for a, b in zip(above, below, strict=True))]
        for m in range(len(rows)):  # each extrapolation removes one even power of h from the error
            factor = unit * 16.0 ** (m + 1)
            row.append(tuple((factor * new - old) / (factor - 1) for new, old in zip(row[m], rows[-1][m], strict=True)))
        if not rows:
            best, errors = row[0], tuple(np.full(np.shape(y), np.inf) for y in row[0])
        for m in range(1, len(row)):
            found = [
                _better(y, e, row[m][i], row[m - 1][i], rows[-1][m - 1][i])
                for i, (y, e) in enumerate(zip(best, errors, strict=True))
            ]
            best, errors = tuple(y for y, _ in found), tuple(e for _, e in found)
        rows.append(row)
    method = "differences in long double" if wide else "differences"
    return Estimate(best, errors, 1e-10 if wide else 1e-7, method)


def _better(y: Any, error: Any, new: Any, fine: Any, coarse: Any) -> tuple[Any, Any]:
    off = np.maximum(np.abs(new - fine), np.abs(new - coarse))
    off = np.where(np.isfinite(off), off, np.inf)
    return np.where(off < error, new, y), np.minimum(off, error)


def _widened(xs: Sequence[Any]) -> list[Any]:
    return [np.asarray(x, np.clongdouble if np.iscomplexobj(x) else np.longdouble) for x in xs]


def _computes_wide(f: Function, xs: Sequence[Any]) -> bool:
    try:
        ys = f(*_widened(xs))
    except Exception:  # whatever a function says that knows only double
        return False
    return all(np.asarray(y).dtype in (np.longdouble, np.clongdouble) for y in ys)
