"""Joins and splits: many arrays into one, one into many. Each part gets its part of δ."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..apply import apply, as_array
from ..makers import at, composite, linear, op, refuse
from ..traced import Traced
from .index import along
from .shape import whole

# -- joins -------------------------------------------------------------------------------------------------------------


def _cut(d: Any, y: Any, *xs: Any, wanted: tuple[bool, ...], axis: int = 0) -> tuple[Any, ...]:
    ends = list(itertools.accumulate((x.shape[axis] for x in xs), initial=0))
    return tuple(
        d[along(axis, d.ndim, slice(start, stop))] if needed else None
        for needed, start, stop in zip(wanted, ends, ends[1:], strict=False)
    )


concatenate = linear(
    lambda *xs, axis=0: np.concatenate(xs, axis=axis),
    _cut,
    name="concatenate",
    arity=None,
    reading="shapes",
    examples=(at((3,), (2,)), at((2, 3), (2, 1), (2, 0), axis=-1), at((1, 2, 3), (2, 2, 3)), at((2, 2), axis=1)),
    formulas=("δ of each = its part of δy",),
)

stack = linear(
    lambda *xs, axis=0: np.stack(xs, axis=axis),
    lambda d, y, *xs, axis=0: tuple(d[along(axis, d.ndim, i)] for i in range(len(xs))),
    name="stack",
    arity=None,
    reading="nothing",
    examples=(at((3,), (3,)), at((2, 3), (2, 3), axis=-1), at((2, 3), (2, 3), (2, 3), axis=1), at((), ())),
    formulas=("δ of each = its layer of δy",),
)


def _cast(arrays: Iterable[Any], dtype: Any, casting: Any) -> tuple[Any, ...]:
    """The arrays to be joined, in the dtype that was asked for."""
    found: tuple[Any, ...] = tuple(
        x if isinstance(x, (Traced, list, tuple, bool, int, float, complex)) else np.asarray(x) for x in arrays
    )
    if any(isinstance(x, (bool, int, float, complex)) for x in found):  # a number of Python's takes the others' dtype
        kinds = [x if isinstance(x, (bool, int, float, complex)) else as_array(x).dtype for x in found]
        found = tuple(np.asarray(x, np.result_type(*kinds)) if isinstance(k, (bool, int, float, complex)) else x
                      for x, k in zip(found, kinds, strict=True))  # fmt: skip
    if casting != "same_kind":
        np.can_cast(bool, bool, casting)  # NumPy's error, where it is no rule
    if dtype is None:
        return found
    for x in found:
        if not np.can_cast(x.dtype, dtype, casting):
            raise TypeError(f"Cannot cast array data from {x.dtype!r} to {np.dtype(dtype)!r} according to the rule "
                            f"{casting!r}")  # fmt: skip
    return tuple(x.astype(dtype) for x in found)


@composite(np.concatenate)
def _concatenate_of(
    arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    refuse("concatenate", out=out)
    parts = _cast(arrays, dtype, casting)
    if axis is None:
        parts, axis = tuple(np.reshape(x, (-1,)) for x in parts), 0
    return apply(concatenate, parts, {} if axis == 0 else {"axis": axis})


@composite(np.stack)
def _stack_of(
    arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    refuse("stack", out=out)
    return apply(stack, _cast(arrays, dtype, casting), {} if axis == 0 else {"axis": axis})


@composite(np.vstack, *filter(None, [getattr(np, "row_stack", None)]))
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    return np.concatenate([np.atleast_2d(x) for x in tup], axis=0, dtype=dtype, casting=casting)


@composite(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    parts = [np.atleast_1d(x) for x in tup]
    return np.concatenate(parts, axis=0 if parts and parts[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@composite(np.dstack)
def dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(x) for x in tup], axis=2)


@composite(np.column_stack)
def column_stack(tup: Any) -> Any:
    return np.concatenate([x if np.ndim(x) > 1 else np.reshape(x, (-1, 1)) for x in tup], axis=1)


@composite(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return np.concatenate([arr, values], axis=axis)


@composite(np.block)
def block(arrays: Any) -> Any:
    depths, ndims = zip(*((depth, np.ndim(x)) for depth, x in _leaves(arrays, 0)), strict=True)
    if len(set(depths)) > 1:
        raise ValueError(f"List depths are mismatched: {sorted(set(depths))}")
    ndim = max(*depths, *ndims)

    def joined(part: Any, axis: int) -> Any:
        if isinstance(part, list):
            return np.concatenate([joined(p, axis + 1) for p in part], axis=axis)
        return np.reshape(part, (1,) * (ndim - np.ndim(part)) + np.shape(part))

    return joined(arrays, -depths[0]) if isinstance(arrays, list) else np.copy(arrays)


def _leaves(part: Any, depth: int) -> Iterable[tuple[int, Any]]:
    """The arrays in nested lists, each with its depth."""
    if not isinstance(part, list):
        yield depth, part
    else:
        if not part:
            raise ValueError("List at a depth of block cannot be empty")
        for p in part:
            yield from _leaves(p, depth + 1)


# -- splits: one node with several results -----------------------------------------------------------------------------


def _parts(x: Any, *, indices_or_sections: tuple[int, ...], axis: int = 0) -> tuple[Any, ...]:
    return tuple(np.split(x, list(indices_or_sections), axis=axis))


def _rejoined(d: Any, y: Any, x: Any, *, indices_or_sections: tuple[int, ...], axis: int = 0) -> Any:
    shape, dtype, axis = x.shape, x.dtype, axis % x.ndim
    ends = (0, *indices_or_sections, shape[axis])
    return np.concatenate(
        [
            np.zeros((*shape[:axis], stop - start, *shape[axis + 1 :]), dtype) if part is None else part
            for part, start, stop in zip(d, ends, ends[1:], strict=False)
        ],
        axis=axis,
    )


split = op(
    _parts,
    _rejoined,
    name="split",
    jvps=(lambda t, y, x, *, indices_or_sections, axis=0: _split(t, indices_or_sections, axis),),
    results=True,
    view=True,
    masks=True,
    guard=None,
    examples=(
        at((4,), indices_or_sections=(2,)), at((2, 5), indices_or_sections=(1, 1, 3), axis=-1),
        at((3, 2), indices_or_sections=()),
    ),
    formulas=("δx = the δ of the parts, joined",),
)  # fmt: skip


def _split(x: Any, cuts: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The parts between these cuts; cuts that do not ascend make parts that overlap, each a slice of its own."""
    n = x.shape[axis]
    if list(cuts) != sorted(cuts) or not all(0 <= c <= n for c in cuts):
        ends = [0, *cuts, n]
        return tuple(x[along(axis, x.ndim, slice(a, b))] for a, b in itertools.pairwise(ends))
    found: tuple[Any, ...] = apply(split, (x,), {"indices_or_sections": cuts} | ({"axis": axis} if axis else {}))
    return found


def _cuts(n: int, indices_or_sections: Any, *, equal: bool) -> tuple[int, ...]:
    """Where to cut n elements: at these indices, or into so many sections."""
    if np.ndim(indices_or_sections):
        return tuple(whole(indices_or_sections))
    sections = int(indices_or_sections)
    if sections <= 0:
        raise ValueError("number sections must be larger than 0.")
    each, extra = divmod(n, sections)
    if equal and extra:
        raise ValueError("array split does not result in an equal division")
    return tuple(i * each + (extra if i > extra else i) for i in range(1, sections))


@composite(np.split)
def _split_of(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    ary = as_array(ary)
    return list(_split(ary, _cuts(ary.shape[axis], indices_or_sections, equal=True), axis))


@composite(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    ary = as_array(ary)
    return list(_split(ary, _cuts(ary.shape[axis], indices_or_sections, equal=False), axis))


def _split_along(axis: int, plain: Any) -> Any:
    """np.vsplit and its kind; np.hsplit cuts a vector along its only axis."""

    def composition(ary: Any, indices_or_sections: Any) -> list[Any]:
        ary = as_array(ary)
        where = 0 if axis == 1 and ary.ndim == 1 else axis
        if ary.ndim <= where or (axis == 0 and ary.ndim < 2):
            raise ValueError(f"{plain.__name__} only works on arrays of {(2, 1, 3)[axis]} or more dimensions")
        return list(np.split(ary, indices_or_sections, where))

    return composite(plain)(composition)


vsplit, hsplit, dsplit = (_split_along(i, plain) for i, plain in enumerate((np.vsplit, np.hsplit, np.dsplit)))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    if np.ndim(x) == 0:
        raise ValueError("Input array must be at least 1-d.")
    return tuple(np.moveaxis(x, axis, 0))


if hasattr(np, "unstack"):  # NumPy 2.1
    composite(np.unstack)(unstack)

# -- differences of neighbours -----------------------------------------------------------------------------------------


@composite(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    a = as_array(a)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    if n == 0:
        return a
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis_index(axis, a.ndim)
    a = np.concatenate([*_edge(prepend, a, axis), a, *_edge(append, a, axis)], axis=axis)
    later, earlier = along(axis, a.ndim, slice(1, None)), along(axis, a.ndim, slice(None, -1))
    for _ in range(n):
        a = a[later] != a[earlier] if a.dtype.kind == "b" else a[later] - a[earlier]
    return a


def _edge(values: Any, a: Any, axis: int) -> list[Any]:
    """What stands before or behind an array along an axis: a number is one layer of it."""
    if values is np._NoValue:
        return []
    if np.ndim(values):
        return [values]
    return [np.broadcast_to(values, (*a.shape[: axis % a.ndim], 1, *a.shape[axis % a.ndim + 1 :]))]


@composite(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(ary)
    ends = [None if x is None else _cast([np.ravel(x)], ary.dtype, "same_kind") for x in (to_begin, to_end)]
    return np.concatenate([*(ends[0] or ()), ary[1:] - ary[:-1], *(ends[1] or ())])
