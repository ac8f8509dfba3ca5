"""Reductions that pass over nan: each is the reduction of the same name where there are numbers.

As in NumPy, a mean or a variance of nothing but nan is nan, with NumPy's RuntimeWarning; its derivative is zero.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..makers import at, composite, refuse
from ..traced import every
from .reduce import axes_of, cumprod, cumsum, extreme, grouped, restored, running, selected
from .spread import alike, deviation, freedom, squared

_GIVEN = np._NoValue


def _numbers(a: Any, where: Any = True) -> Any:
    """Where there are numbers among what is selected."""
    if a.dtype.kind not in "fc":
        return True if where is _GIVEN else where
    there = np.logical_not(np.isnan(a))
    return there if where is True or where is _GIVEN else np.logical_and(there, where)


def _warned(empty: Any, text: str) -> None:
    if np.any(every(empty)):
        warnings.warn(text, RuntimeWarning, stacklevel=4)


def _divided(total: Any, n: Any) -> Any:
    """A sum over how many there were, in the dtype of the sum; nan, without a warning, where there were none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (total / n).astype(total.dtype, copy=False)


# -- sums, products, means ---------------------------------------------------------------------------------------------


def _where_there_are_numbers(function: Any, reduction: Any) -> Any:
    """np.nansum or np.nanprod."""

    @composite(function)
    def called(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _GIVEN,
        initial: Any = _GIVEN, where: Any = _GIVEN,
    ) -> Any:  # fmt: skip
        refuse(function.__name__, out=out)
        return reduction(a, axis, dtype, keepdims=keepdims, initial=initial, where=_numbers(a, where))

    return called


nansum = _where_there_are_numbers(np.nansum, np.sum)
nanprod = _where_there_are_numbers(np.nanprod, np.prod)
nancumsum = running(np.nancumsum, cumsum, lambda a: selected(a, _numbers(a), 0))
nancumprod = running(np.nancumprod, cumprod, lambda a: selected(a, _numbers(a), 1))


def _inexact(dtype: Any) -> None:
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise TypeError("If a is inexact, then dtype must be inexact")


@composite(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _GIVEN, *, where: Any = _GIVEN
) -> Any:
    refuse("nanmean", out=out)
    if a.dtype.kind not in "fc":
        return np.mean(a, axis, dtype, keepdims=keepdims, where=where)
    _inexact(dtype)
    there = _numbers(a, where)
    n = np.sum(there, axis, keepdims=keepdims)
    _warned(n == 0, "Mean of empty slice")
    return _divided(np.sum(a, axis, dtype, keepdims=keepdims, where=there), n)


def _spread(function: Any, finished: Any) -> Any:
    """np.nanvar or np.nanstd."""

    @composite(function)
    def called(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = _GIVEN, *,
        where: Any = _GIVEN, mean: Any = _GIVEN, correction: Any = _GIVEN,
    ) -> Any:  # fmt: skip
        refuse(function.__name__, out=out)
        _inexact(dtype)
        there = np.broadcast_to(_numbers(a, where), a.shape)
        n = np.sum(there, axis, keepdims=True)
        if mean is _GIVEN:
            mean = _divided(np.sum(a, axis, dtype, keepdims=True, where=there), n)
        c = selected(a, there, 0) - mean  # no nan, of which NumPy would warn
        squares = squared(c.astype(a.dtype, copy=False))
        total = np.sum(squares, axis, dtype, keepdims=keepdims, where=there)
        free = np.reshape(n, total.shape) - freedom(ddof, correction)
        _warned(free <= 0, "Degrees of freedom <= 0 for slice.")
        none = np.reshape(alike(a, axis, there), total.shape)
        return finished(np.where(free <= 0, np.nan, _divided(total, free)), none)

    return called


nanvar = _spread(np.nanvar, lambda variance, none: variance[()])
nanstd = _spread(np.nanstd, deviation)

# -- extremes ----------------------------------------------------------------------------------------------------------


def _with_nan(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Normal numbers with nan at every fifth position, from the fourth on."""
    x = rng.standard_normal(shape)
    x.reshape(-1)[3::5] = np.nan
    return x


_EXTREMES = (
    at((5,)), at((3, 4), axis=-1, draw=_with_nan), at((2, 3, 4), axis=(0, -1), keepdims=True, draw=_with_nan),
    at((3, 4), axis=0, initial=0.25, draw=_with_nan),
)  # fmt: skip

nanmax = extreme(
    np.nanmax, attained=np.equal, ufunc=np.fmax, beyond=np.nan,
    examples=_EXTREMES, note="ties share δ equally; a nan gets 0",
)  # fmt: skip
nanmin = extreme(
    np.nanmin, attained=np.equal, ufunc=np.fmin, beyond=np.nan,
    examples=_EXTREMES, note="ties share δ equally; a nan gets 0",
)  # fmt: skip

# -- the middle --------------------------------------------------------------------------------------------------------


@composite(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = _GIVEN
) -> Any:
    """Of n numbers the one sorted to place (n − 1) // 2 and that at n // 2, with weight one half each.

    Sorting puts nan last; how many numbers there are differs from group to group, so places are chosen by a mask.
    """
    refuse("nanmedian", out=out)
    axis = axes_of(axis, a.ndim)
    rows = np.sort(grouped(a, axis), axis=-1)
    n = np.sum(np.logical_not(np.isnan(rows)), axis=-1, keepdims=True)
    _warned(n == 0, "All-NaN slice encountered")
    place = np.arange(rows.shape[-1])
    weights = (np.equal(place, (n - 1) // 2) * 0.5 + np.equal(place, n // 2) * 0.5).astype(rows.dtype)
    y = np.sum(np.where(weights == 0, 0, weights * np.where(weights == 0, 0, rows)), axis=-1)
    y = np.where(n[..., 0] == 0, np.nan, y)[()]
    return restored(y, a.shape, axis, False) if keepdims is not _GIVEN and keepdims else y
