"""Pseudo-inverse, least squares, condition.

Where the rank is full, d(A⁺) = −A⁺·dA·A⁺ + A⁺·A⁺ᴴ·dAᴴ·(1 − A·A⁺) + (1 − A⁺·A)·dAᴴ·A⁺ᴴ·A⁺: G. Golub and V. Pereyra, "The
differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate" (1973). Where singular
values are cut off that are not zero, A⁺ is V·g(s)·Uᴴ with g(s) = 1/s of those that are kept. Where they are zero, A⁺
jumps with the rank and δA is nan, with a DegenerateWarning.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DegenerateWarning, warn
from ..makers import at, composite, op
from ..traced import every, plain
from .contract import conjugated, transposed
from .eigen import over_gaps, ties
from .flat import stop_gradient
from .linalg import adjoint, definite, each, mirrored, nowhere, regular, separated
from .norm import norm
from .singular import rebuilt_tangent, svd, svdvals, svdvals_slope, svdvals_tangent, vanishing


def _rank(a: Any, p: Any) -> Any:
    """How many singular values were kept: the trace of A⁺·A."""
    return np.round(np.sum(np.real(stop_gradient(a) * transposed(stop_gradient(p))), axis=(-2, -1)))


def _truncated(name: str, t: Any, a: Any, rank: Any) -> Any:
    """The tangent of A⁺ᵀ along Ȧ = T where singular values are cut off: as a map of T it is its own transpose.

    What turns U and V together is H∘g[s_i, s_j], the divided differences of g: −1/(s_i·s_j) of two that are kept.
    """
    u, s, vh = svd(a)
    zero, kept = vanishing(s, a.shape), np.arange(s.shape[-1]) < rank[..., None]
    w = np.where(kept, 1 / np.where(kept, s, 1), 0)
    wi, wj, both = w[..., :, None], w[..., None, :], kept[..., :, None] & kept[..., None, :]
    slopes = np.where(both, -wi * wj, over_gaps(wj - wi, s, ties(s)[0]))
    jumps = np.any(zero & ~kept, axis=-1) & np.any(t != 0, axis=(-2, -1))
    if np.any(every(jumps)):
        warn(
            DegenerateWarning,
            f"{name}: a derivative by the matrix is nan where singular values that are zero are cut off",
            "the pseudo-inverse jumps with the rank, so nothing near this matrix is like it",
            "differentiate by the right-hand side alone, or add a small multiple of the identity: "
            "np.linalg.solve(a.T @ a + c * np.eye(n), a.T @ b)",
        )
    return nowhere(each(jumps), rebuilt_tangent(t, (u, s, vh), w, lambda h: h * slopes, zero), a)


def _pinv(d: Any, y: Any, a: Any, *, rcond: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    """δA = conj((1 − A·Y)·δYᵀ·Y·Yᴴ + Yᴴ·Y·δYᵀ·(1 − Y·A)) − Yᵀ·δY·Yᵀ; that of a Hermitian one on its lower triangle."""
    a, g = mirrored(a) if hermitian else a, transposed(d)
    rank = _rank(a, y)
    if np.any(every(rank) < min(a.shape[-2:])):
        da = _truncated("pinv", g, a, rank)
        return mirrored(da, transpose=True) if hermitian else da
    before = g @ y @ adjoint(y)
    after = adjoint(y) @ y @ g
    da = conjugated(before - a @ (y @ before) + after - (after @ y) @ a) - transposed(y) @ d @ transposed(y)
    return mirrored(da, transpose=True) if hermitian else da


def _pinv_tangent(t: Any, y: Any, a: Any, *, rcond: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    a, t = (mirrored(a), mirrored(t)) if hermitian else (a, t)
    rank = _rank(a, y)
    if np.any(every(rank) < min(a.shape[-2:])):
        return transposed(_truncated("pinv", t, a, rank))
    left, right = y @ adjoint(y) @ adjoint(t), adjoint(t) @ adjoint(y) @ y
    return left - (left @ a) @ y + right - y @ (a @ right) - y @ t @ y


pinv = op(
    np.linalg.pinv,
    _pinv,
    jvps=(_pinv_tangent,),
    numpy=(np.linalg.pinv,),
    examples=(
        at((3, 3), draw=regular), at((4, 2), draw=regular), at((2, 2, 4), draw=regular), at((1, 1), draw=regular),
        at((4, 3), draw=regular, rcond=1e-3), at((3, 4), draw=regular, rtol=1e-3), at((0, 2)),
        at((2, 3, 3), draw=definite, hermitian=True), at((4, 3), draw=separated, rcond=0.5),
        at((3, 4), draw=separated, rtol=0.5),
    ),
    formulas=("δA = conj((1 − Y′)·δYᵀ·Y·Yᴴ + Yᴴ·Y·δYᵀ·(1 − Y″)) − Yᵀ·δY·Yᵀ with Y′ = A·Y, Y″ = Y·A",),
    note="nan where zero singular values are cut off: the pseudo-inverse jumps with the rank; of a Hermitian matrix "
    "the lower triangle is read, so δA is zero in the other and counts both",
)  # fmt: skip


def _inverse(a: Any, rcond: Any) -> Any:
    """The pseudo-inverse that cuts off what lstsq cuts off."""
    eps = np.finfo(a.dtype).eps
    return pinv(a, rcond=eps * max(a.shape[-2:]) if rcond is None else eps if rcond < 0 else rcond)


def _columns(x: Any, like: Any) -> Any:
    return x[:, None] if like.ndim == 1 else x


def _lstsq_by_matrix(dx: Any, db: Any, a: Any, b: Any, x: Any, p: Any) -> Any:
    rank = _rank(a, p)
    if np.any(plain(rank) < min(a.shape)):
        return _truncated("lstsq", b @ transposed(dx), a, rank)
    row = adjoint(p) @ x @ transposed(dx)
    return conjugated((b - a @ x) @ transposed(db) @ adjoint(p) + row - (row @ p) @ a) - db @ transposed(x)


def _lstsq(d: Any, y: Any, a: Any, b: Any, *, wanted: tuple[bool, bool], rcond: Any = None) -> Any:
    """δB = A⁺ᵀ·δX, and δA = −δB·Xᵀ + conj(R·δBᵀ·A⁺ᴴ + A⁺ᴴ·X·δXᵀ·(1 − A⁺·A)), where R = B − A·X.

    The residuals Σ|R|² add δR = 2·conj(R), the singular values what they add by themselves.
    """
    (dx, dr, _, ds), x = d, _columns(y[0], b)
    da, db = np.zeros(a.shape, y[0].dtype), np.zeros(_columns(b, b).shape, y[0].dtype)
    rest = _columns(b, b) - a @ x
    if dx is not None:
        p = _inverse(a, rcond)
        dx = _columns(dx, b)
        db = transposed(p) @ dx
        if wanted[0]:
            da = _lstsq_by_matrix(dx, db, a, _columns(b, b), x, p)
    if dr is not None and dr.size:  # X is where the residual is least, so it does not move with X
        slope = 2 * dr * conjugated(rest)
        da, db = da - slope @ transposed(x), db + slope
    if ds is not None:
        da = da + svdvals_slope(ds, a)
    return da, np.reshape(db, b.shape)


def _moved(tx: Any, tr: Any, ts: Any, y: Any) -> Any:
    """The four tangents: the rank has none, and where NumPy leaves the residuals out neither have they."""
    return tx, tr if y[1].size else np.zeros(y[1].shape, y[1].dtype), np.zeros((), y[3].dtype), ts


def _lstsq_tangent(t: Any, y: Any, a: Any, b: Any, *, rcond: Any = None) -> Any:
    p, x = _inverse(a, rcond), _columns(y[0], b)
    rest = _columns(b, b) - a @ x
    rank = _rank(a, p)
    if np.any(plain(rank) < min(a.shape)):
        tx = transposed(_truncated("lstsq", t, a, rank)) @ _columns(b, b)
    else:
        right = adjoint(t) @ (adjoint(p) @ x)
        tx = p @ (adjoint(p) @ (adjoint(t) @ rest) - t @ x) + right - p @ (a @ right)
    tr = -2 * np.sum(np.real(conjugated(rest) * (t @ x)), axis=0)
    return _moved(np.reshape(tx, y[0].shape), tr, svdvals_tangent(t, y[3], a), y)


def _lstsq_tangent_of_b(t: Any, y: Any, a: Any, b: Any, *, rcond: Any = None) -> Any:
    rest = _columns(b, b) - a @ _columns(y[0], b)
    tr = 2 * np.sum(np.real(conjugated(rest) * _columns(t, b)), axis=0)
    return _moved(_inverse(a, rcond) @ t, tr, np.zeros(y[3].shape, y[3].dtype), y)


lstsq = op(
    lambda a, b, *, rcond=None: np.linalg.lstsq(a, b, rcond),
    joint=_lstsq,
    arity=2,
    jvps=(_lstsq_tangent, _lstsq_tangent_of_b),
    name="lstsq",
    results=True,
    numpy=(np.linalg.lstsq,),
    signature=("a", "b", "rcond"),
    examples=(
        at((4, 3), (4,), draw=(separated, None)), at((4, 3), (4, 2), draw=(separated, None)),
        at((3, 3), (3,), draw=(separated, None)), at((2, 4), (2, 3), draw=(separated, None)),
        at((4, 2), (4,), draw=(separated, None), rcond=1e-3), at((4, 3), (4, 2), draw=(separated, None), rcond=0.5),
    ),
    formulas=("δA = −δB·Xᵀ + conj(R·δBᵀ·A⁺ᴴ + A⁺ᴴ·X·δXᵀ·(1 − A⁺·A)), R = B − A·X", "δB = A⁺ᵀ·δX"),
    note="of the solution δA is nan where zero singular values are cut off: it jumps with the rank",
)  # fmt: skip


@composite(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    """‖X‖·‖X⁻¹‖; at a singular matrix NumPy's value, with a δ that is not finite."""
    if 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = svdvals(x)
        singular = vanishing(s, x.shape)[..., -1]
        largest, least = s[..., 0], np.where(singular, 1, s[..., -1])
        quotient = least / np.where(singular, 1, largest) if p == -2 else largest / least
    else:
        singular = ~np.isfinite(np.linalg.slogdet(stop_gradient(x))[1])
        inverse = np.linalg.inv(np.where(each(singular), np.eye(x.shape[-1], dtype=x.dtype), x))
        quotient = norm(x, ord=p, axis=(-2, -1)) * norm(inverse, ord=p, axis=(-2, -1))
    if not np.any(every(singular)):
        return quotient
    squares = np.sum(np.real(x * conjugated(x)), axis=(-2, -1))
    steep = np.sqrt(squares - stop_gradient(squares))  # zero, with an infinite slope
    return np.where(singular, np.linalg.cond(plain(x), p) + steep, quotient)
