"""Padding: what is put around an array, read from it or given."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import KeywordError, message
from ..makers import at, composite, linear, refuse
from ..traced import Traced
from .index import along, getitem, scatter
from .shape import whole

Widths = tuple[tuple[int, int], ...]


def _unpadded(d: Any, y: Any, x: Any, *, pad_width: Widths, mode: str = "constant") -> Any:
    """Each element of y is one of x, or nothing: padding the numbers of the elements of x tells which."""
    if mode == "constant":
        return getitem(d, index=tuple(slice(b, b + n) for (b, _), n in zip(pad_width, x.shape, strict=True)))
    origin = np.pad(np.reshape(np.arange(x.size), x.shape), pad_width, mode=mode)  # type: ignore[call-overload]
    return np.reshape(scatter(np.reshape(d, (-1,)), index=(origin.ravel(),), shape=(x.size,)), x.shape)


pad = linear(
    np.pad,
    _unpadded,
    name="pad",
    examples=(
        at((2, 3), pad_width=((1, 2), (0, 1))),
        at((2, 3), pad_width=((1, 2), (0, 1)), mode="edge"),
        at((2, 3), pad_width=((1, 1), (4, 5)), mode="reflect"),
        at((2, 3), pad_width=((3, 0), (2, 5)), mode="symmetric"),
        at((4,), pad_width=((9, 3),), mode="wrap"),
    ),
    formulas=("δx = δy, summed over the places that each element was copied to",),
)

_STATISTICS: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


def _pairs(x: Any, ndim: int) -> Any:
    """A setting of np.pad for each axis and side: one number, one pair, a pair an axis, or a dict of some axes."""
    if isinstance(x, dict):
        given = {axis % ndim: pair for axis, pair in x.items()}
        x = [np.broadcast_to(given.get(i, 0), (2,)) for i in range(ndim)]
    pairs = np.broadcast_to(as_array(x), (ndim, 2))
    return list(map(list, pairs)) if isinstance(pairs, Traced) else pairs.tolist()


@composite(np.pad)
def _pad_of(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    if array.ndim == 0:
        np.pad(np.zeros(()), pad_width, mode)  # type: ignore[call-overload]  # NumPy's own errors
        return np.copy(array)  # it has no axis along which anything could stand
    widths = whole(_pairs(pad_width, array.ndim))
    known = {"constant": "constant_values", "linear_ramp": "end_values", "reflect": "reflect_type",
             "symmetric": "reflect_type"} | dict.fromkeys(_STATISTICS, "stat_length")  # fmt: skip
    setting = kwargs.pop(known.get(mode, ""), None)
    refuse("pad", **kwargs)
    if mode in _STATISTICS:
        lengths = _pairs(setting, array.ndim)
        return _beside(array, widths, lambda x, axis, side: _statistic(x, axis, side, mode, lengths[axis][side]))
    if mode == "linear_ramp":
        setting = 0 if setting is None else setting
        ends = _values(setting, array) if array.dtype.kind in "fc" else _pairs(setting, array.ndim)
        return _beside(array, widths, lambda x, axis, side: _ramp(x, axis, side, widths[axis][side], ends[axis][side]))
    odd = mode != "constant" and setting == "odd"
    if odd or mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise KeywordError(
            message(
                f"pad: reflect_type={setting!r}" if odd else f"pad: mode={mode!r}",
                "no derivative rule covers it",
                "pad with constant, edge, reflect, symmetric, wrap, linear_ramp, maximum, minimum, mean or median",
            )
        )
    if mode == "constant" and (isinstance(setting, (list, tuple, dict)) or np.ndim(setting)):
        values = _values(setting, array)
        return _beside(array, widths, lambda x, axis, side: values[axis][side])
    padded = apply(pad, (array,), {"pad_width": widths} | ({} if mode == "constant" else {"mode": mode}))
    if mode != "constant" or setting is None:
        return padded
    inside = np.pad(np.ones(array.shape, bool), widths)
    return np.where(inside, padded, as_array(setting).astype(array.dtype, copy=False))


def _values(setting: Any, array: Any) -> Any:
    """A number for each axis and side, numbers or tensors, in the dtype of the array."""
    pairs = _pairs(setting, array.ndim)
    return [[as_array(value).astype(array.dtype, copy=False)[()] for value in pair] for pair in pairs]


def _beside(x: Any, widths: Widths, side_of: Any) -> Any:
    """One axis after the other, with what `side_of` makes of the array as it is by then."""
    for axis, pair in enumerate(widths):
        shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in pair]
        before, after = (np.broadcast_to(side_of(x, axis, i), shape) for i, shape in enumerate(shapes))
        x = np.concatenate([before, x, after], axis=axis)
    return x


def _statistic(x: Any, axis: int, side: int, mode: str, length: int | None) -> Any:
    """The maximum, minimum, mean or median of so many elements next to that side."""
    n = x.shape[axis]
    length = n if length is None else min(length, n)
    part = slice(n - length, None) if side else slice(length)
    found = _STATISTICS[mode](x[along(axis, x.ndim, part)], axis=axis, keepdims=True)
    return _in_kind(np.round(found) if x.dtype.kind in "iu" else found, x.dtype)


def _in_kind(y: Any, dtype: Any) -> Any:
    """What stands beside whole numbers is whole, beside bools true or false; anything else is as it is."""
    return y.astype(dtype) if dtype.kind in "iub" else y


def _ramp(x: Any, axis: int, side: int, width: int, end: Any) -> Any:
    """From the end value at the border, in equal steps, towards the edge."""
    edge = x[along(axis, x.ndim, slice(-1, None) if side else slice(1))]
    across = tuple(-1 if i == axis else 1 for i in range(x.ndim))
    counts = np.reshape(np.arange(width)[:: -1 if side else 1], across)
    if x.dtype.kind in "iub":  # with the roundings of np.linspace, so that each is the whole number that NumPy takes
        low = end * 1.0
        ramp = counts * ((edge - low) / (width or 1)) + low
        return _in_kind(np.floor(ramp) if x.dtype.kind in "iu" else ramp, x.dtype)
    return end + (edge - end) * (counts / (width or 1)).astype(x.dtype)
