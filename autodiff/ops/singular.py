"""Singular values and singular vectors.

With A = U·diag(s)·Vᴴ, a tangent Ȧ gives P = Uᴴ·Ȧ·V = H + K, Hermitian and skew. What turns U and V together is
H_ij/(s_j − s_i), what turns them against each other is K_ij/(s_j + s_i), and ṡ = diag(H): the formulas of J. Townsend,
"Differentiating the singular value decomposition" (2016), with the two turns taken apart, so that only the common one
divides by a gap. Of a complex matrix each pair of vectors has a free phase; Z. Wan and S. Zhang, "Automatic
differentiation for complex valued SVD" (2019), treat functions that it does not change. LAPACK fixes it: it makes the
first row of V real, and of a wide matrix the first row of U.

Equal singular values have any basis of what they span for vectors, a zero one of a matrix that is not square as well,
and so do the columns that full_matrices=True adds: δ of such a choice is nan, with a DegenerateWarning. Singular values
that are equal share their δ; at zero, where they have a corner, it is zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DegenerateWarning, warn
from ..makers import at, composite, op
from ..traced import every, plain
from .contract import conjugated, transposed
from .eigen import diagonal_of, divided, eigh, eigvalsh, over_gaps, phase, shared, ties, undefined, used
from .flat import stop_gradient
from .linalg import adjoint, each, folded, free_tangent, nowhere, separated


def vanishing(s: Any, shape: tuple[int, ...]) -> Any:
    """Which singular values are zero as far as rounding can tell: NumPy's own test of the rank."""
    s = stop_gradient(s)
    return s <= max(shape[-2:]) * np.finfo(s.dtype).eps * s[..., :1]


def _over_sums(x: Any, s: Any) -> Any:
    """x_ij/(s_i + s_j), zero where both are zero as far as rounding can tell."""
    both = s[..., :, None] + s[..., None, :]
    none = stop_gradient(both) <= 4 * np.finfo(s.dtype).eps * each(np.sum(stop_gradient(s), axis=-1))
    return np.where(none, 0, x / np.where(none, 1, both))


def _undetermined(repeated: Any, zero: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The singular values whose vectors are not determined: equal ones, and zero but for one of a real square."""
    if dtype.kind != "c" and shape[-2] == shape[-1]:
        zero = zero & (np.sum(zero, axis=-1, keepdims=True) > 1)
    return repeated | zero


def _halves(p: Any) -> tuple[Any, Any]:
    """The Hermitian and the skew part."""
    return (p + adjoint(p)) / 2, (p - adjoint(p)) / 2


def _svd(d: Any, y: Any, a: Any, *, full_matrices: bool = False) -> Any:
    """Ḡ = U·(δs + (X + Y)/(s_j − s_i) + (X − Y)/(s_j + s_i))·Vᴴ + (1 − U·Uᴴ)·Ū/s·Vᴴ + U/s·V̄ᴴ·(1 − V·Vᴴ), δA = conj(Ḡ).

    Ū and V̄ are the conjugates of δU and δV, gradients in the plane, where every product is a Hermitian one; X and Y
    are the skew parts of Uᴴ·Ū and Vᴴ·V̄.
    """
    (du, ds, dvh), (u, s, vh) = d, y
    k, shape = s.shape[-1], a.shape
    u, gu, lost_u = folded("svd", None if du is None else conjugated(du), u, k)
    v, gv, lost_v = folded("svd", None if dvh is None else transposed(dvh), adjoint(vh), k)
    (tied, repeated), zero = ties(s), vanishing(s, shape)
    weight = np.zeros(s.shape, s.dtype) if ds is None else np.where(zero, 0, shared(ds, (tied, repeated)))
    middle, outside = weight[..., None, :] * np.eye(k, dtype=s.dtype), 0
    if du is not None or dvh is not None:
        if a.dtype.kind == "c":
            gu, gv = _unturned(gu, gv, u, v, shape[-2] < shape[-1])
        ux, vy = adjoint(u) @ gu, adjoint(v) @ gv
        (_, x), (_, y) = _halves(ux), _halves(vy)
        asked = used(gu) | used(gv) if ds is None else used(gu) | used(gv) | (ds != 0)
        turns = over_gaps(x + y, s, tied) + _over_sums(x - y, s)
        middle = middle + undefined("svd", turns, _undetermined(repeated, zero, shape, a.dtype), asked, a)
        inverse = 1 / np.where(zero, 1, s)[..., None, :]
        if shape[-2] > k:
            outside = outside + ((gu - u @ ux) * inverse) @ adjoint(v)
        if shape[-1] > k:
            outside = outside + u @ adjoint((gv - v @ vy) * inverse)
    return nowhere(each(lost_u | lost_v), conjugated(u @ middle @ adjoint(v) + outside), a)


def _first(v: Any) -> Any:
    """The first row, which LAPACK makes real; zero where there is none."""
    return np.real(np.sum(v[..., :1, :], axis=-2))


def _unturned(gu: Any, gv: Any, u: Any, v: Any, wide: bool) -> tuple[Any, Any]:
    """Gradients of vectors whose phase keeps the first row of V (of a wide matrix: of U) real."""
    turn = np.imag(np.sum(conjugated(u) * gu, axis=-2) + np.sum(conjugated(v) * gv, axis=-2))
    size = np.sum(np.abs(gu), axis=-2) + np.sum(np.abs(gv), axis=-2)
    first = np.eye((u if wide else v).shape[-2], 1, dtype=u.dtype)
    fix = 1j * first * phase("svd", turn, size, _first(u if wide else v))[..., None, :]
    return (gu - fix, gv) if wide else (gu, gv - fix)


def _svd_tangent(t: Any, y: Any, a: Any, *, full_matrices: bool = False) -> Any:
    """U̇ = U·(H/(s_j − s_i) + K/(s_j + s_i)) + (1 − U·Uᴴ)·Ȧ·V/s, V̇ the same with −K and Ȧᴴ; ṡ = diag(H)."""
    u, s, vh = y
    k, shape = s.shape[-1], a.shape
    u, v, rest_u, rest_v = u[..., :k], adjoint(vh)[..., :k], u[..., k:], adjoint(vh)[..., k:]
    (tied, repeated), zero = ties(s), vanishing(s, shape)
    right, left, inverse = t @ v, adjoint(t) @ u, 1 / np.where(zero, 1, s)[..., None, :]
    p = adjoint(u) @ right
    h, skew = _halves(p)
    together, against = over_gaps(h, s, tied), _over_sums(skew, s)
    tu, tv = u @ (together + against), v @ (together - against)
    if shape[-2] > k:
        tu = tu + (right - u @ p) * inverse
    if shape[-1] > k:
        tv = tv + (left - v @ adjoint(p)) * inverse
    if a.dtype.kind == "c":
        anchor, moved = (u, tu) if shape[-2] < shape[-1] else (v, tv)
        size = np.sum(np.abs(moved), axis=-2)
        turn = np.imag(np.sum(moved[..., :1, :], axis=-2))
        turn = 1j * phase("svd", turn, size, _first(anchor))[..., None, :]
        tu, tv = tu - u * turn, tv - v * turn
    moves = np.any(t != 0, axis=(-2, -1))[..., None]
    lost = _undetermined(repeated, zero, shape, a.dtype) & moves
    tu, tv = (undefined("svd", part, lost, lost, a, "the tangent is nan") for part in (tu, tv))
    if rest_u.shape[-1]:
        tu = np.concatenate([tu, free_tangent("svd", tu, u, rest_u)], axis=-1)
    if rest_v.shape[-1]:
        tv = np.concatenate([tv, free_tangent("svd", tv, v, rest_v)], axis=-1)
    ts = np.where(zero, 0, shared(np.real(diagonal_of(h)), (tied, repeated), tangent=True))
    return tu, ts, adjoint(tv)


svd = op(
    lambda a, *, full_matrices=False: np.linalg.svd(a, full_matrices=full_matrices),
    _svd,
    jvps=(_svd_tangent,),
    name="svd",
    results=True,
    examples=(
        at((3, 3), draw=separated), at((4, 2), draw=separated), at((2, 2, 3), draw=separated), at((0, 0)),
        at((1, 1), draw=separated), at((2, 7), draw=separated), at((3, 2), full_matrices=True, draw=separated),
        at((2, 2, 3), full_matrices=True, draw=separated),
    ),
    formulas=("δA = conj(U·(δs + (X + Y)/(s_j − s_i) + (X − Y)/(s_j + s_i))·Vᴴ + …), X, Y skew parts of Uᴴ·Ū, Vᴴ·V̄",),
    note="vectors have a derivative only where the singular values differ and are not zero; complex ones have the "
    "phase that makes the first row of V (of a wide matrix: of U) real; of the columns that full_matrices adds only "
    "the space that they span has a δ",
)  # fmt: skip


# -- singular values alone ---------------------------------------------------------------------------------------------


def rebuilt(u: Any, w: Any, vh: Any) -> Any:
    """The matrix conj(U·w·Vᴴ): ∂y/∂A of a function y of the singular values with ∂y/∂s = w."""
    return conjugated((u * w[..., None, :]) @ vh)


def rebuilt_tangent(t: Any, y: Any, w: Any, middle: Any, zero: Any) -> Any:
    """Its tangent: U·(M + K·(w_j + w_i)/(s_j + s_i))·Vᴴ + (1 − U·Uᴴ)·Ȧ·V·w/s·Vᴴ + U·w/s·Uᴴ·Ȧ·(1 − V·Vᴴ).

    M, as a function of H, is what turns U and V together: H·(w_j − w_i)/(s_j − s_i).
    """
    u, s, vh = y
    v, k = adjoint(vh), s.shape[-1]
    right, left = t @ v, adjoint(t) @ u
    p = adjoint(u) @ right
    h, skew = _halves(p)
    inner = middle(h) + _over_sums(skew * (w[..., None, :] + w[..., :, None]), s)
    fade = (w / np.where(zero, 1, s))[..., None, :]
    ty = u @ inner @ vh
    if u.shape[-2] > k:
        ty = ty + ((right - u @ p) * fade) @ vh
    if v.shape[-2] > k:
        ty = ty + u @ adjoint((left - v @ adjoint(p)) * fade)
    return conjugated(ty)


def _weight(d: Any, s: Any, shape: tuple[int, ...]) -> Any:
    """The δ of singular values: equal ones share it, and zero ones, where they have a corner, have none."""
    return np.where(vanishing(s, shape), 0, shared(np.real(d) if d.dtype.kind == "c" else d, ties(s)))


def _svdvals_slope(d: Any, a: Any) -> Any:
    u, s, vh = svd(a)
    return rebuilt(u, _weight(d, s, a.shape), vh)


def _svdvals_slope_tangent(t: Any, y: Any, d: Any, a: Any) -> Any:
    u, s, vh = svd(a)
    w, zero = _weight(d, s, a.shape), vanishing(s, a.shape)
    change = rebuilt_tangent(t, (u, s, vh), w, lambda h: divided("svdvals", h, w, s, a), zero)
    return nowhere(_leaves_zero(t, u, vh, zero), change, a)


def _leaves_zero(t: Any, u: Any, vh: Any, zero: Any) -> Any:
    """Where Ȧ moves singular values that are zero, to the first order: there the slope of δs is not known."""
    if not np.any(every(zero)):
        return np.False_
    t, kept = stop_gradient(t), (~stop_gradient(zero))[..., None, :]
    u, v = stop_gradient(u) * kept, adjoint(stop_gradient(vh)) * kept
    rest = t - u @ (adjoint(u) @ t)
    rest = rest - (rest @ v) @ adjoint(v)
    size = np.sum(np.abs(t), axis=(-2, -1), keepdims=True)
    lost = np.any(np.abs(rest) > 16 * np.finfo(size.dtype).eps * size, axis=(-2, -1), keepdims=True)
    if np.any(every(lost)):
        warn(
            DegenerateWarning,
            "svdvals: the second derivative is nan where it moves a singular value that is zero",
            "it has a corner there; for a sum Σ g(s) with g′(0) = 0 it is g″(0), which the first derivative does not "
            "tell",
            "write Σ s² as the sum of squares; others where the matrix has full rank",
        )
    return lost


def svdvals_tangent(t: Any, y: Any, a: Any) -> Any:
    """The tangent ṡ = diag(H), equal ones sharing theirs; zero where s is zero."""
    u, s, vh = svd(a)
    p = np.real(np.sum(conjugated(u) * (t @ adjoint(vh)), axis=-2))
    return np.where(vanishing(s, a.shape), 0, shared(p, ties(s), tangent=True))


svdvals_slope = op(
    _svdvals_slope,
    lambda d, y, ds, a: svdvals_tangent(d, ds, a),
    _svdvals_slope_tangent,
    jvps=(lambda t, y, ds, a: _svdvals_slope(t, a), _svdvals_slope_tangent),
    name="svdvals_slope",
    examples=(
        at((3,), (3, 3), draw=(None, separated)), at((2, 2), (2, 4, 2), draw=(None, separated)),
        at((3,), (3, 4), draw=(None, separated)),
    ),
    formulas=("δδs = diag(H)", "δA = conj(U·(H∘(w_j − w_i)/(s_j − s_i) + K∘(w_j + w_i)/(s_j + s_i))·Vᴴ + …)"),
    note="the rule of svdvals as an operation of δs and A, conj(U·δs·Vᴴ); as a second derivative it is symmetric, so "
    "its tangent rule is also its δ; nan where equal singular values would need the derivative of δs by s",
)  # fmt: skip

svdvals = op(
    lambda a: np.linalg.svd(a, compute_uv=False),
    lambda d, y, a: svdvals_slope(d, a),
    jvps=(svdvals_tangent,),
    name="svdvals",
    numpy=(np.linalg.svdvals,),
    examples=(
        at((3, 3), draw=separated), at((4, 2), draw=separated), at((2, 2, 3), draw=separated), at((0, 0)), at((0, 2)),
    ),
    formulas=("δA = conj(U·δs·Vᴴ)",),
    note="equal singular values share their δ; at zero, a corner, it is zero",
)


# -- NumPy's spellings -------------------------------------------------------------------------------------------------


@composite(np.linalg.svd)
def _svd_by_form(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    if a.ndim < 2:
        return np.linalg.svd(plain(a))  # which raises
    if hermitian:
        return _svd_of_hermitian(a) if compute_uv else np.sort(np.abs(eigvalsh(a)))[..., ::-1]
    if not compute_uv:
        return svdvals(a)
    return svd(a, full_matrices=True) if full_matrices and a.shape[-2] != a.shape[-1] else svd(a)


def _svd_of_hermitian(a: Any) -> Any:
    """By eigenvectors: s = |w|, and V has the columns of U with the signs of w, as NumPy does it."""
    w, u = eigh(a)
    sign, s = np.sign(plain(w)), np.abs(w)
    order = np.argsort(plain(s))[..., ::-1]
    sign = np.take_along_axis(sign, order, axis=-1)
    u = np.take_along_axis(u, order[..., None, :], axis=-1)
    vh = adjoint(u * sign[..., None, :])
    return type(np.linalg.svd(np.eye(1)))(u, np.take_along_axis(s, order, axis=-1), vh)
