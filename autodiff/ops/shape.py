"""Rearrangements: the same elements in another shape, order or number.

Most are permutations, and the adjoint puts each δ back where its element came from; where elements are repeated their
δ are summed, and what was filled in from nowhere passes nothing back.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from ..apply import apply
from ..makers import at, composite, linear, refuse
from ..rules import unbroadcast
from ..traced import memory, plain
from .index import along, scatter


def whole(x: Any) -> Any:
    """A setting as a node may keep it: whole numbers, or tuples of them."""
    if type(x) is int:
        return x
    if isinstance(x, np.ndarray):
        x = np.asarray(x)  # the rows of a matrix are matrices, for ever
    return operator.index(x) if np.ndim(x) == 0 else tuple([whole(part) for part in x])


# -- shape -------------------------------------------------------------------------------------------------------------

reshape = linear(
    lambda x, *, shape, order="C": x.reshape(shape, order=order),
    lambda d, y, x, *, shape, order="C": d.reshape(x.shape, order=order),
    name="reshape",
    view=True,
    signature=("a", "shape", "order"),
    numpy=(np.reshape,),
    examples=(
        at((3, 4), shape=(2, 6)), at((3, 4), shape=-1), at((2, 3, 2), shape=(4, -1), order="F"), at((), shape=(1, 1)),
        at((2, 0), shape=(0, 5)),
    ),
    formulas=("δx = δy in the shape of x",),
)  # fmt: skip

expand_dims = linear(
    np.expand_dims,
    lambda d, y, x, *, axis: np.reshape(d, x.shape),
    view=True,
    numpy=(np.expand_dims,),
    examples=(at((3, 4), axis=1), at((3, 4), axis=(0, -1)), at((), axis=0)),
    formulas=("δx = δy in the shape of x",),
)

squeeze = linear(
    np.squeeze,
    lambda d, y, x, *, axis=None: np.reshape(d, x.shape),
    view=True,
    numpy=(np.squeeze,),
    examples=(at((3, 1, 4, 1)), at((3, 1, 4, 1), axis=-1), at((1, 3, 1), axis=(0, 2)), at((1, 1))),
    formulas=("δx = δy in the shape of x",),
)


@composite(np.squeeze)
def _squeeze_of(a: Any, axis: Any = None) -> Any:
    if axis is None and 1 not in a.shape:
        return a  # itself, as in NumPy
    return apply(squeeze, (a,), {} if axis is None else {"axis": axis})


@composite(np.reshape)
def _reshape_of(a: Any, /, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    settings: dict[str, Any] = {"shape": whole(newshape if shape is None else shape)}
    if order == "A":  # the layout in memory decides
        flags = plain(a).flags
        order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    if order != "C":
        settings["order"] = order
    if copy is False:
        np.reshape(plain(a), settings["shape"], order, copy=False)  # NumPy's error where it cannot be a view
    y = apply(reshape, (a,), settings)
    return np.copy(y) if copy else y


@composite(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    if order == "K":
        strides = [-abs(n) for n in plain(a).strides]
        by_stride = sorted(range(a.ndim), key=strides.__getitem__)
        if by_stride != list(range(a.ndim)):
            a = np.transpose(a, by_stride)
        order = "C"
    y = np.reshape(a, (-1,), order=order)
    row = memory(y)
    apart = isinstance(row, np.ndarray) and row.shape[-1] > 1 and row.strides[-1] != row.itemsize
    return np.copy(y) if apart else y  # of every second element it is no view


def _at_least(ndim: int, function: Any) -> Any:
    """np.atleast_1d and its kind: a vector is a row of a matrix, and the middle axis of a cube."""

    def one(x: Any) -> Any:
        shape = np.shape(x)
        if len(shape) >= ndim:
            return x
        if ndim == 3 and shape:
            return np.reshape(x, ((1,) if len(shape) == 1 else ()) + shape + (1,))
        return np.reshape(x, (1,) * (ndim - len(shape)) + shape)

    def composition(*arys: Any) -> Any:
        return one(arys[0]) if len(arys) == 1 else tuple(map(one, arys))

    return composite(function)(composition)


atleast_1d = _at_least(1, np.atleast_1d)
atleast_2d = _at_least(2, np.atleast_2d)
atleast_3d = _at_least(3, np.atleast_3d)


# -- copies ------------------------------------------------------------------------------------------------------------

copy = linear(
    lambda x, *, order="K": np.array(x, copy=True, order=order),
    lambda d, y, x, *, order="K": d,
    name="copy",
    signature=("a", "order", "subok"),
    numpy=(np.copy,),
    examples=(at((3, 4)), at((3, 4), order="F")),
    formulas=("δx = δy",),
)

astype = linear(
    lambda x, *, dtype: x.astype(dtype),
    lambda d, y, x, *, dtype: d,  # the sweep gives δ the dtype of x
    name="astype",
    signature=("x", "dtype"),
    numpy=(np.astype,),
    examples=(at((3, 4), dtype=np.float64), at((3,), dtype=np.complex128)),
    formulas=("δx = δy in the dtype of x",),
)


@composite(np.astype)
def _astype_of(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    refuse("astype", device=None if device == "cpu" else device)
    return x.astype(dtype, copy=copy)


# -- order of the axes -------------------------------------------------------------------------------------------------

transpose = linear(
    lambda x, *, axes=None: np.transpose(x, axes),
    lambda d, y, x, *, axes=None: np.transpose(d, None if axes is None else _inverse(axes)),
    name="transpose",
    view=True,
    signature=("a", "axes"),
    numpy=(np.transpose, np.permute_dims),
    examples=(at((3, 4)), at((2, 3, 4), axes=(1, 2, 0)), at((2, 3, 4), axes=(-1, 0, -2)), at(())),
    formulas=("δx = δyᵀ",),
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    order = [a % len(axes) for a in axes]
    return tuple(order.index(i) for i in range(len(order)))


@composite(np.transpose, np.permute_dims)
def _transpose_of(a: Any, axes: Any = None) -> Any:
    return apply(transpose, (a,), {} if axes is None else {"axes": whole(axes) if np.ndim(axes) else (whole(axes),)})


swapaxes = linear(
    lambda x, *, axis1, axis2: np.swapaxes(x, axis1, axis2),
    lambda d, y, x, *, axis1, axis2: np.swapaxes(d, axis1, axis2),
    name="swapaxes",
    view=True,
    numpy=(np.swapaxes,),
    signature=("a", "axis1", "axis2"),
    examples=(at((3, 4), axis1=0, axis2=1), at((2, 3, 4), axis1=-1, axis2=0)),
    formulas=("δx = δy with the two axes swapped",),
)

moveaxis = linear(
    lambda x, *, source, destination: np.moveaxis(x, source, destination),
    lambda d, y, x, *, source, destination: np.moveaxis(d, destination, source),
    name="moveaxis",
    view=True,
    numpy=(np.moveaxis,),
    signature=("a", "source", "destination"),
    examples=(at((3, 4), source=0, destination=1), at((2, 3, 4), source=(0, -1), destination=(-1, 0))),
    formulas=("δx = δy with the axes moved back",),
)


@composite(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return np.swapaxes(x, -1, -2)


@composite(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis = np.lib.array_utils.normalize_axis_index(axis, a.ndim)
    start += a.ndim if start < 0 else 0
    if axis == start:  # which may be a float, as in NumPy
        return a[...]
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


# -- stretching --------------------------------------------------------------------------------------------------------

broadcast_to = linear(
    lambda x, *, shape: np.broadcast_to(x, shape),
    lambda d, y, x, *, shape: unbroadcast(d, x.shape),
    name="broadcast_to",
    view=True,
    signature=("array", "shape", "subok"),
    numpy=(np.broadcast_to,),
    examples=(at((3, 1), shape=(3, 4)), at((4,), shape=(2, 3, 4)), at((), shape=3), at((1, 3), shape=(0, 3))),
    formulas=("δx = δy, summed over the stretched axes",),
)


@composite(np.broadcast_to)
def _broadcast_to_of(array: Any, shape: Any, subok: bool = False) -> Any:
    return apply(broadcast_to, (array,), {"shape": whole(shape)})


@composite(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(x if np.shape(x) == shape and hasattr(x, "dtype") else np.broadcast_to(x, shape) for x in args)


@composite(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    axes = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        axes[:2] = 1, 0
    grids = tuple(np.reshape(x, tuple(-1 if i == axis else 1 for i in axes_)) for x, axis, axes_ in
                  zip(xi, axes, itertools.repeat(range(len(xi)))))  # fmt: skip
    if not sparse:
        grids = broadcast_arrays(*grids)
    return tuple(np.copy(x) for x in grids) if copy else grids


def _untiled(d: Any, y: Any, x: Any, *, reps: tuple[int, ...]) -> Any:
    """Each axis of y is (copy, place in x): δ is summed over the copies."""
    ndim = max(len(reps), x.ndim)
    counts, shape = (1,) * (ndim - len(reps)) + reps, (1,) * (ndim - x.ndim) + x.shape
    split = tuple(itertools.chain.from_iterable(zip(counts, shape, strict=True)))
    return np.reshape(np.sum(np.reshape(d, split), axis=tuple(range(0, 2 * ndim, 2))), x.shape)


tile = linear(
    np.tile,
    _untiled,
    examples=(at((2, 3), reps=(2,)), at((3,), reps=(2, 1, 2)), at((2, 1, 3), reps=(3, 2)), at((), reps=(3,)),
              at((2,), reps=(0,))),
    formulas=("δx = δy, summed over the copies",),
)  # fmt: skip


@composite(np.tile)
def _tile_of(A: Any, reps: Any) -> Any:
    reps = whole(reps)
    return apply(tile, (A,), {"reps": reps if isinstance(reps, tuple) else (reps,)})


def _unrepeated(d: Any, y: Any, x: Any, *, repeats: Any, axis: int | None = None) -> Any:
    shape = (x.size,) if axis is None else x.shape or (1,)
    axis = 0 if axis is None else axis % len(shape)
    if isinstance(repeats, int):
        together = np.sum(np.reshape(d, (*shape[: axis + 1], repeats, *shape[axis + 1 :])), axis=axis + 1)
    else:
        origin = np.repeat(np.arange(shape[axis]), repeats)
        together = scatter(d, index=along(axis, len(shape), origin), shape=shape)
    return np.reshape(together, x.shape)


repeat = linear(
    np.repeat,
    _unrepeated,
    examples=(
        at((2, 3), repeats=2), at((2, 3), repeats=3, axis=-1), at((2, 3), repeats=np.array([2, 0, 1]), axis=1),
        at((3,), repeats=np.array([0, 3, 1])), at((), repeats=2),
    ),
    formulas=("δx = δy, summed over the repetitions",),
)  # fmt: skip


@composite(np.repeat)
def _repeat_of(a: Any, repeats: Any, axis: int | None = None) -> Any:
    counts = np.array(int(repeats) if isinstance(repeats, float) else repeats)  # NumPy cuts a single number off
    settings = {"repeats": operator.index(counts.item()) if counts.size == 1 else counts}
    return apply(repeat, (a,), settings if axis is None else {**settings, "axis": axis})


@composite(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    shape = whole(new_shape)
    if np.any(np.less(shape, 0)):
        raise ValueError("all elements of `new_shape` must be non-negative")
    total = math.prod(shape if isinstance(shape, tuple) else (shape,))
    if a.size == 0:
        return np.zeros(shape, a.dtype)
    return np.reshape(np.take(a, np.arange(total) % a.size), shape)


# -- mirrors and rotations ---------------------------------------------------------------------------------------------

flip = linear(
    np.flip,
    lambda d, y, x, *, axis=None: np.flip(d, axis),
    view=True,
    numpy=(np.flip,),
    examples=(at((3, 4)), at((3, 4), axis=-1), at((2, 3, 4), axis=(0, -1)), at(())),
    formulas=("δx = δy, flipped back",),
)

rot90 = linear(
    np.rot90,
    lambda d, y, x, *, k=1, axes=(0, 1): np.rot90(d, -k, axes),
    view=True,
    numpy=(np.rot90,),
    examples=(at((3, 4)), at((3, 4), k=-2), at((2, 3, 4), k=3, axes=(-1, 0))),
    formulas=("δx = δy, turned back",),
)

roll = linear(
    np.roll,
    lambda d, y, x, *, shift, axis=None: np.roll(
        d, tuple(-s for s in shift) if isinstance(shift, tuple) else -shift, axis
    ),
    examples=(at((5,), shift=2), at((3, 4), shift=-5), at((3, 4), shift=(1, -2), axis=(0, -1)), at((), shift=1)),
    formulas=("δx = δy, rolled back",),
)


@composite(np.roll)
def _roll_of(a: Any, shift: Any, axis: Any = None) -> Any:
    return apply(roll, (a,), {"shift": whole(shift)} | ({} if axis is None else {"axis": whole(axis)}))


@composite(np.fliplr)
def fliplr(m: Any) -> Any:
    if m.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return np.flip(m, 1)


@composite(np.flipud)
def flipud(m: Any) -> Any:
    if m.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return np.flip(m, 0)
