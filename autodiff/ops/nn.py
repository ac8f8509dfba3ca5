"""Functions of neural networks, each in the form that stays accurate at its extremes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..makers import at, elementwise, op
from .elementwise import above, gap, shared, sigmoid
from .reduce import guard_groups, restored

relu = elementwise(
    lambda x: np.maximum(x, 0), lambda d, y, x: shared(d, above(x, 0)),
    name="relu", masks=True, bounded=True, smooth=((0.1, 3.0),), edges=((0.0, 0.5), (-0.0, 0.5), (-1.0, 0.0)),
    formulas=("δx = δy where x > 0, δy / 2 at 0, else 0",), note="at 0 as maximum(x, 0) and clip(x, 0, None) have it",
)  # fmt: skip
softplus = elementwise(
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(np.minimum(x, -x))), lambda d, y, x: d * sigmoid(x),
    name="softplus", formulas=("δx = δy·σ(x)",), edges=((0.0, 0.5), (1e10, 1.0), (-1e10, 0.0)),
)  # fmt: skip


def _shifted(x: Any, axis: Any) -> tuple[Any, Any]:
    """X minus its maximum along the axis, so that exp cannot overflow, and the maximum; an infinite one is left out."""
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    return x - top, top


def _softmax(x: Any, *, axis: Any = -1) -> Any:
    with np.errstate(invalid="ignore"):  # a row of nothing but −inf has no softmax: 0 / 0 is nan
        e = np.exp(_shifted(x, axis)[0])
        return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, *, axis: Any = -1) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted = _shifted(x, axis)[0]
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    shifted, top = _shifted(x, axis)
    with np.errstate(divide="ignore"):  # log 0 = −inf is what the sum over nothing but −inf is
        y = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, tuple(range(y.ndim)) if axis is None else axis)[()]


def _portion(x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """The softmax of x, from y = logsumexp(x). Infinite elements that are equal to y share it equally.

    The sum is 1 but for the rounding of y, which is as large as 1 itself where y is about 1e16.
    """
    e = np.exp(gap(x, restored(y, x.shape, axis, keepdims)))
    return e / np.sum(e, axis=axis, keepdims=True)


def _guard_rows(term: Any, rule: Any, k: int, d: Any, y: Any, args: tuple[Any, ...], params: Any) -> Any:
    """A true zero in each row whose δ is zero throughout."""
    if np.isfinite(term).all():
        return term
    reached = np.any(d != 0, axis=params.get("axis", -1), keepdims=True)
    return np.where(reached, term, np.zeros((), term.dtype))


softmax = op(
    _softmax,
    lambda d, y, x, *, axis=-1: y * (d - np.sum(d * y, axis=axis, keepdims=True)),
    jvps=(lambda t, y, x, *, axis=-1: y * (t - np.sum(t * y, axis=axis, keepdims=True)),),
    name="softmax", guard=_guard_rows, formulas=("δx = y·(δy − Σ δy·y)",),
    examples=(at((5,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 2), axis=(0, 2)), at((2, 1), axis=-1)),
    note="a row of nothing but −inf is nan",
)  # fmt: skip
log_softmax = op(
    _log_softmax,
    lambda d, y, x, *, axis=-1: d - np.exp(y) * np.sum(d, axis=axis, keepdims=True),
    jvps=(lambda t, y, x, *, axis=-1: t - np.sum(np.exp(y) * t, axis=axis, keepdims=True),),
    name="log_softmax", guard=_guard_rows, formulas=("δx = δy − exp(y)·Σ δy",),
    examples=(at((5,)), at((3, 4)), at((3, 4), axis=0), at((2, 3, 2), axis=(0, 2))),
    note="a row of nothing but −inf is nan",
)  # fmt: skip
logsumexp = op(
    _logsumexp,
    lambda d, y, x, *, axis=None, keepdims=False: restored(d, x.shape, axis, keepdims) * _portion(x, y, axis, keepdims),
    jvps=(
        lambda t, y, x, *, axis=None, keepdims=False: np.sum(
            t * _portion(x, y, axis, keepdims), axis=axis, keepdims=keepdims
        ),
    ),
    name="logsumexp", guard=guard_groups, formulas=("δx = δy·softmax(x)",),
    examples=(at(()), at((5,)), at((3, 4), axis=0), at((3, 4), axis=(0, 1), keepdims=True), at((2, 3, 2), axis=-1)),
    note="elements that are infinite with the result share δ equally, as ties do",
)  # fmt: skip
