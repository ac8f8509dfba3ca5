"""Pseudo-inverse, least squares, condition.

Where the rank is full, d(A⁺) = −A⁺·dA·A⁺ + A⁺·A⁺ᴴ·dAᴴ·(1 − A·A⁺) + (1 − A⁺·A)·dAᴴ·A⁺ᴴ·A⁺. Where it is not, A⁺ jumps
with the rank and δA is nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, composite, op
from ..op import plain
from .contract import conjugated, transposed
from .flat import stop_gradient
from .linalg import adjoint, each, regular, svdvals
from .norm import norm


def _deficient(a: Any, p: Any) -> Any:
    """Whether the rank, the trace of A⁺·A, is less than it could be."""
    rank = np.sum(np.real(stop_gradient(a) * transposed(stop_gradient(p))), axis=(-2, -1))
    return rank < min(a.shape[-2:]) - 0.5


def _defined(x: Any, d: Any, a: Any, p: Any) -> Any:
    """Nan for the matrices where δA is undefined and used."""
    return np.where(each(_deficient(a, p) & np.any(d != 0, axis=(-2, -1))), np.nan, x)


def _pinv(d: Any, y: Any, a: Any, *, rcond: Any = None, rtol: Any = None) -> Any:
    g = transposed(d)
    before = g @ y @ adjoint(y)
    after = adjoint(y) @ y @ g
    da = conjugated(before - a @ (y @ before) + after - (after @ y) @ a) - transposed(y) @ d @ transposed(y)
    return _defined(da, d, a, y)


def _pinv_tangent(t: Any, y: Any, a: Any, *, rcond: Any = None, rtol: Any = None) -> Any:
    left, right = y @ adjoint(y) @ adjoint(t), adjoint(t) @ adjoint(y) @ y
    ty = left - (left @ a) @ y + right - y @ (a @ right) - y @ t @ y
    return _defined(ty, t, a, y)


pinv = op(
    np.linalg.pinv,
    _pinv,
    jvps=(_pinv_tangent,),
    numpy=(np.linalg.pinv,),
    examples=(
        at((3, 3), draw=regular), at((4, 2), draw=regular), at((2, 2, 4), draw=regular), at((1, 1), draw=regular),
        at((4, 3), draw=regular, rcond=1e-3), at((3, 4), draw=regular, rtol=1e-3), at((0, 2)),
    ),
    formulas=("δA = conj((1 − Y′)·δYᵀ·Y·Yᴴ + Yᴴ·Y·δYᵀ·(1 − Y″)) − Yᵀ·δY·Yᵀ with Y′ = A·Y, Y″ = Y·A",),
    note="nan where singular values are cut off: the pseudo-inverse jumps with the rank",
)  # fmt: skip


def _inverse(a: Any, rcond: Any) -> Any:
    """The pseudo-inverse that cuts off what lstsq cuts off."""
    eps = np.finfo(a.dtype).eps
    return pinv(a, rcond=eps * max(a.shape[-2:]) if rcond is None else eps if rcond < 0 else rcond)


def _columns(x: Any, like: Any) -> Any:
    return x[:, None] if like.ndim == 1 else x


def _lstsq(d: Any, y: Any, a: Any, b: Any, *, wanted: tuple[bool, bool], rcond: Any = None) -> Any:
    """δB = A⁺ᵀ·δX, and δA = −δB·Xᵀ + conj(R·δBᵀ·A⁺ᴴ + A⁺ᴴ·X·δXᵀ·(1 − A⁺·A)), R = B − A·X."""
    p = _inverse(a, rcond)
    d, x = _columns(d, b), _columns(y, b)
    db = transposed(p) @ d
    if not wanted[0]:
        return None, np.reshape(db, b.shape)
    rest = _columns(b, b) - a @ x
    row = adjoint(p) @ x @ transposed(d)
    da = conjugated(rest @ transposed(db) @ adjoint(p) + row - (row @ p) @ a) - db @ transposed(x)
    return _defined(da, d, a, p), np.reshape(db, b.shape)


def _lstsq_tangent(t: Any, y: Any, a: Any, b: Any, *, rcond: Any = None) -> Any:
    p, x = _inverse(a, rcond), _columns(y, b)
    right = adjoint(t) @ (adjoint(p) @ x)
    tx = p @ (adjoint(p) @ (adjoint(t) @ (_columns(b, b) - a @ x)) - t @ x) + right - p @ (a @ right)
    return np.reshape(_defined(tx, t, a, p), y.shape)


lstsq = op(
    lambda a, b, *, rcond=None: np.linalg.lstsq(a, b, rcond)[0],
    joint=_lstsq,
    arity=2,
    jvps=(_lstsq_tangent, lambda t, y, a, b, *, rcond=None: _inverse(a, rcond) @ t),
    name="lstsq",
    examples=(
        at((4, 3), (4,), draw=(regular, None)), at((4, 3), (4, 2), draw=(regular, None)),
        at((3, 3), (3,), draw=(regular, None)), at((2, 4), (2, 3), draw=(regular, None)),
        at((4, 2), (4,), draw=(regular, None), rcond=1e-3),
    ),
    formulas=("δA = −δB·Xᵀ + conj(R·δBᵀ·A⁺ᴴ + A⁺ᴴ·X·δXᵀ·(1 − A⁺·A)), R = B − A·X", "δB = A⁺ᵀ·δX"),
    note="δA is nan where singular values are cut off: the solution jumps with the rank",
)  # fmt: skip


@composite(np.linalg.lstsq)
def _least_squares(a: Any, b: Any, rcond: Any = None) -> Any:
    """Solution, residuals, rank, singular values, as NumPy returns them."""
    x = lstsq(a, b, rcond=rcond)
    rank, s = np.linalg.lstsq(plain(a), plain(b), rcond)[2], svdvals(a)
    rows, columns = np.shape(a)
    if rank != columns or rows <= columns:
        return x, np.array([], s.dtype), rank, s
    rest = b - a @ x
    squares = np.sum(np.real(rest * np.conj(rest)), axis=0)
    return x, np.reshape(squares, (-1,)), rank, s


@composite(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    """‖X‖·‖X⁻¹‖; infinite, with a δ that is not finite, at a singular matrix."""
    if x.size == 0:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    size = norm(x, ord=2 if p is None else p, axis=(-2, -1))
    if p is None or p in (2, -2):
        least = norm(x, ord=2 if p == -2 else -2, axis=(-2, -1))
        regular = stop_gradient(least) > 0
        quotient = size / np.where(regular, least, 1)
    else:
        regular = np.isfinite(np.linalg.slogdet(stop_gradient(x))[1])
        inverse = np.linalg.inv(np.where(each(regular), x, np.eye(x.shape[-1], dtype=x.dtype)))
        quotient = size * norm(inverse, ord=p, axis=(-2, -1))
    squares = np.sum(np.real(x * np.conj(x)), axis=(-2, -1))
    return np.where(regular, quotient, (squares + 1) * np.inf)  # of which no δ is finite
