"""Windows that slide along axes: NumPy's views of them, and the settings of all that slides (pools, convolutions)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as _views

from ..apply import apply
from ..errors import SettingError, ShapeError, message
from ..makers import at, composite, linear, refuse, refused
from ..op import Op
from .shape import whole

refused(
    "strides of one's own can read any memory; sliding_window_view has the windows, and x[::2] every second element",
    "lib.stride_tricks.as_strided",
)

# -- np.lib.stride_tricks.sliding_window_view --------------------------------------------------------------------------


def _added(d: Any, *, axes: tuple[int, ...]) -> Any:
    """Each window added where it stands, one axis after the other, so that the work is that of the sum of its lengths.

    The loop is over the places in a window or over the windows, whichever are fewer.
    """
    for axis in reversed(axes):
        windows, n = d.shape[axis], d.shape[-1]
        if windows < 1:
            raise ShapeError(message(f"{n}-long windows, none of them", "NumPy has at least one", "one or more"))
        rows = np.moveaxis(d, axis, -2)
        y = np.zeros((*rows.shape[:-2], windows + n - 1), d.dtype)
        for k in range(min(windows, n)):
            y[..., k : k + max(windows, n)] += rows[..., k] if n < windows else rows[..., k, :]
        d = np.moveaxis(y, -1, axis)
    return d


window_view: Op = linear(
    lambda x, *, window_shape, axes: _views(x, window_shape, axes),
    lambda d, y, x, *, window_shape, axes: apply(window_add, (d,), {"axes": axes}),
    name="sliding_window_view",
    view=True,
    examples=(
        at((7,), window_shape=(3,), axes=(0,)), at((3, 4), window_shape=(2, 4), axes=(0, 1)),
        at((2, 6), window_shape=(5,), axes=(1,)), at((5, 4), window_shape=(2, 3), axes=(1, 0)),
        at((6,), window_shape=(2, 3), axes=(0, 0)), at((3,), window_shape=(1,), axes=(0,)),
    ),
    formulas=("δx = δy, each window added where it stands",),
)  # fmt: skip

window_add: Op = linear(
    _added,
    lambda d, y, w, *, axes: apply(window_view, (d,), {"window_shape": w.shape[w.ndim - len(axes) :], "axes": axes}),
    name="window_add",
    examples=(
        at((5, 3), axes=(0,)), at((2, 3, 2), axes=(1,)), at((2, 1, 2, 4), axes=(0, 1)), at((3, 2, 2), axes=(0, 0)),
    ),
    formulas=("δw = the windows of δy",),
    note="the transpose of sliding_window_view",
)  # fmt: skip


@composite(_views)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    refuse("sliding_window_view", subok=subok or None, writeable=writeable or None)
    _views(np.empty(x.shape, bool), window_shape, axis)  # NumPy's own errors
    shape = whole(tuple(window_shape) if np.iterable(window_shape) else (window_shape,))
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    return apply(window_view, (x,), {"window_shape": shape, "axes": tuple(a % x.ndim for a in whole(tuple(axes)))})


# -- settings ----------------------------------------------------------------------------------------------------------


def each(name: str, key: str, setting: Any, rank: int, least: int) -> tuple[int, ...]:
    """A whole number for each axis; one number stands for all."""
    try:
        found = (operator.index(setting),) * rank if np.ndim(setting) == 0 else tuple(map(operator.index, setting))
    except TypeError:
        found = ()
    if len(found) != rank or min(found) < least:
        raise SettingError(_not_each(name, key, setting, rank, least))
    return found


def _not_each(name: str, key: str, setting: Any, rank: int, least: int) -> str:
    """What is wrong with a setting that `each` refuses, and the setting that it may have been meant to be."""
    axes = f"{rank} axes" if rank > 1 else "1 axis"
    if key == "groups":
        return message(f"{name}: groups={setting!r}", "it is one whole number from 1 on", "groups=1")
    what, why = f"{name}: {key}={setting!r} over {axes}", f"it is a whole number from {least} on, or one for each axis"
    if isinstance(setting, (float, np.floating)) and setting >= least and setting == int(setting):
        return message(what, why, f"{key}={int(setting)}")
    if key == "padding" and rank == 1 and np.shape(setting) == (2,):
        return message(what, f"{why}, or a pair (before, behind) for each", f"padding=({tuple(setting)!r},)")
    return message(what, why, f"{key}={least}" if rank == 1 else f"{key}={least}, or {key}={(least,) * rank}")


def around(name: str, padding: Any, size: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[tuple[int, int], ...]:
    """What is put before and after x along each axis: a number, one an axis, a pair an axis, "valid" or "same".

    "same" gives ⌈n / stride⌉ results; what does not divide by two goes behind.
    """
    rank = len(kernel)
    if isinstance(padding, str) and padding in ("valid", "same"):
        if padding == "valid":
            return ((0, 0),) * rank
        axes = zip(size, kernel, stride, dilation, strict=True)
        total = [max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n) for n, k, s, d in axes]
        return tuple((t // 2, t - t // 2) for t in total)
    if not isinstance(padding, str) and np.ndim(padding) == 2 and len(padding) == rank:
        return tuple(_pair(name, pair) for pair in padding)
    if isinstance(padding, str):
        what = f"{name}: padding={padding!r}"
        raise SettingError(message(what, "no padding has that name", 'padding="same", "valid", or numbers'))
    return tuple((a, a) for a in each(name, "padding", padding, rank, 0))


def _pair(name: str, pair: Any) -> tuple[int, int]:
    before, after = each(name, "padding", pair, 2, 0)
    return before, after


def lengths(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """How often the kernel fits along each axis."""
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, (a, b), d in axes)
