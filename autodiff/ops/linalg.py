"""Linear algebra: inverses, determinants, factorisations, norms.

Everything works on stacks of matrices over the leading axes, real or complex. By the convention for complex numbers the
adjoint of a linear map is its plain transpose; where a function itself conjugates (cholesky, qr, norm) its rule does.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..errors import NoRuleError, message
from ..makers import at, composite, flat, op, refuse
from ..rules import unbroadcast
from .contract import conjugated, transposed
from .flat import stop_gradient


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conjugated(transposed(x))


def each(x: Any) -> Any:
    """One number a matrix, against the two axes of the matrix."""
    return x[..., None, None]


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
    n = operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
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


# -- determinants: d det A = Σ cof(A)∘dA -------------------------------------------------------------------------------


def _null_vectors(a: Any) -> Any:
    """The U and V with which A, once bordered, is far from singular: (2, n, m) a matrix; m = 0 where A itself is."""
    n = a.shape[-1]
    far = np.finfo(a.dtype).eps ** 0.25  # beyond it A⁻¹ would cost a quarter of the digits at each order
    none = np.zeros((*a.shape[:-2], 2, n, 0), a.dtype)
    if a.size == 0:
        return none
    try:
        reach = np.abs(a).sum(-1).max(-1) * np.abs(np.linalg.inv(a)).sum(-1).max(-1)
    except np.linalg.LinAlgError:
        reach = np.array(np.inf)
    if np.all(reach * far < 1):
        return none
    u, s, vh = np.linalg.svd(a)
    m = int((s <= far * s[..., :1]).sum(-1).max())
    return np.stack([u[..., n - m :], adjoint(vh[..., n - m :, :])], axis=-3)


null_vectors = flat(
    _null_vectors,
    name="null_vectors",
    examples=(at((3, 3)), at((3, 3), draw=singular)),
    note="a fixed basis in which det looks at its matrix; det does not depend on it",
)


def _small(w: Any) -> tuple[Any, Any]:
    """The determinant and the cofactors of W as polynomials, by the Faddeev–LeVerrier recurrence; exact at 0."""
    m = w.shape[-1]
    eye = np.eye(m, dtype=w.dtype)
    power, sign = np.broadcast_to(eye, w.shape), 1 if m % 2 else -1
    for k in range(1, m):
        step = w @ power
        power = step - each(np.sum(step * eye, axis=(-2, -1))) / k * eye
    return sign * np.sum((w @ power) * eye, axis=(-2, -1)) / m, sign * transposed(power)


def _cofactors(a: Any, y: Any) -> Any:
    """∂det/∂A, at singular matrices as well, and differentiable there to any order.

    Far from singular it is det A · A⁻ᵀ. Otherwise A is bordered to K = [[A, βU], [βVᴴ, 0]] with the singular vectors
    that almost vanish in A, and β the size of A. With X = K⁻¹ in the same blocks, det A = det K · det X₂₂, an identity
    in A for any fixed U, V, β. Its derivative is det K · (det X₂₂ · X₁₁ᵀ − X₂₁ᵀ·cof(X₂₂)·X₁₂ᵀ), here with X counted in
    units of 1/β so that only what is too large itself overflows; nothing is divided by a small number.
    """
    n = a.shape[-1]
    if n == 1:
        return np.ones(a.shape, a.dtype)
    exists = each(np.isfinite(np.sum(a, axis=(-2, -1))))
    a = np.where(exists, a, np.eye(n, dtype=a.dtype))
    border = null_vectors(a)
    m = border.shape[-1]
    if m == 0:
        return np.where(exists, each(y) * transposed(np.linalg.inv(a)), np.nan)
    into = np.eye(n + m, n, dtype=a.dtype)
    below = np.eye(n + m, dtype=a.dtype)[:, n:]
    beta = np.max(np.abs(stop_gradient(a)), axis=(-2, -1))
    beta = np.where(beta > 0, beta, 1)
    u, v = each(beta) * border[..., 0, :, :], each(beta) * border[..., 1, :, :]
    k = into @ a @ into.T + into @ u @ below.T + below @ adjoint(v) @ into.T
    sign, log = np.linalg.slogdet(k)
    x = each(beta) * np.linalg.inv(k)
    value, cofactors = _small(x[..., n:, n:])
    rank = transposed(x[..., n:, :n]) @ cofactors @ transposed(x[..., :n, n:])
    unit = sign * np.exp(log - (m + 1) * np.log(beta))
    return np.where(exists, each(unit) * (each(value) * transposed(x[..., :n, :n]) - rank), np.nan)


det = op(
    np.linalg.det,
    lambda d, y, a: each(d) * _cofactors(a, y),
    jvps=(lambda t, y, a: np.sum(t * _cofactors(a, y), axis=(-2, -1)),),
    numpy=(np.linalg.det,),
    examples=(
        at((3, 3)), at((2, 4, 4), draw=regular), at((1, 1)), at((3, 3), draw=singular), at((2, 4, 4), draw=singular),
        at((3, 3), draw=lambda rng, shape: np.outer(*rng.standard_normal((2, 3)))), at((0, 0)),
        at((2, 2), draw=lambda rng, shape: np.zeros(shape)), at((1, 1), draw=lambda rng, shape: np.zeros(shape)),
    ),
    formulas=("δA = δy·cof(A), the cofactors of A; det A·A⁻ᵀ where A is regular",),
)  # fmt: skip


def _slogdet(d: Any, y: Any, a: Any) -> Any:
    """δA = (δlog + i·Im(δsign·sign))·A⁻ᵀ, because log|det| and the phase are the two parts of log det."""
    dsign, dlog = d
    weight = np.zeros(y[1].shape, y[1].dtype) if dlog is None else dlog
    if dsign is not None and a.dtype.kind == "c":
        weight = weight + np.imag(dsign * y[0]) * 1j
    exists = np.isfinite(y[1])  # a singular matrix must not keep the others of its stack from theirs
    inverse = np.linalg.inv(np.where(each(exists), a, np.eye(a.shape[-1], dtype=a.dtype)))
    return each(weight * np.where(exists, 1.0, np.nan)) * transposed(inverse)


slogdet = op(
    np.linalg.slogdet,
    _slogdet,
    results=True,
    numpy=(np.linalg.slogdet,),
    examples=(at((3, 3)), at((2, 4, 4), draw=regular), at((1, 1)), at((0, 0))),
    formulas=("δA = δlogabsdet·A⁻ᵀ; complex: (δlogabsdet + i·Im(δsign·sign))·A⁻ᵀ",),
    note="the sign of a real matrix is flat; at a singular matrix log|det| is −inf and δ is nan",
)


# -- factorisations ----------------------------------------------------------------------------------------------------


def _lower(n: int, dtype: Any) -> Any:
    """The mask that keeps what lies below the diagonal and half of the diagonal itself."""
    return np.tri(n, k=-1, dtype=dtype) + np.eye(n, dtype=dtype) / 2


def _cholesky(d: Any, y: Any, a: Any, *, upper: bool = False) -> Any:
    """With Φ the mask of `_lower`: Q = L⁻ᵀ·Φ(Lᵀ·δL)·conj(L)⁻¹, and δA = Φ(Q + Qᴴ)."""
    if upper:
        d, y = adjoint(d), adjoint(y)
    keep = _lower(y.shape[-1], y.dtype)
    q = np.linalg.solve(transposed(y), (transposed(y) @ d) * keep)
    q = transposed(np.linalg.solve(adjoint(y), transposed(q)))
    da = (q + adjoint(q)) * keep
    return adjoint(da) if upper else da


cholesky = op(
    np.linalg.cholesky,
    _cholesky,
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


def _qr(d: Any, y: Any, a: Any) -> Any:
    """δA = (δQ + conj(Q)·H)·R⁻ᵀ, where the Hermitian H has the upper triangle of δR·Rᵀ − Qᵀ·δQ.

    A wide A is [A₁ A₂] with A₁ = Q·R₁ square and R₂ = Qᴴ·A₂.
    """
    q, r = y
    dq, dr = (np.zeros(part.shape, part.dtype) if dpart is None else dpart for dpart, part in zip(d, y, strict=True))
    k, rest = q.shape[-1], None
    if r.shape[-1] > k:
        dr2, a2 = dr[..., k:], a[..., k:]
        rest = conjugated(q) @ dr2
        dq = dq + conjugated(a2 @ transposed(dr2))
        dr, r = dr[..., :k], r[..., :k]
    upper = (dr @ transposed(r) - transposed(q) @ dq) * _lower(k, q.dtype).T
    middle = dq + conjugated(q) @ (upper + adjoint(upper))
    exists = np.isfinite(np.sum(1 / np.einsum("...ii->...i", r), axis=-1))  # else the columns are not independent
    r = np.where(each(exists), r, np.eye(k, dtype=r.dtype))
    da = each(np.where(exists, 1.0, np.nan)) * transposed(np.linalg.solve(r, transposed(middle)))
    return da if rest is None else np.concatenate([da, rest], axis=-1)


qr = op(
    np.linalg.qr,
    _qr,
    results=True,
    numpy=(np.linalg.qr,),
    examples=(
        at((4, 3), draw=regular), at((3, 3), draw=regular), at((3, 4), draw=regular), at((2, 4, 2), draw=regular),
        at((1, 1), draw=regular), at((3, 1), draw=regular),
    ),
    formulas=("δA = (δQ + conj(Q)·H)·R⁻ᵀ, H Hermitian with the upper triangle of δR·Rᵀ − Qᵀ·δQ",),
    note="the first min(m, n) columns must be independent; a diagonal of R that is real, as LAPACK makes it",
)


@composite(np.linalg.qr)
def _qr_by_mode(a: Any, mode: str = "reduced") -> Any:
    rows, columns = np.shape(a)[-2:]
    if mode == "reduced" or (mode == "complete" and rows <= columns):
        return qr(a)
    if mode == "r":
        return qr(a)[1]
    if mode not in ("complete", "raw"):
        raise ValueError(f"Unrecognized mode '{mode}'")
    why = (
        "the columns of Q beyond those of a are any basis of what is left, so they have no derivative"
        if mode == "complete"
        else "Householder vectors are LAPACK's own affair"
    )
    raise NoRuleError(message(f"qr: mode={mode!r} has no derivative rule here", why, "use mode='reduced' or mode='r'"))


def _no_phase() -> NoRuleError:
    return NoRuleError(
        message(
            "svd: the singular vectors of a complex matrix have no derivative rule",
            "each pair of them has a free phase; second derivatives of the singular values would need theirs too",
            "the singular values: np.linalg.svdvals(a)",
        )
    )


def _svd(d: Any, y: Any, a: Any) -> Any:
    """From dU = U·Ω + …: only the inner rotation divides by gaps s_j² − s_i²; without δU and δV it is U·δs·Vᵀ."""
    (du, ds, dvh), (u, s, vh) = d, y
    if a.dtype.kind == "c":
        raise _no_phase()
    row, column = s[..., None, :], s[..., :, None]
    eye = np.eye(s.shape[-1], dtype=s.dtype)
    gaps = (1 - eye) / (row * row - column * column + eye)
    inner = (np.zeros(s.shape, s.dtype) if ds is None else ds)[..., None, :] * eye
    outside: Any = 0
    if du is not None:
        x = transposed(u) @ du
        inner = inner + gaps * (x - transposed(x)) * row
        outside = (du - u @ x) / row @ vh
    if dvh is not None:
        dv = transposed(dvh)
        x = vh @ dv
        inner = inner + column * (gaps * (x - transposed(x)))
        outside = outside + u @ (transposed(dv - transposed(vh) @ x) / column)
    return u @ inner @ vh + outside


svd = op(
    lambda a: np.linalg.svd(a, full_matrices=False),
    _svd,
    name="svd",
    results=True,
    examples=(at((3, 3), draw=separated), at((4, 2), draw=separated), at((2, 2, 3), draw=separated)),
    formulas=("δA = U·δs·Vᵀ and, for δU and δV, rotations divided by the gaps s_j² − s_i²",),
    note="singular vectors have a derivative only where the singular values differ and are not zero",
)


def _svdvals(d: Any, y: Any, a: Any) -> Any:
    u, _, vh = svd(a)
    return conjugated(u * d[..., None, :] @ vh)


svdvals = op(
    lambda a: np.linalg.svd(a, compute_uv=False),
    _svdvals,
    name="svdvals",
    numpy=(np.linalg.svdvals,),
    examples=(at((3, 3), draw=separated), at((4, 2), draw=separated), at((2, 2, 3), draw=separated)),
    formulas=("δA = conj(U·δs·Vᴴ)",),
)


@composite(np.linalg.svd)
def _svd_by_form(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    refuse("linalg.svd", hermitian=hermitian or None)
    if not compute_uv:
        return svdvals(a)
    rows, columns = np.shape(a)[-2:]
    if full_matrices and rows != columns:
        raise NoRuleError(
            message(
                "svd: full_matrices=True has no derivative rule for a matrix that is not square",
                "the columns beyond the singular values are any basis of what is left, so they have no derivative",
                "np.linalg.svd(a, full_matrices=False)",
            )
        )
    if a.dtype.kind == "c":
        raise _no_phase()
    return svd(a)
