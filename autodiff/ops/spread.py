"""The spread of numbers along axes: variance and standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import DtypeError, message
from ..makers import at, composite, op, refuse
from ..traced import every
from .flat import stop_gradient
from .reduce import (
    averaged,
    converted,
    count,
    counted,
    everywhere,
    given,
    grouped,
    guard_groups,
    inexact,
    restored,
    selected,
)  # fmt: skip


def _from_mean(x: Any, axis: Any, conjugate: bool) -> Any:
    c = x - np.mean(x, axis=axis, keepdims=True)
    return np.conj(c) if conjugate else c


def _var(d: Any, y: Any, x: Any, *, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The mean's own dependence on x drops out, because deviations from it sum to zero."""
    slope = 2 * restored(d, x.shape, axis, keepdims) * _from_mean(x, axis, x.dtype.kind == "c")
    return slope / np.maximum(count(x.shape, axis) - ddof, 0.0).astype(slope.dtype)


def _std(d: Any, y: Any, x: Any, *, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Derivative 0 where all elements are equal. Centred twice, so that rounding in the first mean is not magnified.

    Where the squares leave the range of the numbers, the deviation is taken again of a multiple: the slope is the same.
    """
    c = _from_mean(_from_mean(x, axis, x.dtype.kind == "c"), axis, False)
    d, s = restored(d, x.shape, axis, keepdims), restored(y, x.shape, axis, keepdims)
    free = np.maximum(count(x.shape, axis) - ddof, 0.0).astype(s.dtype)
    none = restored(alike(x, axis), x.shape, axis, False) & (stop_gradient(s) == stop_gradient(s))
    if free > 0 and not in_range(s):
        c = c / largest(c, axis)
        s = np.sqrt(np.where(none, 1, np.sum(squared(c), axis=axis, keepdims=True)) / free)
    return np.where(none, 0, d / np.where(none, 1, s)) * c / free


def alike(x: Any, axis: Any, where: Any = True) -> Any:
    """Whether all of the elements that are selected are equal. Their computed mean may be off by rounding."""
    rows = grouped(stop_gradient(x), axis)
    chosen = grouped(np.broadcast_to(stop_gradient(where), x.shape), axis).astype(bool, copy=False)
    if rows.shape[-1] == 0:
        return np.ones(rows.shape[:-1], bool)
    first = np.take_along_axis(rows, np.argmax(chosen, axis=-1)[..., None], axis=-1)
    return np.all((rows == first) | ~chosen, axis=-1)


def in_range(size: Any) -> bool:
    """Whether the squares behind these roots of sums are neither inf nor few of the numbers near zero."""
    size = every(size)
    return bool(np.all((size > np.finfo(size.dtype).tiny ** 0.25) & (size < np.inf)))


def largest(x: Any, axis: Any) -> Any:
    """The largest |x| along the axes, a number to divide by: 1 where it is zero or not finite."""
    size = np.max(np.abs(stop_gradient(x)), axis=axis, keepdims=True, initial=0)
    return np.where((size == 0) | ~np.isfinite(size), 1, size)


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
    formulas=("δx = δy · conj(x − mean x) / ((n − ddof)·y), 0 where all elements are equal",),
    note="derivative 0 where all elements are equal",
)

# -- as NumPy calls them -----------------------------------------------------------------------------------------------


def freedom(ddof: Any, correction: Any) -> Any:
    """The array API's name for ddof is correction."""
    if correction is not None and correction is not np._NoValue:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    return ddof.item() if isinstance(ddof, np.generic) else ddof  # n - np.uint8(3) would start again from 255


def squared(c: Any) -> Any:
    """|c|²."""
    return np.real(c * np.conj(c)) if c.dtype.kind == "c" else c * c


def deviation(variance: Any, none: Any) -> Any:
    """The root of a variance, with derivative 0 where there is none: what is then computed is rounding."""
    none = none | (stop_gradient(variance) == 0)
    root = np.sqrt(stop_gradient(variance))
    return np.where(none, root, np.sqrt(np.where(none, 1, variance)))[()]


def _spread(simple: Any, function: Any, finished: Any) -> None:
    """The keywords of np.var and np.std: one operation, unless a mean or a selection is given."""

    @composite(function)
    def called(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
        where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        refuse(simple.name, out=out)
        inexact(simple.name, dtype)
        a = as_array(a)
        if dtype is not None and a.dtype.kind == "c" and np.dtype(dtype).kind != "c":
            raise DtypeError(
                message(
                    f"{simple.name}: dtype={np.dtype(dtype).name} of an array of {a.dtype}",
                    "NumPy takes the mean of the real part alone, and the deviations of the whole from it",
                    f"np.{simple.name}(np.real(x), dtype=…)",
                )
            )
        ddof, a = freedom(ddof, correction), converted(a, dtype)
        free = mean is None or mean is np._NoValue
        if everywhere(where) and free:
            return converted(apply(simple, (a,), given(axis=axis, keepdims=keepdims, ddof=ddof or None)), dtype)
        c = a - (np.mean(a, axis=axis, keepdims=True, where=where) if free else mean)
        n = np.maximum(counted(a, axis, keepdims, where) - ddof, 0)
        y = averaged(selected(squared(c), where, 0), given(axis=axis, keepdims=keepdims), n)
        return converted(finished(y, np.reshape(alike(a, axis, where), y.shape)), dtype)


_spread(var, np.var, lambda y, none: y[()])
_spread(std, np.std, deviation)
