"""The memory that a program uses again from run to run."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Memory(NamedTuple):
    """What one run of a program takes, in bytes."""

    arena: int
    without_reuse: int
    results: int
    blocks: int
    arrays: int


class Blocks:
    """Blocks of the arena, handed out and taken back as values die."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.free: dict[int, list[int]] = {}
        self.known: list[int] = []  # the sizes that have free blocks now, in order
        self.asked = 0

    def take(self, nbytes: int) -> int:
        """A free block of this size, or one at most twice as large; a new one otherwise."""
        size = max(64, -(-nbytes // 64) * 64)
        self.asked += size
        at = bisect.bisect_left(self.known, size)
        if at < len(self.known) and self.known[at] <= 2 * size:
            free = self.free[self.known[at]]
            block = free.pop()
            if not free:
                del self.known[at]
            return block
        self.sizes.append(size)
        return len(self.sizes) - 1

    def give(self, block: int) -> None:
        """Take a block back."""
        size = self.sizes[block]
        free = self.free.setdefault(size, [])
        if not free:
            bisect.insort(self.known, size)
        free.append(block)


class Part(NamedTuple):
    """One array of the arena: a block of its own shape, its axes in this order in memory, or a view of another part."""

    block: int
    shape: tuple[int, ...]
    dtype: Any
    order: tuple[int, ...] | None = None
    of: int = -1
    text: str = ""
    view: Callable[[Any], Any] | None = None


def arrays(sizes: Sequence[int], parts: Sequence[Part]) -> list[Any]:
    """The arrays of an arena: blocks of these sizes, cut and looked at as the parts say."""
    blocks = [np.empty(size, np.uint8) for size in sizes]
    made: list[Any] = []
    for part in parts:
        if part.view is not None:
            made.append(part.view(made[part.of]))
        else:
            count = math.prod(part.shape) * part.dtype.itemsize
            made.append(laid_out(blocks[part.block][:count].view(part.dtype), part.shape, part.order))
    return made


def laid_out(line: Any, shape: tuple[int, ...], order: tuple[int, ...] | None) -> Any:
    """One row of numbers as an array of this shape with its axes in this order in memory, None for C order."""
    if order is None:
        return line.reshape(shape)
    return line.reshape([shape[k] for k in order]).transpose(inverse(order))


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that takes another one back."""
    return tuple(order.index(k) for k in range(len(order)))


def own(x: Any) -> Any:
    """A copy of an array; a number as it is."""
    return np.array(x)[()]


def own_unless_new(x: Any, *arguments: Any) -> Any:
    """A result of a function that may hand out what it was given: a copy unless the array is its own."""
    return x if x.base is None and not any(x is given for given in arguments) else np.array(x)
