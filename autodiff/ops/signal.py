"""Sampled functions: interpolation, convolution, differences and integrals along an axis, covariance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..apply import apply, as_array
from ..makers import at, bilinear, composite, op
from ..op import Op
from ..traced import every, held, plain
from .index import along

# -- interpolation -----------------------------------------------------------------------------------------------------


def _double(x: Any) -> Any:
    """As np.interp computes: in double precision, real or complex."""
    x = as_array(x)
    return x.astype(complex if x.dtype.kind == "c" else float, copy=False)


pick: Op = op(
    lambda t, j: t[j],
    lambda d, y, t, j: apply(drop, (d, j), {"size": t.shape[0]}),
    None,
    name="pick",
    jvps=(lambda s, y, t, j: apply(pick, (s, j), {}), None),
    guard=None,
    examples=(at((5,), (3,), draw=(None, lambda rng, shape: rng.integers(0, 5, shape))),),
    formulas=("δt[j] += δy", ""),
    note="elements of a table at positions that are values themselves, so that a replay finds them anew",
)

drop: Op = op(
    lambda v, j, *, size: _dropped(v, j, size),
    lambda d, y, v, j, *, size: apply(pick, (d, j), {}),
    None,
    name="drop",
    jvps=(lambda t, y, v, j, *, size: apply(drop, (t, j), {"size": size}), None),
    guard=None,
    examples=(at((3,), (3,), size=5, draw=(None, lambda rng, shape: rng.integers(0, 5, shape))),),
    formulas=("δv = δy[j]", ""),
    note="the transpose of pick",
)


def _dropped(v: Any, j: Any, size: int) -> Any:
    y = np.zeros(size, v.dtype)
    np.add.at(y, j, v)
    return y


def _around(x: Any, xp: Any, fp: Any) -> tuple[Any, Any, Any, Any]:
    """The knots j and k on either side of each x, the share of knot k in its value, the slope between them.

    At a knot the line to its right, at the last knot the one to its left; beyond the knots the slope is 0.
    """
    n = xp.shape[0]
    j = np.maximum(np.minimum(np.searchsorted(xp, x, side="right") - 1, n - 2), 0)
    k = np.minimum(j + 1, n - 1)
    start, inside = pick(xp, j), (x >= xp[0]) & (x <= xp[-1])
    gap = pick(xp, k) - start
    gap = np.where(gap == 0, 1, gap)  # a single knot
    share = np.where(inside, (x - start) / gap, np.where(x > xp[-1], 1.0, 0.0))
    return j, k, share, np.where(inside, (pick(fp, k) - pick(fp, j)) / gap, 0)


def _at_knots(d: Any, j: Any, k: Any, share: Any, size: int) -> Any:
    return drop(d * (1 - share), j, size=size) + drop(d * share, k, size=size)


def _interp_x(d: Any, y: Any, x: Any, xp: Any, fp: Any) -> Any:
    return d * _around(x, xp, fp)[3]


def _interp_xp(d: Any, y: Any, x: Any, xp: Any, fp: Any) -> Any:
    j, k, share, slope = _around(x, xp, fp)
    return _at_knots(-d * slope, j, k, share, xp.shape[0])


def _interp_fp(d: Any, y: Any, x: Any, xp: Any, fp: Any) -> Any:
    j, k, share, _ = _around(x, xp, fp)
    return _at_knots(d, j, k, share, xp.shape[0])


def _knots(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.cumsum(rng.uniform(0.5, 1.0, shape))


def _points(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.uniform(-1.0, 6.0, shape)


interp = op(
    lambda x, xp, fp: np.interp(x, xp, fp),
    _interp_x,
    _interp_xp,
    _interp_fp,
    name="interp",
    examples=(
        at((4,), (5,), (5,), draw=(_points, _knots, None)), at((2, 3), (3,), (3,), draw=(_points, _knots, None)),
        at((), (4,), (4,), draw=(_points, _knots, None)), at((3,), (1,), (1,), draw=(_points, _knots, None)),
    ),
    formulas=(
        "δx = δy · slope", "δxpⱼ += −δy · slope · (share of knot j)", "δfpⱼ += δy · (share of knot j)",
    ),
    note="at a knot the slope to its right, at the last knot the one to its left, beyond the knots 0",
)  # fmt: skip


@composite(np.interp)
def _interp_of(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    x, xp, fp = _double(x), _double(xp), _double(fp)
    if "c" in (x.dtype.kind, xp.dtype.kind):
        raise TypeError("np.interp: x and xp must be real")
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if len(xp) != len(fp):
        raise ValueError("fp and xp are not of the same length")
    if period is not None:
        if np.any(every(period) == 0):
            raise ValueError("period must be a non-zero value")
        period, left, right = np.abs(period), None, None
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = pick(xp, order), pick(fp, order)
        xp = np.concatenate((xp[-1:] - period, xp, xp[:1] + period))
        fp = np.concatenate((fp[-1:], fp, fp[:1]))
    if any(np.ndim(x) for x in (left, right) if x is not None):
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
    y = interp(x, xp, fp)
    y = y if left is None else np.where(x < xp[0], left, y)
    return y if right is None else np.where(x > xp[-1], right, y)


# -- convolution -------------------------------------------------------------------------------------------------------


def _full(d: Any, n: int, m: int, mode: str) -> Any:
    """A δ of the whole convolution of n and m elements, with zeros where `mode` leaves results out."""
    missing = n + m - 1 - d.shape[0]
    before = {"full": 0, "same": (min(n, m) - 1) // 2, "valid": min(n, m) - 1}[mode]
    return np.pad(d, (before, missing - before)) if missing else d


def _factor(d: Any, shape: tuple[int, ...], other: Any, mode: str) -> Any:
    """δ of one factor: δ of the whole convolution against the other factor, reversed."""
    return np.convolve(_full(d, shape[0], other.shape[0], mode), np.flip(other), "valid")


convolve = bilinear(
    lambda a, v, *, mode="full": np.convolve(a, v, mode),
    lambda d, y, a, v, *, mode="full": _factor(d, a.shape, v, mode),
    lambda d, y, a, v, *, mode="full": _factor(d, v.shape, a, mode),
    name="convolve",
    numpy=(np.convolve,),
    examples=(
        at((5,), (3,)), at((2,), (4,)), at((5,), (4,), mode="same"), at((3,), (6,), mode="same"),
        at((5,), (2,), mode="valid"), at((2,), (5,), mode="valid"), at((1,), (1,)),
    ),
    formulas=("δaᵢ = Σ over k of δyₖ·vₖ₋ᵢ", "δvⱼ = Σ over k of δyₖ·aₖ₋ⱼ"),
)  # fmt: skip


def _mode(mode: Any) -> str:
    """NumPy's modes, which may be numbers."""
    name = {0: "valid", 1: "same", 2: "full"}.get(mode, mode) if not isinstance(mode, str) else mode
    if name not in ("valid", "same", "full"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    return str(name)


def _vectors(a: Any, v: Any) -> tuple[Any, Any]:
    a, v = as_array(a), as_array(v)
    a, v = (np.reshape(x, (1,)) if x.ndim == 0 else x for x in (a, v))
    if a.ndim != 1 or v.ndim != 1:
        raise ValueError("object too deep for desired array")
    if len(a) == 0 or len(v) == 0:
        raise ValueError(f"{'a' if len(a) == 0 else 'v'} cannot be empty")
    return a, v


@composite(np.convolve)
def _convolve_of(a: Any, v: Any, mode: Any = "full") -> Any:
    mode = _mode(mode)
    return apply(convolve, _vectors(a, v), {} if mode == "full" else {"mode": mode})


@composite(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """A convolution with the second signal conjugated and reversed; the shorter one is the one that slides."""
    if 0 in (np.ndim(as_array(a)), np.ndim(as_array(v))):
        raise ValueError("object of too small depth for desired array")
    a, v = _vectors(a, v)
    if len(a) < len(v):
        return np.flip(_conj(np.correlate(v, a, mode)))
    return np.convolve(a, np.flip(_conj(v)), mode)


def _conj(x: Any) -> Any:
    """The conjugate, of bools as well, which np.conj makes whole numbers of."""
    return np.conj(x) if x.dtype.kind == "c" else x


# -- differences and integrals -----------------------------------------------------------------------------------------


@composite(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    width, y = dx, as_array(y)
    if y.ndim == 0:
        return np.trapezoid(plain(y))  # which raises
    if x is not None:
        width = np.diff(x, axis=axis if np.ndim(x) > 1 else -1)
        if np.ndim(x) == 1:
            width = np.reshape(width, [-1 if i == axis % np.ndim(y) else 1 for i in range(np.ndim(y))])
    later, earlier = along(axis, y.ndim, slice(1, None)), along(axis, y.ndim, slice(None, -1))
    return np.sum(width * (y[later] + y[earlier]) / 2.0, axis=axis)


@composite(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """What is added are whole periods, so that the derivative with respect to p is that of p itself."""
    p = as_array(p)
    step = np.diff(p, axis=axis)
    dtype = np.result_type(step.dtype, period)
    half, odd = divmod(period, 2) if dtype.kind in "iu" else (period / 2, 0)
    wrapped = np.remainder(step - -half, period) - half
    if not odd:  # a step of half a period may go either way: it keeps its sign
        wrapped = np.where((wrapped == -half) & (step > 0), wrapped + period, wrapped)
    added = np.where(np.abs(step) < (period / 2 if discont is None else discont), 0, wrapped - step)
    first, rest = along(axis, p.ndim, slice(None, 1)), along(axis, p.ndim, slice(1, None))
    return np.concatenate([p[first], p[rest] + np.cumsum(added, axis=axis)], axis=axis).astype(dtype, copy=False)


@composite(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = as_array(f)
    f = f if f.dtype.kind in "fcb" else f.astype(float)  # bools NumPy does not subtract
    axes = range(f.ndim) if axis is None else normalize_axis_tuple(axis, f.ndim)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if len(varargs) not in (0, 1, len(axes)) or (len(varargs) == 1 != len(axes) and np.ndim(varargs[0])):
        raise TypeError("invalid number of arguments")
    spacings = varargs * len(axes) if len(varargs) == 1 != len(axes) else varargs or (1.0,) * len(axes)
    slopes = []
    for i, spacing in zip(axes, spacings, strict=True):
        if f.shape[i] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
                "required."
            )
        if np.ndim(spacing) > 1:
            raise ValueError("distances must be either scalars or 1d")
        if np.ndim(spacing) and len(spacing) != f.shape[i]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        rows = np.moveaxis(f, i, -1)
        y = np.moveaxis(_slopes(rows, _spacing(spacing), edge_order), -1, i)
        slopes.append(y.astype(f.dtype, copy=False))
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _spacing(spacing: Any) -> Any:
    """One distance, or those between neighbours: of constants that are all equal, one."""
    if np.ndim(spacing) == 0:
        return spacing
    if plain(spacing) is not spacing:
        return np.diff(spacing)
    points = np.asarray(spacing)
    steps = np.diff(points if points.dtype.kind in "fc" else points.astype(float))
    return steps[0] if (steps == steps[0]).all() else steps


def _slopes(f: Any, h: Any, edge_order: int) -> Any:
    """Along the last axis: from both neighbours inside, from one side at the ends."""
    if np.ndim(h) == 0:
        middle = (f[..., 2:] - f[..., :-2]) / (2.0 * h)
        ends = [(-1.5 / h, 2.0 / h, -0.5 / h), (0.5 / h, -2.0 / h, 1.5 / h)]
        first = last = h
    else:
        p, q = h[:-1], h[1:]
        middle = (
            -q / (p * (p + q)) * f[..., :-2] + (q - p) / (p * q) * f[..., 1:-1] + p / (q * (p + q)) * f[..., 2:]
        )
        first, last = h[0], h[-1]
        ends = []
        if edge_order == 2:
            p, q = h[0], h[1]
            ends.append((-(2.0 * p + q) / (p * (p + q)), (p + q) / (p * q), -p / (q * (p + q))))
            p, q = h[-2], h[-1]
            ends.append((q / (p * (p + q)), -(q + p) / (p * q), (2.0 * q + p) / (q * (p + q))))
    if edge_order == 1:
        left, right = (f[..., 1:2] - f[..., :1]) / first, (f[..., -1:] - f[..., -2:-1]) / last
    else:
        (a, b, c), (u, v, w) = ends
        left = a * f[..., :1] + b * f[..., 1:2] + c * f[..., 2:3]
        n = f.shape[-1]
        right = u * f[..., n - 3 : n - 2] + v * f[..., n - 2 : n - 1] + w * f[..., n - 1 :]
    return np.concatenate([left, middle, right], axis=-1)


# -- covariance --------------------------------------------------------------------------------------------------------


def _rows(x: Any, dtype: Any, rowvar: Any) -> Any:
    x = as_array(x).astype(dtype, copy=False)
    if x.ndim > 2:
        raise ValueError("an array of observations has no more than 2 dimensions")
    return np.reshape(x, (1, -1)) if x.ndim < 2 else x if rowvar else np.transpose(x)


def _frequencies(fweights: Any, aweights: Any, n: int) -> Any:
    """The product of both kinds of weights, or None; NumPy's own errors."""
    found: Any = None
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        w = as_array(weights).astype(float, copy=False)
        if name == "fweights" and not np.all(every(w) == np.around(every(w))):
            raise TypeError("fweights must be integer")
        if w.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if w.shape[0] != n:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
        if np.any(every(w) < 0):
            raise ValueError(f"{name} cannot be negative")
        found = w if found is None else found * w
    return found


@composite(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    if dtype is None:
        dtype = np.result_type(*(np.asarray(held(a)).dtype for a in (m, y) if a is not None), np.float64)
    rows = _rows(m, dtype, rowvar)
    if y is not None:  # one row stays a row, as in NumPy
        rows = np.concatenate([rows, _rows(y, dtype, rowvar or np.shape(y)[:1] == (1,))], axis=0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = _frequencies(fweights, aweights, rows.shape[1])
    if w is None:
        centre, n = np.mean(rows, axis=1, keepdims=True), rows.shape[1] - ddof
    else:
        total = np.sum(w)
        centre = np.sum(rows * w, axis=1, keepdims=True) / total
        n = total - ddof * (1 if aweights is None else np.sum(w * aweights) / total)
    if plain(n) <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=3)
        n = 0.0
    centred = (rows - centre).astype(dtype, copy=False)  # the dtype of what NumPy computes in place
    c = np.matmul(centred, np.conj(np.transpose(centred if w is None else centred * w)))
    y = (c * np.true_divide(1, n)).astype(c.dtype, copy=False)
    if plain(n) == 0 and rows.shape[1]:  # the nan of 0·∞ moves with both rows, so that its slopes are nan as well
        moving = np.sum(rows * np.nan, axis=1).astype(c.dtype, copy=False)
        y = np.where(plain(c) == 0, moving[:, None] + moving, y)
    return np.squeeze(y)


@composite(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    """Each covariance over both standard deviations; kept within [−1, 1], as NumPy does."""
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviation[:, None] / deviation[None, :]
    return _within_one(c) if c.dtype.kind != "c" else _within_one(np.real(c)) + 1j * _within_one(np.imag(c))


def _within_one(c: Any) -> Any:
    """Clipped to [−1, 1]; a nan stays the nan that it is, with its slopes."""
    return np.where(np.isnan(c), c, np.clip(c, -1, 1))
