"""Reductions along axes: sums and means, products, extremes, running sums and products.

Each operation knows two settings, ``axis`` and ``keepdims``, extremes ``initial`` as well. The other keywords of
NumPy's functions are said in other operations: ``where`` puts the neutral element in the places left out, ``dtype``
converts the argument, ``initial`` is one more term or factor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import DtypeError, KeywordError, message
from ..makers import at, composite, linear, op, refuse, where_reached
from ..rules import stretched
from ..traced import Traced, every, held, is_compiled, leak
from .blocks import each_block, shared


def restored(d: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """A δ with the reduced axes put back with length one, so that it broadcasts against the argument."""
    if keepdims or not shape:
        return d
    reduced = _reduced(len(shape), axis)
    return np.reshape(d, tuple([1 if i in reduced else n for i, n in enumerate(shape)]))


def _reduced(ndim: int, axis: Any) -> set[int]:
    """The reduced axes, counted from the front."""
    if axis is None:
        return set(range(ndim))
    return {a % ndim if ndim else a for a in (axis if isinstance(axis, tuple) else (axis,))}


def axes_of(axis: Any, ndim: int) -> Any:
    """The axis or axes as a tuple counted from the front, None for all; NumPy's errors where there are no such axes."""
    return None if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim)


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements are reduced to one."""
    return math.prod(shape[i] for i in _reduced(len(shape), axis)) if shape else 1


def grouped(x: Any, axis: Any) -> Any:
    """The reduced axes as one, which is the last."""
    kept = [n for i, n in enumerate(x.shape) if i not in _reduced(x.ndim, axis)]
    return np.reshape(np.transpose(x, _kept_first(x.ndim, axis)), (*kept, count(x.shape, axis)))


def _kept_first(ndim: int, axis: Any) -> tuple[int, ...]:
    reduced = _reduced(ndim, axis)
    return (*(i for i in range(ndim) if i not in reduced), *sorted(reduced))


def guard_groups(term: Any, rule: Any, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """A true zero in every group of reduced elements whose δ is zero, whatever was saved for it."""
    shape, axis, keepdims = args[k].shape, params.get("axis"), params.get("keepdims", False)
    return where_reached(term, lambda: restored(d, shape, axis, keepdims) != 0)


def guard_following(term: Any, rule: Any, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """A true zero in every element of a running product that reaches no δ but zeros."""
    axis = params.get("axis")
    return where_reached(
        term, lambda: np.reshape(np.flip(np.cumsum(np.flip(d != 0, axis), axis=axis), axis), term.shape) != 0
    )


# -- keywords that are said in other operations ------------------------------------------------------------------------


def given(**settings: Any) -> dict[str, Any]:
    """The settings that say something: a node keeps no defaults."""
    said = {k: v for k, v in settings.items() if v is not None and v is not np._NoValue}
    return {k: v for k, v in said.items() if v is not False or k != "keepdims"}


def everywhere(where: Any) -> bool:
    """Whether nothing is left out."""
    return where is True or where is np._NoValue


def converted(a: Any, dtype: Any) -> Any:
    """The argument in the dtype that was asked for."""
    return a if dtype is None else a.astype(dtype, copy=False)


def _number(x: Any, dtype: Any) -> Any:
    """An initial value, which takes the dtype of the reduction."""
    if np.ndim(x):
        raise ValueError("setting an array element with a sequence.")
    return as_array(x).astype(dtype, copy=False)[()]


def selected(a: Any, where: Any, neutral: Any) -> Any:
    """The argument with the neutral element wherever it is not selected."""
    if everywhere(where):
        return a
    kind: Any = held(where).dtype if isinstance(where, (np.ndarray, Traced)) else np.dtype(bool)
    if kind.kind != "b":
        raise TypeError(f"Cannot cast array data from {kind!r} to dtype('bool') according to the rule 'safe'")
    chosen = np.where(where, a, neutral)
    if chosen.shape != a.shape:
        raise ValueError(f"where, of shape {np.shape(where)}, does not broadcast to the array's shape {a.shape}")
    return chosen


def counted(a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """How many elements are selected for each result."""
    a = as_array(a)
    if everywhere(where):
        return count(a.shape, axis)
    return np.sum(np.broadcast_to(where, a.shape), **given(axis=axis, keepdims=keepdims))


# -- sums and means ----------------------------------------------------------------------------------------------------

def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis, None, None, keepdims)  # type: ignore[call-overload]


def _summed(d: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return stretched(d if axis is None else restored(d, x.shape, axis, keepdims), x.shape)


sum = linear(
    _sum,
    _summed,
    name="sum",
    numpy=(np.sum,),
    examples=(at((3, 4)), at((3, 4), axis=-1), at((2, 3, 4), axis=(0, -1), keepdims=True), at(()), at((3, 0), axis=1)),
    formulas=("δx = δy, spread over the summed axes",),
)

mean = linear(
    np.mean,
    # 1/n before it meets δ: n itself may be more than a short float can hold
    lambda d, y, x, *, axis=None, keepdims=False: stretched(
        restored(d * (1.0 / (count(x.shape, axis) or 1)), x.shape, axis, keepdims), x.shape
    ),
    numpy=(np.mean,),
    examples=(at((3, 4)), at((3, 4), axis=0), at((2, 3, 4), axis=(-1, 0), keepdims=True), at(())),
    formulas=("δx = δy / n, spread over the n averaged elements",),
)

cumsum = linear(
    shared(np.cumsum),
    lambda d, y, x, *, axis=None: np.reshape(np.flip(np.cumsum(np.flip(d, axis), axis=axis), axis), x.shape),
    name="cumsum",
    numpy=(np.cumsum,),
    examples=(at((4,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 4), axis=-2), at(()), at((0,))),
    formulas=("δxⱼ = Σ over i ≥ j of δyᵢ",),
)

# -- products, without a division: right with any number of zeros ------------------------------------------------------


def _before(x: Any) -> Any:
    """Along the last axis, for each element the product of all that stand before it."""
    return _shifted(np.cumprod(x[..., :-1], axis=-1), x.shape, x.dtype)


def _shifted(products: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return np.concatenate([np.ones((*shape[:-1], 1 if shape[-1] else 0), dtype), products], axis=-1)


def _prod(d: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """δ times the product of all other elements of the group: of those before, and of those after."""
    if not x.ndim:
        return d * np.ones((), x.dtype)
    rows = grouped(x, axis)
    others = _before(rows) * np.flip(_before(np.flip(rows, -1)), -1)
    order = _kept_first(x.ndim, axis)
    moved = np.reshape(others, tuple(x.shape[i] for i in order))
    back = tuple(order.index(i) for i in range(x.ndim))
    return restored(d, x.shape, axis, keepdims) * np.transpose(moved, back)


def _may_divide(y: Any) -> bool:
    """Whether these running products are all so far from 0 and infinity that a division by any factor is harmless."""
    size, small = np.abs(y), np.finfo(y.dtype).tiny ** 0.25
    return bool(y.size and np.min(size) > small and np.max(size) < 1 / small)  # neither is true of nan


def _cumprod(d: Any, y: Any, x: Any, *, axis: Any = None) -> Any:
    """δxⱼ is the sum of all δyᵢ·yᵢ with i ≥ j, over xⱼ; where that may be zero, the same without a division."""
    if is_compiled(y):
        raise leak("whether a running product may be divided by its factors", y)
    one_row = axis is None or x.ndim < 2

    def rows(a: Any) -> Any:
        return np.reshape(a, (1, -1)) if one_row else np.moveaxis(a, axis, -1)

    if any(type(a) is not np.ndarray for a in (d, y, x)):  # of a tensor the answer would hold for these values only
        found = _following_products(rows(d), rows(y), rows(x))
        return np.reshape(found, x.shape) if one_row else np.moveaxis(found, -1, axis)
    dx = np.empty(x.shape, d.dtype)
    parts = [rows(a) for a in (d, y, x, dx)]
    each_block(lambda cut: _following(*(a[cut] for a in parts)), parts[0].shape, (parts[0].ndim - 1,))
    return dx


def _following(d: Any, y: Any, x: Any, out: Any) -> None:
    """The same of plain rows, into `out`."""
    if not _may_divide(y):
        out[...] = _following_products(d, y, x)
        return
    np.multiply(d, y, out=out)
    np.cumsum(out[..., ::-1], axis=-1, out=out[..., ::-1])
    out /= x


def _following_products(s: Any, y: Any, x: Any) -> Any:
    """The product of all before xⱼ, times sⱼ = δyⱼ + xⱼ₊₁·sⱼ₊₁.

    The recurrence is solved by doubling: after each step sⱼ covers twice as many terms, so log₂ n steps do.
    """
    n, step, factor = x.shape[-1], 1, x[..., 1:]  # factorⱼ = xⱼ₊₁ … xⱼ₊step
    while step < n:
        s = np.concatenate([s[..., : n - step] + factor * s[..., step:], s[..., n - step :]], axis=-1)
        factor = factor[..., :-step] * factor[..., step:]
        step *= 2
    return _shifted(y[..., :-1], x.shape, x.dtype) * s


def _with_zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(0, 4, shape) * rng.uniform(0.5, 1.5, shape)


prod = op(
    np.prod,
    _prod,
    numpy=(np.prod,),
    guard=guard_groups,
    examples=(
        at((5,)), at((3, 4), draw=_with_zeros), at((2, 3, 4), axis=(0, -1), keepdims=True, draw=_with_zeros),
        at((3, 2), axis=-2), at(()),
    ),
    formulas=("δxⱼ = δy · Π over i ≠ j of xᵢ",),
)  # fmt: skip

cumprod = op(
    shared(np.cumprod),
    _cumprod,
    name="cumprod",
    numpy=(np.cumprod,),
    guard=guard_following,
    examples=(
        at((7,)), at((5,), draw=_with_zeros), at((3, 2), draw=_with_zeros), at((2, 3, 2), axis=-2), at((1,), axis=0),
    ),
    formulas=("δxⱼ = (Π over k < j of xₖ) · Σ over i ≥ j of δyᵢ · Π over j < k ≤ i of xₖ",),
)  # fmt: skip

# -- extremes: δ is shared equally among all that attain them ----------------------------------------------------------


def _shared_by(attained: Any) -> Any:
    """The rule of an extreme that `attained(x, y)` attain; `initial` is one more candidate."""

    def rule(d: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        d, y = restored(d, x.shape, axis, keepdims), restored(y, x.shape, axis, keepdims)
        there = attained(x, y)
        ties = np.sum(there, axis=axis, keepdims=True)
        if initial is not None:
            ties = ties + (y == initial)
        return np.where(there, (d / np.where(ties == 0, 1, ties)).astype(d.dtype), 0)

    return rule


def extreme(*functions: Any, attained: Any, ufunc: Any, beyond: float, examples: tuple[Any, ...], note: str) -> Any:
    """The extreme that these functions of NumPy are; `beyond`, in the places left out, is never attained."""
    simple = op(
        functions[0], _shared_by(attained), numpy=functions, guard=None, masks=True, examples=examples, note=note,
        formulas=("δx = δy / (number of ties) where x = y, else 0",),
    )  # fmt: skip

    @composite(*functions)
    def called(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:
        refuse(simple.name, out=out)
        settings = given(axis=axis, keepdims=keepdims)
        if isinstance(initial, Traced):
            raise KeywordError(
                message(
                    f"{simple.name}: initial is a tensor",
                    "it is a setting here, which has no derivative",
                    f"take np.{ufunc.__name__}(np.{simple.name}(x), initial)",
                )
            )
        if initial is not None and initial is not np._NoValue:
            settings["initial"] = initial
        if not everywhere(where):
            if "initial" not in settings:
                raise ValueError(
                    f"reduction operation {ufunc.__name__!r} does not have an identity, so to use a where mask one has "
                    "to specify 'initial'"
                )
            a = selected(a, where, beyond if a.dtype.kind in "fc" else _number(initial, a.dtype))
        return apply(simple, (a,), settings)

    return simple


def _is_the_extreme(x: Any, y: Any) -> Any:
    """A nan is attained by every nan."""
    return (x == y) | ((x != x) & (y != y))


_EXTREMES = (
    at((5,)), at((3, 4), axis=-1), at((2, 3, 4), axis=(0, -1), keepdims=True), at((3, 4), axis=0, initial=0.25), at(()),
)  # fmt: skip

max = extreme(
    np.max, np.amax, attained=_is_the_extreme, ufunc=np.maximum, beyond=-math.inf,
    examples=_EXTREMES, note="ties share δ equally",
)  # fmt: skip
min = extreme(
    np.min, np.amin, attained=_is_the_extreme, ufunc=np.minimum, beyond=math.inf,
    examples=_EXTREMES, note="ties share δ equally",
)  # fmt: skip

# -- the other keywords, as compositions -------------------------------------------------------------------------------


def inexact(name: str, dtype: Any) -> None:
    """Averages in integers would have to round."""
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise DtypeError(
            message(
                f"{name}: dtype={np.dtype(dtype).name}",
                "a result in whole numbers has no derivative",
                f"leave dtype out, or take np.{name}(ad.stop_gradient(x), dtype=…)",
            )
        )


def _accumulated(function: Any, simple: Any, neutral: float, combined: Any) -> None:
    """The keywords of np.sum and np.prod."""

    @composite(function)
    def called(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = None, where: Any = True,
    ) -> Any:  # fmt: skip
        if out is not None:
            refuse(simple.name, out=out)
        y = apply(simple, (converted(selected(a, where, neutral), dtype),), given(axis=axis, keepdims=keepdims))
        if dtype is not None:  # short integers are added up in long ones, unless they are asked for
            y = converted(y, dtype)
        return y if initial is None or initial is np._NoValue else combined(y, _number(initial, y.dtype))


_accumulated(np.sum, sum, 0, np.add)
_accumulated(np.prod, prod, 1, np.multiply)


@composite(np.mean)
def _mean_of(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    refuse("mean", out=out)
    inexact("mean", dtype)
    a = converted(a, dtype)
    settings = given(axis=axis, keepdims=keepdims)
    if everywhere(where):
        return apply(mean, (a,), settings)
    return averaged(selected(a, where, 0), settings, counted(a, axis, keepdims, where))


def averaged(a: Any, settings: dict[str, Any], n: Any) -> Any:
    """The sum over n, half precision summed in single precision as NumPy does."""
    wide = np.sum(converted(a, np.float32 if a.dtype == np.float16 else None), **settings)
    return converted(wide / n, a.dtype if a.dtype.kind in "fc" else None)


@composite(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    refuse("ptp", out=out)
    settings = given(axis=axis, keepdims=keepdims)
    return np.max(a, **settings) - np.min(a, **settings)


def running(function: Any, simple: Any, prepared: Any = None) -> Any:
    """The keywords of np.cumsum and its kin; `prepared` is what is done to the array first."""

    @composite(function)
    def called(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        refuse(function.__name__, out=out)
        a = a if prepared is None else prepared(a)
        y = apply(simple, (converted(a, dtype),), given(axis=axis))
        return y if dtype is None else converted(y, dtype)

    return called


running(np.cumsum, cumsum)
running(np.cumprod, cumprod)


def _cumulative(name: str, function: Any, start: Any) -> Any:
    """The array API's spelling: one axis, and the empty sum or product in front if that is asked for."""

    def composition(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        refuse(name, out=out)
        if axis is None:
            if x.ndim == 0 and not include_initial:
                return function(x, dtype=dtype)
            if x.ndim != 1:
                raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
            axis = 0
        y = function(x, axis=axis, dtype=dtype)
        if not include_initial:
            return y
        edge = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
        return np.concatenate([start(edge, y.dtype), y], axis=axis)

    return composition


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composite(np.cumulative_sum)(_cumulative("cumulative_sum", np.cumsum, np.zeros))
    composite(np.cumulative_prod)(_cumulative("cumulative_prod", np.cumprod, np.ones))


@composite(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return np.sum(np.not_equal(a, 0), **given(axis=axis, keepdims=keepdims))


@composite(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    settings = given(axis=axis, keepdims=keepdims)
    if weights is None:
        y = np.mean(a, **settings)
        total: Any = y.dtype.type(np.size(a) / np.size(y))  # of no results NumPy's own error
    else:
        a, weights = as_array(a), _aligned(as_array(weights), np.shape(a), axis)
        dtype = np.result_type(a.dtype, weights.dtype, *(() if a.dtype.kind in "fc" else (np.float64,)))
        total = np.sum(weights, dtype=dtype, **settings)
        if np.any(every(total) == 0):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        y = np.sum(np.multiply(a, weights, dtype=dtype), **settings) / total
    return (y, np.broadcast_to(total, y.shape)[()]) if returned else y


def _aligned(weights: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Weights in the shape of the array, or those of the averaged axes alone, so that they broadcast against it."""
    if np.shape(weights) == shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % len(shape) for a in axes)
    if np.shape(weights) != tuple(shape[a] for a in axes):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    ordered = np.transpose(weights, sorted(range(len(axes)), key=axes.__getitem__))
    return np.reshape(ordered, tuple(n if i in axes else 1 for i, n in enumerate(shape)))
