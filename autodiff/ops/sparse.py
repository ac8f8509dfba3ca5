"""Products with a constant sparse matrix.

The matrix is a setting of the operation, whatever class of ``scipy.sparse`` it is of: here it is only asked for its
product, its transpose and a copy, so that SciPy itself is not needed. It is never made dense.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NoRuleError, message
from ..makers import at, linear
from ..op import Op, Traced

_EXAMPLE = np.array([[0.0, 2.0, 0.0], [-1.0, 0.0, 0.5]])

sparse_matmul: Op = linear(
    lambda x, *, matrix: matrix @ x,
    lambda d, y, x, *, matrix: sparse_matmul(d, matrix=matrix.T),
    name="sparse_matmul",
    examples=(at((3,), matrix=_EXAMPLE), at((3, 2), matrix=_EXAMPLE)),
    formulas=("δx = Aᵀ·δy",),
    note="A·x with a constant sparse matrix A of SciPy",
)


def is_sparse(x: Any) -> bool:
    """Whether x is a sparse matrix or array of SciPy's, by what it can do."""
    return not isinstance(x, (Traced, np.ndarray, np.generic, float, int)) and hasattr(x, "tocsr")


def product(a: Any, b: Any) -> Any:
    """``a @ b``, where one of the two is sparse and constant, the other a tensor.

    Parameters
    ----------
    a, b : tensor or sparse matrix
        The tensor has one or two axes.
    """
    if is_sparse(b):
        if b.ndim == 1:
            return product(b, a.T)
        return product(b.T, a) if a.ndim == 1 else product(b.T, a.T).T
    if b.ndim not in (1, 2):
        raise ValueError(f"matmul: a sparse matrix times an array of {b.ndim} axes; SciPy knows 1 and 2")
    if a.shape[-1] != b.shape[0]:
        raise ValueError(f"matmul: dimension mismatch with signature (n,k={a.shape[-1]}),(k={b.shape[0]},m)->(n,m)")
    if a.ndim == 1:
        return sparse_matmul(b, matrix=a.reshape(1, -1).tocsr())[0]
    return sparse_matmul(b, matrix=a.copy())  # the caller may write into it before the reverse sweep


def times(a: Any, b: Any) -> Any:
    """``a * b`` with a sparse operand: of the older matrix classes a product of matrices, as in SciPy.

    Raises
    ------
    NoRuleError
        For sparse arrays, whose ``*`` is elementwise with a sparse result.
    """
    matrix = a if is_sparse(a) else b
    if any(kind.__name__ == "spmatrix" for kind in type(matrix).__mro__):
        return product(a, b)
    raise NoRuleError(
        message(
            f"{type(matrix).__name__} * tensor has no derivative rule",
            "the result would be a sparse array, and tensors are dense",
            "for a product of matrices write A @ x; for one of elements A.toarray() * x",
        )
    )
