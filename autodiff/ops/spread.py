"""The spread of numbers along axes: variance and standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, composite, op, refuse
from ..op import apply
from .reduce import averaged, converted, count, counted, everywhere, given, guard_groups, inexact, restored, selected


def _from_mean(x: Any, axis: Any, conjugate: bool) -> Any:
    c = x - np.mean(x, axis=axis, keepdims=True)
    return np.conj(c) if conjugate else c


def _var(d: Any, y: Any, x: Any, *, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The mean's own dependence on x drops out, because deviations from it sum to zero."""
    slope = 2 * restored(d, x.shape, axis, keepdims) * _from_mean(x, axis, x.dtype.kind == "c")
    return slope / np.maximum(count(x.shape, axis) - ddof, 0.0).astype(slope.dtype)


def _std(d: Any, y: Any, x: Any, *, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Derivative 0 where all elements are equal. Centred twice, so that rounding in the first mean is not magnified."""
    c = _from_mean(_from_mean(x, axis, x.dtype.kind == "c"), axis, False)
    d, s = restored(d, x.shape, axis, keepdims), restored(y, x.shape, axis, keepdims)
    slope = np.where(s == 0, 0, d / np.where(s == 0, 1, s)) * c
    return slope / np.maximum(count(x.shape, axis) - ddof, 0.0).astype(slope.dtype)


_SPREADS = (
    at((3, 4)), at((3, 4), axis=-1, ddof=1), at((2, 3, 4), axis=(0, -1), keepdims=True), at((5,), axis=0, ddof=0.5),
)  # fmt: skip

var = op(
    np.var,
    _var,
    numpy=(np.var,),
    guard=guard_groups,
    examples=_SPREADS,
    formulas=("δx = δy · 2·conj(x − mean x) / (n − ddof)",),
    note="of complex numbers: the mean of |x − mean x|²",
)

std = op(
    np.std,
    _std,
    numpy=(np.std,),
    guard=guard_groups,
    examples=_SPREADS,
    formulas=("δx = δy · conj(x − mean x) / ((n − ddof)·y), 0 where y = 0",),
    note="derivative 0 where all elements are equal",
)

# -- as NumPy calls them -----------------------------------------------------------------------------------------------


def freedom(ddof: Any, correction: Any) -> Any:
    """The array API's name for ddof is correction."""
    if correction is None or correction is np._NoValue:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def squared(c: Any) -> Any:
    """|c|²."""
    return np.real(c * np.conj(c)) if c.dtype.kind == "c" else c * c


def deviation(variance: Any) -> Any:
    """The root of a variance, with derivative 0 where it is 0."""
    return np.where(variance == 0, 0, np.sqrt(np.where(variance == 0, 1, variance)))


def _spread(simple: Any, function: Any, finished: Any) -> None:
    """The keywords of np.var and np.std: one operation, unless a mean or a selection is given."""

    @composite(function)
    def called(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
        where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        refuse(simple.name, out=out)
        inexact(simple.name, dtype)
        ddof, a = freedom(ddof, correction), converted(a, dtype)
        free = mean is None or mean is np._NoValue
        if everywhere(where) and free:
            return converted(apply(simple, (a,), given(axis=axis, keepdims=keepdims, ddof=ddof or None)), dtype)
        c = a - (np.mean(a, axis=axis, keepdims=True, where=where) if free else mean)
        n = np.maximum(counted(a, axis, keepdims, where) - ddof, 0)
        y = averaged(selected(squared(c), where, 0), given(axis=axis, keepdims=keepdims), n)
        return converted(finished(y), dtype)


_spread(var, np.var, lambda y: y)
_spread(std, np.std, deviation)
