"""``scipy.sparse``, for code that wants to be differentiated: constant sparse matrices beside dense tensors.

``A @ x`` and ``x @ A`` need nothing from here: tensors know what to do. Every name is SciPy's own; ``linalg`` has the
solution of sparse systems.
"""

from __future__ import annotations

from typing import Any

import scipy.sparse as _scipy

from ...ops.sparse import is_sparse, product
from . import linalg


def matmul(a: Any, b: Any) -> Any:
    """``a @ b``, where one of the two is sparse and constant; what to write where an operator cannot stand.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> from autodiff.scipy import sparse
    >>> A = sparse.csr_array([[0.0, 2.0], [3.0, 0.0]])
    >>> ad.grad(lambda x: np.sum(sparse.matmul(A, x) ** 2))(np.array([1.0, 1.0]))
    array([18.,  8.])
    """
    return product(a, b) if is_sparse(a) or is_sparse(b) else a @ b


def __getattr__(name: str) -> Any:
    return getattr(_scipy, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_scipy)})


__all__ = ["linalg", "matmul"]
