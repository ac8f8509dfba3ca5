"""What a ufunc can do beside being called: reduce, accumulate, reduceat, outer and at, and its keyword dtype.

The methods that are functions of NumPy under another name (add.reduce is sum) are those. Of the others each is written
out in calls of the ufunc itself: in pairs where the order does not matter, one element after the other where it does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply import as_array, no_rule
from ..errors import unwarned
from ..makers import refuse
from ..op import FUNCTIONS, UFUNCS
from ..traced import held, plain
from .index import along
from .reduce import grouped

_NONE = np._NoValue

SAME: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min, np.fmax: np.nanmax,
    np.fmin: np.nanmin, np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip
"""The functions that say the same as ``ufunc.reduce``."""

RUNNING: dict[np.ufunc, Callable[..., Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}
"""The functions that say the same as ``ufunc.accumulate``."""

ASSOCIATIVE = frozenset((
    np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.hypot, np.logaddexp, np.logaddexp2,
    np.logical_and, np.logical_or, np.logical_xor,
))  # fmt: skip
"""Where f(f(a, b), c) = f(a, f(b, c))."""

FOLDED = frozenset((*ASSOCIATIVE, np.subtract, np.divide))
"""What reduce, accumulate and reduceat are written for. Of powers and angles in a row NumPy's own are not reliable."""


def converted(ufunc: np.ufunc, args: Any, dtype: Any, casting: Any) -> Any:
    """The arguments in the dtypes in which NumPy computes them when it is told the dtype of the result."""
    held = tuple(x if type(x) in (int, float, complex) else as_array(x) for x in args)
    kinds = tuple(type(x) if type(x) in (int, float, complex) else x.dtype for x in held)
    signature = (*(None,) * ufunc.nin, *(None if dtype is None else np.dtype(dtype),) * ufunc.nout)
    found = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout), signature=signature, casting=casting)
    return tuple(
        x if isinstance(kind, type) or kind == to else x.astype(to)
        for x, kind, to in zip(held, kinds, found[: ufunc.nin], strict=True)
    )


def _given(out: Any) -> Any:
    """NumPy passes out on as a tuple."""
    return out[0] if isinstance(out, tuple) and len(out) == 1 else out


# -- reduce ------------------------------------------------------------------------------------------------------------


def _halved(ufunc: np.ufunc, rows: Any) -> Any:
    """The last axis folded in halves: log₂ n calls."""
    while (n := rows.shape[-1]) > 1:
        half = n // 2
        y = ufunc(rows[..., :half], rows[..., half : 2 * half])
        rows = np.concatenate([y, rows[..., 2 * half :]], axis=-1) if n % 2 else y
    return rows[..., 0]


def reduce(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = _NONE, where: Any = True,
) -> Any:  # fmt: skip
    """``ufunc.reduce``, by the function that says the same or by the ufunc itself."""
    name = f"{ufunc.__name__}.reduce"
    refuse(name, out=_given(out))
    x = as_array(array)
    bare: dict[str, Any] = {"axis": axis, "dtype": dtype, "keepdims": keepdims, "initial": held(initial)}
    with np.errstate(all="ignore"):  # NumPy's own errors: the identity that is missing, axes that may not be mixed
        want = ufunc.reduce(held(x), **bare, where=held(where))
    if ufunc in SAME:
        settings = {"axis": axis, "keepdims": keepdims}
        settings |= {} if dtype is None else {"dtype": dtype}
        settings |= {} if initial is _NONE else {"initial": initial}
        settings |= {} if where is True else {"where": where}
        if ufunc in (np.maximum, np.minimum, np.fmax, np.fmin) and dtype is not None:
            x = x.astype(settings.pop("dtype"))
        if ufunc in (np.logical_and, np.logical_or):
            settings.pop("dtype", None)  # a bool, which a.any() asks for as well
        same = FUNCTIONS[SAME[ufunc]]  # not through NumPy: that does not look for tensors among the settings
        if ufunc in (np.fmax, np.fmin):  # nanmax warns of slices that are all nan, and fmax.reduce does not
            with unwarned("All-NaN", RuntimeWarning):
                return same(x, **settings)
        return same(x, **settings)
    if where is not True and ufunc.identity is None:
        raise no_rule(ufunc, "reduce(…, where=…)")
    x = x if where is True else np.where(where, x, ufunc.identity)
    x = x if dtype is None else x.astype(dtype)
    rows = grouped(x, axis)
    if rows.shape[-1] == 0:
        y: Any = np.broadcast_to(np.asarray(ufunc.identity) if initial is _NONE else initial, rows.shape[:-1])
    elif ufunc in ASSOCIATIVE:
        y = _halved(ufunc, rows)
        y = y if initial is _NONE or initial is None else ufunc(initial, y)
    else:
        start = 0 if initial is not _NONE and initial is not None else 1
        y = initial if start == 0 else rows[..., 0]
        for k in range(start, rows.shape[-1]):
            y = ufunc(y, rows[..., k])
    y = y.astype(want.dtype, copy=False)
    return np.reshape(y, want.shape)[()]


# -- accumulate, reduceat ----------------------------------------------------------------------------------------------


def accumulate(ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """``ufunc.accumulate``; where the order does not matter by doubling, in log₂ n calls."""
    refuse(f"{ufunc.__name__}.accumulate", out=_given(out))
    x = as_array(array)
    if ufunc in RUNNING:
        return RUNNING[ufunc](x, axis=axis, dtype=dtype)
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    x = x if dtype is None else x.astype(dtype)
    rows = np.moveaxis(x, operator.index(axis), -1)
    n, step = rows.shape[-1], 1
    if ufunc in ASSOCIATIVE:
        while step < n:
            rows = np.concatenate([rows[..., :step], ufunc(rows[..., :-step], rows[..., step:])], axis=-1)
            step *= 2
    elif n:
        found = [rows[..., 0]]
        for k in range(1, n):
            found.append(ufunc(found[-1], rows[..., k]))
        rows = np.stack(found, axis=-1)
    return np.moveaxis(rows, -1, axis)


def reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """``ufunc.reduceat``: each part from one index to the next; where the next is not larger, that element alone."""
    refuse(f"{ufunc.__name__}.reduceat", out=_given(out))
    x = as_array(array)
    indices = np.asarray(plain(indices), None if np.size(indices) else np.intp)
    want = ufunc.reduceat(plain(x), indices, axis, dtype)  # NumPy's own errors
    starts = indices.tolist()
    ends = [*starts[1:], x.shape[axis]][: len(starts)]
    parts = [
        reduce(ufunc, x[along(axis, x.ndim, slice(a, max(b, a + 1)))], axis, dtype)
        for a, b in zip(starts, ends, strict=True)
    ]
    return np.stack(parts, axis=axis) if parts else np.zeros(want.shape, want.dtype)


# -- outer, at ---------------------------------------------------------------------------------------------------------


def outer(ufunc: np.ufunc, a: Any, b: Any, **settings: Any) -> Any:
    """``ufunc.outer``: each element of a with each of b."""
    a, b = as_array(a), as_array(b)
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **settings)


def at(ufunc: np.ufunc, a: Any, indices: Any, b: Any = None) -> None:
    """``add.at`` and ``subtract.at``: positions that are named twice count twice."""
    if ufunc not in (np.add, np.subtract) or not hasattr(a, "at"):
        raise no_rule(ufunc, "at")
    a[...] = a.at[indices].add(b if ufunc is np.add else np.negative(b))


_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce, "accumulate": accumulate, "reduceat": reduceat, "outer": outer, "at": at,
}  # fmt: skip


def method(ufunc: np.ufunc, name: str) -> Callable[..., Any] | None:
    """What to call in the place of a method of a ufunc; None where nothing is written for it."""
    if ufunc in FOLDED or (name in ("outer", "at") and ufunc in UFUNCS and ufunc.nin == 2 and ufunc.nout == 1):
        return _METHODS.get(name)
    return None
