"""Linear algebra: inverses and factorisations.

The rules are those of M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008); of cholesky, I. Murray, "Differentiation of the Cholesky decomposition" (2016); of
qr, D. Roberts and L. Roberts, "QR and LQ decomposition matrix backpropagation algorithms" (2020).

Everything works on stacks of matrices over the leading axes, real or complex. By the convention for complex numbers the
adjoint of a linear map is its plain transpose; where a function itself conjugates (cholesky, qr, norm) its rule does.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import DegenerateWarning, NoRuleError, message, warn
from ..makers import at, composite, flat, op
from ..rules import unbroadcast
from ..traced import every, plain
from .contract import conjugated, transposed
from .flat import stop_gradient


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conjugated(transposed(x))


def each(x: Any) -> Any:
    """One number a matrix, against the two axes of the matrix."""
    return x[..., None, None]


def nowhere(lost: Any, x: Any, a: Any) -> Any:
    """x, but nan where it is lost: a nan that depends on A, so that its own derivatives are nan and not zero."""
    if not np.any(every(lost)):
        return x
    nan = np.real(np.matmul(a, np.full((a.shape[-1], 1), np.nan, a.dtype))[..., :1, :])
    moving = (nan if x.ndim == a.ndim else nan[..., 0]) * np.full(x.shape, np.nan, nan.dtype)
    return np.where(lost, moving, x)


def lower_half(n: int, dtype: Any) -> Any:
    """The mask that keeps what lies below the diagonal and half of the diagonal itself."""
    return np.tri(n, k=-1, dtype=dtype) + np.eye(n, dtype=dtype) / 2


def mirrored(x: Any, transpose: bool = False) -> Any:
    """The Hermitian matrix of which only the lower triangle of x is read; or the transpose of that map."""
    half = lower_half(x.shape[-1], x.dtype)
    return (x + adjoint(x)) * half if transpose else x * half + adjoint(x * half)


def regular(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices far from singular: random, with a heavier diagonal."""
    return rng.standard_normal(shape) + 2 * shape[-1] * np.eye(shape[-2], shape[-1])


def definite(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Symmetric positive definite matrices."""
    x = rng.standard_normal(shape)
    return x @ transposed(x) + shape[-1] * np.eye(shape[-1])


def singular(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices in which the last row is the sum of the others."""
    x = rng.standard_normal(shape)
    x[..., -1, :] = x[..., :-1, :].sum(-2)
    return x


def separated(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices whose singular values lie well apart."""
    u, s, vh = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    return (u * np.arange(1.0, 1 + s.shape[-1])) @ vh


def separated_with_rest(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """The same, with one zero singular value where the matrix is square."""
    u, s, vh = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    return (u * np.arange(s.shape[-1])) @ vh


# -- columns of a unitary matrix that are any basis of what the first ones leave ---------------------------------------


def folded(name: str, g: Any, q: Any, k: int) -> tuple[Any, Any, Any]:
    """The first k columns of Q, their gradient with that of the rest Q₂ folded in, and where that is undefined.

    Q stays unitary, so dQ₂ = −Q₁·(dQ₁ᴴ·Q₂) + Q₂·Ω. A function that no choice of basis changes has Q₂ᴴ·G₂ Hermitian, and
    the skew Ω, which nothing determines, does not count.
    """
    rest = q[..., k:]
    q = q[..., :k]
    if g is None:
        return q, np.zeros(q.shape, q.dtype), np.zeros(q.shape[:-2], bool)
    lost = np.zeros(q.shape[:-2], bool)
    if rest.shape[-1]:
        beyond = g[..., k:]
        inner = adjoint(rest) @ beyond
        size = np.sum(np.abs(stop_gradient(beyond)), axis=(-2, -1))
        skew = np.max(np.abs(stop_gradient(inner - adjoint(inner))), axis=(-2, -1))
        lost = skew > 64 * np.finfo(q.dtype).eps * size
        if np.any(every(lost)):
            warn_of_basis(name, "δ is nan")
        g = g[..., :k] - rest @ (adjoint(beyond) @ q)
    return q, g, lost


def free_tangent(name: str, t: Any, q: Any, rest: Any) -> Any:
    """Q̇₂ = −Q₁·(Q̇₁ᴴ·Q₂), the least that keeps Q unitary."""
    if rest.shape[-1] > (q.dtype.kind != "c"):
        warn_of_basis(name, "their tangent is the least one, right for every function that no such choice changes")
    return -q @ (adjoint(t) @ rest)


def warn_of_basis(name: str, value: str) -> None:
    """Say that the columns which fill up a unitary matrix have no derivative of their own."""
    warn(
        DegenerateWarning,
        f"{name}: the columns beyond the {'singular values' if name == 'svd' else 'columns of a'} have no derivative",
        f"they are any basis of what the first ones leave: {value}",
        "use them as a space (the projection Q₂·Q₂ᴴ), or leave them out: "
        + ("full_matrices=False" if name == "svd" else "mode='reduced'"),
    )


# -- inverse and solution: d(A⁻¹) = −A⁻¹·dA·A⁻¹ ------------------------------------------------------------------------

inv = op(
    np.linalg.inv,
    lambda d, y, a: -transposed(y) @ d @ transposed(y),
    jvps=(lambda t, y, a: -y @ t @ y,),
    numpy=(np.linalg.inv,),
    examples=(at((3, 3), draw=regular), at((2, 4, 4), draw=regular), at((1, 1), draw=regular), at((0, 0))),
    formulas=("δA = −Yᵀ·δY·Yᵀ",),
)


def _solve(d: Any, y: Any, a: Any, b: Any, *, wanted: tuple[bool, bool]) -> Any:
    """δB solves AᵀδB = δY, and δA = −δB·Yᵀ takes it from there; a vector b is a matrix of one column."""
    column = b.ndim == 1
    db = np.linalg.solve(transposed(a), d[..., None] if column else d)
    da = -db @ transposed(y[..., None] if column else y) if wanted[0] else None
    return (
        None if da is None else unbroadcast(da, a.shape),
        unbroadcast(db[..., 0] if column else db, b.shape) if wanted[1] else None,
    )


def _solve_columns(a: Any, right: Any, column: bool) -> Any:
    return np.linalg.solve(a, right[..., None])[..., 0] if column else np.linalg.solve(a, right)


solve = op(
    np.linalg.solve,
    joint=_solve,
    arity=2,
    jvps=(
        lambda t, y, a, b: _solve_columns(a, -(t @ y[..., None])[..., 0] if b.ndim == 1 else -t @ y, b.ndim == 1),
        lambda t, y, a, b: _solve_columns(a, t, b.ndim == 1),
    ),
    numpy=(np.linalg.solve,),
    examples=(
        at((3, 3), (3,), draw=(regular, None)), at((3, 3), (3, 2), draw=(regular, None)),
        at((2, 3, 3), (3,), draw=(regular, None)), at((2, 3, 3), (3, 2), draw=(regular, None)),
        at((3, 3), (2, 3, 1), draw=(regular, None)), at((1, 1), (1,), draw=(regular, None)), at((0, 0), (0,)),
    ),
    formulas=("δA = −δB·Yᵀ", "δB = (Aᵀ)⁻¹·δY"),
)  # fmt: skip


def solve_by_factor(a: Any, b: Any, inverse: Any) -> Any:
    """A⁻¹·B by the inverse of A's Cholesky factor; the factor knows one triangle of A, so the other is compared."""
    return inverse.T @ (inverse @ b) if np.array_equal(a, a.T) else np.linalg.solve(a, b)


@composite(np.linalg.tensorinv)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = a.shape
    columns = math.prod(shape[ind:])
    return np.reshape(np.linalg.inv(np.reshape(a, (columns, -1))), shape[ind:] + shape[:ind])


@composite(np.linalg.tensorsolve)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        a = np.moveaxis(a, axes, range(np.ndim(a) - len(axes), np.ndim(a)))
    shape = np.shape(a)[np.ndim(b) :]
    count = math.prod(shape)
    if math.prod(np.shape(a)) != count**2:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement             prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return np.reshape(np.linalg.solve(np.reshape(a, (count, count)), np.reshape(b, (-1,))), shape)


@composite(np.linalg.matrix_power)
def _matrix_power(a: Any, n: Any) -> Any:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or not hasattr(n, "__index__"):
        return np.linalg.matrix_power(plain(a), n)  # which raises
    n = operator.index(n)
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy()
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 1:
        return np.copy(a)
    if n == 3:
        return (a @ a) @ a
    result = None
    while n:  # square and multiply, from the lowest bit
        if n & 1:
            result = a if result is None else result @ a
        n >>= 1
        if n:
            a = a @ a
    return result


# -- factorisations ----------------------------------------------------------------------------------------------------


_LEAF = 24
"""Columns up to which LAPACK inverts a triangle as any matrix: smaller ones cost more calls than they save."""

_HALVES = 128
"""Columns from which the zeros of triangles are left out of products: below, the calls cost more than they save."""


def _inverse_of_lower(a: Any) -> Any:
    """[[A, 0], [B, C]]⁻¹ = [[A⁻¹, 0], [−C⁻¹·B·A⁻¹, C⁻¹]]: nearly all of the work is in products.

    First all small blocks on the diagonal, then pairs of them, each size at once, in one array that is filled up with
    a unit matrix.
    """
    n, count = a.shape[-1], 1
    while n > _LEAF * count:
        count *= 2
    if count == 1:
        return np.linalg.inv(np.tril(a))
    size = -(-n // count)
    whole = size * count
    y = np.zeros((*a.shape[:-2], whole, whole), a.dtype)
    y[..., :n, :n] = np.tril(a)
    y[..., range(n, whole), range(n, whole)] = 1
    *lead, down, right = y.strides

    def diagonal(size: int) -> Any:
        shape = (*a.shape[:-2], whole // size, size, size)
        return as_strided(y, shape, (*lead, (down + right) * size, down, right))

    diagonal(size)[...] = np.linalg.inv(diagonal(size))
    while size < whole:
        k, size = size, 2 * size
        pair = diagonal(size)
        pair[..., k:, :k] = -pair[..., k:, k:] @ (pair[..., k:, :k] @ pair[..., :k, :k])
    return y[..., :n, :n]


inverse_of_lower = op(
    _inverse_of_lower,
    lambda d, y, a: np.tril(-transposed(y) @ d @ transposed(y)),
    jvps=(lambda t, y, a: -y @ np.tril(t) @ y,),
    name="inverse_of_lower",
    examples=(
        at((3, 3), draw=regular), at((2, 4, 4), draw=regular), at((1, 1), draw=regular), at((0, 0)),
        at((50, 50), draw=lambda rng, shape: np.eye(50) + rng.standard_normal(shape) / 50),
    ),
    formulas=("δA = −Yᵀ·δY·Yᵀ, its lower triangle",),
    note="the inverse of a lower triangle; what stands above it is not read",
)  # fmt: skip


def _cholesky(d: Any, y: Any, a: Any, *, upper: bool = False) -> Any:
    """With Φ the mask of `lower_half`: Q = L⁻ᵀ·Φ(Lᵀ·δL)·conj(L)⁻¹, and δA = Φ(Q + Qᴴ)."""
    if upper:
        d, y = adjoint(d), adjoint(y)
    da = (_pulled_back if y.shape[-1] < _HALVES else _pulled_back_in_halves)(d, y, inverse_of_lower(y))
    return adjoint(da) if upper else da


def _pulled_back(d: Any, y: Any, inverse: Any) -> Any:
    keep = lower_half(y.shape[-1], y.dtype)
    q = transposed(inverse) @ ((transposed(y) @ d) * keep) @ conjugated(inverse)
    return (q + adjoint(q)) * keep


def _pulled_back_in_halves(d: Any, y: Any, inverse: Any) -> Any:
    """The same in blocks [[11, 0], [21, 22]]: thirteen products of eight to a full one, not twenty-four."""
    k = y.shape[-1] // 2
    first, last = lower_half(k, y.dtype), lower_half(y.shape[-1] - k, y.dtype)
    (d11, d21, d22), (y11, y21, y22), (i11, i21, i22) = (
        (x[..., :k, :k], x[..., k:, :k], x[..., k:, k:]) for x in (d, y, inverse)
    )
    m11 = (transposed(y11) @ d11 + transposed(y21) @ d21) * first
    m21, m22 = transposed(y22) @ d21, (transposed(y22) @ d22) * last
    c11, c21, c22 = conjugated(i11), conjugated(i21), conjugated(i22)
    x11, x21, x22 = m11 @ c11, m21 @ c11 + m22 @ c21, m22 @ c22
    q11 = transposed(i11) @ x11 + transposed(i21) @ x21
    q12, q21, q22 = transposed(i21) @ x22, transposed(i22) @ x21, transposed(i22) @ x22
    above = np.concatenate([(q11 + adjoint(q11)) * first, np.zeros_like(q12)], axis=-1)
    return np.concatenate([above, np.concatenate([q21 + adjoint(q12), (q22 + adjoint(q22)) * last], axis=-1)], axis=-2)


def _cholesky_tangent(t: Any, y: Any, a: Any, *, upper: bool = False) -> Any:
    """L̇ = L·Φ(L⁻¹·Ḣ·L⁻ᴴ), where Ḣ is the triangle of Ȧ that is read and its mirror."""
    if upper:
        t, y = adjoint(t), adjoint(y)
    keep = lower_half(y.shape[-1], y.dtype)
    h = t * keep
    half = adjoint(np.linalg.solve(y, h + adjoint(h)))
    ty = y @ (np.linalg.solve(y, half) * keep)
    return adjoint(ty) if upper else ty


cholesky = op(
    np.linalg.cholesky,
    _cholesky,
    jvps=(_cholesky_tangent,),
    numpy=(np.linalg.cholesky,),
    examples=(
        at((3, 3), draw=definite), at((2, 4, 4), draw=definite), at((3, 3), draw=definite, upper=True),
        at((1, 1), draw=definite), at((0, 0)),
    ),
    formulas=("δA = Φ(Q + Qᴴ) with Q = L⁻ᵀ·Φ(Lᵀ·δL)·conj(L)⁻¹; Φ keeps the lower triangle and half of the diagonal",),
    # The derivative is that of the function that NumPy computes, so that a difference quotient agrees entry by entry.
    # A symmetric matrix that was computed from something else receives the same δ as from a symmetrised rule.
    note="NumPy reads one triangle only, so δA is zero in the other and counts both in the one that is read",
)  # fmt: skip


def _independent(r: Any, *used: Any) -> Any:
    """Where no diagonal element of R is zero, so that the columns have one R and one Q; a warning where one may be."""
    size = np.abs(np.einsum("...ii->...i", stop_gradient(r)))
    near = size <= max(r.shape[-2:]) * np.finfo(r.dtype).eps * np.max(size, axis=-1, keepdims=True, initial=0)
    if np.any(every(near)) and any(np.any(every(d)) for d in used):
        warn(
            DegenerateWarning,
            "qr: one of the first columns depends on those before it, or rounding decides whether it does",
            "its direction in Q is not determined, and where R has a zero on its diagonal a derivative is nan",
            "functions that need neither: np.linalg.norm, det, pinv, lstsq",
        )
    return np.all(size > 0, axis=-1)


def _qr(d: Any, y: Any, a: Any, *, complete: bool = False) -> Any:
    """δA = (δQ + conj(Q)·H)·R⁻ᵀ, where the Hermitian H has the upper triangle of δR·Rᵀ − Qᵀ·δQ.

    A wide A is [A₁ A₂] with A₁ = Q·R₁ square and R₂ = Qᴴ·A₂.
    """
    (dq, dr), (q, r), rest = d, y, None
    k = min(a.shape[-2:])
    q, gq, lost = folded("qr", None if dq is None else conjugated(dq), q, k)
    dq, r = conjugated(gq), r[..., :k, :]
    dr = np.zeros(r.shape, r.dtype) if dr is None else dr[..., :k, :]
    if r.shape[-1] > k:
        dr2, a2 = dr[..., k:], a[..., k:]
        rest = conjugated(q) @ dr2
        dq = dq + conjugated(a2 @ transposed(dr2))
        dr, r = dr[..., :k], r[..., :k]
    upper = (dr @ transposed(r) - transposed(q) @ dq) * lower_half(k, q.dtype).T
    middle = dq + conjugated(q) @ (upper + adjoint(upper))
    exists = _independent(r, dq, dr)
    r = np.where(each(exists), r, np.eye(k, dtype=r.dtype))
    da = transposed(np.linalg.solve(r, transposed(middle)))
    return nowhere(each(lost | ~exists), da if rest is None else np.concatenate([da, rest], axis=-1), a)


def _qr_tangent(t: Any, y: Any, a: Any, *, complete: bool = False) -> Any:
    """With M = Qᴴ·Ȧ·R⁻¹ and the skew Ω that has its lower triangle: Q̇ = Q·(Ω − M) + Ȧ·R⁻¹, Ṙ = (M − Ω)·R."""
    q, r = y
    k, zeros = min(a.shape[-2:]), r[..., min(a.shape[-2:]) :, :]
    q, free, r, r2 = q[..., :k], q[..., k:], r[..., :k, :k], r[..., :k, k:]
    exists = _independent(r, t)
    r = np.where(each(exists), r, np.eye(k, dtype=r.dtype))
    scaled = transposed(np.linalg.solve(transposed(r), transposed(t[..., :k])))
    m = adjoint(q) @ scaled
    low = m * np.tri(k, k=-1, dtype=q.dtype)
    omega = low - adjoint(low)
    if q.dtype.kind == "c":
        omega = omega + 1j * np.imag(m) * np.eye(k, dtype=r.real.dtype)
    tq, tr = scaled + q @ (omega - m), (m - omega) @ r
    if r2.shape[-1]:
        tr = np.concatenate([tr, adjoint(q) @ t[..., k:] - omega @ r2], axis=-1)
    if free.shape[-1]:
        tq = np.concatenate([tq, free_tangent("qr", tq, q, free)], axis=-1)
        tr = np.concatenate([tr, np.zeros(zeros.shape, zeros.dtype)], axis=-2)
    return nowhere(each(~exists), tq, a), nowhere(each(~exists), tr, a)


qr = op(
    lambda a, *, complete=False: np.linalg.qr(a, mode="complete" if complete else "reduced"),
    _qr,
    jvps=(_qr_tangent,),
    name="qr",
    results=True,
    examples=(
        at((4, 3), draw=regular), at((3, 3), draw=regular), at((3, 4), draw=regular), at((2, 4, 2), draw=regular),
        at((1, 1), draw=regular), at((3, 1), draw=regular), at((0, 0)), at((3, 2), complete=True, draw=regular),
    ),
    formulas=("δA = (δQ + conj(Q)·H)·R⁻ᵀ, H Hermitian with the upper triangle of δR·Rᵀ − Qᵀ·δQ",),
    note="the first min(m, n) columns must be independent; a diagonal of R that is real, as LAPACK makes it; of the "
    "columns that mode='complete' adds only the space that they span has a δ",
)


@composite(np.linalg.qr)
def _qr_by_mode(a: Any, mode: str = "reduced") -> Any:
    if mode in ("r", "reduced"):
        return qr(a) if mode == "reduced" else qr(a)[1]
    if mode == "complete":
        return qr(a, complete=True) if np.shape(a)[-2] > np.shape(a)[-1] else qr(a)
    if mode in ("f", "full"):
        np.linalg.qr(np.eye(1), mode=mode)  # type: ignore[call-overload]  # NumPy's own word on this: a warning
        return qr(a)
    if mode in ("raw", "e", "economic"):
        raise NoRuleError(
            message(
                f"qr: mode={mode!r} has no derivative rule here",
                "Householder vectors are LAPACK's own affair",
                "use mode='reduced', 'complete' or 'r'",
            )
        )
    raise ValueError(f"Unrecognized mode '{mode}'")


# -- NumPy's names in its linear algebra for what works on the last two axes -------------------------------------------


@composite(np.linalg.trace)
def _trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x, offset, -2, -1, dtype)


@composite(np.linalg.diagonal)
def _diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return np.diagonal(x, offset, -2, -1)


@composite(np.linalg.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    return np.matrix_transpose(x)


matrix_rank = flat(
    np.linalg.matrix_rank,
    numpy=(np.linalg.matrix_rank,),
    accepts=("tol", "hermitian", "rtol"),
    examples=(
        at((3, 4)), at((2, 3, 3), draw=singular), at((3, 4), tol=0.1), at((3, 4), rtol=0.1),
        at((3, 3), draw=definite, hermitian=True),
    ),
    note="the rank jumps",
)  # fmt: skip
