"""Sorting and sets: a permutation or a selection that the values choose. Among equal elements δ is shared equally."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import KeywordError, message
from ..makers import at, composite, op, refuse
from ..op import Op
from ..traced import plain
from .index import along, scatter
from .reduce import axes_of, grouped, restored
from .shape import whole


def _shared(d: Any, y: Any) -> Any:
    """The mean of d over each group of equal elements of the sorted rows y; nans are equal."""
    tied = y[..., 1:] == y[..., :-1]
    if np.any(y[..., -1:] != y[..., -1:]):  # nans stand last
        nan = y != y
        tied |= nan[..., 1:] & nan[..., :-1]
    if not tied.any():
        return d
    first = np.ones(y.shape, bool)
    first[..., 1:] = ~tied
    starts = np.flatnonzero(first)
    count = np.diff(starts, append=y.size)
    return np.repeat((np.add.reduceat(np.ravel(d), starts) / count).astype(d.dtype), count).reshape(y.shape)


def _arrange(t: Any, key: Any, order: Any, *, axis: int = -1) -> Any:
    rows = np.moveaxis(np.take_along_axis(t, order, axis), axis, -1)
    return np.moveaxis(_shared(rows, np.moveaxis(key, axis, -1)), -1, axis)


def _unarrange(d: Any, key: Any, order: Any, *, axis: int = -1) -> Any:
    shared = np.moveaxis(_shared(np.moveaxis(d, axis, -1), np.moveaxis(key, axis, -1)), -1, axis)
    found = np.empty_like(shared)
    np.put_along_axis(found, order, shared, axis)
    return found


def _flat(d: Any, y: Any, t: Any, key: Any, order: Any, *, axis: int = -1) -> Any:
    """Which elements are equal does not change in a neighbourhood."""
    return np.zeros(key.shape, key.dtype)


def _fixed(d: Any, y: Any, t: Any, key: Any, order: Any, *, axis: int = -1) -> Any:
    """Nor does the order."""
    return np.zeros(order.shape, order.dtype)


def _shuffled(axis: int) -> Any:
    """An example's order along an axis."""
    return lambda rng, shape: np.argsort(rng.standard_normal(shape), axis)


arrange: Op = op(
    _arrange,
    lambda d, y, t, key, order, *, axis=-1: apply(unarrange, (d, key, order), {"axis": axis}),
    _flat, _fixed,
    name="arrange",
    jvps=(lambda s, y, t, key, order, *, axis=-1: apply(arrange, (s, key, order), {"axis": axis}), None, None),
    guard=None,
    examples=(
        at((5,), (5,), (5,), draw=(None, None, _shuffled(-1))),
        at((3, 4), (3, 4), (3, 4), axis=0, draw=(None, None, _shuffled(0))),
    ),
    formulas=("δt[order] = δy", "δ = 0: which are equal is flat", "δ = 0: the order is flat"),
    note="t in the order that sorted another array to key; the mean of it where elements of key are equal",
)  # fmt: skip

unarrange: Op = op(
    _unarrange,
    lambda d, y, s, key, order, *, axis=-1: apply(arrange, (d, key, order), {"axis": axis}),
    _flat, _fixed,
    name="unarrange",
    jvps=(lambda t, y, s, key, order, *, axis=-1: apply(unarrange, (t, key, order), {"axis": axis}), None, None),
    guard=None,
    examples=(
        at((5,), (5,), (5,), draw=(None, None, _shuffled(-1))),
        at((3, 4), (3, 4), (3, 4), axis=0, draw=(None, None, _shuffled(0))),
    ),
    formulas=("δs = δy[order]", "δ = 0: which are equal is flat", "δ = 0: the order is flat"),
    note="the transpose of arrange",
)  # fmt: skip

sort = op(
    lambda x, order, *, axis=-1: np.take_along_axis(x, order, axis),
    lambda d, y, x, order, *, axis=-1: apply(unarrange, (d, y, order), {"axis": axis}),
    lambda d, y, x, order, *, axis=-1: np.zeros(order.shape, order.dtype),
    name="sort",
    jvps=(lambda t, y, x, order, *, axis=-1: apply(arrange, (t, y, order), {"axis": axis}), None),
    guard=None,
    examples=(
        at((5,), (5,), draw=(None, _shuffled(-1))), at((3, 4), (3, 4), axis=0, draw=(None, _shuffled(0))),
        at((2, 3, 2), (2, 3, 2), axis=-2, draw=(None, _shuffled(-2))), at((0,), (0,), draw=(None, _shuffled(-1))),
    ),
    formulas=("δx[order] = δy: each put back where its element came from", "δ = 0: the order is flat"),
    note="equal elements share δ equally",
)  # fmt: skip


def _sorted(x: Any, axis: int) -> tuple[Any, Any]:
    order = np.argsort(x, axis)
    return apply(sort, (x, order), {"axis": axis}), order


def _arranged(t: Any, x: Any, axis: int) -> Any:
    """The elements of t in the order that sorts x."""
    return apply(arrange, (t, *_sorted(x, axis)), {"axis": axis})


def _unarranged(d: Any, x: Any, axis: int) -> Any:
    return apply(unarrange, (d, *_sorted(x, axis)), {"axis": axis})


partition = op(
    np.partition,
    lambda d, y, x, *, kth, axis=-1, kind="introselect": _unarranged(_arranged(d, y, axis), x, axis),
    name="partition",
    jvps=(lambda t, y, x, *, kth, axis=-1, kind="introselect": _unarranged(_arranged(t, x, axis), y, axis),),
    guard=None,
    examples=(
        at((5,), kth=(1, 3)), at((3, 4), kth=(0, -1), axis=0), at((2, 3, 2), kth=1, axis=-2, kind="introselect"),
    ),
    formulas=("δx = δy, each put back where its element came from",),
    note="equal elements of the whole row share δ equally, as those of sort do",
)  # fmt: skip


def _unordered(name: str, order: Any) -> None:
    if order is not None:
        raise KeywordError(
            message(f"{name}: order=", "it names fields of records, which have no derivative", "leave order out")
        )


@composite(np.sort)
def _sort_of(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Kinds of sorting differ in speed, and in which of two equal elements comes first: not in the result."""
    _unordered("sort", order)
    if kind is not None or stable is not None:
        np.sort(np.zeros(0), kind=kind, stable=stable)  # NumPy's error where they are none, or both are given
    if axis is None:
        a, axis = np.ravel(a), -1
    return apply(sort, (a, np.argsort(a, axis)), {} if axis == -1 else {"axis": axis})


@composite(np.partition)
def _partition_of(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    _unordered("partition", order)
    if axis is None:
        a, axis = np.ravel(a), -1
    given = {"axis": (axis, -1), "kind": (kind, "introselect")}
    return apply(partition, (a,), {"kth": whole(kth)} | {key: v for key, (v, usual) in given.items() if v != usual})


@composite(np.sort_complex)
def sort_complex(a: Any) -> Any:
    y = np.sort(a)
    return y if y.dtype.kind == "c" else y.astype(np.clongdouble if y.dtype == np.longdouble else complex)


def _attained(x: Any, y: Any, k: int) -> tuple[Any, Any]:
    """Where x is the element of rank number k, and how often."""
    here = x == y[..., k : k + 1]
    return here, np.maximum(np.sum(here, axis=-1, keepdims=True), 1)  # a nan is equal to nothing


def _unranked(d: Any, y: Any, x: Any, *, kth: tuple[int, ...]) -> Any:
    total: Any = 0
    for k in range(len(kth)):
        here, often = _attained(x, y, k)
        total = total + np.where(here, d[..., k : k + 1] / often, 0)
    return total


def _ranked_tangent(t: Any, y: Any, x: Any, *, kth: tuple[int, ...]) -> Any:
    means = []
    for k in range(len(kth)):
        here, often = _attained(x, y, k)
        means.append(np.sum(np.where(here, t, 0), axis=-1) / often[..., 0])
    return np.stack(means, axis=-1)


ranked = op(
    lambda x, *, kth: np.partition(x, kth, axis=-1)[..., list(kth)],
    _unranked,
    name="ranked",
    jvps=(_ranked_tangent,),
    guard=None,
    masks=True,
    examples=(at((5,), kth=(2,)), at((3, 4), kth=(0, 2, 3))),
    formulas=("δx = δy / (how many are equal to y) where x = y, else 0",),
    note="the elements that sorting would put at these few places of the last axis",
)


@composite(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle of the sorted elements, or the mean of the two middle ones; nan where there is a nan."""
    refuse("median", out=out)
    axis = axes_of(axis, a.ndim)
    rows = grouped(a, axis)
    n = rows.shape[-1]
    if n == 0:
        y = np.mean(rows, axis=-1)
    else:
        y = np.mean(apply(ranked, (rows,), {"kth": tuple(range((n - 1) // 2, n // 2 + 1))}), axis=-1)
        y = np.where(np.any(np.isnan(rows), axis=-1), np.nan, y)[()]
    return restored(y, a.shape, axis, False) if keepdims else y


# -- sets --------------------------------------------------------------------------------------------------------------
# Which elements are equal decides the shape of the result, so it is settled at the call, as for nonzero.

def _share(group: Any, ndim: int, axis: int) -> Any:
    """One over how many are equal, for each group, to be multiplied with slices along an axis."""
    return np.reshape(1 / np.bincount(group), tuple(-1 if i == axis % ndim else 1 for i in range(ndim)))


def _mean_of_each(t: Any, group: Any, count: int, axis: int) -> Any:
    shape = tuple(count if i == axis % t.ndim else n for i, n in enumerate(t.shape))
    return scatter(t, index=along(axis, t.ndim, group), shape=shape) * _share(group, t.ndim, axis)


distinct = op(
    lambda x, *, first, group, axis=0: np.take(x, first, axis),
    lambda d, y, x, *, first, group, axis=0: np.take(d * _share(group, d.ndim, axis), group, axis),
    name="distinct",
    jvps=(lambda t, y, x, *, first, group, axis=0: _mean_of_each(t, group, len(first), axis),),
    guard=None,
    examples=(
        at((3,), first=np.array([2, 0, 1]), group=np.array([1, 2, 0])),
        at((2, 3), first=np.array([1, 2, 0]), group=np.array([2, 0, 1]), axis=-1),
    ),
    formulas=("δx = δy of its value / how many are equal to it",),
    note="one of each group of equal elements; they share its δ equally",
)  # fmt: skip


def _distinct(x: Any, found: Any, axis: int | None = None, equal_nan: bool = False) -> Any:
    """The distinct elements of x, or its distinct slices along an axis, in the order in which NumPy found them."""
    if axis is None:
        x, axis = np.ravel(x), 0
    vector = x.ndim == 1
    _, first, group = np.unique(plain(x), True, True, axis=None if vector else axis, equal_nan=equal_nan)
    group = np.ravel(group)
    if vector:  # NumPy's hash table has an order of its own
        place = np.argsort(found, kind="stable")
        group, first = place[group], first[np.argsort(place)]
    return apply(distinct, (x,), {"first": first, "group": group} | ({"axis": axis} if axis else {}))


@composite(np.unique)
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, **settings: Any,
) -> Any:  # fmt: skip
    positions: Any = (return_index, return_inverse, return_counts)
    found: Any = np.unique(plain(ar), *positions, axis=axis, equal_nan=equal_nan, **settings)
    if isinstance(found, tuple):
        return _distinct(ar, found[0], axis, equal_nan), *found[1:]
    return _distinct(ar, found, axis, equal_nan)


def _unique_as(function: Any) -> Any:
    """np.unique_all and its kind: NumPy says where, and these are the values there."""

    def composition(x: Any) -> Any:
        found = function(plain(x))
        return found._replace(values=_distinct(x, found[0])) if hasattr(found, "_replace") else _distinct(x, found)

    return composite(function)(composition)


unique_all, unique_counts, unique_inverse, unique_values = map(
    _unique_as, (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values)
)


def _set_operation(function: Any) -> Any:
    """What NumPy finds in one array or the other; all the elements of both that are equal to it share its δ."""

    def composition(ar1: Any, ar2: Any, *args: Any, **settings: Any) -> Any:
        bare = (x if type(x) in (bool, int, float, complex) else plain(as_array(x)) for x in (ar1, ar2))
        found = function(*bare, *args, **settings)
        chosen = found[0] if isinstance(found, tuple) else found
        both = np.unique(np.concatenate((ar1, ar2), axis=None))
        y = both[np.searchsorted(plain(both), chosen)]
        y = y if y.dtype == chosen.dtype else y.astype(chosen.dtype)
        return (y, *found[1:]) if isinstance(found, tuple) else y

    return composite(function)(composition)


intersect1d, union1d, setdiff1d, setxor1d = map(
    _set_operation, (np.intersect1d, np.union1d, np.setdiff1d, np.setxor1d)
)
