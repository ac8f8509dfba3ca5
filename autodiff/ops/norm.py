"""Norms of vectors and of matrices.

At the corner of a norm, where its argument is zero, the derivative is zero; elements that attain a maximum or a minimum
together share it equally. Nothing is divided by a number that may be zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..makers import at, composite, op
from .contract import conjugated
from .eigen import over_gaps, ties
from .flat import stop_gradient
from .linalg import regular, separated
from .singular import rebuilt, rebuilt_tangent, svd, vanishing
from .spread import in_range, largest


def apart(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Numbers whose sizes lie well apart, and away from zero; no two sums of a few of them are equal."""
    return np.reshape(np.sqrt(1.0 + rng.permutation(math.prod(shape))), shape) * rng.choice((-1.0, 1.0), shape)


SUMS = (1, -1, np.inf, -np.inf)


def _direction(x: Any) -> Any:
    """∂|x|/∂x, zero at zero."""
    if x.dtype.kind != "c":
        return np.sign(x)
    return np.where(x == 0, 0, np.conj(x) / np.where(x == 0, 1, np.abs(x)))


def _quotient(d: Any, y: Any) -> Any:
    """The quotient d / y, zero where y is zero."""
    return np.where(y == 0, 0, d / np.where(y == 0, 1, y))


def _share(d: Any, hit: Any, axis: Any) -> Any:
    """A δ divided equally among the elements that attain the extreme."""
    return np.where(hit, d, 0) / np.sum(hit, axis=axis, keepdims=True)


def _lengths(shape: tuple[int, ...], axis: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The reduced axes, counted from the front, and the shape with length one in their place."""
    axes = normalize_axis_tuple(range(len(shape)) if axis is None else axis, len(shape))
    return axes, tuple(1 if k in axes else n for k, n in enumerate(shape))


def _norm(d: Any, y: Any, x: Any, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The 2-norm and its like: δx = δy·conj(x)/y. Others by `ord`, for vectors and for matrices."""
    axes, kept = _lengths(x.shape, axis)
    d, y = np.reshape(d, kept), np.reshape(y, kept)
    if not (in_range(y) or ord in (*SUMS, 0, -2, "nuc") or (ord == 2 and len(axes) == 2)):
        x = x / largest(x, axes)  # its powers are not in the range of the numbers; of a multiple the slope is the same
        y = np.reshape(np.linalg.norm(x, ord=ord, axis=axis), kept)
    if ord is None or ord in ("fro", "f") or (ord == 2 and len(axes) == 1):
        return conjugated(x) * _quotient(d, y)
    return _norm_of_vectors(d, y, x, ord, axes) if len(axes) == 1 else _norm_of_matrices(d, y, x, ord, axes)


def _norm_of_vectors(d: Any, y: Any, x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    """δx = δy·(|x|/y)^(p−1)·∂|x|/∂x; shared among the extreme elements for p = ±∞; zero for the count p = 0."""
    if ord == 0:
        return np.zeros(x.shape, x.dtype)
    if ord == 1:
        return d * _direction(x)
    if np.isinf(ord):
        return _share(d, np.abs(x) == y, axes[0]) * _direction(x)
    exists = (x != 0) & (y != 0)
    ratio = np.where(exists, np.abs(x), 1) / np.where(exists, y, 1)
    return d * np.where(exists, ratio ** (ord - 1), 0) * _direction(x)


def _norm_of_matrices(d: Any, y: Any, x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    """Sums of |x| down the columns or along the rows, shared among the extreme ones; or of singular values."""
    if ord in SUMS:
        down, along = axes if abs(ord) == 1 else axes[::-1]
        sums = np.sum(np.abs(x), axis=down, keepdims=True)
        return _share(d, sums == y, along) * _direction(x)
    slope = singular_slope(np.moveaxis(x, axes, (-2, -1)), ord=ord)
    return d * np.moveaxis(slope, (-2, -1), axes)


def _weights(s: Any, ord: Any, zero: Any) -> Any:
    """∂y/∂s of a norm y of singular values: one for the sum, shared among ties for the extremes; zero at zero."""
    s = stop_gradient(s)
    hit = s >= 0 if ord == "nuc" else np.abs(s - (s[..., :1] if ord == 2 else s[..., -1:])) <= _same(s)
    share = 1 if ord == "nuc" else np.sum(hit, axis=-1, keepdims=True)
    return np.where(zero, 0, hit / share).astype(s.dtype)


def _same(s: Any) -> Any:
    """How far rounding alone can drive singular values apart."""
    return 4 * np.finfo(s.dtype).eps * s[..., :1]


def _slope(x: Any, *, ord: Any) -> Any:
    u, s, vh = svd(x)
    return rebuilt(u, _weights(s, ord, vanishing(s, x.shape)), vh)


def _slope_tangent(t: Any, y: Any, x: Any, *, ord: Any) -> Any:
    """The weights are steps, so that singular values of equal weight are not turned together."""
    u, s, vh = svd(x)
    zero = vanishing(s, x.shape)
    w = _weights(s, ord, zero)
    steps = w[..., None, :] - w[..., :, None]
    return rebuilt_tangent(t, (u, s, vh), w, lambda h: over_gaps(h * steps, s, ties(s)[0]), zero)


singular_slope = op(
    _slope,
    _slope_tangent,
    jvps=(_slope_tangent,),
    name="singular_slope",
    examples=(
        at((3, 3), ord=2, draw=separated), at((3, 4), ord=-2, draw=separated), at((4, 3), ord="nuc", draw=separated),
        at((3, 3), ord="nuc", draw=regular),
    ),
    formulas=("δX: the second derivative of the norm is symmetric, so this is also its tangent rule",),
    note="the derivative of the norm of this ord of a matrix with respect to the matrix: conj(U·w·Vᴴ)",
)  # fmt: skip

norm = op(
    np.linalg.norm,
    _norm,
    numpy=(np.linalg.norm,),
    examples=(
        at((4,)), at((3, 4)), at((2, 3, 4), axis=1), at((3, 4), axis=(0, 1)), at((3, 4), keepdims=True),
        at((2, 3, 4), axis=(-1, 0), keepdims=True), at((4,), ord=2, draw=apart), at((4,), ord=1, draw=apart),
        at((3, 4), ord=3, axis=0, draw=apart), at((3, 4), ord=2.5, axis=-1, keepdims=True, draw=apart),
        at((4,), ord=0, draw=apart), at((4,), ord=-1, draw=apart), at((4,), ord=0.5, draw=apart),
        at((4,), ord=np.inf, draw=apart), at((3, 4), ord=-np.inf, axis=1, draw=apart), at((3, 4), ord="fro"),
        at((3, 4), ord=1, draw=apart), at((3, 4), ord=-1, draw=apart), at((3, 4), ord=np.inf, draw=apart),
        at((3, 4), ord=-np.inf, draw=apart), at((2, 3, 4), ord=1, axis=(2, 0), keepdims=True, draw=apart),
        at((3, 3), ord=2, draw=separated), at((3, 4), ord=-2, draw=separated), at((4, 3), ord="nuc", draw=separated),
        at((4, 2, 3), ord=2, axis=(2, 0), draw=lambda rng, shape: np.moveaxis(separated(rng, (2, 3, 4)), -1, 0)),
    ),
    formulas=("δx = δy·conj(x)/y; ord p: δy·(|x|/y)^(p−1)·sign x; of a matrix, ord 2, −2, nuc: δy·conj(U·w·Vᴴ)",),
    note="zero where x is zero; what attains a maximum or minimum shares it equally; ord=0 counts, so δx is zero",
)  # fmt: skip


@composite(np.linalg.vector_norm)
def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Over any number of axes, taken together as one."""
    axes, kept = _lengths(x.shape, axis)
    if len(axes) == 1:
        return norm(x, ord=ord, axis=axes[0], keepdims=keepdims)
    rest = tuple(k for k in range(x.ndim) if k not in axes)
    lengths = (math.prod(x.shape[k] for k in axes), *(x.shape[k] for k in rest))
    y = norm(np.reshape(np.transpose(x, axes + rest), lengths), ord=ord, axis=0)
    return np.reshape(y, kept) if keepdims else y


@composite(np.linalg.matrix_norm)
def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord=ord, axis=(-2, -1), keepdims=keepdims)
