"""Products that sum over shared axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, bilinear
from ..rules import unbroadcast


def _left(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δA = δY·Bᵀ, with a vector standing for a row on the left and a column on the right."""
    if b.ndim == 1:
        return unbroadcast(d[..., None] * b, a.shape) if a.ndim > 1 else d * b
    bt = np.swapaxes(b, -1, -2)
    if a.ndim == 1:
        return unbroadcast(np.matmul(d[..., None, :], bt)[..., 0, :], a.shape)
    return unbroadcast(np.matmul(d, bt), a.shape)


def _right(d: Any, y: Any, a: Any, b: Any) -> Any:
    """δB = Aᵀ·δY."""
    if a.ndim == 1:
        return a * d if b.ndim == 1 else unbroadcast(a[:, None] * d[..., None, :], b.shape)
    at = np.swapaxes(a, -1, -2)
    if b.ndim == 1:
        return unbroadcast(np.matmul(at, d[..., None])[..., 0], b.shape)
    return unbroadcast(np.matmul(at, d), b.shape)


matmul = bilinear(
    np.matmul,
    _left,
    _right,
    numpy=(np.matmul,),
    examples=(at((3, 4), (4, 2)), at((4,), (4, 2)), at((3, 4), (4,)), at((4,), (4,)), at((2, 1, 3, 4), (5, 4, 2))),
    formulas=("δA = δY·Bᵀ", "δB = Aᵀ·δY"),
)
