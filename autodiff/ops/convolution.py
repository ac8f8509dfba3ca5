"""Convolution of plain arrays, and its two transposes; :mod:`autodiff.ops.conv` makes operations of them.

All is done on three spatial axes D, H, W (fewer are filled up) in the layout (group, D, H, n, W, channel). One copy
turns the windows along W into one axis; what stands under a row of the kernel is then a slice of it, without a copy,
and each row is one matrix product. docs/decisions/0007-convolution.md has what else was tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import ShapeError, message
from ..threads import spread
from .precision import wide
from .window import lengths

Three = tuple[int, int, int]

# These numbers change the speed alone, never a result beyond its rounding; docs/decisions/0007 has the measurements.

BLOCK = 8
"""How many results along W are taken together where there are few channels."""

CACHE = 2**19
"""Bytes of results that are computed together there."""

THIN = 16
"""Up to how many pairs of a channel and a result in a group that pays."""

SMALL = 10**6
"""Multiplications up to which one product a row of x is faster than one for all: BLAS then copies nothing."""

PIECE = 2**17
"""Elements of windows and results; n² times as many are taken in n pieces, which share the threads."""

LONG = 8
"""Results in a row of x from which on that pays: the call of BLAS for each row has its price."""


class Grid(NamedTuple):
    """How a kernel is laid over x, with three spatial axes."""

    stride: Three
    padding: tuple[tuple[int, int], ...]
    dilation: Three
    groups: int


def _grid(stride: Any, padding: Any, dilation: Any, groups: int) -> Grid:
    more = 3 - len(stride)
    return Grid((1,) * more + stride, ((0, 0),) * more + padding, (1,) * more + dilation, groups)


def _cube(x: Any) -> Any:
    """With three spatial axes."""
    return np.reshape(x, (*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:]))


def _flattened(y: Any, ndim: int, dtype: Any) -> Any:
    """With as many spatial axes as were given, in the dtype of the result."""
    return np.reshape(y, (*y.shape[:2], *y.shape[7 - ndim :])).astype(dtype, copy=False)


# -- layouts -----------------------------------------------------------------------------------------------------------


def _split(x: Any, groups: int) -> Any:
    """(n, channels, D, H, W) as (group, D, H, n, W, channel): a view."""
    n, channels, *size = x.shape
    return np.reshape(x, (n, groups, channels // groups, *size)).transpose(1, 3, 4, 0, 5, 2)


def _joined(y: Any) -> Any:
    """Back again: with one group a view, so that a network keeps its channels last in memory."""
    groups, _, _, _, _, channels = y.shape
    y = y.transpose(3, 0, 5, 1, 2, 4)
    return np.reshape(y, (y.shape[0], groups * channels, *y.shape[3:]))


def _padded(x: Any, padding: Any, groups: int, dtype: Any) -> Any:
    """(group, D, H, n, W, channel) within its padding; a negative width cuts off."""
    if not any(map(any, padding)):
        return np.ascontiguousarray(_split(x, groups), dtype)
    sides = list(zip(x.shape[2:], padding, strict=True))
    part = _split(x[..., *(slice(max(0, -a), max(0, m - max(0, -b))) for m, (a, b) in sides)], groups)
    (d, h, w), (groups, deep, high, n, wide, channels) = (max(0, a) for _, (a, _) in sides), part.shape
    depth, height, width = (m + a + b for m, (a, b) in sides)
    buffer = np.zeros((groups, depth, height, n, width, channels), dtype)
    buffer[:, d : d + deep, h : h + high, :, w : w + wide] = part
    return buffer


def _strips(x: Any, grid: Grid, kernel: Three, out: Three, dtype: Any) -> Iterator[tuple[int, int, Any]]:
    """What stands under each row of the kernel: its place along D and H, and (group, D, H, n, W, kernel·channel).

    A stride along H is taken apart into its phases, so that each slice is contiguous from H on.
    """
    buffer = _padded(x, grid.padding, grid.groups, dtype)
    *outer, along, step = buffer.strides
    shape = (*buffer.shape[:4], out[2], kernel[2], buffer.shape[5])
    windows = as_strided(buffer, shape, (*outer, along * grid.stride[2], along * grid.dilation[2], step))
    phases: dict[int, Any] = {}
    for a, b in itertools.product(range(kernel[0]), range(kernel[1])):
        skip, phase = divmod(b * grid.dilation[1], grid.stride[1])
        if phase not in phases:
            rows = np.ascontiguousarray(windows[:, :, phase :: grid.stride[1]])
            phases[phase] = np.reshape(rows, (*rows.shape[:5], kernel[2] * shape[6]))
        first = a * grid.dilation[0]
        last = first + (out[0] - 1) * grid.stride[0]
        yield a, b, phases[phase][:, first : last + 1 : grid.stride[0], skip : skip + out[1]]


def _tall(x: Any) -> Any:
    """The axes H, n and W as one: a view where they are contiguous."""
    return np.reshape(x, (*x.shape[:2], math.prod(x.shape[2:5]), x.shape[5]))


# -- matrix products: a kernel's row at a time -------------------------------------------------------------------------


def _by_rows(x: Any, w: Any, grid: Grid, out: Three, dtype: Any) -> Any:
    """The convolution: Σ over the rows of the kernel of what stands under a row times the row. In the inner layout."""
    groups, kernel = grid.groups, w.shape[2:]
    o, i = w.shape[0] // groups, w.shape[1]
    rows = np.reshape(w, (groups, o, i, *kernel)).transpose(3, 4, 0, 5, 2, 1)
    rows = np.ascontiguousarray(rows, dtype).reshape(*kernel[:2], groups, 1, kernel[2] * i, o)
    small = out[2] >= LONG and out[2] * kernel[2] * i * o <= SMALL
    y = np.empty((groups, *out[:2], x.shape[0], out[2], o), dtype)

    def part(cut: slice, there: Grid) -> None:
        mine = y[:, :, cut]
        target = mine if small else _tall(mine)
        for a, b, strip in _strips(x, there, kernel, (out[0], mine.shape[2], out[2]), dtype):
            left, right = (strip, rows[a, b][..., None, None, :, :]) if small else (_tall(strip), rows[a, b])
            if a == b == 0:
                np.matmul(left, right, out=target)
            else:
                target += left @ right

    _each_cut(part, x, grid, kernel, out, kernel[2] * i + o)
    return y


def _each_cut(part: Any, x: Any, grid: Grid, kernel: Three, out: Three, width: int) -> list[Any]:
    """What ``part(rows of the result along H, their own grid)`` returns, in order; large ones share the threads."""
    size = math.prod(out) * x.shape[0] * grid.groups * width
    if size < PIECE:
        return [part(slice(None), grid)]
    step = -(-out[1] // min(out[1], math.isqrt(size // PIECE)))  # the more pieces, the more is copied twice
    starts = range(0, out[1], step)
    found: list[Any] = [None] * len(starts)
    before, stride, span = grid.padding[1][0], grid.stride[1], grid.dilation[1] * (kernel[1] - 1) + 1

    def run(number: int, _: int) -> None:
        start = starts[number]
        stop = min(start + step, out[1])
        first = before - start * stride
        behind = (stop - start - 1) * stride + span - x.shape[3] - first
        padding = (grid.padding[0], (first, behind), grid.padding[2])
        found[number] = part(slice(start, stop), grid._replace(padding=padding))

    spread(run, len(starts), size * kernel[1])
    return found


def _convolved(x: Any, w: Any, grid: Grid, out: Three, dtype: Any) -> Any:
    """The same, as (n, results, D, H, W), in the way that suits the number of channels."""
    if not _is_thin(x, w.shape[0], w.shape[1], grid.groups):
        return _joined(_by_rows(x, w, grid, out, dtype))
    many, i, (wide, blocks) = w.shape[0] // grid.groups, w.shape[1], _blocks(grid, out)
    w = _repeated(w, grid, dtype)
    y = np.empty((grid.groups, *out[:2], x.shape[0], blocks, many * BLOCK), dtype)

    def part(a: int, b: int, mine: Grid) -> None:
        kernels = w[a * many * BLOCK : b * many * BLOCK]
        y[a:b] = _by_rows(x[:, a * i : b * i], kernels, mine, (*out[:2], blocks), dtype)

    _some_groups(part, wide, y)
    y = np.reshape(y, (*y.shape[:5], many, BLOCK)).transpose(3, 0, 5, 1, 2, 4, 6)
    return np.reshape(y, (y.shape[0], grid.groups * many, *out[:2], blocks * BLOCK))[..., : out[2]]


def _flipped(e: Any, w: Any, grid: Grid, size: Three, dtype: Any) -> Any:
    """The transpose where every stride is 1: the convolution with the kernel reversed, i in the place of o.

    A larger stride is one of 1 over an e with zeros in between.
    """
    if grid.stride != (1, 1, 1):
        spaced = [(n - 1) * s + 1 for n, s in zip(e.shape[2:], grid.stride, strict=True)]
        e, apart = np.zeros((*e.shape[:2], *spaced), dtype), e
        e[:, :, *(slice(None, None, s) for s in grid.stride)] = apart
        grid = grid._replace(stride=(1, 1, 1))
    groups, kernel = grid.groups, w.shape[2:]
    o, i = w.shape[0] // groups, w.shape[1]
    reverse = np.reshape(np.flip(w, (2, 3, 4)), (groups, o, i, *kernel)).swapaxes(1, 2)
    axes = zip(e.shape[2:], size, kernel, grid.padding, grid.dilation, strict=True)
    padding = tuple((d * (k - 1) - a, n + a - m) for m, n, k, (a, _), d in axes)
    return _convolved(e, np.reshape(reverse, (groups * i, o, *kernel)), grid._replace(padding=padding), size, dtype)


def _overlapped(e: Any, w: Any, grid: Grid, size: Three, dtype: Any) -> Any:
    """The transpose for any stride: each element of e puts the kernel down, and what overlaps is added."""
    groups, kernel, out = grid.groups, w.shape[2:], e.shape[2:]
    o, i = w.shape[0] // groups, w.shape[1]
    rows = np.reshape(w, (groups, o, i, *kernel)).transpose(3, 4, 0, 1, 5, 2)
    rows = np.ascontiguousarray(rows, dtype).reshape(*kernel[:2], groups, o, kernel[2] * i)
    whole = _split(e, groups)
    tall = np.reshape(whole, (groups, math.prod(whole.shape[1:5]), o)).astype(dtype, copy=False)
    width = [n + a + b for n, (a, b) in zip(size, grid.padding, strict=True)]
    buffer = np.zeros((groups, *width[:2], e.shape[0], width[2], i), dtype)
    for a, b in itertools.product(range(kernel[0]), range(kernel[1])):
        term = np.reshape(tall @ rows[a, b], (*whole.shape[:5], kernel[2], i))
        for c in range(kernel[2]):
            buffer[:, *_under(grid, (a, b, c), out)] += term[..., c, :]
    return _joined(buffer[:, *_inside(grid, size)])


def _under(grid: Grid, place: Three, out: Three) -> tuple[slice, slice, slice, slice]:
    """Where in (D, H, n, W) one element of the kernel meets x."""
    axes = zip(place, grid.dilation, grid.stride, out, strict=True)
    d, h, w = (slice(p * e, p * e + (n - 1) * s + 1, s) for p, e, s, n in axes)
    return d, h, slice(None), w


def _inside(grid: Grid, size: Three) -> tuple[slice, slice, slice, slice]:
    """Where in (D, H, n, W) x itself stands within its padding."""
    d, h, w = (slice(a, a + n) for n, (a, _) in zip(size, grid.padding, strict=True))
    return d, h, slice(None), w


def _weight_by_rows(x: Any, e: Any, grid: Grid, kernel: Three, out: Three, dtype: Any) -> Any:
    """For each row of the kernel what stands under it, transposed, times e. Both in the inner layout."""
    i = x.shape[1] // grid.groups

    def part(cut: slice, there: Grid) -> Any:
        mine = e[:, :, cut]
        w = np.empty((grid.groups, *kernel[:2], kernel[2] * i, e.shape[5]), dtype)
        for a, b, strip in _strips(x, there, kernel, (out[0], mine.shape[2], out[2]), dtype):
            w[:, a, b] = np.sum(np.swapaxes(_tall(strip), -1, -2) @ _tall(mine), axis=1)
        return w

    w = sum(_each_cut(part, x, grid, kernel, out, kernel[2] * i + e.shape[5]))
    return np.reshape(w, (grid.groups, *kernel, i, e.shape[5]))


def _weight(x: Any, e: Any, grid: Grid, kernel: Three, dtype: Any) -> Any:
    """The same, as (results, channels, D, H, W), in the way that suits the number of channels."""
    groups, out, i, o = grid.groups, e.shape[2:], x.shape[1] // grid.groups, e.shape[1] // grid.groups
    if not _is_thin(x, e.shape[1], i, groups):
        w = _weight_by_rows(x, np.ascontiguousarray(_split(e, groups), dtype), grid, kernel, out, dtype)
    else:
        wide, blocks = _blocks(grid, out)
        e = np.pad(e, [*[(0, 0)] * 4, (0, blocks * BLOCK - out[2])])
        e = np.reshape(e, (e.shape[0], groups, o, *out[:2], blocks, BLOCK)).transpose(1, 3, 4, 0, 5, 2, 6)
        e = np.ascontiguousarray(np.reshape(e, (*e.shape[:5], o * BLOCK)), dtype)
        span = (*kernel[:2], _span(grid, kernel[2]))
        found = np.empty((groups, *span, i, o * BLOCK), dtype)

        def part(a: int, b: int, mine: Grid) -> None:
            found[a:b] = _weight_by_rows(x[:, a * i : b * i], e[a:b], mine, span, (*out[:2], blocks), dtype)

        _some_groups(part, wide, e)
        found = np.reshape(found, (*found.shape[:5], o, BLOCK))
        w = sum(found[:, :, :, _taps(grid, kernel[2], k), ..., k] for k in range(BLOCK))
    return np.reshape(w.transpose(0, 5, 4, 1, 2, 3), (groups * o, i, *kernel))


# -- few channels a group: a row's product would be thin, so neighbouring results along W are taken together ---------


def _is_thin(x: Any, results: int, channels: int, groups: int) -> bool:
    """Whether this pays, and x has no inf or nan, of which the zeros around the kernel would make nan."""
    return groups > 1 and results // groups * channels <= THIN and _is_finite(x)


def _is_finite(x: Any) -> bool:
    """Whether no inf or nan is in x, told by its sum: one that overflows says no, and the plain way is taken."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.sum(x, dtype=wide(x.dtype))))


def _span(grid: Grid, kernel: int) -> int:
    """How much of x a block of results stands on, along W."""
    return (BLOCK - 1) * grid.stride[2] + (kernel - 1) * grid.dilation[2] + 1


def _taps(grid: Grid, kernel: int, k: int) -> slice:
    """Where in that the kernel of result number k has its elements."""
    start = k * grid.stride[2]
    return slice(start, start + (kernel - 1) * grid.dilation[2] + 1, grid.dilation[2])


def _blocks(grid: Grid, out: Three) -> tuple[Grid, int]:
    """The grid of a kernel that gives a block of results at once, and the number of blocks."""
    blocks = -(-out[2] // BLOCK)
    before, behind = grid.padding[2]
    behind += (blocks * BLOCK - out[2]) * grid.stride[2]
    step = (*grid.stride[:2], grid.stride[2] * BLOCK)
    padding, dilation = (*grid.padding[:2], (before, behind)), (*grid.dilation[:2], 1)
    return Grid(step, padding, dilation, grid.groups), blocks


def _some_groups(part: Any, grid: Grid, y: Any) -> None:
    """Call ``part(start, stop, grid)`` for as many groups as the processor's cache holds results of."""
    step = max(1, grid.groups * CACHE // max(1, y.nbytes))
    starts = range(0, grid.groups, step)

    def run(number: int, _: int) -> None:
        start = starts[number]
        stop = min(start + step, grid.groups)
        part(start, stop, grid._replace(groups=stop - start))

    spread(run, len(starts), y.size * grid.stride[2])


def _repeated(w: Any, grid: Grid, dtype: Any) -> Any:
    """That kernel: the given one, once for each result of a block, with zeros around it."""
    many, kernel = w.shape[0] // grid.groups, w.shape[2:]
    wide = np.zeros((grid.groups, many, BLOCK, w.shape[1], *kernel[:2], _span(grid, kernel[2])), dtype)
    for k in range(BLOCK):
        wide[:, :, k, ..., _taps(grid, kernel[2], k)] = np.reshape(w, (grid.groups, many, *w.shape[1:]))
    return np.reshape(wide, (w.shape[0] * BLOCK, *wide.shape[3:]))


# -- the three operations ----------------------------------------------------------------------------------------------


def _fit(name: str, x: Any, w: Any, e: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    """Refuse shapes of x, w and e that are not those of one convolution."""
    rank = len(stride)
    why = f"{name} takes x of shape (n, channels, …), w of shape (results, channels / groups, …) over {rank} axes"
    if len(x) != rank + 2 or len(w) != rank + 2 or len(e) != rank + 2:
        raise ShapeError(message(f"{name}: shapes {x}, {w} and {e}", why, "give each array all its axes"))
    out = lengths(x[2:], w[2:], stride, padding, dilation)
    if not all(w[2:]) or min(out) < 1:
        span = tuple(d * (k - 1) + 1 for k, d in zip(w[2:], dilation, strict=True))
        padded = tuple(n + a + b for n, (a, b) in zip(x[2:], padding, strict=True))
        what = f"{name}: a kernel that spans {span} on {padded}, padding included"
        raise ShapeError(message(what, "the kernel fits nowhere", "pad more, or take a smaller kernel or dilation"))
    if x[1] != w[1] * groups or w[0] % groups:
        what = f"{name}: {x[1]} channels and w of shape {w} in {groups} groups"
        instead = f"w of shape ({groups}·results, {x[1] // groups}, …)" if x[1] % groups == 0 else "another groups"
        raise ShapeError(message(what, why, instead))
    if e != (x[0], w[0], *out):
        what = f"{name}: shape {e} where the convolution has {(x[0], w[0], *out)}"
        raise ShapeError(message(what, why, f"an array of shape {(x[0], w[0], *out)}"))


def conv(x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    out = lengths(x.shape[2:], w.shape[2:], stride, padding, dilation) if x.ndim == w.ndim == len(stride) + 2 else ()
    e = (*x.shape[:1], *w.shape[:1], *out)
    _fit("conv", x.shape, w.shape, e, stride=stride, padding=padding, dilation=dilation, groups=groups)
    grid, dtype = _grid(stride, padding, dilation, groups), np.result_type(x, w)
    whole: Any = (1,) * (3 - len(out)) + out
    return _flattened(_convolved(_cube(x), _cube(w), grid, whole, wide(dtype)), x.ndim, dtype)


def conv_transpose(e: Any, w: Any, *, size: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    x = (*e.shape[:1], *(n * groups for n in w.shape[1:2]), *size)
    _fit("conv_transpose", x, w.shape, e.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
    grid, dtype = _grid(stride, padding, dilation, groups), np.result_type(e, w)
    whole: Any = (1,) * (3 - len(size)) + size
    suits = grid.stride == (1, 1, 1) or _is_thin(e, w.shape[0], w.shape[1], groups)
    how = _flipped if suits and _is_finite(w) else _overlapped  # zeros between and around e stand under w there
    return _flattened(how(_cube(e), _cube(w), grid, whole, wide(dtype)), e.ndim, dtype)


def conv_weight(x: Any, e: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    w = (*e.shape[1:2], *(n // groups for n in x.shape[1:2]), *kernel)
    _fit("conv_weight", x.shape, w, e.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
    grid, dtype = _grid(stride, padding, dilation, groups), np.result_type(x, e)
    whole: Any = (1,) * (3 - len(kernel)) + kernel
    return _flattened(_weight(_cube(x), _cube(e), grid, whole, wide(dtype)), x.ndim, dtype)
