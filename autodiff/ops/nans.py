"""Reductions that pass over nan: each puts the neutral element in its place, so that a nan gets a true zero.

As in NumPy, a mean or a variance of nothing but nan is nan, with NumPy's RuntimeWarning; its derivative is zero.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..makers import at, composite, op, refuse
from ..op import apply, plain
from .reduce import axes_of, grouped, restored

_GIVEN = np._NoValue


def _given(**settings: Any) -> dict[str, Any]:
    """The settings that were given: NumPy's functions tell a default from None."""
    return {key: value for key, value in settings.items() if value is not _GIVEN and value is not None}


def _without_nan(a: Any, neutral: float) -> Any:
    return np.where(np.isnan(a), neutral, a) if a.dtype.kind in "fc" else a


def _warned(empty: Any, text: str) -> None:
    if np.any(plain(empty)):
        warnings.warn(text, RuntimeWarning, stacklevel=4)


def _divided(total: Any, n: Any) -> Any:
    """A sum over how many there were, in the dtype of the sum; nan, without a warning, where there were none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y = total / n
    return y if y.dtype == total.dtype else y.astype(total.dtype)


# -- sums, products, means ---------------------------------------------------------------------------------------------


def _reduction(name: str, reduction: Any, neutral: float, plain_function: Any) -> Any:
    """np.nansum or np.nanprod."""

    def composition(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _GIVEN,
        initial: Any = _GIVEN, where: Any = _GIVEN,
    ) -> Any:  # fmt: skip
        refuse(name, out=out)
        settings = _given(axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)
        return reduction(_without_nan(a, neutral), **settings)

    return composite(plain_function)(composition)


def _running(name: str, running: Any, neutral: float, plain_function: Any) -> Any:
    """np.nancumsum or np.nancumprod."""

    def composition(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        refuse(name, out=out)
        return running(_without_nan(a, neutral), **_given(axis=axis, dtype=dtype))

    return composite(plain_function)(composition)


nansum = _reduction("nansum", np.sum, 0, np.nansum)
nanprod = _reduction("nanprod", np.prod, 1, np.nanprod)
nancumsum = _running("nancumsum", np.cumsum, 0, np.nancumsum)
nancumprod = _running("nancumprod", np.cumprod, 1, np.nancumprod)


def _inexact(dtype: Any) -> None:
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise TypeError("If a is inexact, then dtype must be inexact")


@composite(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _GIVEN, *, where: Any = _GIVEN
) -> Any:
    refuse("nanmean", out=out)
    settings = _given(axis=axis, keepdims=keepdims, where=where)
    if a.dtype.kind not in "fc":
        return np.mean(a, **settings, **_given(dtype=dtype))
    _inexact(dtype)
    n = np.sum(np.logical_not(np.isnan(a)), **settings)
    total = np.sum(_without_nan(a, 0), **settings, **_given(dtype=dtype))
    _warned(n == 0, "Mean of empty slice")
    return _divided(total, n)


def _variance(
    a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any
) -> Any:
    _inexact(dtype)
    if correction is not _GIVEN and correction is not None:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    chosen = _given(axis=axis, where=where)
    nan = np.isnan(a)
    n = np.sum(np.logical_not(nan), keepdims=True, **chosen)
    a = _without_nan(a, 0)
    if mean is _GIVEN:
        mean = _divided(np.sum(a, keepdims=True, **chosen, **_given(dtype=dtype)), n)
    deviation = a - mean
    deviation = np.where(nan, 0, deviation if deviation.dtype == a.dtype else deviation.astype(a.dtype))
    squares = np.real(deviation * np.conj(deviation)) if a.dtype.kind == "c" else deviation * deviation
    total = np.sum(squares, **chosen, **_given(dtype=dtype, keepdims=keepdims))
    freedom = np.reshape(n, total.shape) - ddof
    _warned(freedom <= 0, "Degrees of freedom <= 0 for slice.")
    return np.where(freedom <= 0, np.nan, _divided(total, freedom))


@composite(np.nanvar)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = _GIVEN, *,
    where: Any = _GIVEN, mean: Any = _GIVEN, correction: Any = _GIVEN,
) -> Any:  # fmt: skip
    refuse("nanvar", out=out)
    return _variance(a, axis, dtype, ddof, keepdims, where, mean, correction)


@composite(np.nanstd)
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = _GIVEN, *,
    where: Any = _GIVEN, mean: Any = _GIVEN, correction: Any = _GIVEN,
) -> Any:  # fmt: skip
    """Derivative 0 where all elements are equal, as that of std."""
    refuse("nanstd", out=out)
    variance = _variance(a, axis, dtype, ddof, keepdims, where, mean, correction)
    return np.where(variance == 0, 0, np.sqrt(np.where(variance == 0, 1, variance)))


# -- extremes ----------------------------------------------------------------------------------------------------------


def _share(d: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """As for max; a result that is nan was attained by nothing, and no group of it gets any δ."""
    d, y = restored(d, x.shape, axis, keepdims), restored(y, x.shape, axis, keepdims)
    attained = x == y
    ties = np.sum(attained, axis=axis, keepdims=True)
    if initial is not None:
        ties = ties + (y == initial)
    return np.where(attained, (d / np.where(ties == 0, 1, ties)).astype(d.dtype), 0)


def _with_nan(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Normal numbers with nan at every fifth position, from the fourth on."""
    x = rng.standard_normal(shape)
    x.reshape(-1)[3::5] = np.nan
    return x


_EXTREMES = (
    at((5,)), at((3, 4), axis=-1, draw=_with_nan), at((2, 3, 4), axis=(0, -1), keepdims=True, draw=_with_nan),
    at((3, 4), axis=0, initial=0.25, draw=_with_nan),
)  # fmt: skip

nanmax = op(
    np.nanmax,
    _share,
    numpy=(np.nanmax,),
    guard=None,
    masks=True,
    examples=_EXTREMES,
    formulas=("δx = δy / (number of ties) where x = y, else 0",),
    note="ties share δ equally; a nan gets 0",
)

nanmin = op(
    np.nanmin,
    _share,
    numpy=(np.nanmin,),
    guard=None,
    masks=True,
    examples=_EXTREMES,
    formulas=("δx = δy / (number of ties) where x = y, else 0",),
    note="ties share δ equally; a nan gets 0",
)


def _extreme(simple: Any, ufunc: str, *functions: Any) -> Any:
    """What is not selected is one more nan."""

    def composition(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = _GIVEN, initial: Any = _GIVEN,
        where: Any = _GIVEN,
    ) -> Any:  # fmt: skip
        refuse(simple.name, out=out)
        settings = _given(axis=axis, keepdims=keepdims or None, initial=initial)
        if where is not _GIVEN and where is not True:
            if "initial" not in settings:
                raise ValueError(
                    f"reduction operation '{ufunc}' does not have an identity, so to use a where mask one has to "
                    "specify 'initial'"
                )
            a = np.where(np.broadcast_to(where, a.shape), a, np.nan if a.dtype.kind in "fc" else initial)
        return apply(simple, (a,), settings)

    return composite(*functions)(composition)


_nanmax_of = _extreme(nanmax, "fmax", np.nanmax)
_nanmin_of = _extreme(nanmin, "fmin", np.nanmin)

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
    return restored(y, a.shape, axis, False) if keepdims is True else y
