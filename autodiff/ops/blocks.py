"""Large arrays block by block: what several steps are taken on stays in the processor's cache from one to the next.

The sizes change the speed alone, and the rounding of what is summed over blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..threads import spread

POINTS = 1 << 15
"""Elements of a formula, each of whose few steps makes an array of its own."""

ROWS = 1 << 18
"""Elements of rows along which sums are taken, with few arrays beside them."""


PASSES = 4
"""How often a rule in blocks looks at each element, at least: whether a second thread is worth its start."""


def in_blocks(f: Any) -> Any:
    """The same function of arrays; of plain ones of one shape block by block, because most of its time is memory's."""

    def blocked(*xs: Any) -> Any:
        shape = np.shape(xs[0])
        plain = all(type(x) is np.ndarray and x.shape == shape for x in xs)
        if not plain or xs[0].size <= POINTS:
            return f(*xs)
        flat = [np.ravel(x) for x in xs]
        first = f(*(x[:POINTS] for x in flat))
        y = np.empty(flat[0].size, first.dtype)
        y[:POINTS] = first
        for start in range(POINTS, y.size, POINTS):
            y[start : start + POINTS] = f(*(x[start : start + POINTS] for x in flat))
        return np.reshape(y, shape)

    return blocked


def merged(shape: tuple[int, ...], axis: tuple[int, ...], parameters: Any) -> tuple[Any, tuple[int, ...]]:
    """The shape with those leading axes made one that no mean and no parameter tells apart; the axes in it."""
    reach = max((np.ndim(p) for p in parameters), default=0)
    lead = min(min(axis, default=0), len(shape) - reach)
    if lead < 2:
        return shape, axis
    return (math.prod(shape[:lead]), *shape[lead:]), tuple(a - lead + 1 for a in axis)


def cuts(shape: tuple[int, ...], axis: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    """Indices that cut an array into blocks along the first axis over which no mean is taken."""
    free = next((a for a in range(len(shape)) if a not in axis), None)
    if free is None:
        yield (Ellipsis,)
        return
    step = max(1, ROWS * shape[free] // max(1, math.prod(shape)))
    for start in range(0, shape[free], step):
        yield (*(slice(None),) * free, slice(start, start + step))


def each_block(part: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """Each of these cuts with what ``part(cut)`` returns, in order; large arrays on several threads."""
    found = list(cuts(shape, axis))
    results: list[Any] = [None] * len(found)

    def run(number: int, _: int) -> None:
        results[number] = part(found[number])

    spread(run, len(found), PASSES * math.prod(shape))
    return list(zip(found, results, strict=True))


def by_images(f: Any) -> Any:
    """The same function of arrays (n, channels, …) of which no image needs another; large ones a few at a time.

    Its settings are a window's, whose ``kernel`` tells how many axes at the end it slides along.
    """

    def parted(*xs: Any, kernel: Any, **settings: Any) -> Any:
        lead = xs[0].ndim - len(kernel)
        if lead < 1 or max(x.size for x in xs) <= POINTS or any(x.shape[:lead] != xs[0].shape[:lead] for x in xs):
            return f(*xs, kernel=kernel, **settings)
        shape = outer = xs[0].shape[:lead]
        if all(x.flags.c_contiguous for x in xs):
            xs = tuple(np.reshape(x, (math.prod(outer), *x.shape[lead:])) for x in xs)
            outer = ()
        first = f(*(x[:1] for x in xs), kernel=kernel, **settings)
        y = np.empty_like(first, shape=(len(xs[0]), *first.shape[1:]))

        def part(cut: Any) -> None:
            y[cut] = f(*(x[cut] for x in xs), kernel=kernel, **settings)

        each_block(part, max((x.shape for x in xs), key=math.prod), ())
        return y if outer else np.reshape(y, (*shape, *y.shape[1:]))

    return parted


def shared(accumulate: Any) -> Any:
    """The same running sum or product, bit for bit; of large arrays block by block on the threads."""

    def over_blocks(x: Any, *, axis: Any = None) -> Any:
        if type(x) is not np.ndarray or axis is None or x.ndim < 2 or x.size <= POINTS or x.dtype.kind not in "fc":
            return accumulate(x, axis=axis)
        y = np.empty_like(x)
        each_block(lambda cut: accumulate(x[cut], axis=axis, out=y[cut]), x.shape, (axis % x.ndim,))
        return y

    return over_blocks


def beside(parameter: Any, cut: tuple[Any, ...], ndim: int) -> Any:
    """The part of a weight or bias that meets this block, a view."""
    place = np.ndim(parameter) - ndim + len(cut) - 1
    if cut[-1] is Ellipsis or place < 0 or parameter is None or parameter.shape[place] == 1:
        return parameter
    return parameter[(*(slice(None),) * place, cut[-1])]
