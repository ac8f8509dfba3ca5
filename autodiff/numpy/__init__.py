"""NumPy's namespace, for code that wants to be differentiated: ``import autodiff.numpy as np``.

NumPy's own functions accept tensors as they stand, so most names here are NumPy's. What differs is what makes arrays:
while a function is being traced, ``zeros``, ``ones``, ``full``, ``array`` and the like return arrays that a tensor can
be written into, which a plain NumPy array cannot be. Every name that the registry of operations holds is here under
NumPy's spelling, including those that older versions of NumPy lack.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as _numpy
from numpy import fft, random

from ..op import CONSTANTS, FUNCTIONS, TRACING, UFUNCS, as_array
from ..ops.choice import piecewise
from ..ops.mapping import apply_along_axis, apply_over_axes, vectorize
from ..tensor import Tensor
from . import linalg

_CREATION = (
    "arange", "diag_indices", "empty", "eye", "frombuffer", "fromfunction", "fromiter", "full", "geomspace", "hamming",
    "hanning", "bartlett", "blackman", "kaiser", "identity", "indices", "linspace", "logspace", "ones", "tri", "zeros",
)  # fmt: skip


def _writable(array: Any) -> Any:
    """While tracing: an array that a tensor can be written into. Elsewhere: the plain array."""
    if TRACING.get() and isinstance(array, _numpy.ndarray) and array.dtype.kind in "biufc":
        return CONSTANTS.record(None, (), (), None, array)
    return array


def _creation(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def create(*args: Any, **kwargs: Any) -> Any:
        if function in FUNCTIONS and any(isinstance(x, Tensor) for x in (*args, *kwargs.values())):
            return FUNCTIONS[function](*args, **kwargs)  # kaiser does not ask its arguments itself
        return _writable(function(*args, **kwargs))

    return create


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, order: Any = "K", ndmin: int = 0) -> Any:
    """An array of numbers, tensors, or nested lists of both; see ``numpy.array``.

    Examples
    --------
    >>> import autodiff as ad
    >>> import autodiff.numpy as anp
    >>> ad.grad(lambda x: anp.array([x, 2.0 * x, 1.0]).sum())(3.0)
    np.float64(3.0)
    """
    made: Any = as_array(object)
    if not isinstance(made, Tensor):
        return _writable(_numpy.array(made, dtype, copy=copy, order=order, ndmin=ndmin))
    if dtype is not None and made.dtype != _numpy.dtype(dtype):
        made = made.astype(dtype)
    if copy and made is object:
        made = _numpy.copy(made)
    return made if made.ndim >= ndmin else _numpy.reshape(made, (1,) * (ndmin - made.ndim) + made.shape)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None) -> Any:
    """As :func:`array`, but a tensor or array that fits is returned as it is."""
    return array(a, dtype, copy=copy, order=order or "K")


asanyarray = ascontiguousarray = asfortranarray = asarray

_MADE = {name: _creation(getattr(_numpy, name)) for name in _CREATION}


def __getattr__(name: str) -> Any:
    made = _MADE.get(name)
    if made is not None:
        return made
    return getattr(_numpy, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_numpy)})


def differentiable() -> list[str]:
    """The names of NumPy's functions that tensors can pass through, sorted."""
    return sorted({function.__name__ for function in (*FUNCTIONS, *UFUNCS)})


Tensor.namespace_hook = sys.modules[__name__]
__all__ = [
    "apply_along_axis", "apply_over_axes", "array", "asanyarray", "asarray", "differentiable", "fft", "linalg",
    "piecewise", "random", "vectorize",
]  # fmt: skip
