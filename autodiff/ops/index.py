"""Reading from positions, writing to positions.

Reading and adding into are each other's transpose: ``getitem`` and ``scatter``. The other selections are one of the two
under another name, so that each states only which positions it means.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..apply import apply, as_array, relate
from ..errors import DtypeError, LeakError, message, said
from ..makers import at, composite, linear, op, refuse
from ..op import Op
from ..rules import Update, add_at, is_basic, names_once, unbroadcast
from ..traced import Traced, held, is_compiled, is_unknown, leak

# -- x[index] ----------------------------------------------------------------------------------------------------------


def _read(x: Any, *, index: Any) -> Any:
    return x[index]


def _scatter(v: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    buffer = np.zeros(shape, v.dtype)
    if names_once(index):
        buffer[index] = v
    else:
        add_at(buffer, index, v)
    return buffer


def _write(x: Any, v: Any, *, index: Any) -> Any:
    y = np.array(x)
    if y.dtype.kind not in "fc" and np.asarray(v).dtype.kind in "fc":
        raise DtypeError(
            message(
                f"{np.asarray(v).dtype} numbers would be written into an array of {y.dtype}",
                "they would be cut to whole numbers, and their derivative would be lost",
                "make that array with a dtype of floats",
            )
        )
    y[index] = v
    return y


def _written(
    d: Any, y: Any, x: Any, v: Any, *, index: Any, wanted: tuple[bool, ...]
) -> tuple[Any, Any]:
    """What was overwritten gets zero; of several writes to one position only the last one counts."""
    dx = apply(update, (d, np.zeros((), d.dtype)), {"index": index}) if wanted[0] else None
    if not wanted[1]:
        return dx, None
    dv = getitem(d, index=index)
    if not names_once(index):
        writer = np.full(d.shape, -1)
        serial = np.arange(math.prod(dv.shape)).reshape(dv.shape)
        writer[index] = serial
        dv = np.where(writer[index] == serial, dv, 0)
    return dx, _as_written(dv, v)


def _as_written(dv: Any, v: Any) -> Any:
    """δ of what was written, which NumPy stretches, and lets have more axes in front, of length one."""
    shape = v.shape if hasattr(v, "shape") else ()
    fitting = shape[max(0, len(shape) - dv.ndim) :]
    return np.reshape(unbroadcast(dv, fitting), shape)


getitem = linear(
    _read,
    lambda d, y, x, *, index: Update(index, d),
    name="getitem",
    view=True,
    masks=True,
    reading="nothing",
    examples=(
        at((4, 3), index=1),
        at((4, 3), index=(slice(None, None, -2), -1)),
        at((4, 3), index=(Ellipsis, None, slice(2, 0, -1))),
        at((4,), index=(np.array([0, 2, -2]),)),
        at((3, 2), index=np.array([[True, False], [False, True], [True, True]])),
        at((2, 3, 4), index=(np.array([[0], [1]]), slice(1, None), np.array([3, 3]))),
        at((2, 3), index=(np.array([True, False]), np.array([1, 1]))),
        at((3,), index=np.array([], int)),
        at((), index=()),
    ),
    formulas=("δx[index] += δy",),
)

scatter = linear(
    _scatter,
    lambda d, y, v, *, index, shape: getitem(d, index=index),
    name="scatter",
    reading="nothing",
    examples=(
        at((3,), index=1, shape=(4, 3)),
        at((3,), index=(np.array([0, 2, 2]),), shape=(4,)),
        at((2,), index=np.array([True, False, True]), shape=(3,)),
    ),
    formulas=("δv = δy[index]",),
)

def _scatter_add(x: Any, v: Any, *, index: Any) -> Any:
    y = np.array(x)
    if names_once(index):
        y[index] += v
    else:
        add_at(y, index, v)
    return y


def _added(d: Any, y: Any, x: Any, v: Any, *, index: Any) -> tuple[Any, Any]:
    return d, _as_written(getitem(d, index=index), v)


scatter_add = linear(
    _scatter_add,
    _added,
    name="scatter_add",
    arity=2,
    reading="shapes",
    examples=(
        at((4, 3), (3,), index=1),
        at((4,), (3,), index=(np.array([0, 2, 2]),)),
        at((3,), (2,), index=np.array([True, False, True])),
    ),
    formulas=("δx = δy", "δv = δy[index]"),
)

update = linear(
    _write,
    _written,
    name="update",
    arity=2,
    masks=True,
    reading="shapes",
    examples=(
        at((4, 3), (3,), index=1),
        at((4, 3), (1, 3), index=(slice(None, None, -2),)),
        at((4,), (), index=slice(1, 3)),
        at((4,), (3,), index=(np.array([0, 2, 0]),)),
        at((2, 2), (), index=np.array([[True, False], [True, True]])),
    ),
    formulas=("δx = δy with zeros at [index]", "δv = δy[index]"),
    note="where one position is written several times the last write counts, as in NumPy",
)

# -- x[index] where an example of a batch has an index of its own ------------------------------------------------------


def _filled(index: tuple[Any, ...], places: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index with the arrays of places put in where its template has the word ``"place"``."""
    given = iter(places)
    return tuple(next(given) if type(part) is str else part for part in index)


gather: Op = op(
    lambda x, *places, index: x[_filled(index, places)],
    joint=lambda d, y, x, *places, index, wanted: (
        scatter_at(d, *places, index=index, shape=x.shape), *(None for _ in places)
    ),
    jvps=(lambda t, y, x, *places, index: gather(t, *places, index=index),),
    name="gather",
    guard=None,
    masks=True,
    view=True,  # of numbers among the places
    examples=(
        at((4, 3), (2,), index=("place",), draw=(None, lambda rng, shape: rng.integers(-4, 4, shape))),
        at((4, 3, 2), (2, 1), (3,), index=("place", slice(1, None), "place"),
           draw=(None, *[lambda rng, shape: rng.integers(-2, 2, shape)] * 2)),
        at((3, 4), (), index=(Ellipsis, None, "place"), draw=(None, lambda rng, shape: rng.integers(0, 4, shape))),
    ),
    formulas=("δx[index] += δy", "0 (places)"),
    note="x at places that are values themselves: of an index, those parts that an example of a batch has for its own",
)  # fmt: skip

scatter_at: Op = op(
    lambda v, *places, index, shape: _scatter(v, index=_filled(index, places), shape=shape),
    joint=lambda d, y, v, *places, index, shape, wanted: (
        unbroadcast(gather(d, *places, index=index), v.shape), *(None for _ in places)
    ),
    jvps=(lambda t, y, v, *places, index, shape: scatter_at(t, *places, index=index, shape=shape),),
    name="scatter_at",
    guard=None,
    examples=(
        at((2, 3), (2,), index=("place",), shape=(4, 3),
           draw=(None, lambda rng, shape: rng.integers(-4, 4, shape))),
        at((2, 3, 2), (2, 1), (3,), index=("place", slice(1, None), "place"), shape=(4, 3, 2),
           draw=(None, *[lambda rng, shape: rng.integers(-2, 2, shape)] * 2)),
    ),
    formulas=("δv = δy[index]", "0 (places)"),
    note="the transpose of gather",
)  # fmt: skip


def _written_at(
    d: Any, y: Any, x: Any, v: Any, *places: Any, index: Any, wanted: tuple[bool, ...]
) -> tuple[Any, ...]:
    """As for `update`; which write was the last at its position is found by writing their numbers."""
    dx = update_at(d, np.zeros((), d.dtype), *places, index=index) if wanted[0] else None
    if not wanted[1]:
        return dx, None, *(None for _ in places)
    dv = gather(d, *places, index=index)
    serial = np.reshape(np.arange(math.prod(dv.shape)), dv.shape)
    last = gather(update_at(np.full(d.shape, -1), serial, *places, index=index), *places, index=index) == serial
    return dx, _as_written(np.where(last, dv, 0), v), *(None for _ in places)


update_at: Op = op(
    lambda x, v, *places, index: _write(x, v, index=_filled(index, places)),
    joint=_written_at,
    jvps=(
        lambda t, y, x, v, *places, index: update_at(t, np.zeros((), t.dtype), *places, index=index),
        lambda t, y, x, v, *places, index: update_at(np.zeros(x.shape, t.dtype), t, *places, index=index),
    ),
    name="update_at",
    guard=None,
    masks=True,
    reading="values",
    examples=(
        at((4, 3), (2, 3), (2,), index=("place",), draw=(None, None, lambda rng, shape: rng.integers(-4, 4, shape))),
        at((4, 3, 2), (), (3,), index=(slice(None), "place"),
           draw=(None, None, lambda rng, shape: rng.integers(-3, 3, shape))),
        at((4, 3), (2, 1), (2,), index=(slice(1, 3), "place"),
           draw=(None, None, lambda rng, shape: rng.integers(0, 3, shape))),
    ),
    formulas=("δx = δy with zeros at [index]", "δv = δy[index]", "0 (places)"),
    note="where one position is written several times the last write counts, as in NumPy",
)  # fmt: skip


def is_own(index: Any) -> bool:
    """Whether among the parts of an index there is one that each example of a batch has for its own."""
    parts = index if type(index) is tuple else (index,)
    return any(isinstance(part, Traced) and is_unknown(part) for part in parts)


def read_at(x: Any, index: Any) -> Any:
    """``x[index]`` where some parts of the index are arrays of whole numbers that are values themselves."""
    places, template = _apart(index)
    y = gather(x, *places, index=template)
    if isinstance(x, Traced) and _is_view(index):
        relate(y, x, getitem, {"index": index}, surely=True)
    return y


def _is_view(index: Any) -> bool:
    """Whether NumPy gives a view for an index with values in it: they are numbers, and the rest of it is basic."""
    parts = index if type(index) is tuple else (index,)
    return all(
        not isinstance(held(part), np.ndarray) if isinstance(part, Traced) else is_basic(part) for part in parts
    )


def read(x: Any, index: Any) -> Any:
    """``x[index]``, whatever the index."""
    return read_at(x, index) if is_own(index) else apply(getitem, (x,), {"index": index})


def written(x: Any, v: Any, index: Any) -> Any:
    """X with v at the index, whatever the index."""
    return write_at(x, v, index) if is_own(index) else apply(update, (x, v), {"index": index})


def spread_at(v: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of this shape with v added at the index."""
    places, template = _apart(index)
    return scatter_at(v, *places, index=template, shape=shape)


def write_at(x: Any, v: Any, index: Any) -> Any:
    """X with v at the index."""
    places, template = _apart(index)
    return update_at(x, v, *places, index=template)


def _apart(index: Any) -> tuple[list[Any], tuple[Any, ...]]:
    """The parts of an index that are values, and the rest of it with the word ``"place"`` in their place."""
    parts = index if type(index) is tuple else (index,)
    template = tuple("place" if isinstance(part, Traced) else part for part in parts)
    return [_whole(part) for part in parts if isinstance(part, Traced)], template


def _whole(places: Any) -> Any:
    if places.dtype.kind not in "iu":
        if places.dtype.kind != "b":
            raise IndexError("arrays used as indices must be of integer (or boolean) type")  # NumPy's words
        if is_compiled(places):
            raise leak("indexing with a mask: the value of a tensor", places)
        what = "an index by a mask that each example of a batch has for its own"
        why = "it selects another number of elements in each example"
        raise said(LeakError(message(what, why, "np.where(mask, x, 0) keeps the shape")))
    return places


# -- selections along an axis ------------------------------------------------------------------------------------------


def along(axis: int, ndim: int, index: Any) -> tuple[Any, ...]:
    """The index that applies `index` to one axis and takes the others whole."""
    return (slice(None),) * (axis % ndim) + (index,)


def in_each_row(indices: Any, shape: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The index of places along one axis, given for each row of an array of this shape."""
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape))
    if indices.ndim != len(shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    return tuple(indices if i == axis else g for i, g in enumerate(grid))


def _positions(indices: Any) -> Any:
    """Positions as a node may keep them: an array of its own, of integers."""
    if isinstance(indices, Traced) and is_unknown(indices):
        return indices
    array = np.array(indices)
    return array.astype(np.intp) if array.dtype == bool else array


def _taken(d: Any, y: Any, x: Any, *, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    axis = axis if x.ndim else None  # of a single element NumPy takes any
    n = x.size if axis is None else x.shape[axis]
    if mode != "raise":
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    if axis is None:
        return np.reshape(scatter(d, index=(indices,), shape=(x.size,)), x.shape)
    return Update(along(axis, x.ndim, indices), d)


take = linear(
    np.take,
    _taken,
    numpy=(np.take,),
    masks=True,
    examples=(
        at((4, 3), indices=np.array([0, -1, 0])),
        at((4, 3), indices=np.array([[2, 0], [2, 1]]), axis=1),
        at((2, 3, 4), indices=np.array(1), axis=-2),
        at((3, 2), indices=np.array([-7, 4, 9]), axis=0, mode="wrap"),
        at((3, 2), indices=np.array([-7, 4, 1]), axis=0, mode="clip"),
    ),
    formulas=("δx[indices] += δy",),
)


@composite(np.take)
def _take_of(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    refuse("take", out=out)
    if isinstance(indices, float):  # NumPy cuts a single number off, and an empty list has no kind of its own
        indices = int(indices)
    elif isinstance(indices, (list, tuple)) and np.size(indices) == 0:
        indices = np.zeros(np.shape(indices), np.intp)
    if is_own(indices):
        return _take_at(as_array(a), indices, axis, mode)
    settings = {"indices": _positions(indices)}
    if axis is not None:
        settings["axis"] = axis
    if mode != "raise":
        settings["mode"] = mode
    return apply(take, (a,), settings)


def _take_at(a: Any, indices: Any, axis: int | None, mode: str) -> Any:
    """Places that each example of a batch has for its own."""
    if axis is None or a.ndim == 0:
        a, axis = np.reshape(a, (-1,)), 0
    n = a.shape[axis]
    if mode != "raise":
        indices = np.remainder(indices, n) if mode == "wrap" else np.clip(indices, 0, n - 1)
    return read_at(a, along(normalize_axis_index(axis, a.ndim), a.ndim, indices))


@composite(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    indices = _positions(indices)
    if axis is None:
        return np.take(arr, indices)
    index = in_each_row(indices, arr.shape, axis)
    return read_at(arr, index) if is_own(index) else arr[index]


@composite(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    refuse("compress", out=out)
    chosen = np.array(condition)
    if chosen.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return np.take(a, np.flatnonzero(chosen), axis=axis)


@composite(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return np.take(arr, np.flatnonzero(np.array(condition)))


@composite(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    arr = as_array(arr)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis=axis)


@composite(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """The new elements are put behind the old ones; all are then taken in the order that NumPy gives their numbers."""
    arr = as_array(arr)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    count = len(range(*obj.indices(n))) if isinstance(obj, slice) else len(np.insert(np.zeros(n), obj, 0)) - n
    values = as_array(values)
    values = np.broadcast_to(values, (1,) * (arr.ndim - np.ndim(values)) + np.shape(values))
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        values = np.moveaxis(values, 0, axis)
    if count == 1:
        count = values.shape[axis]
    block = np.broadcast_to(values, (*arr.shape[:axis], count, *arr.shape[axis + 1 :])).astype(arr.dtype)
    order = np.insert(np.arange(n), obj, n + np.arange(count))
    return np.take(np.concatenate([arr, block], axis=axis), order, axis=axis)


# -- diagonals and triangles -------------------------------------------------------------------------------------------


def _on_diagonal(d: Any, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    """Zeros of this shape with d, whose last axis runs along it, on the diagonal."""
    first, second = axis1 % len(shape), axis2 % len(shape)
    rest = tuple(n for i, n in enumerate(shape) if i not in (first, second))
    place = np.arange(d.shape[-1])
    index = (Ellipsis, place + (-offset if offset < 0 else 0), place + (offset if offset > 0 else 0))
    return np.moveaxis(scatter(d, index=index, shape=(*rest, shape[first], shape[second])), (-2, -1), (first, second))


def _traced(d: Any, y: Any, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    rows, columns = x.shape[axis1] + (offset if offset < 0 else 0), x.shape[axis2] - (offset if offset > 0 else 0)
    length = max(0, min(rows, columns))
    return _on_diagonal(np.broadcast_to(d[..., None], (*d.shape, length)), x.shape, offset, axis1, axis2)


diagonal = linear(
    np.diagonal,
    lambda d, y, x, *, offset=0, axis1=0, axis2=1: _on_diagonal(d, x.shape, offset, axis1, axis2),
    numpy=(np.diagonal,),
    view=True,
    masks=True,
    examples=(at((3, 4)), at((3, 4), offset=-1), at((2, 3, 4), offset=2, axis1=-1, axis2=0), at((2, 2), offset=5)),
    formulas=("δx = 0 with δy on the diagonal",),
)

trace = linear(
    np.trace,
    _traced,
    numpy=(np.trace,),
    masks=True,
    examples=(at((3, 4)), at((3, 4), offset=-2), at((2, 3, 4), offset=1, axis1=-1, axis2=0), at((2, 2), offset=-2)),
    formulas=("δx = 0 with δy in each place of the diagonal",),
)


@composite(np.trace)
def _trace_of(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    refuse("trace", out=out)
    given = {"offset": (offset, 0), "axis1": (axis1, 0), "axis2": (axis2, 1)}
    settings = {key: value for key, (value, default) in given.items() if value != default}
    return apply(trace, (a if dtype is None else a.astype(dtype),), settings)


diag = linear(
    np.diag,
    lambda d, y, x, *, k=0: np.diagonal(d, k) if x.ndim == 1 else _on_diagonal(d, x.shape, k, 0, 1),
    numpy=(np.diag,),
    view=True,
    masks=True,
    examples=(at((3,)), at((3,), k=-2), at((3, 4), k=1), at((4, 3), k=-1), at((0,))),
    formulas=("δx = the diagonal of δy, or 0 with δy on the diagonal",),
)

diagflat = linear(
    np.diagflat,
    lambda d, y, x, *, k=0: np.reshape(np.diagonal(d, k), x.shape),
    numpy=(np.diagflat,),
    examples=(at((2, 3)), at((2,), k=-1), at((), k=1)),
    formulas=("δx = the diagonal of δy in the shape of x",),
)


def _triangle(f: Any, which: str) -> Any:
    return linear(
        f, lambda d, y, x, *, k=0: unbroadcast(f(d, k), x.shape),
        numpy=(f,), masks=True, formulas=(f"δx = the {which} triangle of δy",),
        examples=(at((3, 3)), at((3, 4), k=-1), at((2, 4, 3), k=1), at((3,))),
    )  # fmt: skip


tril, triu = _triangle(np.tril, "lower"), _triangle(np.triu, "upper")
