"""softmax and its kin: exponentials along an axis, taken from the largest of them so that none overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, op, where_reached
from .elementwise import gap
from .precision import floating, widened
from .reduce import guard_groups, restored


def _shifted(x: Any, axis: Any) -> tuple[Any, Any]:
    """X minus its maximum along the axis, so that exp cannot overflow, and the maximum; an infinite one is left out.

    In at least single precision: a sum over many overflows in half precision.
    """
    x = widened(x)
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    return x - top, top


def _softmax_of(x: Any, *, axis: Any = -1) -> Any:
    x = np.asarray(x)
    with np.errstate(invalid="ignore"):  # a row of nothing but −inf has no softmax: 0 / 0 is nan
        e = np.exp(_shifted(x, axis)[0])
        return (e / np.sum(e, axis=axis, keepdims=True)).astype(x.dtype, copy=False)


def _log_softmax_of(x: Any, *, axis: Any = -1) -> Any:
    x = np.asarray(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted = _shifted(x, axis)[0]
        y = shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return y.astype(x.dtype, copy=False)


def _logsumexp_of(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    x = np.asarray(x)
    shifted, top = _shifted(x, axis)
    with np.errstate(divide="ignore"):  # log 0 = −inf is what the sum over nothing but −inf is
        y = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)) + top
    y = y.astype(x.dtype, copy=False)
    return y if keepdims else np.squeeze(y, tuple(range(y.ndim)) if axis is None else axis)[()]


def _portion(x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """The softmax of x, from y = logsumexp(x). Infinite elements that are equal to y share it equally.

    The sum is 1 but for the rounding of y, which is as large as 1 itself where y is about 1e16.
    """
    e = np.exp(gap(widened(x), widened(restored(y, x.shape, axis, keepdims))))
    return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_either_way(d: Any, y: Any, x: Any, *, axis: Any = -1) -> Any:
    d, y = widened(d), widened(y)
    return y * (d - np.sum(d * y, axis=axis, keepdims=True))


def _log_softmax_back(d: Any, y: Any, x: Any, *, axis: Any = -1) -> Any:
    d = widened(d)
    return d - np.exp(widened(y)) * np.sum(d, axis=axis, keepdims=True)


def _log_softmax_along(t: Any, y: Any, x: Any, *, axis: Any = -1) -> Any:
    t = widened(t)
    return t - np.sum(np.exp(widened(y)) * t, axis=axis, keepdims=True)


def _guard_rows(term: Any, rule: Any, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """A true zero in each row whose δ is zero throughout."""
    return where_reached(term, lambda: np.any(d != 0, axis=params.get("axis", -1), keepdims=True))


_softmax = op(
    _softmax_of, _softmax_either_way, jvps=(_softmax_either_way,),
    name="softmax", guard=_guard_rows, formulas=("δx = y·(δy − Σ δy·y)",),
    examples=(at((5,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 2), axis=(0, 2)), at((2, 1), axis=-1)),
    note="a row of nothing but −inf is nan",
)  # fmt: skip
_log_softmax = op(
    _log_softmax_of, _log_softmax_back, jvps=(_log_softmax_along,),
    name="log_softmax", guard=_guard_rows, formulas=("δx = δy − exp(y)·Σ δy",),
    examples=(at((5,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 2), axis=(0, 2))),
    note="a row of nothing but −inf is nan",
)  # fmt: skip
_logsumexp = op(
    _logsumexp_of,
    lambda d, y, x, *, axis=None, keepdims=False: restored(d, x.shape, axis, keepdims) * _portion(x, y, axis, keepdims),
    jvps=(
        lambda t, y, x, *, axis=None, keepdims=False: np.sum(
            t * _portion(x, y, axis, keepdims), axis=axis, keepdims=keepdims
        ),
    ),
    name="logsumexp", guard=guard_groups, formulas=("δx = δy·softmax(x)",),
    examples=(at(()), at((5,)), at((3, 4), axis=0), at((3, 4), axis=(0, 1), keepdims=True), at((2, 3, 2), axis=-1)),
    note="elements that are infinite with the result share δ equally, as ties do",
)  # fmt: skip

# -- as they are called ------------------------------------------------------------------------------------------------


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """Exponentials along an axis divided by their sum: exp(x) / Σ exp(x), without overflow.

    Parameters
    ----------
    x : array_like
    axis : int or tuple of int
        Along which the result sums to one.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _softmax(floating(x), axis=axis)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """The difference x − log Σ exp(x) along an axis: the logarithm of :func:`softmax`, accurate where that underflows.

    Parameters
    ----------
    x : array_like
    axis : int or tuple of int

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return _log_softmax(floating(x), axis=axis)


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """The logarithm of Σ exp(x), without overflow; over nothing but −inf it is −inf.

    Parameters
    ----------
    x : array_like
    axis : int, tuple of int or None
        What to sum over; None for everything.
    keepdims : bool
        Whether the summed axes stay, with length one.

    Returns
    -------
    array
        With the shape of x without the summed axes; a number where all are.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.grad(ad.nn.logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _logsumexp(floating(x), axis=axis, keepdims=keepdims)
