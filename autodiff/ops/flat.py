"""Functions whose derivative is zero by nature: steps, comparisons, tests, positions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..apply import as_array
from ..makers import at, composite, flat, refuse
from ..recorders import CONSTANTS
from ..traced import held, memory, plain

# -- ufuncs ------------------------------------------------------------------------------------------------------------

less = flat(np.less, arity=2)
less_equal = flat(np.less_equal, arity=2)
greater = flat(np.greater, arity=2)
greater_equal = flat(np.greater_equal, arity=2)
equal = flat(np.equal, arity=2)
not_equal = flat(np.not_equal, arity=2)

floor, ceil, trunc, rint = flat(np.floor), flat(np.ceil), flat(np.trunc), flat(np.rint)
floor_divide = flat(np.floor_divide, arity=2)
sign = flat(np.sign, note="of real numbers; of complex ones it is the operation phase")
spacing = flat(np.spacing)
nextafter = flat(np.nextafter, arity=2, note="it tells where the next number stands among those that can be stored")

isfinite, isinf, isnan, isnat = flat(np.isfinite), flat(np.isinf), flat(np.isnan), flat(np.isnat)
signbit = flat(np.signbit)

logical_and, logical_or = flat(np.logical_and, arity=2), flat(np.logical_or, arity=2)
logical_xor, logical_not = flat(np.logical_xor, arity=2), flat(np.logical_not)

bitwise_and, bitwise_or = flat(np.bitwise_and, arity=2), flat(np.bitwise_or, arity=2)
bitwise_xor, invert = flat(np.bitwise_xor, arity=2), flat(np.invert)
left_shift, right_shift = flat(np.left_shift, arity=2), flat(np.right_shift, arity=2)
bitwise_count = flat(np.bitwise_count)
gcd, lcm = flat(np.gcd, arity=2), flat(np.lcm, arity=2)

# -- rounding, tests and positions -------------------------------------------------------------------------------------

round = flat(
    np.round, numpy=(np.round, np.around), accepts=("decimals",), examples=(at((3, 4)), at((3, 4), decimals=1))
)
fix = flat(np.fix, numpy=(np.fix,), examples=(at((3, 4)),))

isclose = flat(np.isclose, numpy=(np.isclose,), arity=2, accepts=("rtol", "atol", "equal_nan"))
allclose = flat(np.allclose, numpy=(np.allclose,), arity=2, accepts=("rtol", "atol", "equal_nan"))
array_equal = flat(np.array_equal, numpy=(np.array_equal,), arity=2, accepts=("equal_nan",))
array_equiv = flat(np.array_equiv, numpy=(np.array_equiv,), arity=2)


def _of_one_shape(function: Any, op: Any) -> None:
    """NumPy's answer is no where one of the two is no array; a list of rows that do not fit is none."""

    @composite(function)
    def compared(a1: Any, a2: Any, *equal_nan: Any, **settings: Any) -> Any:
        settings |= dict(zip(("equal_nan",), equal_nan, strict=False))
        try:
            a1, a2 = as_array(a1), as_array(a2)
        except ValueError:
            return False
        return op(a1, a2, **settings)


_of_one_shape(np.array_equal, array_equal)
_of_one_shape(np.array_equiv, array_equiv)

iscomplex, isreal = flat(np.iscomplex, numpy=(np.iscomplex,)), flat(np.isreal, numpy=(np.isreal,))
isposinf, isneginf = flat(np.isposinf, numpy=(np.isposinf,)), flat(np.isneginf, numpy=(np.isneginf,))
isin = flat(np.isin, numpy=(np.isin,), arity=2, accepts=("assume_unique", "invert", "kind"))

argmax = flat(np.argmax, numpy=(np.argmax,), accepts=("axis", "keepdims"), examples=(at((3, 4)), at((3, 4), axis=1)))
argmin = flat(np.argmin, numpy=(np.argmin,), accepts=("axis", "keepdims"), examples=(at((3, 4)), at((3, 4), axis=0)))
nanargmax = flat(np.nanargmax, numpy=(np.nanargmax,), accepts=("axis", "keepdims"))
nanargmin = flat(np.nanargmin, numpy=(np.nanargmin,), accepts=("axis", "keepdims"))
argsort = flat(
    np.argsort, numpy=(np.argsort,), accepts=("axis", "kind", "stable"), examples=(at((3, 4)), at((3, 4), axis=0))
)
argpartition = flat(
    np.argpartition, numpy=(np.argpartition,), accepts=("kth", "axis", "kind"), examples=(at((3, 4), kth=1),)
)
lexsort = flat(np.lexsort, numpy=(np.lexsort,), accepts=("axis",), signature=("keys", "axis"), examples=(at((3, 4)),))
searchsorted = flat(
    np.searchsorted, numpy=(np.searchsorted,), arity=2, accepts=("side", "sorter"), examples=(at((4,), (3,)),)
)
digitize = flat(
    np.digitize, numpy=(np.digitize,), arity=2, accepts=("right",),
    examples=(at((3, 4), (3,), draw=(None, lambda rng, shape: np.sort(rng.standard_normal(shape)))),),
)  # fmt: skip
count_nonzero = flat(np.count_nonzero, numpy=(np.count_nonzero,), accepts=("axis", "keepdims"))

any = flat(
    lambda a, where, *, axis=None, keepdims=False: np.any(a, axis, keepdims=keepdims, where=where),
    name="any", numpy=(), arity=2, accepts=("axis", "keepdims"), examples=(at((3, 4), (4,)), at((3, 4), (), axis=0)),
)  # fmt: skip
all = flat(
    lambda a, where, *, axis=None, keepdims=False: np.all(a, axis, keepdims=keepdims, where=where),
    name="all", numpy=(), arity=2, accepts=("axis", "keepdims"), examples=(at((3, 4), (4,)), at((3, 4), (), axis=0)),
)  # fmt: skip


@composite(np.any)
def _any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    refuse("any", out=out)
    return any(a, where, axis=axis, keepdims=keepdims)


@composite(np.all)
def _all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    refuse("all", out=out)
    return all(a, where, axis=axis, keepdims=keepdims)


stop_gradient = flat(lambda x: np.array(x)[()] if np.ndim(x) == 0 else np.array(x), name="stop_gradient")
to_integers = flat(lambda x, *, dtype: x.astype(dtype), name="to_integers", accepts=("dtype",))

# facts about arrays, and positions whose number depends on the values: NumPy's own answer for the plain values


def _told(function: Any, holds: Any) -> Any:
    """A function of NumPy's that is asked about what tensors hold."""

    def bare(x: Any) -> Any:
        return type(x)(map(bare, x)) if isinstance(x, (list, tuple)) else holds(x)

    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        return function(*map(bare, args), **{key: bare(value) for key, value in kwargs.items()})

    return told


_of_arrays: tuple[Any, ...] = (  # whatever their values are
    np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.isfortran, np.can_cast, np.result_type,
    np.common_type, np.diag_indices_from, np.tril_indices_from,
    np.triu_indices_from,
)  # fmt: skip
_of_values: tuple[Any, ...] = (
    np.min_scalar_type, np.nonzero, np.flatnonzero, np.argwhere, np.ravel_multi_index, np.unravel_index,
    np.array2string, np.array_repr, np.array_str,
)  # fmt: skip
for _function in _of_arrays:
    composite(_function)(_told(_function, held))
for _function in _of_values:
    composite(_function)(_told(_function, plain))
for _function in (np.shares_memory, np.may_share_memory):
    composite(_function)(_told(_function, memory))


# arrays like another one: they have no history of their own, and can be written into


def _like(fill: Any) -> Any:
    def made(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Any:
        if (order, subok, device) != ("K", True, None):
            checked: Any = {"order": order, "subok": subok, "device": device}
            np.empty_like(np.empty(0), **checked)  # NumPy's errors
        a = as_array(a)
        lies: Any = memory(a)  # in memory in the order of a, which decides what is a view
        if shape is not None or not isinstance(lies, np.ndarray) or lies.shape != a.shape:
            lies = np.empty(a.shape if shape is None else shape)
        kept: Any = order
        array: Any = np.empty_like(lies, a.dtype if dtype is None else dtype, order=kept, subok=False)
        array[...] = fill
        return CONSTANTS.record(None, (), (), None, array)

    return made


@composite(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    made = np.zeros_like(a, dtype, *args, **kwargs)
    made[...] = fill_value
    return made


composite(np.zeros_like, np.empty_like)(_like(0))
composite(np.ones_like)(_like(1))
