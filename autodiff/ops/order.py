"""Sorting: a permutation that the values choose. Among equal elements δ is shared equally."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import KeywordError, message
from ..makers import at, composite, op, refuse
from ..op import Op, apply
from .reduce import grouped, restored


def _shared(d: Any, y: Any) -> Any:
    """The mean of d over each group of equal elements of the sorted rows y; nans are equal."""
    nan = y != y
    first = np.ones(y.shape, bool)
    first[..., 1:] = (y[..., 1:] != y[..., :-1]) & ~(nan[..., 1:] & nan[..., :-1])
    if first.all():
        return d
    group = np.cumsum(first).reshape(y.shape) - 1
    total = np.zeros(group.flat[-1] + 1, d.dtype)
    np.add.at(total, group, d)
    return (total[group] / np.bincount(group.ravel())[group]).astype(d.dtype)


def _arrange(t: Any, x: Any, *, axis: int = -1) -> Any:
    order = np.argsort(np.moveaxis(x, axis, -1), axis=-1, kind="stable")
    rows, sorted_x = (np.take_along_axis(np.moveaxis(a, axis, -1), order, axis=-1) for a in (t, x))
    return np.moveaxis(_shared(rows, sorted_x), -1, axis)


def _unarrange(d: Any, x: Any, *, axis: int = -1) -> Any:
    rows = np.moveaxis(x, axis, -1)
    order = np.argsort(rows, axis=-1, kind="stable")
    shared = _shared(np.moveaxis(d, axis, -1), np.take_along_axis(rows, order, axis=-1))
    found = np.empty_like(shared)
    np.put_along_axis(found, order, shared, axis=-1)
    return np.moveaxis(found, -1, axis)


def _nothing(d: Any, y: Any, a: Any, x: Any, *, axis: int = -1) -> Any:
    """The order does not change in a neighbourhood, so the second argument has derivative zero."""
    return np.zeros(x.shape, x.dtype)


arrange: Op = op(
    _arrange,
    lambda d, y, t, x, *, axis=-1: apply(unarrange, (d, x), {"axis": axis}),
    _nothing,
    name="arrange",
    jvps=(lambda s, y, t, x, *, axis=-1: apply(arrange, (s, x), {"axis": axis}), None),
    guard=None,
    examples=(at((5,), (5,)), at((3, 4), (3, 4), axis=0)),
    formulas=("δt = δy in the order that x had before it was sorted", "δ = 0: the order is flat"),
    note="t in the order that sorts x",
)

unarrange: Op = op(
    _unarrange,
    lambda d, y, s, x, *, axis=-1: apply(arrange, (d, x), {"axis": axis}),
    _nothing,
    name="unarrange",
    jvps=(lambda t, y, s, x, *, axis=-1: apply(unarrange, (t, x), {"axis": axis}), None),
    guard=None,
    examples=(at((5,), (5,)), at((3, 4), (3, 4), axis=0)),
    formulas=("δs = δy in the order that sorts x", "δ = 0: the order is flat"),
    note="the transpose of arrange",
)

sort = op(
    np.sort,
    lambda d, y, x, *, axis=-1: apply(unarrange, (d, x), {"axis": axis}),
    name="sort",
    jvps=(lambda t, y, x, *, axis=-1: apply(arrange, (t, x), {"axis": axis}),),
    guard=None,
    examples=(at((5,)), at((3, 4), axis=0), at((2, 3, 2), axis=-2), at((0,))),
    formulas=("δx = δy, each put back where its element came from",),
    note="equal elements share δ equally",
)


@composite(np.sort)
def _sort_of(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Kinds of sorting differ in speed, and in which of two equal elements comes first: not in the result."""
    if order is not None:
        raise KeywordError(
            message("sort: order=", "it names fields of records, which have no derivative", "leave order out")
        )
    if axis is None:
        a, axis = np.ravel(a), -1
    return apply(sort, (a,), {} if axis == -1 else {"axis": axis})


@composite(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle of the sorted elements, or the mean of the two middle ones; nan where there is a nan."""
    refuse("median", out=out)
    rows = np.sort(grouped(a, axis), axis=-1)
    n = rows.shape[-1]
    y = np.mean(rows[..., (n - 1) // 2 if n else 0 : n // 2 + 1], axis=-1)
    if n:
        last = rows[..., -1]
        y = np.where(last != last, last, y)[()]
    return restored(y, a.shape, axis, False) if keepdims else y
