"""Pooling: sums and maxima over windows that slide along the last axes.

First the rules, then the functions as they are called. A window stands at p·stride + k − padding in x; the rules loop
over k, the places in a window, never over windows, and take one axis after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..apply import apply, as_array
from ..errors import SettingError, ShapeError, message
from ..makers import at, linear, op
from ..op import Op
from .blocks import by_images
from .index import along
from .precision import floating, wide, widened
from .window import around, each, lengths

# -- sums over windows -------------------------------------------------------------------------------------------------


def _meets(k: int, n: int, out: int, stride: int, before: int) -> tuple[slice, slice]:
    """Along one axis: which windows have their place k inside x, and the elements of x that stand there."""
    first = max(0, -((k - before) // stride))
    last = min(out - 1, (n - 1 + before - k) // stride)
    start = first * stride + k - before
    return slice(first, max(first, last + 1)), slice(start, max(start, last * stride + k - before + 1), stride)


def _along_axes(ndim: int, kernel: Any, stride: Any, padding: Any) -> Iterator[tuple[int, int, int, int]]:
    """For each of the last axes: its number, and the window's length, step and padding in front."""
    for axis, (k, s, (a, _)) in enumerate(zip(kernel, stride, padding, strict=True), ndim - len(kernel)):
        yield axis, k, s, a


def _out(x: Any, kernel: Any, stride: Any, padding: Any) -> tuple[int, ...]:
    rank = len(kernel)
    out = lengths(x.shape[x.ndim - rank :], kernel, stride, padding, (1,) * rank) if x.ndim >= rank else (0,)
    if min(out) < 1 or min(kernel) < 1:
        what = f"windows of shape {kernel} on shape {x.shape} with padding {padding}"
        raise ShapeError(message(what, "a window fits nowhere", "take a smaller window, or pad"))
    return out


def _window_sum(x: Any, *, kernel: Any, stride: Any, padding: Any) -> Any:
    """One axis after the other."""
    y = widened(x)
    out = _out(x, kernel, stride, padding)
    for (axis, k, s, a), length in zip(_along_axes(x.ndim, kernel, stride, padding), out, strict=True):
        part, y = y, np.zeros_like(y, shape=(*y.shape[:axis], length, *y.shape[axis + 1 :]))
        for place in range(k):
            windows, under = (along(axis, x.ndim, i) for i in _meets(place, part.shape[axis], length, s, a))
            y[windows] += part[under]
    return y.astype(x.dtype, copy=False)


def _window_spread(d: Any, *, size: Any, kernel: Any, stride: Any, padding: Any) -> Any:
    rank = len(kernel)
    if d.ndim < rank or d.shape[d.ndim - rank :] != lengths(size, kernel, stride, padding, (1,) * rank):
        raise ShapeError(message(f"shape {d.shape}", f"it is not that of windows over {size}", "one δ a window"))
    x = widened(d)
    for (axis, k, s, a), n in zip(_along_axes(d.ndim, kernel, stride, padding), size, strict=True):
        part, x = x, np.zeros_like(x, shape=(*x.shape[:axis], n, *x.shape[axis + 1 :]))
        for place in range(k):
            windows, under = (along(axis, d.ndim, i) for i in _meets(place, n, part.shape[axis], s, a))
            x[under] += part[windows]
    return x.astype(d.dtype, copy=False)


_SLIDES: Any = (
    ((7,), (3,), (2,), ((0, 0),)), ((2, 6), (2,), (2,), ((1, 1),)), ((2, 2, 5, 4), (3, 2), (1, 2), ((1, 1), (0, 1))),
    ((4, 3, 5), (2, 1, 3), (1, 2, 3), ((0, 0), (0, 0), (1, 2))),
)  # fmt: skip

window_sum: Op = linear(
    by_images(_window_sum),
    lambda d, y, x, *, kernel, stride, padding: apply(
        window_spread, (d,), {"size": x.shape[x.ndim - len(kernel) :], **_slide(kernel, stride, padding)}
    ),
    name="window_sum",
    examples=tuple(at(shape, kernel=k, stride=s, padding=p) for shape, k, s, p in _SLIDES),
    formulas=("δx = the sum of δy over the windows that an element stands in",),
)

window_spread: Op = linear(
    by_images(_window_spread),
    lambda d, y, x, *, size, kernel, stride, padding: apply(window_sum, (d,), _slide(kernel, stride, padding)),
    name="window_spread",
    examples=tuple(
        at(
            (*shape[: len(shape) - len(k)], *lengths(shape[len(shape) - len(k) :], k, s, p, (1,) * len(k))),
            size=shape[len(shape) - len(k) :], kernel=k, stride=s, padding=p,
        )
        for shape, k, s, p in _SLIDES
    ),
    formulas=("δx = the sum of δy over each window",),
    note="the transpose of window_sum",
)  # fmt: skip


def _slide(kernel: Any, stride: Any, padding: Any) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, "padding": padding}


# -- the largest of each window: δ is shared equally among all that attain it ------------------------------------------


def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind in "fc" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _stages(x: Any, kernel: Any, stride: Any, padding: Any) -> list[tuple[Any, Any, list[tuple[Any, Any]]]]:
    """The maximum is taken along one axis after the other; padding is lower than everything.

    For each axis: what it was taken of, the maximum, and for each place in a window which windows have it inside, with
    the elements that stand there.
    """
    found, out = [], _out(x, kernel, stride, padding)
    for (axis, k, s, a), length in zip(_along_axes(x.ndim, kernel, stride, padding), out, strict=True):
        y = np.full_like(x, _lowest(x.dtype), shape=(*x.shape[:axis], length, *x.shape[axis + 1 :]))
        meets = [_meets(place, x.shape[axis], length, s, a) for place in range(k)]
        pairs = [(along(axis, x.ndim, windows), along(axis, x.ndim, under)) for windows, under in meets]
        for windows, under in pairs:
            np.maximum(y[windows], x[under], out=y[windows])
        found.append((x, y, pairs))
        x = y
    return found


def _window_max(x: Any, *, kernel: Any, stride: Any, padding: Any) -> Any:
    return _stages(x, kernel, stride, padding)[-1][1]


class _Attained:
    """Which elements attain the maximum of each window: those that attain it along every axis in turn.

    So what is summed over all that attain it is summed axis by axis, and so is the number of ties.
    """

    def __init__(self, x: Any, kernel: Any, stride: Any, padding: Any) -> None:
        stages = _stages(x, kernel, stride, padding)
        nan = x.dtype.kind in "fc" and bool(np.isnan(stages[-1][1]).any())
        self.stages = [
            (part, y, [(*pair, _equal(part[pair[1]], y[pair[0]], nan)) for pair in pairs]) for part, y, pairs in stages
        ]
        single = all(sum(np.count_nonzero(m) for _, _, m in terms) == y.size for _, y, terms in self.stages)
        self.ties = 1 if single else self.summed(np.ones_like(x, np.int64))

    def summed(self, t: Any) -> Any:
        """For each window the sum of t over the elements that attain its maximum."""
        for _, y, terms in self.stages:
            t, part = np.zeros_like(y, t.dtype), t
            chosen = _chooser(part)
            for windows, under, mask in terms:
                t[windows] += chosen(part[under], mask)
        return t

    def spread(self, d: Any) -> Any:
        """The transpose of it."""
        for x, _, terms in reversed(self.stages):
            d, part = np.zeros_like(x, d.dtype), d
            chosen = _chooser(part)
            for windows, under, mask in terms:
                d[under] += chosen(part[windows], mask)
        return d


def _equal(part: Any, top: Any, nan: bool) -> Any:
    """Which elements are the maximum of their window; a nan is attained by every nan."""
    same = part == top
    return same | ((part != part) & (top != top)) if nan else same


def _chooser(x: Any) -> Any:
    """How to take x where a mask holds, else 0: a product is several times as fast, but makes a nan of 0·inf."""
    return np.multiply if np.isfinite(x).all() else lambda part, mask: np.where(mask, part, 0)


def _laid_as(t: Any, like: Any) -> Any:
    """T in the layout of another array: arrays that lie alike in memory are several times as fast together."""
    return np.add(t, 0, out=np.empty_like(like, wide(t.dtype)))


def _window_pick(t: Any, x: Any, *, kernel: Any, stride: Any, padding: Any) -> Any:
    found = _Attained(x, kernel, stride, padding)
    return (found.summed(_laid_as(t, x)) / found.ties).astype(t.dtype, copy=False)


def _window_drop(d: Any, x: Any, *, kernel: Any, stride: Any, padding: Any) -> Any:
    found = _Attained(x, kernel, stride, padding)
    y = found.stages[-1][1]
    if d.shape != y.shape:
        raise ShapeError(message(f"shape {d.shape}", f"the windows over {x.shape} are {y.shape}", "one δ a window"))
    return found.spread(_laid_as(d, y) / found.ties).astype(d.dtype, copy=False)


def _nothing(d: Any, y: Any, t: Any, x: Any, *, kernel: Any, stride: Any, padding: Any) -> Any:
    """Which elements are largest does not change in a neighbourhood."""
    return np.zeros(x.shape, x.dtype)


_BOTH: Any = tuple((at(shape, kernel=k, stride=s, padding=p), at(shape, shape, kernel=k, stride=s, padding=p))
                   for shape, k, s, p in _SLIDES)  # fmt: skip

window_max: Op = op(
    by_images(_window_max),
    lambda d, y, x, *, kernel, stride, padding: apply(window_drop, (d, x), _slide(kernel, stride, padding)),
    name="max_pool",
    jvps=(lambda t, y, x, *, kernel, stride, padding: apply(window_pick, (t, x), _slide(kernel, stride, padding)),),
    guard=None,
    masks=True,
    examples=tuple(one for one, _ in _BOTH),
    formulas=("δx = δy / (number of ties), put where the maximum of each window stands",),
    note="ties in a window share δ equally",
)

window_pick: Op = op(
    by_images(_window_pick),
    lambda d, y, t, x, *, kernel, stride, padding: apply(window_drop, (d, x), _slide(kernel, stride, padding)),
    _nothing,
    name="window_pick",
    jvps=(
        lambda s, y, t, x, *, kernel, stride, padding: apply(window_pick, (s, x), _slide(kernel, stride, padding)),
        None,
    ),
    guard=None,
    masks=True,
    examples=tuple(two for _, two in _BOTH),
    formulas=("δt = δy, put where x is largest in each window", "δ = 0: which is largest is flat"),
    note="t where x is largest in each window; the mean of t over ties",
)

window_drop: Op = op(
    by_images(_window_drop),
    lambda t, y, d, x, *, kernel, stride, padding: apply(window_pick, (t, x), _slide(kernel, stride, padding)),
    _nothing,
    name="window_drop",
    jvps=(
        lambda s, y, d, x, *, kernel, stride, padding: apply(window_drop, (s, x), _slide(kernel, stride, padding)),
        None,
    ),
    guard=None,
    masks=True,
    examples=tuple(
        at(_window_max(np.zeros(one.shapes[0]), **one.params).shape, one.shapes[0], **one.params) for one, _ in _BOTH
    ),
    formulas=("δd = δy where x is largest in each window", "δ = 0: which is largest is flat"),
    note="the transpose of window_pick",
)

# -- as they are called ------------------------------------------------------------------------------------------------


def _pooled(name: str, x: Any, kernel: Any, stride: Any, padding: Any) -> tuple[Any, dict[str, Any]]:
    """The array, and the settings of a pool over its last axes."""
    x = as_array(x)
    rank = max(0, x.ndim - 2) if np.ndim(kernel) == 0 or not hasattr(kernel, "__len__") else len(kernel)
    if not 1 <= rank <= x.ndim:
        what = f"{name}: windows {kernel!r} on shape {x.shape}"
        why = "a pool slides along the last axes, one for each length of its window; one number stands for all but two"
        raise ShapeError(message(what, why, "x of shape (n, channels, …), or a tuple of as many lengths as axes"))
    kernel = each(name, "kernel", kernel, rank, 1)
    stride = kernel if stride is None else each(name, "stride", stride, rank, 1)
    edges = around(name, padding, x.shape[x.ndim - rank :], kernel, stride, (1,) * rank)
    if any(max(pair) >= k for pair, k in zip(edges, kernel, strict=True)):
        what = f"{name}: padding={padding!r} with windows {kernel}"
        raise SettingError(message(what, "a window would stand on nothing but padding", "pad less than a window"))
    return x, _slide(kernel, stride, edges)


def max_pool(x: Any, kernel: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The largest element of each window that slides along the last axes.

    Elements that tie for the largest of a window share its δ equally, as in ``np.max``. Over everything it is
    ``np.max(x, axis=(2, 3))``.

    Parameters
    ----------
    x : array_like
        Its last axes are pooled: all but the first two (n, channels), or as many as `kernel` has lengths.
    kernel : int or tuple of int
        The shape of a window.
    stride : int or tuple of int, optional
        How far it moves; by default its own length, so that windows do not overlap.
    padding : int, tuple of int, tuple of pairs, "valid" or "same"
        What is put around x: elements lower than any. "same" gives ⌈n / stride⌉ windows.

    Returns
    -------
    array with as many axes as x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> x = np.array([1.0, 3.0, 2.0, 2.0])
    >>> ad.nn.max_pool(x, (2,))
    array([3., 2.])
    >>> ad.grad(lambda x: np.sum(ad.nn.max_pool(x, (2,))))(x)
    array([0. , 1. , 0.5, 0.5])
    """
    x, settings = _pooled("max_pool", x, kernel, stride, padding)
    return apply(window_max, (x,), settings)


def avg_pool(x: Any, kernel: Any, stride: Any = None, padding: Any = 0, *, count_include_pad: bool = True) -> Any:
    """The mean of each window that slides along the last axes.

    Parameters
    ----------
    x, kernel, stride, padding
        As in :func:`max_pool`; padding is zeros.
    count_include_pad : bool
        Whether the padding counts among the elements of a window; if not, the mean is that of what lies in x.

    Returns
    -------
    array with as many axes as x

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff as ad
    >>> ad.nn.avg_pool(np.array([1.0, 3.0, 2.0, 2.0]), (2,))
    array([2., 2.])
    >>> ad.nn.avg_pool(np.array([1.0, 3.0]), (2,), stride=1, padding=1, count_include_pad=False)
    array([1., 2., 3.])
    """
    x, settings = _pooled("avg_pool", x, kernel, stride, padding)
    x = floating(x)
    count: Any = math.prod(settings["kernel"])
    if not count_include_pad:
        count = _window_sum(np.ones(x.shape[x.ndim - len(settings["kernel"]) :]), **settings).astype(x.real.dtype)
    return (apply(window_sum, (widened(x),), settings) / count).astype(x.dtype, copy=False)
