"""Polynomials as NumPy writes them: a vector of coefficients, the highest power first."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import DegenerateWarning, warn
from ..makers import at, composite, op
from ..traced import plain
from .flat import stop_gradient


def _coefficients(p: Any) -> Any:
    """As an array with at least one axis; those of a np.poly1d, which may hold a tensor."""
    return np.atleast_1d(as_array(p.coeffs if isinstance(p, np.poly1d) else p))


def _of_their_kind(y: Any, *given: Any) -> Any:
    """A np.poly1d where one was given, as NumPy returns it."""
    return np.poly1d(y) if any(isinstance(p, np.poly1d) for p in given) else y


# -- sums, products, quotients -----------------------------------------------------------------------------------------


def _aligned(p: Any, n: int) -> Any:
    """The same polynomial with at least n coefficients, zeros in front."""
    return np.concatenate([np.zeros(n - len(p), p.dtype), p]) if n > len(p) else p


@composite(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    p, q = _coefficients(a1), _coefficients(a2)
    return _of_their_kind(_aligned(p, len(q)) + _aligned(q, len(p)), a1, a2)


@composite(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    p, q = _coefficients(a1), _coefficients(a2)
    return _of_their_kind(_aligned(p, len(q)) - _aligned(q, len(p)), a1, a2)


def _trimmed(p: Any) -> Any:
    """Without the zeros in front; of nothing but zeros one is left."""
    held = np.flatnonzero(plain(p))
    return p[held[0] :] if len(held) else np.zeros(1, p.dtype)


@composite(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    return _of_their_kind(np.convolve(_trimmed(_coefficients(a1)), _trimmed(_coefficients(a2))), a1, a2)


@composite(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """Long division. What is left of the remainder in front is rounding, and is dropped where NumPy drops it."""
    rest, by = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    if not len(rest) or not len(by):
        np.polydiv(np.zeros(len(rest)), np.ones(len(by)))  # NumPy's error
    m, n, dtype = len(rest) - 1, len(by) - 1, np.result_type(rest.dtype, by.dtype)
    rest, scale = rest.astype(dtype, copy=False), 1.0 / by[0]
    quotient = []
    for k in range(m - n + 1):
        quotient.append(scale * rest[k])
        rest = np.concatenate([rest[:k], rest[k : k + n + 1] - quotient[k] * by, rest[k + n + 1 :]])
    while len(rest) > 1 and np.allclose(plain(rest[0]), 0, rtol=1e-14):
        rest = rest[1:]
    y = np.stack(quotient) if quotient else np.zeros(1, dtype)
    return _of_their_kind(y, u, v), _of_their_kind(rest, u, v)


@composite(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb", axis: Any = None) -> Any:
    """What a np.poly1d does first: a slice along each axis, from the first that is not zero to the last."""
    np.trim_zeros(plain(filt), trim, **({} if axis is None else {"axis": axis}))  # NumPy's own errors
    if np.ndim(filt) == 0:
        return filt
    held = np.nonzero(plain(filt))
    axes = {i % filt.ndim for i in (range(filt.ndim) if axis is None else np.atleast_1d(axis).tolist())}
    index = []
    for places in held:
        first, last = (places.min(), places.max() + 1) if len(places) else (0, 0)
        from_front, from_back = "f" in trim.lower() or not len(places), "b" in trim.lower() or not len(places)
        index.append(slice(int(first) if from_front else None, int(last) if from_back else None))
    return filt[tuple(part if i in axes else slice(None) for i, part in enumerate(index))]


# -- derivatives, integrals, values ------------------------------------------------------------------------------------


def _sized(p: Any) -> None:
    """NumPy's own error where a number stands for a polynomial."""
    if isinstance(p, (int, float, complex)):
        iter(np.asarray(p))
    if getattr(p, "ndim", 1) == 0:
        len(np.asarray(plain(p)))


@composite(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    m = int(m)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    _sized(p)
    y = _coefficients(p)
    for _ in range(m):
        y = y[:-1] * np.arange(len(y) - 1, 0, -1)
    return _of_their_kind(y, p)


@composite(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """Each integral brings a constant of its own; one constant alone serves for all."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    k = _coefficients(np.zeros(m) if k is None else k)
    k = k[0] * np.ones(m) if len(k) == 1 and m > 1 else k
    if len(k) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    _sized(p)
    y = _coefficients(p)
    for constant in k[:m]:
        y = np.concatenate([y / np.arange(len(y), 0, -1), np.reshape(constant, (1,))])
    return _of_their_kind(y, p)


@composite(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Horner's rule."""
    if isinstance(x, np.poly1d):  # the polynomial of a polynomial
        y: Any = 0
    else:
        x = as_array(x)
        y = np.zeros(x.shape, x.dtype)
    _sized(p)
    for c in _coefficients(p):
        y = y * x + c
    return y


@composite(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n, dtype = len(x) if N is None else N, np.promote_types(x.dtype, int)
    x = x.astype(dtype, copy=False)
    positive = np.cumprod(np.broadcast_to(x[:, None], (len(x), max(n - 1, 0))), axis=1)
    powers = np.concatenate([np.ones((len(x), min(n, 1)), dtype), positive], axis=1)  # 1·inf is nan in complex numbers
    return powers if increasing else np.flip(powers, 1)


# -- zeros -------------------------------------------------------------------------------------------------------------


def _met(p: Any, z: Any) -> Any:
    """Which roots rounding cannot tell from another one: it moves z by more than p′ leaves for its own error."""
    slope, bend = np.polyval(np.polyder(p), z), np.polyval(np.polyder(p, 2), z)
    rounding = np.finfo(z.dtype).eps * np.polyval(np.abs(p), np.abs(z))
    return np.abs(slope) ** 2 <= 64 * rounding * np.abs(bend)


def _over_slope(x: Any, p: Any, z: Any) -> Any:
    """The quotient x / p′(z); nan where roots meet, unless x is zero."""
    met = _met(stop_gradient(p), stop_gradient(z))
    if np.any(plain(met)):
        warn(
            DegenerateWarning,
            "roots: δ is nan where roots meet, as far as rounding can tell",
            "they part infinitely fast when the coefficients move",
            "differentiate where they are apart, or write it in the coefficients: the sum of all roots is -p[1] / p[0]",
        )
    return np.where(met, np.where(x == 0, 0, np.nan), x / np.where(met, 1, np.polyval(np.polyder(p), z)))


def _apart(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Coefficients of a polynomial whose zeros are real and lie apart."""
    return np.poly(np.arange(1.0, shape[0]) + rng.uniform(0, 0.3, shape[0] - 1))


roots = op(
    lambda p: np.roots(p),
    # p(z) = 0 stays true: p′(z)·δz + Σ zᵏ·δpₖ = 0. Where p has zeros in front, its other roots move all the same
    lambda d, y, p: -np.matmul(_over_slope(d, p, y), np.vander(y, p.shape[0])),
    jvps=(lambda t, y, p: -_over_slope(np.matmul(np.vander(y, p.shape[0]), t), p, y),),
    name="roots",
    examples=(at((4,), draw=_apart), at((2,), draw=_apart), at((5,), draw=lambda rng, shape: np.arange(2.0, 7.0))),
    formulas=("δpₖ = −Σ over the roots z of δz·zᵏ / p′(z)",),
    note="where roots meet, as far as rounding can tell, they part infinitely fast: a δ that reaches them makes nan",
)


@composite(np.roots)
def _roots_of(p: Any) -> Any:
    p = _coefficients(p)
    if p.ndim != 1 or not np.any(plain(p)):
        return np.roots(plain(p))  # NumPy's error, or no roots at all
    return roots(p if p.dtype.kind in "fc" else p.astype(float))


def _by_matrix(d: Any, y: Any, a: Any) -> Any:
    """−Σ δyₖ₊₁·Mₖᵀ with Σ Mₖ·λⁿ⁻¹⁻ᵏ = adj(λ − A): M₀ = 1, Mₖ = A·Mₖ₋₁ + yₖ. No eigenvector, so that they may meet."""
    unit = np.eye(a.shape[0], dtype=a.dtype)
    m, total = unit, -d[1] * unit
    for k in range(1, a.shape[0]):
        m = np.matmul(a, m) + y[k] * unit
        total = total - d[k + 1] * np.transpose(m)
    return total


characteristic = op(
    lambda a: np.poly(a),
    _by_matrix,
    name="characteristic",
    examples=(at((3, 3)), at((1, 1)), at((2, 2), draw=lambda rng, shape: np.diag(rng.uniform(1, 2, shape[0])))),
    formulas=("δA = −Σ over k of δyₖ₊₁·Mₖᵀ, adj(λ − A) = Σ over k of Mₖ·λⁿ⁻¹⁻ᵏ",),
    note="the coefficients of det(λ − A): np.poly of a matrix",
)


@composite(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The product of x − z over all zeros z; real where the complex ones come in conjugate pairs."""
    zeros = _coefficients(seq_of_zeros)
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] != 0:
        return characteristic(zeros)
    if zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if len(zeros) == 0:
        return 1.0
    dtype = np.dtype(np.mintypecode(zeros.dtype.char))
    zeros = zeros.astype(dtype, copy=False)
    y: Any = np.ones(1, dtype)
    for zero in zeros:
        y = np.convolve(y, np.stack([np.ones((), dtype), -zero]))
    paired = dtype.kind == "c" and np.all(np.sort(plain(zeros)) == np.sort(np.conjugate(plain(zeros))))
    return np.copy(np.real(y)) if paired else y


# -- the polynomial nearest to data ------------------------------------------------------------------------------------


@composite(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: Any = False, w: Any = None, cov: Any = False) -> Any:
    """Least squares with each power of x scaled to length one."""
    order = int(deg) + 1
    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    w = None if w is None else as_array(w) + 0.0
    _check_data(x, y, w, order)
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    left, right = np.vander(x, order), y
    if w is not None:
        left, right = _times(left, w[:, None]), _times(right, w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(left * left, axis=0))
    left = left / scale
    c, residuals, rank, s = np.linalg.lstsq(left, right, rcond)
    c = np.transpose(np.transpose(c) / scale)
    if rank != order and not full:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=3)
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    spread: Any = np.linalg.inv(np.matmul(np.transpose(left), left)) / np.outer(scale, scale)
    if cov == "unscaled":
        factor: Any = 1
    elif len(x) <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    else:
        factor = residuals / (len(x) - order)
    return c, (spread if y.ndim == 1 else spread[:, :, None]) * factor


def _check_data(x: Any, y: Any, w: Any, order: int) -> None:
    """NumPy's own errors."""
    if order < 1:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")
    if w is not None and w.ndim != 1:
        raise TypeError("expected a 1-d array for weights")
    if w is not None and w.shape[0] != y.shape[0]:
        raise TypeError("expected w and y to have the same length")


def _times(a: Any, b: Any) -> Any:
    """The product in the dtype of the first factor, as NumPy writes it in place."""
    nothing = np.empty(0, a.dtype)
    nothing *= np.empty(0, b.dtype)  # NumPy's error where it does not fit
    y = a * b
    return y.astype(a.dtype, copy=False)
