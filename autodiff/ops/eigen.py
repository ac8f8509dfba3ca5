"""Eigenvalues and eigenvectors.

With A·V = V·diag(w), a tangent Ȧ gives P = V⁻¹·Ȧ·V, the eigenvalues ẇ = diag(P), and the eigenvectors V·Ω with
Ω_ij = P_ij/(w_j − w_i), up to the factor that LAPACK has chosen for each of them.

At a repeated eigenvalue the eigenvectors are any basis of what they span. Two functions of a matrix may ask the same of
them, the same δw and δV, and have another derivative: of V·g(w)·Vᴴ at the identity it is g′(1), of which
δV = 2·δY·V·g(1) knows nothing off the diagonal. So a δ that reaches such a vector makes δA nan, one that reaches only
the others is finite, and whenever there are such vectors a DegenerateWarning says so. Equal eigenvalues share their
own δ.

The formulas are those of M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008), section 3.1; the phases of complex vectors are those that LAPACK chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DegenerateWarning, warn
from ..makers import at, op
from ..traced import every
from .contract import conjugated, transposed
from .flat import stop_gradient
from .linalg import adjoint, each, lower_half, nowhere


def spread(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices, not symmetric, whose eigenvalues are real and lie well apart."""
    return rng.standard_normal(shape) / 2 + np.diag(3.0 * np.arange(shape[-1]))


def turning(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices with a pair of complex eigenvalues, and real ones apart from it."""
    x = spread(rng, shape) / 2
    x[..., 0, 1] += 4
    x[..., 1, 0] -= 3
    return x


def ties(w: Any) -> tuple[Any, Any]:
    """Which eigenvalues are equal as far as rounding can tell, as pairs (each with itself), and which are repeated."""
    w = stop_gradient(w)
    size = np.sum(np.abs(w), axis=-1)
    tied = np.abs(w[..., :, None] - w[..., None, :]) <= 4 * np.finfo(w.dtype).eps * each(size)
    return tied, np.sum(tied, axis=-1) > 1


def shared(d: Any, equal: tuple[Any, Any], tangent: bool = False) -> Any:
    """A δ of eigenvalues, equal ones sharing theirs, which no choice of basis changes; or the tangents, transposed."""
    tied, repeated = equal
    if not np.any(every(repeated)):
        return d
    share = tied / np.sum(tied, axis=-1, keepdims=True)
    return (share @ d[..., None])[..., 0] if tangent else (d[..., None, :] @ share)[..., 0, :]


def over_gaps(x: Any, w: Any, tied: Any) -> Any:
    """x_ij/(w_j − w_i), zero where the two are equal."""
    return np.where(tied, 0, x / np.where(tied, 1, w[..., None, :] - w[..., :, None]))


def undefined(name: str, x: Any, free: Any, asked: Any, a: Any, value: str = "δ is nan") -> Any:
    """Nan in the columns of x that are free and asked for. There is a warning wherever any is free.

    A zero δ of free vectors says nothing: they may not be used at all, or used with weight g(w) = 0, like those
    of log A at the identity, and then δA is not zero where g′(w) is not.
    """
    lost = free & asked
    if np.any(every(free)):
        used = bool(np.any(every(lost)))
        warn(
            DegenerateWarning,
            f"{name}: {value} where vectors that are not determined are used" if used
            else f"{name}: vectors that are not determined have a δ of zero, which is right if they are not used",
            "those of equal values, or of a zero singular value, are any basis of what they span, and what a function "
            "of the matrix needs there, the slope g′ of its weights g, is not seen in δ of the vectors"
            + ("" if used else "; used with weights of zero they would have another"),
            "differentiate where the values are apart, or write it without vectors: sums over the values, inv, solve, "
            "pinv, matrix_power, norm",
        )  # fmt: skip
    return nowhere(lost[..., None, :], x, a)


def used(d: Any) -> Any:
    """The columns of d that are not zero."""
    return np.any(d != 0, axis=-2)


def phase(name: str, turn: Any, size: Any, row: Any) -> Any:
    """The turn/row that keeps an element real, zero where the turn is rounding of this size; nan where row is zero."""
    none = np.abs(stop_gradient(turn)) <= 16 * np.finfo(row.dtype).eps * stop_gradient(size)
    free = ~none & (row == 0)
    if np.any(every(free)):
        warn(
            DegenerateWarning,
            f"{name}: a derivative is nan where the phase of a complex vector is used",
            "LAPACK makes one element of it real; that one is zero here, and any other phase would do as well",
            "use functions that no phase changes: np.abs(v), v * np.conj(v[k])",
        )
    return np.where(none, 0, np.where(free, np.nan, turn / np.where(none | free, 1, row)))


def lost_basis(name: str, lost: Any) -> Any:
    """The same, after a warning where any matrix is one that has no basis of eigenvectors and is asked for it."""
    if np.any(every(lost)):
        warn(
            DegenerateWarning,
            f"{name}: a derivative is nan where a matrix has no basis of eigenvectors",
            "its eigenvalues there move by a root of what is done to the matrix",
            "differentiate where it has one; functions of the whole matrix (det, trace, matrix_power) need none",
        )
    return lost


def divided(name: str, p: Any, d: Any, w: Any, a: Any) -> Any:
    """P_ij·(d_j − d_i)/(w_j − w_i), zero on the diagonal; nan where equal values are not all moved alike.

    For d = g(w) the quotient is g′(w) there, which d alone does not tell; it is not needed where P is a number times
    the identity among equal values, because then ẇ is that number for all of them and carries g′.
    """
    tied, repeated = ties(w)
    d = shared(d, (tied, repeated))
    change = over_gaps(p * (d[..., None, :] - d[..., :, None]), w, tied)
    held = stop_gradient(p)
    alike = shared(diagonal_of(held), (tied, repeated))[..., None, :] * np.eye(w.shape[-1], dtype=w.dtype)
    size = np.sum(np.abs(held), axis=(-2, -1))
    unknown = tied & (np.abs(held - alike) > 4 * np.finfo(w.dtype).eps * each(size))
    if np.any(every(unknown)):
        warn(
            DegenerateWarning,
            f"{name}: the second derivative is nan where equal values would come apart",
            "for a sum Σ g(w) it is g″, which the first derivative g′ at these values does not tell",
            "write Σ w as the trace, Σ w² as the sum of squares, Π w as det; others where the values are apart",
        )
    return nowhere(unknown, change, a)


def diagonal_of(x: Any) -> Any:
    return np.einsum("...ii->...i", x)


# -- Hermitian matrices ------------------------------------------------------------------------------------------------


def _triangle(n: int, dtype: Any, UPLO: str) -> Any:
    """The mask of the triangle that NumPy reads, with half of the diagonal: A is taken for M∘A + (M∘A)ᴴ."""
    return lower_half(n, dtype) if UPLO.upper() == "L" else lower_half(n, dtype).T


def _anchor(v: Any, UPLO: str) -> tuple[Any, Any]:
    """The row of V that LAPACK keeps real, as a mask, and its elements; zero where they fix no phase."""
    n = v.shape[-1]
    mask = np.eye(n, dtype=v.dtype)[:, :1] if UPLO.upper() == "L" else np.eye(n, dtype=v.dtype)[:, -1:]
    row = np.sum(v * mask, axis=-2)
    fixed = (np.imag(row) == 0) & (np.abs(row) > 16 * np.finfo(v.dtype).eps)
    return mask, np.where(fixed, np.real(row), 0)


def _eigh(d: Any, y: Any, a: Any, *, UPLO: str = "L") -> Any:
    """δH = conj(V)·(diag δw + K/(w_j − w_i))·Vᵀ, K the skew part of Vᵀ·δV; H is one triangle of A and its mirror."""
    (dw, dv), (w, v) = d, y
    n = v.shape[-1]
    tied, repeated = ties(w)
    middle: Any = 0 if dw is None else shared(dw, (tied, repeated))[..., None, :] * np.eye(n, dtype=w.dtype)
    if dv is not None:
        if v.dtype.kind == "c":
            # A function that no phase changes has turn = 0 but for rounding, which must not be divided by a small row
            mask, row = _anchor(v, UPLO)
            turn, size = np.imag(np.sum(v * dv, axis=-2)), np.sum(np.abs(dv), axis=-2)
            dv = dv - 1j * mask * phase("eigh", turn, size, row)[..., None, :]
        x = transposed(v) @ dv
        asked = used(dv) if dw is None else used(dv) | (dw != 0)
        middle = middle + undefined("eigh", over_gaps((x - adjoint(x)) / 2, w, tied), repeated, asked, a)
    dh = conjugated(v) @ middle @ transposed(v)
    return (dh + adjoint(dh)) * _triangle(n, v.dtype, UPLO)


def _rotation(t: Any, v: Any, UPLO: str) -> Any:
    """P = Vᴴ·Ḣ·V."""
    half = t * _triangle(v.shape[-1], v.dtype, UPLO)
    return adjoint(v) @ (half + adjoint(half)) @ v


def _eigh_tangent(t: Any, y: Any, a: Any, *, UPLO: str = "L") -> Any:
    w, v = y
    tied, repeated = ties(w)
    p = _rotation(t, v, UPLO)
    tv = v @ over_gaps(p, w, tied)
    if v.dtype.kind == "c":
        mask, row = _anchor(v, UPLO)
        turn = np.imag(np.sum(tv * mask, axis=-2))
        tv = tv - 1j * v * phase("eigh", turn, np.sum(np.abs(tv), axis=-2), row)[..., None, :]
    moved = np.any(t != 0, axis=(-2, -1))[..., None]
    tv = undefined("eigh", tv, repeated & moved, moved, a, "the tangent is nan")
    return shared(np.real(diagonal_of(p)), (tied, repeated), tangent=True), tv


eigh = op(
    np.linalg.eigh,
    _eigh,
    jvps=(_eigh_tangent,),
    results=True,
    numpy=(np.linalg.eigh,),
    examples=(
        at((3, 3), draw=spread), at((2, 4, 4), draw=spread), at((3, 3), draw=spread, UPLO="U"), at((1, 1)), at((0, 0)),
    ),
    formulas=("δA = M∘(G + Gᴴ), G = conj(V)·(diag δw + K/(w_j − w_i))·Vᵀ, K the skew part of Vᵀ·δV, M the triangle",),
    note="NumPy reads one triangle: δA is zero in the other and counts both; δ of an eigenvector of a repeated "
    "eigenvalue is nan, with a warning; a complex one has the phase that makes its first element (UPLO='U': last) "
    "real; where that element is zero only functions that no phase changes have a δ, and no tangent",
)  # fmt: skip


def _mirrored(v: Any, k: Any, UPLO: str) -> Any:
    """M∘(G + Gᴴ) with G = conj(V)·K·Vᵀ."""
    g = conjugated(v) @ k @ transposed(v)
    return (g + adjoint(g)) * _triangle(v.shape[-1], v.dtype, UPLO)


def _eigvalsh_slope(d: Any, a: Any, *, UPLO: str = "L") -> Any:
    w, v = eigh(a, UPLO=UPLO)
    return _mirrored(v, shared(d, ties(w))[..., None, :] * np.eye(v.shape[-1], dtype=d.dtype), UPLO)


def _eigvalsh_slope_tangent(t: Any, y: Any, d: Any, a: Any, *, UPLO: str = "L") -> Any:
    w, v = eigh(a, UPLO=UPLO)
    return _mirrored(v, conjugated(divided("eigvalsh", _rotation(t, v, UPLO), d, w, a)), UPLO)


eigvalsh_slope = op(
    _eigvalsh_slope,
    lambda d, y, dw, a, *, UPLO="L": _eigvalsh_tangent(d, dw, a, UPLO=UPLO),
    _eigvalsh_slope_tangent,
    jvps=(lambda t, y, dw, a, *, UPLO="L": _eigvalsh_slope(t, a, UPLO=UPLO), _eigvalsh_slope_tangent),
    name="eigvalsh_slope",
    examples=(
        at((3,), (3, 3), draw=(None, spread)), at((2, 4), (2, 4, 4), draw=(None, spread)),
        at((3,), (3, 3), draw=(None, spread), UPLO="U"),
    ),
    formulas=("δδw = diag(P)", "δA = M∘(G + Gᴴ), G = conj(V·(P∘(δw_j − δw_i)/(w_j − w_i))·Vᴴ)"),
    note="the rule of eigvalsh as an operation of δw and A; as a second derivative it is symmetric, so its tangent "
    "rule is also its δ; nan where repeated eigenvalues would need the derivative of δw by w",
)  # fmt: skip


def _eigvalsh_tangent(t: Any, y: Any, a: Any, *, UPLO: str = "L") -> Any:
    w, v = eigh(a, UPLO=UPLO)
    return shared(np.real(diagonal_of(_rotation(t, v, UPLO))), ties(w), tangent=True)


eigvalsh = op(
    np.linalg.eigvalsh,
    lambda d, y, a, *, UPLO="L": eigvalsh_slope(d, a, UPLO=UPLO),
    jvps=(_eigvalsh_tangent,),
    numpy=(np.linalg.eigvalsh,),
    examples=(
        at((3, 3), draw=spread), at((2, 4, 4), draw=spread), at((3, 3), draw=spread, UPLO="U"), at((1, 1)), at((0, 0)),
    ),
    formulas=("δA = M∘(G + Gᴴ), G = conj(V)·diag δw·Vᵀ, M the triangle that NumPy reads",),
    note="equal eigenvalues share their δ, which is right for every symmetric function of them; its own derivative is "
    "nan there if it mixes them",
)  # fmt: skip


# -- any square matrices -----------------------------------------------------------------------------------------------


def _left(v: Any) -> tuple[Any, Any]:
    """V⁻¹, whose rows are the left eigenvectors, and for which eigenvalues it says nothing.

    Where a row is longer than ε^(−1/2) the matrix is, as far as rounding can tell, one that has no basis of
    eigenvectors: there an eigenvalue moves by the square root of what is done to the matrix.
    """
    exists = np.isfinite(np.linalg.slogdet(stop_gradient(v))[1])
    left = np.linalg.inv(np.where(each(exists), v, np.eye(v.shape[-1], dtype=v.dtype)))
    length = np.sqrt(np.sum(np.abs(stop_gradient(left)) ** 2, axis=-1))
    return left, ~(length < 0.25 / np.sqrt(np.finfo(v.dtype).eps)) | ~exists[..., None]


def _lost(name: str, x: Any, lost: Any, a: Any) -> Any:
    """Nan in the columns of x that a matrix without a basis of eigenvectors would have to give, with a warning."""
    return nowhere(lost_basis(name, lost)[..., None, :], x, a)


def _largest(v: Any) -> Any:
    """One in each column, at the element that LAPACK makes real: the largest."""
    v = stop_gradient(v)
    if v.size == 0:
        return np.zeros(v.shape, v.dtype)
    rows = np.argmax(np.abs(v), axis=-2)
    return (np.arange(v.shape[-1])[:, None] == rows[..., None, :]).astype(v.dtype)


def _eig(d: Any, y: Any, a: Any) -> Any:
    """δA = V⁻ᵀ·(diag δw + (Vᵀ·E)/(w_j − w_i))·Vᵀ, where E is δV without what changes only lengths and phases."""
    (dw, dv), (w, v) = d, y
    (left, lost), (tied, repeated) = _left(v), ties(w)
    middle: Any = 0
    if dw is not None:
        share = shared(dw, (tied, repeated))[..., None, :]
        middle = _lost("eig", share * np.eye(v.shape[-1], dtype=v.dtype), lost & (dw != 0), a)
    if dv is not None:
        along = np.sum(v * dv, axis=-2, keepdims=True)
        e = dv - conjugated(v) * np.real(along)
        if v.dtype.kind == "c":
            largest = _largest(v)
            e = e - 1j * largest * np.imag(along) / np.sum(v * largest, axis=-2, keepdims=True)
        asked = used(dv) if dw is None else used(dv) | (dw != 0)
        without = np.any(lost, axis=-1, keepdims=True)
        inner = _lost("eig", over_gaps(transposed(v) @ e, w, tied), without & asked, a)
        middle = middle + undefined("eig", inner, repeated & ~without, asked, a)
    return transposed(left) @ middle @ transposed(v)


def _eig_tangent(t: Any, y: Any, a: Any) -> Any:
    w, v = y
    left, lost = _left(v)
    tied, repeated = ties(w)
    p = left @ t @ v
    tv = v @ over_gaps(p, w, tied)
    turn = np.real(np.sum(conjugated(v) * tv, axis=-2, keepdims=True))
    if v.dtype.kind == "c":
        largest = _largest(v)
        at_largest = np.sum(v * largest, axis=-2, keepdims=True)
        turn = turn + 1j * np.imag(np.sum(tv * largest, axis=-2, keepdims=True)) / at_largest
    moved = np.any(t != 0, axis=(-2, -1))[..., None]
    without = np.any(lost, axis=-1, keepdims=True)
    tv = _lost("eig", tv - v * turn, without & moved, a)
    tw = nowhere(lost_basis("eig", lost & moved), shared(diagonal_of(p), (tied, repeated), tangent=True), a)
    return tw, undefined("eig", tv, repeated & moved & ~without, moved, a, "the tangent is nan")


eig = op(
    np.linalg.eig,
    _eig,
    jvps=(_eig_tangent,),
    results=True,
    numpy=(np.linalg.eig,),
    examples=(
        at((3, 3), draw=spread), at((2, 3, 3), draw=spread), at((3, 3), draw=turning), at((2, 4, 4), draw=turning),
        at((1, 1)), at((0, 0)),
    ),
    formulas=("δA = V⁻ᵀ·(diag δw + (Vᵀ·E)/(w_j − w_i))·Vᵀ, E = δV less what changes only lengths and phases",),
    note="eigenvectors have length one and a real largest element, as LAPACK makes them; δ of an eigenvector of a "
    "repeated eigenvalue is nan, and so is all of δ where a matrix has no basis of eigenvectors",
)  # fmt: skip


def _order(w: Any, found: Any) -> Any:
    """The permutation that brings `found` into the order of w; LAPACK's two routines need not agree on it."""
    w, found = stop_gradient(w), stop_gradient(found)
    off = np.abs(w[..., :, None] - found[..., None, :])
    size = np.sum(np.abs(w), axis=-1, keepdims=True)
    same = np.all(diagonal_of(off) <= 16 * np.finfo(w.dtype).eps * size, axis=-1, keepdims=True)  # repeated ones too
    places = np.arange(w.shape[-1])
    return np.where(same, places, np.argmin(off, axis=-1))[..., None, :] == places[:, None]


def _basis(w: Any, a: Any) -> tuple[Any, Any, Any]:
    """The eigenvectors in the order of the eigenvalues w, their inverse, and which are lost."""
    found, v = eig(a)
    v = v @ _order(w, found).astype(v.dtype) if v.shape[-1] else v
    return (v, *_left(v))


def _eigvals_slope(d: Any, a: Any) -> Any:
    w = np.linalg.eigvals(stop_gradient(a))
    v, left, lost = _basis(w, a)
    return _lost("eigvals", transposed(left) * shared(d, ties(w))[..., None, :], lost & (d != 0), a) @ transposed(v)


def _eigvals_tangent(t: Any, y: Any, a: Any) -> Any:
    v, left, lost = _basis(y, a)
    moved = np.any(t != 0, axis=(-2, -1))[..., None]
    ty = shared(diagonal_of(left @ t @ v), ties(y), tangent=True)
    return nowhere(lost_basis("eigvals", moved & lost), ty, a)


def _eigvals_slope_tangent(t: Any, y: Any, d: Any, a: Any) -> Any:
    w = np.linalg.eigvals(a)
    v, left, lost = _basis(w, a)
    change = divided("eigvals", left @ t @ v, d, w, a)
    unknown = lost_basis("eigvals", np.any(lost, axis=-1) & np.any(t != 0, axis=(-2, -1)))
    return transposed(v @ nowhere(each(unknown), change, a) @ left)


eigvals_slope = op(
    _eigvals_slope,
    lambda d, y, dw, a: _eigvals_tangent(d, np.linalg.eigvals(a), a),
    _eigvals_slope_tangent,
    jvps=(lambda t, y, dw, a: _eigvals_slope(t, a), _eigvals_slope_tangent),
    name="eigvals_slope",
    examples=(
        at((3,), (3, 3), draw=(None, spread)), at((2, 4), (2, 4, 4), draw=(None, spread)),
        at((3,), (3, 3), draw=(None, turning)),
    ),
    formulas=("δδw = diag(P)", "δA = (V·(P∘(δw_j − δw_i)/(w_j − w_i))·V⁻¹)ᵀ, P = V⁻¹·δY·V"),
    note="the rule of eigvals as an operation of δw and A; as a second derivative it is symmetric, so its tangent rule "
    "is also its δ; nan where repeated eigenvalues would need the derivative of δw by w",
)  # fmt: skip

eigvals = op(
    np.linalg.eigvals,
    lambda d, y, a: eigvals_slope(d, a),
    jvps=(_eigvals_tangent,),
    numpy=(np.linalg.eigvals,),
    examples=(
        at((3, 3), draw=spread), at((2, 3, 3), draw=spread), at((3, 3), draw=turning), at((2, 4, 4), draw=turning),
        at((1, 1)), at((0, 0)),
    ),
    formulas=("δA = V⁻ᵀ·diag δw·Vᵀ",),
    note="nan where a matrix has no basis of eigenvectors; equal eigenvalues share their δ, which is right for every "
    "symmetric function of them; its own derivative is nan there if it mixes them",
)  # fmt: skip
