"""Rearrangements: the same elements in another shape or order. Each is a permutation, so its adjoint undoes it."""

from __future__ import annotations

import numpy as np

from ..makers import at, linear
from ..rules import unbroadcast

reshape = linear(
    lambda x, *, shape: np.reshape(x, shape),
    lambda d, y, x, *, shape: np.reshape(d, x.shape),
    name="reshape",
    view=True,
    signature=("a", "shape", "order", "copy"),
    numpy=(np.reshape,),
    examples=(at((3, 4), shape=(2, 6)), at((3, 4), shape=(-1,))),
    formulas=("δx = δy in the shape of x",),
)

broadcast_to = linear(
    lambda x, *, shape: np.broadcast_to(x, shape),
    lambda d, y, x, *, shape: unbroadcast(d, x.shape),
    name="broadcast_to",
    view=True,
    signature=("array", "shape", "subok"),
    numpy=(np.broadcast_to,),
    examples=(at((3, 1), shape=(3, 4)), at((4,), shape=(2, 3, 4))),
    formulas=("δx = δy, summed over the stretched axes",),
)

transpose = linear(
    lambda x, *, axes=None: np.transpose(x, axes),
    lambda d, y, x, *, axes=None: np.transpose(d, None if axes is None else tuple(int(i) for i in np.argsort(axes))),
    name="transpose",
    view=True,
    signature=("a", "axes"),
    numpy=(np.transpose, np.permute_dims),
    examples=(at((3, 4)), at((2, 3, 4), axes=(1, 2, 0))),
    formulas=("δx = δyᵀ",),
)

copy = linear(
    lambda x: np.array(x, copy=True),
    lambda d, y, x: d,
    name="copy",
    signature=("a", "order", "subok"),
    numpy=(np.copy,),
    examples=(at((3, 4)),),
    formulas=("δx = δy",),
)

astype = linear(
    lambda x, *, dtype: x.astype(dtype),
    lambda d, y, x, *, dtype: d,  # the sweep gives δ the dtype of x
    name="astype",
    signature=("x", "dtype"),
    numpy=(np.astype,),
    examples=(at((3, 4), dtype=np.float64),),
    formulas=("δx = δy in the dtype of x",),
)

stack = linear(
    lambda *xs, axis=0: np.stack(xs, axis=axis),
    lambda d, y, *xs, axis=0: tuple(np.moveaxis(d, axis, 0)[i] for i in range(len(xs))),
    name="stack",
    arity=None,
    examples=(at((3,), (3,)),),
)
moveaxis = linear(
    lambda x, *, source, destination: np.moveaxis(x, source, destination),
    lambda d, y, x, *, source, destination: np.moveaxis(d, destination, source),
    name="moveaxis",
    numpy=(np.moveaxis,),
    signature=("a", "source", "destination"),
    examples=(at((3, 4), source=0, destination=1),),
)
