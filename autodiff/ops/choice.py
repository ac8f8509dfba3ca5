"""Choices among several arrays: each element comes from one of them, and its δ goes back there."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..makers import composite, refuse
from ..traced import Traced, held, plain
from .index import update


def _types(arrays: Any) -> list[Any]:
    """What NumPy's promotion sees of each: Python's own numbers stay weak."""
    return [x if type(x) in (int, float, complex) else np.asarray(held(x)) for x in arrays]


@composite(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The last condition is asked first, so that the first one that holds has the last word."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    choicelist = [as_array(x) if isinstance(x, (list, tuple)) else x for x in choicelist]
    dtype = np.result_type(*_types([*choicelist, default]))
    shape = np.broadcast_shapes(*map(np.shape, (*condlist, *choicelist, default)))
    for i, condition in enumerate(condlist):
        if np.asarray(held(condition)).dtype != bool:
            raise TypeError(f"invalid entry {i} in condlist: should be boolean ndarray")
    y = np.broadcast_to(default, shape)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = np.where(condition, choice, y)
    return y.astype(dtype, copy=False)


@composite(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function is called with the elements at which its condition holds, and with no others.

    Parameters
    ----------
    x : array_like
    condlist : sequence of arrays of bool
        With the shape of x.
    funclist : sequence of callables or numbers
        One for each condition, and one more for where none holds.
    *args, **kw
        Passed on to the functions.

    Returns
    -------
    array with the shape of x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> import autodiff.numpy as anp
    >>> f = lambda x: np.sum(anp.piecewise(x, [x < 0.0], [lambda v: -v, lambda v: v**2]))
    >>> ad.grad(f)(np.array([-1.0, 3.0]))
    array([-1.,  6.])
    """
    x, functions = as_array(x), len(funclist)  # asked first, as NumPy does
    found = [plain(c) for c in condlist] if isinstance(condlist, (list, tuple)) else plain(condlist)
    if np.isscalar(found) or (not isinstance(found[0], (list, np.ndarray)) and np.ndim(x) != 0):
        found = [found]
    conditions = list(np.array(found, bool))
    n = len(conditions)
    if n == functions - 1:
        conditions.append(~np.any(conditions, axis=0))
    elif n != functions:
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y: Any = np.zeros(x.shape, x.dtype)
    for condition, function in zip(conditions, funclist, strict=True):
        if callable(function) and not condition.any():
            continue
        value = as_array(function(x[condition], *args, **kw) if callable(function) else function)
        if isinstance(y, Traced) or isinstance(value, Traced):
            y = apply(update, (y, value), {"index": condition})
        else:
            y[condition] = value
    return y


@composite(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
    refuse("choose", out=out)
    a, choices = np.array(plain(a)), list(choices)
    shape = np.broadcast_shapes(a.shape, *map(np.shape, choices))
    which = np.choose(a, np.arange(len(choices)), mode=mode)  # NumPy's own check, wrapping and clipping
    dtype = np.result_type(*_types(choices))
    y = np.broadcast_to(choices[0], shape)
    for k, choice in enumerate(choices[1:], start=1):
        y = np.where(which == k, choice, y)
    return y.astype(dtype, copy=False)[()]
