"""Determinants: d det A = Σ cof(A)∘dA, and d log|det A| = Re tr(A⁻¹·dA).

The textbook's cof(A) = det A·A⁻ᵀ (M. Giles, 2008, section 2.2.4) holds where A is regular; det is a polynomial, and its
derivatives of every order exist at singular matrices as well, where other formulas for the same polynomial take over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DegenerateWarning, warn
from ..makers import at, flat, op
from ..traced import every, plain
from .contract import transposed
from .flat import stop_gradient
from .linalg import adjoint, each, nowhere, regular, singular


def _null_vectors(a: Any) -> Any:
    """The U and V with which A, once bordered, is far from singular: (2, n, m) a matrix."""
    n = a.shape[-1]
    u, s, vh = np.linalg.svd(a)
    m = max(1, int((s <= _far(a.dtype) * s[..., :1]).sum(-1).max()))
    return np.stack([u[..., n - m :], adjoint(vh[..., n - m :, :])], axis=-3)


def _far(dtype: Any) -> Any:
    """The reciprocal condition below which an inverse would cost a quarter of the digits at each order."""
    return np.finfo(dtype).eps ** 0.25


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


def _inverse(a: Any) -> Any:
    """The inverse, or None where one of the matrices is so near to a singular one that it would cost digits."""
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        reach = np.abs(every(a)).sum(-1).max(-1) * np.abs(every(inverse)).sum(-1).max(-1)
        return inverse if np.all(reach * _far(a.dtype) < 1) else None


def _cofactors(a: Any, y: Any) -> Any:
    """∂det/∂A = det A·A⁻ᵀ; at singular matrices, and where det A is too large or too small for a number, as below."""
    if a.shape[-1] <= 1:
        return np.ones(a.shape, a.dtype)
    size = np.abs(every(y))
    if np.all((size > np.finfo(size.dtype).tiny) & (size < np.inf)):  # else it has not all its digits
        inverse = _inverse(a)
        if inverse is not None:
            return each(y) * transposed(inverse)
    exists = each(np.isfinite(np.sum(stop_gradient(a), axis=(-2, -1))))
    return np.where(exists, _scaled_cofactors(np.where(exists, a, np.eye(a.shape[-1], dtype=a.dtype))), np.nan)


def _scaled_cofactors(a: Any) -> Any:
    """Those of A with each row divided by a power of two, which is exact, and with what that divides them by."""
    rows = np.frexp(np.max(np.abs(plain(a)), axis=-1, keepdims=True))[1].astype(float)
    a = _times_power(a, -rows)
    rows = np.sum(rows, axis=-2, keepdims=True) - rows
    inverse = _inverse(a)
    if inverse is None:
        return _times_power(_bordered_cofactors(a), rows)
    sign, log = np.linalg.slogdet(a)
    power = np.round(plain(log) / np.log(2))
    return _times_power(each(sign * np.exp(log - power * np.log(2))) * transposed(inverse), rows + each(power))


def _times_power(x: Any, power: Any) -> Any:
    """The product x·2^power in steps, of which none is larger or smaller than both ends."""
    most = np.finfo(x.dtype).maxexp // 2
    while np.any(power):
        step = np.clip(power, -most, most)
        x, power = x * (2.0**step).astype(np.finfo(x.dtype).dtype), power - step
    return x


def _bordered_cofactors(a: Any) -> Any:
    """Cofactors at singular matrices as well, and differentiable there to any order.

    A is bordered to K = [[A, βU], [βVᴴ, 0]] with the singular vectors that almost vanish in A, and β the size of A.
    With X = K⁻¹ in the same blocks, det A = det K · det X₂₂, an identity in A for any fixed U, V, β. Its derivative is
    det K · (det X₂₂ · X₁₁ᵀ − X₂₁ᵀ·cof(X₂₂)·X₁₂ᵀ), here with X counted in units of 1/β so that only what is too large
    itself overflows; nothing is divided by a small number.
    """
    n, border = a.shape[-1], null_vectors(a)
    m = border.shape[-1]
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
    return each(unit) * (each(value) * transposed(x[..., :n, :n]) - rank)


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
    if np.all(np.isfinite(every(y[1]))):
        return each(weight) * transposed(np.linalg.inv(a))
    exists = np.isfinite(plain(y[1]))
    if np.any(plain(weight)[~exists]):
        warn(
            DegenerateWarning,
            "slogdet: δ of a singular matrix is nan",
            "the logarithm of its determinant is −inf, and falls off to there from every side",
            "np.linalg.det, which has a derivative there",
        )
    # a singular matrix must not keep the others of its stack from theirs
    inverse = np.linalg.inv(np.where(each(exists), a, np.eye(a.shape[-1], dtype=a.dtype)))
    return nowhere(each(~exists), each(weight) * transposed(inverse), a)


slogdet = op(
    np.linalg.slogdet,
    _slogdet,
    results=True,
    numpy=(np.linalg.slogdet,),
    examples=(at((3, 3)), at((2, 4, 4), draw=regular), at((1, 1)), at((0, 0))),
    formulas=("δA = δlogabsdet·A⁻ᵀ; complex: (δlogabsdet + i·Im(δsign·sign))·A⁻ᵀ",),
    note="the sign of a real matrix is flat; at a singular matrix log|det| is −inf and δ is nan",
)
