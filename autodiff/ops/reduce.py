"""Reductions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, linear


def restored(d: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """A δ with the reduced axes put back with length one, so that it broadcasts against the argument."""
    if keepdims or not shape:
        return d
    axes = range(len(shape)) if axis is None else [axis] if not isinstance(axis, tuple) else axis
    reduced = {a % len(shape) for a in axes}
    return np.reshape(d, tuple(1 if i in reduced else n for i, n in enumerate(shape)))


sum = linear(
    np.sum,
    lambda d, y, x, *, axis=None, keepdims=False: np.broadcast_to(restored(d, x.shape, axis, keepdims), x.shape),
    numpy=(np.sum,),
    examples=(at((3, 4)), at((3, 4), axis=0), at((2, 3, 4), axis=(0, -1), keepdims=True)),
    formulas=("δx = δy, spread over the summed axes",),
)
