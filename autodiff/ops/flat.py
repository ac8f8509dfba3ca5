"""Functions whose derivative is zero by nature: steps, comparisons, tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..makers import composite, flat
from ..op import CONSTANTS

less = flat(np.less, arity=2)
less_equal = flat(np.less_equal, arity=2)
greater = flat(np.greater, arity=2)
greater_equal = flat(np.greater_equal, arity=2)
equal = flat(np.equal, arity=2)
not_equal = flat(np.not_equal, arity=2)
isfinite = flat(np.isfinite)
floor = flat(np.floor)

stop_gradient = flat(lambda x: np.array(x)[()] if np.ndim(x) == 0 else np.array(x), name="stop_gradient")
to_integers = flat(lambda x, *, dtype: x.astype(dtype), name="to_integers", accepts=("dtype",))
bitwise_and = flat(np.bitwise_and, arity=2)
bitwise_or = flat(np.bitwise_or, arity=2)
bitwise_xor = flat(np.bitwise_xor, arity=2)
invert = flat(np.invert)
floor_divide = flat(np.floor_divide, arity=2)

# facts about an array that are known without looking at its elements


@composite(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    return a.shape


@composite(np.ndim)
def ndim(a: Any) -> int:
    return a.ndim


@composite(np.size)
def size(a: Any, axis: Any = None) -> int:
    if axis is None:
        return a.size
    return math.prod(a.shape[i] for i in (axis if isinstance(axis, tuple) else (axis,)))


@composite(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return x.dtype.kind == "c"


@composite(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return x.dtype.kind != "c"


# arrays like another one: they have no history of their own, and can be written into


def _like(fill: Any) -> Any:
    def made(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:
        array = np.full(a.shape if shape is None else shape, fill, dtype or a.dtype)
        return CONSTANTS.record(None, (), (), None, array)

    return made


composite(np.zeros_like, np.empty_like)(_like(0))
composite(np.ones_like)(_like(1))
