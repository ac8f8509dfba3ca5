"""Arrays made from numbers: evenly spaced points, their powers, and Kaiser's window with its Bessel function."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..makers import at, composite, elementwise, linear
from ..rules import unbroadcast
from ..traced import every

# -- points between two ends -------------------------------------------------------------------------------------------


def _spread(
    d: Any, y: Any, start: Any, stop: Any, *, wanted: tuple[bool, bool], num: int = 50, endpoint: bool = True,
    axis: int = 0,
) -> tuple[Any, Any]:  # fmt: skip
    """Point i is start·(1 − s) + stop·s with s = i / (number of steps)."""
    share = np.arange(num) / max(num - 1 if endpoint else num, 1)
    rows = np.moveaxis(d, axis, 0)
    return (
        unbroadcast(np.tensordot(1 - share, rows, 1), start.shape) if wanted[0] else None,
        unbroadcast(np.tensordot(share, rows, 1), stop.shape) if wanted[1] else None,
    )


linspace = linear(
    lambda start, stop, *, num=50, endpoint=True, axis=0: np.linspace(start, stop, num, endpoint, axis=axis),
    _spread,
    name="linspace",
    arity=2,
    examples=(
        at((), (), num=4), at((3,), (2, 1), num=5, axis=-1), at((2, 3), (3,), num=3, endpoint=False),
        at((), (), num=1), at((2,), (), num=0), at((2,), (2,)),
    ),
    formulas=("δstart = Σ over i of δyᵢ·(1 − sᵢ)", "δstop = Σ over i of δyᵢ·sᵢ"),
)  # fmt: skip


@composite(np.linspace)
def _linspace_of(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, retstep: Any = False, dtype: Any = None,
    axis: Any = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    np.linspace(0, 1, 0, device=device)  # NumPy's own error
    num, endpoint, axis = operator.index(num), bool(endpoint), operator.index(axis)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = (x if isinstance(x, (int, float, complex)) else as_array(x) for x in (start, stop))
    y = _as(apply(linspace, (start, stop), {"num": num, "endpoint": endpoint, "axis": axis}), dtype)
    steps = num - 1 if endpoint else num
    return (y, (stop - start) / steps if steps > 0 else np.nan) if retstep else y


def _as(y: Any, dtype: Any) -> Any:
    """In the dtype that was asked for; whole numbers are those below, and have no slope."""
    if dtype is None or y.dtype == np.dtype(dtype):
        return y
    return (np.floor(y) if np.dtype(dtype).kind in "iu" else y).astype(dtype)


@composite(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Any:
    if np.ndim(base):
        ends = start, stop, base = as_array(start), as_array(stop), as_array(base)
        ndim = max(x.ndim for x in ends)
        start, stop, base = (np.reshape(x, (1,) * (ndim - x.ndim) + x.shape) for x in ends)
        base = np.expand_dims(base, axis)
    y = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


@composite(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, dtype: Any = None, axis: Any = 0
) -> Any:
    """Powers of ten between the logarithms, both turned so that the start is positive; the ends are those given."""
    start, stop = as_array(start), as_array(stop)
    if np.any(every(start) == 0) or np.any(every(stop) == 0):
        raise ValueError("Geometric sequence cannot include zero")
    exact = np.result_type(start.dtype, stop.dtype, float(num), np.zeros((), dtype))
    start, stop = start.astype(exact), stop.astype(exact)
    sign = np.sign(start)
    start, stop = start / sign, stop / sign
    y = np.logspace(np.log10(start), np.log10(stop), num, endpoint, base=10.0, dtype=exact)
    if num > 0:
        last = [np.broadcast_to(stop, y.shape[1:])[None]] if num > 1 and endpoint else []
        y = np.concatenate([np.broadcast_to(start, y.shape[1:])[None], y[1 : num - len(last)], *last])
    y = np.moveaxis(y * sign, 0, axis)
    return y if dtype is None or y.dtype == np.dtype(dtype) else y.astype(dtype)


# -- the modified Bessel function of order zero ------------------------------------------------------------------------


def _bessel(order: int, x: Any) -> Any:
    """I of whole order at x ≥ 0: no term of its series is negative; far out Hankel's expansion has fewer terms."""
    y = np.empty_like(x)
    near = x < 30 + order**2
    y[near], y[~near] = _ascending(order, x[near]), _descending(order, x[~near])
    return y


def _ascending(order: int, x: Any) -> Any:
    """Σ (x/2)ⁿ⁺²ᵏ / (k!·(n + k)!)."""
    square = np.square(x / 2)
    term = total = (x / 2) ** order / math.factorial(order)
    k = 0
    while np.any(term > np.finfo(x.dtype).eps * total):
        k += 1
        term = term * square / (k * (order + k))
        total = total + term
    return total


def _descending(order: int, x: Any) -> Any:
    """eˣ/√(2πx) · Σ (−1)ᵏ·(4n² − 1)(4n² − 9) … / (k!·(8x)ᵏ). Half of eˣ meets it from each side: no early overflow."""
    term = total = np.ones_like(x)
    k = 0
    while np.any(np.abs(term) > np.finfo(x.dtype).eps * total):
        k += 1
        term = term * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k * x)
        total = total + term
    with np.errstate(over="ignore", invalid="ignore"):
        half = np.exp(x / 2)
        return np.where(np.isinf(x), x, half * (total / np.sqrt(2 * np.pi * x)) * half)


def _i0_derivative(x: Any, *, order: int = 1) -> Any:
    """2⁻ⁿ · Σ over k of (n over k)·I of order |n − 2k|."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    size = np.abs(x).astype(np.promote_types(x.dtype, float))
    total: Any = 0
    for k in range(order + 1):
        total = total + math.comb(order, k) / 2**order * _bessel(abs(order - 2 * k), size)
    with np.errstate(over="ignore"):
        return np.where((x < 0) & (order % 2 == 1), -total, total).astype(x.dtype)[()]


i0_derivative: Any = elementwise(
    _i0_derivative, lambda d, y, x, *, order=1: d * i0_derivative(x, order=order + 1),
    name="i0_derivative", numpy=(), formulas=("δx = δy·I₀⁽ⁿ⁺¹⁾(x)",),
    examples=(at((3, 4)), at(()), at((3, 4), order=2)),
)  # fmt: skip
i0 = elementwise(
    np.i0, lambda d, y, x: d * i0_derivative(x, order=1), name="i0", numpy=(np.i0,),
    formulas=("δx = δy·I₁(x)",), edges=((0.0, 0.0),),
    note="I₀ is even: its slope at 0 is 0",
)  # fmt: skip


@composite(np.kaiser)
def kaiser(M: Any, beta: Any) -> Any:
    """Reached as autodiff.numpy.kaiser: NumPy's own does not ask whether beta is a tensor."""
    if M == 1:
        return np.ones(1)
    n, middle = np.arange(0, M), (M - 1) / 2.0
    return np.i0(beta * np.sqrt(1 - ((n - middle) / middle) ** 2.0)) / np.i0(beta)
