"""Rules for what SciPy's linear algebra has beyond NumPy's: triangular systems, LU, functions of a matrix.

A function of a matrix f(A) that is a power series has the Fréchet derivative L(A, Ȧ), and the transpose of Ȧ ↦ L(A, Ȧ)
is δ ↦ L(Aᵀ, δ): so one operation L carries tangents and δ alike. It stands in a corner of the function itself,

    f([[A, E], [0, A]]) = [[f(A), L(A, E)], [0, f(A)]],

so L is differentiated by L again, to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from ..errors import DtypeError, message, unwarned
from ..makers import at, linear, op
from ..op import Op
from ..ops.contract import transposed
from ..ops.flat import stop_gradient
from ..ops.linalg import definite, each, regular
from ..rules import unbroadcast


def _native(*arrays: Any) -> Any:
    """Arrays in the machine's own byte order, which some of SciPy's routines take for granted."""
    found = [x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("=")) for x in arrays]
    return found[0] if len(found) == 1 else found


def _square(a: Any) -> None:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"expected square matrices, got an array of shape {a.shape}")


def _quietly(function: Callable[..., Any], *args: Any) -> Any:
    """SciPy's warning that a matrix is singular is nan in δ here, and that of float32 is about float64."""
    with unwarned():
        return function(*args)


# -- triangular systems ------------------------------------------------------------------------------------------------


def _columns(x: Any, vector: bool) -> Any:
    return x[..., None] if vector else x


def _read(a: Any, lower: bool, unit_diagonal: bool) -> Any:
    """The part of A that is read: one triangle, without its diagonal where that is taken for ones."""
    return np.tril(a, -1 if unit_diagonal else 0) if lower else np.triu(a, 1 if unit_diagonal else 0)


def _triangular_forward(
    a: Any, b: Any, *, trans: int = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    a, b = _native(a, b)
    _square(a)
    if a.size == 0 or b.size == 0:  # SciPy knows no empty stacks
        return np.linalg.solve(a, b)
    return scipy.linalg.solve_triangular(a, b, trans, lower, unit_diagonal, check_finite=False)


def _triangular(
    d: Any, y: Any, a: Any, b: Any, *, wanted: tuple[bool, bool], trans: int = 0, lower: bool = False,
    unit_diagonal: bool = False,
) -> Any:  # fmt: skip
    """δB solves the transposed system, and δA = −δB·Yᵀ, for Aᵀ·Y = B its transpose, on the triangle that is read."""
    vector = b.ndim == 1
    y = _columns(y, vector)
    db = triangular(a, _columns(d, vector), trans=1 - trans, lower=lower, unit_diagonal=unit_diagonal)
    da = None
    if wanted[0]:
        outer = y @ transposed(db) if trans else db @ transposed(y)
        da = unbroadcast(-_read(outer, lower, unit_diagonal), a.shape)
    return da, unbroadcast(db[..., 0] if vector else db, b.shape)


def _triangular_tangent(
    t: Any, y: Any, a: Any, b: Any, *, trans: int = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    moved = _read(t, lower, unit_diagonal)
    right = -(transposed(moved) if trans else moved) @ _columns(y, b.ndim == 1)
    ty = triangular(a, right, trans=trans, lower=lower, unit_diagonal=unit_diagonal)
    return ty[..., 0] if b.ndim == 1 else ty


triangular: Op = op(
    _triangular_forward,
    joint=_triangular,
    arity=2,
    jvps=(_triangular_tangent, lambda t, y, a, b, **params: triangular(a, t, **params)),
    name="solve_triangular",
    examples=(
        at((3, 3), (3,), draw=(regular, None)), at((3, 3), (3, 2), draw=(regular, None), lower=True),
        at((3, 3), (3, 2), draw=(regular, None), trans=1),
        at((2, 3, 3), (3,), draw=(regular, None), trans=1, lower=True),
        at((3, 3), (2, 3, 2), draw=(regular, None), unit_diagonal=True), at((1, 1), (1,), draw=(regular, None)),
        at((2, 3, 3), (3, 2), draw=(regular, None), trans=1, lower=True, unit_diagonal=True),
    ),
    formulas=("δA = the triangle that is read of −δB·Yᵀ (trans=1: its transpose)", "δB = A⁻ᵀ·δY"),
    note="the other triangle is never read: its δ is zero",
)  # fmt: skip

# -- LU ----------------------------------------------------------------------------------------------------------------


def _lu(d: Any, y: Any, a: Any) -> Any:
    """With M = L·U, square: δM = L⁻ᵀ·(tril(Lᵀ·δL, −1) + triu(δU·Uᵀ))·U⁻ᵀ; the rows of A are those of M, permuted.

    The rows of M below a square are L₂·U, the columns right of it L·U₂, so that L₂ = M₂·U⁻¹ and U₂ = L⁻¹·M₂.
    """
    _, dl, du = d
    p, low, up = y
    if a.size == 0:
        return np.zeros(a.shape, a.dtype)
    dl = np.zeros(low.shape, low.dtype) if dl is None else dl
    du = np.zeros(up.shape, up.dtype) if du is None else du
    k = low.shape[-1]
    exists = each(np.all(stop_gradient(np.diagonal(up, axis1=-2, axis2=-1)) != 0, axis=-1))
    square = np.where(exists, up[..., :k], np.eye(k, dtype=up.dtype))
    below = right = None
    if low.shape[-2] > k:  # tall
        below = transposed(triangular(square, transposed(dl[..., k:, :])))
        du = du - transposed(low[..., k:, :]) @ below
        low, dl = low[..., :k, :], dl[..., :k, :]
    elif up.shape[-1] > k:  # wide
        right = triangular(low, du[..., k:], trans=1, lower=True, unit_diagonal=True)
        dl = dl - right @ transposed(up[..., k:])
        up, du = up[..., :k], du[..., :k]
    middle = np.tril(transposed(low) @ dl, -1) + np.triu(du @ transposed(up))
    dm = triangular(low, middle, trans=1, lower=True, unit_diagonal=True)
    dm = transposed(triangular(square, transposed(dm)))
    dm = dm if below is None else np.concatenate([dm, below], axis=-2)
    dm = dm if right is None else np.concatenate([dm, right], axis=-1)
    return np.where(exists, np.take_along_axis(dm, p[..., None], axis=-2), np.nan)


lu = op(
    lambda a: scipy.linalg.lu(_native(a), check_finite=False, p_indices=True),
    _lu,
    name="lu",
    results=True,
    examples=(
        at((3, 3)), at((2, 3, 3)), at((4, 2)), at((2, 4)), at((2, 3, 2), draw=regular), at((1, 1), draw=regular),
    ),
    formulas=("δA = P·L⁻ᵀ·(tril(Lᵀ·δL, −1) + triu(δU·Uᵀ))·U⁻ᵀ",),
    note="rows, L and U with A = (L·U)[rows]; the order of the rows is flat; nan where U is singular",
)  # fmt: skip

# -- A·X + X·B = Q -----------------------------------------------------------------------------------------------------


def _sylvester_forward(a: Any, b: Any, q: Any) -> Any:
    """In one dtype: LAPACK's routine takes a real Schur form beside a complex one for triangular, which it is not."""
    _square(a)
    _square(b)
    dtype = np.result_type(a, b, q)
    if q.size == 0 or a.size == 0 or b.size == 0:  # SciPy knows no empty stacks
        return np.zeros(np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2]) + q.shape[-2:], dtype)
    return scipy.linalg.solve_sylvester(*(x.astype(dtype) for x in (a, b, q)))


def _size(x: Any) -> Any:
    return np.sum(np.abs(stop_gradient(x)), axis=(-2, -1))


def _finite(*arrays: Any) -> Any:
    """For each matrix whether all of it, in all of these arrays, is finite."""
    return each(np.isfinite(sum(map(_size, arrays))))


def _sylvester_slope(a: Any, b: Any, q: Any, lost: float = 1.0) -> Any:
    """The solution; nan where the equation is so near to singular that a share of its digits, `lost`, are unknown."""
    exists = _finite(a, b, q)
    a, b = (np.where(exists, x, np.eye(x.shape[-1], dtype=x.dtype)) for x in (a, b))
    q = np.where(exists, q, 0)
    x = sylvester(a, b, q)
    kind = np.finfo(x.dtype)
    resolved = kind.eps**lost * (_size(a) + _size(b)) + 1e4 * kind.tiny / kind.eps
    known = (resolved * _size(x) < _size(q)) | (_size(q) == 0)
    return np.where(each(known) & exists, x, np.nan)


def _sylvester(d: Any, y: Any, a: Any, b: Any, q: Any, *, wanted: tuple[bool, bool, bool]) -> Any:
    dq = _sylvester_slope(transposed(a), transposed(b), d)
    return (
        unbroadcast(-dq @ transposed(y), a.shape) if wanted[0] else None,
        unbroadcast(-transposed(y) @ dq, b.shape) if wanted[1] else None,
        unbroadcast(dq, q.shape),
    )


sylvester: Op = op(
    _sylvester_forward,
    joint=_sylvester,
    arity=3,
    jvps=(
        lambda t, y, a, b, q: _sylvester_slope(a, b, -t @ y),
        lambda t, y, a, b, q: _sylvester_slope(a, b, -y @ t),
        lambda t, y, a, b, q: _sylvester_slope(a, b, t),
    ),
    name="solve_sylvester",
    examples=(
        at((3, 3), (2, 2), (3, 2), draw=(regular, regular, None)),
        at((2, 3, 3), (3, 3), (3, 3), draw=(regular, regular, None)),
        at((1, 1), (2, 2), (1, 2), draw=(regular, regular, None)),
    ),
    formulas=("δA = −δQ·Xᵀ", "δB = −Xᵀ·δQ", "δQ solves Aᵀ·δQ + δQ·Bᵀ = δX"),
)  # fmt: skip

# -- functions of a matrix ---------------------------------------------------------------------------------------------


def gentle(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices of which the exponential is neither large nor badly conditioned."""
    return rng.standard_normal(shape) / 2


def _matrix(a: Any) -> Any:
    """What a function of a matrix takes: a vector is none, though SciPy makes something of it."""
    _square(a)
    if a.dtype.char in "gG":
        raise DtypeError(
            message(f"a matrix of {a.dtype}", "functions of it are computed in double precision", "x.astype(float)")
        )
    return _native(a)


def bordered(a: Any, e: Any) -> Any:
    """[[A, E], [0, A]]."""
    zeros = np.zeros(a.shape, a.dtype)
    return np.concatenate([np.concatenate([a, e], axis=-1), np.concatenate([zeros, a], axis=-1)], axis=-2)


def _corner(d: Any) -> Any:
    """[[0, D], [0, 0]]."""
    n = d.shape[-1]
    return np.pad(d, [(0, 0)] * (d.ndim - 2) + [(0, n), (n, 0)])


def _expm_frechet_forward(a: Any, e: Any) -> Any:
    _square(a)
    if a.size == 0:
        return np.zeros(a.shape, np.result_type(a, e))
    exists = _finite(a, e)
    kind = np.result_type(a, e, np.float32)  # the coefficients of SciPy's approximation are beyond half precision
    a, e = (np.where(exists, x, 0).astype(kind) for x in (a, e))
    return np.where(exists, scipy.linalg.expm_frechet(a, e, compute_expm=False, check_finite=False), np.nan)


def _expm_frechet(d: Any, y: Any, a: Any, e: Any) -> Any:
    n = a.shape[-1]
    whole = expm_frechet(transposed(bordered(a, e)), _corner(d))
    return whole[..., :n, :n] + whole[..., n:, n:], whole[..., :n, n:]


def _expm_frechet_tangent(t: Any, y: Any, a: Any, e: Any) -> Any:
    n = a.shape[-1]
    zeros = np.zeros(t.shape, t.dtype)
    return expm_frechet(bordered(a, e), bordered(t, zeros))[..., :n, n:]


expm_frechet: Op = op(
    _expm_frechet_forward,
    joint=_expm_frechet,
    arity=2,
    jvps=(_expm_frechet_tangent, lambda t, y, a, e: expm_frechet(a, t)),
    name="expm_frechet",
    examples=(at((4, 4), (4, 4), draw=gentle), at((2, 2, 2), (2, 2, 2), draw=gentle), at((1, 1), (1, 1))),
    formulas=("δA = G₁₁ + G₂₂, G = L([[A, E], [0, A]]ᵀ, [[0, δY], [0, 0]])", "δE = G₁₂ = L(Aᵀ, δY)"),
    note="the derivative of the matrix exponential at A in the direction E",
)

expm = op(
    lambda a: scipy.linalg.expm(_matrix(a)),
    lambda d, y, a: expm_frechet(transposed(a), d),
    jvps=(lambda t, y, a: expm_frechet(a, t),),
    name="expm",
    examples=(at((4, 4), draw=gentle), at((2, 2, 2), draw=gentle), at((1, 1)), at((0, 0))),
    formulas=("δA = L(Aᵀ, δY), the Fréchet derivative of expm",),
)


sqrtm = op(
    lambda a: _quietly(scipy.linalg.sqrtm, _matrix(a)),
    lambda d, y, a: _sylvester_slope(transposed(y), transposed(y), d, 0.5),  # Y has lost half of the digits of A
    jvps=(lambda t, y, a: _sylvester_slope(y, y, t, 0.5),),
    name="sqrtm",
    examples=(at((3, 3), draw=definite), at((2, 3, 3), draw=regular), at((1, 1), draw=definite)),
    formulas=("δA solves Yᵀ·δA + δA·Yᵀ = δY",),
    note="nan at a singular matrix, where the slope is infinite",
)


def _logm_forward(a: Any) -> Any:
    if a.size == 0:
        return scipy.linalg.expm(_matrix(a))
    a = np.asarray_chkfinite(_matrix(a))  # SciPy's never returns from an inf
    try:
        return _quietly(scipy.linalg.logm, a)
    except ValueError:  # its estimate of the error stumbles over a result that is not finite
        return np.full(a.shape, np.nan, a.dtype)


def _logm_slope(a: Any, e: Any) -> Any:
    """The corner of the logarithm; nan where an eigenvalue lies on its cut, the negative numbers and zero."""
    n, exists = a.shape[-1], _finite(a, e)
    eye = np.eye(n, dtype=a.dtype)
    w = np.linalg.eigvals(stop_gradient(np.where(exists, a, eye)).astype(np.result_type(a.dtype, np.float32)))
    near = np.finfo(a.dtype).eps * np.max(np.abs(w), axis=-1, keepdims=True, initial=0.0)
    exists = exists & each(~np.any((np.real(w) <= near) & (np.abs(np.imag(w)) <= near), axis=-1))
    c, s = (each(np.where((x > 0) & np.isfinite(x), x, 1)) for x in (_size(a), _size(e)))
    a, e = np.where(exists, a / c, eye), np.where(exists, e / s, 0)  # log(c·A) = log c + log A
    return np.where(exists, logm(bordered(a, e))[..., :n, n:] * (s / c), np.nan)


logm: Op = op(
    _logm_forward,
    lambda d, y, a: _logm_slope(transposed(a), d),
    jvps=(lambda t, y, a: _logm_slope(a, t),),
    name="logm",
    examples=(at((3, 3), draw=definite), at((2, 3, 3), draw=regular), at((1, 1), draw=definite)),
    formulas=("δA = L(Aᵀ, δY), a corner of log [[Aᵀ, δY], [0, Aᵀ]]",),
    note="nan where an eigenvalue is negative or zero: there the logarithm jumps, or does not exist",
)

# -- arrangements ------------------------------------------------------------------------------------------------------


def _block_diag(d: Any, y: Any, *xs: Any) -> Any:
    """Each block of δY to its own argument; one matrix that stands beside a stack is in each of the stack."""
    found, i, j = [], 0, 0
    for x in xs:
        shape = (1, 1, *x.shape)[-max(2, x.ndim) :]  # a vector is one row, a number one element
        part = d[..., i : i + shape[-2], j : j + shape[-1]]
        found.append(np.reshape(unbroadcast(part, shape), x.shape))
        i, j = i + shape[-2], j + shape[-1]
    return tuple(found)


block_diag = linear(
    scipy.linalg.block_diag,
    _block_diag,
    arity=None,
    name="block_diag",
    examples=(at((2, 3), (1, 2)), at((2,), (2, 2), ()), at((2, 1, 2), (3, 2)), at((0, 2), (2, 1))),
    formulas=("δx = its own block of δy",),
)
