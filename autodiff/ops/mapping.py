"""Functions that take a function: along an axis, over axes, element by element. Each calls it and joins the results.

NumPy's own write the results into a buffer, which a tensor cannot be written into.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np

from ..apply import as_array
from ..makers import composite


def _joined(results: list[Any], shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Results as one array whose first axes have this shape; in the dtype of the first, as in NumPy's buffer."""
    parts = [as_array(y) for y in results]
    dtype = parts[0].dtype if dtype is None else np.dtype(dtype)
    y = np.stack([part.astype(dtype, copy=False) for part in parts])
    return np.reshape(y, shape + y.shape[1:])


@composite(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """What the function makes of each vector along an axis stands in the place of that axis.

    Parameters
    ----------
    func1d : callable
        A function of a vector.
    axis : int
    arr : array_like
    *args, **kwargs
        Passed on to the function.

    Returns
    -------
    array
        Its shape is that of `arr`, with the shape of a result in the place of the axis.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> import autodiff.numpy as anp
    >>> f = lambda x: np.sum(anp.apply_along_axis(lambda row: row[0] * row, 1, x))
    >>> ad.grad(f)(np.array([[1.0, 2.0]]))
    array([[4., 1.]])
    """
    arr = as_array(arr)
    axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    shape = rows.shape[:-1]
    if math.prod(shape) == 0:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    y = _joined([func1d(rows[i], *args, **kwargs) for i in np.ndindex(shape)], shape)
    new = y.ndim - len(shape)
    return np.moveaxis(y, range(len(shape), y.ndim), range(axis, axis + new))


@composite(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """The function, which takes an axis, over one axis after another; none of them is lost.

    Parameters
    ----------
    func : callable
        ``func(a, axis)``, such as ``np.sum``.
    a : array_like
    axes : int or sequence of int

    Returns
    -------
    array
        With as many axes as `a`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> import autodiff.numpy as anp
    >>> ad.grad(lambda x: anp.apply_over_axes(np.sum, x, (0, 1))[0, 0] ** 2)(np.ones((1, 2)))
    array([[4., 4.]])
    """
    y = as_array(a)
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        axis = axis + y.ndim if axis < 0 else axis
        reduced = func(y, axis)
        if reduced.ndim != y.ndim:
            reduced = np.expand_dims(reduced, axis)
        if reduced.ndim != y.ndim:
            raise ValueError("function is not returning an array of the correct shape")
        y = reduced
    return y


@composite(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    """Each vector along an axis of its own."""
    found = []
    for k, x in enumerate(args):
        x = as_array(x) if np.size(x) else np.zeros(np.shape(x), getattr(x, "dtype", np.intp))
        if x.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        x = np.flatnonzero(x) if x.dtype == bool else x
        found.append(np.reshape(x, tuple(-1 if i == k else 1 for i in range(len(args)))))
    return tuple(found)


# -- element by element ------------------------------------------------------------------------------------------------

_NAMES = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*,?)?\s*\)"
_SIGNATURE = re.compile(rf"\s*{_NAMES}(?:\s*,\s*{_NAMES})*\s*->\s*{_NAMES}(?:\s*,\s*{_NAMES})*\s*")


def _dimensions(signature: str) -> list[list[tuple[str, ...]]]:
    """The names of the axes of each argument and of each result: ``"(m,n),(n)->(m)"``."""
    if not _SIGNATURE.fullmatch(signature):
        raise ValueError(f"not a valid gufunc signature: {signature}")
    sides = signature.split("->")
    return [[tuple(re.findall(r"\w+", part)) for part in re.findall(_NAMES, side)] for side in sides]


class vectorize(np.vectorize):
    """``numpy.vectorize`` for functions through which a derivative passes.

    NumPy's class turns its arguments into arrays of objects before anything here can see them. This one calls the
    function with tensors and joins what it returns; it takes the same settings and gives the same values. As NumPy's,
    it is a loop in Python: a function that is written for whole arrays is faster.

    Parameters
    ----------
    pyfunc, otypes, doc, excluded, cache, signature
        As in ``numpy.vectorize``. With ``cache`` or without, the function is called once for each element.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> import autodiff.numpy as anp
    >>> bend = anp.vectorize(lambda x: x**2 if x > 0 else -x)
    >>> ad.grad(lambda x: np.sum(bend(x)))(np.array([-1.0, 3.0]))
    array([-1.,  6.])
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on each element, or on each part that the signature describes."""
        missing: Any = np._NoValue
        if self.pyfunc is missing:
            return super().__call__(*args, **kwargs)
        given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        keys = [key for key in given if key not in self.excluded]
        if not keys and self.signature is None:
            return self.pyfunc(*args, **kwargs)
        arrays = [as_array(given[key]) for key in keys]
        cores, made = _dimensions(self.signature) if self.signature else ([()] * len(keys), None)
        if len(arrays) != len(cores):
            raise TypeError(f"wrong number of positional arguments: expected {len(cores)}, got {len(arrays)}")
        sizes: dict[str, int] = {}
        shape = np.broadcast_shapes(*(_outer(x, core, sizes) for x, core in zip(arrays, cores, strict=True)))
        spread = [
            np.broadcast_to(x, shape + x.shape[x.ndim - len(core) :]) for x, core in zip(arrays, cores, strict=True)
        ]
        results = []
        for i in np.ndindex(shape):
            given.update(zip(keys, (x[i] for x in spread), strict=True))
            y = self.pyfunc(*(given[k] for k in range(len(args))), **{k: given[k] for k in kwargs})
            results.append(tuple(map(as_array, y)) if isinstance(y, tuple) else (as_array(y),))
        otypes: Any = self.otypes
        if not results:
            return _nothing(shape, made, sizes, otypes)
        if made is None:
            made = [()] * len(results[0] if otypes is None else otypes)
        for ys in results:
            if len(ys) != len(made):
                raise ValueError(f"wrong number of outputs from pyfunc: expected {len(made)!r}, got {len(ys)!r}")
            for y, core in zip(ys, made, strict=True):
                if _outer(y, core, sizes):
                    raise ValueError(f"pyfunc returned an array of shape {y.shape} where the axes {core} were expected")
        columns = zip(zip(*results, strict=True), otypes or [None] * len(made), strict=True)
        joined = tuple(_joined(list(column), shape, otype) for column, otype in columns)
        return joined[0] if len(joined) == 1 else joined


def _nothing(shape: tuple[int, ...], made: Any, sizes: dict[str, int], otypes: Any) -> Any:
    """Empty results: only `otypes` can tell their dtypes."""
    if otypes is None:
        raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
    cores = made if made is not None else [()] * len(otypes)
    if not {*itertools.chain.from_iterable(cores)} <= {*sizes}:
        raise ValueError("cannot call `vectorize` with a signature including new output dimensions on size 0 inputs")
    empty = [np.zeros(shape + tuple(sizes[n] for n in core), t) for core, t in zip(cores, otypes, strict=True)]
    return empty[0] if len(empty) == 1 else tuple(empty)


def _outer(x: Any, core: tuple[str, ...], sizes: dict[str, int]) -> tuple[int, ...]:
    """The axes of an array in front of those that a signature names; the named ones must agree in length."""
    start = x.ndim - len(core)
    if start < 0:
        raise ValueError(f"{x.ndim}-dimensional array does not have enough dimensions for all core dimensions {core}")
    for name, n in zip(core, x.shape[start:], strict=True):
        if sizes.setdefault(name, n) != n:
            raise ValueError(f"inconsistent size for core dimension {name!r}: {n} vs {sizes[name]}")
    outer: tuple[int, ...] = x.shape[:start]
    return outer
