"""``scipy.linalg``, for code that wants to be differentiated: SciPy's names, SciPy's values.

On plain arrays every name is SciPy's own function. On tensors those that are written out here are operations of
:mod:`~autodiff.scipy.matrices` or compositions of NumPy's; the others turn a tensor into a plain array, and say so.
``overwrite_a`` and its like are permissions of which no use is made.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.linalg as _scipy

from ..errors import NoRuleError, message
from ..ops.contract import transposed
from ..ops.linalg import adjoint
from ..traced import plain
from . import matrices
from .drop_in import drop_in


def _checked(a: Any, check_finite: bool) -> Any:
    """An argument as an array or tensor; SciPy's own error where it must be finite and is not."""
    a = a if hasattr(a, "dtype") else np.stack([np.asarray(row) for row in a])
    if check_finite:
        np.asarray_chkfinite(plain(a))
    return a


def _no_rule(name: str, what: str, why: str, instead: str) -> NoRuleError:
    return NoRuleError(message(f"scipy.linalg.{name}: {what} has no derivative rule", why, instead))


def _transposition(trans: Any, a: Any) -> tuple[Any, int]:
    """SciPy's codes for A, Aᵀ and Aᴴ, with the conjugation carried out."""
    code = {"N": 0, "T": 1, "C": 2}.get(trans, trans)
    return (np.conj(a), 1) if code == 2 and a.dtype.kind == "c" else (a, min(int(code), 1))


# -- systems of equations ----------------------------------------------------------------------------------------------


@drop_in(_scipy.solve_triangular)
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.solve_triangular``."""
    a, b = _checked(a, check_finite), _checked(b, check_finite)
    a, turned = _transposition(trans, a)
    return matrices.triangular(a, b, trans=turned, lower=bool(lower), unit_diagonal=bool(unit_diagonal))


def _mirrored(a: Any, lower: bool, hermitian: bool) -> Any:
    """The whole of a matrix of which one triangle is read."""
    other = adjoint(a) if hermitian else transposed(a)
    n = a.shape[-1]
    below = np.tri(n, k=-1, dtype=bool)
    diagonal = np.eye(n, dtype=bool)
    if hermitian and a.dtype.kind == "c":
        a = np.where(diagonal, np.real(a), a)
    return np.where(diagonal | (below if lower else below.T), a, other)


def _banded(a: Any, width: int) -> Any:
    return np.triu(np.tril(a, width), -width)


@drop_in(_scipy.solve)
def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, assume_a: str | None = None, transposed: bool = False,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.solve``: of the structure that is assumed, the part that SciPy reads has a δ."""
    a, b = np.atleast_2d(_checked(a, check_finite)), np.atleast_1d(_checked(b, check_finite))
    if transposed and a.dtype.kind == "c":
        raise NotImplementedError("scipy.linalg.solve can currently not solve a^T x = b or a^H x = b for complex "
                                  "matrices.")  # fmt: skip
    return _structured(a, lower, assume_a, bool(transposed))(b)


def _structured(a: Any, lower: bool, assume_a: str | None, turned: bool) -> Any:
    """A function that solves for right-hand sides."""
    if assume_a in ("upper triangular", "lower triangular"):
        below = assume_a == "lower triangular"
        return functools.partial(matrices.triangular, a, trans=int(turned), lower=below, unit_diagonal=False)
    if assume_a in ("pos", "positive definite"):
        return functools.partial(cho_solve, cho_factor(a, lower))
    if assume_a in ("sym", "symmetric", "her", "hermitian"):
        a = _mirrored(a, lower, assume_a.startswith("her"))
    elif assume_a in ("diagonal", "tridiagonal"):
        a = _banded(a, int(assume_a == "tridiagonal"))
    elif assume_a not in (None, "gen", "general", "banded"):
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    return functools.partial(np.linalg.solve, np.swapaxes(a, -1, -2) if turned else a)


@drop_in(_scipy.inv)
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: str | None = None, lower: bool = False
) -> Any:
    """See ``scipy.linalg.inv``."""
    a = _checked(a, check_finite)
    if assume_a in (None, "general"):
        return np.linalg.inv(a)
    return _structured(a, lower, assume_a, False)(np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape))


@drop_in(_scipy.det)
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """See ``scipy.linalg.det``, whose result has double precision."""
    a = _checked(a, check_finite)
    return np.linalg.det(a).astype(np.result_type(a.dtype, np.float64))


@drop_in(_scipy.lstsq)
def lstsq(
    a: Any, b: Any, cond: Any = None, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True,
    lapack_driver: str | None = None,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.lstsq``; by whatever driver."""
    a, b = _checked(a, check_finite), _checked(b, check_finite)
    x, squares, rank, s = np.linalg.lstsq(a, b, np.finfo(a.dtype).eps if cond is None else cond)
    if b.ndim == 1 and squares.shape == (1,):
        squares = squares[0]
    if lapack_driver == "gelsy":  # which computes neither squares nor singular values
        return x, np.empty(0, x.dtype), rank, None
    return x, squares, rank, s


@drop_in(_scipy.pinv)
def pinv(
    a: Any, *, atol: float | None = None, rtol: float | None = None, return_rank: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.pinv``."""
    a = _checked(a, check_finite)
    s = np.linalg.svdvals(plain(a))
    largest = np.max(s, axis=-1, initial=0.0)
    relative = max(a.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else rtol
    if relative < 0 or (atol or 0) < 0:
        raise ValueError("atol and rtol values must be positive.")
    cut = (atol or 0.0) / np.where(largest > 0, largest, 1) + relative
    inverse = np.linalg.pinv(a, rcond=cut)
    return (inverse, np.sum(s > (cut * largest)[..., None], axis=-1)) if return_rank else inverse


@drop_in(_scipy.solve_sylvester)
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """See ``scipy.linalg.solve_sylvester``."""
    return matrices.sylvester(a, b, q)


@drop_in(_scipy.solve_continuous_lyapunov)
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """See ``scipy.linalg.solve_continuous_lyapunov``: A·X + X·Aᴴ = Q."""
    a = _checked(a, False)
    return matrices.sylvester(a, adjoint(a), q)


# -- factorisations ----------------------------------------------------------------------------------------------------


@drop_in(_scipy.cholesky)
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """See ``scipy.linalg.cholesky``: one triangle is read, the upper one by default."""
    return np.linalg.cholesky(np.atleast_2d(_checked(a, check_finite)), upper=not lower)


@drop_in(_scipy.cho_factor)
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """See ``scipy.linalg.cho_factor``: the other triangle keeps what stood there, as SciPy leaves it."""
    a = np.atleast_2d(_checked(a, check_finite))
    factor = np.linalg.cholesky(a, upper=not lower)
    return factor + (np.triu(a, 1) if lower else np.tril(a, -1)), lower


@drop_in(_scipy.cho_solve)
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """See ``scipy.linalg.cho_solve``: L·Lᴴ·X = B, or Uᴴ·U·X = B."""
    c, lower = c_and_lower
    c, b = _checked(c, check_finite), _checked(b, check_finite)
    steps: tuple[int, ...] = (0, 2) if lower else (2, 0)
    for trans in steps:
        b = solve_triangular(c, b, trans, lower, check_finite=False)
    return b


@drop_in(_scipy.lu)
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> Any:
    """See ``scipy.linalg.lu``: A = P·L·U, with the permutation flat."""
    a = _checked(a, check_finite)
    rows, low, up = matrices.lu(a)
    if permute_l:
        return np.take_along_axis(low, rows[..., None], axis=-2), up
    if not p_indices:
        single = np.float32 if a.dtype.char in "fF" else np.float64
        rows = (rows[..., None] == np.arange(a.shape[-2])).astype(single)
    return rows, low, up


def _pivots(rows: Any, count: int) -> Any:
    """The permutation as LAPACK has it: which later row each of the first rows was exchanged with, one by one."""
    wanted = np.argsort(rows, axis=-1)
    order = np.broadcast_to(np.arange(rows.shape[-1]), rows.shape).copy()
    found = np.zeros((*rows.shape[:-1], count), np.int32)
    for j in range(count):
        place = np.argmax(order == wanted[..., j : j + 1], axis=-1)[..., None]
        found[..., j] = place[..., 0]
        np.put_along_axis(order, place, order[..., j : j + 1], axis=-1)
        order[..., j] = wanted[..., j]
    return found


def _exchanged(piv: Any, rows: int) -> Any:
    """The inverse of `_pivots`: where each row of the product L·U stands in A."""
    order = np.broadcast_to(np.arange(rows), (*piv.shape[:-1], rows)).copy()
    for j in range(piv.shape[-1]):
        place = piv[..., j : j + 1].astype(np.intp)
        there = np.take_along_axis(order, place, axis=-1)
        np.put_along_axis(order, place, order[..., j : j + 1], axis=-1)
        order[..., j] = there[..., 0]
    return order


@drop_in(_scipy.lu_factor)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """See ``scipy.linalg.lu_factor``: L, without its ones, and U in one array; pivots."""
    a = _checked(a, check_finite)
    rows, low, up = matrices.lu(a)
    m, n = a.shape[-2:]
    k = min(m, n)
    batch = [(0, 0)] * (a.ndim - 2)
    packed = np.pad(np.tril(low, -1), [*batch, (0, 0), (0, n - k)]) + np.pad(up, [*batch, (0, m - k), (0, 0)])
    return packed, _pivots(rows, k)


@drop_in(_scipy.lu_solve)
def lu_solve(
    lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """See ``scipy.linalg.lu_solve``."""
    packed, piv = lu_and_piv
    packed, b = _checked(packed, False), _checked(b, check_finite)
    if packed.shape[-2] != b.shape[-2 if b.ndim > 1 else -1]:
        raise ValueError(f"Shapes of lu {packed.shape} and b {b.shape} are incompatible")
    x = b[:, None] if b.ndim == 1 else b
    order = _exchanged(np.asarray(plain(piv)), packed.shape[-1])
    x = np.broadcast_to(x, (*np.broadcast_shapes(order.shape[:-1], x.shape[:-2]), *x.shape[-2:]))
    if trans:
        x = solve_triangular(packed, x, trans, check_finite=False)
        x = solve_triangular(packed, x, trans, lower=True, unit_diagonal=True, check_finite=False)
        x = np.take_along_axis(x, np.argsort(order, axis=-1)[..., None], axis=-2)
    else:
        x = np.take_along_axis(x, order[..., None], axis=-2)
        x = solve_triangular(packed, x, lower=True, unit_diagonal=True, check_finite=False)
        x = solve_triangular(packed, x, check_finite=False)
    return x[..., 0] if b.ndim == 1 else x


@drop_in(_scipy.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """See ``scipy.linalg.svd``; by whatever driver."""
    form: Any = {"full_matrices": full_matrices, "compute_uv": bool(compute_uv)}
    return np.linalg.svd(_checked(a, check_finite), **form)


@drop_in(_scipy.svdvals)
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """See ``scipy.linalg.svdvals``."""
    return np.linalg.svdvals(_checked(a, check_finite))


@drop_in(_scipy.norm)
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:  # noqa: A002 SciPy's name
    """See ``scipy.linalg.norm``."""
    return np.linalg.norm(_checked(a, check_finite), ord, axis, keepdims)


@drop_in(_scipy.qr)
def qr(
    a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.qr``."""
    a = _checked(a, check_finite)
    if pivoting or mode == "raw":
        raise _no_rule(
            "qr", f"pivoting={pivoting}, mode={mode!r}", "NumPy has no rule for it", "qr(a, mode='economic'), qr(a)"
        )
    if mode not in ("full", "r", "economic"):
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic', 'raw']")
    if mode == "r":
        r: Any = np.linalg.qr(a, mode="r")
        missing = a.shape[-2] - r.shape[-2]
        return (np.pad(r, [(0, 0)] * (a.ndim - 2) + [(0, missing), (0, 0)]),)
    return tuple(np.linalg.qr(a, mode="complete" if mode == "full" else "reduced"))


# -- eigenvalues -------------------------------------------------------------------------------------------------------

def _turned(v: Any, like: Any) -> Any:
    """Eigenvectors with the signs or phases of these others, as constants.

    LAPACK's routines differ in them, and SciPy's default one changes a sign from one matrix to the next.
    """
    along = np.sum(np.conj(plain(v)) * like, axis=-2, keepdims=True)
    return v * (along / np.where(along == 0, 1, np.abs(along))).astype(v.dtype)


def _standard(name: str, b: Any, **beyond: Any) -> None:
    """Refuse what leads out of the problem A·x = λ·x."""
    if b is not None:
        raise _no_rule(
            name, "the generalized problem", "only that of one matrix has one",
            f"with L = cholesky(b, lower=True): {name}(solve(L, solve(L, a).T.conj()))",
        )  # fmt: skip
    for key, value in beyond.items():
        if value:
            raise _no_rule(name, f"{key}={value!r}", "NumPy has none for it", "leave it out")


def _chosen(w: Any, subset_by_index: Any, subset_by_value: Any) -> Any:
    """The eigenvalues that are asked for, as an index of the last axis."""
    if subset_by_index is not None:
        low, high = map(int, subset_by_index)
        if not 0 <= low <= high < w.shape[-1]:
            raise ValueError(f"Requested eigenvalue indices are not valid. Valid range is [0, {w.shape[-1] - 1}] and "
                             f"start <= end, but start={low}, end={high} is given")  # fmt: skip
        return slice(low, high + 1)
    if subset_by_value is not None:
        low, high = subset_by_value
        return slice(*np.searchsorted(plain(w), [low, high], side="right"))  # half open, as SciPy's: (low, high]
    return slice(None)


@drop_in(_scipy.eigh)
def eigh(
    a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, type: int = 1, check_finite: bool = True, subset_by_index: Any = None,  # noqa: A002 SciPy's name
    subset_by_value: Any = None, driver: str | None = None,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.eigh``; for one matrix. The driver decides the signs of the eigenvectors."""
    _standard("eigh", b)
    a = _checked(a, check_finite)
    triangle: Any = "L" if lower else "U"
    if eigvals_only:
        w = np.linalg.eigvalsh(a, UPLO=triangle)
        return w[..., _chosen(w, subset_by_index, subset_by_value)]
    w, v = np.linalg.eigh(a, UPLO=triangle)
    chosen = _chosen(w, subset_by_index, subset_by_value)
    like = _scipy.eigh(  # for some eigenvectors LAPACK may choose other signs than for all
        plain(a), lower=lower, check_finite=False, driver=driver, subset_by_index=subset_by_index,
        subset_by_value=subset_by_value,
    )[1]  # fmt: skip
    return w[..., chosen], _turned(v[..., chosen], like)


@drop_in(_scipy.eigvalsh)
def eigvalsh(a: Any, b: Any = None, **settings: Any) -> Any:
    """See ``scipy.linalg.eigvalsh``; for one matrix, by whatever driver."""
    return eigh(a, b, eigvals_only=True, **settings)


@drop_in(_scipy.eig)
def eig(
    a: Any, b: Any = None, left: bool = False, right: bool = True, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, homogeneous_eigvals: bool = False,
) -> Any:  # fmt: skip
    """See ``scipy.linalg.eig``: eigenvalues, always complex, and the right eigenvectors."""
    _standard("eig", b, left=left, homogeneous_eigvals=homogeneous_eigvals)
    a = _checked(a, check_finite)
    if not right:
        return eigvals(a, check_finite=False)
    w, v = np.linalg.eig(a)
    return w.astype(np.result_type(w.dtype, np.complex64)), v


@drop_in(_scipy.eigvals)
def eigvals(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Any:
    """See ``scipy.linalg.eigvals``: always complex."""
    _standard("eigvals", b, homogeneous_eigvals=homogeneous_eigvals)
    w = np.linalg.eigvals(_checked(a, check_finite))
    return w.astype(np.result_type(w.dtype, np.complex64))


# -- functions of a matrix ---------------------------------------------------------------------------------------------


@drop_in(_scipy.expm)
def expm(A: Any) -> Any:
    """See ``scipy.linalg.expm``."""
    A = _checked(A, False)
    return matrices.expm(np.reshape(A, (1, 1)) if A.ndim < 2 and A.size == 1 else A)


@drop_in(_scipy.expm_frechet)
def expm_frechet(
    A: Any, E: Any, method: str | None = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """See ``scipy.linalg.expm_frechet``; by either method."""
    A, E = _checked(A, check_finite), _checked(E, check_finite)
    if method not in (None, "SPS", "blockEnlarge"):
        raise ValueError(f"Unknown implementation {method}")
    if A.shape != E.shape:
        raise ValueError("expected A and E to be the same shape")
    slope = matrices.expm_frechet(A, E)
    return (matrices.expm(A), slope) if compute_expm else slope


@drop_in(_scipy.sqrtm)
def sqrtm(A: Any) -> Any:
    """See ``scipy.linalg.sqrtm``."""
    return matrices.sqrtm(A)


@drop_in(_scipy.logm)
def logm(A: Any) -> Any:
    """See ``scipy.linalg.logm``."""
    return matrices.logm(A)


def _trigonometric(even: bool, hyperbolic: bool) -> Any:
    """(exp(uA) ± exp(−uA))/2, over u where odd, with u = 1 for the hyperbolic functions and i for the others."""

    def function(A: Any) -> Any:
        A = _checked(A, False)
        if not hyperbolic and A.dtype.kind != "c":
            z = matrices.expm(1j * A)
            return np.real(z) if even else np.imag(z)
        unit = 1 if hyperbolic else 1j
        up, down = matrices.expm(unit * A), matrices.expm(-unit * A)
        return 0.5 * (up + down) if even else (0.5 / unit) * (up - down)

    return function


cosm = drop_in(_scipy.cosm)(_trigonometric(even=True, hyperbolic=False))
sinm = drop_in(_scipy.sinm)(_trigonometric(even=False, hyperbolic=False))
coshm = drop_in(_scipy.coshm)(_trigonometric(even=True, hyperbolic=True))
sinhm = drop_in(_scipy.sinhm)(_trigonometric(even=False, hyperbolic=True))


@drop_in(_scipy.tanm)
def tanm(A: Any) -> Any:
    """See ``scipy.linalg.tanm``."""
    return np.linalg.solve(cosm(A), sinm(A))


@drop_in(_scipy.tanhm)
def tanhm(A: Any) -> Any:
    """See ``scipy.linalg.tanhm``."""
    return np.linalg.solve(coshm(A), sinhm(A))


# -- arrangements ------------------------------------------------------------------------------------------------------


@drop_in(_scipy.block_diag)
def block_diag(*arrs: Any) -> Any:
    """See ``scipy.linalg.block_diag``."""
    return matrices.block_diag(*arrs)


def _arranged(function: Any, *arrays: Any, **settings: Any) -> Any:
    """What SciPy's function makes of arrays whose elements it only moves, and of zeros.

    It is given the numbers of the elements in place of the elements, and what it returns is read as an index.
    """
    arrays = tuple(_checked(x, False) for x in arrays)
    places, start = [], 1
    for x in arrays:
        places.append(start + np.arange(x.size).reshape(x.shape))
        start += x.size
    elements = np.concatenate([np.zeros(1, bool), *map(np.ravel, arrays)])  # a bool takes no part in the dtype
    return elements[function(*places, **settings)]


@drop_in(_scipy.toeplitz)
def toeplitz(c: Any, r: Any = None) -> Any:
    """See ``scipy.linalg.toeplitz``."""
    return _arranged(_scipy.toeplitz, c, np.conj(c) if r is None else r)


@drop_in(_scipy.circulant)
def circulant(c: Any) -> Any:
    """See ``scipy.linalg.circulant``."""
    return _arranged(_scipy.circulant, c)


@drop_in(_scipy.hankel)
def hankel(c: Any, r: Any = None) -> Any:
    """See ``scipy.linalg.hankel``."""
    return _arranged(_scipy.hankel, c) if r is None else _arranged(_scipy.hankel, c, r)


@drop_in(_scipy.leslie)
def leslie(f: Any, s: Any) -> Any:
    """See ``scipy.linalg.leslie``."""
    return _arranged(_scipy.leslie, f, s)


@drop_in(_scipy.convolution_matrix)
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """See ``scipy.linalg.convolution_matrix``."""
    return _arranged(_scipy.convolution_matrix, a, n=n, mode=mode)


@drop_in(_scipy.khatri_rao)
def khatri_rao(a: Any, b: Any) -> Any:
    """See ``scipy.linalg.khatri_rao``: each column of one times the same column of the other."""
    product = a[..., :, None, :] * b[..., None, :, :]
    return np.reshape(product, (*product.shape[:-3], product.shape[-3] * product.shape[-2], product.shape[-1]))


def __getattr__(name: str) -> Any:
    return getattr(_scipy, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_scipy)})


__all__ = list(_scipy.__all__)
