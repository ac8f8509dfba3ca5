"""Products, sums and differences with a constant sparse matrix.

The matrix is a setting of the operation, whatever class of ``scipy.sparse`` it is of: here it is only asked for its
product, its transpose and a copy, so that SciPy itself is not needed. It is made dense for a sum only, as SciPy does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NoRuleError, message
from ..makers import at, linear
from ..op import Op
from ..traced import Traced

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
        For sparse arrays, whose ``*`` is elementwise with a sparse result, and for numbers, which only scale it.
    """
    matrix = a if is_sparse(a) else b
    if any(kind.__name__ == "spmatrix" for kind in type(matrix).__mro__) and np.ndim(a) and np.ndim(b):
        return product(a, b)
    raise refused(f"{type(matrix).__name__} * tensor")


def refused(what: str) -> NoRuleError:
    """The error for an operation whose result would be sparse."""
    return NoRuleError(
        message(
            f"{what} has no derivative rule",
            "the result would be a sparse array, and tensors are dense",
            "for a product of matrices write A @ x; for one of elements A.toarray() * x",
        )
    )


def _dense(a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands of a sum, dense and of the shape of the sparse one, to which SciPy spreads the other."""
    a, b = (x if is_sparse(x) else np.broadcast_to(x, y.shape) for x, y in ((a, b), (b, a)))
    return tuple(x.toarray() if is_sparse(x) else x for x in (a, b))


def plus(a: Any, b: Any) -> Any:
    """``a + b`` with a sparse operand: dense, as in SciPy."""
    return np.add(*_dense(a, b))


def minus(a: Any, b: Any) -> Any:
    """``a - b`` with a sparse operand: dense, as in SciPy."""
    return np.subtract(*_dense(a, b))


OPERATORS = {"matmul": product, "multiply": times, "add": plus, "subtract": minus}
"""What an operator between a tensor and a sparse matrix computes, by the name of the operation."""
