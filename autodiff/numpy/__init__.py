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

from ..apply import as_array
from ..makers import refuse
from ..op import FUNCTIONS, UFUNCS
from ..ops.choice import piecewise
from ..ops.mapping import apply_along_axis, apply_over_axes, vectorize
from ..recorders import CONSTANTS, TRACING
from ..tensor import Tensor
from . import linalg

_CREATION = (
    "arange", "diag_indices", "empty", "eye", "frombuffer", "fromfunction", "fromiter", "geomspace", "hamming",
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


def _conversion(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function that makes an array of something, for lists with tensors in them and for tensors as well."""

    @functools.wraps(function)
    def convert(object: Any, *args: Any, **kwargs: Any) -> Any:
        made = as_array(object) if isinstance(object, (Tensor, list, tuple)) else object
        if isinstance(made, Tensor):
            if function is _numpy.array:
                kwargs.setdefault("copy", True)
            return _converted(made, function, object, *args, **kwargs)
        return _writable(function(object, *args, **kwargs))

    return convert


def _converted(
    made: Any, function: Any, given: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None,
    device: Any = None, subok: bool = False, ndmin: int = 0, ndmax: int = 0, like: Any = None,
) -> Any:  # fmt: skip
    """A tensor as NumPy's function would return it; an order in memory is none of its properties."""
    refuse(function.__name__, like=like)
    _numpy.empty(0, device=device)  # NumPy's own error, where it is not "cpu"
    kind = made.dtype if dtype is None else _numpy.dtype(dtype)
    if copy is False and (kind != made.dtype or made is not given):
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if kind != made.dtype:
        made = made.astype(kind)
    elif copy and made is given:
        made = _numpy.copy(made)
    least = max(ndmin, function in (_numpy.ascontiguousarray, _numpy.asfortranarray))
    return made if made.ndim >= least else _numpy.reshape(made, (1,) * (least - made.ndim) + made.shape)


array = _conversion(_numpy.array)
asarray = _conversion(_numpy.asarray)
asanyarray = _conversion(_numpy.asanyarray)
ascontiguousarray = _conversion(_numpy.ascontiguousarray)
asfortranarray = _conversion(_numpy.asfortranarray)

SPECIAL = "scipy.special._ufuncs"
"""SciPy's ufuncs themselves: its public names call the functions of whatever namespace an array has."""


@functools.wraps(_numpy.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """As NumPy's, with a tensor for the fill value as well."""
    fill_value = as_array(fill_value)
    if not isinstance(fill_value, Tensor):
        return _writable(_numpy.full(shape, fill_value, dtype, *args, **kwargs))
    _numpy.empty(0, dtype, *args, **kwargs)  # NumPy's own errors
    return _numpy.copy(_numpy.broadcast_to(fill_value if dtype is None else fill_value.astype(dtype), shape))


_MADE = {name: _creation(getattr(_numpy, name)) for name in _CREATION}


def __getattr__(name: str) -> Any:
    made = _MADE.get(name)
    if made is not None:
        return made
    if name == "special" and SPECIAL in sys.modules:  # where SciPy looks for its own functions in this namespace
        return sys.modules[SPECIAL]
    return getattr(_numpy, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_numpy)})


def differentiable() -> list[str]:
    """The names of NumPy's functions that tensors can pass through, sorted.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import autodiff.numpy as anp
    >>> "tanh" in anp.differentiable(), "save" in anp.differentiable()
    (True, False)
    """
    return sorted({function.__name__ for function in (*FUNCTIONS, *UFUNCS)})


Tensor.namespace_hook = sys.modules[__name__]
__all__ = [
    "apply_along_axis", "apply_over_axes", "array", "asanyarray", "asarray", "differentiable", "fft", "linalg",
    "piecewise", "random", "vectorize",
]  # fmt: skip
