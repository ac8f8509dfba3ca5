"""Counting into bins: steps in what is counted, linear in the weights; edges follow the extremes of the data."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..apply import as_array
from ..makers import at, composite, flat
from ..traced import Traced, plain
from .signal import drop

counts = flat(
    lambda a, edges: np.histogram(a, edges)[0],
    name="counts",
    arity=2,
    examples=(at((3, 4), (3,), draw=(None, lambda rng, shape: np.sort(rng.standard_normal(shape)))),),
    note="how many elements fall into each bin",
)


@composite(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Linear in the weights; the positions, and how many there are, are plain numbers."""
    y: Any = np.bincount(plain(x), plain(weights), minlength)  # NumPy's own errors, and the size
    if not isinstance(weights, Traced):
        return y
    weights = as_array(weights)
    return drop(weights.astype(y.dtype, copy=False), plain(x), size=len(y))


# -- edges -------------------------------------------------------------------------------------------------------------


def _ends(a: Any, given: Any) -> tuple[Any, Any]:
    """The outermost edges: those given, or the extremes of the data; apart by one where they are equal."""
    if given is not None:
        first, last = given
        if plain(first) > plain(last):
            raise ValueError("max must be larger than min in range parameter.")
    else:
        first, last = (np.min(a), np.max(a)) if a.size else (0, 1)
    if not (np.isfinite(plain(first)) and np.isfinite(plain(last))):
        which = "autodetected" if given is None else "supplied"
        raise ValueError(f"{which} range of [{plain(first)}, {plain(last)}] is not finite")
    return (first - 0.5, last + 0.5) if plain(first) == plain(last) else (first, last)


def _rising(edges: Any) -> Any:
    if np.any(plain(edges)[:-1] > plain(edges)[1:]):
        raise ValueError("`bins` must increase monotonically, when an array")
    return edges


@composite(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Evenly spaced between two ends. How many a rule finds best is a step, so NumPy itself says it."""
    a = as_array(a)
    if not isinstance(bins, str) and np.ndim(bins):
        return _rising(as_array(bins)) if np.ndim(bins) == 1 else np.histogram_bin_edges(plain(a), plain(bins))
    found = None if range is None else tuple(map(plain, range))
    y = np.histogram_bin_edges(plain(a), bins, found, None if weights is None else plain(weights))
    first, last = _ends(a, range)
    return np.linspace(first, last, len(y), dtype=y.dtype)


# -- histograms --------------------------------------------------------------------------------------------------------


def _bin(a: Any, edges: Any) -> Any:
    """The bin of each element, counted from 1; the last one has its upper edge. 0 and n + 1 are those outside."""
    place = np.searchsorted(edges, a, side="right")
    return place - np.equal(a, edges[-1])


@composite(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    a = np.ravel(as_array(a))
    if weights is not None:
        weights = as_array(weights)
        if weights.size != a.size or (weights.ndim > 1 and weights.ndim == a.ndim):
            raise ValueError("weights should have the same shape as a.")
        weights = np.ravel(weights)
    edges = histogram_bin_edges(a, bins, range, weights)
    n = counts(a, edges) if weights is None else drop(weights, _bin(a, edges), size=len(edges) + 1)[1:-1]
    if density:
        width = np.diff(edges)
        n = n / width.astype(float, copy=False) / np.sum(n)
    return n, edges


@composite(np.histogramdd)
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """One number for each cell of a grid, and a margin around it for what lies outside."""
    if not hasattr(sample, "shape") or not sample.shape:
        sample = np.transpose(np.atleast_2d(as_array(sample)))
    sample = np.reshape(sample, (-1, 1)) if sample.ndim == 1 else sample
    n, dims = sample.shape
    bins = bins if hasattr(bins, "__len__") else [bins] * dims
    if len(bins) != dims:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    range = (None,) * dims if range is None else range
    if len(range) != dims:
        raise ValueError("range argument must have one entry per dimension")
    columns = [sample[:, i] for i in np.arange(dims).tolist()]
    edges = [_edges_of(i, *parts) for i, parts in enumerate(zip(columns, bins, range, strict=True))]
    grid = tuple(len(e) + 1 for e in edges)
    place: Any = 0
    for column, e, size in zip(columns, edges, grid, strict=True):
        place = place * size + _bin(column, e)
    weights = np.ones(n) if weights is None else as_array(weights)
    if weights.dtype != float:
        weights = weights.astype(float, casting="safe")
    y = np.reshape(drop(weights, place, size=math.prod(grid)), grid)[(slice(1, -1),) * dims]
    if density:
        total = np.sum(y)
        for i, e in enumerate(edges):
            y = y / np.reshape(np.diff(e), [-1 if k == i else 1 for k in np.arange(dims)])
        y = y / total
    return y, edges


def _edges_of(i: int, a: Any, bins: Any, range: Any) -> Any:
    if np.ndim(bins) == 1:
        edges = as_array(bins)
        if np.any(plain(edges)[:-1] > plain(edges)[1:]):
            raise ValueError(f"`bins[{i}]` must be monotonically increasing, when an array")
        return edges
    if np.ndim(bins):
        raise ValueError(f"`bins[{i}]` must be a scalar or 1d array")
    if bins < 1:
        raise ValueError(f"`bins[{i}]` must be positive, when an integer")
    first, last = _ends(a, range)
    return np.linspace(first, last, operator.index(bins) + 1)


@composite(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    if hasattr(bins, "__len__") and len(bins) not in (1, 2):
        bins = [as_array(bins)] * 2
    n, edges = histogramdd([x, y], bins, range, density, weights)
    return n, edges[0], edges[1]
