"""Quantiles and percentiles: one of the sorted elements, or a point between two neighbours.

A quantile has a *place* among the sorted elements: a whole part, which tells the lower neighbour, and the share of the
upper one. Where it is depends on q, the method and the number of elements alone; with weights, on the order of the
elements too. In q the result is piecewise linear for the six methods of :data:`LINES`, and flat for the others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..makers import at, composite, flat, refuse
from ..traced import Traced, plain
from .order import ranked
from .reduce import axes_of, grouped, restored
from .signal import pick

FEW = 16
"""Of how many places the elements are looked for one by one; of more, all elements are sorted."""

LINES = {
    "linear": (1.0, 1.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
"""The methods whose place is a line in q, n·q + α + q·(1 − α − β) − 1, with their α and β."""


def _real(*arrays: Any) -> None:
    if any(x.dtype.kind == "c" for x in arrays):
        raise TypeError("a quantile is one of real numbers")


def _places(q: Any, count: Any, *, method: Any = "linear") -> Any:
    """As NumPy has it: the quantile of 0, 1, 2 … is the place itself; its dtype is that in which NumPy computes it."""
    q, count = np.asarray(q), np.asarray(count)
    _real(q, count)
    y = np.empty(np.broadcast_shapes(q.shape, count.shape), q.dtype if q.dtype.kind == "f" else float)
    for n in np.unique(count):
        places = np.quantile(np.arange(max(n, 1), dtype=float), q.ravel(), method=method)
        np.copyto(y, places.reshape(q.shape), where=count == n)
    return y[()]


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.uniform(0, 1, shape)


def _counts(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(1, 7, shape)


places = flat(
    _places,
    name="quantile_places",
    numpy=(),
    arity=2,
    accepts=("method",),
    examples=(
        at((2, 1), (3,), draw=(_unit, _counts)), at((), (), draw=(_unit, _counts), method="nearest"),
    ),
    note="the place of a quantile among so many sorted elements; of a q with a history it is a line or truly flat",
)  # fmt: skip


def _places_by_weight(rows: Any, weights: Any, *, q: Any) -> Any:
    """The weighted quantile of the ranks; a nan has none."""
    _real(rows, weights)
    order = np.argsort(rows, axis=-1)
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(rows.shape[-1], dtype=float), rows.shape), axis=-1)
    missing = np.isnan(rows)
    if not missing.any():
        return np.quantile(ranks, q, axis=-1, method="inverted_cdf", weights=weights)
    y: Any = np.zeros(np.shape(q) + rows.shape[:-1])
    some = ~missing.all(axis=-1)
    ranks[missing] = np.nan
    y[..., some] = np.nanquantile(ranks[some], q, axis=-1, method="inverted_cdf", weights=weights[some])
    return y[()]


def _positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.uniform(0.5, 2, shape)


places_by_weight = flat(
    _places_by_weight,
    name="quantile_places_by_weight",
    numpy=(),
    arity=2,
    accepts=("q",),
    examples=(at((2, 4), (2, 4), q=np.array([0.2, 0.7]), draw=(None, _positive)),),
    note="the place of a weighted quantile: a step function of the elements and of the weights",
)


def _line(q: Any, count: Any, method: str) -> Any:
    """The place as a line in q. At an end the slope within, beyond the ends 0."""
    if method not in LINES:
        return places(q, count, method=method)
    a, b = LINES[method]
    y = (count - 1) * q if method == "linear" else count * q + (a + q * (1 - a - b)) - 1
    return np.where(y < 0, 0, np.where(y > count - 1, count - 1, y))


def _between(unsorted: Any, place: Any, count: Any, dtype: Any, *, flat: bool) -> Any:
    """What stands at a place among the sorted elements of the last axis; q's axes come first.

    In place it has at an element the slope to its right, at the last one that to its left. Where the place is `flat`,
    an infinite neighbour of the element itself counts nothing.
    """
    low = np.maximum(np.minimum(np.floor(place), count - (1 if flat else 2)), 0).astype(np.intp)
    share = place - low
    high = np.maximum(np.minimum(low + 1, count - 1), 0)
    if isinstance(low, Traced) or np.ndim(count) or len(named := np.unique((low, high))) > FEW:
        rows = np.sort(unsorted, axis=-1)
    else:
        rows = apply(ranked, (unsorted,), {"kth": tuple(map(int, named))})
        low, high = np.searchsorted(named, low), np.searchsorted(named, high)
    shape, n = rows.shape[:-1], rows.shape[-1]
    start = np.reshape(np.arange(math.prod(shape)) * n, shape)
    flattened = np.reshape(rows, (-1,))
    below = pick(flattened, start + low)
    if not isinstance(share, Traced) and not np.any(share):
        y = below
    else:
        above = pick(flattened, start + high)
        gap = np.where(np.equal(share, 0), 0, above - below) if flat else above - below
        left, right = (part.astype(dtype, copy=False) for part in (share, 1 - share))
        y = np.where(share < 0.5, below + gap * left, above - gap * right)
    return y.astype(dtype, copy=False)


def _weights_of(weights: Any, a: Any, axis: Any) -> Any:
    """Weights for each element, grouped as the elements are; NumPy has already approved of them."""
    weights = as_array(weights)
    if weights.shape != a.shape:
        weights = np.transpose(weights, [int(i) for i in np.argsort(axis)])
        weights = np.reshape(weights, tuple(n if i in axis else 1 for i, n in enumerate(a.shape)))
    return grouped(np.broadcast_to(weights, a.shape), axis)


def _quantile(plain_function: Any, *, percent: bool = False, skips: bool = False) -> Any:
    """One of np.quantile, np.percentile and those that pass over nan."""
    name = plain_function.__name__

    def composition(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        refuse(name, out=out)
        a, held = as_array(a), plain(as_array(q))
        given, axis = axis, axes_of(axis, a.ndim)
        if weights is not None:  # NumPy's errors, where it has any
            plain_function(np.zeros(a.shape, a.dtype), held, given, method=method, weights=plain(as_array(weights)))
        if a.size == 0:
            return plain_function(np.zeros(a.shape, a.dtype), held, axis, method=method, keepdims=keepdims)
        dtype = plain_function(np.zeros(1, a.dtype), q if type(q) in (int, float) else held, method=method).dtype
        q = np.true_divide(as_array(q), 100) if percent else as_array(q)
        unsorted = grouped(a, axis)
        missing = np.isnan(unsorted)
        shape, ahead = unsorted.shape[:-1], np.shape(q)
        count = np.sum(np.logical_not(missing), axis=-1) if skips else unsorted.shape[-1]
        column = np.reshape(q, ahead + (1,) * len(shape))
        if weights is not None:
            place = places_by_weight(unsorted, _weights_of(weights, a, axis), q=plain(q))
        elif isinstance(q, Traced):
            place = _line(column, count, method)
        else:
            place = places(column, count, method=method)
        y = _between(unsorted, place, count, dtype, flat=not isinstance(q, Traced) or method not in LINES)
        y = np.where(count == 0 if skips else np.any(missing, axis=-1), np.nan, y)
        y = y.astype(dtype, copy=False)
        if keepdims is not np._NoValue and keepdims:
            return np.reshape(y, ahead + restored(unsorted[..., 0], a.shape, axis, False).shape)
        return y if y.ndim or weights is not None else y[()]

    return composite(plain_function)(composition)


quantile, percentile = _quantile(np.quantile), _quantile(np.percentile, percent=True)
nanquantile = _quantile(np.nanquantile, skips=True)
nanpercentile = _quantile(np.nanpercentile, percent=True, skips=True)
