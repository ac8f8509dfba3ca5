"""``scipy.sparse.linalg``, for code that wants to be differentiated: systems with a constant sparse matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg as _scipy

from ...errors import NoRuleError, message
from ...makers import at, linear
from ...op import Op
from ...traced import Traced
from ..drop_in import drop_in

_EXAMPLE = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [-1.0, 0.0, 2.5]])


def _solved(b: Any, *, matrix: Any, permc_spec: str = "COLAMD") -> Any:
    """A⁻¹·b by SuperLU, which computes real and complex parts apart where only b is complex."""
    factors = _scipy.splu(scipy.sparse.csc_array(matrix), permc_spec=permc_spec)
    b = b.astype(np.result_type(b.dtype, np.float64), order="C", copy=False)
    if b.dtype.kind == "c" and matrix.dtype.kind != "c":
        return factors.solve(b.real.copy()) + 1j * factors.solve(b.imag.copy())
    return factors.solve(b)


spsolve_rule: Op = linear(
    _solved,
    lambda d, y, b, *, matrix, permc_spec="COLAMD": spsolve_rule(d, matrix=matrix.T, permc_spec=permc_spec),
    name="spsolve",
    examples=(at((3,), matrix=_EXAMPLE), at((3, 2), matrix=_EXAMPLE, permc_spec="NATURAL")),
    formulas=("δb = A⁻ᵀ·δx",),
    note="the solution of A·x = b with a constant sparse matrix A of SciPy",
)


def _constant(A: Any) -> Any:
    """The matrix in the form that SuperLU takes, a copy."""
    if isinstance(A, Traced) or not scipy.sparse.issparse(A):
        raise NoRuleError(
            message(
                f"spsolve: the matrix is a {type(A).__name__}",
                "it has a derivative rule in b alone, for constant sparse matrices",
                "np.linalg.solve(A, b), for a dense matrix that is differentiated",
            )
        )
    return scipy.sparse.csc_array(A, dtype=np.result_type(A.dtype, np.float64), copy=True)


@drop_in(_scipy.spsolve)
def spsolve(A: Any, b: Any, permc_spec: str | None = None, use_umfpack: bool = True) -> Any:
    """See ``scipy.sparse.linalg.spsolve``; by SuperLU, whatever else is installed."""
    x = spsolve_rule(b, matrix=_constant(A), **({} if permc_spec is None else {"permc_spec": permc_spec}))
    return x[:, 0] if b.ndim == 2 and b.shape[1] == 1 else x  # as SciPy, which returns one column as a vector


def factorized(A: Any) -> Callable[[Any], Any]:
    """See ``scipy.sparse.linalg.factorized``: a function that solves for right-hand sides, arrays or tensors.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.scipy import sparse
    >>> solve = sparse.linalg.factorized(sparse.csc_array([[2.0, 0.0], [0.0, 4.0]]))
    >>> ad.grad(lambda b: np.sum(solve(b)))(np.ones(2))
    array([0.5 , 0.25])
    """
    solve = _scipy.factorized(A)

    def solved(b: Any) -> Any:
        return spsolve_rule(b, matrix=_constant(A)) if isinstance(b, Traced) else solve(b)

    return solved


def __getattr__(name: str) -> Any:
    return getattr(_scipy, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_scipy)})


__all__ = ["factorized", "spsolve"]
